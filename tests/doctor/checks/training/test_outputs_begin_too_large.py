"""T27 (DX-066; DeepCrime's WCI)."""

from dataclasses import replace

import numpy as np
import pytest
from tests.doctor.checks.training.traces import falling, flat, made

from snellen.doctor import Status

FAIR = falling(end=1.0)


def sized(loss, size: float, classes: int = 4):
    trace = made(loss, named=lambda _: (8,) * classes)
    return replace(trace, rms=np.full_like(trace.rms, size))


@pytest.mark.parametrize(("loss", "size", "expected"), [
    (flat(), 50.0, ["WARNING default"]),
    (falling(start=900, end=30), 500.0, ["WARNING default"]),  # a long way down, and still above guessing
    (FAIR, 50.0, ["INFO default"]),
    (flat(), 3.0, []),
    (falling(), 0.5, []),
])  # fmt: skip
def test_sizes(found, loss, size, expected):
    assert found("T27", sized(loss, size)) == expected


def test_what_is_said(said, judged):
    trace = sized(falling(start=900, end=30), 500.0)
    assert (
        said("T27", trace)
        == "The first scores have a size of 500 and the first loss is 900; guessing among 4 classes gives 1.39."
    )
    assert [place.name for place in judged("T27", trace).findings[0].places] == ["0", "2", "4", "6"]


def test_without_the_first_scores(judged):
    assert judged("T27", made(flat())).status == Status.NOT_CHECKABLE
