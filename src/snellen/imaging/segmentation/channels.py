"""One channel of a colour image, for methods that look at a single number of each pixel."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from snellen.imaging.colour_spaces import hsv, intensity, lab

__all__ = ["CHANNELS", "Channel", "channel_of", "smoothed", "smoothed_lab"]

Channel = Literal["grey", "red", "green", "blue", "saturation", "green_red", "blue_yellow"]
RgbImage = UInt8[np.ndarray, "height width 3"]

CHANNELS: Mapping[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = MappingProxyType(
    {
        "grey": lambda image: intensity(image)[0],
        "red": lambda image: image[..., 0],
        "green": lambda image: image[..., 1],
        "blue": lambda image: image[..., 2],
        "saturation": lambda image: hsv(image)[1],
        "green_red": lambda image: lab(image)[1],  # a* of CIE L*a*b*
        "blue_yellow": lambda image: lab(image)[2],  # b*
    }
)


def channel_of(image: RgbImage, name: Channel, *, sigma_px: float = 0.0) -> UInt8[np.ndarray, "height width"]:
    """Return one channel of an image, smoothed.

    Args:
        image: RGB.
        name: Of the channel.
        sigma_px: Of the Gaussian; 0 for none.
    """
    channel = np.ascontiguousarray(CHANNELS[name](image))
    return np.rint(smoothed(channel, sigma_px)).astype(np.uint8) if sigma_px else channel


def smoothed(values: NDArray[np.number], sigma_px: float) -> Float32[np.ndarray, "height width *channels"]:
    """Return values under a Gaussian over rows and columns; the image goes on beyond its frame as at the frame."""
    plain = values.astype(np.float32)
    if not sigma_px:
        return plain
    sigmas = (sigma_px, sigma_px, *(0,) * (values.ndim - 2))
    return np.asarray(gaussian_filter(plain, sigmas, mode="nearest"))


def smoothed_lab(image: RgbImage, sigma_px: float = 0.0) -> Float32[np.ndarray, "height width 3"]:
    """Return CIE L*a*b*, each channel on 0..255, smoothed."""
    return smoothed(np.moveaxis(lab(image), 0, -1), sigma_px)
