"""How thresholds and temperatures are chosen from predictions, by what a model learned from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64

from snellen.errors import ConfigError, did_you_mean
from snellen.evaluation import tempered
from snellen.metrics import (
    DEFAULT_THRESHOLD,
    Decision,
    ThresholdPoint,
    class_figures,
    confusion_counts,
    decided_labels,
    expected_calibration_error,
    fitted_temperature,
    negative_log_likelihood,
    point_at_precision,
    point_at_recall,
    point_of_best_f1,
    ranked_curve,
)
from snellen.structures import ClassScores, ClassTarget, LabelSetScores, LabelSetTarget, Prediction, Target

__all__ = ["CHOICES", "Answers", "Choices", "Goal", "goal_from"]

_FLOOR = 1e-30  # of a probability whose logarithm is taken
_TWO = 2  # classes, of which one threshold tells both apart
_SHOWN_SHARE = 0.5  # of a label of an image, from which it counts as shown
Points = dict[str, ThresholdPoint]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a threshold aims at.

    Attributes:
        kind: ``f1``: the highest; ``recall``: at least ``value``, with as much precision as that leaves; ``precision``:
            at least ``value``, with as much recall.
        value: 0..1; None for ``f1``.
        class_name: Class that is to be found; None for all of a label set, the rarer of two classes, and, for ``f1``,
            all of several.

    Raises:
        ConfigError: If the value is out of range.
    """

    kind: Literal["f1", "recall", "precision"]
    value: float | None = None
    class_name: str | None = None

    def __post_init__(self) -> None:
        """Check the value."""
        if self.kind != "f1" and not (self.value is not None and 0 < self.value <= 1):
            raise ConfigError(f"{self.kind} must be above 0, at most 1; got {self.value!r}.")

    def point(self, scores: np.ndarray, hits: np.ndarray) -> ThresholdPoint | None:
        """Return the point on the curve of a class; None where there is none."""
        if self.kind == "f1" or self.value is None:
            return point_of_best_f1(scores, hits)
        choose = point_at_recall if self.kind == "recall" else point_at_precision
        return choose(scores, hits, self.value)


def goal_from(*, at_recall: float | None, at_precision: float | None, best_f1: bool, find: str | None) -> Goal | None:
    """Return what a user wants of a threshold; None for nothing.

    Raises:
        ConfigError: If it is several things, or a class is named and nothing is wanted of it.
    """
    goals = [Goal(kind="recall", value=at_recall, class_name=find)] if at_recall is not None else []
    goals += [Goal(kind="precision", value=at_precision, class_name=find)] if at_precision is not None else []
    goals += [Goal(kind="f1", class_name=find)] if best_f1 else []
    if len(goals) > 1:
        kinds = " and ".join(goal.kind for goal in goals)
        raise ConfigError(f"a threshold aims at one thing; got {kinds}. Leave all but one out.")
    if find is not None and not goals:
        raise ConfigError(
            f"find names the class that a threshold is for; got {find!r} without at_recall, at_precision or best_f1."
        )
    return goals[0] if goals else None


class Answers(NamedTuple):
    """Probabilities of the validation images beside what was wanted, and whether that is known."""

    probs: Float64[np.ndarray, "n num_classes"]
    wanted: Float64[np.ndarray, "n num_classes"]
    known: Bool[np.ndarray, "n num_classes"]


class Choices(NamedTuple):
    """What can be chosen for one type of target."""

    gather: Callable[[Sequence[Any], Sequence[Any]], Answers]
    temperature: Callable[[Answers], float]
    tempered: Callable[[Answers, float], Answers]
    trust: Callable[[Answers], dict[str, float]]
    decide: Callable[[Answers, Goal, Sequence[str], Int64[np.ndarray, " num_classes"]], tuple[Decision | None, Points]]


def _gather_classes(predictions: Sequence[ClassScores], truths: Sequence[ClassTarget]) -> Answers:
    """Return the images whose class is known."""
    pairs = [(found, true) for found, true in zip(predictions, truths, strict=True) if bool(true.probs.any())]
    if not pairs:
        raise ConfigError("expected validation images whose class is known; there are none. Annotate some.")
    probs = np.stack([found.probs.double().numpy() for found, _ in pairs])
    wanted = np.stack([true.probs.double().numpy() for _, true in pairs])
    return Answers(probs, wanted, np.ones(probs.shape, np.bool_))


def _gather_label_sets(predictions: Sequence[LabelSetScores], truths: Sequence[LabelSetTarget]) -> Answers:
    return Answers(
        np.stack([found.probs.double().numpy() for found in predictions]),
        np.stack([(true.shown >= _SHOWN_SHARE).double().numpy() for true in truths]),
        np.stack([true.known.numpy() for true in truths]).astype(np.bool_),
    )


def _class_temperature(answers: Answers) -> float:
    return fitted_temperature(np.log(np.clip(answers.probs, _FLOOR, None)), answers.wanted)


def _label_set_temperature(answers: Answers) -> float:
    """Return one temperature for the logits of all answers that are known: each a question of two classes."""
    probs, shown = answers.probs[answers.known], answers.wanted[answers.known]
    logits = np.log(np.clip(probs, _FLOOR, None)) - np.log(np.clip(1 - probs, _FLOOR, None))
    return fitted_temperature(np.stack([np.zeros_like(logits), logits], 1), np.stack([1 - shown, shown], 1))


