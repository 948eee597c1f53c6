"""T25 (DX-076; DeepCrime's RCD)."""

import pytest
from tests.doctor.checks.training.traces import falling, flat, made

from snellen.doctor import Status

DROPPED = [0.2, 0.5, 0.95, 0.5]  # the activations before give out 50 % zeros
KNOWN = [(400, {"loss": 0.6})]


@pytest.mark.parametrize(("loss", "options", "expected"), [
    (flat(), {"zeros": DROPPED}, ["WARNING default"]),
    (falling(end=1.5), {"zeros": DROPPED, "validations": KNOWN}, ["INFO apart"]),
    (falling(end=1.5), {"zeros": DROPPED}, []),
    (falling(), {"zeros": DROPPED, "validations": [(400, {"loss": 0.05})]}, []),
    (flat(), {"zeros": 0.75}, []),  # a half behind a ReLU
    (flat(), {"zeros": [0.95, 0.5, 0.5, 0.5]}, []),  # black images
    (flat(), {"zeros": [0.2, 0.5, 0.8, 0.5]}, []),
])  # fmt: skip
def test_zeros(found, loss, options, expected):
    """ERR-022: zeros behind a ReLU are no dropped values."""
    assert found("T25", made(loss, **options)) == expected


def test_what_is_said(said):
    trace = made(falling(end=1.5), zeros=DROPPED, validations=KNOWN)
    assert said("T25", trace) == (
        "90 % of what 4 reads is dropped, other parts in each step: the loss is 1.5 in training and 0.6 on "
        "held-out data."
    )


def test_few_steps(judged):
    assert judged("T25", made(flat(20))).status == Status.NOT_CHECKABLE
