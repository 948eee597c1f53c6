"""The colour spaces of selective search, each as 8-bit channels.

Shapes: C channels, H rows, W columns. Every channel fills 0..255, so that histograms and edge weights of different
spaces are on one scale.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image

__all__ = ["COLOUR_SPACES", "hsv", "hue", "intensity", "lab", "normalised_rg_intensity"]

# Rec. 601 luma, as in MATLAB's rgb2gray and OpenCV's BGR2GRAY.
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
# sRGB (IEC 61966-2-1) to CIE XYZ, divided by the white D65.
TO_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]], dtype=np.float32
) / np.array([[0.95047], [1.0], [1.08883]], dtype=np.float32)
CIE_EPSILON = np.float32(216 / 24389)  # where the cube root gives way to a line
CIE_SLOPE = np.float32(24389 / 27 / 116)
CIE_OFFSET = np.float32(16 / 116)

_CODES = np.arange(256, dtype=np.float64) / 255
_LINEAR = np.where(_CODES <= 0.04045, _CODES / 12.92, ((_CODES + 0.055) / 1.055) ** 2.4).astype(np.float32)


def hsv(image: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "3 height width"]:
    """Hue, saturation, value."""
    return _channels_first(np.asarray(Image.fromarray(image).convert("HSV")))


def hue(image: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "1 height width"]:
    """Hue alone."""
    return hsv(image)[:1]


def lab(image: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "3 height width"]:
    """CIE L*a*b* under D65: L* stretched from 0..100, a* and b* shifted by 128.

    Source:
        CIE 15:2004; the 8-bit form is OpenCV's.
    """
    xyz = (_LINEAR[image].reshape(-1, 3) @ TO_XYZ.T).T
    x, y, z = np.where(xyz > CIE_EPSILON, np.cbrt(xyz), xyz * CIE_SLOPE + CIE_OFFSET)
    channels = np.stack([(116 * y - 16) * 2.55, 500 * (x - y) + 128, 200 * (y - z) + 128])
    return np.asarray(np.clip(np.rint(channels), 0, 255), dtype=np.uint8).reshape(3, *image.shape[:2])


def normalised_rg_intensity(image: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "3 height width"]:
    """Shares of red and green in R + G + B, and intensity; black has equal shares."""
    channels = _channels_first(image).astype(np.float32)
    total = channels.sum(axis=0)
    shares = np.where(total > 0, channels[:2] / np.maximum(total, 1), np.float32(1 / 3))
    return np.concatenate([np.rint(shares * 255).astype(np.uint8), intensity(image)])


def intensity(image: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "1 height width"]:
    """Grey value."""
    return np.asarray(np.rint(image.astype(np.float32) @ LUMA), dtype=np.uint8)[None]


def _channels_first(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(image.transpose(2, 0, 1))  # [h, w, c] -> [c, h, w]


COLOUR_SPACES: Mapping[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = MappingProxyType(
    {"hsv": hsv, "lab": lab, "rgi": normalised_rg_intensity, "hue": hue, "intensity": intensity}
)
