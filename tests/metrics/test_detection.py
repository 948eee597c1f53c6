import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from snellen.errors import InputError
from snellen.metrics import BACKGROUND, COCO_NAMES, DetectionMetric

CLASSES = ("a", "b", "c")


def random_images(seed, num_images):
    """COCO truth and results with near misses, crowds, ties and all sizes, on whole and half pixels."""
    generator = np.random.default_rng(seed)
    annotations, results = [], []
    for image in range(1, num_images + 1):
        for _ in range(generator.integers(0, 7)):
            x, y = generator.integers(0, 40, 2).tolist()
            width, height = (generator.integers(1, 12, 2) ** 2).tolist()
            category = int(generator.integers(1, 4))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": category,
                    "bbox": [float(x), float(y), float(width), float(height)],
                    "area": float(width * height) * float(generator.choice([1.0, 0.5])),
                    "iscrowd": int(generator.random() < 0.15),
                }
            )
            for _ in range(generator.integers(0, 3)):
                shift = generator.integers(-4, 5, 4) / 2
                box = np.maximum(np.array([x, y, width, height]) + shift, 0.5).tolist()
                guess = category if generator.random() < 0.8 else int(generator.integers(1, 4))
                score = float(generator.integers(0, 17)) / 16
                results.append({"image_id": image, "category_id": guess, "bbox": box, "score": score})
    frame = {
        "info": {},
        "images": [{"id": image, "height": 200, "width": 200} for image in range(1, num_images + 1)],
        "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES, start=1)],
        "annotations": annotations,
    }
    return frame, results


def with_filled_masks(truth, results):
    from pycocotools import mask as codec

    for entry in truth["annotations"] + results:
        x, y, width, height = (int(side) for side in entry["bbox"])
        plane = np.zeros((200, 200), np.uint8, order="F")
        plane[y : y + height + 1, x : x + width + 1] = 1
        code = codec.encode(plane)
        entry["segmentation"] = {"size": code["size"], "counts": code["counts"].decode()}


def by_pycocotools(truth, results, kind):
    reference = COCO()
    reference.dataset = truth
    reference.createIndex()
    run = COCOeval(reference, reference.loadRes([dict(entry) for entry in results]), kind)
    run.evaluate()
    run.accumulate()
    run.summarize()
    return np.where(run.stats < 0, np.nan, run.stats)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), num_images=st.integers(1, 6))
def test_twelve_figures_equal_pycocotools(measure_coco, capsys, seed, num_images):
    """SYS-163, SYS-168."""
    truth, results = random_images(seed, num_images)
    if not results:
        return
    expected = by_pycocotools(truth, results, "bbox")
    scalars = measure_coco(truth, results).result().scalars
    np.testing.assert_allclose([scalars[name] for name in COCO_NAMES], expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of pycocotools under numpy 2
@pytest.mark.parametrize("seed", range(4))
def test_mask_figures_equal_pycocotools(measure_coco, capsys, seed):
    truth, results = random_images(seed, 4)
    with_filled_masks(truth, results)
    for entry in results:
        del entry["bbox"]
    expected = by_pycocotools(truth, results, "segm")
    scalars = measure_coco(truth, results, with_masks=True).result().scalars
    np.testing.assert_allclose([scalars[f"mask_{name}"] for name in COCO_NAMES], expected, atol=1e-6)


def test_more_than_100_detections_equal_pycocotools(measure_coco, capsys):
    generator = np.random.default_rng(0)
    truth, _ = random_images(3, 2)
    results = [
        {
            "image_id": int(generator.integers(1, 3)),
            "category_id": 1,
            "bbox": entry["bbox"],
            "score": float(np.float32(generator.random())),
        }
        for entry in truth["annotations"]
        for _ in range(60)
    ]
    expected = by_pycocotools(truth, results, "bbox")
    scalars = measure_coco(truth, results).result().scalars
    np.testing.assert_allclose([scalars[name] for name in COCO_NAMES], expected, atol=1e-6)


def test_order_of_images_and_merging_change_nothing(make_truth, make_found):
    generator = np.random.default_rng(1)
    rows = []
    for index in range(8):
        boxes = generator.integers(0, 50, (5, 2)).repeat(2, 1)[:, [0, 2, 1, 3]] + np.array([0, 0, 20, 20])
        truth = make_truth(boxes, generator.integers(0, 3, 5))
        found = make_found(
            boxes + generator.integers(-5, 5, (5, 4)), [0.5, 0.5, 0.4, 0.3, 0.2], generator.integers(0, 3, 5)
        )
        rows.append((found, truth, index))
    whole, backwards, first, second = (DetectionMetric(CLASSES) for _ in range(4))
    for found, truth, index in rows:
        whole.update([found], [truth], [index])
        (first if index % 3 else second).update([found], [truth], [index])
    for found, truth, index in rows[::-1]:
        backwards.update([found], [truth], [index])
    first.merge(second)
    assert repr(whole.result()) == repr(backwards.result()) == repr(first.result())  # nan differs from itself
    assert whole.result().scalars["AP"] > 0


def test_nothing_found_is_zero(make_truth, make_found):
    metric = DetectionMetric(CLASSES)
    metric.update([make_found([], [], [])], [make_truth([[0, 0, 50, 50]], [1])], [0])
    results = metric.result()
    assert (results.scalars["AP"], results.scalars["AR_100"], results.scalars["F1"]) == (0, 0, 0)
    assert results.scalars["VOC07_AP50"] == 0
    assert results.matrices[0].values[1][3] == 1
    assert results.per_image[0].quality == 0
    assert results.headline == "AP"


@pytest.mark.parametrize("images", [0, 2])
def test_nothing_to_find_is_nan_and_said(make_truth, make_found, images):
    metric = DetectionMetric(CLASSES)
    for index in range(images):
        metric.update([make_found([[0, 0, 9, 9]], [0.9], [0])], [make_truth([], [])], [index])
    results = metric.result()
    assert all(math.isnan(results.scalars[name]) for name in (*COCO_NAMES, "F1", "acuity_px", "VOC10_AP50"))
    assert "without a truth" in results.tables[0].note
    assert sum(results.matrices[0].values[3]) == images


def test_kinds_of_errors(make_truth, make_found):
    truth = make_truth(
        [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10], [80, 0, 99, 10]],
        [0, 1, 0, 0, 1],
        [False, False, False, False, True],
    )
    found = make_found(
        [
            [0, 0, 10, 10],  # correct
            [20, 0, 30, 10],  # class 0 on a truth of class 1
            [46, 0, 56, 10],  # overlaps the third by a quarter
            [0, 0, 10, 9],  # the first again
            [0, 50, 10, 60],  # nothing there
            [80, 0, 90, 10],  # half a crowd: counts for nothing
        ],
        [0.9, 0.9, 0.9, 0.9, 0.9, 0.9],
        [0, 0, 0, 0, 0, 1],
    )
    metric = DetectionMetric(CLASSES[:2])
    metric.update([found], [truth], [0])
    results = metric.result()
    table = next(table for table in results.tables if table.title == "Errors")
    assert [row[1] for row in table.rows] == [1, 1, 1, 1, 1, 3]
    assert results.matrices[0].column_names == ("a", "b", BACKGROUND)
    assert results.matrices[0].values == ((1.0, 0.0, 2.0), (1.0, 0.0, 0.0), (3.0, 0.0, 0.0))
    # 5 believed detections, 4 truths that count, 1 right.
    assert results.per_image[0].quality == pytest.approx(2 / 9)


