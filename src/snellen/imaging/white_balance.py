"""Colours under a tinted light made as they are under a white one: a gain for each channel.

Light multiplies what comes from a surface, and under a power law of the encoding the gains of light are gains of the
encoded values, too. The methods differ in what they take for white. None is right for every image: a wood is green
under any light. Images of one channel stay as they are.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from snellen.errors import ConfigError
from snellen.imaging.kernels import correlated, gaussian_kernel_1d, gaussian_size
from snellen.imaging.pixels import LUMA, Images, as_before, checked, flat, floating, luma, quantiles

__all__ = ["adjust_gains", "grey_edge", "grey_world", "neutral_light", "shades_of_grey", "white_patch"]

_TINY = 1e-6  # levels; keeps gains finite where a channel is black
_THUMBNAIL_PX = 32  # on which tints are told, as in the doctor's measurements
_BRIGHT_SHARE = 0.95  # of the pixels are darker than those that are taken for white
_BURNT, _BLACK = 254.0, 1.0  # levels at which a channel has lost its colour
_MOST_TINT = 1.5  # natural logarithm of a gain, 4.5 times; more is the colour of a thing


def adjust_gains(images: Images, *, red: float = 1.0, green: float = 1.0, blue: float = 1.0) -> Images:
    """Return the images with every channel multiplied by its gain; the same for every image.

    Args:
        images: Any.
        red: Above 0.
        green: Above 0.
        blue: Above 0.

    Raises:
        ConfigError: If a gain is not above 0.
    """
    gains = (red, green, blue)
    if not all(0 < gain < float("inf") for gain in gains):
        raise ConfigError(f"gains must be above 0 and finite; got {gains}.")
    return _balanced(images, torch.tensor(gains, device=images.device).expand(flat(images).shape[0], 3))


def grey_world(images: Images) -> Images:
    """Return each image with equal means of red, green and blue: the world is grey on average.

    Args:
        images: Any.

    Source:
        Buchsbaum 1980, A spatial processor model for object colour perception.
    """
    return shades_of_grey(images, norm=1.0)


def shades_of_grey(images: Images, *, norm: float = 6.0) -> Images:
    """Return each image with equal Minkowski means of red, green and blue.

    Args:
        images: Any.
        norm: 1 is ``grey_world``; the larger, the more bright pixels count, up to the brightest alone.

    Raises:
        ConfigError: If the norm is below 1.

    Source:
        Finlayson and Trezzi 2004, Shades of gray and colour constancy; 6 is what they found best.
    """
    if not 1 <= norm < float("inf"):
        raise ConfigError(f"norm must be 1 or more and finite; got {norm}.")
    return _balanced(images, _to_grey(_minkowski(flat(images), norm)))


def white_patch(images: Images, *, share: float = 0.99) -> Images:
    """Return each image with equal bright levels of red, green and blue: the brightest patch is white.

    Args:
        images: Any.
        share: Of the pixels that lie below the level that counts; 1 takes the very brightest, as in the source, which
            one burnt pixel decides.

    Raises:
        ConfigError: If the share is not within 0..1.

    Source:
        Land and McCann 1971, Lightness and retinex theory. The brightest channel keeps its level, so that nothing is
        clipped.
    """
    if not 0 < share <= 1:
        raise ConfigError(f"share must be above 0 and at most 1; got {share}.")
    values = flat(images)
    number, channels = values.shape[:2]
    bright = quantiles(values.reshape(number * channels, -1), share).view(number, channels)
    return _balanced(images, bright.max(1, keepdim=True).values / bright.clamp(min=_TINY))


def grey_edge(images: Images, *, norm: float = 6.0, sigma_px: float = 1.0) -> Images:
    """Return each image with equal Minkowski means of the gradients of red, green and blue: differences are grey.

    Large areas of one colour, which mislead ``grey_world``, have no edges and do not count.

    Args:
        images: Any.
        norm: As of ``shades_of_grey``.
        sigma_px: Of the Gaussian whose derivative is taken.

    Raises:
        ConfigError: If the norm is below 1, or the standard deviation not above 0.

    Source:
        van de Weijer, Gevers and Gijsenij 2007, Edge-based color constancy, equation 9 with n = 1.
    """
    if not 1 <= norm < float("inf"):
        raise ConfigError(f"norm must be 1 or more and finite; got {norm}.")
    values = flat(images)
    line = gaussian_kernel_1d(gaussian_size(sigma_px), sigma_px)
    slope = (torch.arange(len(line), dtype=torch.float64) - len(line) // 2) / sigma_px**2 * line
    across = correlated(values, torch.stack([line, slope]), separable=True)
    down = correlated(values, torch.stack([slope, line]), separable=True)
    return _balanced(images, _to_grey(_minkowski(torch.hypot(across, down), norm)))


def neutral_light(images: Images) -> Images:
    """Return each image without the tint on which its bright places and its edges agree; the brightness is kept.

    Green leaves under a white sky have green edges and white bright places, and stay green; a yellow lamp tints both.

    Args:
        images: Any.

    Source:
        The two cues are those of ``white_patch`` and ``grey_edge``; that they must agree, and the thumbnail of 32 × 32
        on which both are told, is the doctor's measure of a colour cast (check D25).
    """
    values = flat(images)
    if values.shape[1] == 1:
        return checked(images)
    small = functional.adaptive_avg_pool2d(values, _THUMBNAIL_PX)
    white, edge = _bright_tint(small), _edge_tint(small)
    agreed = torch.where(white.sign() == edge.sign(), white.sign() * torch.minimum(white.abs(), edge.abs()), 0.0)
    gains = torch.exp(-agreed.clamp(-_MOST_TINT, _MOST_TINT))
    gains = torch.stack([gains[:, 0], torch.ones_like(gains[:, 0]), gains[:, 1]], dim=1)
    means = small.mean((2, 3))
    weights = means.new_tensor(LUMA)
    kept = (means * weights).sum(1) / (means * gains * weights).sum(1).clamp(min=_TINY)
    return _balanced(images, gains * torch.where(kept > 0, kept, 1.0)[:, None])


def _balanced(images: Images, gains: Float[Tensor, "n 3"]) -> Images:
    if images.shape[-3] == 1:
        return images
    values = floating(images).reshape(-1, *images.shape[-3:])
    return as_before(values * gains.to(values)[:, :, None, None], images)


def _minkowski(values: Float[Tensor, "n channels height width"], norm: float) -> Float[Tensor, "n channels"]:
    """Return the Minkowski mean of each channel, in its unit."""
    peak = values.amax((2, 3), keepdim=True).clamp(min=_TINY)  # keeps powers in range
    return (values / peak).pow(norm).mean((2, 3)).pow(1 / norm) * peak[:, :, 0, 0]


def _to_grey(levels: Float[Tensor, "n channels"]) -> Float[Tensor, "n channels"]:
    """Return the gains that make levels equal to their mean; a channel without light is left alone."""
    grey = levels.mean(1, keepdim=True)
    return torch.where(levels > _TINY, grey / levels.clamp(min=_TINY), 1.0)


def _bright_tint(small: Float[Tensor, "n 3 rows columns"]) -> Float[Tensor, "n 2"]:
    """Return red and blue over green, as natural logarithms, of the brightest pixels that are not burnt."""
    grey = luma(small)
    usable = (small.amax(1, keepdim=True) < _BURNT) & (grey > _BLACK)
    ranked = torch.where(usable, grey, -1.0).flatten(1)
    rank = int(_BRIGHT_SHARE * ranked.shape[1])
    limit = ranked.kthvalue(rank + 1, dim=1, keepdim=True).values
    bright = (ranked >= limit) & (ranked >= 0)
    pixels = small.flatten(2)
    return _tints((pixels * bright[:, None]).sum(2) / bright.sum(1, keepdim=True).clamp(min=1))


def _edge_tint(small: Float[Tensor, "n 3 rows columns"]) -> Float[Tensor, "n 2"]:
    return _tints(small.diff(dim=2).abs().sum((2, 3)) + small.diff(dim=3).abs().sum((2, 3)))


def _tints(colours: Float[Tensor, "n 3"]) -> Float[Tensor, "n 2"]:
    red, green, blue = colours.clamp(min=1.0).log().unbind(1)
    return torch.stack([red - green, blue - green], dim=1)
