"""Images of another size.

Two grids are in use. By the edges of the image (``align_corners=False``): pixel ``i`` covers ``i`` to ``i + 1``, and
its middle ``i + 0.5`` lies in the result at ``(i + 0.5) · new / old``, so that boxes and masks scale by one factor;
this is right for images, and whenever places are compared. By the middles of the corner pixels
(``align_corners=True``): pixel ``i`` lies at ``i · (new − 1) / (old − 1)``, so that the corners keep their values and
the scale is another one; it is for maps of networks that were trained with it.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from snellen.errors import ConfigError
from snellen.imaging.pixels import Images, as_before, flat

__all__ = ["resize_bilinear", "resize_nearest", "source_places"]


def source_places(size: int, new_size: int, *, align_corners: bool = False) -> Float[Tensor, " new_size"]:
    """Return where in the old image the middle of each new pixel lies; 0 is the middle of the first pixel.

    Args:
        size: Pixels before.
        new_size: Pixels after.
        align_corners: Which of the two grids.
    """
    new = torch.arange(new_size, dtype=torch.float64)
    if align_corners:
        return new * ((size - 1) / max(new_size - 1, 1))
    return (new + 0.5) * (size / new_size) - 0.5


def resize_bilinear(
    images: Images,
    *,
    height: int | None = None,
    width: int | None = None,
    short_side: int | None = None,
    align_corners: bool = False,
    antialias: bool = True,
) -> Images:
    """Return the images in another size, each new pixel a mean of those around its place, weighted by nearness.

    Args:
        images: Any.
        height: Pixels; with ``width``. One alone keeps the proportions.
        width: Pixels.
        short_side: Pixels of the shorter side, instead of both.
        align_corners: Which of the two grids; without ``antialias``.
        antialias: Whether all pixels that a smaller image covers count; without, fine patterns turn into coarse ones.

    Raises:
        ConfigError: If sizes are missing, too many or below 1, or ``align_corners`` and ``antialias`` are combined.

    Source:
        Gonzalez and Woods 2018, section 2.4; torch's interpolation.
    """
    if align_corners and antialias:
        raise ConfigError("align_corners is for maps, and goes without antialias; give antialias=False.")
    size = _new_size((images.shape[-2], images.shape[-1]), height, width, short_side)
    values = functional.interpolate(
        flat(images), size, mode="bilinear", align_corners=align_corners, antialias=antialias
    )
    return as_before(values, images)


def resize_nearest(images: Images, *, height: int, width: int) -> Images:
    """Return the images in another size, each new pixel a copy of the one whose middle is nearest: for label maps.

    Args:
        images: Any.
        height: Pixels.
        width: Pixels.

    Raises:
        ConfigError: If a size is below 1.
    """
    size = _new_size((images.shape[-2], images.shape[-1]), height, width, None)
    return as_before(functional.interpolate(flat(images), size, mode="nearest-exact"), images)


def _new_size(old: tuple[int, int], height: int | None, width: int | None, short_side: int | None) -> tuple[int, int]:
    given = [side for side in (height, width, short_side) if side is not None]
    if not given or min(given) < 1 or (short_side is not None and len(given) > 1):
        raise ConfigError(
            "resizing needs a height, a width, both, or a short_side, of 1 pixel or more; got "
            f"{height}, {width} and {short_side}."
        )
    if height is not None and width is not None:
        return height, width
    scale = height / old[0] if height is not None else width / old[1] if width is not None else given[0] / min(old)
    return max(1, round(old[0] * scale)), max(1, round(old[1] * scale))
