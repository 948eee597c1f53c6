"""T9 (DX-062, DX-066)."""

import numpy as np
import pytest
from tests.doctor.checks.training.traces import falling, flat, made

from snellen.doctor import Status


@pytest.mark.parametrize(("loss", "saturated", "expected"), [
    (flat(), [0.9, 0.7, 0.2, 0.0], ["WARNING default"]),
    (falling(end=1.5), [0.9, 0.7, 0.2, 0.0], ["INFO default"]),
    (falling(), [0.9, 0.7, 0.2, 0.0], []),
    (flat(), [0.3, 0.4, 0.2, 0.0], []),
])  # fmt: skip
def test_shares_at_the_bounds(found, loss, saturated, expected):
    """SYS-340."""
    assert found("T9", made(loss, saturated=saturated)) == expected


def test_the_worst_layer_is_named(said):
    assert said("T9", made(flat(), saturated=[0.7, 0.9, 0.2, 0.0])) == (
        "90 % of the outputs of 3 lie at their bounds (2 such layers), and the loss does not get on."
    )


def test_networks_without_sigmoids(judged):
    assert judged("T9", made(flat(), saturated=np.nan)).status == Status.NOT_CHECKABLE
