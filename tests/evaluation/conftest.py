"""A model without weights and a handful of images, for each kind of prediction."""

from collections.abc import Sequence

import pytest
import torch
from torch import nn

from snellen.structures import (
    Batch,
    BoxTarget,
    ClassScores,
    ClassTarget,
    Detections,
    ImageBatch,
    MaskTarget,
    Sample,
    SegmentationMap,
)

CLASSES = ("red", "green", "blue")


class ByColour(nn.Module):
    """Names the strongest channel: of the image, of each pixel, or of the box around all bright pixels."""

    stride = 8

    def __init__(self, target_type) -> None:
        super().__init__()
        self.target_type = target_type
        self.norm = nn.BatchNorm2d(3, affine=False)
        self.seen: list[tuple[bool, bool]] = []  # training?, gradients?

    def forward(self, images, targets=None):
        self.seen.append((self.training, torch.is_grad_enabled()))
        assert targets is None
        assert images.pixels.shape[-1] % self.stride == images.pixels.shape[-2] % self.stride == 0
        return self.norm(images.pixels.float()) / 255, images.sizes

    def loss(self, output, targets):
        raise NotImplementedError

    def decode(self, output, sizes):
        assert output[1].tolist() == sizes.tolist(), "the tests do not resize"
        decode = {BoxTarget: boxes_of, ClassTarget: scores_of, MaskTarget: map_of}[self.target_type]
        return [decode(x[:, : size[0], : size[1]]) for x, size in zip(output[0], sizes.tolist(), strict=True)]


def scores_of(pixels):
    return ClassScores(probs=pixels.mean((1, 2)).softmax(0))


def map_of(pixels):
    probs = (pixels * 5).softmax(0)
    return SegmentationMap(labels=probs.argmax(0).to(torch.uint8), confidence=probs.amax(0))


def boxes_of(pixels):
    """One box for each connected bright region."""
    from skimage.measure import label, regionprops

    regions = regionprops(label((pixels.amax(0) > 0.5).numpy()))
    boxes = [[region.bbox[i] for i in (1, 0, 3, 2)] for region in regions]
    labels, scores = [], []
    for x1, y1, x2, y2 in boxes:
        colour = pixels[:, y1:y2, x1:x2].mean((1, 2))
        labels.append(int(colour.argmax()))
        scores.append(float(colour.amax().clamp(0, 1)))
    order = sorted(range(len(boxes)), key=lambda row: -scores[row])
    return Detections(
        boxes=torch.tensor([boxes[row] for row in order], dtype=torch.float32).reshape(-1, 4),
        scores=torch.tensor([scores[row] for row in order]),
        labels=torch.tensor([labels[row] for row in order], dtype=torch.int64),
    )


def truths_of(kind, placed, size) -> BoxTarget | ClassTarget | MaskTarget:
    """The target for rectangles given as (x1, y1, x2, y2, label)."""
    boxes = torch.tensor([row[:4] for row in placed], dtype=torch.float32).reshape(-1, 4)
    labels = torch.tensor([row[4] for row in placed], dtype=torch.int64)
    if kind is BoxTarget:
        return BoxTarget(
            boxes=boxes,
            labels=labels,
            valid=torch.ones(len(labels)) > 0,
            ignored=torch.zeros(len(labels)) > 0,
        )
    if kind is ClassTarget:
        return ClassTarget(probs=torch.eye(len(CLASSES))[labels[-1] if len(labels) else 0])
    plane = torch.zeros(size, dtype=torch.uint8)
    for (x1, y1, x2, y2), label in zip(boxes.int().tolist(), labels.tolist(), strict=True):
        plane[y1:y2, x1:x2] = label
    return MaskTarget(labels=plane)


def painted(placed, size):
    image = torch.zeros(3, *size, dtype=torch.uint8)
    for x1, y1, x2, y2, label in placed:
        image[label, y1:y2, x1:x2] = 255 - 20 * label - x1 % 7
    return image


PLACED = (
    ((2, 3, 12, 11, 0), (20, 5, 30, 25, 2)),
    (),
    ((0, 0, 6, 20, 1), (10, 10, 14, 30, 1)),
    ((5, 5, 25, 9, 2),),
)
SIZES = ((30, 40), (24, 17), (32, 16), (20, 33))


def samples_of(kind) -> list[Sample]:
    return [
        Sample(
            image=painted(placed, size),
            target=truths_of(kind, placed, size),
            index=10 + row,
            source=f"a/{row} ü.png",
            original_size=size,
        )
        for row, (placed, size) in enumerate(zip(PLACED, SIZES, strict=True))
    ]


def batches_of(samples: Sequence[Sample], count: int = 3) -> list[Batch]:
    return [Batch.collate(samples[start : start + count], stride=8) for start in range(0, len(samples), count)]


@pytest.fixture(params=[BoxTarget, ClassTarget, MaskTarget], ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


@pytest.fixture
def samples(kind) -> list[Sample]:
    return samples_of(kind)


@pytest.fixture
def batches(samples) -> list[Batch]:
    return batches_of(samples)


@pytest.fixture
def truth_of(samples):
    targets = {sample.index: sample.target for sample in samples}
    return targets.__getitem__


@pytest.fixture
def make_model():
    return ByColour


@pytest.fixture
def model(kind) -> ByColour:
    return ByColour(kind)


@pytest.fixture
def classes() -> tuple[str, ...]:
    return CLASSES


@pytest.fixture
def paint():
    return painted


@pytest.fixture
def box_image() -> ImageBatch:
    return batches_of(samples_of(BoxTarget))[0].images
