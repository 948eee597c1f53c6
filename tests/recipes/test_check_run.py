"""Runs that were watched, and judging them again."""

import shutil

import pytest

import snellen
from snellen.doctor import Status, read_trace
from snellen.errors import ConfigError


def test_every_run_leaves_a_trace_of_all_its_steps(trained):
    run = trained("classes")
    trace = read_trace(run.folder)
    assert trace.steps.tolist() == [1, 2, 3, 4]  # 8 images in batches of 4, twice
    assert trace.planned_steps == 4
    assert (trace.loss > 0).all()
    assert trace.sampled.tolist() == [1, 2, 3, 4]
    assert trace.named.sum(1).tolist() == [4, 4, 4, 4]
    assert [row.step for row in trace.validations] == [2, 4]
    assert {"loss", "score"} <= set(trace.validations[0].scores)
    assert "backbone.conv1.weight" in [column.name for column in trace.parameters]


@pytest.mark.parametrize("kind", ["boxes", "masks"])
def test_terms_of_losses_are_kept_by_name(trained, kind):
    trace = read_trace(trained(kind).folder)
    assert len(trace.steps) == 4
    assert all((values == values).all() for values in trace.losses.values())  # noqa: PLR0124 - no NaN
    assert len(trace.losses) >= (4 if kind == "boxes" else 1)


def test_a_run_is_judged_again(trained):
    report = snellen.check(trained("classes").folder)
    assert report.model == "resnet18"
    assert {row.check.code[0] for row in report.results} == {"T", "R"}
    assert next(row for row in report.results if row.check.code == "T1").status == Status.PASSED
    assert ", 0 crashed" in report.text()


def test_a_run_is_judged_where_its_data_are_gone(run_at, tmp_path):
    import json

    run = run_at("classes")
    record = json.loads((run.folder / "run.json").read_text())
    record["data"] = str(tmp_path / "gone")
    (run.folder / "run.json").write_text(json.dumps(record))
    report = snellen.check(run.folder)
    assert len(report.index) == 0
    assert report.write_html(tmp_path / "page.html").is_file()


def test_a_run_without_a_trace_and_predictions_is_told(run_at):
    run = run_at("classes")
    (run.folder / "trace.msgpack").unlink()
    shutil.rmtree(run.folder / "evaluation")
    with pytest.raises(ConfigError, match="expected the trace of a training or predictions"):
        snellen.check(run.folder)


def test_a_resumed_run_replaces_what_it_does_again(charts, tiny, tmp_path, monkeypatch):
    from snellen.recipes.watching import LoopWatch
    from snellen.training import StepDone

    see = LoopWatch.see

    def broken(self, event):
        see(self, event)
        if isinstance(event, StepDone) and event.step == 3:
            raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(LoopWatch, "see", broken)
        with pytest.raises(RuntimeError, match="killed"):
            snellen.train(charts["classes"], model="resnet18", folder=tmp_path / "run", **tiny)
    assert read_trace(tmp_path / "run").steps.tolist() == [1, 2, 3]
    snellen.resume(tmp_path / "run")
    trace = read_trace(tmp_path / "run")
    assert trace.steps.tolist() == [1, 2, 3, 4]
    assert [row.step for row in trace.validations] == [2, 4]


def test_what_the_doctor_saw_is_in_the_report(run_at, charts):
    from snellen.doctor.watching import Happening, HappeningKind
    from snellen.doctor.watching.trace_file import TraceWriter
    from snellen.recipes.evaluating import recorded_data
    from snellen.recipes.reporting import write_run_report

    run = run_at("classes")
    trace = read_trace(run.folder)
    writer = TraceWriter(layers=trace.layers, parameters=trace.parameters, planned_steps=4, folder=run.folder)
    writer.write(Happening(step=3, kind=HappeningKind.LOSS, origin="head (Linear)", note="12"))
    writer.close()
    write_run_report(run, recorded_data(run))
    assert "Step 3: head (Linear) made values that are not finite" in run.report.read_text(encoding="utf-8")
