"""D15 (DX-011)."""

import numpy as np
import pytest
from PIL import ImageOps

from snellen.data import BoxTable, MaskTable
from snellen.data.sharing import Strings
from snellen.doctor import Level


def two_copies(gallery, labels=(0, 0)):
    path = gallery.add(gallery.photo(1), label=labels[0])
    gallery.add(path.read_bytes(), label=labels[1])
    gallery.add_all(gallery.photos(3, first=10))


def test_copies_of_one_label_pass(gallery):
    two_copies(gallery)
    assert gallery.said("D15") == []


def test_another_class_contradicts(gallery):
    two_copies(gallery, (0, 2))
    (finding,) = gallery.result("D15").findings
    assert finding.level == Level.ERROR
    assert gallery.said("D15") == ["1 exact copies among 5 images have another class than their twin."]
    assert finding.places[0].twin == "train/0001.jpg"


def test_an_unknown_class_contradicts_nothing(gallery):
    two_copies(gallery, (0, -1))
    assert gallery.said("D15") == []


def test_near_copies_of_another_class(gallery):
    gallery.add_all(gallery.photos(4))
    gallery.add(ImageOps.mirror(gallery.photo(2)), label=1)
    (finding,) = gallery.result("D15").findings
    assert (finding.level, finding.message) == (Level.WARNING, "near")


def boxes_of_two(first, second):
    rows = [*first, *second]
    return BoxTable(
        offsets=np.array([0, len(first), *[len(rows)] * 4]),
        boxes=np.array([box for box, _ in rows], np.float32).reshape(-1, 4),
        labels=np.array([label for _, label in rows], np.int32),
        flags=np.zeros(len(rows), np.uint8),
    )


CAT, DOG = ((10, 10, 60, 60), 0), ((70, 20, 120, 90), 1)


@pytest.mark.parametrize(
    ("second", "fires"),
    [
        ((CAT, DOG), False),
        ((DOG, CAT), False),
        ((((12, 11, 61, 58), 0), DOG), False),
        ((CAT,), True),
        ((CAT, ((70, 20, 120, 90), 2)), True),
        ((CAT, ((120, 90, 190, 140), 1)), True),
        ((CAT, CAT), True),
    ],
)
def test_objects_of_copies(gallery, second, fires):
    two_copies(gallery)
    found = gallery.result("D15", gallery.index(boxes_of_two((CAT, DOG), second))).findings
    assert [(finding.level, finding.message) for finding in found] == [(Level.WARNING, "objects")] * fires


@pytest.mark.parametrize(("rows", "fires"), [(0, False), (30, True)])
def test_masks_of_copies(gallery, tmp_path, rows, fires):
    from PIL import Image

    two_copies(gallery)
    for number in range(5):
        mask = np.zeros((150, 200), np.uint8)
        mask[: rows if number == 1 else 0] = 1
        Image.fromarray(mask).save(gallery.root / f"mask{number}.png")
    table = MaskTable(
        paths=Strings.pack([f"mask{number}.png" for number in range(5)]),
        values=np.array([0, 1], np.int32),
        labels=np.array([0, 1], np.uint8),
    )
    assert bool(gallery.result("D15", gallery.index(table)).findings) == fires
