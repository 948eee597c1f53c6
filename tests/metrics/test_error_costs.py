"""What each kind of error costs a detector: by hand, against COCO's evaluation of mended detections, against tidecv."""

import numpy as np
import pytest
import torch

from snellen.metrics import DetectionErrors, ErrorKind, ImageObjects, coco_summary, error_costs, match_images
from snellen.metrics import mended_precision as mended
from snellen.metrics import sort_errors as sort_matched
from snellen.structures import BoxTarget, Detections

A = (0.0, 0.0, 10.0, 10.0)
FAR = (50.0, 50.0, 60.0, 60.0)
LOOSE = (0.0, 0.0, 10.0, 30.0)  # IoU 1/3 with A


def image(found, wanted, ignored=()):
    """Return an image from (box, score, label) of detections and (box, label) of truths."""
    boxes = torch.tensor([box for box, *_ in found], dtype=torch.float32).reshape(-1, 4)
    truths = torch.tensor([box for box, _ in wanted], dtype=torch.float32).reshape(-1, 4)
    flags = torch.zeros(len(wanted), dtype=torch.bool)
    flags[list(ignored)] = True
    return ImageObjects.of(
        Detections(
            boxes=boxes,
            scores=torch.tensor([score for _, score, _ in found], dtype=torch.float64),
            labels=torch.tensor([label for *_, label in found], dtype=torch.int64),
        ),
        BoxTarget(
            boxes=truths,
            labels=torch.tensor([label for _, label in wanted], dtype=torch.int64),
            valid=torch.ones(len(wanted), dtype=torch.bool),
            ignored=flags,
        ),
    )


def sort_errors(images, num_classes=2) -> DetectionErrors:
    return sort_matched(match_images(images, iou_at_least=0.5), num_classes=num_classes, iou_at_least=0.5)


@pytest.mark.parametrize(
    ("found", "wanted", "kinds"),
    [
        ([(A, 0.9, 0)], [(A, 0)], [""]),
        ([(A, 0.9, 1)], [(A, 0)], ["class"]),
        ([(LOOSE, 0.9, 0)], [(A, 0)], ["place"]),
        ([(LOOSE, 0.9, 1)], [(A, 0)], ["both"]),
        ([(A, 0.9, 0), (A, 0.8, 0)], [(A, 0)], ["", "duplicate"]),
        ([(FAR, 0.9, 0)], [(A, 0)], ["background"]),
        ([(A, 0.9, 0)], [], ["background"]),
        # Place comes before class: it could be mended without another class.
        ([(LOOSE, 0.9, 0)], [(A, 0), (LOOSE, 1)], ["place"]),
    ],
)
def test_kinds_by_hand(found, wanted, kinds):
    """DX-088, DX-090: sections 3.1 of Bolya et al. 2020."""
    assert sort_errors([image(found, wanted)]).kinds.tolist() == kinds


def test_missed_are_those_that_nothing_could_be_mended_to_find():
    errors = sort_errors([image([(LOOSE, 0.9, 0), (FAR, 0.8, 1)], [(A, 0), (FAR, 0), ((80, 80, 90, 90), 1)])])
    assert errors.missed.tolist() == [[0, 1]]
    assert errors.count(ErrorKind.MISSED) == 1


def test_ignored_truths_and_what_lies_on_them_count_for_nothing():
    errors = sort_errors([image([(A, 0.9, 0), (FAR, 0.8, 0)], [(A, 0), (FAR, 0)], ignored=(1,))])
    assert errors.kinds.tolist() == [""]
    assert errors.wanted.tolist() == [[1, 0]]


def test_costs_by_hand():
    """One of two truths is found, the other under a wrong class with the higher score: AP of both classes by hand."""
    errors = sort_errors([image([(FAR, 0.9, 1), (A, 0.8, 0)], [(A, 0), (FAR, 0)])])
    total, costs = error_costs(errors)
    half = 51 / 101  # recall 0 .. 0.50 of 101 at precision 1
    assert total.cost == pytest.approx(half)
    assert total.count == 2
    assert costs[ErrorKind.CLASS].cost == pytest.approx(1 - half)
    assert costs[ErrorKind.CLASS].count == 1
    assert all(costs[kind].cost == 0 for kind in ErrorKind if kind is not ErrorKind.CLASS)


def test_of_several_that_could_be_mended_the_best_is():
    errors = sort_errors([image([(LOOSE, 0.9, 0), ((0.0, 0.0, 10.0, 28.0), 0.8, 0)], [(A, 0)])])
    assert errors.kinds.tolist() == ["place", "place"]
    assert errors.mended.tolist() == [0, -1]


