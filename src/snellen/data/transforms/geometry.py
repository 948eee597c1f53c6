"""Transforms that change where things are."""

from collections.abc import Sequence

import torch
from torchvision.transforms import v2

from snellen.data.transforms.class_crops import ClassBalancedCrop
from snellen.data.transforms.transform import Compose, TorchvisionTransform, Transform
from snellen.errors import InputError
from snellen.structures import MaskTarget, Sample

__all__ = [
    "ResizeExact",
    "ResizeShortSide",
    "ZoomToSize",
    "affine",
    "center_crop",
    "horizontal_flip",
    "iou_crop",
    "random_crop",
    "random_resized_crop",
    "scale_jitter",
    "short_side_size",
    "vertical_flip",
    "zoom_out",
]


def short_side_size(size: tuple[int, int], *, short_side: int, max_side: int) -> tuple[int, int]:
    """Return the (height, width) whose short side is ``short_side``, or whose long side is ``max_side``.

    Source:
        Ren et al. 2015, section 3.3; rounded down as torchvision's ``GeneralizedRCNNTransform`` does.
    """
    height, width = size
    scale = min(short_side / min(size), max_side / max(size))
    # A very long image must not lose its short side altogether.
    return max(int(height * scale), 1), max(int(width * scale), 1)


class ResizeShortSide:
    """Resize so that the short side has a given length, keeping the aspect ratio; the long side has a limit.

    Args:
        short_sides: Length in pixels; of several, one is drawn for each image (multi-scale training).
        max_side: Most pixels of the long side.
    """

    def __init__(self, short_sides: int | Sequence[int], *, max_side: int) -> None:
        self.short_sides = (short_sides,) if isinstance(short_sides, int) else tuple(short_sides)
        self.max_side = max_side
        if not self.short_sides or min(*self.short_sides, max_side) < 1:
            raise InputError(
                f"ResizeShortSide needs sides of 1 pixel or more; got {self.short_sides} and at most {max_side}."
            )

    def __call__(self, sample: Sample, generator: torch.Generator) -> Sample:
        """Return the resized sample."""
        choice = 0
        if len(self.short_sides) > 1:
            choice = int(torch.randint(len(self.short_sides), (), generator=generator))
        size = (sample.image.shape[-2], sample.image.shape[-1])
        wanted = short_side_size(size, short_side=self.short_sides[choice], max_side=self.max_side)
        return ResizeExact(wanted)(sample, generator)

    def __repr__(self) -> str:
        """Return the settings."""
        return f"ResizeShortSide({self.short_sides}, max_side={self.max_side})"


