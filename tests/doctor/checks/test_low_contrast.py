"""D26 (DX-032)."""

import numpy as np
import pytest
from PIL import Image

from snellen.doctor import Level


def flat(image, low=100, high=140):
    return image.convert("L").point(lambda value: low + value * (high - low) // 255)


def test_healthy_images_pass(gallery):
    gallery.add_all(gallery.photos(8))
    assert gallery.said("D26") == []


@pytest.mark.parametrize(("count", "level"), [(2, Level.INFO), (8, Level.WARNING)])
def test_flat_images(gallery, count, level):
    gallery.add_all(gallery.photos(16 - count))
    gallery.add_all(map(flat, gallery.photos(count, first=50)))
    (finding,) = gallery.result("D26").findings
    assert (finding.level, finding.message, finding.num_places) == (level, "default", count)
    page = gallery.result("D26").check.pages["en"]
    assert page.fix_of(finding).startswith("Stretch the range of all images alike, from 1")


def test_images_at_different_places_of_the_range_are_equalised(gallery):
    for number, low in enumerate(np.linspace(5, 190, 12).astype(int).tolist()):
        gallery.add(flat(gallery.photo(number), low, low + 60 if low < 64 else low + 40))
    (finding,) = gallery.result("D26").findings
    assert finding.message == "equalise"


def test_uneven_light_needs_local_equalisation(gallery):
    for number in range(6):
        ramp = np.linspace(100, 150, 200)[None].repeat(150, 0)
        detail = np.asarray(flat(gallery.photo(number), 0, 10)).astype(float)
        gallery.add(Image.fromarray((ramp + detail).astype(np.uint8)))
    (finding,) = gallery.result("D26").findings
    assert finding.message == "clahe"


def test_blank_and_dark_images_are_told_by_another_check(gallery):
    gallery.add(Image.new("L", (60, 60), 120))
    gallery.add(flat(gallery.photo(1), 0, 40))
    gallery.add(flat(gallery.photo(1), 215, 255))
    assert gallery.said("D26") == []
