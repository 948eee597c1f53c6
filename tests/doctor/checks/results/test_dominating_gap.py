"""R11 (DX-021, DX-022, DX-075 to DX-078): which part of the error is the largest, and that chance is not told of."""

import numpy as np
import pytest
from tests.doctor.results import checked, only, run_of, sure, told

from snellen.doctor import Level, Status
from snellen.structures import ClassScores

RECORD = {"augment": 0.5, "settings": {"epochs": 10, "weight_decay": 0.01}}


def run(shares, *, number=200, seed=0, drawn=(), record=RECORD):
    """Return a run with so much right on each split."""
    rng = np.random.default_rng(seed)
    splits = {
        name: [sure(place % 2, place % 2 if rng.random() < share else 1 - place % 2) for place in range(number)]
        for name, share in shares.items()
    }
    return run_of(ClassScores, splits, drawn=drawn, record=record)


@pytest.mark.parametrize(
    ("shares", "drawn", "message", "settings"),
    [
        ({"train": 0.7, "val": 0.69, "test": 0.69}, (), "bias", {"epochs": 20}),
        ({"train": 0.99, "val": 0.75}, ("val",), "variance", {"augment": 1.0}),
        ({"train": 0.99, "val": 0.75}, (), "mixed", {"augment": 1.0}),
        ({"train": 0.98, "train-dev": 0.76, "val": 0.75}, (), "variance", {"augment": 1.0}),
        ({"train": 0.98, "train-dev": 0.96, "val": 0.75}, (), "mismatch", None),
        ({"train": 0.97, "val": 0.95, "test": 0.75}, ("val",), "dev", None),
    ],
)
def test_the_largest_gap_is_told(shares, drawn, message, settings):
    """SYS-231, SYS-323, SYS-324: bias, variance, mismatch, and a validation set that is used up."""
    finding = only(checked("R11", run(shares, drawn=drawn)))
    assert (finding.level, finding.message) == (Level.WARNING if message == "dev" else Level.INFO, message)
    assert (None if finding.treatment is None else finding.treatment.settings) == settings


def test_where_augmentation_is_strong_weights_decay_more():
    shares, record = {"train": 0.99, "val": 0.75}, {"augment": 1.0, "settings": {"weight_decay": 0.01}}
    finding = only(checked("R11", run(shares, record=record)))
    assert finding.treatment.settings == {"weight_decay": pytest.approx(0.03)}


def test_says_all_gaps():
    text = told(checked("R11", run({"train": 0.98, "train-dev": 0.96, "val": 0.75})))
    assert text.startswith("accuracy: train 9")
    assert "All gaps: bias " in text
    assert ", mismatch " in text


def test_a_good_model_on_few_images_is_hardly_ever_told_of():
    """No gap but chance: 97 % on all of 40 images; 40 runs."""
    found = [
        checked("R11", run({"train": 0.99, "val": 0.99, "test": 0.99}, number=40, seed=seed)).findings
        for seed in range(40)
    ]
    assert sum(map(bool, found)) <= 3


def test_without_training_images_it_says_how_to_measure_them():
    result = checked("R11", run({"val": 0.9, "test": 0.9}))
    assert result.status == Status.NOT_CHECKABLE
    assert "snellen eval RUN --split train" in result.reason.en


def test_few_images_are_not_judged():
    assert checked("R11", run({"train": 1.0, "test": 0.2}, number=10)).status == Status.NOT_CHECKABLE


def test_a_used_up_validation_is_told_beside_a_larger_gap():
    found = checked("R11", run({"train": 0.6, "val": 0.6, "test": 0.4}, drawn=("val",))).findings
    assert [(finding.message, finding.level) for finding in found] == [("bias", Level.INFO), ("dev_too", Level.WARNING)]
    found = checked("R11", run({"train": 0.6, "val": 0.6, "test": 0.5}, drawn=("val",))).findings
    assert [finding.level for finding in found][1:] in ([], [Level.INFO])  # less than 5 points cannot be ruled out
