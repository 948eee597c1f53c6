"""What it takes to tell that answers fit the truth far better once they are read otherwise."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import binomtest

from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.results.evaluated import EvaluatedRun, Pair
from snellen.doctor.evidence.results.figures import FIGURES, Figure
from snellen.doctor.words import Text
from snellen.metrics import Interval, image_draws, interval_ends
from snellen.structures import Prediction, Target

__all__ = [
    "ALL",
    "DISPLACED",
    "FAR",
    "NEAR",
    "Proposal",
    "Reading",
    "Renaming",
    "chosen_pairs",
    "next_images",
    "reading_of",
    "renamed",
    "same_named",
    "with_answers_of_others",
    "with_prediction",
]

MOST_IMAGES = 300  # that are read again
DRAWS = 300
_BLOCK = 8  # neighbouring images that are kept together
DISPLACED = ("moved", "boxes_moved", "boxes_grown")  # readings that only undo a displacement
FAR = 0.1  # of the figure, that another reading must bring at least
NEAR = 0.02  # that a small displacement must bring at least; repeated trainings differ by less
ALL = 0.0  # where a test of its own stands behind a reading
STEPS = (1, -1, 2, -2, 3, -3)  # images by which answers may be behind or ahead
LEAST_CASES = 5  # of a class that is renamed, in each half
LEAST_OPEN = 3  # classes that are renamed where no cycle is whole
BETTER = 0.3  # share of the cases of renamed classes by which more come out right
SURE = 1e-3  # p-value of as many coming out right by chance


@dataclass(frozen=True, kw_only=True, eq=False)
class Proposal:
    """Another reading of answers.

    Attributes:
        name: The message that tells it.
        numbers: That the message needs.
        read: From pairs as they are to pairs as they would be read.
        least: By which the figure must rise.
        figure: That is measured on both; that of the kind of prediction if None.
    """

    name: str
    numbers: Mapping[str, str | int]
    read: Callable[[Sequence[Pair]], list[Pair]]
    least: float = FAR
    figure: Callable[[Sequence[Pair]], Figure] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """The other reading that fits best.

    Attributes:
        name: The message that tells it; empty if none fits clearly better.
        numbers: That the message needs.
        figure: Name of the figure.
        before: As the answers are.
        after: As they are read otherwise.
        gain: Difference with its 95 % bootstrap interval, on the same draws of images.
    """

    ABSENT = Text(en="there are no answers that could be read otherwise", zh="没有可以另作解读的答案")

    name: str = ""
    numbers: Mapping[str, str | int] = field(default_factory=dict)
    figure: str = ""
    before: float = float("nan")
    after: float = float("nan")
    gain: Interval = Interval(mean=float("nan"))  # noqa: RUF009 - frozen


def reading_of(run: EvaluatedRun, pairs: Sequence[Pair], proposals: Iterable[Proposal]) -> Reading:
    """Return the proposal that fits clearly better than the answers as they are, the best if there are several."""
    best = Reading()
    known: dict[object, Figure] = {}
    weights = image_draws(len(pairs), DRAWS)
    for one in proposals:
        measure = one.figure or (lambda chosen: FIGURES[run.kind](chosen, run.index.classes, None))
        if one.figure not in known:
            known[one.figure] = measure(pairs)
        before, after = known[one.figure], measure(one.read(pairs))
        if before.num_images != len(pairs) or after.num_images != len(pairs):
            continue
        gain = after.value - before.value
        if not gain > max(one.least, best.gain.mean if best.name else 0.0):
            continue
        low, high = interval_ends(after.measure(weights) - before.measure(weights))
        if low > one.least / 2:
            best = Reading(
                name=one.name,
                numbers=one.numbers,
                figure=after.name,
                before=before.value,
                after=after.value,
                gain=Interval(mean=gain, low=low, high=high, count=len(pairs)),
            )
    return best


def chosen_pairs(
    run: EvaluatedRun,
    kind: type[Prediction],
    wanted: type[Target],
    *,
    most: int = MOST_IMAGES,
    kept: Callable[[Pair], Pair] = lambda pair: pair,
) -> list[Pair]:
    """Return the answers that are looked at, some of them, eight neighbours at a time, where there are very many.

    Args:
        run: They were given by.
        kind: Of the predictions.
        wanted: Of the truths.
        most: Images, about.
        kept: What is kept of a pair.

    Raises:
        NotCheckable: If they are of another kind, or there are none.
    """
    if run.kind is not kind:
        raise NotCheckable(Reading.ABSENT)
    step = -(-len(run.looked_at.part) // most)
    found = [
        kept(pair)
        for pair in run.looked_at.pairs()
        if isinstance(pair[0].prediction, kind) and isinstance(pair[1], wanted) and pair[0].index // _BLOCK % step == 0
    ]
    if not found:
        raise NotCheckable(Reading.ABSENT)
    return found


def with_prediction(pair: Pair, prediction: Prediction) -> Pair:
    """Return a pair with another prediction."""
    return replace(pair[0], prediction=prediction), pair[1]


def next_images(fits: Callable[[Pair, Pair], bool] = lambda _one, _other: True) -> Iterator[Proposal]:
    """Yield the readings in which each image has the answer of one that stands some places before or behind it.

    Args:
        fits: Whether the answer of the first can be read for the second.
    """
    for step in STEPS:

        def read(pairs: Sequence[Pair], step: int = step) -> list[Pair]:
            return with_answers_of_others(pairs, step, fits)

        yield Proposal(name="image", numbers={"step": f"{step:+d}"}, read=read)


def with_answers_of_others(
    pairs: Sequence[Pair], step: int, fits: Callable[[Pair, Pair], bool] = lambda _one, _other: True
) -> list[Pair]:
    """Return each image with the answer of the one that stands ``step`` places behind it, where that can be read."""
    moved = [pairs[(place + step) % len(pairs)] for place in range(len(pairs))]
    return [
        with_prediction(own, other[0].prediction) if fits(other, own) else own
        for own, other in zip(pairs, moved, strict=True)
    ]


@dataclass(frozen=True, kw_only=True, eq=False)
class Renaming:
    """Classes that are called by the names of others.

    Attributes:
        means: The class that is meant by each that is named, ``[k]``.
        moved: Those that mean another.
    """

    means: Int64[np.ndarray, " k"]
    moved: Int64[np.ndarray, " m"]


def renamed(confusion: Int64[np.ndarray, "2 k k"]) -> Renaming | None:
    """Return what named classes mean, if the cases say clearly that they mean others.

    The assignment under which most cases are right is found on one half of the cases and tried on the other. Only
    classes count of which both halves say the same, and only cycles of them, so that the names stay different. Where
    rare classes leave no cycle whole, three classes or more count that are named as others whose own names stand
    elsewhere.

    Args:
        confusion: Cases by true and by named class, of either half of the cases.

    Source:
        The assignment: Kuhn 1955, The Hungarian method. The test of moved cases is that of signs (McNemar 1947).
    """
    halves = [linear_sum_assignment(-half.T)[1] for half in confusion]  # of named, the true class
    places = np.arange(confusion.shape[1])
    counts = confusion.sum(2).min(0)  # of true classes, in the smaller half
    both = confusion.sum(0)
    means = np.where(halves[0] == halves[1], halves[0], places)
    are_known = (means != places) & (counts[means] >= LEAST_CASES)
    moved = _in_cycles(means, np.flatnonzero(are_known & (counts >= LEAST_CASES)))
    if not len(moved):
        moved = np.flatnonzero(are_known & (both.sum(0)[means] > 0))
        if len(moved) < LEAST_OPEN:
            return None
    means = np.where(np.isin(places, moved), means, places)
    now, then = int(both[moved, moved].sum()), int(both[means[moved], moved].sum())
    total = int(both[moved].sum())
    if then - now < BETTER * total or binomtest(then, now + then, alternative="greater").pvalue > SURE:
        return None
    return Renaming(means=means.astype(np.int64), moved=moved)


def _in_cycles(means: NDArray[np.int64], moved: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return those of the moved classes that mean one another, so that no name stands twice."""
    while len(moved) and not np.array_equal(np.sort(means[moved]), moved):
        moved = np.intersect1d(moved, means[moved])
        if not np.isin(means[moved], moved).all():
            moved = moved[np.isin(means[moved], moved)]
    return moved


def same_named(classes: Sequence[str], renaming: Renaming) -> dict[str, str | int]:
    """Return the numbers of the message that tells a renaming."""
    shown = [f"{classes[place]} = {classes[renaming.means[place]]}" for place in renaming.moved[:4].tolist()]
    step = np.unique(renaming.means[renaming.moved] - renaming.moved)
    return {
        "count": len(renaming.moved),
        "shown": ", ".join(shown) + (", …" if len(renaming.moved) > len(shown) else ""),
        "shift": f"{int(step[0]):+d}" if len(step) == 1 else "—",
    }
