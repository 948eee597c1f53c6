"""What is said of a whole image, as the rows of the strip below it: truths and predictions."""

from collections.abc import Sequence

from snellen.metrics import Decision, decided_labels
from snellen.report.fonts import drawable_text
from snellen.report.formatting import number_text, plain_text
from snellen.report.legends import Entry
from snellen.report.objects import IGNORED_COLOR
from snellen.report.palette import class_color
from snellen.structures import ClassScores, ClassTarget, LabelSetScores, LabelSetTarget, ValueEstimates, ValueTarget

__all__ = [
    "class_name",
    "class_score_rows",
    "class_target_rows",
    "label_score_rows",
    "label_set_rows",
    "value_estimate_rows",
    "value_rows",
]

_TOP_CLASSES = 3
_MOST_ROWS = 12  # of label sets and values
_LEAST_SHOWN = 0.1  # probability from which a class of a label set is listed
_NONE = "none of the classes"


def class_name(label: int, classes: Sequence[str]) -> str:
    """Return the name of a class in letters that can be drawn, or its number."""
    number = f"#{label}"
    return drawable_text(plain_text(classes[label]), number) if 0 <= label < len(classes) else number


def class_target_rows(what: ClassTarget, classes: Sequence[str]) -> list[Entry]:
    """Return the class of an image, or the shares of several."""
    shares = what.probs.cpu().tolist()
    best = [label for label in _ranked(shares)[:_TOP_CLASSES] if shares[label] > 0]
    is_sure = len(best) == 1
    return [_entry(label, classes, None if is_sure else shares[label]) for label in best]


def class_score_rows(what: ClassScores, classes: Sequence[str], decision: Decision | None = None) -> list[Entry]:
    """Return the class that is named, and then the most probable others."""
    probs = what.probs.cpu().tolist()
    named = int(decided_labels(what.probs.cpu()[None].double().numpy(), decision)[0])
    order = [named, *(label for label in _ranked(probs) if label != named)]
    return [_entry(label, classes, probs[label]) for label in order[:_TOP_CLASSES]]


def label_set_rows(what: LabelSetTarget, classes: Sequence[str]) -> list[Entry]:
    """Return the classes that an image shows, and how many are not known."""
    shares = what.shown.cpu().tolist()
    shown = [label for label in _ranked(shares) if shares[label] > 0]
    entries = [_entry(label, classes, None if shares[label] == 1 else shares[label]) for label in shown]
    unknown = int((~what.known).sum())
    if unknown:
        entries.append(Entry(text=f"{unknown} not known", color=IGNORED_COLOR, share=None))
    return _limited(entries) or [Entry(text=_NONE, color=IGNORED_COLOR, share=None)]


def label_score_rows(what: LabelSetScores, classes: Sequence[str], decision: Decision | None = None) -> list[Entry]:
    """Return the classes that an image probably shows, each with its own probability; with thresholds, those above."""
    probs = what.probs.cpu().tolist()
    least = [_LEAST_SHOWN] * len(probs) if decision is None else decision.thresholds
    shown = [label for label in _ranked(probs) if probs[label] >= least[label]]
    entries = [_entry(label, classes, probs[label]) for label in shown]
    return _limited(entries) or [Entry(text=_NONE, color=IGNORED_COLOR, share=None)]


def value_rows(what: ValueTarget, names: Sequence[str]) -> list[Entry]:
    """Return the values of an image by their names."""
    known = what.known.cpu().tolist()
    values = what.values.cpu().tolist()
    return _value_entries([value if is_known else None for value, is_known in zip(values, known, strict=True)], names)


def value_estimate_rows(what: ValueEstimates, names: Sequence[str]) -> list[Entry]:
    """Return the estimates for an image by their names."""
    return _value_entries(what.values.cpu().tolist(), names)


def _value_entries(values: Sequence[float | None], names: Sequence[str]) -> list[Entry]:
    return _limited(
        [
            Entry(text=f"{class_name(place, names)}: {number_text(value)}", color=class_color(place), share=None)
            for place, value in enumerate(values)
        ]
    )


def _entry(label: int, classes: Sequence[str], share: float | None) -> Entry:
    return Entry(text=class_name(label, classes), color=class_color(label), share=share)


def _ranked(shares: Sequence[float]) -> list[int]:
    return sorted(range(len(shares)), key=lambda label: -shares[label])


def _limited(entries: list[Entry]) -> list[Entry]:
    rest = len(entries) - _MOST_ROWS
    if rest <= 0:
        return entries
    return [*entries[:_MOST_ROWS], Entry(text=f"{rest} more", color=IGNORED_COLOR, share=None)]
