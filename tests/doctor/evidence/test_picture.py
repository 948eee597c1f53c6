"""What is measured of one image file, beside what others measure of it."""

import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy.fft import dctn

from snellen.data import decoded_image
from snellen.data.images import image_header
from snellen.doctor.evidence.picture import KNOWN, measured, measured_files
from snellen.errors import DatasetError


def encoded(image, form="JPEG", **options):
    buffer = BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def record_of(content):
    records, (error,) = measured([content])
    assert not error, error
    return records[0]


def test_brightness_is_that_of_the_pixels(gallery):
    image = gallery.photo(1, (160, 120)).convert("L")  # small enough to be measured as it is
    record = record_of(encoded(image, "PNG"))
    levels = np.asarray(image)
    wanted = np.percentile(levels, [1, 5, 25, 50, 75, 95, 99], method="inverted_cdf")
    assert np.abs(record["brightness"] - wanted).max() <= 1
    assert record["contrast"] == pytest.approx(levels.std(), rel=1e-3)
    shares = np.bincount(levels.ravel(), minlength=256) / levels.size
    assert record["entropy"] == pytest.approx(-(shares[shares > 0] * np.log2(shares[shares > 0])).sum(), rel=1e-3)


def test_black_and_burnt_are_shares_of_the_pixels():
    levels = np.full((100, 100), 128, np.uint8)
    levels[:30], levels[90:] = 0, 255
    record = record_of(encoded(Image.fromarray(levels), "PNG"))
    assert record["black"] == pytest.approx(0.3)
    assert record["burnt"] == pytest.approx(0.1)


def test_scale_of_decoding_changes_little(gallery):
    """JPEG is decoded at a reduced scale, PNG in full and then reduced."""
    image = gallery.photo(2, (900, 700))
    fast, slow = (record_of(encoded(image, form)) for form in ("JPEG", "PNG"))
    assert np.abs(fast["brightness"].astype(int) - slow["brightness"]).max() <= 3
    assert np.abs(fast["thumbnail"].astype(int) - slow["thumbnail"]).mean() < 2
    assert int(fast["perceptual_hash"] ^ slow["perceptual_hash"]).bit_count() <= 3


def test_perceptual_hash_is_the_signs_of_a_cosine_transform(gallery):
    record = record_of(encoded(gallery.photo(3), "PNG"))
    waves = dctn(record["thumbnail"].astype(np.float64), norm="ortho")[:8, :8]
    clear = (np.abs(waves) > 3).ravel()  # the thumbnail that is kept is rounded
    clear[0] = False
    bits = np.unpackbits(np.array([record["perceptual_hash"]], "<u8").view(np.uint8), bitorder="little")
    assert clear.sum() > 40
    assert (bits[clear] == (waves.ravel() > 0)[clear]).all()


@pytest.mark.parametrize("sigma", [1.5, 3.0, 6.0])
def test_blur_lowers_sharpness_by_its_width(gallery, sigma):
    """DX-036. An edge blurred by sigma rises by 1 / (sqrt(2 pi) sigma) of its height from pixel to pixel."""
    levels = np.zeros((144, 152), np.uint8)
    levels[:, 76:] = 200
    edge = Image.fromarray(levels).filter(ImageFilter.GaussianBlur(sigma))
    steepest = np.abs(np.diff(np.asarray(edge).astype(int), axis=1)).max() / 200
    found = record_of(encoded(edge, "PNG"))["sharpness"]
    assert found >= steepest * 0.9  # the tile reaches over a part of the edge only
    assert found < record_of(encoded(Image.fromarray(levels), "PNG"))["sharpness"]
    picture = gallery.photo(4)
    assert record_of(encoded(picture.filter(ImageFilter.GaussianBlur(sigma))))["sharpness"] < max(0.9 / sigma, 0.2)


def test_noise_does_not_sharpen(gallery):
    """cleanvision's score of blur rises with noise."""
    blurred = np.asarray(gallery.photo(5).filter(ImageFilter.GaussianBlur(5))).astype(float)
    noisy = (blurred + np.random.default_rng(0).normal(0, 5, blurred.shape)).clip(0, 255).astype(np.uint8)
    plain, grainy = (record_of(encoded(Image.fromarray(pixels.astype(np.uint8)))) for pixels in (blurred, noisy))
    assert grainy["sharpness"] < 0.3
    assert plain["sharpness"] < 0.3
    assert grainy["noise"] > plain["noise"] + 2


def test_flat_images_have_no_sharpness():
    record = record_of(encoded(Image.new("RGB", (300, 200), (90, 120, 60))))
    assert np.isnan(record["sharpness"])
    assert record["detail"] == 0


def test_tint_is_that_of_the_light(gallery):
    """DX-033. A yellow light lowers blue in bright places and in edges alike."""
    pixels = np.asarray(gallery.photo(6)).astype(float)
    lit = Image.fromarray((pixels * [1.0, 1.0, 0.5]).astype(np.uint8))
    before, after = (record_of(encoded(image, "PNG")) for image in (gallery.photo(6), lit))
    for column in ("white_tint", "edge_tint"):
        assert after[column][1] - before[column][1] == pytest.approx(np.log(0.5), abs=0.12)
        assert after[column][0] == pytest.approx(before[column][0], abs=0.05)


