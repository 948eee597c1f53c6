"""Contours that move until inside and outside, or the edges beneath them, hold them."""

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, UInt8
from numpy.typing import NDArray

from snellen.imaging.segmentation.channels import smoothed

__all__ = ["chan_vese_sides", "ellipse_in", "snake", "snake_mask"]

GrayImage = UInt8[np.ndarray, "height width"]


def chan_vese_sides(
    channel: GrayImage, *, smoothness: float = 0.25, iterations: int = 200, sigma_px: float = 0.0
) -> Int32[np.ndarray, "height width"]:
    """Return two sides of even brightness with a short border between them: 0 for the darker one, 1 for the brighter.

    Args:
        channel: 0..255.
        smoothness: What a length of border costs (μ), beside the squared differences of brightness on 0..1.
        iterations: Most steps of the level set.
        sigma_px: Of the Gaussian before.

    Source:
        Chan and Vese 2001, "Active contours without edges"; Getreuer 2012, "Chan-Vese segmentation"; scikit-image's
        implementation, which begins with a chequered level set.
    """
    from skimage.segmentation import chan_vese  # noqa: PLC0415 - takes long to import

    stretched = _stretched(channel, sigma_px)
    if not stretched.any():
        return np.zeros(channel.shape, dtype=np.int32)
    inside: NDArray[np.bool_] = chan_vese(  # type: ignore[no-untyped-call]  # scikit-image has no types
        stretched, mu=smoothness, max_num_iter=iterations, tol=1e-3, init_level_set="checkerboard"
    )
    if not inside.any() or inside.all():
        return np.zeros(channel.shape, dtype=np.int32)
    is_brighter = stretched[inside].mean() > stretched[~inside].mean()
    return (inside if is_brighter else ~inside).astype(np.int32)


def ellipse_in(box: tuple[float, float, float, float], points: int = 200) -> Float64[np.ndarray, "points 2"]:
    """Return an ellipse that fills a box: rows and columns of its points.

    Args:
        box: xyxy in pixels, continuous edges.
        points: On the ellipse.
    """
    x0, y0, x1, y1 = box
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    rows = (y0 + y1) / 2 + (y1 - y0) / 2 * np.sin(angles)
    columns = (x0 + x1) / 2 + (x1 - x0) / 2 * np.cos(angles)
    return np.stack([rows, columns], axis=1) - 0.5  # centres of pixels have whole coordinates


def snake(
    channel: GrayImage,
    start: Float64[np.ndarray, "points 2"],
    *,
    elasticity: float = 0.01,
    rigidity: float = 1.0,
    sigma_px: float = 2.0,
    iterations: int = 1000,
) -> Float64[np.ndarray, "points 2"]:
    """Return a closed contour that was drawn to the edges nearby, its own stiffness holding it smooth.

    Args:
        channel: Of any contrast; it is stretched to 0..1.
        start: Rows and columns of the points, around what is wanted and near its border.
        elasticity: How much it shrinks (α).
        rigidity: How much it resists bending (β).
        sigma_px: Of the Gaussian before; edges draw from about so far.
        iterations: Most steps.

    Source:
        Kass, Witkin and Terzopoulos 1988, "Snakes: active contour models"; scikit-image's implementation.
    """
    from skimage.segmentation import active_contour  # noqa: PLC0415 - the same

    values = _stretched(channel, sigma_px).astype(np.float32)
    found = active_contour(  # type: ignore[no-untyped-call]  # scikit-image has no types
        values, start, alpha=elasticity, beta=rigidity, gamma=0.001, w_line=0, w_edge=1, max_num_iter=iterations
    )
    return np.asarray(found, dtype=np.float64)


def snake_mask(
    contour: Float32[np.ndarray, "points 2"] | Float64[np.ndarray, "points 2"], size: tuple[int, int]
) -> Bool[np.ndarray, "height width"]:
    """Return the pixels inside a closed contour.

    Args:
        contour: Rows and columns.
        size: Height and width of the image.
    """
    from skimage.draw import polygon2mask  # noqa: PLC0415 - the same

    return np.asarray(polygon2mask(size, contour), dtype=bool)  # type: ignore[no-untyped-call]  # scikit-image has no types


def _stretched(channel: GrayImage, sigma_px: float) -> Float64[np.ndarray, "height width"]:
    """Return a smoothed channel on 0..1; all 0 if it is even."""
    values = smoothed(channel, sigma_px).astype(np.float64)
    spread = float(np.ptp(values))
    return (values - values.min()) / spread if spread else np.zeros_like(values)
