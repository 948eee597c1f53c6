"""Filters by frequency: low ones are slow changes, high ones edges, detail and noise.

An image goes on mirrored beyond its edges, so that opposite edges, which a Fourier transform would join, do not mix.
Frequencies are in cycles per pixel: 0.5 is black and white in turn, 0.1 has a period of ten pixels.
"""

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from snellen.errors import ConfigError, did_you_mean
from snellen.imaging.pixels import Images, as_before, flat

__all__ = ["PASS_SHAPES", "PassShape", "high_pass", "low_pass", "transfer"]

PassShape = Literal["ideal", "butterworth", "gaussian"]
PASS_SHAPES: tuple[str, ...] = get_args(PassShape)


def transfer(
    frequency: Float[Tensor, "*grid"], *, cutoff: float, shape: PassShape = "butterworth", order: int = 2
) -> Float[Tensor, "*grid"]:
    """Return how much of each frequency a low-pass filter lets through, 0..1; a high-pass filter lets through the rest.

    Args:
        frequency: Cycles per pixel, 0 or more.
        cutoff: Cycles per pixel, above 0 and at most 0.5 √2. There ``ideal`` ends, ``butterworth`` lets through 1/2 and
            ``gaussian`` 0.607.
        shape: ``ideal`` leaves ripples beside edges, ``gaussian`` none; ``butterworth`` lies between.
        order: Of ``butterworth``; the higher, the nearer to ideal.

    Raises:
        ConfigError: If a value is out of range.

    Source:
        Gonzalez and Woods 2018, section 4.8, equations 4-111, 4-116 and 4-117.
    """
    if shape not in PASS_SHAPES:
        raise ConfigError(
            f"shape must be one of {', '.join(PASS_SHAPES)}; got {shape!r}.{did_you_mean(shape, PASS_SHAPES)}"
        )
    if not 0 < cutoff <= 0.5 * 2**0.5 or order < 1:
        raise ConfigError(
            f"cutoff must be above 0 and at most 0.707 cycles per pixel, and order 1 or more; got {cutoff} and {order}."
        )
    relative = frequency / cutoff
    if shape == "ideal":
        return (relative <= 1).to(relative)
    if shape == "gaussian":
        return torch.exp(-relative.square() / 2)
    return 1 / (1 + relative.pow(2 * order))


def low_pass(images: Images, *, cutoff: float = 0.1, shape: PassShape = "butterworth", order: int = 2) -> Images:
    """Return the slow changes of each image.

    Args:
        images: Any.
        cutoff: As of ``transfer``.
        shape: As of ``transfer``.
        order: As of ``transfer``.

    Raises:
        ConfigError: As ``transfer``.
    """
    return as_before(_slow(flat(images), cutoff, shape, order), images)


def high_pass(
    images: Images, *, cutoff: float = 0.1, shape: PassShape = "butterworth", order: int = 2
) -> Float[Tensor, "*batch channels height width"]:
    """Return the quick changes of each image, signed and around 0: the image less ``low_pass``, before it is rounded.

    Args:
        images: Any.
        cutoff: As of ``transfer``.
        shape: As of ``transfer``.
        order: As of ``transfer``.

    Raises:
        ConfigError: As ``transfer``.
    """
    values = flat(images)
    return (values - _slow(values, cutoff, shape, order)).reshape(images.shape)


def _slow(
    values: Float[Tensor, "n channels height width"], cutoff: float, shape: PassShape, order: int
) -> Float[Tensor, "n channels height width"]:
    height, width = values.shape[-2:]
    whole = torch.cat([values, values.flip(-1)], dim=-1)
    whole = torch.cat([whole, whole.flip(-2)], dim=-2)  # [n, channels, 2 height, 2 width]
    down = torch.fft.fftfreq(2 * height, device=values.device, dtype=values.dtype)[:, None]
    across = torch.fft.rfftfreq(2 * width, device=values.device, dtype=values.dtype)[None, :]
    weight = transfer(torch.hypot(down, across), cutoff=cutoff, shape=shape, order=order)
    slow: Tensor = torch.fft.irfft2(torch.fft.rfft2(whole) * weight, s=(2 * height, 2 * width))
    return slow[..., :height, :width]
