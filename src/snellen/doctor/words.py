"""What the doctor says, in every language that it speaks."""

import locale
import os
from dataclasses import dataclass
from typing import Literal

__all__ = ["LANGUAGES", "Language", "Text", "system_language"]

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")


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


def system_language() -> Language:
    """Return the language of the locale, as the environment states it; English for all but Chinese."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name)
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    stated = locale.getlocale()[0] or ""
    return "zh" if stated.lower().startswith(("zh", "chinese")) else "en"
