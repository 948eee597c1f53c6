"""Online hard example mining (SYS-043, ERR-113, ERR-122): what is chosen, and what it costs."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional
from torchvision.ops import box_iou, nms

from snellen.models.detection.fast_rcnn import fast_rcnn_mobilenet_v2
from snellen.models.detection.selection import SelectionSettings
from snellen.models.detection.two_stage import RegionSettings
from snellen.ops import encode_boxes
from snellen.structures import Regions

NUM_CLASSES = 3
SLOTS = 8


@pytest.fixture(autouse=True)
def _seed(monkeypatch):
    torch.manual_seed(1)
    monkeypatch.setattr("snellen.models.detection.one_map._SMALL_WIDTH", 64)


def built(mining, slots=SLOTS):
    torch.manual_seed(0)
    model = fast_rcnn_mobilenet_v2(NUM_CLASSES)
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0  # the two kinds of mining then rank by the same losses
    with torch.no_grad():  # losses that differ from region to region
        model.region_head.predictor.classes.weight.mul_(1e3)
    model.settings = RegionSettings(slots=slots, mining=mining, selection=SelectionSettings(score_above=0.1))
    return model


def batch_with_regions(batch_of, counts=(2, 3), num=40):
    batch = batch_of(counts)
    generator = torch.Generator().manual_seed(3)
    low = torch.rand(len(counts), num, 2, generator=generator) * 60
    boxes = torch.cat([low, low + torch.rand(len(counts), num, 2, generator=generator) * 30 + 6], dim=-1)
    valid = torch.ones(len(counts), num, dtype=torch.bool)
    valid[1, 30:] = False
    return replace(batch, images=replace(batch.images, regions=Regions(boxes=boxes, valid=valid)))


def hardest_by_a_loop(model, batch):
    """Every region is judged; those with the highest losses stay, near duplicates of a harder one left out."""
    chosen = []
    regions, goal = model.label(batch.images.regions, batch.targets)
    features = model.features(batch.images)
    for row in range(len(batch)):
        losses, rows = [], []
        for number in range(regions.boxes.shape[1]):
            label = goal.labels[row, number].item()
            if label < 0:
                continue
            box = regions.boxes[row, number][None]
            logits = model.region_head(model.region_features(features, box, torch.tensor([row])))
            loss = functional.cross_entropy(logits.classes, torch.tensor([label]))
            if label > 0:
                wanted = encode_boxes(goal.boxes[row, number][None], box, weights=(10, 10, 5, 5))
                loss = loss + functional.smooth_l1_loss(logits.offsets[:, label], wanted, beta=1 / 9, reduction="sum")
            losses.append(loss.item())
            rows.append(number)
        boxes = regions.boxes[row][rows]
        kept = nms(boxes, torch.tensor(losses), 0.7)[:SLOTS]
        assert (box_iou(boxes[kept], boxes[kept]).triu(1) <= 0.7).all()
        chosen.append({tuple(box.tolist()) for box in boxes[kept]})
    return chosen


@pytest.mark.parametrize("mining", ["ohem", "ohem_two_pass"])
def test_the_regions_with_the_highest_losses_are_chosen(mining, batch_of):
    model = built(mining).train()
    batch = batch_with_regions(batch_of)
    for part in (model.backbone,):
        part.eval()  # statistics of a batch would differ between the loop and the batch
    with torch.no_grad():
        expected = hardest_by_a_loop(model, batch)
    output = model(batch.images, batch.targets)
    assert output.class_logits.shape == (2, SLOTS, NUM_CLASSES + 1)
    for row in range(2):
        counts = output.region_targets.labels[row] >= 0
        assert {tuple(box.tolist()) for box in output.regions.boxes[row][counts]} == expected[row]


def test_both_kinds_have_the_same_loss_and_the_same_gradient(batch_of):
    batch = batch_with_regions(batch_of)
    gradients, losses = {}, {}
    for mining in ("ohem", "ohem_two_pass"):
        model = built(mining).double().train()
        model.backbone.eval()
        losses[mining] = model.loss(model(batch.images, batch.targets), batch.targets)
        sum(losses[mining].values()).backward()
        gradients[mining] = {name: value.grad for name, value in model.named_parameters()}
    for name in ("class", "box"):
        assert losses["ohem"][name] > 0
        torch.testing.assert_close(losses["ohem"][name], losses["ohem_two_pass"][name])
    for name, gradient in gradients["ohem"].items():
        torch.testing.assert_close(gradient, gradients["ohem_two_pass"][name], msg=name)


def test_the_hardest_cost_more_than_a_random_sample(batch_of):
    batch = batch_with_regions(batch_of)
    losses = {}
    for mining in (None, "ohem"):
        model = built(mining).train()
        model.backbone.eval()
        losses[mining] = sum(model.loss(model(batch.images, batch.targets), batch.targets).values())
    assert losses["ohem"] > losses[None]


def test_the_reading_pass_has_no_gradient_and_moves_no_statistics(batch_of):
    model = built("ohem_two_pass").train()
    dropped = torch.nn.Dropout(0.5)
    norm = torch.nn.BatchNorm2d(96, affine=False)
    model.region_features = torch.nn.ModuleDict({"pool": model.region_features})
    pool = model.region_features["pool"]
    model.region_features.forward = pool.forward
    seen = []
    head = model.region_head
    inner = head.forward

    def watched(pooled):
        seen.append((len(pooled), torch.is_grad_enabled(), head.fc.training, norm(pooled).shape))
        return inner(dropped(pooled))

    head.forward = watched
    head.norm = norm
    batch = batch_with_regions(batch_of)
    model(batch.images, batch.targets)
    (num_all, reads, mode, _), (num_chosen, learns, mode_after, _) = seen
    assert (num_all, num_chosen) == (2 * 43, 2 * SLOTS)
    assert (reads, learns) == (False, True)
    assert (mode, mode_after) == (False, True)
    assert norm.num_batches_tracked == 1
    assert all(part.training for part in head.modules())


@pytest.mark.parametrize("counts", [(0, 0), (0, 2)])
@pytest.mark.parametrize("mining", ["ohem", "ohem_two_pass"])
@pytest.mark.parametrize("training", [True, False])
def test_images_without_objects(counts, mining, training, batch_of):
    model = built(mining).train(training)
    batch = batch_with_regions(batch_of, counts)
    losses = model.loss(model(batch.images, batch.targets), batch.targets)
    assert all(loss.isfinite() for loss in losses.values())
    assert losses["class"] > 0
    sum(losses.values()).backward()


@pytest.mark.parametrize("mining", ["ohem", "ohem_two_pass"])
def test_evaluation_judges_all_regions_whatever_is_mined(mining, batch_of):
    model = built(mining).eval()
    batch = batch_with_regions(batch_of)
    with torch.inference_mode():
        plain, judged = model(batch.images), model(batch.images, batch.targets)
    assert torch.equal(plain.class_logits, judged.class_logits)
    assert ((judged.region_targets.labels >= 0).sum(dim=1) == SLOTS).all()


def test_ignored_objects_are_not_mined(batch_of):
    model = built("ohem", slots=100).train()
    batch = batch_with_regions(batch_of)
    ignored = batch.targets.ignored.clone()
    ignored[0, 0] = True
    targets = replace(batch.targets, ignored=ignored)
    box = targets.boxes[0, 0]
    regions = batch.images.regions
    boxes = regions.boxes.clone()
    boxes[0, 0] = box
    images = replace(batch.images, regions=replace(regions, boxes=boxes))
    output = model(images, targets)
    counts = output.region_targets.labels[0] >= 0
    assert not (output.regions.boxes[0][counts] == box).all(dim=1).any()


def test_a_network_of_nan_is_noticed(batch_of):
    model = built("ohem").train()
    with torch.no_grad():
        model.region_head.predictor.classes.bias.fill_(torch.nan)
    batch = batch_with_regions(batch_of)
    assert not sum(model.loss(model(batch.images, batch.targets), batch.targets).values()).isfinite()
