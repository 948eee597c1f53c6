import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
    top_k_accuracy_score,
)
from torchmetrics.functional.classification import multiclass_calibration_error

from snellen.errors import InputError
from snellen.metrics import ClassificationMetric
from snellen.structures import ClassScores, ClassTarget


def measured(probs, truth, **options):
    num_classes = probs.shape[1]
    metric = ClassificationMetric([f"class {label}" for label in range(num_classes)], **options)
    eye = torch.eye(num_classes)
    metric.update(
        [ClassScores(probs=torch.as_tensor(row)) for row in probs],
        [ClassTarget(probs=eye[label]) for label in truth],
        range(len(truth)),
    )
    return metric.result()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(6, 9))
def test_figures_equal_scikit_learn_and_torchmetrics(seed, num_classes):
    """SYS-156, SYS-157, SYS-158, SYS-159, ERR-175."""
    generator = np.random.default_rng(seed)
    count = 60
    truth = np.concatenate([np.arange(num_classes), generator.integers(0, num_classes, count - num_classes)])
    logits = generator.normal(size=(count, num_classes)) + 2 * np.eye(num_classes)[truth]
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    probs = probs.astype(np.float32)
    results = measured(probs, truth)
    guess = probs.argmax(1)
    labels = np.arange(num_classes)
    scalars = results.scalars
    assert scalars["accuracy"] == pytest.approx(accuracy_score(truth, guess))
    assert scalars["top5_accuracy"] == pytest.approx(top_k_accuracy_score(truth, probs, k=5, labels=labels))
    assert scalars["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, guess))
    normal = probs.astype(np.float64) / probs.astype(np.float64).sum(1, keepdims=True)
    assert scalars["NLL"] == pytest.approx(log_loss(truth, normal, labels=labels), abs=1e-6)
    ece = multiclass_calibration_error(torch.from_numpy(probs), torch.from_numpy(truth), num_classes, n_bins=15)
    assert scalars["ECE"] == pytest.approx(float(ece), abs=1e-5)
    precision, recall, f1, support = precision_recall_fscore_support(truth, guess, labels=labels, zero_division=0)
    np.testing.assert_allclose(
        [row[1:5] for row in results.tables[0].rows], np.array([support, precision, recall, f1]).T
    )
    assert scalars["macro_F1"] == pytest.approx(f1.mean())
    for label, row in enumerate(results.tables[0].rows):
        assert row[5] == pytest.approx(average_precision_score(truth == label, probs[:, label]))
        assert row[6] == pytest.approx(roc_auc_score(truth == label, probs[:, label]))
    np.testing.assert_array_equal(results.matrices[0].values, confusion_matrix(truth, guess, labels=labels))


def test_a_class_that_the_truth_lacks_stays_out_of_means():
    probs = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.1, 0.1, 0.8]], np.float32)
    results = measured(probs, [0, 1, 1])
    assert results.scalars["balanced_accuracy"] == 0.75
    assert results.tables[0].rows[2] == ("class 2", 0, None, None, None, None, None)
    assert "left out of every mean" in results.tables[0].note
    assert "top5_accuracy" not in results.scalars


def test_per_image_quality_is_the_probability_of_the_truth():
    results = measured(np.array([[0.9, 0.1], [0.75, 0.25]], np.float32), [0, 1])
    assert [score.quality for score in results.per_image] == pytest.approx([0.9, 0.25])
    assert [score.uncertainty for score in results.per_image] == pytest.approx([0.1, 0.25])


def test_acuity_by_letter_height():
    heights = np.repeat([4.0, 8.0, 16.0], 20)
    truth = np.zeros(60, np.int64)
    probs = np.where((heights >= 8)[:, None], [0.9, 0.1], [0.1, 0.9]).astype(np.float32)
    assert measured(probs, truth, letter_height_px=heights).scalars["acuity_px"] == 8
    assert "acuity_px" not in measured(probs, truth).scalars
    with pytest.raises(InputError, match="got 3 entries and row 59"):
        measured(probs, truth, letter_height_px=heights[:3])


def test_no_images_give_nan():
    results = ClassificationMetric(["a", "b"]).result()
    assert all(math.isnan(value) for value in results.scalars.values())
    assert results.headline == "accuracy"


def test_merging_and_order_change_nothing():
    generator = np.random.default_rng(0)
    probs = torch.softmax(torch.from_numpy(generator.normal(size=(20, 3)).astype(np.float32)), 1)
    truth = torch.eye(3)[torch.from_numpy(generator.integers(0, 3, 20))]
    whole, first, second = (ClassificationMetric(["a", "b", "c"]) for _ in range(3))
    for row in range(20):
        arguments = [ClassScores(probs=probs[row])], [ClassTarget(probs=truth[row])], [row]
        whole.update(*arguments)
        (first if row % 2 else second).update(*arguments)
    first.merge(second)
    assert first.result() == whole.result()


def test_wrong_probabilities_are_named():
    metric = ClassificationMetric(["a", "b"])
    with pytest.raises(InputError, match=r"got shape \(3,\) with 0 nan"):
        metric.update([ClassScores(probs=torch.ones(3))], [ClassTarget(probs=torch.eye(2)[0])], [0])
    with pytest.raises(InputError, match="with 2 nan"):
        metric.update([ClassScores(probs=torch.full((2,), torch.nan))], [ClassTarget(probs=torch.eye(2)[0])], [0])
