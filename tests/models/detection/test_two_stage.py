"""What every two-stage detector promises, and what it does with images that are not like the others."""

from dataclasses import fields, replace

import pytest
import torch
from torchvision.ops import box_iou

from snellen.models.detection import (
    ProposalOutput,
    ProposalSettings,
    RegionSettings,
    TwoStageOutput,
    faster_rcnn_mobilenet_v2_fpn,
    faster_rcnn_r18_fpn,
    faster_rcnn_r50_c4,
)
from snellen.models.detection.selection import SelectionSettings
from snellen.structures import Batch, Detections, Regions, Sample

NUM_CLASSES = 3
LOSSES = {"objectness", "proposal_box", "class", "box"}
BUILDERS = {
    "r18_fpn": faster_rcnn_r18_fpn,
    "mobilenet_v2_fpn": faster_rcnn_mobilenet_v2_fpn,
    "r50_c4": faster_rcnn_r50_c4,
}
EVERY_ANCHOR = 10_000  # more slots than a small image has anchors


def built(name):
    torch.manual_seed(0)
    model = BUILDERS[name](NUM_CLASSES)
    model.settings = RegionSettings(slots=12, selection=SelectionSettings(score_above=0.1, max_detections=20))
    model.proposals.settings = ProposalSettings(
        slots=EVERY_ANCHOR, before_nms_train=80, after_nms_train=40, before_nms_test=40, after_nms_test=12
    )
    return model


@pytest.fixture(scope="module", params=BUILDERS)
def model(request):
    """A small detector, the same for all tests of this module: none may leave it changed."""
    return built(request.param)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1)


@pytest.fixture
def kept(model):
    """The state of the model, put back after the test."""
    state = {key: value.clone() for key, value in model.state_dict().items()}
    yield model
    model.float().load_state_dict(state)
    model.zero_grad()


def losses_of(model, batch):
    return model.loss(model(batch.images, batch.targets), batch.targets)


def only(batch, row):
    """The batch of one image that is row ``row`` of ``batch``."""
    part = slice(row, row + 1)
    return Batch(
        images=batch.images.map(lambda tensor: tensor[part]),
        targets=batch.targets.map(lambda tensor: tensor[part]),
        indices=batch.indices[part],
    )


def shapes(record):
    return {
        field.name: tuple(value.shape) if isinstance(value, torch.Tensor) else type(value)
        for field in fields(record)
        if (value := getattr(record, field.name)) is not None
    }


def test_one_type_of_output_in_training_and_in_evaluation(kept, batch_of):
    batch = batch_of()
    for training in (True, False):
        kept.train(training)
        for targets in (None, batch.targets):
            output = kept(batch.images, targets)
            assert type(output) is TwoStageOutput
            assert (output.region_targets is None) == (targets is None)
            rows, count = output.regions.valid.shape
            assert rows == len(batch)
            assert output.class_logits.shape == (rows, count, NUM_CLASSES + 1)
            assert output.box_offsets.shape == (rows, count, NUM_CLASSES + 1, 4)
            assert shapes(output)["proposals"] is ProposalOutput
            assert all(isinstance(one, Detections) for one in kept.decode(output, batch.images.original_sizes))


