"""Marks from label images and from tables."""

import numpy as np
import pytest
from PIL import Image

from snellen.data.seeds import read_seeds
from snellen.errors import DatasetError

SIZE = (20, 30)


def marks():
    seeds = np.zeros(SIZE, dtype=np.uint8)
    seeds[2:4], seeds[10:12, 5:20] = 1, 2
    return seeds


@pytest.mark.parametrize("mode", ["L", "P"])
def test_a_label_image_is_read_as_it_is(tmp_path, mode):
    image = Image.fromarray(marks())
    if mode == "P":
        image = image.convert("P")
        image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    image.save(tmp_path / "marks.png")
    found = read_seeds(tmp_path / "marks.png", SIZE)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, marks())


@pytest.mark.parametrize("header", ["x,y,mark\n", ""])
def test_a_table_marks_disks(tmp_path, header):
    (tmp_path / "marks.csv").write_text(header + "10.5,8.5,2\n\n2,3,1\n")
    found = read_seeds(tmp_path / "marks.csv", SIZE)
    assert found[8, 10] == found[8, 13] == found[5, 10] == 2
    assert found[8, 14] == 0
    assert found[3, 2] == 1
    assert (found == 2).sum() == 29  # pixels whose centres lie within 3 px


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("x,y,mark\n1,2\n", 2, "expected x,y,mark"),
        ("1,2,two\n", 1, "expected x,y,mark"),
        ("1,2,1\n30,2,1\n", 2, "a place within the image of 30 × 20 px; got 30,2"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, text, line, message):
    (tmp_path / "marks.csv").write_text(text)
    with pytest.raises(DatasetError, match=message) as told:
        read_seeds(tmp_path / "marks.csv", SIZE)
    assert told.value.line == line


def test_another_size_is_told(tmp_path):
    Image.fromarray(marks()[:5]).save(tmp_path / "marks.png")
    with pytest.raises(DatasetError, match="marks of the image's size, 30 × 20; got 30 × 5"):
        read_seeds(tmp_path / "marks.png", SIZE)


@pytest.mark.parametrize("values", [marks() // 2 * 255, marks() * 0])
def test_brightness_and_nothing_are_no_marks(tmp_path, values):
    Image.fromarray(values).save(tmp_path / "marks.png")
    with pytest.raises(DatasetError, match=r"expected marks 0 \(not known\), 1 \(background\), 2 \(foreground\)"):
        read_seeds(tmp_path / "marks.png", SIZE)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DatasetError, match="marks"):
        read_seeds(tmp_path / "marks.csv", SIZE)
