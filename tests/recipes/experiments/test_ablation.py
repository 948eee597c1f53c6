"""Ablations: resumed exactly, compared by seeds, told in every form."""

import csv
import json
import shutil
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console
from scipy import stats

import snellen
from snellen.errors import CheckpointError, ConfigError, TrainingError
from snellen.metrics import Interval, mean_interval
from snellen.recipes.experiments import trials
from snellen.recipes.experiments.ablation import ablate, resume_ablation
from snellen.recipes.experiments.ablation_report import AblationReport, difference_text, interval_text
from snellen.recipes.experiments.running import Interrupted
from snellen.recipes.experiments.trials import read_outcome

VARY = {"lr": [1e-3, 1e-5]}


@pytest.fixture(scope="module")
def options(tiny):
    return {**tiny, "model": "mobilenet_v2", "epochs": 1}


@pytest.fixture(scope="module")
def study(charts, options, tmp_path_factory):
    """Return an ablation that went through, with its folder; tests must not change it."""
    folder = tmp_path_factory.mktemp("study") / "ablation"
    return ablate(charts["classes"], vary=VARY, seeds=2, folder=folder, **options), folder


def without_cost(report: AblationReport) -> AblationReport:
    return replace(report, rows=tuple(replace(row, seconds=0.0, peak_bytes=None, runs=()) for row in report.rows),
                   command="")  # fmt: skip


def test_every_training_stays_as_a_run(study):
    report, _ = study
    for row in report.rows:
        assert len(row.runs) == 2
        for place in row.runs:
            run = snellen.Run.open(place)
            assert run.report.exists()
            assert set(run.results) == {"val"}  # nobody looked at the test images
            assert run.record["settings"]["lr"] == row.options["lr"]
    seeds = [snellen.Run.open(place).record["settings"]["seed"] for place in report.rows[0].runs]
    assert seeds == [0, 1]
    assert {snellen.Run.open(place).record["split_seed"] for row in report.rows for place in row.runs} == {0}


def test_differences_are_the_paired_ones(study):
    report, _ = study
    base, other = (row.headline.values for row in report.rows)
    found = report.rows[1].headline.difference
    spread = stats.ttest_rel(other, base).confidence_interval(0.95)
    assert found.mean == pytest.approx(sum(other) / 2 - sum(base) / 2)
    if found.low != found.high:
        assert (found.low, found.high) == pytest.approx((spread.low, spread.high))
    assert report.rows[0].headline.difference is None
    assert report.rows[1].image_quality.count == 4  # validation images


def test_one_configuration_says_that_nothing_is_compared(charts, options, tmp_path):
    screen = Console(file=StringIO(), width=200)
    report = ablate(charts["classes"], arms={"only": {}}, seeds=1, folder=tmp_path, console=screen, **options)
    assert [row.name for row in report.rows] == ["only"]
    assert "it is compared with nothing" in screen.file.getvalue()


def test_second_call_trains_nothing_and_says_the_same(study, charts, options, monkeypatch):
    report, folder = study

    def fail(*words, **more):
        raise AssertionError("nothing is left to train")

    monkeypatch.setattr(trials, "train", fail)
    again = ablate(charts["classes"], vary=VARY, seeds=2, folder=folder, **options)
    assert again == report
    assert resume_ablation(folder) == report
    assert AblationReport.read(folder) == report


def test_broken_off_and_killed_it_gives_the_same_table(study, charts, options, tmp_path, monkeypatch):
    """One training is stopped by Ctrl-C, one killed in its midst, one lost: the table is that of an unbroken study."""
    report, _ = study
    folder = tmp_path / "broken"
    real, count = trials.train, []

    def stopped(*words, **more):
        count.append(1)
        if len(count) == 3:
            raise KeyboardInterrupt
        return real(*words, **more)

    monkeypatch.setattr(trials, "train", stopped)
    with pytest.raises(Interrupted):
        ablate(charts["classes"], vary=VARY, seeds=2, folder=folder, **options)
    done = sorted((folder / "trials").glob("*/outcome.json"))
    assert len(done) == 2
    monkeypatch.setattr(trials, "train", real)
    killed = done[0].parent  # as a kill after the last checkpoint leaves it: no report, no outcome
    done[0].unlink()
    (killed / "run" / "report.html").unlink()
    shutil.rmtree(killed / "run" / "evaluation")
    shutil.rmtree(done[1].parent)
    assert without_cost(resume_ablation(folder)) == without_cost(report)


@pytest.mark.slow  # every process imports torch
def test_several_processes_give_the_same_table(study, charts, options, tmp_path):
    report, _ = study
    again = ablate(charts["classes"], vary=VARY, seeds=2, folder=tmp_path / "two", processes=2, **options)
    for one, other in zip(again.rows, report.rows, strict=True):
        assert one.headline.values == pytest.approx(other.headline.values, abs=1e-6)


