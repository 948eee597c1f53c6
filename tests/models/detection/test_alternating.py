"""Four-step alternating training: who learns when, on what, and what a run that goes on finds."""

import copy

import pytest
import torch
import torchvision

from snellen.errors import ConfigError, InputError
from snellen.models.detection.alternating import AlternatingTwoStage, faster_rcnn_mobilenet_v2_c4_alternating
from snellen.models.detection.faster_rcnn import faster_rcnn_mobilenet_v2_c4
from snellen.models.detection.rpn import ProposalSettings
from snellen.models.detection.selection import SelectionSettings
from snellen.models.detection.two_stage import RegionSettings, TwoStageOutput
from snellen.models.weights import load_weights
from snellen.structures import ImageBatch, Model, Staged

NUM_CLASSES = 3
LEARNS = {
    "rpn-1": ("first_backbone.", "proposals."),
    "detector-1": ("backbone.", "region_head."),
    "rpn-2": ("proposals.",),
    "detector-2": ("region_head.",),
}
LOSSES = {
    "rpn-1": {"objectness", "proposal_box"},
    "detector-1": {"class", "box"},
    "rpn-2": {"objectness", "proposal_box"},
    "detector-2": {"class", "box"},
}


@pytest.fixture(autouse=True)
def _narrow(monkeypatch):
    monkeypatch.setattr("snellen.models.detection.one_map._SMALL_WIDTH", 64)


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = faster_rcnn_mobilenet_v2_c4_alternating(NUM_CLASSES)
    model.settings = RegionSettings(slots=16, selection=SelectionSettings(score_above=0.01, max_detections=20))
    model.proposals.settings = ProposalSettings(
        slots=10_000, before_nms_train=80, after_nms_train=40, before_nms_test=40, after_nms_test=12
    )
    torch.manual_seed(1)
    return model


def losses_of(model, batch):
    return model.loss(model(batch.images, batch.targets), batch.targets)


def test_it_is_a_staged_model_whose_stages_make_one_training(model):
    assert isinstance(model, Staged)
    assert isinstance(model, Model)
    assert [stage.name for stage in model.stages] == list(LEARNS)
    assert all(stage.kind == "gradient" for stage in model.stages)
    assert sum(stage.share for stage in model.stages) == pytest.approx(1)
    with pytest.raises(ConfigError, match="rpn-2"):
        model.enter("rpn2")
    with pytest.raises(ConfigError, match="gradient descent"):
        model.fit_stage("rpn-1", None)


@pytest.mark.parametrize("stage", LEARNS)
def test_only_the_parts_of_a_stage_learn(stage, model, batch_of):
    model.enter(stage)
    model.enter(stage)  # as when a run goes on
    model.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    wanted = {key for key, _ in model.named_parameters() if key.startswith(LEARNS[stage])}
    assert {key for key, value in model.named_parameters() if value.requires_grad} == wanted
    optimizer = torch.optim.SGD([value for value in model.parameters() if value.requires_grad], lr=0.1)
    losses = losses_of(model, batch_of((3, 4)))
    assert set(losses) == LOSSES[stage]
    assert all(loss.isfinite() and loss > 0 for loss in losses.values())
    sum(losses.values()).backward()
    learned = {key for key, value in model.named_parameters() if value.grad is not None and value.grad.abs().sum() > 0}
    assert learned == wanted
    optimizer.step()
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert changed  # buffers too: the statistics of a fixed backbone stand still
    assert all(key.startswith(LEARNS[stage]) for key in changed)


@pytest.mark.parametrize("stage", LEARNS)
def test_evaluation_uses_the_backbone_of_the_stage(stage, model, batch_of):
    batch = batch_of((2, 3))
    model.enter(stage)
    model.eval()
    uses = {
        "rpn-1": ("first_backbone.", "proposals."),
        "detector-1": ("first_backbone.", "backbone.", "proposals.", "region_head."),
        "rpn-2": ("backbone.", "proposals.", "region_head."),
        "detector-2": ("backbone.", "proposals.", "region_head."),
    }[stage]
    calls = set()
    for name, part in model.named_children():
        part.register_forward_hook(lambda *_, name=name: calls.add(f"{name}."))
    with torch.inference_mode():
        output = model(batch.images, batch.targets)
        found = model.decode(output, batch.images.original_sizes)
    assert type(output) is TwoStageOutput
    assert calls - {"normalize.", "region_features."} == set(uses)
    assert all(len(one.scores) > 0 for one in found)
    assert set(model.loss(output, batch.targets)) == LOSSES[stage]
    plain = model(batch.images)
    torch.testing.assert_close(plain.class_logits, output.class_logits)


