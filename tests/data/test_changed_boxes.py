"""What reading clips or leaves out is kept as it was written."""

from dataclasses import replace

import numpy as np
import pytest

from snellen.data import load
from snellen.data.turning import turned_objects

BOX = {"id": 1, "image_id": 1, "category_id": 7, "bbox": [5, 5, 10, 10], "area": 100, "iscrowd": 0}


def kept(index):
    changed = index.annotations.changed
    return [(*row, str(code), int(image), int(label)) for row, code, image, label in
            zip(changed.boxes.tolist(), changed.codes, changed.images, changed.labels, strict=True)]  # fmt: skip


def test_boxes_that_coco_states_wrongly(make):
    clipped = BOX | {"id": 2, "image_id": 2, "category_id": 90, "bbox": [30, 20, 30, 30]}
    flat, outside = BOX | {"id": 3, "bbox": [3, 3, 0, 5]}, BOX | {"id": 4, "bbox": [50, 5, 9, 9]}
    index = load(make.coco([BOX, clipped, flat, outside]))
    assert kept(index) == [
        (3, 3, 3, 8, "box-degenerate", 0, 0),
        (50, 5, 59, 14, "box-outside", 0, 0),
        (30, 20, 60, 50, "box-clipped", 1, 1),
    ]
    assert len(index.annotations.boxes) == 2


def test_lines_of_yolo_that_are_no_objects(make):
    index = load(make.yolo("0 20 15 10 10\n5 0.5 0.5 0.2 0.2\n1 0.5 0.5 0.5 0.5\n"))
    (pixels, stranger) = kept(index)
    assert pixels == (600, 300, 1000, 600, "coordinates-not-normalised", 0, 0)
    assert stranger[:4] == pytest.approx((16, 12, 24, 18))
    assert stranger[4:] == ("class-out-of-range", 0, 5)


def test_follow_their_images(make):
    index = load(make.coco([BOX | {"image_id": 2, "bbox": [3, 3, 0, 5]}, BOX | {"id": 2}]))
    assert [row[5] for row in kept(index)] == [1]
    assert [row[5] for row in kept(index.select([1]))] == [0]
    assert kept(index.select([0])) == []


def test_turn_with_their_images(make):
    index = load(make.coco([BOX | {"bbox": [30, 20, 30, 5]}, BOX | {"id": 2, "bbox": [4, 9, -3, 5]}]))
    table = turned_objects(index.annotations, {0: (6, (30, 40))})
    assert kept(replace(index, annotations=table)) == [
        (21, 4, 16, 1, "box-degenerate", 0, 0),
        (5, 30, 10, 60, "box-clipped", 0, 0),
    ]
    assert np.array_equal(table.boxes, [[5, 30, 10, 40]])
