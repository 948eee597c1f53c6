"""What the doctor says, in every language that it speaks."""

import locale
import os
import re
from dataclasses import dataclass
from typing import Literal, get_args

from snellen.errors import ConfigError

__all__ = ["LANGUAGES", "Language", "Text", "chosen_language", "system_language"]

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


@dataclass(frozen=True, slots=True)
class Text:
    """One statement in every language.

    Attributes:
        en: English.
        zh: Chinese, simplified characters.
    """

    en: str
    zh: str

    def __call__(self, language: Language) -> str:
        """Return the statement in a language."""
        return self.en if language == "en" else self.zh


def chosen_language(given: str | None = None) -> Language:
    """Return the language to speak: the one given, else that of ``SNELLEN_LANG``, else that of the locale.

    Raises:
        ConfigError: If the doctor does not speak it.
    """
    for name, value in (("the language", given), ("SNELLEN_LANG", os.environ.get("SNELLEN_LANG"))):
        if value:
            word = re.split("[-_.]", value.lower())[0]
            known = next((language for language in LANGUAGES if language == word), None)
            if known is None:
                raise ConfigError(f"{name} must be one of {', '.join(LANGUAGES)}; got {value!r}.")
            return known
    return system_language()


def system_language() -> Language:
    """Return the language of the locale, as the environment states it; English for all but Chinese."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name)
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    stated = locale.getlocale()[0] or ""
    return "zh" if stated.lower().startswith(("zh", "chinese")) else "en"
