"""snellen check and snellen explain: what is printed where, and exit codes that a CI job can use."""

import json
import signal
import time
from dataclasses import replace

import pytest
from PIL import Image

import snellen
from snellen.cli.check import FOUND
from snellen.doctor import CHECKS, Finding, Level, find_check
from snellen.recipes import checking

NUMBERS = {"ratio": 2.0, "largest": "a", "most": 2, "smallest": "b", "least": 1}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("SNELLEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SNELLEN_LANG", "en")
    monkeypatch.delenv("SNELLEN_DEBUG", raising=False)


@pytest.fixture
def finding(monkeypatch):
    """Let one check find something at a level, or break."""

    def find(level):
        def judge(index: snellen.DatasetIndex) -> list[Finding]:
            if level is None:
                raise ZeroDivisionError(index.format)
            return [Finding(level=level, numbers=NUMBERS)] if level else []

        monkeypatch.setattr(checking, "CHECKS", (replace(find_check("D13"), judge=judge),))

    return find


@pytest.mark.parametrize(
    ("level", "options", "code"),
    [
        (0, (), 0),
        (Level.INFO, (), 0),
        (Level.INFO, ("--fail-on", "warning"), 0),
        (Level.WARNING, (), 0),
        (Level.WARNING, ("--fail-on", "warning"), FOUND),
        (Level.ERROR, (), FOUND),
        (Level.ERROR, ("--fail-on", "warning"), FOUND),
        (Level.ERROR, ("--exit-zero",), 0),
        (None, (), 1),
        (None, ("--exit-zero",), 0),
    ],
)
def test_exit_codes(call, finding, letters, level, options, code):
    finding(level)
    said = call("check", letters / "classes", *options)
    assert said.code == code, said.err
    assert "Traceback" not in said.out + said.err


def test_findings_go_to_the_output(call, finding, letters):
    finding(Level.WARNING)
    said = call("check", letters / "classes")
    assert "warning D13 class-imbalance: a has 2 examples and b 1" in said.out
    assert "1 check: 1 found (1 warning)" in said.out


@pytest.mark.parametrize("option", ["--json", "--sarif"])
def test_a_dash_pipes_and_people_read_elsewhere(call, finding, letters, option):
    finding(Level.WARNING)
    said = call("check", letters / "classes", option, "-")
    assert json.loads(said.out)["version"] in (1, "2.1.0")
    assert "warning D13" in said.err


def test_files_are_written_and_named(call, finding, letters, tmp_path):
    finding(Level.WARNING)
    places = {name: tmp_path / "out" / f"check.{name}" for name in ("json", "sarif", "html")}
    base = tmp_path / "out" / "base.json"
    words = [word for name, place in places.items() for word in (f"--{name}", place)]
    said = call("check", letters / "classes", *words, "--write-baseline", base)
    for place in (*places.values(), base):
        assert place.stat().st_size > 0
        assert f"written: {place}" in said.err
    assert json.loads(places["json"].read_text())["data"] == "classes"
    assert "<html" in places["html"].read_text(encoding="utf-8")


def test_baseline(call, finding, letters, tmp_path):
    base = tmp_path / "base.json"
    finding(Level.WARNING)
    assert call("check", letters / "classes", "--write-baseline", base, "--fail-on", "warning").code == FOUND
    said = call("check", letters / "classes", "--baseline", base, "--fail-on", "warning")
    assert said.code == 0
    assert "1 accepted by the baseline" in said.out
    assert "warning D13" not in said.out
    finding(Level.ERROR)
    assert call("check", letters / "classes", "--baseline", base).code == FOUND


def test_languages(call, finding, letters, monkeypatch):
    finding(Level.WARNING)
    assert "警告 D13" in call("check", letters / "classes", "--lang", "zh").out
    monkeypatch.setenv("SNELLEN_LANG", "zh")
    assert "警告 D13" in call("check", letters / "classes").out
    assert "warning D13" in call("check", letters / "classes", "--lang", "en").out
    said = call("check", letters / "classes", "--lang", "fr")
    assert (said.code, "must be one of en, zh" in said.err) == (2, True)


def test_selecting(call, letters):
    said = call("check", letters / "classes", "--select", "D13, class-imbalance,D1", "--ignore", "unreadable-image")
    assert "1 check:" in said.out
    said = call("check", letters / "classes", "--select", "D31415")
    assert (said.code, "code or name of a check" in said.err) == (2, True)


def test_a_model_and_its_settings(call, letters):
    said = call(
        "check", letters / "classes", "--model", "resnet18", "--select", "M5,D13", "--device", "cpu",
        "--image-size", 64, "--batch-size", 4, "--epochs", 2, "--lr", 0.01, "--mean", 0.5, "--sampler", "repeat_factor",
        "--set", "norm=null",
    )  # fmt: skip
    assert said.code == 2  # the option reaches the builder, which knows it by another way
    assert "norm" in said.err
    words = ("--model", "resnet18", "--select", "M5,D13", "--device", "cpu", "--image-size", 64, "--optimizer", "sgd")
    said = call("check", letters / "classes", *words)
    assert said.code == 0
    assert "2 checks: 0 found, 2 passed" in said.out


