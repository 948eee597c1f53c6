"""Derivatives of brightness and the edges that they show.

Derivatives are in levels per pixel: every kernel is scaled so that a ramp that rises by one level each pixel gives 1,
whatever the operator; those of OpenCV are 2 to 32 times as large, magnitudes of scikit-image √2 times. Images are
taken by their luma; beyond its edge an image goes on as it ends.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from snellen.errors import ConfigError, did_you_mean
from snellen.imaging.kernels import correlated, gaussian_kernel_1d, gaussian_size
from snellen.imaging.pixels import Images, checked, flat, luma

__all__ = [
    "DERIVATIVES",
    "EdgeOperator",
    "canny",
    "derivatives",
    "gradient_magnitude",
    "laplacian",
    "laplacian_of_gaussian",
    "zero_crossings",
]

EdgeOperator = Literal["roberts", "prewitt", "sobel", "scharr"]

_SMOOTHING: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        "prewitt": (1 / 3, 1 / 3, 1 / 3),  # Prewitt 1970
        "sobel": (1 / 4, 2 / 4, 1 / 4),  # Sobel and Feldman 1968
        "scharr": (3 / 16, 10 / 16, 3 / 16),  # Scharr 2000: the direction is right to 0.2 degrees, Sobel's to 2
    }
)
_OF_SKIMAGE = 8  # its canny takes the sums of Sobel's kernels, 1 + 2 + 1 over two pixels, as they are
_CENTRAL = (-0.5, 0.0, 0.5)
DERIVATIVES: tuple[str, ...] = ("roberts", *_SMOOTHING)
# Four neighbours, or the sum over both diagonals as well.
_FOUR = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))
_EIGHT = ((1.0, 1.0, 1.0), (1.0, -8.0, 1.0), (1.0, 1.0, 1.0))


def derivatives(
    images: Images, operator: EdgeOperator = "sobel"
) -> tuple[Float[Tensor, "*batch 1 height width"], Float[Tensor, "*batch 1 height width"]]:
    """Return how fast the luma rises to the right and downwards, in levels per pixel.

    Those of Roberts are along the diagonals, to the lower right and to the lower left, and belong to the corner between
    four pixels, below and right of the pixel where they stand.

    Args:
        images: Any.
        operator: ``roberts`` (2 × 2), ``prewitt`` (3 × 3, equal smoothing across), ``sobel`` (1-2-1) or ``scharr``
            (3-10-3).

    Raises:
        ConfigError: If there is no such operator.

    Source:
        Roberts 1963, Machine perception of three-dimensional solids; Prewitt 1970; Sobel and Feldman 1968; Scharr 2000,
        Optimale Operatoren in der digitalen Bildverarbeitung, section 9.
    """
    if operator not in DERIVATIVES:
        raise ConfigError(
            f"operator must be one of {', '.join(DERIVATIVES)}; got {operator!r}.{did_you_mean(operator, DERIVATIVES)}"
        )
    values = luma(flat(images))
    if operator == "roberts":
        length = 2**0.5  # pixels from one corner to the other
        falling = torch.tensor([[-1.0, 0.0], [0.0, 1.0]], dtype=torch.float64) / length
        rising = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64) / length
        pair = correlated(values, falling), correlated(values, rising)
    else:
        smooth, step = torch.tensor([_SMOOTHING[operator], _CENTRAL], dtype=torch.float64)
        pair = (
            correlated(values, torch.stack([smooth, step]), separable=True),
            correlated(values, torch.stack([step, smooth]), separable=True),
        )
    shape = (*images.shape[:-3], 1, *images.shape[-2:])
    return pair[0].reshape(shape), pair[1].reshape(shape)


def gradient_magnitude(images: Images, operator: EdgeOperator = "sobel") -> Float[Tensor, "*batch 1 height width"]:
    """Return the length of the gradient, in levels per pixel, 0 or more.

    Args:
        images: Any.
        operator: As of ``derivatives``.

    Raises:
        ConfigError: If there is no such operator.
    """
    return torch.hypot(*derivatives(images, operator))


def laplacian(images: Images, *, diagonals: bool = False) -> Float[Tensor, "*batch 1 height width"]:
    """Return the sum of the neighbours less the pixel itself, in levels: above 0 where it is darker than they are.

    Args:
        images: Any.
        diagonals: Whether all eight neighbours count, or four.

    Source:
        Gonzalez and Woods 2018, equation 3-62 and figure 3.51.
    """
    kernel = torch.tensor(_EIGHT if diagonals else _FOUR)
    return correlated(luma(flat(images)), kernel).reshape(*images.shape[:-3], 1, *images.shape[-2:])


def laplacian_of_gaussian(images: Images, *, sigma_px: float = 2.0) -> Float[Tensor, "*batch 1 height width"]:
    """Return the Laplacian of the blurred luma, in levels per square pixel.

    Args:
        images: Any.
        sigma_px: Standard deviation of the blur; at least 0.5, below which the samples no longer show the function.

    Raises:
        ConfigError: If the standard deviation is less.

    Source:
        Marr and Hildreth 1980, Theory of edge detection, section 2. The sampled kernel is shifted to a sum of 0, so
        that plain areas give nothing.
    """
    if sigma_px < 0.5:
        raise ConfigError(f"sigma_px must be 0.5 or more for a Laplacian of a Gaussian; got {sigma_px}.")
    line = gaussian_kernel_1d(gaussian_size(sigma_px), sigma_px)
    places = torch.arange(len(line), dtype=torch.float64) - len(line) // 2
    bent = (places.square() / sigma_px**2 - 1) / sigma_px**2 * line
    bent -= bent.sum() * line
    values = luma(flat(images))
    down = correlated(values, torch.stack([bent, line]), separable=True)
    across = correlated(values, torch.stack([line, bent]), separable=True)
    return (down + across).reshape(*images.shape[:-3], 1, *images.shape[-2:])


def zero_crossings(
    response: Float[Tensor, "*batch height width"], *, contrast: float = 0.0
) -> Bool[Tensor, "*batch height width"]:
    """Return where a signed response passes through zero, on the side that is nearer to it.

    Args:
        response: Such as of ``laplacian_of_gaussian``.
        contrast: Least difference of the two sides; noise crosses zero everywhere, but not steeply.

    Source:
        Marr and Hildreth 1980, section 3; the least contrast after Haralick 1984.
    """
    edges = torch.zeros_like(response, dtype=torch.bool)
    for axis in (-1, -2):
        size = response.shape[axis] - 1
        here, there = response.narrow(axis, 0, size), response.narrow(axis, 1, size)
        crosses = (torch.sign(here) * torch.sign(there) < 0) & ((here - there).abs() > contrast)
        is_nearer = here.abs() <= there.abs()
        edges.narrow(axis, 0, size).logical_or_(crosses & is_nearer)
        edges.narrow(axis, 1, size).logical_or_(crosses & ~is_nearer)
    return edges


def canny(
    images: Images, *, sigma_px: float = 1.0, low: float = 10.0, high: float = 20.0
) -> Bool[Tensor, "*batch 1 height width"]:
    """Return thin edges: steepest along the gradient, strong, or weak and connected with strong ones.

    It is a procedure of four stages on top of a derivative, and not a derivative: blur, gradient (Sobel), thinning,
    thresholds with hysteresis.

    Args:
        images: Any.
        sigma_px: Standard deviation of the blur.
        low: Gradient in levels per pixel from which a connected pixel is an edge.
        high: From which any pixel is one.

    Raises:
        ConfigError: If the thresholds fall, or the standard deviation is below 0.

    Source:
        Canny 1986, A computational approach to edge detection; scikit-image's implementation, whose gradient is
        ``_OF_SKIMAGE`` times ours.
    """
    if not 0 <= low <= high or sigma_px < 0:
        raise ConfigError(f"canny needs 0 <= low <= high and sigma_px 0 or more; got {low}, {high} and {sigma_px}.")
    from skimage.feature import canny as of_skimage  # noqa: PLC0415 - half a second to import

    grey = luma(checked(images)).reshape(-1, *images.shape[-2:])
    found = [
        of_skimage(  # type: ignore[no-untyped-call]  # scikit-image has no types
            image, sigma=sigma_px, low_threshold=_OF_SKIMAGE * low, high_threshold=_OF_SKIMAGE * high, mode="nearest"
        )
        for image in grey.cpu().double().numpy()
    ]
    edges = torch.from_numpy(np.stack(found)) if found else torch.zeros(grey.shape, dtype=torch.bool)
    return edges.to(images.device).reshape(*images.shape[:-3], 1, *images.shape[-2:])