def _tempered_as(kind: Callable[..., Prediction]) -> Callable[[Answers, float], Answers]:
    def change(answers: Answers, temperature: float) -> Answers:
        found: Any = tempered(kind(probs=torch.from_numpy(answers.probs).float()), temperature)
        return answers._replace(probs=found.probs.double().numpy())

    return change


def _class_trust(answers: Answers) -> dict[str, float]:
    truth = answers.wanted.argmax(axis=1)
    return {
        "NLL": negative_log_likelihood(answers.probs, answers.wanted),
        "ECE": expected_calibration_error(answers.probs, truth),
    }


def _label_set_trust(answers: Answers) -> dict[str, float]:
    probs, shown = answers.probs[answers.known], answers.wanted[answers.known]
    pairs, wanted = np.stack([1 - probs, probs], axis=1), np.stack([1 - shown, shown], axis=1)
    return {
        "NLL": negative_log_likelihood(pairs, wanted),
        "ECE": expected_calibration_error(pairs, wanted.argmax(axis=1)),
    }


def _decide_class(
    answers: Answers, goal: Goal, classes: Sequence[str], counts: Int64[np.ndarray, " num_classes"]
) -> tuple[Decision | None, Points]:
    if goal.class_name is None and len(classes) != _TWO:
        if goal.kind != "f1":
            raise ConfigError(
                f"a wanted {goal.kind} is that of one class; the run has {len(classes)} ({_some(classes)}). Name it "
                "with find=…, on the command line --find."
            )
        return _decide_among(answers, classes)
    rarer = int(counts[1] <= counts[0])
    found = rarer if goal.class_name is None else _label_of(goal.class_name, classes)
    hits = answers.wanted.argmax(axis=1) == found
    point = goal.point(answers.probs[:, found], hits)
    if point is None:
        raise ConfigError(_out_of_reach(classes[found], goal, answers.probs[:, found], hits))
    limits = [DEFAULT_THRESHOLD] * len(classes) if len(classes) > _TWO else [1 - point.threshold] * 2
    limits[found] = point.threshold
    return Decision(thresholds=tuple(limits), found=found), {classes[found]: point}


def _decide_among(answers: Answers, classes: Sequence[str]) -> tuple[Decision | None, Points]:
    """Return a threshold of best F1 for each of several classes; None if their macro F1 is no better than without."""
    truth = answers.wanted.argmax(axis=1)
    points = {
        name: point
        for label, name in enumerate(classes)
        if (point := point_of_best_f1(answers.probs[:, label], truth == label)) is not None
    }
    usual = float(np.mean([point.threshold for point in points.values()]))  # where the validation images know nothing
    limits = tuple(points[name].threshold if name in points else usual for name in classes)
    decision = Decision(thresholds=limits)
    if _macro_f1(answers.probs, truth, decision) <= _macro_f1(answers.probs, truth, None):
        return None, {}
    return decision, points


def _macro_f1(probs: np.ndarray, truth: np.ndarray, decision: Decision | None) -> float:
    confusion = confusion_counts(truth, decided_labels(probs, decision), num_classes=probs.shape[1])
    return float(np.nanmean(class_figures(confusion).f1))


def _decide_label_sets(
    answers: Answers, goal: Goal, classes: Sequence[str], counts: Int64[np.ndarray, " num_classes"]
) -> tuple[Decision | None, Points]:
    """Return a threshold for each class; one half where the validation images allow none."""
    del counts
    chosen = None if goal.class_name is None else _label_of(goal.class_name, classes)
    points: Points = {}
    for label, name in enumerate(classes):
        known = answers.known[:, label]
        if chosen in (None, label):
            point = goal.point(answers.probs[known, label], answers.wanted[known, label] >= _SHOWN_SHARE)
            points |= {} if point is None else {name: point}
    if not points:
        raise ConfigError(
            f"no class reaches what was wanted ({goal.kind} {goal.value or ''}) on the validation images, or none is "
            "shown there. Ask for less, or annotate more of them."
        )
    return Decision(
        thresholds=tuple(points[n].threshold if n in points else DEFAULT_THRESHOLD for n in classes)
    ), points


def _label_of(name: str, classes: Sequence[str]) -> int:
    if name not in classes:
        raise ConfigError(
            f"the class to be found must be one of the run's ({_some(classes)}); got {name!r}."
            f"{did_you_mean(name, classes)}"
        )
    return list(classes).index(name)


def _out_of_reach(name: str, goal: Goal, scores: np.ndarray, hits: np.ndarray) -> str:
    if not hits.any():
        return (
            f"thresholds are chosen on validation images; none of {len(hits)} is of the class {name!r}. Put some there."
        )
    most = ranked_curve(scores, hits, num_wanted=int(hits.sum())).precision.max()
    return (
        f"no threshold of {name!r} reaches a precision of {goal.value} on {len(hits)} validation images; the most is "
        f"{most:.3g}. Ask for less."
    )


def _some(classes: Sequence[str]) -> str:
    most = 8
    return ", ".join(classes[:most]) + (", …" if len(classes) > most else "")


CHOICES: Mapping[type[Target], Choices] = MappingProxyType(
    {
        ClassTarget: Choices(
            _gather_classes, _class_temperature, _tempered_as(ClassScores), _class_trust, _decide_class
        ),
        LabelSetTarget: Choices(
            _gather_label_sets,
            _label_set_temperature,
            _tempered_as(LabelSetScores),
            _label_set_trust,
            _decide_label_sets,
        ),
    }
)