@pytest.mark.parametrize(
    ("mode", "form", "depth", "alpha"),
    [("RGB", "JPEG", 8, False), ("L", "PNG", 8, False), ("I;16", "PNG", 16, False), ("RGBA", "PNG", 8, True),
     ("P", "GIF", 8, False), ("1", "PNG", 1, False), ("CMYK", "JPEG", 8, False), ("LA", "PNG", 8, True)],
)  # fmt: skip
def test_kinds_of_pixels(tmp_path, gallery, mode, form, depth, alpha):
    """Every kind is measured as the loader gives it."""
    picture = gallery.photo(7, (120, 90))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    else:
        image = picture.convert(mode)
    content = encoded(image, form)
    record = record_of(content)
    assert record["bit_depth"] == depth
    assert record["has_alpha"] == alpha
    path = tmp_path / "file"
    path.write_bytes(content)
    loaded = decoded_image(path)[0].numpy().transpose(1, 2, 0)
    levels = np.asarray(Image.fromarray(loaded).convert("L"))
    assert record["contrast"] == pytest.approx(levels.std(), rel=0.05)
    assert abs(int(record["brightness"][3]) - np.median(levels)) <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turns_as_the_loader_does(tmp_path, gallery, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.jpg"
    gallery.photo(8, (120, 80)).save(path, exif=exif)
    record, header = record_of(path.read_bytes()), image_header(path)
    assert (record["height"], record["width"]) == header.size
    assert (record["raw_height"], record["raw_width"]) == header.raw_size
    assert record["orientation"] == header.orientation == orientation


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.97])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "progressive"])
def test_truncated_files_are_found_wherever_they_end(tmp_path, gallery, form, share):
    """D1: decoding at a reduced scale finds what decoding in full finds."""
    options = {"progressive": True} if form == "progressive" else {}
    whole = encoded(gallery.photo(9, (640, 480)), "PNG" if form == "PNG" else "JPEG", **options)
    content = whole[: int(len(whole) * share)]
    _, (error,) = measured([content])
    assert error
    path = tmp_path / "cut"
    path.write_bytes(content)
    with pytest.raises(DatasetError):
        decoded_image(path)


def test_an_end_within_a_preview_is_no_end(gallery):
    """D1: a JPEG of which the lower part was never written decodes, and the end of its preview is not its own."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x927C] = encoded(gallery.photo(1, (40, 30)))  # a maker note that holds a small JPEG
    whole = encoded(gallery.photo(9, (640, 480)), exif=exif)
    assert whole.count(b"\xff\xd9") == 2
    records, errors = measured([whole, whole[: len(whole) // 2] + bytes(300_000)])
    assert records["is_ended"].tolist() == [True, False]
    assert errors == ["", ""]


def test_grey_of_missing_data_is_found(gallery):
    """D1: with an end marker put behind half of a file every decoder is content, and shows grey."""
    whole = encoded(gallery.photo(9, (640, 480)))
    records, errors = measured([whole, whole[: len(whole) // 2] + b"\xff\xd9"])
    assert errors == ["", ""]
    assert records["lost_share"][0] == 0
    shown = np.asarray(Image.open(BytesIO(whole[: len(whole) // 2] + b"\xff\xd9")).convert("L")).astype(int)
    grey = (np.abs(shown - 128) <= 1).all(1).mean()
    assert grey > 0.3
    assert records["lost_share"][1] == pytest.approx(grey, abs=0.05)


@pytest.mark.parametrize("content", [b"", b"<html></html>", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_told(content):
    records, (error,) = measured([content])
    assert error
    assert not records[0]["is_readable"]


def test_a_missing_file_is_told(tmp_path):
    records, (error,) = measured_files([(str(tmp_path / "none.jpg"), ())])
    assert "No such file" in error
    assert not records[0]["is_readable"]


def test_known_contents_are_not_decoded(tmp_path: Path, gallery):
    path = gallery.add(gallery.photo(1))
    digest = hashlib.sha256(path.read_bytes()).digest()[:16]
    records, errors = measured_files([(str(path), (digest,)), (str(path), ())])
    assert errors == [KNOWN, ""]
    assert records["is_readable"].tolist() == [False, True]
    assert records[0]["file_hash"].tobytes() == digest


def test_needs_nothing_but_numpy_and_pillow():
    """It is started as a program in every process: importing more would take longer than measuring."""
    import subprocess
    import sys

    from snellen.doctor.evidence import picture

    command = [sys.executable, "-P", "-X", "importtime", picture.__file__]
    found = subprocess.run(command, input=b"", capture_output=True, check=True)
    names = {line.split(b"|")[-1].strip().split(b".")[0] for line in found.stderr.splitlines() if b"|" in line}
    assert b"numpy" in names
    assert not names & {b"torch", b"snellen", b"scipy", b"skimage"}
