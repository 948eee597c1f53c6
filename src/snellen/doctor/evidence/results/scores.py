"""How good a run is on each of its splits, with intervals, and beside another run on the same images."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Float64

from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.results.evaluated import EvaluatedRun, EvaluatedSplit, OtherRun, Pair, evaluated_run
from snellen.doctor.evidence.results.figures import FIGURES, Figure
from snellen.doctor.words import Text
from snellen.metrics import Interval, decided_labels, image_draws, interval_ends

__all__ = ["SplitScores", "TwoRuns", "figure_of", "scores_of_splits", "two_runs"]

DRAWS = 500  # of a bootstrap; the ends of an interval are known to 0.6 of a percentile
PERMUTATIONS = 1000  # the least p-value is 0.001
_MOST_WORK = 20_000_000  # images times draws
_LEAST_DRAWS = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class SplitScores:
    """One figure, 1 is best, for each split that was measured.

    Attributes:
        name: Of the figure.
        values: By split.
        draws: The figure on images drawn with replacement, by split; empty with fewer than two images.
        num_images: By split.
    """

    name: str
    values: Mapping[str, float]
    draws: Mapping[str, Float64[np.ndarray, " draws"]]
    num_images: Mapping[str, int]

    def interval(self, split: str) -> Interval:
        """Return the figure of a split with its 95 % bootstrap interval."""
        low, high = interval_ends(self.draws[split])
        return Interval(mean=self.values[split], low=low, high=high, count=self.num_images[split])

    def gap(self, better: str, worse: str) -> Interval:
        """Return by how much one split is better than another; their images are drawn independently."""
        number = min(len(self.draws[better]), len(self.draws[worse]))
        low, high = interval_ends(self.draws[better][:number] - self.draws[worse][:number])
        count = min(self.num_images[better], self.num_images[worse])
        return Interval(mean=self.values[better] - self.values[worse], low=low, high=high, count=count)


def figure_of(run: EvaluatedRun, split: EvaluatedSplit) -> Figure:
    """Return the figure of a split of a run."""
    return _figure(run, split.pairs())


def _figure(run: EvaluatedRun, pairs: Iterable[Pair]) -> Figure:
    decide = None if run.decision is None else partial(decided_labels, decision=run.decision)
    return FIGURES[run.kind](pairs, run.index.classes, decide)


def scores_of_splits(run: EvaluatedRun) -> SplitScores:
    """Return how good a run is on each split that was measured."""
    figures = {name: figure_of(run, split) for name, split in run.splits.items()}
    return SplitScores(
        name=figures[run.judged].name,
        values={name: figure.value for name, figure in figures.items()},
        draws={name: _drawn(figure, seed) for seed, (name, figure) in enumerate(figures.items())},
        num_images={name: figure.num_images for name, figure in figures.items()},
    )


def _drawn(figure: Figure, seed: int) -> Float64[np.ndarray, " draws"]:
    if figure.num_images < 2:
        return np.zeros(0)
    number = max(_LEAST_DRAWS, min(DRAWS, _MOST_WORK // figure.num_images))
    return figure.measure(image_draws(figure.num_images, number, seed=seed))


@dataclass(frozen=True, kw_only=True, eq=False)
class TwoRuns:
    """A run beside another on the same images.

    Attributes:
        name: Of the figure.
        split: Whose images they are.
        first: The figure of the run that is judged.
        second: Of the other.
        other: Name of the other run.
        difference: First less second with the 95 % interval of paired draws, and the p-value of a permutation test.
    """

    ABSENT = OtherRun.ABSENT

    name: str
    split: str
    first: float
    second: float
    other: str
    difference: Interval


def two_runs(run: EvaluatedRun, other: OtherRun) -> TwoRuns:
    """Compare two runs on the images that both have predicted.

    Raises:
        NotCheckable: If they predict different things, or have no images in common.
    """
    rival = evaluated_run(other.files)
    if rival.kind is not run.kind or rival.index.classes != run.index.classes:
        raise NotCheckable(Text(en="the two runs predict different things", zh="两个运行预测的内容不同"))
    if run.judged not in rival.splits:
        raise NotCheckable(
            Text(
                en=f"the other run has no predictions of {run.judged}; `snellen eval RUN --split {run.judged}` makes "
                "them",
                zh=f"另一个运行没有 {run.judged} 的预测；用 `snellen eval 运行 --split {run.judged}` 生成",
            )
        )
    # Each run names classes by its own rule, but truth and images must be the same.
    own, theirs = _by_path(run.looked_at), _by_path(rival.splits[run.judged])
    shared = sorted(own.keys() & theirs.keys())
    if len(shared) < 2:
        raise NotCheckable(Text(en="the two runs have predicted different images", zh="两个运行预测的图像不同"))
    first, second = [own[name] for name in shared], [theirs[name] for name in shared]
    difference = _compared(run, rival, first, second)
    return TwoRuns(
        name=difference[3],
        split=run.judged,
        first=difference[0],
        second=difference[1],
        other=rival.name,
        difference=difference[2],
    )


def _by_path(split: EvaluatedSplit) -> dict[str, Pair]:
    return {str(split.part.path(image.index).resolve()): (image, truth) for image, truth in split.pairs()}


def _compared(
    run: EvaluatedRun, rival: EvaluatedRun, first: list[Pair], second: list[Pair]
) -> tuple[float, float, Interval, str]:
    """Return both figures, their difference, and the name of the figure.

    Swapping the two predictions of an image is a weighting of both runs' images together, so that the test is exact for
    figures that are no means of images, too.

    Source:
        Permutation of systems: Yeh 2000, More accurate tests for the statistical significance of result differences,
        section 3.3; p-value with the observed assignment: Phipson and Smyth 2010, eq. 2.
    """
    if run.decision != rival.decision:
        run = replace(run, decision=None)  # the most probable class of both
    number = len(first)
    both = _figure(run, [*first, *second])
    if both.num_images != 2 * number:  # of some image no class is known
        kept = [place for place in range(number) if _figure(run, [first[place]]).num_images]
        first, second, number = [first[p] for p in kept], [second[p] for p in kept], len(kept)
        both = _figure(run, [*first, *second])
    none = np.zeros((1, number))
    ones = np.ones((1, number))
    values = both.measure(np.concatenate([np.hstack([ones, none]), np.hstack([none, ones])]))
    observed = float(values[0] - values[1])
    amount = max(_LEAST_DRAWS, min(DRAWS, _MOST_WORK // (2 * number)))
    weights = image_draws(number, amount)
    silent = np.zeros_like(weights)
    drawn = both.measure(np.hstack([weights, silent])) - both.measure(np.hstack([silent, weights]))
    low, high = interval_ends(drawn)
    amount = max(_LEAST_DRAWS, min(PERMUTATIONS, _MOST_WORK // (2 * number)))
    swaps = np.random.default_rng(1).integers(0, 2, (amount, number)).astype(np.float64)
    swapped = both.measure(np.hstack([swaps, 1 - swaps])) - both.measure(np.hstack([1 - swaps, swaps]))
    p_value = (1 + int((np.abs(swapped) >= abs(observed) - 1e-12).sum())) / (1 + amount)
    found = Interval(mean=observed, low=low, high=high, count=number, p_value=p_value)
    return float(values[0]), float(values[1]), found, both.name
