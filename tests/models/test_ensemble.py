"""Ensembles against plain arithmetic on what their members say (SYS-222)."""

import math

import pytest
import torch
from torch import nn

from snellen.errors import ConfigError
from snellen.models.backbones import resnet18
from snellen.models.classification import ImageClassifier
from snellen.models.ensemble import Ensemble, MergeSettings, merged
from snellen.structures import (
    ClassScores,
    ClassTarget,
    Detections,
    ImageBatch,
    LabelSetScores,
    SegmentationMap,
    ValueEstimates,
)


class Fixed(nn.Module):
    """A classifier that learns its logits for a few images by heart."""

    stride = 1
    target_type = ClassTarget

    def __init__(self, seed: int, images: int = 6) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.randn(images, 3, generator=torch.Generator().manual_seed(seed)) * 6)

    def forward(self, images, targets=None):
        return self.logits

    def loss(self, output, targets):
        return {"cross_entropy": nn.functional.cross_entropy(output, targets.probs)}

    def decode(self, output, sizes):
        return [ClassScores(probs=probs) for probs in output.softmax(1)]


def images(number: int = 6) -> ImageBatch:
    sizes = torch.tensor([[8, 8]] * number)
    return ImageBatch(pixels=torch.zeros(number, 3, 8, 8, dtype=torch.uint8), sizes=sizes, original_sizes=sizes)


def test_the_mean_is_that_of_the_probabilities():
    members = [Fixed(0), Fixed(1), Fixed(2)]
    model = Ensemble(members, weights=[1, 2, 1])
    found = model.decode(model(images()), images().original_sizes)
    expected = sum(share * member.logits.softmax(1) for share, member in zip((0.25, 0.5, 0.25), members, strict=True))
    torch.testing.assert_close(torch.stack([each.probs for each in found]), expected)


@pytest.mark.parametrize("seed", range(5))
def test_log_loss_is_never_above_the_mean_of_the_members(seed):
    """Jensen's inequality: minus the logarithm is convex. Sure and mostly wrong, as overfit nets are."""
    members = [Fixed(seed * 10 + number) for number in range(4)]
    truth = torch.randint(0, 3, (6,), generator=torch.Generator().manual_seed(seed))
    targets = ClassTarget(probs=nn.functional.one_hot(truth, 3).float())
    model = Ensemble(members)
    output = model(images())
    found = torch.stack([each.probs for each in model.decode(output, images().original_sizes)])
    own = -found[torch.arange(6), truth].log().mean()
    mean = model.loss(output, targets)["cross_entropy"]
    each = [member.loss(member.logits, targets)["cross_entropy"] for member in members]
    torch.testing.assert_close(mean, torch.stack(each).mean())
    assert own < mean


def test_an_ensemble_of_itself_is_itself():
    torch.manual_seed(0)
    member = ImageClassifier(resnet18(), 3).eval()
    pixels = torch.randint(0, 256, (2, 3, 40, 40), dtype=torch.uint8)
    sizes = torch.tensor([[40, 40]] * 2)
    batch = ImageBatch(pixels=pixels, sizes=sizes, original_sizes=sizes)
    model = Ensemble([member, member])
    one, two = (net.decode(net(batch), sizes) for net in (member, model))
    for alone, together in zip(one, two, strict=True):
        torch.testing.assert_close(alone.probs, together.probs, rtol=1e-5, atol=1e-6)


def test_sets_and_values_are_averaged_too():
    shares = torch.tensor([0.25, 0.75], dtype=torch.float64)
    sets = merged(
        [LabelSetScores(probs=torch.tensor([1.0, 0.0])), LabelSetScores(probs=torch.tensor([0.2, 0.4]))], shares
    )
    assert sets.probs.tolist() == pytest.approx([0.4, 0.3])
    values = merged([ValueEstimates(values=torch.tensor([4.0])), ValueEstimates(values=torch.tensor([8.0]))], shares)
    assert values.values.tolist() == pytest.approx([7.0])


def test_pixels_go_to_the_label_with_the_most_confidence():
    def said(labels, confidence):
        return SegmentationMap(labels=torch.tensor([labels], dtype=torch.uint8), confidence=torch.tensor([confidence]))

    shares = torch.full((3,), 1 / 3, dtype=torch.float64)
    found = merged([said([0, 2], [0.9, 0.6]), said([1, 1], [0.5, 0.9]), said([1, 2], [0.5, 0.6])], shares)
    assert found.labels.tolist() == [[1, 2]]
    assert found.confidence.tolist()[0] == pytest.approx([1 / 3, 0.4])


def detections(boxes, scores, labels, masks=None):
    return Detections(
        boxes=torch.tensor(boxes).reshape(-1, 4),
        scores=torch.tensor(scores),
        labels=torch.tensor(labels, dtype=torch.int64),
        masks=masks,
    )


def test_detections_are_fused_or_suppressed():
    one = detections([[0.0, 0, 10, 10], [40.0, 40, 50, 50]], [0.9, 0.3], [0, 1])
    two = detections([[0.0, 0, 10, 12]], [0.6], [0])
    shares = torch.full((2,), 0.5, dtype=torch.float64)
    fused = merged([one, two], shares)
    assert fused.scores.tolist() == pytest.approx([0.75, 0.15])
    assert fused.boxes[0].tolist() == pytest.approx([0, 0, 10, 10.8])
    kept = merged([one, two], shares, MergeSettings(boxes="nms"))
    assert kept.scores.tolist() == pytest.approx([0.9, 0.3])
    assert kept.labels.tolist() == [0, 1]
    assert len(merged([one, two], shares, MergeSettings(most=1)).boxes) == 1


def test_masks_are_kept_by_suppression():
    mask = torch.ones(1, 4, 4, dtype=torch.uint8)
    one = detections([[0.0, 0, 4, 4]], [0.5], [0], mask)
    two = detections([[0.0, 0, 4, 4]], [0.8], [0], mask * 0)
    found = merged([one, two], torch.full((2,), 0.5, dtype=torch.float64))
    assert found.scores.tolist() == pytest.approx([0.8])
    assert int(found.masks.sum()) == 0


def test_images_without_objects():
    nothing = detections([], [], [])
    for boxes in ("fusion", "nms"):
        found = merged([nothing, nothing], torch.full((2,), 0.5, dtype=torch.float64), MergeSettings(boxes=boxes))
        assert found.boxes.shape == (0, 4)


@pytest.mark.parametrize("weights", [[1.0], [-1.0, 2.0], [0.0, 0.0]])
def test_impossible_weights_are_refused(weights):
    with pytest.raises(ConfigError, match="weights must be 2 numbers"):
        Ensemble([Fixed(0), Fixed(1)], weights=weights)


def test_nobody_is_no_ensemble():
    with pytest.raises(ConfigError, match="at least one member"):
        Ensemble([])


def test_equal_answers_stay_what_they_are():
    probs = torch.tensor([0.1, 0.2, 0.7])
    found = merged([ClassScores(probs=probs)] * 3, torch.full((3,), 1 / 3, dtype=torch.float64))
    assert math.isclose(float(found.probs.sum()), 1.0, rel_tol=1e-6)
    torch.testing.assert_close(found.probs, probs)
