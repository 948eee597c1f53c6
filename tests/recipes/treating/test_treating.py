"""From a run with a planted fault to a configuration without it (real trainings, as small as they come)."""

import json
import shutil
from dataclasses import replace

import pytest

import snellen
from snellen.doctor import Diagnosis, Finding, Level, Status, Treatment, find_check
from snellen.doctor.diagnosis import CheckResult
from snellen.errors import CheckpointError, ConfigError
from snellen.recipes import TreatmentReport, outline, read_config
from snellen.recipes.experiments import trials
from snellen.recipes.experiments.running import Interrupted
from snellen.recipes.runs import DIAGNOSIS
from snellen.report import diagnosis_json

SEEDS = 2


def run_with(stripes, folder, options, findings=(), **changes):
    """Return a run whose diagnosis before the training says what it is told."""
    run = snellen.train(stripes, folder=folder, check=False, **{**options, **changes})
    results = tuple(
        CheckResult(check=find_check(finding.code), status=Status.FOUND, findings=(finding,)) for finding in findings
    )
    (folder / DIAGNOSIS).write_text(diagnosis_json(Diagnosis(results=results)), encoding="utf-8")
    return run


def rate_too_low(rate: float) -> Finding:
    return Finding(code="M9", level=Level.WARNING, message="short", measured=1e-7, numbers=_numbers("M9", "short"),
                   treatment=Treatment(settings={"lr": rate}))  # fmt: skip


@pytest.fixture(scope="module")
def treated(stripes, stripe_options, tmp_path_factory):
    """Return a run whose rate is a thousandth of what it should be, treated; tests must not change it."""
    root = tmp_path_factory.mktemp("treated")
    run = run_with(stripes, root / "run", stripe_options, [rate_too_low(1e-3)], lr=1e-6)
    report = snellen.treat(run, seeds=SEEDS, only=("M9",), most=1, folder=root / "out")
    return run, report, root / "out"


def test_the_planted_fault_is_repaired(treated):
    run, report, _ = treated
    assert run.results["val"].score < 0.75  # it had learned nothing
    assert report.chosen == "lr 0.001"
    (row,) = report.tried
    assert row.verdict == "kept"
    assert row.gain.is_above_zero
    assert report.proof.is_proven
    assert min(report.proof.treated) > 0.8
    assert max(report.proof.untreated) < 0.75


def test_the_finding_is_judged_again(treated):
    _, report, _ = treated
    (row,) = report.tried
    assert (row.before.found, row.before.measured) == (1, 1e-7)
    assert row.after is None or row.after.found in (0, 1)


def test_the_configuration_repeats_the_treated_run(treated, tmp_path):
    run, report, out = treated
    options = read_config(out / "treated.yaml")
    again = snellen.train(options.pop("data"), folder=tmp_path / "again", check=False, measure=("val",), **options)
    kept = snellen.Run.open(report.treated_run)
    assert again.record["settings"] == kept.record["settings"]
    assert again.results["val"].scalars == kept.results["val"].scalars
    assert kept.record["settings"]["seed"] == run.record["settings"]["seed"]


def test_the_test_images_are_looked_at_for_the_choice_alone(treated):
    *_, out = treated
    looked = [place.parent for place in (out / "trials").glob("*/run/evaluation/test")]
    assert len(looked) == 2 * SEEDS  # untreated and chosen


def test_everything_is_written_and_read_again(treated):
    _, report, out = treated
    assert {file.name for file in out.glob("treat*")} == {
        "treated.yaml", "treatment-of.json", "treatment.json", "treatment.md", "treatment.csv", "treatment.html"
    }  # fmt: skip
    assert TreatmentReport.read(out) == report
    text = report.text()
    for word in ("lr 0.001", "kept", "On the test images, looked at once", "snellen train --config"):
        assert word in text.replace("\n", " ")
    assert "What was tried" in (out / "treatment.html").read_text(encoding="utf-8")


def test_the_same_call_trains_nothing_more(treated, monkeypatch):
    run, report, out = treated

    def fail(*words, **more):
        raise AssertionError("nothing is left to train")

    monkeypatch.setattr(trials, "train", fail)
    assert snellen.treat(run, seeds=SEEDS, only=("M9",), most=1, folder=out) == report


def test_a_treatment_that_hurts_is_refused(stripes, stripe_options, tmp_path):
    run = run_with(stripes, tmp_path / "run", stripe_options, [rate_too_low(1e-7)], lr=1e-3)
    report = snellen.treat(run, seeds=SEEDS, only=("M9",), most=1, folder=tmp_path / "out")
    (row,) = report.tried
    assert row.verdict in ("hurts", "no measurable gain")
    assert row.gain.mean < 0
    assert report.chosen == ""
    assert report.proof is None
    assert report.config == ""
    assert not (tmp_path / "out" / "treated.yaml").exists()
    assert not list((tmp_path / "out" / "trials").glob("*/run/evaluation/test"))  # nothing to prove
    assert "the configuration stays as it is" in " ".join(report.conclusion())


@pytest.mark.slow  # the engine's own tests break it off, too
def test_broken_off_it_goes_on(treated, tmp_path, monkeypatch):
    run, report, _ = treated
    real, count = trials.train, []

    def stopped(*words, **more):
        count.append(1)
        if len(count) == 2:
            raise KeyboardInterrupt
        return real(*words, **more)

    monkeypatch.setattr(trials, "train", stopped)
    with pytest.raises(Interrupted):
        snellen.treat(run, seeds=SEEDS, only=("M9",), most=1, folder=tmp_path / "out")
    monkeypatch.setattr(trials, "train", real)
    again = snellen.treat(run, seeds=SEEDS, only=("M9",), most=1, folder=tmp_path / "out")
    assert again.proof == report.proof
    assert [row.gain for row in again.tried] == [row.gain for row in report.tried]


