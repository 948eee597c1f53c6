"""Curves of findings on the page of a diagnosis, in every language."""

from pathlib import Path

import numpy as np

from snellen.data import ClassTable, DatasetIndex
from snellen.data.sharing import Strings
from snellen.doctor import Diagnosis, judged
from snellen.doctor.watching import StepRow, trace_of
from snellen.doctor.watching.showing import with_curves
from snellen.report import diagnosis_html
from snellen.report.plots import plot_view, worded
from snellen.structures import Curve, Series

CURVE = Curve(
    title="Loss",
    x_label="step",
    y_label="loss",
    series=(
        Series(name="training", x=(1.0, 2.0, 3.0), y=(2.0, float("nan"), 1.0)),
        Series(name="held out: top5_loss", x=(1.0, 3.0), y=(2.0, 1.5)),
    ),
)


def test_curves_are_told_in_every_language():
    chinese = worded(CURVE, "zh")
    assert (chinese.title, chinese.x_label, chinese.y_label) == ("损失", "步", "损失")
    assert [line.name for line in chinese.series] == ["训练", "留出：top5_loss"]
    assert chinese.series[0].y[0] == 2.0
    assert worded(CURVE, "en") is CURVE
    assert plot_view(CURVE).note == "1 value is not finite and leaves a gap."
    assert plot_view(CURVE, "zh").note == "有 1 个非有限值，留下一处空缺。"


def test_the_page_shows_a_finding_with_its_curve(tmp_path: Path):
    rows = [
        StepRow(step=step, losses={"loss": 1.0 + 9.0 * (step > 60)}, rates=(0.0,), wait_s=0.0, step_s=0.1)
        for step in range(1, 101)
    ]
    trace = trace_of(rows, is_over=True)
    diagnosis = Diagnosis(results=with_curves(judged(trace).results, trace))
    assert "T14" in [finding.code for finding in diagnosis.findings]  # the rate was zero
    index = DatasetIndex(
        root=tmp_path,
        format="",
        classes=("a",),
        paths=Strings.pack([]),
        annotations=ClassTable(labels=np.zeros(0, np.int32)),
        sizes=np.zeros((0, 2), np.int32),
        splits=np.zeros(0, np.int16),
    )
    english = diagnosis_html(diagnosis, index=index, name="run")
    chinese = diagnosis_html(diagnosis, index=index, name="run", language="zh")
    bare = diagnosis_html(judged(trace), index=index, name="run")
    assert '<figcaption dir="auto">Learning rate</figcaption>' in english
    assert '<figcaption dir="auto">学习率</figcaption>' in chinese
    assert "<figcaption" not in bare
