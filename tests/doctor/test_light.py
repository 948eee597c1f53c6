"""What is advised for one image, by the thresholds of the checks of light."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageFilter

from snellen.doctor.evidence.picture import measured
from snellen.doctor.light import light_advice
from snellen.imaging import Enhancement, enhanced


def told(image, **options):
    stream = BytesIO()
    image.save(stream, "PNG", **options)
    records, errors = measured([stream.getvalue()])
    assert errors == [""]
    return light_advice(records[0])


def changed(photo, change):
    return Image.fromarray(change(np.asarray(photo).astype(float)).clip(0, 255).astype(np.uint8))


FAULTS = {
    "dark": (lambda pixels: pixels * 0.15, ["stretch"], "D18"),
    "bright": (lambda pixels: 215 + pixels * 0.15, ["stretch"], "D18"),
    "flat": (lambda pixels: 100 + pixels * 0.15, ["stretch"], "D26"),
    "uneven": (
        lambda pixels: 100 + np.linspace(0, 45, pixels.shape[1])[None, :, None] + pixels * 0.04,
        ["stretch", "clahe"],
        "D26",
    ),
    "tinted": (lambda pixels: pixels * [1.0, 0.7, 0.4], ["neutral_light"], "D25"),
    "tinted and dark": (lambda pixels: pixels * [0.2, 0.15, 0.08], ["neutral_light", "stretch"], "D25"),
    "clipped": (lambda pixels: pixels + 400 * (np.arange(pixels.shape[1]) < 80)[None, :, None], ["exposure"], "D27"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults(gallery, fault):
    change, operations, code = FAULTS[fault]
    for number in range(4):
        image = changed(gallery.photo(number), change)
        advice = told(image)
        assert [each.operation for each in advice] == operations
        assert advice[0].check == code
        assert all(each.reason("en") and each.reason("zh") for each in advice)
        if fault != "clipped":  # what is burnt stays burnt
            again = Image.fromarray(enhanced(np.asarray(image), operations))
            assert not [each for each in told(again) if each.operation]


def test_healthy_images(gallery):
    assert [told(gallery.photo(number)) for number in range(12)] == [()] * 12
    assert told(gallery.photo(1).convert("L")) == ()


def test_what_nothing_mends(gallery):
    """A blank image, and a blurred one: sharpening would add nothing."""
    for image in (Image.new("RGB", (90, 60), (80, 80, 80)), gallery.photo(0).filter(ImageFilter.GaussianBlur(5))):
        (advice,) = told(image)
        assert (advice.operation, advice.check) == ("", "D18")


def test_real_photographs(shared_data):
    """Few of them are told to need anything, and what is advised can be done."""
    files = sorted((shared_data / "bsds500_val").rglob("*.jpg"))
    records, _ = measured([file.read_bytes() for file in files])
    advised = [[each.operation for each in light_advice(record) if each.operation] for record in records]
    assert sum(map(bool, advised)) <= 0.1 * len(files)
    for operations in advised:
        if operations:
            Enhancement.read(operations)
