"""Every check of the catalogue keeps what a check promises."""

import itertools
import re
import string

import pytest
import typer

from snellen.cli.main import app
from snellen.doctor import CHECKS, LANGUAGES, Check, Stage, find_check, selected
from snellen.errors import ConfigError

EACH = pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.code}-{check.name}")


def fields_of(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_codes_and_names_are_unique() -> None:
    assert len({check.code for check in CHECKS}) == len(CHECKS)
    assert len({check.name for check in CHECKS}) == len(CHECKS)


@EACH
def test_code_has_the_letter_of_its_stage(check: Check) -> None:
    letter = {Stage.DATA: "D", Stage.SETUP: "M", Stage.TRAINING: "T", Stage.RESULTS: "R"}[check.stage]
    assert re.fullmatch(rf"{letter}\d+", check.code)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", check.name)


@EACH
def test_every_language_says_the_same(check: Check) -> None:
    assert set(check.pages) == set(LANGUAGES)
    english, chinese = check.pages["en"], check.pages["zh"]
    for page in (english, chinese):
        for part in ("title", "finds", "matters", "measured", "false_alarms", "fix"):
            assert len(getattr(page, part)) > 3, part
    assert english.messages.keys() == chinese.messages.keys()
    assert english.fixes.keys() == chinese.fixes.keys() <= english.messages.keys()
    for key, template in english.messages.items():
        assert fields_of(template) == fields_of(chinese.messages[key]), key
    assert re.search("[\u4e00-\u9fff]", chinese.finds)
    assert not re.search("[\u4e00-\u9fff]", english.finds)


@EACH
def test_has_a_source(check: Check) -> None:
    assert len(check.source) > 3
    assert all(re.fullmatch(r"(DX|ERR|Q|SYS)-\d+", code) for code in check.covers)


@EACH
def test_causes_exist_and_come_first(check: Check) -> None:
    codes = [entry.code for entry in CHECKS]
    for cause in (*check.caused_by, *itertools.chain(*check.message_caused_by.values())):
        code, _, message = cause.partition(" ")
        assert codes.index(code) < codes.index(check.code)
        assert not message or message in find_check(code).pages["en"].messages
    assert set(check.message_caused_by) <= set(check.pages["en"].messages)


@EACH
def test_is_found_by_code_and_name(check: Check) -> None:
    assert find_check(check.code.lower()) is check
    assert find_check(check.name) is check


@EACH
def test_what_a_page_tells_to_type_exists(check: Check) -> None:
    command = typer.main.get_command(app)
    names = dict(command.commands)  # type: ignore[attr-defined]
    options = {
        option
        for entry in (*names.values(), *names["data"].commands.values())
        for parameter in entry.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    for page in check.pages.values():
        text = " ".join([page.finds, page.matters, page.measured, page.false_alarms, page.fix, *page.messages.values(),
                         *page.fixes.values()])  # fmt: skip
        for first, second in re.findall(r"snellen (data )?([a-z]+)", text):
            assert second in (names["data"].commands if first else names), f"snellen {first}{second}"
        for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text):
            assert option in options, option


def test_unknown_code_is_refused_with_a_hint() -> None:
    with pytest.raises(ConfigError, match="class-imbalance"):
        find_check("class-imbalanced")


def test_select_and_ignore() -> None:
    data = selected(CHECKS, select=("D",))
    assert all(check.stage == Stage.DATA for check in data)
    assert "D13" not in {check.code for check in selected(CHECKS, select=("D",), ignore=("class-imbalance",))}
    assert [check.code for check in selected(CHECKS, select=("d13",))] == ["D13"]
