"""Which figure stands first: accuracy only where no class is much larger than another."""

import numpy as np
import pytest
import torch

from snellen.metrics import IMBALANCED_FROM, ClassificationMetric, class_headline
from snellen.structures import ClassScores, ClassTarget


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([50, 50], "accuracy"),
        ([100, 68], "accuracy"),
        ([100, 66], "balanced_accuracy"),
        ([100, 2], "balanced_accuracy"),
        ([10, 10, 10, 1], "balanced_accuracy"),
        ([10, 0], "accuracy"),  # an empty class has no recall to average over
        ([0, 0], "accuracy"),
        ([], "accuracy"),
    ],
)
def test_by_the_sizes_of_the_classes(counts, expected):
    assert class_headline(np.array(counts, np.int64)) == expected


def test_the_limit_is_the_one_that_is_stated():
    assert class_headline(np.array([3, 2])) == "balanced_accuracy"
    assert IMBALANCED_FROM == 1.5


def fed(truth, guess, **options):
    metric = ClassificationMetric(["common", "rare"], **options)
    eye = torch.eye(2)
    metric.update([ClassScores(probs=0.2 + 0.6 * eye[label]) for label in guess],
                  [ClassTarget(probs=eye[label]) for label in truth], range(len(truth)))  # fmt: skip
    return metric.result()


def test_always_naming_the_largest_class_is_told_as_what_it_is():
    """DX-002, SYS-156: at 1 : 50 its accuracy is 0.98; the headline says 0.5."""
    results = fed([0] * 500 + [1] * 10, [0] * 510)
    assert results.scalars["accuracy"] == pytest.approx(0.98, abs=0.001)
    assert results.headline == "balanced_accuracy"
    assert results.score == 0.5
    assert results.scalars["macro_F1"] == pytest.approx(0.495, abs=0.001)
    rare = dict(zip(results.tables[0].columns, results.tables[0].rows[1], strict=True))
    assert (rare["Images"], rare["Recall"], rare["F1"]) == (10, 0, 0)


def test_what_a_run_settled_stands_first():
    assert fed([0] * 50 + [1], [0] * 51, headline="macro_F1").headline == "macro_F1"
    assert fed([0, 1], [0, 1], headline="balanced_accuracy").headline == "balanced_accuracy"


def test_images_without_a_known_class_are_left_out_and_counted():
    metric = ClassificationMetric(["a", "b"])
    probs = ClassScores(probs=torch.tensor([0.9, 0.1]))
    metric.update([probs] * 3, [ClassTarget(probs=torch.tensor(row)) for row in ([1.0, 0], [0.0, 0], [0.0, 1])],
                  [0, 1, 2])  # fmt: skip
    results = metric.result()
    assert results.scalars["accuracy"] == 0.5
    assert len(results.per_image) == 2
    assert "no class is known were left out: 1." in results.tables[0].note
