"""What a check is: a code, a page in every language, and a judge that turns evidence into findings."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from snellen.doctor.finding import Finding
from snellen.doctor.words import Language, Text
from snellen.structures import Curve

__all__ = ["Check", "NotCheckable", "Page", "Stage"]


class Stage(StrEnum):
    """What a check looks at."""

    DATA = "data"  # images and annotations
    SETUP = "setup"  # model, loss, optimizer and plan before the first step
    TRAINING = "training"  # what was seen of a training while it ran
    RESULTS = "results"  # what a trained model predicts


class NotCheckable(Exception):  # noqa: N818 - an outcome, not an error
    """Raised by a judge or a source of evidence that has not what it needs.

    Args:
        reason: What is missing, and how to supply it.
    """

    def __init__(self, reason: Text) -> None:
        super().__init__(reason.en)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What people are told of a check, in one language.

    Attributes:
        title: The fault in a few words.
        finds: What it finds.
        matters: Why it matters.
        measured: How it is measured, with the criterion and its thresholds.
        false_alarms: When it speaks though all is well.
        fix: How to mend the fault.
        messages: What a finding says, by its ``message``, with ``{names}`` of its numbers (`str.format`).
        fixes: Where a message has a fix of its own, by the same names.
    """

    title: str
    finds: str
    matters: str
    measured: str
    false_alarms: str
    fix: str
    messages: Mapping[str, str]
    fixes: Mapping[str, str] = field(default_factory=dict)

    def message(self, finding: Finding) -> str:
        """Return what a finding of this check says."""
        return self.messages[finding.message].format(**finding.numbers)

    def fix_of(self, finding: Finding) -> str:
        """Return how to mend a finding of this check."""
        return self.fixes.get(finding.message, self.fix).format(**finding.numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One fault that can be found.

    Attributes:
        code: Letter of the stage and a number that is never used again for another fault.
        name: The fault, in words with hyphens.
        stage: What it looks at.
        judge: A pure function. The types of its parameters say which evidence it needs; ``X | None`` means that it
            can do without. It yields findings, none if all is well, and raises `NotCheckable` where it cannot tell.
        pages: What people are told, by language.
        source: Papers, tools or documents that the criterion is taken from.
        covers: Diagnoses of the inventory (``DX-001``) that it makes.
        caused_by: Codes of checks whose finding explains this one, some with one of their messages alone
            (``R7 sure_images``).
        message_caused_by: Further ones that explain findings with one message only.
        curves: Of a training: what draws the curves that show a finding, from the trace and the finding.
    """

    code: str
    name: str
    stage: Stage
    judge: Callable[..., Iterable[Finding]]
    pages: Mapping[Language, Page]
    source: str
    covers: tuple[str, ...] = ()
    caused_by: tuple[str, ...] = ()
    message_caused_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    curves: Callable[..., Iterable[Curve]] | None = None
