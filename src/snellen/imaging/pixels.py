"""What all image operations share: images as float and back, levels and curves, luma.

Images are ``[*batch, channels, height, width]`` with 1 or 3 (RGB) channels, uint8 or floating in 0..255. What an
operation computes for an image never depends on the others of its batch. Results have the dtype that came in: uint8
rounded half to even, and in 0..255.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from snellen.errors import InputError, ShapeError

__all__ = [
    "LEVELS",
    "Images",
    "as_before",
    "by_curve",
    "checked",
    "flat",
    "floating",
    "level_counts",
    "luma",
    "quantiles",
    "shifted",
]

Images = UInt8[Tensor, "*batch channels height width"] | Float[Tensor, "*batch channels height width"]

LEVELS = 256  # of eight bits
WHITE = 255.0
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow, OpenCV and the doctor's measurements


def checked(images: Images) -> Images:
    """Return the images if they are what operations take.

    Raises:
        ShapeError: If they are not ``[*batch, 1 or 3, height, width]`` with pixels.
        InputError: If they are neither uint8 nor floating.
    """
    if images.ndim < 3 or images.shape[-3] not in (1, 3) or not images.shape[-1] * images.shape[-2]:
        raise ShapeError(
            f"images must be [*batch, 1 or 3, height, width] with at least one pixel; got {list(images.shape)}. An "
            "array of [height, width, channels] is turned by snellen.imaging.tensor_of."
        )
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise InputError(
            f"images must be uint8, or floating in 0..255; got {images.dtype}. Divide 16-bit values by 257 first."
        )
    return images


def floating(images: Images) -> Float[Tensor, "*batch channels height width"]:
    """Return the same values as float32, or in the floating dtype that they have."""
    return images if images.is_floating_point() else images.float()


def flat(images: Images) -> Float[Tensor, "n channels height width"]:
    """Return the images as one batch of floats, checked."""
    return floating(checked(images)).reshape(-1, *images.shape[-3:])


def as_before(values: Float[Tensor, "n channels height width"], images: Images) -> Images:
    """Return values as images: in 0..255, and with the dtype and the leading axes of ``images``.

    Args:
        values: One batch; channels and size may differ from those of the images.
        images: That the values were computed from.
    """
    clipped = values.clamp(0, WHITE)
    whole = clipped.round().to(torch.uint8) if images.dtype == torch.uint8 else clipped.to(images.dtype)
    return whole.reshape(*images.shape[:-3], *values.shape[-3:])


def luma(images: Images) -> Float[Tensor, "*batch 1 height width"]:
    """Return the brightness of each pixel, 0..255; of one channel itself.

    Source:
        ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B.
    """
    values = floating(images)
    if values.shape[-3] == 1:
        return values
    red, green, blue = values.unbind(-3)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue).unsqueeze(-3)


def by_curve(images: Images, curve: Callable[[Tensor], Tensor]) -> Images:
    """Return the images with one curve applied to every value of every channel.

    Args:
        images: Of eight bits through a table of 256 entries, floating ones directly.
        curve: From 0..255 to 0..255, elementwise.
    """
    if images.dtype != torch.uint8:
        return as_before(curve(flat(images)), images)
    levels = torch.arange(LEVELS, dtype=torch.float64)  # on the processor, for some devices have no float64
    table = curve(levels).clamp(0, WHITE).round().to(images.device, torch.uint8)
    return table[checked(images).long()]


def level_counts(values: Float[Tensor, "n 1 height width"]) -> tuple[Int64[Tensor, "n 1 height width"], Tensor]:
    """Return the level nearest to each pixel, and how many pixels of each image have each level, ``[n, 256]``."""
    levels = values.round().clamp(0, WHITE).long()
    number = len(levels)
    rows = torch.arange(number, device=levels.device).view(-1, 1, 1, 1) * LEVELS
    counts = torch.bincount((levels + rows).flatten(), minlength=number * LEVELS)
    return levels, counts.view(number, LEVELS)


def shifted(
    values: Float[Tensor, "n channels height width"],
    shift: Float[Tensor, "n 1 height width"],
) -> Float[Tensor, "n channels height width"]:
    """Return the images with a new luma: the same is added to all channels of a pixel.

    That keeps Cb and Cr of YCbCr, and the hue as long as no channel leaves 0..255.

    Args:
        values: Of the images.
        shift: New luma less the old.
    """
    return values + shift


def quantiles(values: Float[Tensor, "n count"], share: float) -> Float[Tensor, " n"]:
    """Return for each row the element below which a share of its elements lies; never a value between two."""
    rank = 1 + int(share * (values.shape[1] - 1))
    return values.kthvalue(rank, dim=1).values
