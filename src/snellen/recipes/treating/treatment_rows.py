"""Rows of what a treatment says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Self

from snellen.metrics import Interval
from snellen.recipes.treating.findings import After
from snellen.report.formatting import number_text

__all__ = ["Proof", "TriedRow", "after_text", "changes_text", "mean_text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedRow:
    """What became of one treatment.

    Attributes:
        name: Of the treatment.
        codes: Findings that it is for.
        changes: Options that it changes.
        verdict: ``kept``, ``helps, but …``, ``no measurable gain``, ``hurts``, ``failed`` or ``dropped at …``.
        gain: Of the validation score, higher is better, paired by seed; at the share of the epochs that it reached.
        share: Of the epochs.
        seconds: Of a training, the mean.
        before: Of the first finding, untreated; None where it cannot be looked at again.
        after: The same, treated.
        source: Where the treatment is taken from.
        failures: Why seeds failed.
    """

    name: str
    codes: tuple[str, ...]
    changes: Mapping[str, Any]
    verdict: str
    gain: Interval
    share: float
    seconds: float
    before: After | None = None
    after: After | None = None
    source: str = ""
    failures: tuple[str, ...] = ()

    @classmethod
    def from_record(cls, told: Mapping[str, Any]) -> Self:
        """Return what JSON holds."""
        after = {name: None if told[name] is None else After(**told[name]) for name in ("before", "after")}
        lists = {name: tuple(told[name]) for name in ("codes", "failures")}
        return cls(**{**told, **after, **lists, "gain": Interval(**told["gain"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Treated beside untreated on the test images, looked at once, after everything was chosen.

    Attributes:
        headline: Name of the figure.
        treated: For each seed.
        untreated: For each seed.
        difference: Paired by seed, higher is better.
        per_image: Of the mean quality of an image, with its interval over images; None where it is not known.
        lower_is_better: Whether the figure is an error.
    """

    headline: str
    treated: tuple[float, ...]
    untreated: tuple[float, ...]
    difference: Interval
    per_image: Interval | None
    lower_is_better: bool

    @property
    def is_proven(self) -> bool:
        """Whether the difference is better beyond chance."""
        return self.difference.is_above_zero

    @classmethod
    def from_record(cls, told: Mapping[str, Any]) -> Self:
        """Return what JSON holds."""
        quality = told["per_image"]
        return cls(
            **{
                **told,
                "treated": tuple(told["treated"]),
                "untreated": tuple(told["untreated"]),
                "difference": Interval(**told["difference"]),
                "per_image": None if quality is None else Interval(**quality),
            }
        )


def mean_text(values: Sequence[float]) -> str:
    """Return the mean of what is known."""
    known = [value for value in values if isfinite(value)]
    return number_text(sum(known) / len(known)) if known else "–"


def changes_text(changes: Mapping[str, Any]) -> str:
    """Return options with their values, in a line."""
    return ", ".join(f"{name}={_value_text(name, value)}" for name, value in changes.items())


def _value_text(name: str, value: Any) -> str:
    if name == "repairs" and isinstance(value, Mapping):
        return ", ".join(f"{len(entries)} {kind}" for kind, entries in value.items())
    if value is None:
        return "as chosen"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def after_text(before: After | None, after: After | None) -> str:
    """Return what became of a finding, such as ``3/3 (0.82) → 0/3``."""
    if before is None and after is None:
        return "–"
    return f"{_one_after(before)} → {_one_after(after)}"


def _one_after(one: After | None) -> str:
    if one is None:
        return "–"
    counted = f"{one.found}/{one.judged}"
    return counted if one.measured is None else f"{counted} ({number_text(one.measured)})"
