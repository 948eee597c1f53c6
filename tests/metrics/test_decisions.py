"""From probabilities to a class by thresholds, and what the metric makes of it."""

import numpy as np
import pytest
import torch
from sklearn.metrics import precision_recall_fscore_support

from snellen.errors import InputError
from snellen.metrics import ClassificationMetric, Decision, decided_labels
from snellen.structures import ClassScores, ClassTarget


def test_without_a_decision_the_most_probable_class():
    assert decided_labels(np.array([[0.2, 0.8], [0.6, 0.4]]), None).tolist() == [1, 0]
    assert decided_labels(np.zeros((0, 2)), None).tolist() == []


def test_a_class_that_is_looked_for_is_named_from_its_threshold_on():
    probs = np.array([[0.7, 0.3, 0.0], [0.1, 0.29, 0.61], [0.4, 0.05, 0.55], [0.0, 0.3, 0.7]])
    decision = Decision(thresholds=(0.5, 0.3, 0.5), found=1)
    assert decided_labels(probs, decision).tolist() == [1, 2, 2, 1]


def test_of_two_classes_multiples_of_thresholds_say_the_same():
    """Zhou and Liu 2006: p1 / t >= p0 / (1 - t) exactly where p1 >= t."""
    probs = np.random.default_rng(0).random(500)
    both = np.stack([1 - probs, probs], axis=1)
    for t in (0.05, 0.3, 0.71):
        expected = (probs >= t).astype(int)
        assert np.array_equal(decided_labels(both, Decision(thresholds=(1 - t, t))), expected)
        assert np.array_equal(decided_labels(both, Decision(thresholds=(1 - t, t), found=1)), expected)


def test_equal_thresholds_change_nothing():
    probs = np.random.default_rng(1).dirichlet(np.ones(4), 200)
    assert np.array_equal(decided_labels(probs, Decision(thresholds=(0.3,) * 4)), probs.argmax(1))


def test_numbers_that_make_no_sense():
    with pytest.raises(InputError, match="thresholds must lie in"):
        Decision(thresholds=(0.0, 1.5))
    with pytest.raises(InputError, match="found must be a label"):
        Decision(thresholds=(0.5, 0.5), found=2)
    with pytest.raises(InputError, match="must be 2 numbers, one for each class"):
        decided_labels(np.ones((1, 2)) / 2, Decision(thresholds=(0.5,)))


def test_the_metric_decides_so_and_marks_the_point_on_its_curves():
    """SYS-160, SYS-161, DX-104: figures per class are those of the decision; the curves show where it stands."""
    rng = np.random.default_rng(2)
    truth = np.array([0] * 90 + [1] * 10)
    scores = np.clip(0.1 + 0.25 * truth + rng.normal(0, 0.1, 100), 0.01, 0.99)
    probs = np.stack([1 - scores, scores], axis=1)
    metric = ClassificationMetric(["common", "rare"], decision=Decision(thresholds=(0.75, 0.25), found=1))
    eye = torch.eye(2)
    metric.update([ClassScores(probs=torch.from_numpy(row)) for row in probs],
                  [ClassTarget(probs=eye[label]) for label in truth], range(100))  # fmt: skip
    results = metric.result()
    named = (scores.astype(np.float32) >= 0.25).astype(int)
    precision, recall, f1, _ = precision_recall_fscore_support(truth, named)
    rare = results.tables[0].rows[1]
    assert rare[2:5] == pytest.approx((precision[1], recall[1], f1[1]))
    assert "called rare from a probability of 0.25 on" in results.tables[0].note
    dots = {curve.title: [series for series in curve.series if series.is_dots] for curve in results.curves}
    (on_precision,), (on_roc,) = dots["Precision over recall"], dots["ROC"]
    assert (on_precision.x[0], on_precision.y[0]) == pytest.approx((recall[1], precision[1]))
    assert on_precision.name == "rare from 0.25"
    assert on_roc.y[0] == pytest.approx(recall[1])
    assert on_roc.x[0] == pytest.approx((named[truth == 0] == 1).mean())


def test_of_two_classes_one_half_is_marked_and_of_more_nothing():
    eye = torch.eye(3)
    for count, expected in ((2, 2), (3, 0)):
        metric = ClassificationMetric([str(label) for label in range(count)])
        metric.update([ClassScores(probs=0.1 + 0.6 * eye[label, :count]) for label in range(count)],
                      [ClassTarget(probs=eye[label, :count]) for label in range(count)], range(count))  # fmt: skip
        assert sum(series.is_dots for series in metric.result().curves[1].series) == expected
