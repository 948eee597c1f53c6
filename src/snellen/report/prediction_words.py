"""What a model says of one image in one line, by a table keyed by type."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch

from snellen.metrics import Decision, decided_labels
from snellen.report.formatting import number_text, plain_text
from snellen.structures import ClassScores, Detections, LabelSetScores, Prediction, SegmentationMap, ValueEstimates

__all__ = ["prediction_words"]

_MOST = 6  # classes or values that a line names
_NOTHING = "nothing"
_LEAST_SHARE = 0.5  # per cent of the pixels from which a class is named
_LEAST_SHOWN = 0.5  # probability from which a class of a label set is named where no threshold was chosen


def prediction_words(
    what: Prediction, classes: Sequence[str], *, min_score: float = 0.3, decision: Decision | None = None
) -> str:
    """Return a prediction in one line, such as ``3 cat, 1 dog`` or ``cat 0.92``.

    Args:
        what: For one image.
        classes: Names in label order; of values their names.
        min_score: Detections below are not counted.
        decision: How probabilities name classes; None for the most probable one.
    """
    parts = _WORDS[type(what)](what, tuple(plain_text(name) for name in classes), min_score, decision)
    rest = len(parts) - _MOST
    return ", ".join([*parts[:_MOST], *([f"{rest} more"] if rest > 0 else [])]) or _NOTHING


def _objects(what: Detections, classes: Sequence[str], min_score: float, _: Decision | None) -> list[str]:
    counts = Counter(what.labels[what.scores >= min_score].tolist())
    return [f"{count} {_name(label, classes)}" for label, count in counts.most_common()]


def _pixels(what: SegmentationMap, classes: Sequence[str], _: float, __: Decision | None) -> list[str]:
    counts = torch.bincount(what.labels.flatten().long())
    order = counts.argsort(descending=True, stable=True).tolist()
    shares = (100.0 * counts / counts.sum()).tolist()
    return [f"{_name(label, classes)} {shares[label]:.0f} %" for label in order if shares[label] >= _LEAST_SHARE]


def _class(what: ClassScores, classes: Sequence[str], _: float, decision: Decision | None) -> list[str]:
    probs = what.probs.cpu().double().numpy()
    label = int(decided_labels(probs[None], decision)[0])
    return [f"{_name(label, classes)} {probs[label]:.2f}"]


def _label_set(what: LabelSetScores, classes: Sequence[str], _: float, decision: Decision | None) -> list[str]:
    probs = what.probs.cpu().tolist()
    least = [_LEAST_SHOWN] * len(probs) if decision is None else decision.thresholds
    shown = sorted((label for label, prob in enumerate(probs) if prob >= least[label]), key=lambda one: -probs[one])
    return [f"{_name(label, classes)} {probs[label]:.2f}" for label in shown]


def _values(what: ValueEstimates, names: Sequence[str], _: float, __: Decision | None) -> list[str]:
    return [f"{_name(place, names)} {number_text(value)}" for place, value in enumerate(what.values.cpu().tolist())]


def _name(label: int, classes: Sequence[str]) -> str:
    return classes[label] if label < len(classes) else f"#{label}"


_WORDS: Mapping[type, Callable[[Any, Sequence[str], float, Decision | None], list[str]]] = MappingProxyType(
    {
        Detections: _objects,
        SegmentationMap: _pixels,
        ClassScores: _class,
        LabelSetScores: _label_set,
        ValueEstimates: _values,
    }
)
