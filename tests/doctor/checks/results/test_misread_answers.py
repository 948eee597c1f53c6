"""R22 and R23: answers that fit the truth once they are read otherwise, and those that are read rightly."""

import numpy as np
import pytest
from tests.doctor.results import box_table, boxes, checked, only, painted, run_of, sure, told

from snellen.doctor import Level, Status
from snellen.structures import ClassScores, Detections, SegmentationMap

CLASSES = ("ant", "bee", "cat", "dog")


def classified(order=(0, 1, 2, 3), *, right=0.9, number=200, step=0):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, number)
    named = [order[label if rng.random() < right else (label + 1) % 4] for label in labels]
    pairs = [sure(int(labels[row]), named[(row + step) % number], num_classes=4) for row in range(number)]
    return run_of(ClassScores, {"test": pairs}, classes=CLASSES)


def test_classes_in_another_order():
    result = checked("R22", classified((1, 2, 3, 0)))
    finding = only(result)
    assert (finding.level, finding.message) == (Level.ERROR, "classes")
    assert finding.numbers["shift"] == "—"  # the last counts from the beginning
    assert "bee = ant, cat = bee" in told(result)
    two = only(checked("R22", classified((1, 0, 2, 3))))
    assert (two.numbers["count"], two.numbers["shown"]) == (2, "ant = bee, bee = ant")


def test_classes_in_another_order_some_of_which_are_rare():
    """Each class is named as the one before it; the last, which closes the circle, is hardly ever there."""
    rng = np.random.default_rng(0)
    labels = rng.choice(6, 400, p=[0.2, 0.2, 0.2, 0.2, 0.195, 0.005])
    pairs = [sure(int(label), int((label - 1) % 6), num_classes=6) for label in labels]
    found = only(checked("R22", run_of(ClassScores, {"test": pairs}, classes=(*CLASSES, "eel", "fox"))))
    assert (found.message, found.numbers["count"], found.numbers["shift"]) == ("classes", 5, "—")
    # Two that are called by the names of others are no order of names.
    mixed = [sure(int(label), {0: 4, 1: 5}.get(int(label), int(label)), num_classes=6) for label in labels]
    assert checked("R22", run_of(ClassScores, {"test": mixed}, classes=(*CLASSES, "eel", "fox"))).findings == ()


@pytest.mark.parametrize("right", [0.95, 0.6])
def test_bad_answers_are_not_misread_ones(right):
    assert checked("R22", classified(right=right)).status == Status.PASSED
    chance = np.random.default_rng(2).integers(0, 4, (300, 2)).tolist()
    pairs = [sure(label, name, num_classes=4) for label, name in chance]
    assert checked("R22", run_of(ClassScores, {"test": pairs}, classes=CLASSES)).status == Status.PASSED


def test_two_classes_that_are_confused_are_not_exchanged():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, 400)
    named = [int(label ^ 1) if label < 2 and rng.random() < 0.45 else int(label) for label in labels]
    pairs = [sure(int(label), name, num_classes=4) for label, name in zip(labels, named, strict=True)]
    assert checked("R22", run_of(ClassScores, {"test": pairs}, classes=CLASSES)).status == Status.PASSED


@pytest.mark.parametrize(("step", "told_step"), [(1, "-1"), (-2, "+2")])
def test_answers_of_other_images(step, told_step):
    finding = only(checked("R22", classified(step=step)))
    assert (finding.message, finding.numbers["step"]) == ("image", told_step)


