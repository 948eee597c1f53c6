"""Shares of pixels against counting by hand, and remembering them."""

import numpy as np
import pytest
from PIL import Image

from snellen.data import load
from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.images import ScanSettings
from snellen.doctor.evidence.mask_pixels import pixels_of_masks
from snellen.doctor.words import Text


@pytest.fixture
def folder(tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        values = np.random.default_rng(seed).choice([0, 1, 2, 255], (30, 40)).astype(np.uint8)
        for kind, picture in (("images", np.zeros((30, 40, 3), np.uint8)), ("masks", values)):
            (tmp_path / kind).mkdir(exist_ok=True)
            Image.fromarray(picture).save(tmp_path / kind / f"{name}.png")
    return tmp_path


def test_shares_are_counts(folder, tmp_path):
    found = pixels_of_masks(load(folder), ScanSettings(cache=tmp_path / "cache", workers=1))
    for row, name in enumerate("ab"):
        values = np.asarray(Image.open(folder / "masks" / f"{name}.png"))
        assert np.allclose(found.shares[row], [(values == value).mean() for value in (0, 1, 2, 255)], atol=1e-6)
    assert found.values.tolist() == [0, 1, 2, 255]
    assert found.value_images.tolist() == [2, 2, 2, 2]
    assert found.sizes.tolist() == [[30, 40]] * 2


def test_is_remembered_until_a_file_changes(folder, tmp_path):
    calls = []
    settings = ScanSettings(cache=tmp_path / "cache", workers=1, on_progress=lambda done, of: calls.append(done))
    index = load(folder)
    first = pixels_of_masks(index, settings)
    assert calls
    calls.clear()
    assert np.array_equal(pixels_of_masks(index, settings).shares, first.shares)
    assert not calls
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(folder / "masks" / "a.png")
    assert pixels_of_masks(index, settings).shares[0].tolist() == [1, 0, 0, 0]


def test_other_classes_of_the_same_files_are_another_measurement(folder, tmp_path):
    settings = ScanSettings(cache=tmp_path / "cache", workers=1)
    whole = pixels_of_masks(load(folder), settings)
    (folder / "classes.txt").write_text("sky\nroad\n")
    less = pixels_of_masks(load(folder), settings)
    assert less.shares.shape[1] == whole.shares.shape[1] - 1
    assert less.shares[:, -1] == pytest.approx(whole.shares[:, 2] + whole.shares[:, 3])


def test_colours_and_files_that_are_gone(tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for number in range(2):
        picture = np.zeros((8, 8, 3), np.uint8)
        picture[: 2 + number] = (128, 64, 128)
        Image.fromarray(picture).save(tmp_path / "images" / f"{number}.png")
        Image.fromarray(picture).save(tmp_path / "masks" / f"{number}.png")
    (tmp_path / "classes.txt").write_text("road 128 64 128\nother 0 0 0\n")
    index = load(tmp_path)
    (tmp_path / "masks" / "1.png").unlink()
    found = pixels_of_masks(index, ScanSettings(cache=tmp_path / "cache", workers=1))
    assert found.coloured
    assert found.is_readable.tolist() == [True, False]
    assert dict(zip(index.classes, found.shares[0], strict=False)) == {"road": 0.25, "other": 0.75}


def test_stops_when_the_time_is_over(folder, tmp_path):
    def over(done, of):
        raise NotCheckable(Text(en="over", zh="结束"))

    with pytest.raises(NotCheckable, match="over"):
        pixels_of_masks(load(folder), ScanSettings(cache=tmp_path / "cache", workers=1, on_progress=over))


def test_needs_label_images(tmp_path):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text("path,label\na.png,cat\n")
    with pytest.raises(NotCheckable):
        pixels_of_masks(load(tmp_path), None)
