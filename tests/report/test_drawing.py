import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from snellen.errors import InputError, ShapeError
from snellen.report import ImageCard, contact_sheet, draw, objects
from snellen.report.palette import class_color
from snellen.structures import BoxTarget, ClassScores, ClassTarget, Detections, MaskTarget, SegmentationMap

CLASSES = ("cat", "dog")


def _gray(height, width, value=90):
    return torch.full((3, height, width), value, dtype=torch.uint8)


def _detections(boxes, scores=None, labels=None, masks=None):
    count = len(boxes)
    return Detections(
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        scores=torch.tensor(scores if scores is not None else [0.9] * count),
        labels=torch.tensor(labels if labels is not None else [0] * count, dtype=torch.int64),
        masks=masks,
    )


def _target(boxes, labels, ignored, valid=None):
    return BoxTarget(
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels, dtype=torch.int64),
        valid=torch.tensor(valid if valid is not None else [True] * len(labels), dtype=torch.bool),
        ignored=torch.tensor(ignored, dtype=torch.bool),
    )


def _has_color(image, color):
    return bool((np.asarray(image) == np.array(color, dtype=np.uint8)).all(-1).any())


def test_box_lies_where_it_was_said_to_lie():
    drawn = np.asarray(draw(_gray(400, 600), _detections([[100, 150, 300, 350]], labels=[1]), CLASSES))
    color = np.array(class_color(1), dtype=np.uint8)
    rows, columns = np.nonzero((drawn[140:] == color).all(-1))  # below the label
    assert (columns.min(), columns.max()) == (100, 300)
    assert rows.max() + 140 == 350
    assert (drawn[200:300, 150:250] == 90).all()


def test_enlarged_and_reduced_images_carry_the_boxes_along():
    small = draw(_gray(20, 32), _detections([[8, 5, 24, 15]]), CLASSES)
    assert small.size == (320, 200)
    assert small.getpixel((80, 100)) == class_color(0)
    large = draw(_gray(500, 1000), _detections([[100, 100, 900, 400]]), CLASSES, largest_px=500)
    assert large.size == (500, 250)
    assert large.getpixel((50, 120)) == class_color(0)


def test_a_drawing_keeps_the_size_of_an_ordinary_image():
    assert draw(_gray(480, 640), _detections([]), CLASSES).size == (640, 480)


def test_scores_below_the_floor_are_counted_not_drawn():
    prediction = _detections([[10, 60, 200, 200], [220, 60, 390, 200]], scores=[0.8, 0.1], labels=[0, 1])
    drawn = draw(_gray(300, 400), prediction, CLASSES)
    assert _has_color(drawn, class_color(0))
    assert not _has_color(drawn, class_color(1))
    assert drawn.getpixel((1, 298)) == (0, 0, 0)
    assert _has_color(draw(_gray(300, 400), prediction, CLASSES, min_score=0.05), class_color(1))


def test_ignored_objects_are_gray_and_padding_is_absent():
    boxes = [[10, 60, 100, 200], [120, 60, 220, 200], [240, 60, 390, 200]]
    drawn = draw(_gray(300, 400), _target(boxes, [0, 1, 2], [False, True, False], [True, True, False]), CLASSES)
    assert _has_color(drawn, class_color(0))
    assert _has_color(drawn, (170, 170, 170))
    assert not _has_color(drawn, class_color(1))
    assert not _has_color(drawn, class_color(2))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-500, 900), min_size=4, max_size=4),
    st.sampled_from(["a", "long " * 60, "中文类别", "كلب", "हिन्दी 🐶", "", "a\nb\x00"]),
    st.sampled_from([(1, 1), (2, 300), (300, 2), (40, 60), (320, 480)]),
)
def test_labels_never_leave_the_canvas(box, name, size):
    spots = []
    original = ImageDraw.ImageDraw.text

    def text(self, place, words, **keywords):
        spots.append((self.im.size, self.textbbox(place, words, font=keywords["font"])))
        return original(self, place, words, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImageDraw.ImageDraw, "text", text)
        draw(_gray(*size), _detections([box]), (name,))
    assert len(spots) == (0 if size == (300, 2) else 1)  # no letter is that narrow
    for (width, height), (left, top, right, bottom) in spots:
        assert left >= -1
        assert right <= width + 1
        if min(size) >= 40:
            assert top >= -1
            assert bottom <= height + 1


def test_labels_of_neighbours_do_not_hide_each_other(monkeypatch):
    spots = []
    write = objects._write_label
    monkeypatch.setattr(objects, "_write_label", lambda *args: spots.append(write(*args)) or spots[-1])
    draw(
        _gray(480, 640),
        _detections([[100, 100, 300, 300], [102, 101, 305, 290], [101, 99, 280, 330]]),
        CLASSES,
    )
    assert len(spots) == 3
    for place, first in enumerate(spots):
        for second in spots[place + 1 :]:
            assert not objects._overlap(first, second)


def test_broken_boxes_are_shown_not_fatal():
    boxes = [[50, 50, 10, 10], [float("nan"), 0, 5, 5], [float("inf"), 0, 1, 1], [-1e9, -1e9, 1e9, 1e9]]
    assert draw(_gray(100, 400), _detections(boxes), CLASSES).size == (400, 100)