def test_settings_of_use_share_a_training(charts, tiny, tmp_path):
    report = ablate(
        charts["boxes"],
        model="retinanet_r18_fpn",
        vary_use={"settings.score_above": [0.05, 0.9999]},
        seeds=1, folder=tmp_path / "use", figures=["AP50"], **{**tiny, "epochs": 1},
    )  # fmt: skip
    assert len(list((tmp_path / "use" / "trials").iterdir())) == 1
    assert report.rows[0].runs == report.rows[1].runs
    assert set(report.rows[0].figures) == {"AP", "AP50"}
    assert report.rows[1].headline.values == (0.0,)  # nothing is that sure after an epoch


def test_failures_are_counted_and_leave_the_others_alone(charts, options, tmp_path, monkeypatch):
    real = trials.train

    def fail(*words, **more):
        if more.get("lr") == 1e-5 and more.get("seed") == 1:
            raise TrainingError("the loss is not finite. Lower the rate.")
        return real(*words, **more)

    monkeypatch.setattr(trials, "train", fail)
    report = ablate(charts["classes"], vary=VARY, seeds=2, folder=tmp_path / "failing", **options)
    assert report.rows[1].failures == ("the loss is not finite. Lower the rate.",)
    assert report.rows[1].headline.mean.count == 1
    assert report.table().columns[-1] == "failed"
    assert [row[-1] for row in report.table().rows] == [0, 1]


def test_every_form_says_the_same(study):
    report, folder = study
    assert {file.name for file in folder.glob("ablation.*")} == {
        "ablation.html", "ablation.md", "ablation.tex", "ablation.csv", "ablation.json"
    }  # fmt: skip
    rows = list(csv.DictReader(StringIO((folder / "ablation.csv").read_text(encoding="utf-8"))))
    name = report.headline
    assert [float(row[f"{name}_mean"]) for row in rows] == [row.headline.mean.mean for row in report.rows]
    assert "lr=1e-05" in (folder / "ablation.md").read_text(encoding="utf-8")
    assert r"\toprule" in (folder / "ablation.tex").read_text(encoding="utf-8")
    page = (folder / "ablation.html").read_text(encoding="utf-8")
    assert "Difference from" in page
    assert "<svg" in page
    assert "best mean" in page
    assert "accuracy_difference_low" not in page
    assert "Found and skipped" not in page


def test_a_folder_belongs_to_one_study(study, charts, options, tmp_path):
    _, folder = study
    with pytest.raises(CheckpointError, match="other arms"):
        ablate(charts["classes"], vary={"lr": [0.1, 0.2]}, seeds=2, folder=folder, **options)
    copied = shutil.copytree(folder, tmp_path / "copied", ignore=shutil.ignore_patterns("trials"))
    told = json.loads((copied / "study.json").read_text(encoding="utf-8"))
    (copied / "study.json").write_text(json.dumps({**told, "fingerprint": "other"}), encoding="utf-8")
    with pytest.raises(CheckpointError, match="has changed since"):
        resume_ablation(copied)
    with pytest.raises(CheckpointError, match="expected the folder of an ablation"):
        resume_ablation(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"vary": {}}, "something to vary"),
        ({"vary": VARY, "arms": {"a": {}}}, "got both"),
        ({"vary": {"lr": [1e-3, 1e-3]}}, "stands there twice"),
        ({"vary": VARY, "seeds": 0}, "seeds must be"),
        ({"vary": VARY, "seeds": [1, 1]}, "seeds must be"),
        ({"vary": {"answer.objective.gama": [1.0, 2.0]}}, "Did you mean 'answer.objective.gamma'"),
    ],
)
def test_what_makes_no_study_is_refused(charts, options, tmp_path, wrong, message):
    with pytest.raises(ConfigError, match=message):
        ablate(charts["classes"], folder=tmp_path / "none", **{**options, **wrong})
    assert not (tmp_path / "none" / "trials").exists()


def test_data_in_memory_stay_in_one_process(charts, options, tmp_path):
    index = snellen.load(charts["classes"])
    with pytest.raises(ConfigError, match="several processes"):
        ablate(index, vary=VARY, seeds=1, folder=tmp_path / "memory", processes=2, **options)


def test_outcomes_that_are_damaged_are_told(tmp_path):
    (tmp_path / "outcome.json").write_text("{", encoding="utf-8")
    with pytest.raises(CheckpointError, match="Delete the folder"):
        read_outcome(tmp_path)


def test_equal_values_have_no_interval():
    """Sums of equal values differ in their last digits, which are no spread."""
    told = interval_text(mean_interval([0.1, 0.1, 0.1 + 1e-17, 0.1 + 2e-17]))
    assert told == "0.100 ± 0.000"
    assert difference_text(Interval(mean=-0.678, low=-0.678 - 4e-17, high=-0.678 + 8e-17, count=3)) == "−0.678 ± 0.000"
    assert interval_text(Interval(mean=0.5, low=0.499999, high=0.500001, count=3)) != "0.500 ± 0.000"