class ResizeExact:
    """Resize to one size, whatever that does to the aspect ratio.

    Args:
        size: Height and width.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size

    def __call__(self, sample: Sample, generator: torch.Generator) -> Sample:
        """Return the resized sample."""
        if tuple(sample.image.shape[-2:]) == self.size:
            return sample
        return TorchvisionTransform(v2.Resize(self.size, antialias=True))(sample, generator)

    def __repr__(self) -> str:
        """Return the settings."""
        return f"ResizeExact({self.size})"


class ZoomToSize:
    """Resize by a random factor about the size of the evaluation, then cut what is too much back to that size.

    So a network sees in training what it will see in evaluation, sometimes nearer and sometimes from farther away;
    a square cut would show it the middle of wide images only in parts.

    Args:
        short_sides: Of the resized image in pixels; one is drawn for each image.
        short_side: Of the evaluation.
        max_side: Most pixels of the long side in the evaluation.
        cut: Side of a square to cut instead of the size of the evaluation; None for that size.
        balanced: Share of the cuts of label maps that hold a pixel of a class drawn evenly from those shown.
    """

    def __init__(
        self,
        short_sides: Sequence[int],
        *,
        short_side: int,
        max_side: int,
        cut: int | None = None,
        balanced: float = 0.0,
    ) -> None:
        self.short_sides = tuple(short_sides)
        self.short_side = short_side
        self.max_side = max_side
        self.cut = cut
        self.balanced = balanced

    def __call__(self, sample: Sample, generator: torch.Generator) -> Sample:
        """Return the zoomed sample; smaller than in the evaluation where the factor is below 1."""
        size = (sample.image.shape[-2], sample.image.shape[-1])
        usual = short_side_size(size, short_side=self.short_side, max_side=self.max_side)
        drawn = self.short_sides[int(torch.randint(len(self.short_sides), (), generator=generator))]
        factor = drawn / self.short_side
        zoomed = ResizeExact((max(1, round(usual[0] * factor)), max(1, round(usual[1] * factor))))(sample, generator)
        height, width = zoomed.image.shape[-2:]
        wanted = usual if self.cut is None else (self.cut, self.cut)
        cut = (min(height, wanted[0]), min(width, wanted[1]))
        if cut == (height, width):
            return zoomed
        if self.balanced and isinstance(zoomed.target, MaskTarget):
            return ClassBalancedCrop(cut, probability=self.balanced)(zoomed, generator)
        return TorchvisionTransform(v2.RandomCrop(cut))(zoomed, generator)

    def __repr__(self) -> str:
        """Return the settings."""
        cut = f", cut={self.cut}, balanced={self.balanced}" if self.cut or self.balanced else ""
        return f"ZoomToSize({self.short_sides}, short_side={self.short_side}, max_side={self.max_side}{cut})"


def horizontal_flip(probability: float = 0.5) -> Transform:
    """Return a transform that mirrors left and right with a probability."""
    return TorchvisionTransform(v2.RandomHorizontalFlip(probability))


def vertical_flip(probability: float = 0.5) -> Transform:
    """Return a transform that mirrors top and bottom with a probability (aerial views, microscopes)."""
    return TorchvisionTransform(v2.RandomVerticalFlip(probability))


def scale_jitter(size: int, *, scale_range: tuple[float, float]) -> Transform:
    """Return a transform that scales the image at random, then cuts or pads it to a square.

    At scale 1 the image just fits into the square.

    Args:
        size: Side of the square, in pixels.
        scale_range: Smallest and greatest scale.

    Source:
        Ghiasi et al. 2021, "Simple Copy-Paste", large-scale jittering with (0.1, 2.0).
    """
    return Compose(
        TorchvisionTransform(v2.ScaleJitter((size, size), scale_range=scale_range, antialias=True)),
        random_crop(size),
    )


def random_crop(size: int) -> Transform:
    """Return a transform that cuts a random square, padding images that are smaller."""
    return TorchvisionTransform(v2.RandomCrop((size, size), pad_if_needed=True))


def center_crop(size: int) -> Transform:
    """Return a transform that cuts the square in the middle, padding images that are smaller."""
    return TorchvisionTransform(v2.CenterCrop((size, size)))


def iou_crop(probability: float = 1.0) -> Transform:
    """Return a transform that cuts a part which shares a random overlap with some object.

    Source:
        Liu et al. 2016, "SSD", section 2.2.
    """
    return TorchvisionTransform(v2.RandomApply([v2.RandomIoUCrop()], p=probability))


def zoom_out(probability: float = 0.5, *, side_range: tuple[float, float] = (1.0, 4.0)) -> Transform:
    """Return a transform that puts the image somewhere on a larger black canvas: objects become small.

    Source:
        Liu et al. 2016, "SSD", section 3.6.
    """
    return TorchvisionTransform(v2.RandomZoomOut(side_range=side_range, p=probability))


def random_resized_crop(
    size: int, *, area_range: tuple[float, float], ratio_range: tuple[float, float] = (3 / 4, 4 / 3)
) -> Transform:
    """Return a transform that cuts a part of random area and aspect ratio and resizes it to a square.

    Args:
        size: Side of the square, in pixels.
        area_range: Smallest and greatest share of the image's area.
        ratio_range: Smallest and greatest width over height of the part.

    Source:
        Szegedy et al. 2015, "Going deeper with convolutions", section 6.
    """
    return TorchvisionTransform(v2.RandomResizedCrop((size, size), scale=area_range, ratio=ratio_range, antialias=True))


def affine(
    *,
    degrees: float = 0.0,
    translate: float = 0.0,
    scale_range: tuple[float, float] = (1.0, 1.0),
    shear_deg: float = 0.0,
) -> Transform:
    """Return a transform that turns, shifts, scales and shears the image about its middle.

    A turned box is replaced by the upright box around it, which is too large for round objects: keep
    ``degrees`` small where boxes matter.

    Args:
        degrees: Most turn to either side.
        translate: Most shift, as a share of the side.
        scale_range: Smallest and greatest scale.
        shear_deg: Most shear to either side.
    """
    return TorchvisionTransform(
        v2.RandomAffine(
            degrees,
            translate=(translate, translate),
            scale=scale_range,
            shear=shear_deg or None,
            interpolation=v2.InterpolationMode.BILINEAR,
        )
    )