def test_masks_are_tinted_only_inside():
    masks = torch.zeros(1, 200, 400, dtype=torch.uint8)
    masks[0, 100:150, 100:200] = 1
    drawn = np.asarray(draw(_gray(200, 400), _detections([[100, 100, 200, 150]], masks=masks), CLASSES))
    expected = np.round(0.55 * 90 + 0.45 * np.array(class_color(0)))
    assert np.allclose(drawn[125, 150], expected, atol=1)
    assert (drawn[170:, 300:] == 90).all()


def test_label_map_has_colors_and_a_legend_below():
    labels = torch.zeros(200, 400, dtype=torch.uint8)
    labels[:, 200:] = 1
    labels[150:] = 255
    for what in (MaskTarget(labels=labels), SegmentationMap(labels=labels, confidence=torch.ones(200, 400))):
        drawn = draw(_gray(200, 400), what, CLASSES)
        assert drawn.size[0] == 400
        assert drawn.size[1] > 200
        for place, color in (
            ((50, 50), class_color(0)),
            ((350, 50), class_color(1)),
            ((50, 190), (170, 170, 170)),
        ):
            expected = np.round(0.55 * 90 + 0.45 * np.array(color))
            assert np.allclose(drawn.getpixel(place), expected, atol=1)
        legend = drawn.crop((0, 200, *drawn.size))
        assert all(_has_color(legend, color) for color in (class_color(0), class_color(1), (170, 170, 170)))


def test_class_strip_lies_below_the_image_with_bars_as_long_as_the_shares():
    drawn = draw(_gray(200, 400), ClassScores(probs=torch.tensor([0.25, 0.75])), CLASSES)
    assert (np.asarray(drawn)[:200] == 90).all()
    bars = (np.asarray(drawn)[200:] == np.array([66, 71, 80])).all(-1)
    rows = np.flatnonzero(bars.any(1))
    assert abs(bars[rows[0]].sum() / 400 - 0.75) < 0.01
    assert abs(bars[rows[-1]].sum() / 400 - 0.25) < 0.01
    truth = draw(_gray(200, 400), ClassTarget(probs=torch.tensor([0.0, 1.0])), CLASSES)
    assert truth.height < drawn.height


def test_wrong_arguments_are_explained():
    with pytest.raises(ShapeError, match=r"\[3, height, width\]; got \[1, 20, 20\]"):
        draw(torch.zeros(1, 20, 20, dtype=torch.uint8), _detections([]), CLASSES)
    with pytest.raises(InputError, match="got dict"):
        draw(_gray(20, 20), {}, CLASSES)
    with pytest.raises(ShapeError, match=r"image's size \[40, 50\]; got \[10, 10\]"):
        draw(_gray(40, 50), MaskTarget(labels=torch.zeros(10, 10, dtype=torch.uint8)), CLASSES)


def test_inputs_stay_as_they_were():
    image, prediction = _gray(100, 400), _detections([[5, 5, 50, 50]])
    draw(image, prediction, CLASSES)
    assert (image == 90).all()
    assert prediction.boxes.tolist() == [[5, 5, 50, 50]]


def test_contact_sheet_holds_every_tile():
    red, blue = Image.new("RGB", (600, 400), (255, 0, 0)), Image.new("RGB", (20, 300), (0, 0, 255))
    cards = [
        ImageCard(caption="x" * 200, truth=red, prediction=blue),
        ImageCard(caption="语言 हिन्दी", prediction=blue),
        ImageCard(caption="nothing"),
    ]
    sheet = contact_sheet(cards, columns=2, tile_px=100)
    assert sheet.width == 2 * 108 + 8
    pixels = np.asarray(sheet)
    assert abs((pixels == (255, 0, 0)).all(-1).sum() - 100 * 67) < 400
    assert (pixels == (0, 0, 255)).all(-1).sum() > 2 * 6 * 95
    assert contact_sheet([]).size[0] > 0


def test_real_annotations_are_drawn(shared_data):
    folder = shared_data / "coco" / "val80"
    found = sorted((shared_data / "coco").glob("*val80*.json"))
    if not folder.is_dir() or not found:
        pytest.skip("no COCO sample here")
    data = json.loads(found[0].read_text())
    names = {category["id"]: (place, category["name"]) for place, category in enumerate(data["categories"])}
    record = data["images"][0]
    path = next(shared_data.joinpath("coco").rglob(record["file_name"]))
    rows = [row for row in data["annotations"] if row["image_id"] == record["id"]]
    boxes = [[x, y, x + w, y + h] for x, y, w, h in (row["bbox"] for row in rows)]
    labels = [names[row["category_id"]][0] for row in rows]
    image = torch.from_numpy(np.asarray(Image.open(path).convert("RGB")).copy()).permute(2, 0, 1)
    drawn = draw(image, _target(boxes, labels, [bool(row["iscrowd"]) for row in rows]), [n for _, n in names.values()])
    assert drawn.size == (record["width"], record["height"])
    assert all(
        _has_color(drawn, class_color(label)) for label, row in zip(labels, rows, strict=True) if not row["iscrowd"]
    )
