"""The verb check, and what it does before a training: found, told, stored, and stopped only by what spoils."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

import snellen
from snellen.doctor import CHECKS, Finding, Level, NotCheckable, Place, Stage, Status, Text, Treatment, find_check
from snellen.errors import ConfigError, DatasetError, FaultsFoundError
from snellen.recipes import check_report, checking
from snellen.recipes.options import options_from
from snellen.recipes.preparing import prepare_training
from snellen.report import diagnosis_from_json


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("SNELLEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SNELLEN_LANG", "en")


@pytest.fixture
def photos(tmp_path):
    """Sixty images of cats, one of a dog, and a file that is no image; names are not ASCII."""
    root = tmp_path / "照片 [1]"
    for label, count in (("猫", 60), ("dog", 1)):
        folder = root / label
        folder.mkdir(parents=True)
        for number in range(count):
            colour = (number * 4, 255 - number * 3, 40 if label == "dog" else 200)
            picture = Image.linear_gradient("L").resize((40, 40)).rotate(number * 5).convert("RGB")
            Image.blend(picture, Image.new("RGB", (40, 40), colour), 0.5).save(folder / f"{number}.png")
    (root / "猫" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    return root


def with_judge(monkeypatch, judge, code="D13"):
    """Let one check of the catalogue judge otherwise, and run no other."""
    check = replace(find_check(code), judge=judge)
    monkeypatch.setattr(checking, "CHECKS", (check,))


def codes(report):
    return {finding.code: finding.level for finding in report.findings}


def test_several_faults_at_once(photos):
    """DX-001 and DX-011: imbalance, a broken file; everything is told by name, in every form."""
    report = snellen.check(photos)
    found = codes(report)
    assert found["D13"] == Level.WARNING
    assert found["D1"] == Level.ERROR
    assert report.worst == Level.ERROR
    assert not report.with_status(Status.CRASHED)
    text = report.text("en")
    for words in ("猫 has 61 examples and dog 1", "broken.png", "--sampler repeat_factor"):
        assert words in text
    assert "个样本" in report.text("zh")
    page = report.write_html(photos.parent / "new" / "check.html").read_text(encoding="utf-8")
    assert "Check of 照片 [1]" in page
    assert "broken.png" in page
    content = json.loads(report.write_json(photos.parent / "check.json").read_text(encoding="utf-8"))
    assert content["data"] == "照片 [1]"
    assert diagnosis_from_json(report.json()).all_findings == report.all_findings
    log = json.loads(report.write_sarif(photos.parent / "check.sarif", base=photos.parent).read_text(encoding="utf-8"))
    uris = [
        location["physicalLocation"]["artifactLocation"]["uri"]
        for result in log["runs"][0]["results"]
        for location in result["locations"]
    ]
    assert "%E7%85%A7%E7%89%87%20%5B1%5D/%E7%8C%AB/broken.png" in uris


def test_without_a_model_the_data_alone(charts):
    report = snellen.check(charts["boxes"])
    assert {result.check.stage for result in report.results} == {Stage.DATA}
    assert report.model == ""


def test_an_index_is_checked_as_it_is(charts):
    index = snellen.load(charts["boxes"])
    report = snellen.check(index, select=["D13"])
    assert report.index is index
    assert report.name == charts["boxes"].name


@pytest.mark.parametrize(("kind", "model"), [("classes", "resnet18"), ("boxes", "yolo_v2_tiny")])
def test_with_a_model_its_training_too(charts, kind, model):
    """The healthy models of the catalogue, on healthy data, with our own loop: nothing is proven, nothing breaks."""
    report = snellen.check(charts[kind], model, device="cpu", image_size=64, batch_size=4, epochs=2)
    assert report.worst in (None, Level.INFO, Level.WARNING)
    assert report.with_status(Status.CRASHED) == ()
    done = {result.check.code: result.status for result in report.results}
    assert {"M1", "M5", "M7", "M16"} <= done.keys()
    assert done["M5"] == done["M7"] == done["M16"] == Status.PASSED


def test_a_training_that_cannot_be_prepared(photos):
    """The data are judged all the same."""
    for file in (photos / "dog").iterdir():
        file.unlink()
    for file in (photos / "猫").iterdir():
        file.write_bytes(b"no image")
    report = snellen.check(photos, "resnet18", select=["D1", "M1"], device="cpu")
    assert codes(report)["D1"] == Level.ERROR
    told = {result.check.code: result for result in report.results}["M1"]
    assert told.status == Status.NOT_CHECKABLE
    assert "no training can be prepared" in told.reason.en


def test_models_that_are_solved_for(charts):
    report = snellen.check(charts["boxes"], "hog_svm", select=["M6"], device="cpu")
    assert report.results[0].status == Status.NOT_CHECKABLE
    assert "stages" in report.results[0].reason.en


def test_set_up_without_a_model_says_what_is_missing(charts):
    report = snellen.check(charts["classes"], select=["M5"])
    assert report.results[0].status == Status.NOT_CHECKABLE


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"select": ["D99"]}, "code or name of a check"),
        ({"ignore": ["class-imbalanse"]}, "Did you mean 'class-imbalance'"),
        ({"epoch": 3}, "no option 'epoch'"),
        ({"model": "resent18"}, "Did you mean 'resnet18'"),
        ({"model": "yolo_v3"}, "learns from BoxTarget"),
        ({"baseline": "none.json"}, "none.json"),
    ],
)
def test_wrong_arguments(charts, options, said):
    with pytest.raises(ConfigError, match=said):
        snellen.check(charts["classes"], **options)


@pytest.mark.parametrize("content", [None, "empty", "no images"])
def test_no_data_set(tmp_path, content):
    place = tmp_path / "数据"
    if content:
        place.mkdir()
    if content == "no images":
        (place / "a").mkdir()
        (place / "a" / "notes.txt").write_text("none")
    with pytest.raises(DatasetError, match="数据"):
        snellen.check(place)


def test_a_check_that_breaks_is_told(monkeypatch, charts):
    def judge(index: snellen.DatasetIndex) -> list[Finding]:
        raise ZeroDivisionError(f"no {index.format}")

    with_judge(monkeypatch, judge)
    report = snellen.check(charts["classes"])
    assert [result.status for result in report.results] == [Status.CRASHED]
    assert "crashed D13 class-imbalance: ZeroDivisionError: no csv" in report.text("en")


def test_a_finding_without_words_is_a_check_that_breaks(monkeypatch, charts):
    def judge(index: snellen.DatasetIndex) -> list[Finding]:
        return [Finding(level=Level.ERROR, numbers={"ratio": len(index)})]

    with_judge(monkeypatch, judge)
    report = snellen.check(charts["classes"])
    assert [result.status for result in report.results] == [Status.CRASHED]
    assert "KeyError" in report.results[0].trace


def test_baseline(photos, tmp_path):
    first = snellen.check(photos, select=["D1", "D13"])
    first.write_baseline(tmp_path / "base.json")
    second = snellen.check(photos, select=["D1", "D13"], baseline=tmp_path / "base.json")
    assert second.findings == ()
    assert {finding.code for finding in second.accepted} == {"D1", "D13"}
    assert isinstance(second, snellen.CheckReport)
    (photos / "dog" / "new.png").write_bytes(b"broken too")
    third = snellen.check(photos, select=["D1", "D13"], baseline=tmp_path / "base.json")
    assert codes(third) == {"D1": Level.ERROR}


# Before a training


SMALL = {"model": "mobilenet_v2", "tensorboard": False}
NUMBERS = {"ratio": 2.0, "largest": "a", "most": 2, "smallest": "b", "least": 1}


def judged(level, **details):
    def judge(index: snellen.DatasetIndex) -> list[Finding]:
        return [Finding(level=level, numbers=NUMBERS, num_places=len(index), **details)]

    return judge


def told(work):
    import io

    screen = Console(record=True, width=250, file=io.StringIO())
    return work(screen), screen.export_text()


def test_findings_are_told_stored_and_reported(monkeypatch, charts, tmp_path, tiny):
    with_judge(monkeypatch, judged(Level.WARNING))
    run, text = told(
        lambda screen: snellen.train(
            charts["classes"], console=screen, folder=tmp_path / "run", **SMALL, **{**tiny, "epochs": 1}
        )
    )
    assert "warning D13 class-imbalance: a has 2 examples and b 1" in text
    assert f"1 check: 1 found (1 warning), 0 passed, 0 not checkable, 0 crashed; see {run.folder}" in text
    stored = diagnosis_from_json((run.folder / "diagnosis.json").read_bytes())
    assert [finding.level for finding in stored.findings] == [Level.WARNING]
    assert "a has 2 examples and b 1" in run.report.read_text(encoding="utf-8")


def test_errors_stop_a_training_before_it_leaves_anything(monkeypatch, charts, tmp_path, tiny):
    with_judge(monkeypatch, judged(Level.ERROR))
    folder = tmp_path / "run"
    with pytest.raises(FaultsFoundError, match=r"a has 2 examples.*\n.*--force") as stopped:
        snellen.train(charts["classes"], folder=folder, **SMALL, **tiny)
    assert "D13 class-imbalance" in str(stopped.value)
    assert not folder.exists()


@pytest.mark.parametrize("options", [{"force": True}, {"check": False}])
def test_going_on_all_the_same(monkeypatch, charts, tmp_path, tiny, options):
    with_judge(monkeypatch, judged(Level.ERROR))
    run = snellen.train(charts["classes"], folder=tmp_path / "run", **SMALL, **options, **{**tiny, "epochs": 1})
    assert run.report.exists()
    assert (run.folder / "diagnosis.json").exists() == ("force" in options)


def test_images_that_are_left_out_anyway_stop_nothing(monkeypatch, photos):
    ready = prepare_training(photos, options_from({"model": "mobilenet_v2", "device": "cpu"}))
    left_out = "猫/broken.png"
    for names, is_stopped in (((left_out,), False), ((left_out, "猫/1.png"), True), ((), True)):
        with_judge(monkeypatch, judged(Level.ERROR, treatment=Treatment(drop_images=names)))
        report = checking.quick_check(ready, budget_s=60)
        if is_stopped:
            with pytest.raises(FaultsFoundError):
                checking.refuse_spoiling(report, ready)
        else:
            checking.refuse_spoiling(report, ready)


def test_a_settings_error_is_not_mended_by_leaving_images_out(monkeypatch, photos):
    ready = prepare_training(photos, options_from({"model": "mobilenet_v2", "device": "cpu"}))
    treatment = Treatment(drop_images=("猫/broken.png",), settings={"lr": 0.1})
    with_judge(monkeypatch, judged(Level.ERROR, treatment=treatment, places=(Place(kind="setting", name="lr"),)))
    with pytest.raises(FaultsFoundError):
        checking.refuse_spoiling(checking.quick_check(ready, budget_s=60), ready)


def test_the_quick_check_does_not_run_the_model(charts):
    ready = prepare_training(charts["classes"], options_from({"model": "mobilenet_v2", "device": "cpu"}))
    report = checking.quick_check(ready, budget_s=60)
    told = {result.check.code: result for result in report.results}
    assert told["M6"].status == Status.NOT_CHECKABLE
    assert "snellen check DATA --model NAME" in told["M6"].reason.en
    assert report.with_status(Status.CRASHED) == ()
    before = {check.code for check in CHECKS if check.stage not in (Stage.TRAINING, Stage.RESULTS)}
    assert {result.check.code for result in report.results} == before


def test_the_quick_check_ends_in_time(charts):
    """What was not measured is told, and is no pass."""
    ready = prepare_training(charts["classes"], options_from({"model": "mobilenet_v2", "device": "cpu"}))
    report = checking.quick_check(ready, budget_s=0.0)
    assert report.with_status(Status.CRASHED) == ()
    late = {result.check.code: result for result in report.results}["D1"]
    assert late.status == Status.NOT_CHECKABLE
    assert "the 0 s for checks before a training were over" in late.reason.en
    assert "时限" in late.reason.zh


def test_problems_of_reading_are_told_once(monkeypatch, charts):
    index = snellen.load(charts["classes"])
    report = snellen.check(index, select=["D13"])
    found = replace(report, results=(replace(report.results[0], status=Status.FOUND, findings=(
        Finding(code="D13", level=Level.INFO, numbers=NUMBERS),)),))  # fmt: skip
    monkeypatch.setattr(check_report, "TOLD_BY", {"D13": ("image-unreadable",)})
    from snellen.data import Problem

    problems = (Problem(code="image-unreadable", message="m"), Problem(code="split-made", message="m"))
    assert [problem.code for problem in check_report.untold_problems(problems, found)] == ["split-made"]
    assert check_report.untold_problems(problems, report) == problems
    assert check_report.untold_problems(problems, None) == problems


def test_a_source_may_lack_what_it_needs(monkeypatch, charts):
    def judge(index: snellen.DatasetIndex) -> list[Finding]:
        raise NotCheckable(Text(en=f"nothing in {index.format}", zh="无"))

    with_judge(monkeypatch, judge)
    report = snellen.check(charts["classes"])
    assert "not checkable: D13: nothing in csv" in report.text("en")
    assert Path(charts["classes"]).exists()


def test_what_is_mended_by_reading_are_messages_of_checks():
    """A name that is mistyped would let a training go on, or print a problem twice."""
    for code, names in checking.MENDED_BY_READING.items():
        assert set(names) <= set(find_check(code).pages["en"].messages)
    for code in check_report.TOLD_BY:
        assert find_check(code)
