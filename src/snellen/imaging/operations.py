"""What can be done to an image, by the name that users type."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import signature
from types import MappingProxyType
from typing import Any, Literal

from snellen.imaging.denoising import bilateral_blur, guided_blur, non_local_means
from snellen.imaging.equalisation import clahe, equalise
from snellen.imaging.exposure import local_threshold, repair_exposure
from snellen.imaging.filtering import gaussian_blur, laplacian_sharpen, mean_blur, median_blur, unsharp_mask
from snellen.imaging.frequency import low_pass
from snellen.imaging.morphology import (
    black_top_hat,
    closing,
    dilation,
    erosion,
    morphological_gradient,
    opening,
    white_top_hat,
)
from snellen.imaging.pictures import (
    canny_picture,
    gradient_picture,
    high_pass_picture,
    laplacian_picture,
    marr_hildreth_picture,
)
from snellen.imaging.pixels import Images
from snellen.imaging.resizing import resize_bilinear
from snellen.imaging.tone import adjust_gamma, adjust_levels, log_transform, stretch_contrast
from snellen.imaging.white_balance import (
    adjust_gains,
    grey_edge,
    grey_world,
    neutral_light,
    shades_of_grey,
    white_patch,
)

__all__ = ["OPERATIONS", "ImageOperation", "OperationKind"]

OperationKind = Literal["light", "colour", "noise", "detail", "frequency", "morphology", "edges", "size"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOperation:
    """One row of the table.

    Attributes:
        apply: Images and its own keywords to images.
        kind: What it is for.
        helps: When to use it, in a few words.
        keeps_places: Whether every pixel stays where it was, so that boxes and masks stay right.
    """

    apply: Callable[..., Images]
    kind: OperationKind
    helps: str
    keeps_places: bool = True

    @property
    def options(self) -> Mapping[str, Any]:
        """Keywords with their usual values."""
        parameters = signature(self.apply).parameters.values()
        return {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}


def _row(apply: Callable[..., Images], kind: OperationKind, helps: str, *, keeps_places: bool = True) -> ImageOperation:
    return ImageOperation(apply=apply, kind=kind, helps=helps, keeps_places=keeps_places)


OPERATIONS: Mapping[str, ImageOperation] = MappingProxyType(
    {
        "stretch": _row(stretch_contrast, "light", "the range of each image to 0..255: haze, pale scans, dark images"),
        "levels": _row(adjust_levels, "light", "one given range to 0..255, the same for all images"),
        "equalise": _row(equalise, "light", "a flat histogram of luma; amplifies noise in plain areas"),
        "clahe": _row(clahe, "light", "flat histograms of parts, with a limit: uneven light, low contrast"),
        "gamma": _row(adjust_gamma, "light", "a power curve: below 1 lifts darks, above 1 lowers"),
        "log": _row(log_transform, "light", "c log(1 + r): lifts images that are very dark"),
        "exposure": _row(
            repair_exposure, "light", "lifts dark regions, lowers bright ones: light and shadow in one image"
        ),
        "grey_world": _row(grey_world, "colour", "equal means of red, green, blue"),
        "shades_of_grey": _row(
            shades_of_grey, "colour", "equal Minkowski means: grey_world with weight on bright pixels"
        ),
        "white_patch": _row(white_patch, "colour", "the brightest places are white"),
        "grey_edge": _row(grey_edge, "colour", "edges are grey: large areas of one colour do not count"),
        "neutral_light": _row(neutral_light, "colour", "takes off the tint of which bright places and edges agree"),
        "gains": _row(adjust_gains, "colour", "given factors of red, green, blue, the same for all images"),
        "median": _row(median_blur, "noise", "single wrong pixels (salt and pepper)"),
        "gaussian": _row(gaussian_blur, "noise", "fine noise, at the cost of edges"),
        "mean": _row(mean_blur, "noise", "the plain mean of a square"),
        "bilateral": _row(bilateral_blur, "noise", "fine noise, edges kept"),
        "non_local": _row(non_local_means, "noise", "noise in repeating texture, strength measured in each image"),
        "guided": _row(guided_blur, "noise", "fine noise, edges kept, wide windows at no cost"),
        "laplacian_sharpen": _row(laplacian_sharpen, "detail", "steeper edges, finest detail; mends no light"),
        "unsharp": _row(unsharp_mask, "detail", "steeper edges at a chosen scale; mends no light"),
        "low_pass": _row(low_pass, "frequency", "slow changes only"),
        "high_pass": _row(high_pass_picture, "frequency", "quick changes only, around grey"),
        "erode": _row(erosion, "morphology", "what is bright shrinks"),
        "dilate": _row(dilation, "morphology", "what is bright grows"),
        "open": _row(opening, "morphology", "removes bright specks"),
        "close": _row(closing, "morphology", "fills dark gaps"),
        "morphological_gradient": _row(morphological_gradient, "morphology", "outlines of what is bright"),
        "top_hat": _row(white_top_hat, "morphology", "small bright things on an uneven ground"),
        "black_hat": _row(black_top_hat, "morphology", "small dark things on an uneven ground"),
        "local_threshold": _row(
            local_threshold, "edges", "black and white, against the mean around: print in uneven light"
        ),
        "gradient": _row(gradient_picture, "edges", "length of the gradient: roberts, prewitt, sobel, scharr"),
        "laplacian": _row(laplacian_picture, "edges", "second differences, around grey"),
        "marr_hildreth": _row(marr_hildreth_picture, "edges", "zero crossings of a Laplacian of a Gaussian"),
        "canny": _row(canny_picture, "edges", "thin connected edges"),
        "resize": _row(resize_bilinear, "size", "another size, bilinear", keeps_places=False),
    }
)
