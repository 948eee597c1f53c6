"""Same weights, same images, same samplers: the same losses and detections as torchvision's Faster R-CNN."""

import re

import pytest
import torch
from torchvision.models.detection import fasterrcnn_resnet50_fpn
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler

from snellen.models.detection import TwoStage, faster_rcnn_r50_fpn
from snellen.structures import Batch, BoxTarget, Sample

SIZES = ((192, 256), (160, 224))
NUM_CLASSES = 5


def first_ones(shape, device=None):
    """Draw the candidates with the lowest index first."""
    return (torch.arange(shape[-1], 0, -1, device=device) / (shape[-1] + 1)).expand(shape)


def first_sampled(self, matched_idxs):
    positives, negatives = [], []
    for matched in matched_idxs:
        most = int(self.batch_size_per_image * self.positive_fraction)
        positive = torch.where(matched >= 1)[0][:most]
        negative = torch.where(matched == 0)[0][: self.batch_size_per_image - len(positive)]
        for rows, out in ((positive, positives), (negative, negatives)):
            mask = torch.zeros_like(matched, dtype=torch.uint8)
            mask[rows] = 1
            out.append(mask)
    return positives, negatives


def batch_of_two(seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for index, (height, width) in enumerate(SIZES):
        corner = torch.rand(4 + index, 2, generator=generator) * torch.tensor([width * 0.6, height * 0.6])
        side = torch.rand(4 + index, 2, generator=generator) * 70 + 12
        boxes = torch.cat([corner, torch.minimum(corner + side, torch.tensor([float(width), float(height)]))], dim=1)
        count = len(boxes)
        samples.append(
            Sample(
                image=torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator),
                target=BoxTarget(
                    boxes=boxes,
                    labels=torch.randint(0, NUM_CLASSES, (count,), generator=generator),
                    valid=torch.ones(count, dtype=torch.bool),
                    ignored=torch.zeros(count, dtype=torch.bool),
                ),
                index=index,
                source="",
                original_size=(height, width),
            )
        )
    return Batch.collate(samples, stride=32)


def as_torchvision(batch: Batch):
    images, targets = [], []
    for row in range(len(batch)):
        height, width = batch.images.sizes[row].tolist()
        images.append(batch.images.pixels[row, :, :height, :width].float() / 255)
        valid = batch.targets.valid[row]
        targets.append({"boxes": batch.targets.boxes[row][valid], "labels": batch.targets.labels[row][valid] + 1})
    return images, targets


@pytest.fixture(scope="module")
def pair():
    torch.manual_seed(0)
    theirs = fasterrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=NUM_CLASSES + 1, min_size=1, max_size=10_000
    )
    theirs.transform.resize = lambda image, target: (image, target)  # the images come at their final size
    with torch.no_grad():  # statistics that fit, and larger logits than at the start, so that scores differ
        for layer in theirs.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = 1.0
        theirs(*as_torchvision(batch_of_two()))
        theirs.roi_heads.box_predictor.cls_score.weight.mul_(10)
        theirs.rpn.head.cls_logits.weight.mul_(5)
    ours = faster_rcnn_r50_fpn(NUM_CLASSES)
    state = {}
    for key, value in theirs.state_dict().items():
        for pattern, replacement in TwoStage.foreign_names:
            key = re.sub(pattern, replacement, key)  # noqa: PLW2901
        state[key] = value
    ours.load_state_dict(state)
    return ours, theirs


def test_losses_are_torchvisions(pair, monkeypatch):
    ours, theirs = pair
    monkeypatch.setattr(BalancedPositiveNegativeSampler, "__call__", first_sampled)
    monkeypatch.setattr(ours, "priority", first_ones)
    monkeypatch.setattr(ours.proposals, "priority", first_ones)
    batch = batch_of_two()
    ours.train()
    theirs.train()
    expected = theirs(*as_torchvision(batch))
    got = ours.loss(ours(batch.images, batch.targets), batch.targets)
    names = {
        "objectness": "loss_objectness",
        "proposal_box": "loss_rpn_box_reg",
        "class": "loss_classifier",
        "box": "loss_box_reg",
    }
    for mine, other in names.items():
        torch.testing.assert_close(got[mine], expected[other], rtol=1e-4, atol=1e-4)
    sum(expected.values()).backward()
    sum(got.values()).backward()
    head, body = theirs.roi_heads.box_head.fc6, theirs.backbone.body
    assert relative_error(ours.region_head.fc6.weight.grad, head.weight.grad) < 2e-3
    assert relative_error(ours.proposals.conv.weight.grad, theirs.rpn.head.conv[0][0].weight.grad) < 2e-3
    # Batch norms over two images at random weights amplify the rounding of float32 on the way down.
    assert relative_error(ours.backbone.layer1[0].conv1.weight.grad, body.layer1[0].conv1.weight.grad) < 5e-2


def relative_error(got, expected):
    return float((got - expected).norm() / expected.norm())


def test_detections_are_torchvisions(pair):
    ours, theirs = pair
    batch = batch_of_two(seed=1)
    ours.eval()
    theirs.eval()
    with torch.inference_mode():
        expected = theirs(as_torchvision(batch)[0])
        got = ours.decode(ours(batch.images), batch.images.original_sizes)
    assert sum(len(one["boxes"]) for one in expected) > 20
    assert torch.cat([one["scores"] for one in expected]).std() > 0.02
    for mine, other in zip(got, expected, strict=True):
        torch.testing.assert_close(mine.scores, other["scores"], rtol=1e-4, atol=1e-4)
        # Scores that tie to 1e-6 may change places, so each of theirs is looked up among ours.
        rows = torch.cdist(with_label(other["boxes"], other["labels"]), with_label(mine.boxes, mine.labels + 1)).argmin(1)
        assert len(rows.unique()) == len(rows)
        assert torch.equal(mine.labels[rows] + 1, other["labels"])
        sides = torch.tensor([256.0, 192.0, 256.0, 192.0])  # of the canvas
        torch.testing.assert_close(mine.boxes[rows] / sides, other["boxes"] / sides, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(mine.scores[rows], other["scores"], rtol=1e-4, atol=1e-4)


def with_label(boxes, labels):
    return torch.cat([boxes, labels[:, None] * 10_000.0], dim=1)


def test_validation_loss_changes_no_verdict(pair):
    ours, _ = pair
    batch = batch_of_two(seed=2)
    ours.eval()
    with torch.inference_mode():
        plain = ours(batch.images)
        judged = ours(batch.images, batch.targets)
        losses = ours.loss(judged, batch.targets)
    assert torch.equal(plain.class_logits, judged.class_logits)
    assert all(torch.isfinite(value) for value in losses.values())
    assert losses["box"] >= 0
