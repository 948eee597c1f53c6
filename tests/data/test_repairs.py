"""Repairs change training images and nothing else."""

from pathlib import Path

import numpy as np
import pytest

from snellen.data import BoxTable, ClassTable, DatasetIndex, ObjectRepair, Repairs, repaired
from snellen.data.sharing import Strings
from snellen.errors import ConfigError

NAMES = ("a.jpg", "b.jpg", "c.jpg", "d.jpg")


def index_of(table) -> DatasetIndex:
    return DatasetIndex(
        root=Path("data"), format="csv", classes=("cat", "dog"), paths=Strings.pack(NAMES), annotations=table,
        sizes=np.full((4, 2), 50, np.int32), splits=np.array([0, 0, 0, 1], np.int16), split_names=("train", "val"),
    )  # fmt: skip


@pytest.fixture
def classes() -> DatasetIndex:
    return index_of(ClassTable(labels=np.array([0, 0, 1, 1], np.int32)))


@pytest.fixture
def boxes() -> DatasetIndex:
    corners = np.array([[0, 0, 10, 10], [20, 20, 30, 30], [5, 5, 9, 9], [1, 1, 2, 2]], np.float32)
    table = BoxTable(offsets=np.array([0, 2, 2, 3, 4]), boxes=corners, labels=np.array([0, 1, 0, 1], np.int32),
                     flags=np.zeros(4, np.uint8))  # fmt: skip
    return index_of(table)


def test_images_are_left_out_and_relabelled(classes):
    found = repaired(classes, Repairs(drop=("a.jpg",), labels={"b.jpg": "dog"}))
    assert [found.paths[row] for row in range(len(found))] == ["b.jpg", "c.jpg", "d.jpg"]
    assert found.annotations.labels.tolist() == [1, 1, 1]
    assert found.problems[-1].code == "repaired"
    assert "1 left out, 1 relabelled" in found.problems[-1].message
    assert classes.annotations.labels.tolist() == [0, 0, 1, 1]


def test_held_out_images_stay_as_they_are(classes):
    found = repaired(classes, Repairs(drop=("d.jpg",), labels={"d.jpg": "cat"}))
    assert len(found) == 4
    assert found.annotations.labels.tolist() == [0, 0, 1, 1]
    assert "2 not touched" in found.problems[-1].message


def test_objects_are_taken_away_and_renamed(boxes):
    changes = (
        ObjectRepair(image="a.jpg", box=(0, 0, 10, 10)),
        ObjectRepair(image="a.jpg", box=(20, 20, 30, 30.4), label="cat"),
        ObjectRepair(image="c.jpg", box=(5, 5, 9, 9)),
    )
    found = repaired(boxes, Repairs(objects=changes))
    table = found.annotations
    assert [len(found.target(image, (50, 50)).boxes) for image in range(4)] == [1, 0, 0, 1]
    assert table.boxes.tolist() == [[20, 20, 30, 30], [1, 1, 2, 2]]
    assert table.labels.tolist() == [0, 1]


def test_nothing_to_do_gives_the_same_index(classes):
    assert repaired(classes, Repairs()) is classes


@pytest.mark.parametrize(
    ("repairs", "message"),
    [
        ({"drop": ["e.jpg"]}, "does not have, such as 'e.jpg'"),
        ({"labels": {"a.jpg": "cot"}}, "Did you mean 'cat'"),
        ({"objects": [{"image": "a.jpg", "box": [0, 0, 1, 1]}]}, "repairs.objects are of images with boxes"),
        ({"dropped": []}, "Did you mean 'drop'"),
        ({"objects": [{"image": "a.jpg"}]}, "got something else"),
    ],
)
def test_what_cannot_be_mended_is_told(classes, repairs, message):
    with pytest.raises(ConfigError, match=message):
        repaired(classes, Repairs.from_record(repairs))


def test_boxes_that_are_not_there_are_told(boxes):
    with pytest.raises(ConfigError, match="which has none there"):
        repaired(boxes, Repairs(objects=(ObjectRepair(image="a.jpg", box=(0, 0, 12, 10)),)))
    with pytest.raises(ConfigError, match="images with one class"):
        repaired(boxes, Repairs(labels={"a.jpg": "cat"}))


def test_record_and_back():
    told = {"drop": ["a.jpg"], "labels": {"b.jpg": "cat"},
            "objects": [{"image": "c.jpg", "box": [0.0, 0.0, 9.0, 9.0], "label": None}]}  # fmt: skip
    assert Repairs.from_record(told).record() == told
    assert Repairs().record() == {}
