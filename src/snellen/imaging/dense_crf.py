"""A fully connected random field over the pixels of an image: labels that agree with the picture."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import ceil, isfinite

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from snellen.errors import ConfigError, ShapeError
from snellen.imaging.permutohedral import PermutohedralLattice

__all__ = ["DenseCrfSettings", "dense_crf"]

_REACH = 4  # standard deviations after which a Gaussian of place is cut off; beyond lie 6e-5 of it
_LEAST = 1e-12  # of a probability whose logarithm is taken

Filter = Callable[[Tensor], Tensor]  # [pixels, classes] -> [pixels, classes]


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseCrfSettings:
    """Two kernels that pull the labels of pixels towards one another, and how long they do.

    The defaults are the middle of the ranges in which Chen et al. 2015 (section 4.1) search, for images of about
    500 × 375 pixels; weights and widths belong to a network and are best chosen on validation images.

    Attributes:
        appearance_weight: Of the kernel of place and colour.
        appearance_px: Distance at which it has fallen to 0.61, in pixels.
        appearance_levels: Difference of colours at which it has fallen to 0.61, in levels of 0..255.
        smoothness_weight: Of the kernel of place alone.
        smoothness_px: Distance at which it has fallen to 0.61, in pixels.
        iterations: Of the mean field.

    Raises:
        ConfigError: If a number is out of range.
    """

    appearance_weight: float = 4.0
    appearance_px: float = 60.0
    appearance_levels: float = 5.0
    smoothness_weight: float = 3.0
    smoothness_px: float = 3.0
    iterations: int = 10

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
            if field.name == "iterations":
                fits, expected = isinstance(value, int) and is_number and value >= 1, "a whole number, 1 or more"
            elif field.name.endswith("weight"):
                fits, expected = is_number and value >= 0, "a number, 0 or more"
            else:
                fits, expected = is_number and value > 0, "a number above 0"
            if not fits:
                raise ConfigError(f"{field.name} of a dense CRF must be {expected}; got {value!r}.")


def dense_crf(
    probs: Float[Tensor, "num_classes height width"],
    image: UInt8[Tensor, "3 height width"],
    settings: DenseCrfSettings | None = None,
) -> Float[Tensor, "num_classes height width"]:
    """Return probabilities of classes after every pixel has heard all others.

    Mean field: each pixel's logits are those it came with, plus, for every class, what the kernels gather of the
    probability of that class at all other pixels (the model of Potts). Both kernels are divided by the square roots of
    their sums at the two pixels, so that weights mean the same at the border, in flat regions and at any size; the
    paper's formula has no such division, the programs that were measured with it do.

    The kernel of place and colour is gathered on a permutohedral lattice, that of place by convolution. Against exact
    sums, probabilities differ by 0.002 on average and one label in a hundred is another, at pixels that are in doubt
    (``benchmarks/dense_crf.py``).

    Args:
        probs: Of a network; sum to 1 at each pixel.
        image: RGB that the probabilities are about.
        settings: Kernels; the defaults if None.

    Raises:
        ShapeError: If the two differ in height or width.

    Source:
        Krähenbühl and Koltun 2011, Efficient inference in fully connected CRFs with Gaussian edge potentials, equation
        3 and algorithm 1, https://arxiv.org/abs/1210.5644.
    """
    if probs.ndim != 3 or image.ndim != 3 or probs.shape[1:] != image.shape[1:]:
        raise ShapeError(
            "probabilities and image must be of one height and width; got "
            f"{list(probs.shape)} and {list(image.shape)}. Resize the image to the map."
        )
    with torch.autocast(probs.device.type, enabled=False):  # the lattice needs every digit of a place
        return _mean_field(probs.float(), image, settings or DenseCrfSettings())


def _mean_field(probs: Tensor, image: Tensor, settings: DenseCrfSettings) -> Tensor:
    unary = probs.flatten(1).clamp(min=_LEAST).log()  # [classes, pixels]
    kernels = _kernels(image, (probs.shape[1], probs.shape[2]), settings)
    now = unary.softmax(dim=0)
    for _ in range(settings.iterations):
        spoken = now.T.contiguous()  # kernels gather rows; a softmax over few neighbouring numbers is slow
        heard = torch.zeros_like(spoken)
        for weight, kernel in kernels:
            heard.add_(kernel(spoken), alpha=weight)
        now = (unary + heard.T).softmax(dim=0)
    return now.reshape(probs.shape)


def _kernels(image: Tensor, size: tuple[int, int], settings: DenseCrfSettings) -> list[tuple[float, Filter]]:
    kernels: list[tuple[float, Filter]] = []
    pixels = torch.ones(size[0] * size[1], 1, device=image.device)
    if settings.appearance_weight:
        features = _features(image, settings.appearance_px, settings.appearance_levels)
        kernels.append((settings.appearance_weight, _normalized(PermutohedralLattice.of(features).filtered, pixels)))
    if settings.smoothness_weight:
        kernels.append((settings.smoothness_weight, _normalized(_blur(size, settings.smoothness_px), pixels)))
    return kernels


def _features(image: Tensor, place_px: float, levels: float) -> Float[Tensor, "pixels 5"]:
    height, width = image.shape[1:]
    rows = torch.arange(height, device=image.device, dtype=torch.float32) / place_px
    columns = torch.arange(width, device=image.device, dtype=torch.float32) / place_px
    places = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
    return torch.cat([places, image.float() / levels]).flatten(1).T.contiguous()  # [pixels, 5]


def _normalized(kernel: Filter, ones: Float[Tensor, "pixels 1"]) -> Filter:
    """Return a kernel divided by the roots of its sums at both ends, without what a pixel says to itself."""
    scale = kernel(ones).rsqrt()

    def apply(values: Tensor) -> Tensor:
        return kernel(values * scale) * scale - values * scale.square()

    return apply


def _blur(size: tuple[int, int], sigma_px: float) -> Filter:
    reach = ceil(_REACH * sigma_px)
    line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float32) / sigma_px).square())

    def apply(values: Tensor) -> Tensor:
        channels = values.shape[1]
        maps = values.view(1, *size, channels).permute(0, 3, 1, 2)  # [1, classes, height, width], channels last
        weights = line.to(values).expand(channels, 1, -1)
        maps = functional.conv2d(maps, weights[..., None], padding=(reach, 0), groups=channels)
        maps = functional.conv2d(maps, weights[:, :, None], padding=(0, reach), groups=channels)
        return maps.permute(0, 2, 3, 1).reshape(values.shape)  # [pixels, classes]

    return apply
