"""Label images that compression has blurred, and those of another shape than their images."""

import numpy as np
import pytest
from PIL import Image

from snellen.data import ImageDataset, load
from snellen.data.palettes import nearest_values, value_gap
from snellen.errors import DatasetError
from snellen.structures import IGNORE_LABEL

LABELS = np.kron(np.array([[0, 1, 2], [2, 0, 1]]), np.ones((15, 14), int))[:30, :40]
COLOURS = np.array([[128, 64, 128], [70, 70, 70], [0, 0, 230]], np.uint8)


def lossy(make, values, *, name="masks/a.jpg", quality=80):
    make.image("images/a.jpg")
    path = make.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(path, quality=quality)


def truth(make):
    index = load(make.root)
    return index, ImageDataset(index).truth(0).labels.numpy()


def lossy_note(index):
    return next(str(problem) for problem in index.problems if problem.code == "mask-lossy")


def test_colours_take_the_nearest_that_is_named(make):
    """Palette colours in a JPEG: 4:2:0 mixes the two at a border, and thousands of colours appear."""
    lossy(make, COLOURS[LABELS])
    make.text("classes.txt", "road 128 64 128\nwall 70 70 70\nsign 0 0 230\n")
    index, labels = truth(make)
    assert index.classes == ("road", "wall", "sign")
    assert (labels == LABELS).mean() > 0.93
    assert set(np.unique(labels)) == {0, 1, 2}
    assert "nearest of the 3 classes" in lossy_note(index)
    assert "a.jpg" in lossy_note(index)
    assert index.annotations.present.tolist() == [[True, True, True]]


def test_the_share_of_moved_pixels_is_told(make):
    """A picture of one colour moves by nothing or by all of it."""
    lossy(make, np.full((30, 40), 83), quality=95)
    make.text("classes.json", '{"0": "sky", "80": "road", "160": "car"}')
    index, labels = truth(make)
    assert "100.0% of them in 1 label images did not have" in lossy_note(index)
    assert (labels == 1).all()


def test_grey_levels_take_the_nearest_that_is_stated(make):
    lossy(make, LABELS * 80)
    make.text("classes.json", '{"0": "sky", "80": "road", "160": "car"}')
    index, labels = truth(make)
    assert index.classes == ("sky", "road", "car")
    assert (labels == LABELS).mean() > 0.97


def test_void_has_a_value_too(make):
    lossy(make, LABELS * 80)
    make.text("classes.json", '{"0": "sky", "80": "road"}')
    make.text("snellen.yaml", "ignore_index: 160\n")
    index, labels = truth(make)
    assert index.classes == ("sky", "road")
    assert (labels == np.where(LABELS == 2, IGNORE_LABEL, LABELS)).mean() > 0.97


def test_classes_that_lie_together_are_an_error(make):
    """Index masks as JPEG: 0, 1 and 2 cannot be told apart; the file and the way out are named."""
    lossy(make, LABELS)
    make.text("classes.txt", "sky\nroad\ncar\n")
    with pytest.raises(DatasetError, match=r"a\.jpg.*3 classes.*only 1 levels apart.*PNG"):
        load(make.root)


def test_classes_given_by_the_caller_are_indices(make):
    lossy(make, LABELS)
    with pytest.raises(DatasetError, match=r"only 1 levels apart"):
        load(make.root, classes=("sky", "road", "car"))


def test_colours_that_nobody_named_are_an_error(make):
    lossy(make, COLOURS[LABELS])
    with pytest.raises(DatasetError, match=r"a\.jpg.*name the colours in classes\.txt"):
        load(make.root)


def test_grey_levels_that_nobody_stated_are_an_error(make):
    """Three levels are not two classes with a threshold between."""
    lossy(make, LABELS * 100)
    with pytest.raises(DatasetError, match=r"a\.jpg.*neither .*classes\.json"):
        load(make.root)


@pytest.mark.parametrize("names", [None, "sky\nhorse\n"])
def test_black_and_white_still_has_a_threshold(make, names):
    lossy(make, (LABELS == 1) * 255)
    if names is not None:
        make.text("classes.txt", names)
    index, labels = truth(make)
    assert index.annotations.threshold == 127
    assert (labels == (LABELS == 1)).mean() > 0.97


def test_grey_masks_saved_in_colour_are_grey(make):
    lossy(make, np.repeat(((LABELS == 1) * 255)[..., None], 3, axis=2), quality=60)
    assert truth(make)[0].annotations.threshold == 127


def test_masks_of_another_shape_are_left_out_unless_stretched(make):
    """The note says how to have them; stretched, each pixel takes the nearest."""
    make.image("images/a.jpg", (80, 30))
    make.mask("masks/a.png", LABELS == 1)
    make.image("images/b.jpg", (40, 30))
    make.mask("masks/b.png", LABELS == 1)
    index = load(make.root)
    assert len(index) == 1
    assert "masks_of_other_shape: stretch" in next(str(each) for each in index.problems if each.code == "mask-shape")
    make.text("snellen.yaml", "masks_of_other_shape: stretch\n")
    index, labels = truth(make)
    assert len(index) == 2
    assert np.array_equal(labels, np.repeat(LABELS == 1, 2, axis=1))
    assert "scaled by nearest" in next(str(each) for each in index.problems if each.code == "mask-scaled")


def test_only_stretching_can_be_asked_for(make):
    make.image("images/a.jpg")
    make.mask("masks/a.png", LABELS)
    make.text("snellen.yaml", "masks_of_other_shape: crop\n")
    with pytest.raises(DatasetError, match=r"masks_of_other_shape must be stretch"):
        load(make.root)


def test_nearest_values_by_hand():
    grey = np.array([[0, 39, 41], [120, 255, 80]], np.int32)
    assert nearest_values(grey, np.array([0, 80, 160], np.int32), coloured=False).tolist() == [[0, 0, 1], [1, 2, 1]]
    palette = np.array([0xFF0000, 0x00FF00, 0x0000FF], np.int32)
    seen = np.array([[0xF01010, 0x20D000], [0x1000C0, 0x00FF00]], np.int32)
    assert nearest_values(seen, palette, coloured=True).tolist() == [[0, 1], [2, 1]]


def test_gap_of_values():
    assert value_gap(np.array([0, 80, 100], np.int32), coloured=False) == 20
    assert value_gap(np.array([0x000000, 0x030400], np.int32), coloured=True) == 5
    assert value_gap(np.array([7], np.int32), coloured=False) == np.inf
