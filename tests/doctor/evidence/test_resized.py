"""Objects once images have their planned size, against the transforms that will resize them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from snellen.data import BoxTable, DatasetIndex, evaluation_transform
from snellen.data.sharing import Strings
from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.labels import objects_of
from snellen.doctor.evidence.resized import resized_objects
from snellen.doctor.evidence.setup import Setup
from snellen.structures import BoxTarget, Sample

SIZES = [(48, 200), (300, 100), (128, 128), (200, 30)]


def index(flags=(0, 0, 0, 0), splits=(-1,) * 4, names=()):
    boxes = np.array([[4, 6, width / 2, height / 3] for height, width in SIZES], np.float32)
    return DatasetIndex(
        root=Path("photos"),
        format="coco",
        classes=("cat",),
        paths=Strings.pack(list("abcd")),
        annotations=BoxTable(
            offsets=np.arange(5), boxes=boxes, labels=np.zeros(4, np.int32), flags=np.array(flags, np.uint8)
        ),
        sizes=np.array(SIZES, np.int32),
        splits=np.array(splits, np.int16),
        split_names=names,
    )


@pytest.mark.parametrize("resize", ["short", "letterbox", "square"])
def test_is_what_the_transforms_do(resize):
    data = index()
    found = resized_objects(data, objects_of(data), Setup(image_size=96, resize=resize))
    transform = evaluation_transform(BoxTarget, 96, resize=resize)
    for row, (height, width) in enumerate(SIZES):
        target = data.target(row, (height, width))
        image = torch.zeros(3, height, width, dtype=torch.uint8)
        sample = Sample(image=image, target=target, index=row, source="a", original_size=(height, width))
        moved = transform(sample, torch.Generator())
        assert found.boxes[row] == pytest.approx(moved.target.boxes[0].numpy(), abs=1e-3)
        if resize != "letterbox":  # whose canvas is padded
            assert tuple(found.canvas[row]) == pytest.approx(tuple(moved.image.shape[1:]), abs=1e-3)


def test_leaves_out_crowds_and_other_splits():
    data = index(flags=(1, 0, 0, 0), splits=(0, 0, 1, 0), names=("train", "val"))
    assert resized_objects(data, objects_of(data), Setup(image_size=96, resize="short")).rows.tolist() == [1, 3]


@pytest.mark.parametrize("setup", [Setup(), Setup(image_size=96), Setup(resize="short")])
def test_needs_a_planned_size(setup):
    data = index()
    with pytest.raises(NotCheckable, match="not known"):
        resized_objects(data, objects_of(data), setup)
