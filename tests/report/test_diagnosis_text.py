"""A diagnosis for the terminal: nothing is left unsaid, and silence is no health."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from snellen.doctor import Diagnosis, Level, Limit, Place
from snellen.report import diagnosis_text


def told(diagnosis, language="en", width=200, **options):
    screen = Console(width=width, record=True, file=io.StringIO())
    screen.print(diagnosis_text(diagnosis, language, **options))
    return screen.export_text()


def test_everything_is_said(diagnoses):
    text = told(diagnoses.whole())
    for words in (
        "warning D13 class-imbalance: cat has 60 examples and dog 1",
        "measured 60.5 times, limit 50 times (datumaro, ImbalancedLabels)",
        "- dog (1)",
        "- labels/猫.txt:7",
        "- a.png = b.png",
        "and 17 more",
        "Fix: Draw images with rare classes more often",
        "Settings that mend it: --sampler repeat_factor",
        "Not looked at: the test images",
        "explains: M6 no-gradient",
        "crashed M5 parameters-not-in-optimizer: ValueError: two pots",
        "a fault of Snellen",
        "not checkable: M4: no model",
        "1 accepted by the baseline",
        "5 checks: 2 found (findings: 1 warning), 1 passed, 1 not checkable, 1 crashed",
    ):
        assert words in text
    assert "bird" not in text


def test_a_limit_says_which_level_begins_there(diagnoses):
    limit = Limit(value=0.06, unit="share", source="calibration", level=Level.WARNING)
    finding = replace(diagnoses.made_finding("X1", Level.INFO), measured=0.01, limit=limit)
    assert "measured 0.010 share, a warning from 0.060 share (calibration)" in told(diagnoses.only(finding))
    assert "警告界限 0.060 share" in told(diagnoses.only(finding), "zh")


def test_chinese(diagnoses):
    text = told(diagnoses.whole(), "zh")
    for words in (
        "警告 D13",
        "测得 60.5",
        "解决办法：",
        "另有 17 处",
        "无法检查",
        "没有模型",
        "检查出错",
        "由此引起：M6",
    ):
        assert words in text
    assert "Fix" not in text


def test_nothing_found_is_said(diagnoses):
    assert told(Diagnosis(results=())).strip() == "0 checks: 0 found, 0 passed, 0 not checkable, 0 crashed"


def test_gravest_first_and_counted(diagnoses):
    levels = [Level.INFO, Level.ERROR, Level.WARNING]
    found = diagnoses.only(*(diagnoses.made_finding(f"X{level}", level) for level in levels))
    text = told(found)
    assert text.index("error X3") < text.index("warning X2") < text.index("info X1")
    assert "3 found (1 error, 1 warning, 1 info)" in text


@pytest.mark.parametrize("most", [0, 2, 50])
def test_places_are_counted(diagnoses, most):
    places = [Place(kind="image", name=f"{number}.png") for number in range(5)]
    text = told(diagnoses.only(diagnoses.made_finding(places=places)), max_places=most)
    assert text.count(".png") == min(most, 5)
    assert ("and 3 more" in text) == (most == 2)


def test_names_steer_no_terminal(diagnoses):
    evil = "a\x1b[31m[bold]b\nc"
    found = diagnoses.only(diagnoses.made_finding(what=evil, places=[Place(kind="image", name=evil, note=evil)]))
    text = told(found)
    assert "\x1b" not in text
    assert text.count("a [31m[bold]b c") == 3


def test_two_hundred_findings(diagnoses):
    text = told(diagnoses.only(*(diagnoses.made_finding(f"X{number}") for number in range(200))))
    assert text.count("is wrong, says") == 200
    assert "200 found (200 warnings)" in text
