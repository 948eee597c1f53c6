"""Platt's sigmoids against scikit-learn's (ERR-147: an SVM gives margins; calibration makes them probabilities)."""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.svm import LinearSVC

from snellen.metrics import expected_calibration_error
from snellen.models.shallow.calibration import calibrated_probs, fit_sigmoid, fit_sigmoids


@pytest.mark.parametrize("classes", [2, 3])
def test_equal_to_scikit_learn(make_examples, classes):
    """SYS-178: Newton's method, with the Hessian of two numbers, ends where another solver does."""
    train, test = make_examples(num=150, classes=classes), make_examples(num=60, classes=classes, seed=1)
    solver = LinearSVC(C=0.5, dual=False).fit(train.features, train.labels)
    margins = solver.decision_function(test.features)
    columns = np.stack([-margins, margins], axis=1) if classes == 2 else margins
    slope, offset = fit_sigmoids(columns, test.labels)
    theirs = CalibratedClassifierCV(FrozenEstimator(solver), method="sigmoid").fit(test.features, test.labels)
    sigmoids = theirs.calibrated_classifiers_[0].calibrators
    first = classes - len(sigmoids)
    np.testing.assert_allclose(slope[first:], [-each.a_ for each in sigmoids], rtol=1e-2)
    np.testing.assert_allclose(offset[first:], [-each.b_ for each in sigmoids], atol=1e-2)
    found = calibrated_probs(columns, slope, offset)
    np.testing.assert_allclose(found, theirs.predict_proba(test.features), atol=5e-3)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_margins_become_probabilities():
    generator = np.random.default_rng(0)
    margins = generator.normal(size=4000) * 3
    truth = generator.random(4000) < 1 / (1 + np.exp(-0.4 * margins + 1))
    slope, offset = fit_sigmoid(margins, truth)
    assert slope == pytest.approx(0.4, abs=0.05)
    assert offset == pytest.approx(-1, abs=0.15)
    probs = calibrated_probs(np.stack([-margins, margins], axis=1), np.full(2, slope), np.array([-offset, offset]))
    plain = calibrated_probs(np.stack([-margins, margins], axis=1), np.ones(2), np.zeros(2))
    assert expected_calibration_error(probs, truth.astype(int)) < 0.03
    assert expected_calibration_error(plain, truth.astype(int)) > 0.1


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_any_scale_of_margins(scale):
    margins = np.linspace(-1, 1, 40)
    truth = margins + 0.4 * np.sin(9 * margins) > 0
    slope, offset = fit_sigmoid(margins * scale, truth)
    usual = fit_sigmoid(margins, truth)
    assert slope * scale == pytest.approx(usual[0], rel=1e-3)
    assert offset == pytest.approx(usual[1], abs=1e-3)


@pytest.mark.parametrize(
    ("margins", "truth"),
    [
        ([1.0, 2, 3, 4], [True, True, False, False]),
        ([0.0, 0, 0, 0], [True, False, True, False]),
        ([], []),
        ([2.0], [True]),
    ],
)
def test_margins_that_say_nothing_stay_as_they_are(margins, truth):
    assert fit_sigmoid(np.array(margins, float), np.array(truth, bool)) in [(1.0, 0.0)] or len(margins) == 1


def test_separable_margins_stay_finite():
    """Platt's smoothed targets keep the slope from growing without end."""
    slope, offset = fit_sigmoid(np.array([-2.0, -1, 1, 2]), np.array([False, False, True, True]))
    assert 0 < slope < 10
    assert abs(offset) < 1


def test_probabilities_where_all_sigmoids_say_no():
    found = calibrated_probs(np.full((1, 4), -1e6), np.ones(4), np.zeros(4))
    np.testing.assert_allclose(found, 0.25)
