"""What classes look like: a mixture of Gaussians for each, over colour and texture around a pixel.

Shapes: K classes, C components of all classes, d numbers of a pixel, n pixels.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64, UInt8
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude
from scipy.special import logsumexp

from snellen.imaging.segmentation import Mixture, fitted_mixture, mixture_costs, smoothed_lab
from snellen.models.segmentation.classical.settings import AppearanceSettings
from snellen.models.shallow.fitted import Arrays, Schema, Sizes

__all__ = ["APPEARANCE_SCHEMA", "fit_appearance", "log_posteriors", "num_features", "pixel_features"]

RgbImage = UInt8[np.ndarray, "height width 3"]

_VARIANCE_FLOOR = 1.0  # squared levels of 0..255: what quantisation and noise always leave
_NARROW_PX = 1.5  # sigma at which edges and ridges are looked for
_WIDE_PX = 4.0  # sigma of the surroundings
_LEAST_LOG = -50.0  # natural logarithm of any class's probability at any pixel, so that no pixel is a veto


def num_features(settings: AppearanceSettings) -> int:
    """Return how many numbers describe a pixel."""
    return 7 if settings.texture else 3


def pixel_features(image: RgbImage, settings: AppearanceSettings) -> Float32[np.ndarray, "height width d"]:
    """Return the numbers that describe each pixel, all in levels.

    Colour in CIE L*a*b*; with texture also the lightness around, the length of the gradient, and the curvature of
    the lightness along and across its ridges (eigenvalues of the Hessian), which tell thin dark lines from dark areas.

    Source:
        Derivatives times their scale are comparable between scales: Lindeberg 1998, "Feature detection with automatic
        scale selection", section 3.
    """
    colours = smoothed_lab(image, settings.sigma_px)
    if not settings.texture:
        return colours
    light = smoothed_lab(image)[..., 0]
    rows, columns, both = (
        gaussian_filter(light, _NARROW_PX, order=order, mode="nearest") * _NARROW_PX**2
        for order in ((2, 0), (0, 2), (1, 1))
    )
    middle, spread = (rows + columns) / 2, np.hypot((rows - columns) / 2, both)
    further = (
        gaussian_filter(light, _WIDE_PX, mode="nearest"),
        gaussian_gradient_magnitude(light, _NARROW_PX, mode="nearest") * _NARROW_PX,
        middle + spread,
        middle - spread,
    )
    return np.concatenate([colours, np.stack(further, axis=-1)], axis=-1).astype(np.float32)


def fit_appearance(points: Sequence[NDArray[np.float32]], settings: AppearanceSettings, *, seed: int) -> Arrays:
    """Return the mixtures of all classes as arrays.

    Args:
        points: Of each class, [n, d]; a class without any gets no component, and is never named.
        settings: Of the mixtures.
        seed: Of their start.
    """
    mixtures = {
        label: fitted_mixture(some, settings.components, floor=_VARIANCE_FLOOR, seed=seed)
        for label, some in enumerate(points)
        if len(some)
    }
    owners = [np.full(len(mixture.weights), label) for label, mixture in mixtures.items()]
    return {
        "owners": np.concatenate(owners).astype(np.int64),
        "weights": np.concatenate([mixture.weights for mixture in mixtures.values()]),
        "means": np.concatenate([mixture.means for mixture in mixtures.values()]),
        "covariances": np.concatenate([mixture.covariances for mixture in mixtures.values()]),
    }


def log_posteriors(
    image: RgbImage, arrays: Arrays, settings: AppearanceSettings
) -> Float64[np.ndarray, "K height width"]:
    """Return the logarithm of the probability of each class at each pixel, by the pixel's own look."""
    features = pixel_features(image, settings)
    points = features.reshape(-1, features.shape[-1])
    shares = arrays["shares"]
    scores = np.full((len(shares), len(points)), -np.inf)
    for label, share in enumerate(shares):
        own = arrays["owners"] == label
        if own.any():
            mixture = Mixture(
                weights=arrays["weights"][own], means=arrays["means"][own], covariances=arrays["covariances"][own]
            )
            scores[label] = np.log(share) - mixture_costs(points, mixture)
    posteriors = scores - logsumexp(scores, axis=0)
    return np.asarray(np.maximum(posteriors, _LEAST_LOG)).reshape(len(shares), *features.shape[:2])


def _faults(arrays: Arrays, sizes: Sizes) -> str:
    owners, weights = arrays["owners"], arrays["weights"]
    if not len(owners) or owners.min() < 0 or owners.max() >= sizes["K"]:
        return f"owners must be classes from 0 to {sizes['K'] - 1}; got others."
    if (weights <= 0).any() or (arrays["shares"] < 0).any() or (arrays["shares"][owners] <= 0).any():
        return "weights and shares must be above 0; got others."
    classes = arrays.get("side_classes", owners)
    if ("side_classes" in arrays) != ("side_shares" in arrays) or classes.min() < 0 or classes.max() >= sizes["K"]:
        return f"side_classes must be classes from 0 to {sizes['K'] - 1}, with side_shares; got others."
    try:
        np.linalg.cholesky(arrays["covariances"])
    except np.linalg.LinAlgError:
        return "covariances must be positive definite; got others."
    return ""


APPEARANCE_SCHEMA = Schema(
    arrays={
        "choice": ("i", (1,)),
        "shares": ("f", ("K",)),
        "owners": ("i", ("C",)),
        "weights": ("f", ("C",)),
        "means": ("f", ("C", "d")),
        "covariances": ("f", ("C", "d", "d")),
        "side_shares": ("f", ("S", "K")),
        "side_classes": ("i", ("S",)),
    },
    optional=frozenset({"side_shares", "side_classes"}),
    faults=_faults,
)
