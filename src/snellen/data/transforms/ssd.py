"""The augmentation that SSD was trained with."""

from typing import Any

from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from snellen.data.transforms.colour import photometric_distort
from snellen.data.transforms.geometry import ResizeExact, horizontal_flip
from snellen.data.transforms.transform import Compose, TorchvisionTransform, Transform
from snellen.errors import InputError

__all__ = ["ssd_transform"]

_MEAN = (123, 117, 104)  # of R, G, B in bytes; the authors' fill, which their network reads as 0
_MOST_ZOOM = 4.0  # canvas over image, by side
_ZOOMED_SHARE = 0.5
_MIN_SIDE = 8  # pixels; a smaller image is not cut, a part of it could be empty


def ssd_transform(size: int, *, flip: bool) -> Transform:
    """Return the augmentation of SSD, ending in a square.

    In this order: colours; half of the images go onto a canvas up to four times as wide and high, filled with the
    mean colour; a part is cut that overlaps some object by at least 0, 0.1, 0.3, 0.5, 0.7 or 0.9, or none; half are
    mirrored; all are squeezed into the square. A cut keeps the objects whose centres lie in it.

    Args:
        size: Side of the square in pixels.
        flip: Whether mirror images are still right; they are not for letters.

    Raises:
        InputError: If the size is out of range.

    Source:
        Liu et al. 2016, sections 2.2 ("Data augmentation") and 3.6, https://arxiv.org/abs/1512.02325. Differs:
        resizing is always bilinear, where the authors draw one of five ways; a cut's sides are drawn from 0.3 to 1
        of the image's, where the paper draws its area from 0.1 to 1 (torchvision's ``RandomIoUCrop``).
    """
    if size < 1:
        raise InputError(f"ssd_transform expects a size of 1 pixel or more; got {size}. Give the side of the square.")
    zoom = v2.RandomZoomOut(fill={tv_tensors.Image: _MEAN, "others": 0}, side_range=(1.0, _MOST_ZOOM), p=_ZOOMED_SHARE)
    return Compose(
        photometric_distort(),
        TorchvisionTransform(zoom),
        TorchvisionTransform(_CenterCrop()),
        *([horizontal_flip()] if flip else []),
        ResizeExact((size, size)),
    )


class _CenterCrop:
    """``RandomIoUCrop`` whose objects end at the cut: however little is left of them, their centre is in it."""

    def __init__(self) -> None:
        self.crop = v2.RandomIoUCrop()

    def __call__(self, entries: dict[str, Any]) -> dict[str, Any]:
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
