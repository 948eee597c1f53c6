"""D18 (DX-024, DX-035, DX-036)."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from snellen.doctor import Level


def dark(image):
    return ImageEnhance.Brightness(image).enhance(0.06)


def bright(image):
    return image.point(lambda value: 255 - (255 - value) // 8)


def blurred(image):
    return image.filter(ImageFilter.GaussianBlur(max(image.size) / 60))


def blank(image):
    return Image.new("RGB", image.size, (90, 80, 70))


def noisy(image):
    values = np.asarray(image) + np.random.default_rng(0).normal(0, 25, (*image.size[::-1], 3))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


KINDS = {"dark": dark, "bright": bright, "blurred": blurred, "low_information": blank}


def test_healthy_images_pass(gallery):
    gallery.add_all(gallery.photos(15))
    gallery.add_all(gallery.photos(12, first=50), split="val")
    assert gallery.said("D18") == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("count", "level"), [(2, Level.INFO), (8, Level.WARNING)])
def test_each_kind(gallery, kind, count, level):
    gallery.add_all(gallery.photos(16 - count))
    gallery.add_all(map(KINDS[kind], gallery.photos(count, first=50)))
    (finding,) = gallery.result("D18").findings
    assert (finding.level, finding.message, finding.num_places) == (level, kind, count)
    assert {place.name for place in finding.places} == {f"train/{16 - 1 - at:04d}.jpg" for at in range(count)}


def test_says_how_dark(gallery):
    gallery.add_all(gallery.photos(9))
    gallery.add(dark(gallery.photo(50)))
    assert gallery.said("D18") == ["1 of 10 images are nearly black: no brightness above 64.0 of 255 (10.0% of train)."]


def test_what_shows_nothing_can_be_dropped(gallery):
    gallery.add_all(gallery.photos(9))
    gallery.add(blank(gallery.photo(50)))
    (finding,) = gallery.result("D18").findings
    assert finding.treatment.drop_images == ("train/0009.jpg",)


def test_soft_images_are_judged_beside_their_like(gallery):
    """A whole set that is a little soft (enlarged pictures) is as it is."""
    for number in range(12):
        small = gallery.photo(number, (110, 80))
        gallery.add(small.resize((200, 150), Image.Resampling.BICUBIC))
    assert gallery.said("D18") == []


def test_one_picture_with_a_blurred_background_is_sharp(gallery):
    for number in range(10):
        picture = blurred(gallery.photo(number))
        picture.paste(gallery.photo(number).crop((40, 20, 170, 130)), (40, 20))
        gallery.add(picture)
    assert gallery.said("D18") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda image: ImageEnhance.Brightness(image).enhance(0.5), "split_darker"),
        (lambda image: image.filter(ImageFilter.GaussianBlur(1.2)), "split_blurrier"),
        (noisy, "split_noisier"),
    ],
)
def test_splits_that_differ(gallery, change, message):
    """DX-024, SYS-233: images of the field are darker or blurrier than those of the training."""
    gallery.add_all(gallery.photos(12))
    gallery.add_all(map(change, gallery.photos(12, first=50)), split="val")
    found = {finding.message: finding for finding in gallery.result("D18").findings}
    assert found[message].level == Level.WARNING
    assert found[message].places[0].name == "val"


def test_a_training_split_that_is_darker(gallery):
    gallery.add_all(ImageEnhance.Brightness(image).enhance(0.5) for image in gallery.photos(12))
    gallery.add_all(gallery.photos(12, first=50), split="val")
    assert "split_brighter" in [finding.message for finding in gallery.result("D18").findings]


def test_digits_pass(gallery):
    """White strokes on black, as in MNIST: neither dark nor without information."""
    for number in range(12):
        pixels = np.zeros((28, 28), np.uint8)
        pixels[4:24, 12 + number % 3 : 15 + number % 3] = 250
        gallery.add(Image.fromarray(pixels), f"{number}.png")
    assert gallery.said("D18") == []


def test_without_readable_images_nothing_is_said(gallery):
    gallery.add(b"no image")
    assert gallery.said("D18") == []