def test_images_that_leak_are_left_out_of_both_sides(treated, stripes, tmp_path):
    run, _, _ = treated
    folder = shutil.copytree(run.folder, tmp_path / "run")
    index = snellen.load(stripes)
    leaked = index.paths[int(index.split_rows("train")[0])]
    finding = Finding(code="D11", level=Level.ERROR, numbers={"count": 1, "held_out": 24, "share": "4 %"},
                      treatment=Treatment(drop_images=(leaked,)))  # fmt: skip
    found = Diagnosis(results=(CheckResult(check=find_check("D11"), status=Status.FOUND, findings=(finding,)),))
    (folder / DIAGNOSIS).write_text(diagnosis_json(found), encoding="utf-8")
    plan = outline(folder, seeds=1)
    assert plan.base.repairs.drop == (leaked,)
    assert "left out of training" in plan.plan.first[0]
    assert all("D11" not in {finding.code for finding in one.findings} for one in plan.plan.tries)


def test_what_needs_a_person_is_listed(treated, tmp_path):
    run, _, _ = treated
    folder = shutil.copytree(run.folder, tmp_path / "run")
    finding = Finding(code="D21", level=Level.WARNING, message="file", numbers=_numbers("D21", "file"))
    found = Diagnosis(results=(CheckResult(check=find_check("D21"), status=Status.FOUND, findings=(finding,)),))
    (folder / DIAGNOSIS).write_text(diagnosis_json(found), encoding="utf-8")
    plan = outline(folder, only=("D21",))
    assert [one.code for one in plan.plan.for_people] == ["D21"]
    assert any(line.startswith("left to people: D21 shortcut") for line in plan.lines())
    report = snellen.treat(folder, only=("d21",), folder=tmp_path / "out")
    assert report.trainings == 0
    assert report.people_table().rows[0][0] == "D21 shortcut"
    assert "No finding has a treatment" in report.text()


def _numbers(code: str, message: str) -> dict:
    """Return numbers that fill every place of a message."""
    import string

    page = find_check(code).pages["en"]
    texts = (page.messages[message], page.fixes.get(message, page.fix))
    return {name: 1 for text in texts for _, name, _, _ in string.Formatter().parse(text) if name}


def test_one_finding_asks_before_the_next_asks_twice(treated):
    run, _, _ = treated
    plan = outline(replace(run), info=True, most=50)
    firsts = [one.findings[0].code for one in plan.plan.tries]
    codes = list(dict.fromkeys(finding.code for finding in plan.findings))
    able = [code for code in codes if code in firsts]
    assert firsts[: len(able)] == able or len(set(firsts[: len(able)])) >= len(able) - 1
    assert len({one.name for one in plan.plan.tries}) == len(plan.plan.tries)
    fewer = outline(run, info=True, most=2)
    assert [one.name for one in fewer.plan.tries] == [one.name for one in plan.plan.tries][:2]
    assert fewer.plan.left_out == tuple(one.name for one in plan.plan.tries)[2:]


def test_a_folder_belongs_to_one_run_and_its_data(treated, tmp_path):
    run, _, out = treated
    other = shutil.copytree(run.folder, tmp_path / "other")
    with pytest.raises(CheckpointError, match="Choose another folder"):
        snellen.treat(other, only=("M9",), folder=out)
    copied = tmp_path / "out"
    copied.mkdir()
    told = json.loads((out / "treatment-of.json").read_text(encoding="utf-8"))
    (copied / "treatment-of.json").write_text(json.dumps({**told, "fingerprint": "other"}), encoding="utf-8")
    with pytest.raises(CheckpointError, match="has changed since"):
        snellen.treat(run, only=("M9",), folder=copied)


def test_runs_that_cannot_be_treated_are_told(treated, tmp_path):
    run, _, _ = treated
    with pytest.raises(ConfigError, match="most must be"):
        outline(run, most=0)
    with pytest.raises(CheckpointError, match="expected the folder of a run"):
        outline(tmp_path)
    folder = shutil.copytree(run.folder, tmp_path / "old")
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    record.pop("options")
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(CheckpointError, match="expected the options of the run"):
        outline(folder)


@pytest.mark.slow
def test_wrong_labels_are_repaired(stripes, stripe_options, tmp_path):
    """A third of the training labels is wrong; the finding proposes the right ones, and leaving the images out, too."""
    data = tmp_path / "mislabelled"
    shutil.copytree(stripes, data)
    moved = {}
    for name, other in (("bars", "rows"), ("rows", "bars")):
        for file in sorted((data / "train" / name).glob("*.png"))[:8]:
            target = data / "train" / other / f"moved-{file.name}"
            file.rename(target)
            moved[str(target.relative_to(data))] = name
    finding = Finding(
        code="D16", level=Level.WARNING, message="many", measured=0.3, numbers=_numbers("D16", "many"),
        treatment=Treatment(drop_images=tuple(moved), data={"labels": moved}),
    )  # fmt: skip
    run = run_with(data, tmp_path / "run", stripe_options, [finding], epochs=12)
    report = snellen.treat(run, seeds=SEEDS, only=("D16",), most=2, folder=tmp_path / "out")
    names = {row.name: row for row in report.tried}
    assert set(names) == {"take the proposed labels", "leave images out"}
    assert len(names["take the proposed labels"].changes["repairs"]["labels"]) == 16
    assert len(names["leave images out"].changes["repairs"]["drop"]) == 16
    assert names["take the proposed labels"].gain.mean > 0
    kept = snellen.Run.open(next((tmp_path / "out" / "trials").glob("take_the_proposed*")) / "run")
    assert kept.record["repairs"]["labels"] == moved
