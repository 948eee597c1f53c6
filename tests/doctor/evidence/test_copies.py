"""Copies are found whatever was done to them, and strangers are not."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from snellen.doctor.evidence import copies as module
from snellen.doctor.evidence.copies import ImageCopies
from snellen.doctor.evidence.images import ImageFacts


def copies_in(gallery) -> ImageCopies:
    return gallery.evidence().get(ImageCopies)


def cut(share, corner):
    def change(image):
        width, height = (int(side * (1 - share)) for side in image.size)
        x, y = ((image.width - width) * corner[0] // 2, (image.height - height) * corner[1] // 2)
        return image.crop((x, y, x + width, y + height))

    return change


def recompressed(image):
    buffer = BytesIO()
    image.resize((image.width // 2, image.height // 2)).save(buffer, "JPEG", quality=40)
    return Image.open(buffer)


CHANGES = {
    "cut at a corner": cut(0.1, (0, 0)),
    "cut all round": cut(0.08, (1, 1)),
    "cut on one side": cut(0.05, (2, 1)),
    "halved and compressed": recompressed,
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.7),
    "grey": lambda image: image.convert("L"),
    "mirrored": ImageOps.mirror,
    "upside down": ImageOps.flip,
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "mirrored, cut and compressed": lambda image: recompressed(cut(0.1, (2, 0))(ImageOps.mirror(image))),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_copies_are_found_and_strangers_are_not(gallery, change):
    pictures = gallery.photos(24)
    gallery.add_all([*pictures, *map(change, pictures)])
    found = {tuple(pair) for pair in copies_in(gallery).pairs.tolist()}
    true = {(row, row + 24) for row in range(24)}
    assert len(found & true) >= 23
    assert not found - true


def test_exact_copies_by_file_and_by_pixels(gallery):
    first, second, third = gallery.photos(3)
    path = gallery.add(first)
    gallery.add(path.read_bytes())  # the same file
    gallery.add(second, "a.png")
    gallery.add(second, "b.bmp")  # other bytes, the same pixels
    gallery.add(third)
    copies = copies_in(gallery)
    assert [group.tolist() for group in copies.exact_groups] == [[0, 1], [2, 3]]
    assert not len(copies.pairs)


def test_pixels_that_are_alike_only_when_reduced_are_no_exact_copies(gallery):
    """Equal thumbnails are no proof: the pixels decide."""
    pixels = np.kron(np.asarray(gallery.photo(1, (170, 120))), np.ones((2, 2, 1), np.uint8))
    other = pixels.copy()
    other[0, 0], other[0, 1] = other[0, 0] + 1, other[0, 1] - 1  # the mean of the block stays
    gallery.add(Image.fromarray(pixels), "a.png")
    gallery.add(Image.fromarray(other), "b.png")
    facts = gallery.evidence().get(ImageFacts)
    assert facts.pixel_hash[0] == facts.pixel_hash[1]
    copies = copies_in(gallery)
    assert copies.exact_groups == ()
    assert [group.tolist() for group in copies.near_groups] == [[0, 1]]


def test_blank_images_are_no_copies_of_one_another(gallery):
    for _ in range(3):
        gallery.add(Image.new("RGB", (64, 64), (20, 20, 20)))
    gallery.add_all(gallery.photos(3))
    copies = copies_in(gallery)
    assert copies.is_blank.tolist() == [True] * 3 + [False] * 3
    assert copies.exact_groups == copies.near_groups == ()


def test_skies_do_not_match(gallery):
    """The same gradient with other clouds too faint to see, or with other noise, is no copy."""
    ramp = np.linspace(120, 220, 150)[:, None, None] * np.ones((150, 200, 3))
    for seed in range(12):
        noise = np.random.default_rng(seed).normal(0, 3, ramp.shape)
        gallery.add(Image.fromarray((ramp + noise).clip(0, 255).astype(np.uint8)))
    assert not len(copies_in(gallery).pairs)


def test_chains_of_copies_are_one_group(gallery):
    picture = gallery.photo(1)
    path = gallery.add(picture)
    gallery.add(cut(0.08, (0, 0))(picture))
    gallery.add(path.read_bytes())
    gallery.add(cut(0.08, (2, 2))(picture))
    gallery.add(gallery.photo(2))
    assert [group.tolist() for group in copies_in(gallery).near_groups] == [[0, 1, 2, 3]]


def test_leaks_are_found_behind_a_crowd_of_like_frames(gallery):
    """Frames of the training video fill the nearest places; the copy in the other split is found all the same."""
    scene = np.asarray(gallery.photo(1)).astype(np.int16)
    for number in range(12):
        noise = np.random.default_rng(number).integers(-3, 4, scene.shape)
        gallery.add(Image.fromarray((scene + noise).clip(0, 255).astype(np.uint8)))
    gallery.add(cut(0.08, (0, 2))(gallery.photo(1)), split="val")
    gallery.add_all(gallery.photos(5, first=50), split="val")
    pairs = copies_in(gallery).pairs
    assert ((pairs < 12).any(1) & (pairs == 12).any(1)).any()


def test_files_that_cannot_be_read_are_no_copies(gallery):
    for name in ("empty1.jpg", "empty2.jpg"):
        gallery.add(b"", name)
    for name in ("broken1.jpg", "broken2.jpg"):
        gallery.add(b"no image", name)
    assert [group.tolist() for group in copies_in(gallery).exact_groups] == [[2, 3]]


@pytest.mark.parametrize("count", [0, 1])
def test_few_images(gallery, count):
    gallery.add_all(gallery.photos(count))
    copies = copies_in(gallery)
    assert copies.pairs.shape == (0, 2)
    assert copies.exact_groups == copies.near_groups == ()


def test_positions_of_waves_are_those_of_turned_images():
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32)).astype(np.uint8)
    waves = module._positions_of_waves(module._low_frequencies(images, np.arange(len(images)), 0))
    for position in range(8):
        turned = module._turned(images, np.full(5, position))
        np.testing.assert_allclose(
            module._low_frequencies(turned, np.arange(len(turned)), 0), waves[position], atol=1e-5
        )
        np.testing.assert_allclose(module._descriptors(waves[position]), module._descriptors(waves[0]), atol=1e-5)


def test_digits_of_one_stroke_are_no_copies(gallery, shared_data):
    """A one nearly fits many others, and some as well as copies do; versions of one photograph stay copies."""
    digits = np.load(shared_data / "mnist" / "mnist_subset.npz")
    ones = digits["train_x"][digits["train_y"] == 1][:150]
    photo, *others = gallery.photos(20)
    versions = [photo, *(change(photo) for change in CHANGES.values())]
    gallery.add_all([*(Image.fromarray(one).convert("RGB") for one in ones), *others, *versions])
    found = copies_in(gallery).pairs
    assert (found < len(ones)).any(1).sum() <= 2
    first = len(ones) + len(others)
    assert len(np.unique(found[(found >= first).all(1)])) >= len(versions) - 1
