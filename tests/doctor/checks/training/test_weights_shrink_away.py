"""T24 (DX-056, DX-076; DeepCrime's RAW)."""

import pytest
from tests.doctor.checks.training.traces import SIZE, falling, flat, made

from snellen.doctor import Status


@pytest.mark.parametrize(("loss", "left", "expected"), [
    (flat(), 0.05, ["WARNING default"]),
    (falling(end=1.5), 0.05, ["INFO default"]),
    (falling(), 0.05, []),  # in front of a norm
    (flat(), 0.5, []),
])  # fmt: skip
def test_shrinking(found, loss, left, expected):
    assert found("T24", made(loss, weight=lambda step: SIZE * left ** (step / 300))) == expected


def test_what_is_said(said, judged):
    trace = made(flat(), weight=lambda step: SIZE if step < 100 else 0.1 * SIZE)
    assert said("T24", trace) == "Weights have shrunk to 10 % of their size, and the loss is still 2.29."
    assert judged("T24", trace).findings[0].treatment.settings == {"weight_decay": 1e-4}


def test_few_steps(judged):
    assert judged("T24", made(flat(20))).status == Status.NOT_CHECKABLE
