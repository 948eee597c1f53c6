"""T21."""

import pytest
from tests.doctor.checks.training.traces import falling, made

from snellen.doctor import Status
from snellen.doctor.evidence.setup import Setup


@pytest.mark.parametrize(("options", "expected"), [
    ({}, []),
    ({"images": lambda step: 64 if step % 10 == 0 else 32}, ["WARNING skipped"]),
    ({"images": lambda step: 32 if step % 3 == 0 else 64}, ["WARNING skipped"]),  # more often than not
    ({"images": lambda step: 64 if step % 50 == 0 else 32}, []),
    ({"images": lambda step: 64 if step < 30 else 32}, []),  # a scaler that looks for its scale
    ({"images": lambda step: 7 if step % 10 == 0 else 32}, []),  # last batches of epochs
    ({"update": lambda step: 0.0 if step % 20 == 0 else 0.01}, ["WARNING nothing"]),
    ({"images": lambda _: 0}, []),
])  # fmt: skip
def test_steps(found, options, expected):
    assert found("T21", made(falling(), **options)) == expected


def test_other_batches_than_planned(found, said):
    assert found("T21", made(falling()), Setup(batch_size=32)) == []
    assert found("T21", made(falling()), Setup(batch_size=16, accumulate=2)) == []
    assert found("T21", made(falling()), Setup(batch_size=16)) == ["WARNING other_batch"]
    assert said("T21", made(falling()), Setup(batch_size=16)) == "A step has 32 images; 16 were planned."


def test_few_steps(judged):
    assert judged("T21", made(falling(20))).status == Status.NOT_CHECKABLE
