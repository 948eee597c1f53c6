"""T1 silences what follows from it (DX-060)."""

import numpy as np
import pytest
from tests.doctor.checks.training.traces import falling

from snellen.doctor import Evidence, Level, diagnose, selected
from snellen.doctor.catalog import CHECKS
from snellen.doctor.watching import Happening, HappeningKind, StepRow, trace_of


def rows(*happenings):
    for step, loss in enumerate(falling(300), 1):
        values = {"loss": float(loss) if step < 100 else float("nan")}
        yield StepRow(step=step, losses=values, rates=(0.1,), wait_s=0.0, step_s=0.01)
    yield from happenings


@pytest.mark.parametrize(("happening", "message"), [
    (Happening(step=100, kind=HappeningKind.LOSS, origin="scale (Scale)", note="3"), "layer"),
    (Happening(step=100, kind=HappeningKind.LOSS, origin="input"), "input"),
    (Happening(step=100, kind=HappeningKind.LOSS, origin="loss", note="3"), "loss"),
    (Happening(step=100, kind=HappeningKind.GRADIENT, origin="a.weight"), "gradient"),
    (Happening(step=100, kind=HappeningKind.WEIGHT, origin="a.weight"), "weight"),
])  # fmt: skip
def test_is_all_that_is_said(happening, message):
    diagnosis = diagnose(Evidence([trace_of(rows(happening), is_over=True)]), selected(CHECKS, select=("T",)))
    assert not [result.trace for result in diagnosis.results if result.trace]
    assert [(f.code, f.message, f.level) for f in diagnosis.findings] == [("T1", message, Level.ERROR)]


def test_silent_without_mishap():
    (result,) = diagnose(Evidence([trace_of(rows())]), selected(CHECKS, select=("T1",))).results
    assert result.findings == ()
    assert np.isnan(trace_of(rows()).loss[-1])
