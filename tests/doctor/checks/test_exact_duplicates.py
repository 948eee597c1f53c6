"""D10 (DX-011)."""

import pytest
from PIL import Image, ImageOps

from snellen.doctor import Level


def test_different_images_pass(gallery):
    gallery.add_all(gallery.photos(6))
    assert gallery.said("D10") == []


@pytest.mark.parametrize(("strangers", "level"), [(5, Level.WARNING), (110, Level.INFO)])
def test_copies_within_a_split(gallery, strangers, level):
    path = gallery.add(gallery.photo(0, (64, 48)))
    gallery.add(path.read_bytes())
    for number in range(strangers):
        gallery.add(gallery.photo(number + 1, (64, 48)))
    (finding,) = gallery.result("D10").findings
    assert finding.level == level
    assert finding.num_places == 1
    assert (finding.places[0].name, finding.places[0].twin) == ("train/0001.jpg", "train/0000.jpg")
    assert finding.treatment.drop_images == ("train/0001.jpg",)


def test_says_how_many(gallery):
    path = gallery.add(gallery.photo(0))
    gallery.add(path.read_bytes())
    gallery.add(path.read_bytes())
    gallery.add(gallery.photo(1))
    assert gallery.said("D10") == ["2 of 4 images (50.0%) are exact copies of others in the same split."]


def test_copies_in_another_split_are_told_by_another_check(gallery):
    path = gallery.add(gallery.photo(0))
    gallery.add(path.read_bytes(), split="val")
    assert gallery.said("D10") == []


def test_near_copies_are_told(gallery):
    gallery.add_all(gallery.photos(4))
    gallery.add(ImageOps.mirror(gallery.photo(2)))
    (finding,) = gallery.result("D10").findings
    assert (finding.level, finding.message) == (Level.INFO, "near")
    assert {finding.places[0].name, finding.places[0].twin} == {"train/0002.jpg", "train/0004.jpg"}


def test_blank_images_are_no_copies(gallery):
    for _ in range(3):
        gallery.add(Image.new("L", (50, 50), 0))
    (finding,) = gallery.result("D10").findings
    assert (finding.level, finding.message) == (Level.INFO, "blank")
