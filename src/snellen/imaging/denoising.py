"""Means over what is alike: bilateral filter, non-local means, guided filter, and how much noise there is.

Pixels are averaged with those around them, the more the more alike they (bilateral) or their surroundings (non-local
means) are, so that edges stay. Beyond its edge an image goes on as it ends.
"""

import math
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from snellen.errors import ConfigError
from snellen.imaging.filtering import odd_size
from snellen.imaging.kernels import correlated
from snellen.imaging.pixels import Images, as_before, checked, flat

__all__ = ["bilateral_blur", "guided_blur", "noise_sigma", "non_local_means"]

_LEAST_STRENGTH = 0.1  # levels; keeps weights finite in images without noise
_OF_NOISE = 0.8  # strength of non-local means over the noise where it is known; scikit-image's documentation
_NORMAL_MEDIAN = 0.6745  # median of |x| of a standard normal variable
_SECOND_DIFFERENCES = ((1.0, -2.0, 1.0), (-2.0, 4.0, -2.0), (1.0, -2.0, 1.0))
_OF_DIFFERENCES = 6.0  # root of the sum of their squares

Weigh = Callable[
    [Tensor, Tensor, int, int], Tensor
]  # two patches, rows and columns apart -> weight [n, 1, rows, columns]


def bilateral_blur(images: Images, *, sigma_px: float = 1.5, sigma_levels: float = 25.0) -> Images:
    """Return the mean around each pixel, weighted by how near and how alike in colour the others are.

    Args:
        images: Any.
        sigma_px: Standard deviation of nearness; the window reaches to three of them.
        sigma_levels: Standard deviation of likeness: Euclidean distance of colours in levels.

    Raises:
        ConfigError: If one is not above 0.

    Source:
        Tomasi and Manduchi 1998, Bilateral filtering for gray and color images, section 2; in RGB, not in Lab.
    """
    if not sigma_px > 0 or not sigma_levels > 0:
        raise ConfigError(f"sigma_px and sigma_levels must be above 0; got {sigma_px} and {sigma_levels}.")

    def weigh(here: Tensor, there: Tensor, down: int, across: int) -> Tensor:
        apart = (here - there).square().sum(1, keepdim=True)
        far = (down**2 + across**2) / (2 * sigma_px**2)
        return torch.exp(-apart / (2 * sigma_levels**2) - far)

    return as_before(_mean_of_alike(flat(images), math.ceil(3 * sigma_px), 0, weigh), images)


