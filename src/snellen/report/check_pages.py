"""The page of a check as Markdown, from its one text, and a list of all checks."""

import re
from collections.abc import Sequence

from snellen.doctor import Check, Language, Stage
from snellen.report.phrases import phrase
from snellen.structures import Table

__all__ = ["check_page", "check_table"]

_SECTIONS = (("finds", "finds"), ("matters", "matters"), ("measures", "measured"), ("false alarms", "false_alarms"))


def check_page(check: Check, language: Language = "en", *, depth: int = 1) -> str:
    """Return the page of a check as Markdown.

    Args:
        check: Row of the catalogue.
        language: Of the page.
        depth: Level of its heading.
    """
    page = check.pages[language]
    sections = [(name, getattr(page, field)) for name, field in _SECTIONS]
    fixes = dict.fromkeys([page.fix, *page.fixes.values()])
    sections.append(("how to fix", _slots("\n\n".join(fixes))))
    sections.append(("messages", "\n".join(f"- {_slots(text)}" for text in page.messages.values())))
    sections.append(("source", check.source))
    if check.covers:
        sections.append(("covers", ", ".join(check.covers)))
    head = f"{'#' * depth} {check.code} {check.name}: {page.title}"
    return "\n\n".join([head, *(f"{'#' * (depth + 1)} {phrase(name, language)}\n\n{text}" for name, text in sections)])


def check_table(checks: Sequence[Check], language: Language = "en") -> Table:
    """Return code, name, what it looks at and title of checks."""
    columns = tuple(phrase(name, language) for name in ("code", "check", "stage", "fault"))
    rows = tuple(
        (check.code, check.name, phrase(_STAGES[check.stage], language), check.pages[language].title)
        for check in checks
    )
    return Table(title=phrase("all checks", language), columns=columns, rows=rows)


_STAGES = {Stage.DATA: "data", Stage.SETUP: "setup", Stage.TRAINING: "training", Stage.RESULTS: "results"}


def _slots(template: str) -> str:
    """Return a message with the names of its numbers set apart, such as ``{ratio}``."""
    return re.sub(r"\{(\w+)[^{}]*\}", r"`{\1}`", template)