def test_losses_are_finite_scalars_and_reach_every_parameter(kept, batch_of):
    kept.train()
    losses = losses_of(kept, batch_of((3, 4)))
    assert set(losses) == LOSSES
    assert all(loss.shape == () and loss.isfinite() and loss > 0 for loss in losses.values())
    sum(losses.values()).backward()
    silent = [name for name, value in kept.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert silent == []
    assert all(value.grad.isfinite().all() for value in kept.parameters())


@pytest.mark.parametrize("counts", [(0, 2), (0, 0)])
@pytest.mark.parametrize("training", [True, False])
def test_images_without_objects(kept, batch_of, counts, training):
    kept.train(training)
    batch = batch_of(counts)
    losses = losses_of(kept, batch)
    assert all(loss.isfinite() for loss in losses.values())
    assert losses["objectness"] > 0
    assert losses["class"] > 0
    if not any(counts):
        assert losses["proposal_box"] == 0
        assert losses["box"] == 0
    sum(losses.values()).backward()
    assert all(value.grad is None or value.grad.isfinite().all() for value in kept.parameters())


def test_padding_rows_of_targets_change_nothing(batch_of):
    model = built("r18_fpn").eval()
    model.priority = model.proposals.priority = lambda shape, device: (
        torch.arange(shape[1], device=device) / shape[1]
    ).expand(shape)
    batch = batch_of((2, 0))
    longer = batch.targets.map(lambda t: torch.cat([t, torch.zeros_like(t[:, :1]).repeat_interleave(5, 1)], 1))
    with torch.inference_mode():
        plain = model.loss(model(batch.images, batch.targets), batch.targets)
        padded = model.loss(model(batch.images, longer), longer)
    for name in LOSSES:
        assert torch.equal(plain[name], padded[name])


def test_two_images_at_once_are_as_one_by_one(kept, batch_of, in_float64):
    # In float64: a batch of another size rounds differently, and suppression turns rounding into other boxes.
    kept.double().eval()
    batch = batch_of((2, 3))
    with torch.inference_mode():
        together = kept.decode(kept(batch.images), batch.images.original_sizes)
        losses = losses_of(kept, in_float64(batch))
        for row in range(2):
            one = only(batch, row)
            alone = kept.decode(kept(one.images), one.images.original_sizes)[0]
            assert len(alone.scores) > 0
            torch.testing.assert_close(together[row].boxes, alone.boxes)
            torch.testing.assert_close(together[row].scores, alone.scores)
            assert torch.equal(together[row].labels, alone.labels)
    assert all(loss.isfinite() for loss in losses.values())


def test_what_lies_in_the_padding_does_not_matter(kept, batch_of):
    kept.eval()
    batch = batch_of((1, 1), sizes=[(96, 64), (70, 96)])
    noisy = batch.images.pixels.clone()
    noisy[0, :, :, 64:] = 200
    noisy[1, :, 70:] = 13
    with torch.inference_mode():
        plain = kept.decode(kept(batch.images), batch.images.original_sizes)
        other = kept.decode(kept(replace(batch.images, pixels=noisy)), batch.images.original_sizes)
    for mine, theirs, (height, width) in zip(plain, other, batch.images.original_sizes.tolist(), strict=True):
        assert torch.equal(mine.boxes, theirs.boxes)
        assert torch.equal(mine.scores, theirs.scores)
        # Detections are in the pixels of the original file, twice as large here, and inside it.
        limits = torch.tensor([width, height, width, height])
        assert ((mine.boxes >= 0) & (mine.boxes <= limits)).all()
        assert mine.boxes.amax() > 96


def test_images_of_one_batch_may_differ_in_size(kept, batch_of):
    kept.train()
    batch = batch_of((1, 2, 0), sizes=[(33, 96), (96, 50), (64, 64)])
    assert all(loss.isfinite() for loss in losses_of(kept, batch).values())


def test_detections_are_sorted_few_and_well_formed(kept, batch_of):
    kept.eval()
    batch = batch_of((1, 1))
    with torch.inference_mode():
        for one in kept.decode(kept(batch.images), batch.images.original_sizes):
            assert 0 < len(one.scores) <= kept.settings.selection.max_detections
            assert (one.scores.diff() <= 0).all()
            assert (one.scores > kept.settings.selection.score_above).all()
            assert ((one.labels >= 0) & (one.labels < NUM_CLASSES)).all()
            assert (one.boxes[:, 2:] > one.boxes[:, :2]).all()
            for label in range(NUM_CLASSES):
                iou = box_iou(*[one.boxes[one.labels == label]] * 2)
                assert (iou.triu(diagonal=1) <= kept.settings.selection.nms_iou + 1e-5).all()


def test_state_dict_gives_the_same_network(kept, batch_of, request):
    other = BUILDERS[request.node.callspec.params["model"]](NUM_CLASSES)
    other.load_state_dict(kept.state_dict())
    other.settings, other.proposals.settings = kept.settings, kept.proposals.settings
    images = batch_of().images
    kept.eval()
    other.eval()
    with torch.inference_mode():
        mine, theirs = kept(images), other(images)
    assert torch.equal(mine.class_logits, theirs.class_logits)
    assert torch.equal(mine.box_offsets, theirs.box_offsets)
    assert torch.equal(mine.regions.boxes, theirs.regions.boxes)


def test_the_callers_tensors_are_left_alone(kept, batch_of):
    kept.train()
    batch = batch_of()
    copy = batch.map(torch.clone)
    output = kept(batch.images, batch.targets)
    logits = output.class_logits.detach().clone()
    sum(kept.loss(output, batch.targets).values()).backward()
    kept.decode(output, batch.images.original_sizes)
    assert torch.equal(output.class_logits, logits)
    for part in ("images", "targets"):
        for field in fields(getattr(batch, part)):
            now, then = (getattr(getattr(one, part), field.name) for one in (batch, copy))
            assert now is then is None or torch.equal(now, then)


def test_the_same_seed_gives_the_same_bits(kept, batch_of):
    kept.train()
    batch = batch_of((3, 4))
    kept.proposals.settings, before = replace(kept.proposals.settings, slots=32), kept.proposals.settings
    draws = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        draws.append(losses_of(kept, batch))
    kept.proposals.settings = before
    assert all(torch.equal(draws[0][name], draws[1][name]) for name in LOSSES)
    assert any(not torch.equal(draws[0][name], draws[2][name]) for name in LOSSES)


def test_bfloat16_autocast(kept, batch_of):
    kept.train()
    batch = batch_of()
    with torch.autocast("cpu", torch.bfloat16):
        output = kept(batch.images, batch.targets)
        losses = kept.loss(output, batch.targets)
    for values in (
        output.class_logits,
        output.box_offsets,
        output.proposals.objectness,
        output.proposals.offsets,
    ):
        assert values.dtype == torch.float32
    assert output.regions.boxes.dtype == torch.float32
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    assert all(value.grad.isfinite().all() and value.grad.dtype == value.dtype for value in kept.parameters())


def test_channels_last_changes_the_layout_only(kept, batch_of):
    kept.double().eval()
    images = batch_of().images
    last = replace(images, pixels=images.pixels.contiguous(memory_format=torch.channels_last))
    with torch.inference_mode():
        plain = kept(images)
        kept.to(memory_format=torch.channels_last)
        other = kept(last)
        kept.to(memory_format=torch.contiguous_format)
    torch.testing.assert_close(plain.class_logits, other.class_logits)
    torch.testing.assert_close(plain.regions.boxes, other.regions.boxes)


def test_validation_loss_is_there_and_changes_no_verdict(kept, batch_of):
    kept.eval()
    batch = batch_of((0, 3))
    with torch.inference_mode():
        plain, judged = kept(batch.images), kept(batch.images, batch.targets)
        losses = kept.loss(judged, batch.targets)
    assert torch.equal(plain.class_logits, judged.class_logits)
    assert set(losses) == LOSSES
    assert all(loss.isfinite() for loss in losses.values())


def test_loss_without_targets_says_what_to_do(kept, batch_of):
    batch = batch_of()
    kept.eval()
    with torch.inference_mode():
        output = kept(batch.images)
    with pytest.raises(ValueError, match=r"model\(images, targets\)"):
        kept.loss(output, batch.targets)


def test_anchors_in_an_ignored_box_are_neither_wanted_nor_punished(target_of):
    model = built("r18_fpn")
    anchors = torch.tensor([[0.0, 0, 20, 20], [40, 40, 60, 60], [45, 45, 65, 65], [70, 0, 90, 20]])
    objectness = torch.zeros(1, 4, requires_grad=True)
    offsets = torch.ones(1, 4, 4, requires_grad=True)
    output = ProposalOutput(anchors=anchors, objectness=objectness, offsets=offsets)
    target = target_of([[0, 0, 20, 20], [35, 35, 66, 66]], [1, 2], [False, True])
    losses = model.proposals.loss(output, target.map(lambda tensor: tensor[None]))
    sum(losses.values()).backward()
    signs = objectness.grad[0].sign().tolist()
    assert signs == [-1.0, 0.0, 0.0, 1.0]  # pulled up, left alone twice, pushed down
    assert (offsets.grad[0].abs().sum(dim=1) > 0).tolist() == [True, False, False, False]


def test_an_anchor_that_only_grazes_an_ignored_box_is_background(target_of):
    model = built("r18_fpn")
    objectness = torch.zeros(1, 2, requires_grad=True)
    output = ProposalOutput(
        anchors=torch.tensor([[0.0, 0, 20, 20], [11, 0, 31, 20]]),
        objectness=objectness,
        offsets=torch.zeros(1, 2, 4),
    )
    target = target_of([[20, 0, 90, 20]], [0], [True])  # covers none of the first and 0.55 of the second
    losses = model.proposals.loss(output, target.map(lambda tensor: tensor[None]))
    losses["objectness"].backward()
    assert objectness.grad[0].sign().tolist() == [1.0, 0.0]


@pytest.mark.parametrize("training", [True, False])
def test_regions_in_an_ignored_box_are_neither_wanted_nor_punished(target_of, training):
    model = built("r18_fpn").train(training)
    boxes = torch.tensor([[[0.0, 0, 20, 20], [40, 40, 60, 60], [36, 36, 64, 64], [70, 0, 90, 20]]])
    target = target_of([[0, 0, 20, 20], [35, 35, 66, 66]], [1, 2], [False, True])
    batched = target.map(lambda tensor: tensor[None])
    valid = torch.ones(1, 4, dtype=torch.bool)
    regions, goal = model.assign(Regions(boxes=boxes, valid=valid), batched)
    in_loss = goal.labels[0] >= 0
    labelled = {
        tuple(box.tolist()): int(label)
        for box, label in zip(regions.boxes[0][in_loss], goal.labels[0][in_loss], strict=True)
    }
    assert labelled == {(0, 0, 20, 20): 2, (70, 0, 90, 20): 0}
    assert torch.equal(goal.boxes[0][goal.labels[0] == 2].unique(dim=0), target.boxes[:1])


def test_only_valid_slots_count_in_training(target_of):
    model = built("r18_fpn").train()
    regions = Regions(boxes=torch.zeros(1, 20, 4), valid=torch.zeros(1, 20, dtype=torch.bool))
    target = target_of([[5, 5, 30, 30]], [0]).map(lambda tensor: tensor[None])
    got, goal = model.assign(regions, target)
    # No proposal is left; the object's own box still teaches.
    assert goal.labels[0].tolist() == [1] + [-1] * 11
    assert got.valid[0].tolist() == [True] + [False] * 11
    assert torch.equal(got.boxes[0, 0], target.boxes[0, 0])


BAD = {"nan": torch.nan, "inf": torch.inf, "-inf": -torch.inf, "1e30": 1e30, "-1e30": -1e30}


@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
@pytest.mark.parametrize(
    "layer",
    [
        "proposals.objectness",
        "proposals.offsets",
        "region_head.predictor.classes",
        "region_head.predictor.offsets",
    ],
)
def test_bad_logits_and_offsets_crash_nothing(kept, batch_of, layer, value):
    batch = batch_of((1, 0))
    with torch.no_grad():
        kept.get_submodule(layer).bias.fill_(value)
    kept.eval()
    with torch.inference_mode():
        output = kept(batch.images)
        found = kept.decode(output, batch.images.original_sizes)
    assert output.regions.boxes.isfinite().all()
    limits = torch.tensor([192.0, 192.0, 192.0, 192.0])
    for one in found:
        assert one.scores.isfinite().all()
        assert ((one.boxes >= 0) & (one.boxes <= limits)).all()


@pytest.mark.parametrize("layer", ["proposals.objectness", "proposals.offsets", "region_head.predictor.classes"])
def test_a_network_of_nan_has_a_loss_of_nan(kept, batch_of, layer):
    # The loop stops at a loss that is not finite, so it must not be hidden.
    with torch.no_grad():
        kept.get_submodule(layer).bias.fill_(torch.nan)
    kept.train()
    assert not sum(losses_of(kept, batch_of()).values()).isfinite()


def test_one_bad_anchor_takes_no_other_down(batch_of):
    model = built("r18_fpn").eval()
    images = batch_of((1,)).images
    with torch.inference_mode():
        output = model(images).proposals
        best = output.objectness[0].argmax()
        per_level = [24 * 24 * 3, 12 * 12 * 3, 6 * 6 * 3, 3 * 3 * 3, 2 * 2 * 3]
        healthy, scores = model.proposals.propose(output, per_level, images)
        offsets = output.offsets.clone()
        offsets[0, best] = torch.nan
        sick, _ = model.proposals.propose(replace(output, offsets=offsets), per_level, images)
    assert healthy.valid.sum() == sick.valid.sum() == model.proposals.settings.after_nms_test
    assert torch.equal(output.scores, scores)
    assert (scores.diff() <= 0).all()
    assert sick.boxes.isfinite().all()
    assert not torch.equal(healthy.boxes, sick.boxes)


def rectangles():
    """Four images of one plain rectangle each; its colour is its class."""
    colours = torch.tensor([[220, 30, 30], [30, 220, 30], [30, 30, 220]], dtype=torch.uint8)
    places = [(10, 12, 58, 50, 0), (40, 30, 88, 84, 1), (20, 44, 70, 90, 2), (34, 8, 86, 52, 0)]
    for left, top, right, bottom, label in places:
        image = torch.full((3, 96, 96), 128, dtype=torch.uint8)
        image[:, top:bottom, left:right] = colours[label][:, None, None]
        yield image, [left, top, right, bottom], label


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r18_fpn", "mobilenet_v2_fpn"])  # the C4 form takes many minutes on a CPU
def test_four_simple_images_can_be_learned_by_heart(name, target_of):
    model = built(name)
    model.proposals.settings = ProposalSettings(slots=64, after_nms_train=100, after_nms_test=50)
    model.settings = RegionSettings(slots=32)
    batch = Batch.collate(
        [
            Sample(image=image, target=target_of([box], [label]), index=row, source="", original_size=(96, 96))
            for row, (image, box, label) in enumerate(rectangles())
        ],
        stride=32,
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    model.train()
    for _ in range(120):
        optimizer.zero_grad()
        sum(losses_of(model, batch).values()).backward()
        optimizer.step()
    model.eval()
    with torch.inference_mode():
        found = model.decode(model(batch.images), batch.images.original_sizes)
    for one, box, label in zip(found, batch.targets.boxes, batch.targets.labels, strict=True):
        assert len(one.scores) > 0
        assert one.labels[0] == label[0]
        assert one.scores[0] > 0.5
        assert box_iou(one.boxes[:1], box) > 0.7
