"""Calibration of answers against our own metric and scikit-learn, and of boxes by hand."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from tests.doctor.results import answer, boxes, run_of

from snellen.doctor.evidence.results.answers import answers
from snellen.doctor.evidence.results.calibration import confidence_of_answers, honest_errors, share_error
from snellen.doctor.evidence.results.objects import detected_objects
from snellen.metrics import expected_calibration_error
from snellen.structures import ClassScores, Detections


def test_equals_the_metric_and_the_bins_of_scikit_learn():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(4), 500)
    labels = np.array([rng.choice(4, p=row) for row in probs])
    scores, right = probs.max(1), probs.argmax(1) == labels
    assert share_error(scores, right) == pytest.approx(expected_calibration_error(probs, labels))
    shares, confidence = calibration_curve(right, scores, n_bins=15)
    counts = np.histogram(scores, np.linspace(0, 1, 16))[0]
    by_hand = (np.abs(shares - confidence) * counts[counts > 0]).sum() / len(scores)
    assert share_error(scores, right) == pytest.approx(by_hand)


def test_honest_answers_have_an_error_that_falls_with_their_number():
    few, many = (honest_errors(np.random.default_rng(0).uniform(0.5, 1, number), draws=100) for number in (100, 3000))
    assert few.mean() > 0.05
    assert many.mean() < 0.02


def test_of_a_classifier():
    run = run_of(ClassScores, {"test": [answer([0.9, 0.1], place % 2) for place in range(200)]})
    found = confidence_of_answers(answers(run), None)
    assert (found.error, found.bias) == pytest.approx((0.4, 0.4), abs=1e-6)
    assert not found.is_of_boxes


def test_of_boxes_those_that_count():
    box = (10, 10, 30, 30)
    pairs = [boxes([(box, 0.8, 0), ((60, 60, 70, 70), 0.01, 0)], [(box, 0)]) for _ in range(120)]
    found = confidence_of_answers(None, detected_objects(run_of(Detections, {"test": pairs})))
    assert len(found.scores) == 120
    assert found.error == pytest.approx(0.2, abs=1e-6)