def test_in_the_first_stage_each_proposal_speaks_for_every_class(model, batch_of):
    model.enter("rpn-1")
    model.eval()
    batch = batch_of((2, 3))
    with torch.inference_mode():
        output = model(batch.images)
        boxes, scores = model.candidates(output)
    assert torch.equal(scores[..., :1].expand_as(scores), scores)
    assert (scores.diff(dim=1) <= 0).all()  # best first, as the proposals come
    odds = output.proposals.scores.exp()
    torch.testing.assert_close(scores[..., 0], odds / (1 + NUM_CLASSES * odds))
    torch.testing.assert_close(boxes[:, :, 0], output.regions.boxes, rtol=1e-4, atol=1e-4)


def test_in_the_end_it_is_the_detector_that_it_stands_on(model, batch_of):
    model.enter("detector-2")
    model.eval()
    plain = faster_rcnn_mobilenet_v2_c4(NUM_CLASSES)
    plain.settings, plain.proposals.settings = model.settings, model.proposals.settings
    keys = set(plain.state_dict())
    plain.load_state_dict({key: value for key, value in model.state_dict().items() if key in keys})
    plain.eval()
    images = batch_of((2, 3)).images
    with torch.inference_mode():
        assert torch.equal(model(images).class_logits, plain(images).class_logits)


@pytest.mark.parametrize("stage", LEARNS)
def test_weights_remember_their_stage(stage, model):
    model.enter(stage)
    other = faster_rcnn_mobilenet_v2_c4_alternating(NUM_CLASSES)
    averaged = copy.deepcopy(other)
    for reader in (other, averaged):
        reader.load_state_dict(model.state_dict())
        assert reader.stage == stage
        flags = [(key, value.requires_grad) for key, value in reader.named_parameters()]
        assert flags == [(key, value.requires_grad) for key, value in model.named_parameters()]


def test_a_file_with_one_backbone_fills_both(model, tmp_path):
    theirs = torchvision.models.mobilenet_v2(weights=None)
    torch.save({"model": theirs.state_dict()}, tmp_path / "theirs.pth")
    report = load_weights(model, tmp_path / "theirs.pth")
    assert not [key for key in report.missing if "backbone." in key]
    for backbone in (model.backbone, model.first_backbone):
        assert torch.equal(backbone.blocks[5].conv[0][0].weight, theirs.features[5].conv[0][0].weight)
    detector = faster_rcnn_mobilenet_v2_c4(NUM_CLASSES)
    torch.save(detector.state_dict(), tmp_path / "plain.pth")
    assert [key for key in load_weights(model, tmp_path / "plain.pth").missing if key != "number"] == []
    assert torch.equal(model.first_backbone.blocks[0][0].weight, detector.backbone.blocks[0][0].weight)


def test_its_own_file_keeps_two_backbones_apart(model, tmp_path):
    with torch.no_grad():
        model.first_backbone.blocks[0][0].weight.fill_(2.0)
    torch.save(model.state_dict(), tmp_path / "own.pth")
    other = faster_rcnn_mobilenet_v2_c4_alternating(NUM_CLASSES)
    report = load_weights(other, tmp_path / "own.pth")
    assert report.missing == report.unexpected == ()
    assert (other.first_backbone.blocks[0][0].weight == 2).all()
    assert torch.equal(other.backbone.blocks[0][0].weight, model.backbone.blocks[0][0].weight)


@pytest.mark.parametrize("stage", LEARNS)
@pytest.mark.parametrize("counts", [(0, 0), (0, 2)])
def test_images_without_objects(stage, counts, model, batch_of):
    model.enter(stage)
    for training in (True, False):
        model.train(training)
        losses = losses_of(model, batch_of(counts))
        assert all(loss.isfinite() for loss in losses.values())


def test_a_detector_step_needs_targets(model, batch_of):
    batch = batch_of()
    model.enter("detector-1")
    with pytest.raises(InputError, match="targets"):
        model.loss(model(batch.images), batch.targets)


def test_the_parts_are_those_of_the_detector():
    torch.manual_seed(0)
    detector = faster_rcnn_mobilenet_v2_c4(NUM_CLASSES)
    model = AlternatingTwoStage(detector)
    assert model.backbone is detector.backbone
    assert model.first_backbone is not detector.backbone
    assert torch.equal(model.first_backbone.blocks[0][0].weight, detector.backbone.blocks[0][0].weight)


def test_proposals_are_found_whatever_the_number_of_classes():
    """With twenty classes or more each gets less than any usual threshold."""
    model = faster_rcnn_mobilenet_v2_c4_alternating(80).eval()
    pixels = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    sizes = torch.tensor([[64, 64]])
    with torch.no_grad():
        output = model(ImageBatch(pixels=pixels, sizes=sizes, original_sizes=sizes))
        (found,) = model.decode(output, sizes)
    assert model.stage == "rpn-1"
    assert len(found.boxes) >= 80
