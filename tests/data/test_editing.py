"""Files that are changed and written anew."""

import numpy as np
import pytest
import torch
from PIL import Image

from snellen.data.editing import can_hold, editable_image, write_edited
from snellen.data.images import read_image
from snellen.errors import DatasetError

ORIENTATION, DESCRIPTION = 0x0112, 0x010E


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp", ".ppm", ".PNG"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_what_is_not_changed_stays(tmp_path, picture, suffix, mode):
    file, again = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    Image.fromarray(picture).convert(mode).save(file)
    image = editable_image(file)
    assert image.pixels.shape[0] == (1 if mode == "L" and suffix != ".webp" else 3)
    assert can_hold(file, is_deep=image.is_deep)
    write_edited(again, image.pixels, image)
    assert torch.equal(read_image(again), read_image(file))
    assert not list(tmp_path.glob("*.partial"))


def test_jpeg_stays_close(tmp_path, picture):
    smooth = np.kron(picture[:5, :5], np.ones((16, 16, 1), np.uint8))
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    image = editable_image(tmp_path / "a.jpg")
    write_edited(tmp_path / "b.jpg", image.pixels, image)
    assert (read_image(tmp_path / "b.jpg").int() - image.pixels.int()).abs().float().mean() < 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_no_longer_stated(tmp_path, picture, orientation):
    exif = Image.Exif()
    exif[ORIENTATION], exif[DESCRIPTION] = orientation, "a street"
    Image.fromarray(picture).save(tmp_path / "a.png", exif=exif)
    image = editable_image(tmp_path / "a.png")
    assert torch.equal(image.pixels, read_image(tmp_path / "a.png"))
    write_edited(tmp_path / "b.png", image.pixels, image)
    assert torch.equal(read_image(tmp_path / "b.png"), image.pixels)
    with Image.open(tmp_path / "b.png") as written:
        assert written.size == (image.pixels.shape[2], image.pixels.shape[1])
        assert written.getexif().get(ORIENTATION, 1) == 1
        assert written.getexif()[DESCRIPTION] == "a street"


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_deep_grey_keeps_its_levels(tmp_path, suffix):
    deep = np.random.default_rng(0).integers(0, 65536, (20, 30), dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / f"a{suffix}")
    image = editable_image(tmp_path / f"a{suffix}")
    assert image.is_deep
    assert image.pixels.shape == (1, 20, 30)
    assert (image.pixels - read_image(tmp_path / f"a{suffix}")[:1]).abs().max() <= 0.5001
    write_edited(tmp_path / f"b{suffix}", image.pixels, image)
    with Image.open(tmp_path / f"b{suffix}") as written:
        assert np.array_equal(np.asarray(written), deep)


def test_formats_that_cannot_hold_it(tmp_path, picture):
    Image.fromarray(picture).convert("P").save(tmp_path / "a.gif")
    image = editable_image(tmp_path / "a.gif")
    assert not image.is_deep
    assert not can_hold(tmp_path / "a.gif")
    assert editable_image(_deep(tmp_path / "d.png")).is_deep
    assert not can_hold(tmp_path / "d.jpg", is_deep=True)
    assert can_hold(tmp_path / "d.tiff", is_deep=True)


def test_colour_profiles_and_notes(tmp_path, picture):
    alpha = np.dstack([picture, np.full(picture.shape[:2], 128, np.uint8)])
    Image.fromarray(alpha).save(tmp_path / "a.png", icc_profile=b"a profile")
    image = editable_image(tmp_path / "a.png")
    assert image.notes == ("alpha",)
    write_edited(tmp_path / "b.png", image.pixels, image)
    with Image.open(tmp_path / "b.png") as written:
        assert written.info["icc_profile"] == b"a profile"


def test_broken_files(tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(DatasetError, match="an image was expected"):
        editable_image(tmp_path / "a.png")
    with pytest.raises(DatasetError, match="does not exist"):
        editable_image(tmp_path / "b.png")


def _deep(file):
    Image.fromarray(np.full((4, 4), 40000, np.uint16)).save(file)
    return file
