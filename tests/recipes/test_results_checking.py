"""A run judged by what it predicts, from its folder: the whole way, through the recipe."""

import json
import shutil

import pytest

import snellen
from snellen.doctor import Status
from snellen.errors import CheckpointError, ConfigError


def results_of(report):
    return {row.check.code: row for row in report.results if row.check.code[0] == "R"}


@pytest.mark.parametrize("kind", ["classes", "boxes", "masks"])
def test_tiny_runs_are_read_without_a_fault_and_without_warnings(trained, kind):
    """Four images say nothing: what needs more is not checkable, and no figure is called wrong."""
    report = snellen.check(trained(kind).folder, select=["R"])
    rows = results_of(report)
    assert ", 0 crashed" in report.text()
    assert rows["R10"].status == Status.PASSED
    assert rows["R14"].status == Status.PASSED
    assert rows["R21"].status == (Status.PASSED if kind == "masks" else Status.FOUND)
    assert all(finding.level <= 1 for finding in report.findings)
    assert report.text("zh")


def test_deep_measures_training_images_and_predicts_anew(run_at):
    run = run_at("classes")
    report = snellen.check(run.folder, select=["R9", "R11"], deep=True)
    assert (run.folder / "evaluation" / "train" / "results.json").is_file()
    rows = results_of(report)
    assert rows["R9"].status == Status.PASSED
    assert "30 are the least" not in (rows["R11"].reason.en if rows["R11"].reason else "")


def test_two_runs_are_compared(trained, run_at):
    run = run_at("classes")
    report = snellen.check(run.folder, select=["R13"], against=trained("classes").folder)
    finding = report.findings[0]
    assert finding.message == "same"
    assert finding.numbers["difference"] == "+0.0"


def test_against_is_for_runs(charts, trained):
    with pytest.raises(ConfigError, match="is not the folder of a run"):
        snellen.check(charts["classes"], against=trained("classes").folder)
    with pytest.raises(CheckpointError, match="expected the folder of a run"):
        snellen.check(trained("classes").folder, against=charts["classes"])


def test_a_figure_that_was_changed_is_told(run_at):
    run = run_at("classes")
    file = run.folder / "evaluation" / "test" / "results.json"
    told = json.loads(file.read_text())
    told["scalars"]["accuracy"] = 0.123
    told["scalars"]["balanced_accuracy"] = 0.123
    file.write_text(json.dumps(told))
    (finding,) = [row for row in snellen.check(run.folder, select=["R10"]).findings if row.message == "figures"]
    assert finding.numbers["written"] == "0.1230"


def test_weights_that_were_changed_are_told(run_at):
    """Predictions on disk are no longer those of the model."""
    import torch

    run = run_at("classes")
    place = run.weights_file("best")
    content = torch.load(place, weights_only=True)
    for value in content["model"].values():
        if value.is_floating_point():
            value.mul_(1.5)
    torch.save(content, place)
    report = snellen.check(run.folder, select=["R9"], deep=True)
    assert [finding.code for finding in report.findings] == ["R9"]


def test_predictions_of_other_images_are_not_judged(run_at):
    run = run_at("classes")
    for name in ("test", "val"):
        file = run.folder / "evaluation" / name / "predictions.jsonl"
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        file.write_text("\n".join(json.dumps({**line, "file": "elsewhere.png"}) for line in lines) + "\n")
    row = results_of(snellen.check(run.folder, select=["R2"]))["R2"]
    assert row.status == Status.NOT_CHECKABLE
    assert "are of other images" in row.reason.en


def test_a_run_that_was_not_measured_has_no_results(run_at):
    run = run_at("classes")
    shutil.rmtree(run.folder / "evaluation")
    assert not results_of(snellen.check(run.folder))


def test_what_results_show_is_in_the_report(trained):
    page = trained("classes").report.read_text(encoding="utf-8")
    assert "too-few-to-measure" in page
