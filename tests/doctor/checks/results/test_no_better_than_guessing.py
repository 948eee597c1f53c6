"""R2 (DX-002): models that a constant answer would match."""

import numpy as np
import torch
from tests.doctor.results import boxes, checked, only, painted, run_of, sure, told

from snellen.doctor import Level, Status
from snellen.structures import ClassScores, Detections, SegmentationMap, ValueEstimates, ValueTarget


def test_always_the_frequent_class():
    pairs = [sure(int(place < 5), 0) for place in range(100)]
    result = checked("R2", run_of(ClassScores, {"test": pairs}))
    assert only(result).level == Level.WARNING
    assert told(result) == "balanced accuracy is 50.0 (50.0 to 50.0); a constant answer has 50.0."


def test_answers_that_contradict_the_labels():
    pairs = [sure(place % 3, (place + 1) % 3, num_classes=3) for place in range(90)]
    finding = only(checked("R2", run_of(ClassScores, {"test": pairs}, classes=("a", "b", "c"))))
    assert (finding.level, finding.message) == (Level.ERROR, "below")


def test_a_weak_model_is_better_than_nothing():
    rng = np.random.default_rng(0)
    pairs = [sure(place % 2, place % 2 if rng.random() < 0.75 else 1 - place % 2) for place in range(200)]
    assert checked("R2", run_of(ClassScores, {"test": pairs})).status == Status.PASSED


def test_a_detector_that_finds_nothing():
    pairs = [boxes([((50, 50, 60, 60), 0.9, 0)], [((0, 0, 20, 20), 0)]) for _ in range(60)]
    assert only(checked("R2", run_of(Detections, {"test": pairs}))).level == Level.WARNING
    pairs = [boxes([((0, 0, 20, 20), 0.9, 0)], [((0, 0, 20, 20), 0)]) for _ in range(60)]
    assert checked("R2", run_of(Detections, {"test": pairs})).status == Status.PASSED


def placed(seed, *, order=None):
    """Images with three objects each, and detections that fit them, of the image at ``order``."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 80, (40, 3, 2))
    truths = [[((x, y, x + 20, y + 20), 0) for x, y in rows.tolist()] for rows in corners]
    said = truths if order is None else [truths[place] for place in order]
    return [boxes([(box, 0.9, label) for box, label in found], truth)
            for found, truth in zip(said, truths, strict=True)]  # fmt: skip


def test_a_detector_whose_answers_were_shuffled():
    """Some boxes of other images lie well by chance, so that the figure is not zero."""
    order = np.random.default_rng(1).permutation(40).tolist()
    finding = only(checked("R2", run_of(Detections, {"test": placed(0, order=order)})))
    assert (finding.level, finding.message) == (Level.WARNING, "others")
    assert 0 < finding.limit.value < 0.1
    assert checked("R2", run_of(Detections, {"test": placed(0)})).status == Status.PASSED


def test_scores_turned_round_are_no_answers_of_others():
    """Boxes anywhere are surest, so that answers of others are worth as much; but each image has its own, too."""
    rng = np.random.default_rng(0)
    pairs = []
    for rows in rng.uniform(0, 80, (40, 3, 2)).tolist():
        truth = [((x, y, x + 20, y + 20), 0) for x, y in rows]
        anywhere = [((x, y, x + 20, y + 20), 0.9, 0) for x, y in rng.uniform(0, 80, (25, 2)).tolist()]
        nothing = [((1, 1, 3, 3), 0.5, 0)] * 300
        pairs.append(boxes([*anywhere, *nothing, *((box, 0.1, label) for box, label in truth)], truth))
    assert "others" not in {found.message for found in checked("R2", run_of(Detections, {"test": pairs})).findings}


def test_a_weak_detector_is_better_than_answers_of_others():
    pairs = placed(0)
    spoiled = placed(0, order=np.random.default_rng(1).permutation(40).tolist())
    mixed = [own if place % 5 == 0 else other for place, (own, other) in enumerate(zip(pairs, spoiled, strict=True))]
    assert checked("R2", run_of(Detections, {"test": mixed})).status == Status.PASSED


def test_a_map_that_is_one_class():
    truth = np.zeros((40, 40), int)
    truth[:10] = 1
    assert (
        only(checked("R2", run_of(SegmentationMap, {"test": [painted(truth * 0, truth)] * 12}))).level == Level.WARNING
    )
    assert checked("R2", run_of(SegmentationMap, {"test": [painted(truth, truth)] * 12})).status == Status.PASSED
    patched = truth * 0
    patched[:1, :20] = 1  # a twentieth of the thing
    assert only(checked("R2", run_of(SegmentationMap, {"test": [painted(patched, truth)] * 12}))).level == Level.WARNING


def test_values_that_are_their_mean():
    def pairs(scale):
        values = torch.linspace(0, 1, 60)
        return [
            (ValueEstimates(values=scale * value[None] + 0.5 * (1 - scale)),
             ValueTarget(values=value[None], known=torch.ones(1, dtype=torch.bool)))
            for value in values
        ]  # fmt: skip

    assert only(checked("R2", run_of(ValueEstimates, {"test": pairs(0.0)}, classes=("age",)))).level == Level.WARNING
    assert checked("R2", run_of(ValueEstimates, {"test": pairs(0.9)}, classes=("age",))).status == Status.PASSED


def test_few_images_are_not_judged():
    assert checked("R2", run_of(ClassScores, {"test": [sure(0, 0), sure(1, 0)]})).status == Status.NOT_CHECKABLE


def test_answers_at_random_are_no_better_than_one():
    rng = np.random.default_rng(0)
    pairs = [sure(int(label), int(name), num_classes=10) for label, name in rng.integers(0, 10, (600, 2))]
    finding = only(checked("R2", run_of(ClassScores, {"test": pairs}, classes=tuple("abcdefghij"))))
    assert finding.level == Level.WARNING
