"""Which language is spoken."""

import pytest

from snellen.doctor import Text, chosen_language
from snellen.errors import ConfigError


@pytest.fixture(autouse=True)
def no_locale(monkeypatch):
    for name in ("SNELLEN_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")


@pytest.mark.parametrize(
    ("given", "variable", "locale", "spoken"),
    [
        (None, None, "zh_CN.UTF-8", "zh"),
        (None, None, "de_DE.UTF-8", "en"),
        (None, "zh", "en_US.UTF-8", "zh"),
        (None, "en", "zh_CN.UTF-8", "en"),
        ("zh", "en", "en_US.UTF-8", "zh"),
        ("ZH-cn", None, "en_US.UTF-8", "zh"),
        ("en_GB", None, "zh_CN", "en"),
    ],
)
def test_what_is_given_then_the_variable_then_the_locale(monkeypatch, given, variable, locale, spoken):
    monkeypatch.setenv("LANG", locale)
    if variable:
        monkeypatch.setenv("SNELLEN_LANG", variable)
    assert chosen_language(given) == spoken


def test_a_language_that_is_not_spoken(monkeypatch):
    with pytest.raises(ConfigError, match="must be one of en, zh; got 'fr'"):
        chosen_language("fr")
    monkeypatch.setenv("SNELLEN_LANG", "xx")
    with pytest.raises(ConfigError, match="SNELLEN_LANG must be"):
        chosen_language()


def test_text():
    text = Text(en="two", zh="二")
    assert (text("en"), text("zh")) == ("two", "二")
