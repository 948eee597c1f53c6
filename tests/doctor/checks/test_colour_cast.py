"""D25 (DX-033)."""

import numpy as np
import pytest
from PIL import Image

from snellen.doctor import Level, Status


def lit(image, red=1.0, green=1.0, blue=1.0):
    return Image.fromarray((np.asarray(image) * [red, green, blue]).clip(0, 255).astype(np.uint8))


def test_white_light_passes(gallery):
    gallery.add_all(gallery.photos(12))
    gallery.add_all(gallery.photos(12, first=50), split="val")
    assert gallery.said("D25") == []


@pytest.mark.parametrize(("count", "level"), [(2, Level.INFO), (6, Level.WARNING)])
def test_tinted_images(gallery, count, level):
    gallery.add_all(gallery.photos(16 - count))
    gallery.add_all(lit(image, blue=0.4) for image in gallery.photos(count, first=50))
    (finding,) = gallery.result("D25").findings
    assert (finding.level, finding.message) == (level, "default")
    assert {place.name for place in finding.places} == {f"train/{15 - at:04d}.jpg" for at in range(count)}
    assert finding.places[0].note.startswith("R/G ")


def test_a_tinted_set(gallery):
    gallery.add_all(lit(image, blue=0.5) for image in gallery.photos(12))
    (finding,) = gallery.result("D25").findings
    assert (finding.level, finding.message) == (Level.WARNING, "all")
    assert 0.4 < float(finding.numbers["blue"]) < 0.65
    assert gallery.said("D25")[0].startswith("The images have a colour cast as a whole")


def test_a_tinted_split(gallery):
    gallery.add_all(gallery.photos(14))
    gallery.add_all((lit(image, green=0.875, blue=0.75) for image in gallery.photos(14, first=50)), split="val")
    (finding,) = gallery.result("D25").findings
    assert (finding.level, finding.message, finding.places[0].name) == (Level.WARNING, "split", "val")


def test_a_green_wood_with_white_clouds_has_no_cast(gallery):
    """Grey world alone would call every wood tinted."""
    for number in range(12):
        pixels = np.asarray(lit(gallery.photo(number), red=0.4, blue=0.3)).copy()
        pixels[:30, :80] = 235 + number % 5
        gallery.add(Image.fromarray(pixels))
    assert gallery.said("D25") == []


def test_grey_images_are_not_checkable(gallery):
    gallery.add_all(image.convert("L") for image in gallery.photos(3))
    assert gallery.result("D25").status == Status.NOT_CHECKABLE