def scene(number=40, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(number):
        corner = rng.uniform(5, 55, (3, 2))
        extent = rng.uniform(12, 35, (3, 2))
        yield np.concatenate([corner, corner + extent], 1)


def detected(change, *, spread=0.6, number=40):
    rng = np.random.default_rng(1)
    pairs = []
    for wanted in scene(number):
        found = change(wanted + rng.normal(0, spread, wanted.shape))
        pairs.append(
            boxes(
                [(tuple(box), float(rng.uniform(0.5, 1)), place % 2) for place, box in enumerate(found)],
                [(tuple(box), place % 2) for place, box in enumerate(wanted)],
            )
        )
    return run_of(Detections, {"test": pairs}, annotations=box_table(pairs))


READINGS = {
    "corner_size": lambda b: np.concatenate([b[:, :2], b[:, 2:] - b[:, :2]], 1),
    "centre_size": lambda b: np.concatenate([(b[:, :2] + b[:, 2:]) / 2, b[:, 2:] - b[:, :2]], 1),
    "size_as_corner": lambda b: np.concatenate([b[:, :2], b[:, :2] + b[:, 2:]], 1),
    "axes": lambda b: b[:, [1, 0, 3, 2]],
    "mirrored": lambda b: np.stack([100 - b[:, 2], b[:, 1], 100 - b[:, 0], b[:, 3]], 1),
    "upside_down": lambda b: np.stack([b[:, 0], 100 - b[:, 3], b[:, 2], 100 - b[:, 1]], 1),
    "scale": lambda b: b / np.array([1.7, 0.6, 1.7, 0.6]),
}


@pytest.mark.parametrize("name", READINGS)
def test_boxes_in_another_format_or_frame(name):
    finding = only(checked("R22", detected(READINGS[name])))
    assert (finding.level, finding.message) == (Level.ERROR, name)
    if name == "scale":
        assert float(finding.numbers["across"]) == pytest.approx(1.7, rel=0.03)
        assert float(finding.numbers["down"]) == pytest.approx(0.6, rel=0.03)


def test_tall_objects_in_the_middle_upside_down():
    """Most of them lie well either way."""

    def pairs(turned):
        rng = np.random.default_rng(3)
        for _ in range(60):
            left, top = rng.uniform(0, 70), rng.choice([10, 12, 14, 30, 40])
            wanted = np.array([left, top, left + 25, top + 62])
            found = np.array([left, 100 - wanted[3], left + 25, 100 - top]) if turned else wanted
            yield boxes([(tuple(found), 0.9, 0)], [(tuple(wanted), 0)])

    turned, right = ([*pairs(is_turned)] for is_turned in (True, False))
    finding = only(checked("R22", run_of(Detections, {"test": turned}, annotations=box_table(turned))))
    assert finding.message == "upside_down"
    assert checked("R22", run_of(Detections, {"test": right}, annotations=box_table(right))).status == Status.PASSED


def test_boxes_that_are_read_rightly():
    assert checked("R22", detected(lambda b: b)).status == Status.PASSED
    assert checked("R23", detected(lambda b: b)).status == Status.PASSED
    rng = np.random.default_rng(5)
    nowhere = detected(lambda b: np.concatenate([(at := rng.uniform(0, 60, (len(b), 2))), at + 25], 1))
    assert checked("R22", nowhere).status == Status.PASSED


def test_boxes_that_are_all_displaced():
    moved = only(checked("R23", detected(lambda b: b + np.array([3, -2, 3, -2]))))
    assert (moved.level, moved.message) == (Level.WARNING, "boxes_moved")
    assert float(moved.numbers["right"]) == pytest.approx(3, abs=0.4)
    assert float(moved.numbers["down"]) == pytest.approx(-2, abs=0.4)
    extent = np.array([-1, -1, 1, 1]) * 0.1
    grown = only(checked("R23", detected(lambda b: b + np.tile(b[:, 2:] - b[:, :2], 2) * extent)))
    assert grown.message == "boxes_grown"
    assert grown.numbers["width"] in ("+19 %", "+20 %", "+21 %")
    assert checked("R22", detected(lambda b: b + 3)).status == Status.PASSED


def maps(change, number=20):
    rng = np.random.default_rng(0)
    pairs = []
    for _ in range(number):
        truth = np.zeros((60, 80), int)
        for label in (1, 2, 1):
            row, column, side = rng.integers(0, 40), rng.integers(0, 60), rng.integers(8, 20)
            truth[row : row + side, column : column + side] = label
        pairs.append(painted(change(truth), truth))
    return run_of(SegmentationMap, {"test": pairs}, classes=("background", "car", "tree"))


def test_maps_that_are_read_wrongly():
    assert only(checked("R22", maps(lambda m: np.array([1, 2, 0])[m]))).message == "classes"
    for name, turned in (("mirrored", np.fliplr), ("upside_down", np.flipud), ("half_turn", lambda m: m[::-1, ::-1])):
        assert only(checked("R22", maps(turned))).message == name
    moved = only(checked("R23", maps(lambda m: np.pad(m, ((2, 0), (0, 3)))[:-2, 3:])))
    assert (moved.message, moved.numbers["right"], moved.numbers["down"]) == ("moved", "-3", "+2")
    for code in ("R22", "R23"):
        assert checked(code, maps(lambda m: m)).status == Status.PASSED
        assert checked(code, maps(np.zeros_like)).status == Status.PASSED
