"""What came of a training so far: symptoms are grave only where the outcome is bad."""

import re
from dataclasses import dataclass
from enum import StrEnum
from math import log

import numpy as np

from snellen.doctor.check import NotCheckable
from snellen.doctor.finding import Level
from snellen.doctor.watching.curves import Course, Floats, course, finite, noise_of
from snellen.doctor.watching.trace import Trace
from snellen.doctor.words import Text

__all__ = [
    "LEAST_STEPS",
    "HeldOut",
    "Learning",
    "Outcome",
    "held_out_losses",
    "held_out_scores",
    "layer_samples",
    "learning_of",
    "scored",
    "weight_columns",
]

LEAST_STEPS = 30  # with fewer nothing is told of a course
EARLY_STEPS = 100  # before, a training may be warming up or on its first plateau
EARLY_SHARE = 0.1  # of the planned steps, likewise
BAD_DROP = 0.05  # of the loss; AutoTrainer and SageMaker Debugger: not decreasing
MOST_BAD_DROP = 0.15  # where the loss scatters so much that 5 % cannot be seen
SURE = 2.0  # standard errors of the drop
GOOD_DROP = 0.5  # of the loss
PRECISE = 0.05  # of the first loss, to which it must be known
THROWN = 5.0  # spreads of single losses, by which the first steps are above the first loss
LOST = 0.5  # of the loss at the start, by which it has risen
NEAR_CHANCE = 0.05  # of accuracy above 1 / K
CROSS_ENTROPY_START = (0.5, 2.0)  # first loss over ln K: a loss per image of K classes, as the check M2 has it
BETTER_BELOW = re.compile(r"loss|err|mae|mse|perplexity|nll|cost|wer$|cer$|brier|ece", re.IGNORECASE)
BETTER_ABOVE = re.compile(
    r"acc|top.?\d|ap$|ap[^a-z]|map|iou|dice|f1|fbeta|recall|precision|auc|score|pq|psnr|ssim|r2|kappa|correct",
    re.IGNORECASE,
)
ACCURACY = re.compile(r"acc|top.?1$", re.IGNORECASE)


class Outcome(StrEnum):
    """What came of a training so far."""

    EARLY = "early"  # too early to tell
    BAD = "bad"  # the loss has not fallen, or the answers are no better than chance
    FAIR = "fair"
    GOOD = "good"  # the loss has fallen by half or more


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldOut:
    """A measure on data that are not learned from, ``n`` times.

    Attributes:
        name: As it was told.
        steps: Done before each, ``[n]``.
        values: ``[n]``.
    """

    name: str
    steps: Floats
    values: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Learning:
    """How the loss has gone; measured once for each judgement.

    Attributes:
        steps: That told a loss, ``[n]``.
        values: The losses, ``[n]``.
        course: In parts.
        start: Where the loss began.
        end: Where it is, over the last tenth.
        drop: How much of it is gone: 1 is all of a loss that ends at zero.
        num_classes: Of a classifier, 0 for others.
        outcome: What came of it.
    """

    steps: Floats
    values: Floats
    course: Course
    start: float
    end: float
    drop: float
    num_classes: int
    outcome: Outcome

    @property
    def level(self) -> Level:
        """How grave a symptom is: a warning where the outcome is bad, else worth knowing."""
        return Level.WARNING if self.outcome == Outcome.BAD else Level.INFO

    @property
    def is_cross_entropy(self) -> bool:
        """Whether the first loss is one of guessing among the classes."""
        if self.num_classes < 2:
            return False
        low, high = CROSS_ENTROPY_START
        return low <= float(self.values[0]) / log(self.num_classes) <= high


