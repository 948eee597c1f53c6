"""Input that no paper shows, for every detector of the catalogue."""

from dataclasses import replace

import pytest
import torch

from snellen.models import MODELS, ModelEntry
from snellen.structures import BoxTarget, Detections, ImageBatch, Regions, Staged

SIDE = 64
# Nets of which one step takes seconds; their small siblings stand for them in the quick run.
HEAVY = (
    "vgg16",
    "alexnet",
    "caffenet",
    "_zf",
    "r50",
    "ssd300",
    "ssd512",
    "yolo_v1",
    "yolo_v2",
    "yolo_v3",
    "alternating",
)
ROWS = [
    pytest.param(
        entry,
        id=entry.name,
        marks=[pytest.mark.slow] if "mobilenet" not in entry.name and any(word in entry.name for word in HEAVY) else [],
    )
    for entry in MODELS
    if entry.target_type is BoxTarget
]


@pytest.fixture(scope="module", params=ROWS)
def entry(request) -> ModelEntry:
    return request.param


def build(entry: ModelEntry, num_classes: int = 3):
    torch.manual_seed(0)
    return entry.build(num_classes, **({"image_size": SIDE} if entry.sized else {}))


@pytest.fixture(scope="module")
def model(entry):
    return build(entry)


def images_of(entry: ModelEntry, size: tuple[int, int] = (SIDE, SIDE), num: int = 2) -> ImageBatch:
    generator = torch.Generator().manual_seed(0)
    sizes = torch.tensor([size] * num)
    pixels = torch.randint(0, 256, (num, 3, *size), dtype=torch.uint8, generator=generator)
    images = ImageBatch(pixels=pixels, sizes=sizes, original_sizes=sizes)
    if not entry.regions:
        return images
    height, width = size
    boxes = torch.tensor([[0.0, 0, width, height], [1, 1, width / 2, height / 2], [2, 2, 3, 3]]).expand(num, 3, 4)
    return replace(images, regions=Regions(boxes=boxes, valid=torch.ones(num, 3, dtype=torch.bool)))


def target_of(boxes: torch.Tensor, size: tuple[int, int] = (SIDE, SIDE), num_classes: int = 3) -> BoxTarget:
    """The same objects in two images; the inner pixels of each box are its mask."""
    boxes = boxes.expand(2, *boxes.shape)
    shape = boxes.shape[:2]
    rows, columns = torch.arange(size[0]) + 0.5, torch.arange(size[1]) + 0.5
    inside_rows = (rows > boxes[..., 1, None]) & (rows < boxes[..., 3, None])
    inside_columns = (columns > boxes[..., 0, None]) & (columns < boxes[..., 2, None])
    return BoxTarget(
        boxes=boxes,
        labels=(torch.arange(shape[1]) % num_classes).expand(shape),
        valid=torch.ones(shape, dtype=torch.bool),
        ignored=torch.zeros(shape, dtype=torch.bool),
        masks=(inside_rows[..., :, None] & inside_columns[..., None, :]).to(torch.uint8),
    )


def many(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    low = torch.rand(count, 2, generator=generator) * (SIDE - 12)
    return torch.cat([low, low + 3 + torch.rand(count, 2, generator=generator) * 9], dim=1)


SCENES = {
    "no objects": torch.zeros(0, 4),
    "an object that fills the image": torch.tensor([[0.0, 0, SIDE, SIDE]]),
    "a thousand objects": many(1000),
    "boxes of one pixel": torch.tensor([[5.0, 5, 6, 6], [63, 63, 64, 64], [0, 30, 1, 31]]),
}


@pytest.mark.parametrize("scene", SCENES)
def test_losses_stay_finite(entry, model, scene):
    target = target_of(SCENES[scene])
    model.train()
    for stage in model.stages if isinstance(model, Staged) else (None,):
        if stage is not None:
            model.enter(stage.name)
        model.zero_grad()
        losses = model.loss(model(images_of(entry), target), target)
        assert losses
        for name, value in losses.items():
            assert torch.isfinite(value), name
        if any(value.requires_grad for value in losses.values()):
            sum(losses.values()).backward()
            gradients = [p.grad for p in model.parameters() if p.grad is not None]
            assert all(torch.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("num_classes", [1, 500])
def test_one_class_and_five_hundred(entry, num_classes):
    model = build(entry, num_classes)
    target = target_of(SCENES["boxes of one pixel"], num_classes=num_classes)
    losses = model.loss(model.train()(images_of(entry), target), target)
    assert all(torch.isfinite(value) for value in losses.values())
    with torch.no_grad():
        found = model.decode(model.eval()(images_of(entry)), torch.tensor([[SIDE, SIDE]] * 2))
    assert all(isinstance(one, Detections) for one in found)
    assert all(((one.labels >= 0) & (one.labels < num_classes)).all() for one in found)


def test_tiny_images(entry, model):
    """32 px, and an original of a single pixel."""
    side = SIDE if entry.sized else max(32, model.stride)
    with torch.no_grad():
        output = model.eval()(images_of(entry, (side, side)))
    for found in model.decode(output, torch.tensor([[32, 32], [1, 1]])):
        assert torch.isfinite(found.boxes).all()
        assert (found.boxes >= 0).all()


@pytest.mark.slow
def test_images_of_4000_px(entry, model):
    if entry.sized:
        pytest.skip("always sees a small square")
    with torch.no_grad():
        (found,) = model.decode(model.eval()(images_of(entry, (4000, 4000), num=1)), torch.tensor([[4000, 4000]]))
    assert (found.boxes <= 4000).all()
