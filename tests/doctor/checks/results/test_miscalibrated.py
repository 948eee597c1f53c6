"""R7: confidence that does not mean what it says, and how rarely honest confidence is told of."""

import numpy as np
from tests.doctor.results import boxes, checked, only, run_of, sure, told

from snellen.doctor import Level, Status
from snellen.structures import ClassScores, Detections


def run(confidence_of, number=300, *, seed=0, options=None, right_share=0.8):
    rng = np.random.default_rng(seed)
    pairs = []
    for place in range(number):
        confidence = confidence_of(rng)
        share = right_share if right_share is not None else confidence
        right = rng.random() < share
        pairs.append(sure(place % 2, place % 2 if right else 1 - place % 2, confidence=confidence))
    return run_of(ClassScores, {"test": pairs}, options=options or {})


def test_answers_that_are_too_sure():
    result = checked("R7", run(lambda rng: 0.99, options={"label_smoothing": 0.0}))
    finding = only(result)
    assert (finding.level, finding.message) == (Level.WARNING, "sure_images")
    assert finding.treatment.settings == {"model_options": {"label_smoothing": 0.1}}
    assert told(result).startswith("Answers are too sure: confidence 99.0, right 73.7 in the mean (300 images)")


def test_answers_that_are_not_sure_enough():
    finding = only(checked("R7", run(lambda rng: 0.55)))
    assert (finding.message, finding.treatment) == ("unsure_images", None)


def test_honest_answers_are_hardly_ever_told_of():
    """The plain error of 120 honest answers is above 0.05 nearly always; 60 runs."""
    found = 0
    for seed in range(60):
        made = run(lambda rng: rng.uniform(0.5, 1), 120, seed=seed, right_share=None)
        found += bool(checked("R7", made).findings)
    assert found <= 1


def test_scores_of_boxes_are_told_without_warning():
    pairs = [
        boxes([((10, 10, 30, 30), 0.9, 0), ((60, 60, 80, 80), 0.85, 0)], [((10, 10, 30, 30), 0)]) for _ in range(80)
    ]
    finding = only(checked("R7", run_of(Detections, {"test": pairs})))
    assert (finding.level, finding.message) == (Level.INFO, "sure_boxes")


def test_few_answers_are_not_judged():
    assert checked("R7", run(lambda rng: 0.99, 40)).status == Status.NOT_CHECKABLE


def test_confidence_that_does_not_rank():
    rng = np.random.default_rng(3)
    made = run(lambda rng: float(rng.uniform(0.5, 1)), 1500)
    finding = only(checked("R7", made))  # right 8 of 10 times, whatever the confidence
    assert (finding.level, finding.message) == (Level.WARNING, "unranked_images")
    pairs = []
    for _ in range(500):
        scores = rng.uniform(0.1, 0.9, 2)
        pairs.append(
            boxes([((10, 10, 30, 30), scores[0], 0), ((60, 60, 80, 80), scores[1], 0)], [((10, 10, 30, 30), 0)])
        )
    assert only(checked("R7", run_of(Detections, {"test": pairs}))).message == "unranked_boxes"