@pytest.mark.parametrize("what", ["wrong path", "empty folder", "no images", "a file"])
def test_no_data_set(call, tmp_path, what):
    place = tmp_path / "照片 [x]"
    if what == "a file":
        place.write_text("none")
    elif what != "wrong path":
        place.mkdir()
        if what == "no images":
            (place / "a").mkdir()
            (place / "a" / "b.txt").write_text("none")
    said = call("check", place)
    assert said.code == 3
    assert str(place) in said.err
    assert "Traceback" not in said.err


def test_three_faults_at_once(call, tmp_path):
    """DX-001, DX-003, DX-011: a broken file, the same image on both sides of the split, and a rare class."""
    for split, cats in (("train", 60), ("val", 12)):
        for label, count in (("cat", cats), ("dog", 1)):
            folder = tmp_path / "photos" / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                seed = number + (0 if split == "train" else 400) + (200 if label == "dog" else 0)
                noise = Image.effect_noise((64, 64), 90).rotate(seed * 7)
                Image.merge("RGB", (noise, noise.rotate(90), Image.new("L", (64, 64), seed % 250))).save(
                    folder / f"{number}.png"
                )
    photos = tmp_path / "photos"
    (photos / "train" / "cat" / "broken.png").write_bytes(b"\x89PNG")
    (photos / "val" / "cat" / "leak.png").write_bytes((photos / "train" / "cat" / "3.png").read_bytes())
    said = call("check", photos, "--html", tmp_path / "check.html", "--json", tmp_path / "check.json")
    assert said.code == FOUND
    content = json.loads((tmp_path / "check.json").read_text(encoding="utf-8"))
    found = {check["code"]: check["findings"][0]["level"] for check in content["checks"] if check["findings"]}
    assert found["D1"] == found["D11"] == "error"
    assert found["D13"] == "warning"
    for words in ("broken.png", "leak.png", "61 examples"):
        assert words in said.out
    assert all(check["status"] != "crashed" for check in content["checks"])


def test_errors_stop_a_training(call, finding, letters, tmp_path, tiny_options):
    finding(Level.ERROR)
    run = tmp_path / "run"
    words = ("train", letters / "classes", "--model", "mobilenet_v2", "--out", run, "--no-tensorboard", *tiny_options)
    said = call(*words)
    assert said.code == FOUND
    assert "D13 class-imbalance" in said.err
    assert not run.exists()
    assert call(*words, "--force").code == 0
    assert (run / "diagnosis.json").exists()


def test_ctrl_c(start, letters):
    process = start("check", letters / "classes", "--model", "resnet50", "--image-size", 384, "--batch-size", 8)
    time.sleep(4)
    deadline = time.monotonic() + 60
    while process.poll() is None:  # one that arrives within a destructor is lost, as in every program in Python
        assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        time.sleep(2)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in err


def test_explain_lists_and_describes(call):
    listed = call("explain")
    assert listed.code == 0
    assert all(check.code in listed.out and check.name in listed.out for check in CHECKS)
    described = call("explain", "D13")
    assert described.out == call("explain", "class-imbalance").out
    for words in ("What it finds", "Why it matters", "How it is measured", "Known false alarms", "How to fix it"):
        assert words in described.out
    assert "类别数量悬殊" in call("explain", "D13", "--lang", "zh").out
    said = call("explain", "D31415")
    assert (said.code, "code or name of a check" in said.err) == (2, True)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.code)
def test_every_check_has_a_page(check, language):
    from snellen.report import check_page

    page = check_page(check, language)
    assert page.count("\n## ") >= 7
    assert check.source in page


def test_a_run_is_checked_by_what_it_predicts(call, letters, tmp_path, tiny_options):
    run = tmp_path / "run"
    assert call("train", letters / "classes", "--model", "resnet18", "--out", run, *tiny_options).code == 0
    said = call("check", run, "--select", "R", "--json", tmp_path / "check.json", "--html", tmp_path / "check.html")
    assert said.code == 0
    assert "info R21 too-few-to-measure: " in said.out
    assert "0 crashed" in said.out
    told = json.loads((tmp_path / "check.json").read_text())
    assert {row["stage"] for row in told["checks"]} == {"results"}
    assert "警告" not in call("check", run, "--select", "R", "--lang", "zh").out
    said = call("check", run, "--select", "R13", "--against", run)
    assert "Chance alone does as much." in said.out


def test_a_check_of_results_is_explained(call):
    assert "that suppression deletes" in call("explain", "R17").out
    assert "被抑制删除" in call("explain", "R17", "--lang", "zh").out