def test_best_threshold_has_the_highest_f1(make_truth, make_found):
    """SYS-157, SYS-158, SYS-159."""
    boxes = [[x, 0, x + 10, 10] for x in (0, 20, 40, 60)]
    found = make_found([*boxes[:3], [90, 0, 99, 9]], [0.9, 0.8, 0.4, 0.6], [0, 0, 0, 0])
    metric = DetectionMetric(["a"])
    metric.update([found], [make_truth(boxes, [0] * 4)], [0])
    results = metric.result()
    # F1 at .9, .8, .6, .4: 2/5, 4/6, 4/7, 6/8.
    name, count, *_, precision, recall, f1, threshold = results.tables[0].rows[0]
    assert (name, count, precision, recall, f1) == ("a", 4, 0.75, 0.75, 0.75)
    assert threshold == pytest.approx(0.4)
    curve = results.curves[1].series[0]
    assert [curve.y[place] for place in (0, 40, 41, 61, 81, 91)] == pytest.approx([0.75, 0.75, 4 / 7, 4 / 6, 0.4, 0.0])
    assert results.scalars["F1_score_threshold"] <= 0.4


def test_acuity_is_read_from_heights_of_truths(make_truth, make_found):
    metric = DetectionMetric(["a"])
    for index in range(12):
        boxes = [[0, 0, 5, 8], [20, 0, 25, 32], [40, 0, 45, 64]]
        metric.update([make_found(boxes[1:], [0.9, 0.9], [0, 0])], [make_truth(boxes, [0] * 3)], [index])
    assert metric.result().scalars["acuity_px"] == 32


def test_padding_rows_do_not_count(make_truth, make_found):
    metric = DetectionMetric(["a"])
    padded = make_truth([[0, 0, 9, 9]], [0]).padded(5, None)
    metric.update([make_found([[0, 0, 9, 9]], [0.9], [0])], [padded], [0])
    assert metric.result().scalars["AP"] == pytest.approx(1.0)


def test_wrong_use_is_named(make_truth, make_found):
    metric = DetectionMetric(CLASSES)
    found, truth = make_found([[0, 0, 9, 9]], [0.9], [0]), make_truth([], [])
    metric.update([found], [truth], [7])
    with pytest.raises(InputError, match=r"rows \[7\] of the data set came twice"):
        metric.update([found], [truth], [7])
    with pytest.raises(InputError, match="got 1, 0 and 1"):
        metric.update([found], [], [8])
    with pytest.raises(InputError, match="1 nan among 1"):
        metric.update([make_found([[0, 0, 9, 9]], [torch.nan], [0])], [truth], [9])
    with pytest.raises(InputError, match="classes must be"):
        DetectionMetric(["a", "a"])
