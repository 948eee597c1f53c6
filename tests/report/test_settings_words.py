"""Treatments as words of the command line, which read as they were meant."""

import shlex

import pytest

from snellen.cli.choices import assignments
from snellen.doctor import Treatment
from snellen.report.settings_words import settings_words


@pytest.mark.parametrize("value", ["soft_gaussian", "true", "3", "", 0.5, 3, None, [1, 2], 'a "b"'])
def test_values_of_the_model_are_read_back(value):
    words = shlex.split(settings_words(Treatment(settings={"model_options": {"settings.kind": value}})))
    assert words[0] == "--set"
    assert assignments(words[1:]) == {"settings.kind": value}


def test_text_has_no_quotes_that_it_does_not_need():
    treatment = Treatment(settings={"model_options": {"settings.suppression": "soft_gaussian"}})
    assert settings_words(treatment) == "--set settings.suppression=soft_gaussian"
