"""The augmentation that SSD was trained with."""

from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.transforms import v2

from snellen.data.transforms.colour import photometric_distort
from snellen.data.transforms.geometry import ResizeExact, horizontal_flip
from snellen.data.transforms.transform import Compose, TorchvisionTransform, Transform
from snellen.errors import InputError
from snellen.structures import Sample

__all__ = ["ssd_transform"]

_MEAN = (123, 117, 104)  # of R, G, B in bytes; the authors' fill, which their network reads as 0
_MOST_ZOOM = 4.0  # canvas over image, by side
_ZOOMED_SHARE = 0.5
_LEAST_CUT = 0.3  # of an image's side, that v2.RandomIoUCrop leaves
_MIN_SIDE = 8  # pixels; a smaller image is not cut, a part of it could be empty


def ssd_transform(size: int, *, flip: bool, strength: float = 1.0) -> Transform:
    """Return the augmentation of SSD, ending in a square.

    In this order: colours; half of the images go onto a canvas up to four times as wide and high, filled with the
    mean colour; a part is cut that overlaps some object by at least 0, 0.1, 0.3, 0.5, 0.7 or 0.9, or none; half are
    mirrored; all are squeezed into the square. A cut keeps the objects whose centres lie in it.

    Large images are reduced first, to what the smallest cut needs to fill the square, and again by the factor of the
    canvas: no canvas is larger than that, whatever the photo.

    Args:
        size: Side of the square in pixels.
        flip: Whether mirror images are still right; they are not for letters.
        strength: 1 is the paper's; less changes colours less, uses smaller canvases, and enlarges and cuts fewer
            images; 0 leaves the resizing.

    Raises:
        InputError: If the size or the strength is out of range.

    Source:
        Liu et al. 2016, sections 2.2 ("Data augmentation") and 3.6, https://arxiv.org/abs/1512.02325. Differs:
        resizing is always bilinear, where the authors draw one of five ways; a cut's sides are drawn from 0.3 to 1
        of the image's, where the paper draws its area from 0.1 to 1 (torchvision's ``RandomIoUCrop``); large images
        are reduced before they are cut.
    """
    if size < 1:
        raise InputError(f"ssd_transform expects a size of 1 pixel or more; got {size}. Give the side of the square.")
    if not 0 <= strength <= 1:
        raise InputError(f"strength of the augmentation must lie in 0..1; got {strength}.")
    mirrored = [horizontal_flip()] if flip else []
    if not strength:
        return Compose(ResizeExact((size, size)), *mirrored)
    largest = ceil(size / _LEAST_CUT)
    crop = v2.RandomApply([_CenterCrop()], p=strength) if strength < 1 else _CenterCrop()
    return Compose(
        _Reduce(largest),
        photometric_distort(strength),
        _ZoomOut(1 + (_MOST_ZOOM - 1) * strength, probability=_ZOOMED_SHARE * strength, max_side=largest),
        TorchvisionTransform(crop),
        *mirrored,
        ResizeExact((size, size)),
    )


class _Reduce:
    """Make images smaller whose long side is above a limit; leave others as they are."""

    def __init__(self, max_side: float) -> None:
        self.max_side = max_side

    def __call__(self, sample: Sample, generator: torch.Generator) -> Sample:
        scale = self.max_side / max(sample.image.shape[-2:])
        if scale >= 1:
            return sample
        height, width = (max(1, round(side * scale)) for side in sample.image.shape[-2:])
        return ResizeExact((height, width))(sample, generator)

    def __repr__(self) -> str:
        return f"_Reduce({self.max_side})"


class _ZoomOut:
    """Put some images somewhere on a larger canvas of the mean colour, as ``v2.RandomZoomOut``, with a largest canvas.

    Args:
        most: Largest canvas over image, by side.
        probability: Of images that are put on a canvas.
        max_side: Of the canvas in pixels; an image whose canvas would be larger is reduced.
    """

    def __init__(self, most: float, *, probability: float, max_side: int) -> None:
        self.most = most
        self.probability = probability
        self.max_side = max_side

    def __call__(self, sample: Sample, generator: torch.Generator) -> Sample:
        chance, size, down, right = torch.rand(4, generator=generator).tolist()
        if chance >= self.probability:
            return sample
        factor = 1 + (self.most - 1) * size
        reduced = _Reduce(self.max_side / factor)(sample, generator)
        height, width = reduced.image.shape[-2:]
        free = (int(height * factor) - height, int(width * factor) - width)
        top, left = int((free[0] + 1) * down), int((free[1] + 1) * right)
        fill = {tv_tensors.Image: _MEAN, "others": 0}
        pad = v2.Pad([left, top, free[1] - left, free[0] - top], fill=fill)
        return TorchvisionTransform(pad)(reduced, generator)

    def __repr__(self) -> str:
        return f"_ZoomOut({self.most}, probability={self.probability}, max_side={self.max_side})"


class _CenterCrop(nn.Module):
    """``RandomIoUCrop`` whose objects end at the cut: however little is left of them, their centre is in it."""

    def __init__(self) -> None:
        super().__init__()
        self.crop = v2.RandomIoUCrop()

    def forward(self, entries: dict[str, Any]) -> dict[str, Any]:
        if min(entries["image"].shape[-2:]) < _MIN_SIDE:
            return entries
        cut: dict[str, Any] = self.crop(entries)
        height, width = cut["image"].shape[-2:]
        boxes = cut["boxes"].as_subclass(Tensor)
        edge = boxes.new_tensor([width, height, width, height])
        cut["boxes"] = tv_tensors.wrap(boxes.clamp(min=0).minimum(edge), like=cut["boxes"])
        return cut

    def __repr__(self) -> str:
        return repr(self.crop)