def non_local_means(
    images: Images, *, strength: float | None = None, noise: float | None = None, patch: int = 5, reach: int = 6
) -> Images:
    """Return the mean of the pixels around each, weighted by how alike the patches around them are.

    Args:
        images: Any.
        strength: h of the source, in levels: the larger, the less alike patches need be; 0.8 of the noise if None.
        noise: Standard deviation of the noise in levels; measured in each image if None.
        patch: Pixels across a patch, odd.
        reach: Pixels to either side within which patches are looked for.

    Raises:
        ConfigError: If a number is out of range.

    Source:
        Buades, Coll and Morel 2005, A non-local algorithm for image denoising; all pixels of a patch count alike, and
        twice the variance of the noise is taken off the distances, as in the same authors' IPOL article of 2011.
    """
    pixels = odd_size(patch, "patch")
    if reach < 1 or (strength is not None and not strength > 0) or (noise is not None and noise < 0):
        raise ConfigError(
            "non_local_means needs a reach of 1 pixel or more, a strength above 0 and a noise of 0 or more; got "
            f"{reach}, {strength} and {noise}."
        )
    values = flat(images)
    sigma = noise_sigma(values) if noise is None else values.new_full((len(values),), noise)
    height = _OF_NOISE * sigma if strength is None else values.new_full((len(values),), strength)
    scale = height.clamp(min=_LEAST_STRENGTH).square().view(-1, 1, 1, 1)
    expected = 2 * sigma.square().view(-1, 1, 1, 1)

    def weigh(here: Tensor, there: Tensor, down: int, across: int) -> Tensor:
        del down, across  # nearness does not count
        apart = functional.avg_pool2d((here - there).square().mean(1, keepdim=True), pixels, stride=1)
        return torch.exp(-(apart - expected).clamp(min=0) / scale)

    return as_before(_mean_of_alike(values, reach, pixels // 2, weigh), images)


def guided_blur(images: Images, *, radius_px: int = 4, sigma_levels: float = 25.0) -> Images:
    """Return each channel flat where it varies little around a pixel, and as it is at edges.

    Its cost does not depend on the radius' square, unlike that of ``bilateral_blur``.

    Args:
        images: Any.
        radius_px: Pixels to either side of the windows.
        sigma_levels: Standard deviation, in levels, of a window from which it counts as an edge.

    Raises:
        ConfigError: If one is not above 0.

    Source:
        He, Sun and Tang 2010, Guided image filtering, equations 5, 6 and 8 with the image as its own guide.
    """
    if radius_px < 1 or not sigma_levels > 0:
        raise ConfigError(f"guided_blur needs 1 pixel or more and levels above 0; got {radius_px} and {sigma_levels}.")
    values = flat(images)
    line = torch.full((2 * radius_px + 1,), 1 / (2 * radius_px + 1), dtype=torch.float64)
    box = torch.stack([line, line])
    mean = correlated(values, box, separable=True)
    spread = (correlated(values.square(), box, separable=True) - mean.square()).clamp(min=0)
    slope = spread / (spread + sigma_levels**2)
    offset = mean * (1 - slope)
    smooth = correlated(slope, box, separable=True) * values + correlated(offset, box, separable=True)
    return as_before(smooth, images)


def noise_sigma(images: Images) -> Float[Tensor, " *batch"]:
    """Return the standard deviation of the noise of each image in levels, told from second differences.

    Fine texture that covers most of an image looks like noise.

    Args:
        images: Any.

    Source:
        Immerkær 1996, Fast noise variance estimation, for the differences; their median instead of their mean (as
        Donoho and Johnstone 1994), so that edges do not count.
    """
    values = flat(checked(images))
    kernel = torch.tensor(_SECOND_DIFFERENCES)
    differences = correlated(values, kernel).abs().flatten(2).median(dim=2).values / (_OF_DIFFERENCES * _NORMAL_MEDIAN)
    return differences.square().mean(1).sqrt().reshape(images.shape[:-3])


def _mean_of_alike(
    values: Float[Tensor, "n channels height width"], reach: int, patch_reach: int, weigh: Weigh
) -> Float[Tensor, "n channels height width"]:
    """Return for each pixel the weighted mean of those within ``reach``; weights are the same both ways, its own is 1.

    Args:
        values: Images.
        reach: Pixels to either side.
        patch_reach: Pixels by which ``weigh`` looks beyond a pixel, and by which what it returns is smaller.
        weigh: Gives the weight of each pair of pixels.
    """
    margin = reach + patch_reach
    padded = functional.pad(values, (margin, margin, margin, margin), mode="replicate")
    height, width = (side - 2 * patch_reach for side in padded.shape[2:])
    inner = padded[:, :, patch_reach : patch_reach + height, patch_reach : patch_reach + width]
    total, weights = inner.clone(), torch.ones_like(inner[:, :1])
    for down, across in _half_of_offsets(reach):
        here, there = _pair(padded, down, across)
        weight = weigh(here, there, down, across)
        partners = reversed(_pair(inner, down, across))
        for sums, shares, partner in zip(
            _pair(total, down, across), _pair(weights, down, across), partners, strict=True
        ):
            sums.addcmul_(weight, partner)
            shares.add_(weight)
    return (total / weights)[:, :, reach : height - reach, reach : width - reach]


def _half_of_offsets(reach: int) -> Iterator[tuple[int, int]]:
    """Yield one of each pair of opposite offsets, rows down first."""
    for down in range(reach + 1):
        for across in range(-reach, reach + 1):
            if down > 0 or across > 0:
                yield down, across


def _pair(values: Tensor, down: int, across: int) -> tuple[Tensor, Tensor]:
    """Return views of the pixels that have a partner at an offset, and of the partners."""
    rows, columns = values.shape[2] - down, values.shape[3] - abs(across)
    left, right = max(0, -across), max(0, across)
    return values[:, :, :rows, left : left + columns], values[:, :, down:, right : right + columns]