def learning_of(trace: Trace) -> Learning:
    """Return how the loss has gone.

    Raises:
        NotCheckable: If it is not known, or of too few steps.
    """
    steps, values = finite(trace.steps, trace.loss)
    if not len(values):
        raise NotCheckable(
            Text(
                en="the loss is not known: in a loop of your own give watch the criterion, or call observe(loss) in "
                "each step",
                zh="不知道损失：在自己的循环中请把损失函数交给 watch，或在每一步调用 observe(loss)",
            )
        )
    found = course(steps, values)
    if len(values) < LEAST_STEPS or found is None:
        raise NotCheckable(
            Text(
                en=f"{len(values)} steps are too few to tell; {LEAST_STEPS} are the least",
                zh=f"只有 {len(values)} 步，看不出结果；至少需要 {LEAST_STEPS} 步",
            )
        )
    noise, count = noise_of(values[len(values) // 2 :]), _head(values)
    start, end = _start_of(values, count, noise), float(np.median(values[-max(3, len(values) // 10) :]))
    error = noise * (1 / count + 10 / len(values)) ** 0.5 / max(abs(start), 1e-12)
    num_classes = int(trace.named.shape[1])
    drop = _drop(values, start, end, num_classes)
    return Learning(
        steps=steps,
        values=values,
        course=found,
        start=start,
        end=end,
        drop=drop,
        num_classes=num_classes,
        outcome=_outcome(trace, drop, num_classes, least=min(max(BAD_DROP, SURE * error), MOST_BAD_DROP)),
    )


def _head(values: Floats) -> int:
    """Return how many of the first values tell where the loss began: a few, up to a tenth where they scatter."""
    least, most = min(max(3, len(values) // 50), 20), len(values) // 10
    level = abs(float(np.median(values[:least])))
    noise = noise_of(values[len(values) // 2 :])
    needed = (noise / (PRECISE * level)) ** 2 if level > 0 else 0.0
    return int(min(max(least, needed), max(least, most)))


def _start_of(values: Floats, count: int, noise: float) -> float:
    """Return where the loss began.

    A rate far too high throws the loss up at once; that it comes down again is no progress, and then the first loss,
    which came before any change, is where it began.
    """
    head = float(np.median(values[: min(max(3, len(values) // 50), 20)]))
    is_thrown_up = head > 1.5 * abs(values[0]) and head - values[0] > THROWN * noise
    return float(values[0]) if is_thrown_up else float(np.median(values[:count]))


def _drop(values: Floats, start: float, end: float, num_classes: int) -> float:
    scale = abs(start) if values.min() >= 0 else float(np.ptp(np.quantile(values, [0.05, 0.95])))
    if num_classes > 1 and start > 0:
        chance = log(num_classes)
        if abs(end - chance) < BAD_DROP * chance and start > chance:
            return 0.0  # from a bad start down to guessing is no learning
    return (start - end) / scale if scale > 0 else 0.0


def _outcome(trace: Trace, drop: float, num_classes: int, *, least: float) -> Outcome:
    if drop < -LOST:
        return Outcome.BAD
    accuracies = [row for row in held_out_scores(trace) if ACCURACY.search(row.name) and 0 <= row.values.max() <= 1]
    if accuracies and num_classes > 1 and accuracies[0].values.max() > 1 / num_classes + 2 * NEAR_CHANCE:
        return Outcome.GOOD if drop >= GOOD_DROP else Outcome.FAIR
    last = int(trace.steps[-1])
    if last < max(EARLY_STEPS, EARLY_SHARE * (trace.planned_steps or 0)) and not trace.is_over:
        return Outcome.GOOD if drop >= GOOD_DROP else Outcome.EARLY
    if drop < least:
        return Outcome.BAD
    if accuracies and num_classes > 1 and len(accuracies[0].values) >= 3 and drop < GOOD_DROP:
        return Outcome.BAD if accuracies[0].values[-1] < 1 / num_classes + NEAR_CHANCE / 2 else Outcome.FAIR
    return Outcome.GOOD if drop >= GOOD_DROP else Outcome.FAIR


def scored(trace: Trace, name: str) -> HeldOut:
    """Return a measure by its name."""
    rows = [(row.step, row.scores[name]) for row in trace.validations if name in row.scores]
    steps, values = finite([step for step, _ in rows], [value for _, value in rows])
    return HeldOut(name=name, steps=steps, values=values)


def held_out_losses(trace: Trace) -> list[HeldOut]:
    """Return the measures that are better when lower, the whole loss first."""
    names = [name for name in _names(trace) if BETTER_BELOW.search(name)]
    names.sort(key=lambda name: (not re.fullmatch(r"(\w*[_/])?loss", name), len(name)))
    return [row for row in (scored(trace, name) for name in names) if len(row.values)]


def held_out_scores(trace: Trace) -> list[HeldOut]:
    """Return the measures that are better when higher; names that say nothing are left out."""
    names = [name for name in _names(trace) if not BETTER_BELOW.search(name) and BETTER_ABOVE.search(name)]
    return [row for row in (scored(trace, name) for name in names) if len(row.values)]


def _names(trace: Trace) -> list[str]:
    return list(dict.fromkeys(name for row in trace.validations for name in row.scores))


def weight_columns(trace: Trace) -> list[int]:
    """Return the columns of the parameters that are matrices or kernels, not biases and scales."""
    return [place for place, column in enumerate(trace.parameters) if len(column.shape) >= 2]


def layer_samples(trace: Trace) -> list[int]:
    """Return the rows of the samples in which layers were looked at."""
    return [int(row) for row in np.flatnonzero(np.isfinite(trace.rms).any(1))]
