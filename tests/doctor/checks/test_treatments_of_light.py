"""What the checks of light propose mends what they found: D18, D25, D26 and D27; Q-017."""

import numpy as np
import pytest
from PIL import Image

from snellen.imaging import enhanced
from snellen.recipes.options import options_from


def darkened(image):
    return Image.fromarray((np.asarray(image) * 0.15).astype(np.uint8))


def paled(image):
    return Image.fromarray((215 + np.asarray(image) * 0.15).astype(np.uint8))


def flattened(image):
    return Image.fromarray((100 + np.asarray(image) * 0.16).astype(np.uint8))


def tinted(image):
    return Image.fromarray((np.asarray(image) * [1.0, 0.8, 0.45]).astype(np.uint8))


@pytest.fixture
def mended(gallery, tmp_path):
    """A data set for the images after the treatment."""
    return type(gallery)(tmp_path / "mended")


FAULTS = {"dark": ("D18", darkened), "bright": ("D18", paled), "flat": ("D26", flattened), "tinted": ("D25", tinted)}


def _operations(finding) -> list[str]:
    assert set(finding.treatment.settings) == {"enhance"}
    return list(options_from(finding.treatment.settings).enhance)


@pytest.mark.parametrize("share", [0.3, 1.0])
@pytest.mark.parametrize("fault", FAULTS)
def test_after_the_treatment_nothing_is_found(gallery, mended, fault, share):
    """The images at fault are mended, and the healthy ones beside them stay healthy."""
    code, spoil = FAULTS[fault]
    photos = list(gallery.photos(20))
    count = int(share * len(photos))
    spoiled = [spoil(photo.convert("RGB")) if at < count else photo.convert("RGB") for at, photo in enumerate(photos)]
    gallery.add_all(spoiled)
    findings = gallery.result(code).findings
    assert findings
    operations = _operations(findings[0])
    mended.add_all(Image.fromarray(enhanced(np.asarray(image), operations)) for image in spoiled)
    assert mended.result(code).findings == ()


@pytest.mark.parametrize(("fault", "code"), [("dark", "D18"), ("tinted", "D25")])
def test_splits_under_another_light_are_put_under_one(gallery, mended, fault, code):
    spoil = {"dark": lambda image: Image.fromarray((np.asarray(image) * 0.5).astype(np.uint8)), "tinted": tinted}[fault]
    train = [photo.convert("RGB") for photo in gallery.photos(14)]
    val = [spoil(photo.convert("RGB")) for photo in gallery.photos(14, first=50)]
    gallery.add_all(train)
    gallery.add_all(val, split="val")
    finding = next(found for found in gallery.result(code).findings if found.message.startswith("split"))
    for images, split in ((train, "train"), (val, "val")):
        pictures = (Image.fromarray(enhanced(np.asarray(image), _operations(finding))) for image in images)
        mended.add_all(pictures, split=split)
    assert not [found for found in mended.result(code).findings if found.message.startswith("split")]


def test_clipped_images_have_a_treatment(gallery):
    """What is burnt stays burnt; what is near it gets its contrast back."""
    photos = list(gallery.photos(8))
    gallery.add_all(photos[:6])
    for photo in photos[6:]:
        pixels = np.asarray(photo.convert("RGB")).astype(float)
        pixels[:, : int(0.4 * pixels.shape[1])] += 250
        gallery.add(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))
    (finding,) = gallery.result("D27").findings
    assert _operations(finding) == ["exposure"]


def test_what_is_blurred_or_empty_is_not_enhanced(gallery):
    gallery.add_all(gallery.photos(6))
    gallery.add(Image.new("RGB", (90, 60), (90, 80, 70)))
    (finding,) = gallery.result("D18").findings
    assert finding.treatment.settings == {}
    assert len(finding.treatment.drop_images) == 1
