"""D9."""

import numpy as np
import pytest
from PIL import Image

from snellen.doctor import Level


def grey(image):
    return image.convert("L")


def test_one_kind_passes(gallery):
    gallery.add_all(gallery.photos(4))
    assert gallery.said("D9") == []


def test_grey_data_pass_however_they_are_stored(gallery):
    gallery.add(grey(gallery.photo(1)))
    gallery.add(grey(gallery.photo(2)).convert("RGB"))
    assert gallery.said("D9") == []


@pytest.mark.parametrize(("count", "level"), [(1, Level.INFO), (3, Level.WARNING)])
def test_grey_among_colour(gallery, count, level):
    gallery.add_all(gallery.photos(30 - count))
    gallery.add_all(map(grey, gallery.photos(count, first=50)))
    (finding,) = gallery.result("D9").findings
    assert (finding.level, finding.message, finding.num_places) == (level, "grey", count)


def test_dark_images_are_not_grey(gallery):
    """DX-035: a coloured image that is nearly black shows no colour, and is told as dark (D18)."""
    gallery.add_all(gallery.photos(27))
    gallery.add_all(photo.point(lambda value: value // 20) for photo in gallery.photos(3, first=50))
    assert gallery.said("D9") == []
    assert [finding.message for finding in gallery.result("D18").findings] == ["dark"]


def test_a_grey_split(gallery):
    gallery.add_all(gallery.photos(5))
    gallery.add_all(map(grey, gallery.photos(5, first=50)), split="val")
    assert gallery.said("D9") == ["100% of the images of val are grey, but 0% of those of train."]


def test_mixed_depths(gallery):
    gallery.add(grey(gallery.photo(1)), "a.png")
    gallery.add(grey(gallery.photo(2)), "b.png")
    gallery.add(Image.fromarray(np.asarray(grey(gallery.photo(3))).astype(np.uint16) * 257), "c.png")
    (finding,) = gallery.result("D9").findings
    assert (finding.level, finding.message) == (Level.WARNING, "depth")
    assert [place.name for place in finding.places] == ["train/c.png"]


def test_data_of_16_bits_pass(gallery):
    for number in range(3):
        pixels = np.asarray(grey(gallery.photo(number))).astype(np.uint16) * 257
        gallery.add(Image.fromarray(pixels), f"{number}.png")
    assert gallery.said("D9") == []


def test_transparency_is_told(gallery):
    gallery.add(gallery.photo(1), "a.png")
    gallery.add(gallery.photo(2).convert("RGBA"), "b.png")
    (finding,) = gallery.result("D9").findings
    assert (finding.level, finding.message) == (Level.INFO, "alpha")
