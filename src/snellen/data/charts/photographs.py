"""Backgrounds: photographs that come inside scikit-image's wheel, so nothing is downloaded.

Each split has photographs of its own: what is held out was never seen, background included.
"""

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image

from snellen.data.charts.spec import Split
from snellen.errors import MissingExtraError

__all__ = ["background"]

# Free of known restrictions, by scikit-image's documentation; none shows printed letters.
_PHOTOGRAPHS: Mapping[Split, tuple[str, ...]] = MappingProxyType(
    {
        "train": (
            "astronaut.png",
            "chelsea.png",
            "rocket.jpg",
            "grass.png",
            "coins.png",
            "moon.png",
            "retina.jpg",
        ),
        "val": ("camera.png", "gravel.png", "hubble_deep_field.jpg"),
        "test": ("coffee.png", "brick.png", "ihc.png"),
    }
)
_LONGEST_SIDE = 640  # pixels; larger originals are reduced once, so that a cut-out shows more than a blur
_SMALLEST_CUT = 0.35  # share of the photograph's short side that fills an image


@cache
def _photograph(name: str) -> Image.Image:
    package = find_spec("skimage")
    if package is None or package.origin is None:
        raise MissingExtraError("scikit-image", extra="dev", purpose="drawing eye charts")
    with Image.open(Path(package.origin).parent / "data" / name) as image:
        photograph = image.convert("RGB")
    photograph.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    return photograph


def background(split: Split, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Return a random part of a photograph of ``split``, resized to ``size`` and perhaps mirrored."""
    names = _PHOTOGRAPHS[split]
    photograph = _photograph(names[rng.integers(len(names))])
    height, width = size
    # The largest part of the photograph that has the wanted shape, then a random share of it.
    whole = min(photograph.width / width, photograph.height / height)
    scale = whole * rng.uniform(_SMALLEST_CUT, 1.0)
    cut_width, cut_height = scale * width, scale * height
    left = rng.uniform(0, photograph.width - cut_width)
    top = rng.uniform(0, photograph.height - cut_height)
    part = photograph.resize(
        (width, height), Image.Resampling.BILINEAR, box=(left, top, left + cut_width, top + cut_height)
    )
    return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else part
