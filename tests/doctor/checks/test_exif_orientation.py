"""D2."""

import numpy as np
import pytest
from PIL import Image

from snellen.data import BoxTable
from snellen.doctor import Level


def turned(gallery, orientation=6, size=(120, 80)):
    exif = Image.Exif()
    exif[0x0112] = orientation
    gallery.add(gallery.photo(len(gallery.rows), size), exif=exif)


def boxes(*corners):
    table = np.array(corners, np.float32).reshape(-1, 4)
    return BoxTable(
        offsets=np.arange(len(table) + 1),
        boxes=table,
        labels=np.zeros(len(table), np.int32),
        flags=np.zeros(len(table), np.uint8),
    )


def test_upright_images_pass(gallery):
    gallery.add_all(gallery.photos(2))
    assert gallery.said("D2") == []


def test_turned_images_are_told(gallery):
    gallery.add(gallery.photo(1))
    turned(gallery, 3)
    (finding,) = gallery.result("D2").findings
    assert finding.level == Level.INFO
    assert "1 of 2 images are turned" in gallery.said("D2")[0]


def test_labels_of_the_stored_size_contradict(gallery):
    turned(gallery)
    turned(gallery)
    index = gallery.index(sizes=[(80, 120), (120, 80)])  # that of the stored pixels; that of the shown ones
    (finding,) = gallery.result("D2", index).findings
    assert finding.level == Level.ERROR
    assert [place.name for place in finding.places] == ["train/0000.jpg"]
    assert finding.places[0].note == "120 x 80 -> 80 x 120, EXIF 6"
    assert gallery.said("D2", index) == [
        "1 of 2 images are turned by their EXIF orientation, but their labels are those of the image before the turn."
    ]


@pytest.mark.parametrize(
    ("box", "level"),
    [((60, 10, 118, 70), Level.ERROR), ((10, 60, 70, 118), Level.INFO), ((60, 10, 300, 70), Level.INFO)],
)
def test_boxes_tell_where_no_size_is_stated(gallery, box, level):
    turned(gallery)
    (finding,) = gallery.result("D2", gallery.index(boxes(box))).findings
    assert finding.level == level


def test_square_images_cannot_be_told(gallery):
    turned(gallery, size=(90, 90))
    (finding,) = gallery.result("D2", gallery.index(sizes=[(90, 90)])).findings
    assert finding.level == Level.INFO
