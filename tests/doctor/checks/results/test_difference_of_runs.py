"""R13 and R21: what a difference is worth, and figures of too few images."""

import numpy as np
import pytest
from tests.doctor.results import checked, only, run_of, sure, told

from snellen.doctor import Level, Status
from snellen.doctor.evidence.results.scores import TwoRuns
from snellen.metrics import Interval
from snellen.structures import ClassScores


def two(mean, low, high, p_value):
    return TwoRuns(
        name="accuracy",
        split="test",
        first=0.8 + mean,
        second=0.8,
        other="before",
        difference=Interval(mean=mean, low=low, high=high, count=100, p_value=p_value),
    )


RUN = run_of(ClassScores, {"test": [sure(0, 0)] * 3})


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (two(0.05, 0.01, 0.09, 0.01), "better"),
        (two(-0.05, -0.09, -0.01, 0.01), "worse"),
        (two(0.05, -0.01, 0.11, 0.1), "same"),
        (two(0.05, 0.001, 0.09, 0.06), "same"),
    ],
)
def test_a_difference_is_called_by_what_it_is(found, message):
    finding = only(checked("R13", RUN, found))
    assert (finding.level, finding.message) == (Level.INFO, message)


def test_says_what_the_difference_is():
    assert told(checked("R13", RUN, two(0.05, -0.01, 0.11, 0.1))) == (
        "accuracy on test is 85.0, that of before 80.0: +5.0 points (-1.0 to +11.0; p 0.1, 100 images). Chance alone "
        "does as much."
    )


def test_without_another_run_nothing_is_compared():
    result = checked("R13", RUN)
    assert result.status == Status.NOT_CHECKABLE
    assert "--against" in result.reason.en


def wide(number, seed=0):
    rng = np.random.default_rng(seed)
    pairs = [sure(place % 2, place % 2 if rng.random() < 0.8 else 1 - place % 2) for place in range(number)]
    return run_of(ClassScores, {"test": pairs})


def test_few_images_measure_little():
    result = checked("R21", wide(50))
    assert only(result).level == Level.INFO
    assert told(result).startswith("accuracy on test is ")
    assert 200 < only(result).numbers["needed"] < 400  # 1.96 * 2 * sqrt(.8 * .2 / n) = 0.1 at 246


def test_few_images_that_are_all_right_measure_little_too():
    """Rule of three: none of 20 wrong may be up to 15 % wrong."""
    numbers = only(
        checked("R21", run_of(ClassScores, {"test": [sure(place % 2, place % 2) for place in range(20)]}))
    ).numbers
    assert (numbers["low"], numbers["high"]) == ("85.0", "100.0")


def test_many_images_measure_enough():
    assert checked("R21", wide(600)).status == Status.PASSED
