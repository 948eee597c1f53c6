"""T5 (DX-038; DeepCrime's HNE)."""

import numpy as np
import pytest
from tests.doctor.checks.training.traces import falling, flat, made

from snellen.doctor import Status
from snellen.doctor.evidence.setup import Setup


def test_as_fast_at_the_end_as_before(found, said, judged):
    """SYS-338."""
    trace = made(falling(400, pace=1.0))
    assert found("T5", trace) == ["INFO default"]
    assert said("T5", trace).startswith("The last third of 400 steps brought 2")
    (finding,) = judged("T5", trace, Setup(epochs=4)).findings
    assert finding.treatment.settings == {"epochs": 12}


def test_a_short_run_that_was_falling(found):
    assert found("T5", made(falling(120, pace=4, noise=0.01))) == ["INFO short"]
    assert found("T5", made(falling(120, pace=0.5))) == ["WARNING short"]


@pytest.mark.parametrize("loss", [
    falling(400, pace=5), falling(120, pace=20), flat(), 2.3 - 0.3 * np.log(np.arange(1, 901)), falling(400, pace=-1.0),
])  # fmt: skip
def test_losses_that_have_come_to_rest(found, loss):
    """A loss that falls as the logarithm of the steps never rests, and is not told."""
    assert found("T5", made(loss)) == []


def test_while_it_goes_on(judged):
    assert judged("T5", made(falling(400, pace=1), is_over=False)).status == Status.NOT_CHECKABLE
    assert judged("T5", made(falling(400, pace=1), is_over=False, planned=400)).status == Status.FOUND
