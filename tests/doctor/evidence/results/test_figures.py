"""Figures on any weighting of the images, against scikit-learn and faster-coco-eval."""

import numpy as np
import pytest
import torch
from sklearn import metrics
from tests.doctor.results import answer, boxes, painted

from snellen.doctor.evidence.results.figures import FIGURES
from snellen.evaluation import ImagePrediction
from snellen.metrics import ImageObjects, coco_summary
from snellen.structures import (
    ClassScores,
    Detections,
    LabelSetScores,
    LabelSetTarget,
    SegmentationMap,
    ValueEstimates,
    ValueTarget,
)


def figure(kind, pairs, classes):
    images = [
        (ImagePrediction(index=row, source="", size=(9, 9), prediction=found), truth)
        for row, (found, truth) in enumerate(pairs)
    ]
    return FIGURES[kind](images, classes, None)


def repeated(row_weights):
    return np.repeat(np.arange(len(row_weights)), row_weights)


@pytest.mark.parametrize(("counts", "name"), [((40, 40, 40), "accuracy"), ((80, 30, 10), "balanced_accuracy")])
def test_classes(counts, name):
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], counts)
    probs = rng.dirichlet(np.ones(3), len(labels)) + 0.3 * np.eye(3)[labels]
    found = figure(
        ClassScores, [answer(row.tolist(), int(label)) for row, label in zip(probs, labels, strict=True)], "abc"
    )
    score = {"accuracy": metrics.accuracy_score, "balanced_accuracy": metrics.balanced_accuracy_score}[name]
    assert found.name == name
    assert found.value == pytest.approx(score(labels, probs.argmax(1)))
    weights = rng.integers(0, 3, len(labels))
    rows = repeated(weights)
    assert found.measure(weights[None].astype(float))[0] == pytest.approx(score(labels[rows], probs[rows].argmax(1)))


def test_boxes():
    rng = np.random.default_rng(0)
    pairs = []
    for _ in range(20):
        wanted = [((x, y, x + 20, y + 20), int(rng.integers(2))) for x, y in rng.uniform(0, 70, (3, 2))]
        found = [(tuple(np.add(box, rng.normal(0, 4, 4))), float(rng.random()), label) for box, label in wanted]
        pairs.append(boxes(found, wanted))
    images = [ImageObjects.of(found, wanted) for found, wanted in pairs]
    assert figure(Detections, pairs, "ab").value == pytest.approx(coco_summary(images, num_classes=2).figures()["AP50"])


def test_maps():
    rng = np.random.default_rng(0)
    truth, named = rng.integers(0, 3, (6, 8, 8)), rng.integers(0, 3, (6, 8, 8))
    found = figure(SegmentationMap, [painted(b, a) for a, b in zip(truth, named, strict=True)], "abc")
    assert found.value == pytest.approx(metrics.jaccard_score(truth.ravel(), named.ravel(), average="macro"))
    rows = [0, 0, 3]
    weights = np.array([[2.0, 0, 0, 1, 0, 0]])
    expected = metrics.jaccard_score(truth[rows].ravel(), named[rows].ravel(), average="macro")
    assert found.measure(weights)[0] == pytest.approx(expected)


def test_label_sets():
    rng = np.random.default_rng(0)
    shown, probs = rng.random((50, 4)) < 0.4, rng.random((50, 4)).astype(np.float32)
    pairs = [
        (
            LabelSetScores(probs=torch.from_numpy(row)),
            LabelSetTarget(shown=torch.from_numpy(wanted).float(), known=torch.ones(4, dtype=torch.bool)),
        )
        for row, wanted in zip(probs, shown, strict=True)
    ]
    expected = metrics.f1_score(shown, probs >= 0.5, average="macro")
    assert figure(LabelSetScores, pairs, "abcd").value == pytest.approx(expected)


def test_values():
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 3, 51)
    guess = truth + rng.normal(0, 1, 51)
    pairs = [
        (
            ValueEstimates(values=torch.tensor([float(one)], dtype=torch.float64)),
            ValueTarget(
                values=torch.tensor([float(other)], dtype=torch.float64), known=torch.ones(1, dtype=torch.bool)
            ),
        )
        for one, other in zip(guess, truth, strict=True)
    ]
    error = np.abs(guess - truth).sum() / np.abs(truth - np.median(truth)).sum()
    assert figure(ValueEstimates, pairs, ("age",)).value == pytest.approx(1 - error)


def test_nothing_has_no_figure():
    for kind in FIGURES:
        assert np.isnan(figure(kind, [], ("a", "b")).value)
