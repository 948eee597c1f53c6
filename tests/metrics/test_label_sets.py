"""Figures of label sets, beside scikit-learn's; entries that nobody knows (SYS-357, ERR-171)."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    coverage_error,
    hamming_loss,
    label_ranking_loss,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)

from snellen.errors import InputError
from snellen.metrics import LabelSetMetric
from snellen.structures import LabelSetScores, LabelSetTarget


def measured(probs, shown, known=None, **options):
    probs, shown = np.asarray(probs, np.float32), np.asarray(shown, np.bool_)
    known = np.ones_like(shown) if known is None else np.asarray(known, np.bool_)
    metric = LabelSetMetric([f"class {label}" for label in range(probs.shape[1])], **options)
    metric.update(
        [LabelSetScores(probs=torch.from_numpy(row)) for row in probs],
        [
            LabelSetTarget(shown=torch.from_numpy(one).float(), known=torch.from_numpy(other))
            for one, other in zip(shown, known, strict=True)
        ],
        range(len(probs)),
    )
    return metric.result()


def drawn(seed, count=50, num_classes=6):
    generator = np.random.default_rng(seed)
    shown = generator.random((count, num_classes)) < 0.35
    shown[0], shown[1] = True, False  # every class occurs, and an image that shows none
    probs = np.clip(0.5 * shown + generator.random(shown.shape) * 0.6, 0, 1).round(2).astype(np.float32)
    return probs, shown


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_figures_equal_scikit_learn(seed):
    probs, shown = drawn(seed)
    scalars = measured(probs, shown).scalars
    chosen = probs >= 0.5
    assert scalars["mAP"] == pytest.approx(average_precision_score(shown, probs, average="macro"))
    assert scalars["macro_ROC_area"] == pytest.approx(roc_auc_score(shown, probs, average="macro"))
    for average in ("macro", "micro"):
        wanted = precision_recall_fscore_support(shown, chosen, average=average, zero_division=0)[:3]
        found = [scalars[f"{average}_{name}"] for name in ("precision", "recall", "F1")]
        assert found == pytest.approx(wanted)
    assert scalars["subset_accuracy"] == pytest.approx(accuracy_score(shown, chosen))
    assert scalars["Hamming_loss"] == pytest.approx(hamming_loss(shown, chosen))
    assert scalars["coverage_error"] == pytest.approx(coverage_error(shown, probs))
    assert scalars["ranking_loss"] == pytest.approx(label_ranking_loss(shown, probs))
    clipped = np.clip(probs.astype(np.float64), 1e-15, 1 - 1e-15)
    wanted = log_loss(shown.ravel(), np.stack([1 - clipped.ravel(), clipped.ravel()], axis=1))
    assert scalars["NLL"] == pytest.approx(wanted, rel=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_what_is_not_known_counts_for_nothing(seed):
    """Each class is measured on the images that are known, as scikit-learn does on those rows alone."""
    probs, shown = drawn(seed)
    known = np.random.default_rng(seed + 1).random(shown.shape) < 0.7
    known[:2] = True
    results = measured(probs, shown, known)
    figures = {row[0]: row for row in results.tables[0].rows}
    for label in range(shown.shape[1]):
        rows = known[:, label]
        row = figures[f"class {label}"]
        assert row[5] == pytest.approx(average_precision_score(shown[rows, label], probs[rows, label]))
        assert row[1] == shown[rows, label].sum()
    lies = np.where(known, shown, ~shown)  # whatever stands where nothing is known
    assert measured(probs, lies, known).scalars == results.scalars


def test_headline_and_thresholds():
    """Accuracy is never the headline; one threshold for each class."""
    probs = [[0.4, 0.9], [0.3, 0.8], [0.1, 0.7]]
    shown = [[1, 0], [1, 1], [0, 0]]
    plain = measured(probs, shown)
    assert (plain.headline, plain.lower_is_better) == ("mAP", False)
    assert plain.scalars["macro_recall"] == pytest.approx(0.5)
    chosen = measured(probs, shown, thresholds=[0.2, 0.75])
    assert chosen.scalars["macro_recall"] == 1.0
    assert chosen.scalars["mAP"] == plain.scalars["mAP"]
    thresholds = {row[0]: row[2:] for row in chosen.tables[1].rows}
    assert thresholds["class 0"][0] == 0.2
    assert thresholds["class 0"][2:] == (1.0, pytest.approx(0.3))  # the best F1 and where it is
    with pytest.raises(InputError, match="2 probabilities"):
        measured(probs, shown, thresholds=[0.5])


def test_a_class_that_nobody_shows_stays_out_of_means():
    results = measured([[0.9, 0.2], [0.1, 0.6]], [[1, 0], [0, 0]])
    assert results.scalars["mAP"] == 1.0
    assert results.tables[0].rows[1] == ("class 1", 0, None, None, None, None, None)
    assert "left out of every mean" in results.tables[0].note
    assert [series.name for series in results.curves[0].series] == ["class 0"]


def test_the_worst_answer_rates_an_image():
    results = measured([[0.9, 0.2], [0.9, 0.7]], [[1, 0], [1, 0]], [[1, 1], [1, 1]])
    assert [score.quality for score in results.per_image] == pytest.approx([0.8, 0.3], abs=1e-6)
    assert results.per_image[0].uncertainty == pytest.approx(0.4, abs=1e-6)
    blank = measured([[0.9, 0.2]], [[1, 0]], [[0, 0]])
    assert np.isnan(blank.per_image[0].quality)


def test_shards_and_mistakes():
    probs, shown = drawn(0)
    whole = measured(probs, shown)
    parts = []
    for start in (0, 25):
        metric = LabelSetMetric([f"class {label}" for label in range(6)])
        for row in range(start, start + 25):
            target = LabelSetTarget(shown=torch.tensor(shown[row]).float(), known=torch.ones(6, dtype=torch.bool))
            metric.update([LabelSetScores(probs=torch.tensor(probs[row]))], [target], [row])
        parts.append(metric)
    parts[1].merge(parts[0])
    assert parts[1].result().scalars == whole.scalars
    with pytest.raises(InputError, match="came twice"):
        parts[1].merge(parts[0])
    with pytest.raises(InputError, match="diverged"):
        measured([[float("nan"), 0.5]], [[1, 0]])


def test_nothing_seen():
    results = LabelSetMetric(["a", "b"]).result()
    assert all(np.isnan(value) for value in results.scalars.values())
