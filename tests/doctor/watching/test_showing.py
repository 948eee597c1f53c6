"""Every finding of a training has a curve that shows it."""

import numpy as np
import pytest
from tests.doctor.checks.training.traces import falling, flat, made

from snellen.doctor import CHECKS, Finding, Level, Place, Stage, judged
from snellen.doctor.watching import Happening, HappeningKind, StepRow, trace_of
from snellen.doctor.watching.showing import with_curves
from snellen.report.plots import CURVE_WORDS

TRAINING = [check for check in CHECKS if check.stage == Stage.TRAINING]
LAYERS = {"0", "1", "2", "3", "4", "5", "6"}


def rich():
    """Return a trace that tells of everything."""
    return made(
        falling(),
        terms={"boxes": falling(end=0.1), "classes": falling(end=0.1)},
        dead=[0.0, 0.7, 0.6, 0.0],
        saturated=[0.1, 0.2, 0.9, 0.0],
        gap=[0.1, 0.9, 0.5, 0.0],
        named=lambda _: (30, 1, 1),
        validations=[(100, {"loss": 2.2, "accuracy": 0.3}), (200, {"loss": 2.0, "accuracy": 0.4})],
    )


@pytest.mark.parametrize("check", TRAINING, ids=lambda check: check.code)
def test_each_check_draws_what_it_speaks_of(check):
    trace = rich()
    finding = Finding(
        level=Level.INFO, places=(Place(kind="layer", name="2"), Place(kind="parameter", name="2.weight"))
    )
    curves = [curve for curve in check.curves(trace, finding) if curve.series]
    assert curves
    for curve in curves:
        assert curve.x_label == "step"
        for line in curve.series:
            assert len(line.x) == len(line.y)
            known = line.name.partition(": ")[0] in CURVE_WORDS
            assert known or line.name.startswith(("class ", "group ")) or line.name.split(".")[0] in {
                *LAYERS, "boxes", "classes"
            }  # fmt: skip
        for words in (curve.title, curve.x_label):
            assert words in CURVE_WORDS
        assert curve.y_label in {*CURVE_WORDS, "accuracy", "ms", "MiB"}


@pytest.mark.parametrize("check", TRAINING, ids=lambda check: check.code)
def test_traces_that_tell_little_break_nothing(check):
    rows = [StepRow(step=step, losses={}, rates=(), wait_s=0.0, step_s=0.1) for step in (1, 2)]
    for trace in (trace_of([]), trace_of(rows)):
        list(check.curves(trace, Finding(level=Level.INFO)))


def test_findings_carry_the_curves_of_the_faulty_layer():
    trace = made(flat(), dead=[0.0, 0.95, 0.6, 0.0])
    results = with_curves(judged(trace).results, trace)
    dead = next(result for result in results if result.check.code == "T8").findings[0]
    first = dead.curves[0]
    assert first.title == "Units that never fire"
    assert first.series[0].name == dead.places[0].name == "2"
    assert first.series[0].y == pytest.approx([0.95] * len(trace.sampled))
    assert dead.curves[1].series[0].y == pytest.approx(trace.loss.tolist())


def test_a_mishap_is_marked_at_its_step():
    rows = [
        StepRow(step=1, losses={"loss": 2.0}, rates=(0.1,), wait_s=0.0, step_s=0.1),
        StepRow(step=2, losses={"loss": float("nan")}, rates=(0.1,), wait_s=0.0, step_s=0.1),
        Happening(step=2, kind=HappeningKind.LOSS, origin="head"),
    ]
    trace = trace_of(rows)
    (finding,) = next(row for row in with_curves(judged(trace).results, trace) if row.check.code == "T1").findings
    dots = finding.curves[0].series[1]
    assert (dots.x, dots.y, dots.is_dots) == ((2.0,), (2.0,), True)
    assert np.isnan(finding.curves[0].series[0].y[1])
