"""Decoding, compared with Pillow and with pictures whose values are known."""

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from snellen.data.images import PIXEL_LIMIT, decoded_image, image_size, read_image, read_mask
from snellen.errors import DatasetError


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)


def smooth(height=24, width=36):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 9, columns * 6, rows * 3 + columns * 2], -1).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm", "gif", "webp"])
def test_lossless_formats(tmp_path, noise, suffix):
    picture = Image.fromarray(noise)
    path = tmp_path / f"a.{suffix}"
    if suffix == "gif":
        picture = picture.quantize(200)
    picture.save(path, **({"lossless": True} if suffix == "webp" else {}))
    expected = np.asarray(picture.convert("RGB"))
    assert np.array_equal(read_image(path).permute(1, 2, 0).numpy(), expected)
    assert image_size(path) == (20, 30)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpeg_equals_pillow(tmp_path, mode):
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth()).convert(mode).save(path, quality=95)
    expected = np.asarray(Image.open(path).convert("RGB")).astype(int)
    found = read_image(path)
    assert found.dtype == torch.uint8
    assert found.shape == (3, 24, 36)
    assert np.abs(found.permute(1, 2, 0).numpy() - expected).max() == 0


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, suffix, orientation):
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(smooth()).save(path, exif=exif, **({"quality": 95} if suffix == "jpg" else {}))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    pixels, notes = decoded_image(path)
    assert np.abs(pixels.permute(1, 2, 0).numpy() - expected.astype(int)).max() == 0
    assert image_size(path) == expected.shape[:2]
    if suffix != "tif":
        assert ("exif-rotated" in notes) == (orientation != 1)


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    values = np.array([[0, 257, 32896, 65535]], np.uint16)
    for name in ("a.png", "a.tif"):
        Image.fromarray(values).save(tmp_path / name)
        pixels, notes = decoded_image(tmp_path / name)
        assert pixels[:, 0].tolist() == [[0, 1, 128, 255]] * 3
        assert notes == ("16-bit",)


def test_stated_depth_of_a_tiff_counts(tmp_path):
    values = np.array([[0, 2048, 4095]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.tif", tiffinfo={281: 4095})
    assert read_image(tmp_path / "a.tif")[0, 0].tolist() == [0, 128, 255]


def test_cmyk_even_inverted(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth()).convert("CMYK").save(path, quality=100, subsampling=0)
    pixels, notes = decoded_image(path)  # Pillow writes Adobe's inverted form
    assert b"Adobe" in path.read_bytes()
    assert notes == ("cmyk",)
    assert np.abs(pixels.permute(1, 2, 0).numpy() - smooth().astype(int)).mean() < 4


def test_transparent_pixels_are_white(tmp_path):
    values = np.zeros((2, 2, 4), np.uint8)
    values[0] = (10, 20, 30, 255)
    Image.fromarray(values).save(tmp_path / "a.png")
    pixels, notes = decoded_image(tmp_path / "a.png")
    assert pixels[:, 0, 0].tolist() == [10, 20, 30]
    assert pixels[:, 1, 1].tolist() == [255, 255, 255]
    assert notes == ("alpha",)
    grey = Image.fromarray(values[..., 2:])
    grey.save(tmp_path / "b.png")
    assert read_image(tmp_path / "b.png")[:, 1, 1].tolist() == [255] * 3


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    pixels, notes = decoded_image(tmp_path / "a.gif")
    assert pixels[:, 0, 0].tolist() == [255, 0, 0]
    assert "animated" in notes


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_files(tmp_path, suffix, share):
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(noise).save(data, format={"jpg": "jpeg"}.get(suffix, suffix))
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(data.getvalue()[: int(share * data.tell())])
    with pytest.raises(DatasetError, match=r"a\.\w+: .*(truncated|begins with)"):
        read_image(path)


@pytest.mark.parametrize(
    ("content", "fragment"),
    [(b"", "0 bytes"), (b"<html>", "begins with b'<html>'"), (b"\0\0\0\x18ftypheic" + bytes(40), "Convert it to JPEG")],
)
def test_what_is_no_image(tmp_path, content, fragment):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    for read in (read_image, image_size, lambda file: read_mask(file, coloured=False)):
        with pytest.raises(DatasetError, match=r"a\.jpg") as caught:
            read(path)
        assert fragment in str(caught.value)


def test_missing_file(tmp_path):
    for read in (read_image, image_size):
        with pytest.raises(DatasetError, match="does not exist"):
            read(tmp_path / "gone.png")


def test_too_many_pixels(tmp_path):
    side = int((2 * PIXEL_LIMIT) ** 0.5)
    path = tmp_path / "a.png"
    Image.new("1", (side, side)).save(path)
    with pytest.raises(DatasetError, match="too large"):
        read_image(path)
    with pytest.raises(DatasetError, match="too large"):
        image_size(path)


def test_raw_values_of_masks(tmp_path):
    values = np.array([[0, 1, 255]], np.uint8)
    palette = Image.fromarray(values, mode=None).convert("P")
    palette = Image.frombytes("P", (3, 1), values.tobytes())
    palette.putpalette(list(range(256)) * 3)
    palette.save(tmp_path / "palette.png")
    Image.fromarray(values).save(tmp_path / "grey.png")
    Image.fromarray(np.stack([values, values * 0, values], -1)).save(tmp_path / "colour.png")
    assert read_mask(tmp_path / "palette.png", coloured=False).tolist() == [[0, 1, 255]]
    assert read_mask(tmp_path / "grey.png", coloured=False).tolist() == [[0, 1, 255]]
    assert read_mask(tmp_path / "colour.png", coloured=True).tolist() == [[0, 0x010001, 0xFF00FF]]


def test_real_images_equal_pillow(shared_data):
    files = sorted((shared_data / "hymenoptera" / "train" / "ants").iterdir())[:12]
    for file in files:
        expected = np.asarray(ImageOps.exif_transpose(Image.open(file)).convert("RGB")).astype(int)
        found = read_image(file).permute(1, 2, 0).numpy()
        assert found.shape == expected.shape
        assert np.array_equal(found, expected)
        assert image_size(file) == expected.shape[:2]
