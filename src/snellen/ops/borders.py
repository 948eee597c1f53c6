"""Borders between labels: bands of pixels around them, for training that leaves them out and for measures of them."""

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor
from torch.nn import functional

from snellen.errors import InputError

__all__ = ["border_band"]


def border_band(
    labels: UInt8[Tensor, "*batch height width"], *, width_px: int, ignore: int, with_edges: bool
) -> Bool[Tensor, "*batch height width"]:
    """Return the pixels that have a pixel of another label within a square of ``2 * width_px + 1`` around them.

    So a border has a band of that width on either side. Pixels to be ignored make no border: nobody knows where it is.

    Args:
        labels: Of every pixel.
        width_px: On either side; 0 gives nothing.
        ignore: The label of pixels that count for nothing.
        with_edges: Whether what lies beyond the image's edge counts as another label.

    Raises:
        InputError: If the width is below 0.
    """
    if width_px < 0:
        raise InputError(f"width of a band must be 0 pixels or more; got {width_px}.")
    known = labels != ignore
    # Shifted so that 0 is free for what is ignored: labels upwards for the greatest, downwards for the least.
    greatest = _greatest_around(torch.where(known, labels.short() + 1, 0), width_px)
    least = _greatest_around(torch.where(known, 256 - labels.short(), 0), width_px)
    band = (greatest + least > 257) & known
    if with_edges and width_px:
        inner = torch.zeros_like(band)
        inner[..., width_px:-width_px, width_px:-width_px] = True
        band |= known & ~inner
    return band


def _greatest_around(values: Tensor, reach: int) -> Tensor:
    """Return the greatest of the square around each value, 0 beyond the edge; its cost grows as the logarithm."""
    for axis in (-1, -2):
        sides = (reach, reach) if axis == -1 else (0, 0, reach, reach)
        values = functional.pad(values, sides)
        wanted, covered = 2 * reach + 1, 1
        while covered < wanted:
            step = min(covered, wanted - covered)
            length = values.shape[axis] - step
            values = torch.maximum(values.narrow(axis, 0, length), values.narrow(axis, step, length))
            covered += step
    return values
