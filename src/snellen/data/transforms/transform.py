"""What a transform is, and how torchvision's transforms become one.

Geometry and colour are torchvision's: a sample is handed over as its tv_tensors, changed by one draw for
image, boxes and masks, and taken back. Here stand only the handing over, the random stream, and the rule for
cut objects.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torchvision import tv_tensors

from snellen.structures import BoxTarget, ClassTarget, LabelSetTarget, MaskTarget, Sample, Target, ValueTarget

__all__ = ["MIN_VISIBLE", "Compose", "Entries", "TorchvisionTransform", "Transform"]

MIN_VISIBLE = 0.2  # share of an object's box that must stay in the image; YOLOv5 takes 0.1, SSD keeps by centre (~0.25)
MIN_SIDE = 1.0  # pixels; a box less wide or high shows nothing

Entries = dict[str, Any]


@runtime_checkable
class Transform(Protocol):
    """Changes one sample; whatever is random comes from ``generator`` alone."""

    def __call__(self, sample: Sample, generator: torch.Generator) -> Sample:
        """Return the changed sample; the one given stays as it is."""


class Compose:
    """One transform after another.

    Args:
        *transforms: In the order in which they act.
    """

    def __init__(self, *transforms: Transform) -> None:
        self.transforms = transforms

    def __call__(self, sample: Sample, generator: torch.Generator) -> Sample:
        """Return the sample after all transforms."""
        for transform in self.transforms:
            sample = transform(sample, generator)
        return sample

    def __repr__(self) -> str:
        """Return the transforms, one per line."""
        return "Compose(\n" + "".join(f"    {transform!r},\n" for transform in self.transforms) + ")"


class TorchvisionTransform:
    """A transform of ``torchvision.transforms.v2`` (or any callable on its dictionaries) acting on samples.

    Objects of which less than ``MIN_VISIBLE`` is left in the image are removed; the boxes of the others end
    at its edge, and so do regions, which move with the boxes. Pixels that come in from outside are black in the
    image, 0 in instance masks and ``IGNORE_LABEL`` in label maps, whatever fill value 0 means to torchvision.

    Args:
        change: Takes and returns a dictionary of tv_tensors, such as ``v2.RandomHorizontalFlip()``.
    """

    def __init__(self, change: Callable[[Entries], Entries]) -> None:
        self.change = change

    def __call__(self, sample: Sample, generator: torch.Generator) -> Sample:
        """Return the changed sample."""
        hand_over, take_back = _BORDERS[type(sample.target)]
        size = (sample.image.shape[-2], sample.image.shape[-1])
        entries = {"image": tv_tensors.Image(sample.image), **hand_over(sample.target, size)}
        if sample.regions is not None:
            entries["boxes"] = _joined(entries["boxes"], sample.regions)
        with _global_randomness(generator):
            entries = self.change(entries)
        image = entries["image"].as_subclass(Tensor)
        now = (image.shape[-2], image.shape[-1])
        regions = None
        if sample.regions is not None:
            boxes = entries["boxes"].as_subclass(Tensor)
            count = len(boxes) - len(sample.regions)
            entries["boxes"], regions = boxes[:count], _seen(boxes[count:], now)
        return replace(sample, image=image, target=take_back(sample.target, entries, now), regions=regions)

    def __repr__(self) -> str:
        """Return what torchvision calls it."""
        return f"TorchvisionTransform({self.change!r})"


@contextmanager
def _global_randomness(generator: torch.Generator) -> Iterator[None]:
    """Let torchvision, which draws from the global stream, draw from ``generator``."""
    shared = torch.default_generator  # torch.manual_seed would also reseed every accelerator
    before = shared.get_state()
    shared.manual_seed(int(torch.randint(2**62, (), generator=generator)))
    try:
        yield
    finally:
        shared.set_state(before)


def _joined(boxes: tv_tensors.BoundingBoxes, regions: Tensor) -> tv_tensors.BoundingBoxes:
    """Return boxes with regions behind them, so that one draw moves both."""
    joined: tv_tensors.BoundingBoxes = tv_tensors.wrap(torch.cat([boxes.as_subclass(Tensor), regions]), like=boxes)
    return joined


def _seen(regions: Float[Tensor, "n 4"], size: tuple[int, int]) -> Float[Tensor, "m 4"]:
    """Return what is left of regions in an image of ``size`` (height, width), in their order."""
    boxes, _ = _clipped(regions, size)
    return boxes[((boxes[:, 2:] - boxes[:, :2]) >= MIN_SIDE).all(dim=-1)]


def _hand_over_boxes(target: BoxTarget, size: tuple[int, int]) -> Entries:
    entries: Entries = {
        "boxes": tv_tensors.BoundingBoxes(
            target.boxes.clone(),
            format=tv_tensors.BoundingBoxFormat.XYXY,
            canvas_size=size,
            clamping_mode=None,  # torchvision would clamp before we can see how much was cut off
        )
    }
    # torchvision cannot resize zero masks.
    if target.masks is not None and len(target.masks):
        entries["masks"] = tv_tensors.Mask(target.masks)
    return entries


def _take_back_boxes(target: BoxTarget, entries: Entries, size: tuple[int, int]) -> BoxTarget:
    masks = entries["masks"].as_subclass(Tensor) if "masks" in entries else None
    if masks is None and target.masks is not None:
        masks = target.masks.new_zeros((0, *size))
    moved = replace(target, boxes=entries["boxes"].as_subclass(Tensor), masks=masks, areas=None)
    return within_image(moved, size)


def within_image(target: BoxTarget, size: tuple[int, int]) -> BoxTarget:
    """Return the objects that can still be seen in an image of ``size`` (height, width), cut at its edge."""
    boxes, share = _clipped(target.boxes, size)
    keep = (share >= MIN_VISIBLE) & ((boxes[:, 2:] - boxes[:, :2]) >= MIN_SIDE).all(dim=-1)
    if target.masks is not None:
        keep &= (target.masks > 0).flatten(1).any(dim=-1)  # any of bytes is a byte
    return picked(replace(target, boxes=boxes), keep)


def picked(target: BoxTarget, keep: Bool[Tensor, " n"]) -> BoxTarget:
    """Return the objects where ``keep`` is True; their areas are dropped."""
    return BoxTarget(
        boxes=target.boxes[keep],
        labels=target.labels[keep],
        valid=target.valid[keep],
        ignored=target.ignored[keep],
        masks=None if target.masks is None else target.masks[keep],
    )


def _clipped(boxes: Float[Tensor, "n 4"], size: tuple[int, int]) -> tuple[Float[Tensor, "n 4"], Float[Tensor, " n"]]:
    """Return the boxes cut at the image's edge, and the share of each area that is left (0 of nothing)."""
    height, width = size
    edge = boxes.new_tensor([width, height, width, height])
    clipped = boxes.clamp(min=0).minimum(edge)
    before, after = ((b[:, 2:] - b[:, :2]).clamp(min=0).prod(dim=-1) for b in (boxes, clipped))
    return clipped, torch.where(before > 0, after / before.clamp(min=torch.finfo(boxes.dtype).tiny), 0.0)


def _hand_over_labels(target: MaskTarget, size: tuple[int, int]) -> Entries:
    del size
    # Shifted by one, IGNORE_LABEL is 0: what torchvision fills in with its usual 0 becomes ignored.
    return {"masks": tv_tensors.Mask(target.labels + 1)}


def _take_back_labels(target: MaskTarget, entries: Entries, size: tuple[int, int]) -> MaskTarget:
    del target, size
    return MaskTarget(labels=entries["masks"].as_subclass(Tensor) - 1)


def _hand_over_nothing(target: Target, size: tuple[int, int]) -> Entries:
    del target, size
    return {}


def _take_back_unchanged(target: Target, entries: Entries, size: tuple[int, int]) -> Target:
    del entries, size
    return target


_BORDERS: Mapping[type[Target], tuple[Callable[..., Entries], Callable[..., Target]]] = MappingProxyType(
    {
        BoxTarget: (_hand_over_boxes, _take_back_boxes),
        ClassTarget: (_hand_over_nothing, _take_back_unchanged),
        LabelSetTarget: (_hand_over_nothing, _take_back_unchanged),
        MaskTarget: (_hand_over_labels, _take_back_labels),
        ValueTarget: (_hand_over_nothing, _take_back_unchanged),
    }
)