def test_a_detector_that_finds_nothing_misses_everything():
    total, costs = error_costs(sort_errors([image([], [(A, 0)]), image([], [(A, 0)])]))
    assert total.cost == 0
    assert costs[ErrorKind.MISSED].cost == 1


def test_one_image_has_no_interval():
    total, _ = error_costs(sort_errors([image([(A, 0.9, 0)], [(A, 0)])]))
    assert np.isnan(total.low)


def crowd(seed: int, num_images: int = 60, num_classes: int = 3):
    """Return images with every kind of error."""
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(num_images):
        corner, sides = rng.uniform(0, 100, (number := rng.integers(0, 6), 2)), rng.uniform(10, 40, (number, 2))
        truths, labels = np.concatenate([corner, corner + sides], 1), rng.integers(0, num_classes, number)
        found = []
        for box, label in zip(truths, labels, strict=True):
            for _ in range(rng.integers(0, 4)):
                moved = box + rng.normal(0, rng.choice([1, 6, 12]), 4)
                found.append((moved, label if rng.random() < 0.7 else rng.integers(0, num_classes)))
        for _ in range(rng.integers(0, 3)):
            place = rng.uniform(0, 100, 2)
            found.append((np.concatenate([place, place + rng.uniform(5, 40, 2)]), rng.integers(0, num_classes)))
        scores = rng.permutation(len(found)) / (len(found) + 1) + rng.random(len(found)) / 100
        rows = [
            ((box[0], box[1], max(box[2], box[0] + 1), max(box[3], box[1] + 1)), float(score), int(label))
            for (box, label), score in zip(found, scores, strict=True)
        ]
        images.append(image(rows, [(tuple(box), int(label)) for box, label in zip(truths, labels, strict=True)]))
    return images


def test_equals_tidecv():
    """Figures of tidecv 1.0.1 (fix_main_errors, count_errors) on the same 60 images."""
    total, costs = error_costs(sort_errors(crowd(0), 3), resamples=100)
    counts = {"class": 29, "place": 59, "both": 26, "duplicate": 19, "background": 81, "missed": 42}
    percent = {
        "class": 6.772836266383212,
        "place": 14.835402662141092,
        "both": 2.2939453422667206,
        "duplicate": 0.7458588469672094,
        "background": 5.472829130875947,
        "missed": 7.008653029285615,
    }
    assert 100 * total.cost == pytest.approx(19.11331082912963)
    assert {kind.value: costs[kind].count for kind in ErrorKind} == counts
    assert {kind.value: 100 * costs[kind].cost for kind in ErrorKind} == pytest.approx(percent)


@pytest.mark.parametrize("kind", [None, ErrorKind.DUPLICATE, ErrorKind.BACKGROUND, ErrorKind.BOTH, ErrorKind.PLACE])
def test_precision_after_mending_is_that_of_mended_detections(kind):
    """faster-coco-eval measures detections that were mended by hand."""
    images = crowd(1)
    errors = sort_errors(images, 3)
    by_hand = []
    for place, seen in enumerate(images):
        own = errors.images == place
        rows = []
        for row, is_kind, label, truth in zip(
            errors.rows[own],
            errors.kinds[own] == (kind.value if kind else "none"),
            errors.mended[own],
            errors.truths[own],
            strict=True,
        ):
            if is_kind and label < 0:
                continue
            box = seen.true_boxes[truth] if is_kind else seen.boxes[row]
            rows.append((tuple(box), float(seen.scores[row]), int(label if is_kind else seen.labels[row])))
        by_hand.append(
            image(
                rows, [(tuple(box), int(label)) for box, label in zip(seen.true_boxes, seen.true_labels, strict=True)]
            )
        )
    expected = coco_summary(by_hand, num_classes=3).figures()["AP50"]
    assert mended(errors, kind)[0] == pytest.approx(expected, abs=1e-9)


def test_weights_are_images_that_stand_several_times():
    images = crowd(2, num_images=8)
    weights = np.array([[2.0, 1, 1, 0, 1, 1, 1, 1]])
    errors = sort_errors(images, 3)
    repeated = sort_errors([images[0], *images[:3], *images[4:]], 3)
    for kind in (None, *ErrorKind):
        assert mended(errors, kind, weights)[0] == pytest.approx(mended(repeated, kind)[0], abs=0.01)
