"""D11 (DX-003)."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from snellen.doctor import Level, Status


def half_and_half(gallery, train=8, val=8):
    gallery.add_all(gallery.photos(train))
    gallery.add_all(gallery.photos(val, first=100), split="val")


def test_clean_splits_pass(gallery):
    half_and_half(gallery)
    assert gallery.result("D11").status == Status.PASSED


def test_an_exact_copy_is_an_error(gallery):
    half_and_half(gallery)
    gallery.add((gallery.root / "train" / "0003.jpg").read_bytes(), split="val")
    (finding,) = gallery.result("D11").findings
    assert finding.level == Level.ERROR
    assert gallery.said("D11") == ["1 of 9 held-out images (11.1%) are exact copies of images in another split."]
    assert (finding.places[0].name, finding.places[0].twin) == ("val/0016.jpg", "train/0003.jpg")
    assert finding.treatment.drop_images == ("train/0003.jpg",)


def cropped(image):
    return image.crop((8, 0, image.width - 8, image.height - 12))


@pytest.mark.parametrize("change", [ImageOps.mirror, cropped, lambda image: image.resize((100, 75))])
def test_near_copies_are_a_warning(gallery, change):
    half_and_half(gallery)
    gallery.add_all(map(change, gallery.photos(2)), split="val")
    (finding,) = gallery.result("D11").findings
    assert (finding.level, finding.message, finding.numbers["count"]) == (Level.WARNING, "near", 2)
    assert finding.treatment.drop_images == ("train/0000.jpg", "train/0001.jpg")


def test_a_single_likeness_is_told(gallery):
    half_and_half(gallery)
    gallery.add(ImageOps.mirror(gallery.photo(2)), split="val")
    (finding,) = gallery.result("D11").findings
    assert finding.level == Level.INFO


def test_blank_images_leak_nothing(gallery):
    half_and_half(gallery)
    for split in ("train", "val"):
        gallery.add(Image.new("L", (50, 50), 0), split=split)
    assert gallery.said("D11") == []


def test_a_group_on_both_sides_is_an_error(gallery):
    half_and_half(gallery)
    groups = np.arange(16, dtype=np.int32)
    assert gallery.said("D11", gallery.index(groups=groups)) == []
    groups[9] = groups[3]
    (finding,) = gallery.result("D11", gallery.index(groups=groups)).findings
    assert (finding.level, finding.message) == (Level.ERROR, "group")
    assert (finding.places[0].name, finding.places[0].twin) == ("val/0009.jpg", "train/0003.jpg")


def test_frames_of_a_video_on_both_sides(gallery):
    scene = gallery.photo(1, (1000, 150))
    for frame in range(32):
        picture = scene.crop((24 * frame, 0, 24 * frame + 200, 150))
        gallery.add(picture, f"clip_{frame:04d}.jpg", split="val" if frame % 4 == 3 else "train")
    found = {finding.message: finding for finding in gallery.result("D11").findings}
    assert found["frames"].level == Level.WARNING
    assert found["frames"].numbers["count"] >= 6


def test_a_video_cut_in_two_passes(gallery):
    """Two frames meet where the first half ends; that is no leak worth a warning."""
    scene = gallery.photo(1, (3000, 150))
    for frame in range(100):
        picture = scene.crop((28 * frame, 0, 28 * frame + 200, 150))
        gallery.add(picture, f"clip_{frame:04d}.jpg", split="val" if frame >= 60 else "train")
    assert all(finding.level == Level.INFO for finding in gallery.result("D11").findings)


def test_one_split_is_not_checkable(gallery):
    gallery.add_all(gallery.photos(3))
    assert gallery.result("D11").status == Status.NOT_CHECKABLE
