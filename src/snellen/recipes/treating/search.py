"""Which treatments help: short trainings first, the better half goes on, what is left is combined and confirmed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, isfinite, sqrt
from pathlib import Path
from typing import Any

from rich.console import Console
from scipy import special

from snellen.data import DatasetIndex
from snellen.metrics import Interval, paired_interval
from snellen.recipes.experiments.arms import Arm, changed
from snellen.recipes.experiments.study import ArmOutcomes, Study
from snellen.recipes.options import TrainOptions
from snellen.recipes.planning import make_plan
from snellen.recipes.progress import say
from snellen.recipes.sampling import training_sampler
from snellen.recipes.treating.harm import harms, worst_class_change
from snellen.recipes.treating.plan import UNTREATED, Try

__all__ = [
    "FINALISTS",
    "JOIN",
    "SHARES",
    "Judged",
    "Search",
    "combined",
    "gain_of",
    "judged_beside",
    "planned_epochs",
    "rungs",
    "shortened",
]

SHARES = (0.25, 0.5, 1.0)  # of each training's own epochs; Jamieson and Talwalkar 2016, with eta 2
JOIN = " + "  # between the names of treatments that are put together
FINALISTS = 3  # treatments that are trained in full, beside none and all that help together
_UNKNOWN = Interval(mean=float("nan"))
_LEAST_SEEDS = 2  # from which a spread is known
_UPPER = 0.975  # of Student's distribution, the end of a 95 % interval
_LEAST_EPOCHS = 2  # of a short training; one says nothing of where it goes


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One treatment beside none, at one budget.

    Attributes:
        name: Of the treatment.
        gain: Difference of the validation score, higher is better, paired by seed; a training that failed counts as
            the worst that any reached.
        failures: Why seeds failed.
        seconds: Of a training, the mean.
        share: Of the epochs.
        folders: Of the runs.
        control: Of the untreated ones.
        worst: Difference of the figure of the class that comes out worst; see `worst_class_change`.
    """

    name: str
    gain: Interval
    failures: tuple[str, ...]
    seconds: float
    share: float
    folders: tuple[Path, ...]
    control: tuple[Path, ...] = ()
    worst: Interval = _UNKNOWN

    @property
    def gives_up(self) -> bool:
        """Whether the class that comes out worst measurably loses."""
        return harms(self.worst)

    @property
    def helps(self) -> bool:
        """Whether it measurably helps, gives up no class, and every training went through."""
        return self.gain.is_above_zero and not self.failures and not self.gives_up

    def is_open(self, seeds: int) -> bool:
        """Return whether it may help, and so many seeds would tell if it goes on as it began.

        Args:
            seeds: In all.
        """
        gain, now = self.gain, self.gain.count
        if self.failures or gain.is_above_zero or not gain.mean > 0 or now < _LEAST_SEEDS or seeds <= now:
            return False
        spread = (gain.high - gain.mean) / float(special.stdtrit(now - 1, _UPPER)) * sqrt(now)
        return gain.mean > float(special.stdtrit(seeds - 1, _UPPER)) * spread / sqrt(seeds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The trainings of a treatment, treated and untreated, on the same data with the same seeds.

    Attributes:
        data: Path of the data set.
        index: The same with its splits.
        base: Untreated.
        seeds: Of every configuration.
        folder: Where trainings lie.
        processes: Trainings at once.
        console: Where to say what happens.
    """

    data: str
    index: DatasetIndex
    base: TrainOptions
    seeds: tuple[int, ...]
    folder: Path
    processes: int = 1
    console: Console | None = None

    def at(self, arms: Sequence[Arm], share: float, measure: Sequence[str] = ("val",)) -> tuple[ArmOutcomes, ...]:
        """Return what becomes of no treatment and of each, in trainings of a share of their own epochs."""
        everything = (Arm(name=UNTREATED), *arms)
        own = tuple(self._shortened(arm, share) for arm in everything)
        study = Study(data=self.data, base=self.base, arms=own, seeds=self.seeds)
        what = "training" if share == 1 else f"training, {share:.0%} of the epochs"
        return study.run(self.folder, measure=measure, processes=self.processes, what=what, console=self.console)

    def _shortened(self, arm: Arm, share: float) -> Arm:
        if share == 1:
            return arm
        options = changed(self.base, arm.options)
        return replace(arm, options={**arm.options, **shortened(options, planned_epochs(self.index, options), share)})

    def in_full(self, arms: Sequence[Arm]) -> dict[str, Judged]:
        """Return how each treatment does beside none in whole trainings."""
        if not arms:
            return {}
        rows = self.at(arms, 1.0)
        return {row.arm.name: judged_beside(row, rows[0], rows, 1.0) for row in rows[1:]}

    def settled(self, arms: Sequence[Arm], most_seeds: int) -> tuple["Search", dict[str, Judged]]:
        """Return how each treatment does beside none in whole trainings, with more seeds where these would tell.

        Trainings are looked at twice at most: with the seeds of the search, and, where a gain may be one and so many
        would tell, with all. A treatment without effect then passes one of the two 95 % intervals with a chance of 5 %
        at most; what proves it are the test images.

        Args:
            arms: Treatments.
            most_seeds: In all.

        Returns:
            The search with the seeds of the last look, and each treatment as it was judged last.
        """
        judged = self.in_full(arms)
        waiting = [arm for arm in arms if judged[arm.name].is_open(most_seeds)]
        if not waiting:
            return self, judged
        first = max(self.seeds) + 1
        longer = replace(self, seeds=(*self.seeds, *range(first, first + most_seeds - len(self.seeds))))
        say(self.console, f"more seeds are needed to tell: {', '.join(arm.name for arm in waiting)}")
        return longer, judged | longer.in_full(waiting)

    def added(self, arm: Arm, others: Sequence[Try]) -> Arm | None:
        """Return a treatment with what measurably helps it further as one; None if nothing does.

        A fault that spoils everything hides what mends a smaller one: that is seen once the great one is mended.

        Args:
            arm: That helps most.
            others: Of other jobs; each is added to it by itself.
        """
        both = [Arm(name=f"{arm.name}{JOIN}{one.name}",
                    options={**arm.options, **arm.switches, **one.arm.options, **one.arm.switches})
                for one in others]  # fmt: skip
        if not both:
            return None
        say(self.console, f"tried once more, with {arm.name}: {', '.join(one.name for one in others)}")
        rows = self.at([arm, *both], 1.0)
        judged = [judged_beside(row, rows[1], rows, 1.0) for row in rows[2:]]
        helping = [(one.gain.mean, place) for place, one in enumerate(judged) if one.helps]
        if not helping:
            return None
        return both[max(helping)[1]]

    def halved(self, tries: Sequence[Try], shares: Sequence[float]) -> tuple[list[Try], dict[str, Judged]]:
        """Return the treatments that are worth a whole training, and how the others did where they dropped out.

        Each budget lets the better half go on, until few enough are left. What measurably hurts or fails does not go
        on.

        Args:
            tries: All treatments.
            shares: Of the epochs, rising.

        Source:
            Jamieson and Talwalkar 2016, Non-stochastic best arm identification, https://arxiv.org/abs/1502.07943.
        """
        alive = list(tries)
        found: dict[str, Judged] = {}
        for share in shares:
            if len(alive) <= FINALISTS:
                break
            rows = self.at([one.arm for one in alive], share)
            judged = {row.arm.name: judged_beside(row, rows[0], rows, share) for row in rows[1:]}
            found |= judged
            is_last = share == shares[-1]
            alive = _better(alive, judged, FINALISTS if is_last else max(FINALISTS, ceil(len(alive) / 2)))
            say(self.console, f"worth a longer training: {', '.join(one.name for one in alive) or 'none'}")
        return alive, found


def judged_beside(row: ArmOutcomes, base: ArmOutcomes, rows: Sequence[ArmOutcomes], share: float) -> Judged:
    """Return one treatment beside none."""
    done = [outcome.seconds for outcome in row.outcomes if outcome.status == "done"]
    return Judged(
        name=row.arm.name,
        gain=gain_of(row, base, rows),
        failures=row.failures,
        seconds=sum(done) / len(done) if done else float("nan"),
        share=share,
        folders=row.folders,
        control=base.folders,
        worst=Interval(mean=float("nan")) if row.arm.switches else worst_class_change(row.folders, base.folders),
    )


def gain_of(row: ArmOutcomes, base: ArmOutcomes, rows: Sequence[ArmOutcomes], split: str = "val") -> Interval:
    """Return the difference of the scores, higher is better, paired by seed.

    A training that failed has the worst score that any training of the comparison reached: no model is no better than
    the worst one.
    """
    known = [score for each in rows for score in _scores(each, split) if isfinite(score)]
    if not known:
        return Interval(mean=float("nan"))
    floor = min(known)
    treated, control = ([score if isfinite(score) else floor for score in _scores(each, split)] for each in (row, base))
    return paired_interval(treated, control)


def combined(kept: Sequence[tuple[Try, Judged]]) -> tuple[Arm | None, tuple[str, ...]]:
    """Return all treatments that help as one, the greatest gain first, and those that are left out of it.

    Of treatments with the same job only the best is taken.
    """
    order = sorted(kept, key=lambda pair: -pair[1].gain.mean)
    jobs: set[str] = set()
    options: dict[str, Any] = {}
    names, left_out = [], []
    for one, _ in order:
        if one.jobs & jobs:
            left_out.append(one.name)
            continue
        jobs |= one.jobs
        options |= {**one.arm.options, **one.arm.switches}
        names.append(one.name)
    if len(names) < 2:
        return None, tuple(left_out)
    return Arm(name=JOIN.join(names), options=options), tuple(left_out)


def rungs(epochs: int, *, descends: bool) -> tuple[float, ...]:
    """Return the shares of the epochs that are trained, the whole last; what is too short to say anything is left out.

    Args:
        epochs: Of the untreated run.
        descends: Whether there are epochs at all.
    """
    if not descends:
        return SHARES[-1:]
    return tuple(share for share in SHARES if share == 1 or round(share * epochs) >= _LEAST_EPOCHS)


def shortened(options: TrainOptions, epochs: int, share: float) -> Mapping[str, Any]:
    """Return what makes a training one of a share of its epochs: everything that is counted in them shrinks along.

    Args:
        options: Of the whole training.
        epochs: That it has.
        share: Of them.
    """
    fewer = max(1, round(share * epochs))
    changes: dict[str, Any] = {"epochs": fewer}
    if options.milestones:
        changes["milestones"] = tuple(sorted({max(1, round(share * place)) for place in options.milestones}))
    for name in ("switch_epoch", "swa_epochs", "warmup_steps"):
        value = getattr(options, name)
        if value:
            changes[name] = (
                min(max(1, ceil(share * value)), fewer - 1) if name != "warmup_steps" else ceil(share * value)
            )
    if options.validate_every is not None:
        changes["validate_every"] = min(options.validate_every, fewer)
    return changes


def planned_epochs(index: DatasetIndex, options: TrainOptions) -> int:
    """Return the epochs that a training with these options has."""
    if options.epochs is not None:
        return options.epochs
    num_train = len(training_sampler(index.split("train"), options.sampler or "shuffled"))
    return make_plan(index.describe(), index.target_type, num_train, options).settings.epochs


def _better(alive: Sequence[Try], judged: Mapping[str, Judged], most: int) -> list[Try]:
    """Return the best treatments in their order, without those that failed or measurably hurt."""
    fit = [one for one in alive if not judged[one.name].failures and not judged[one.name].gain.is_below_zero]
    chosen = {one.name for one in sorted(fit, key=lambda one: -judged[one.name].gain.mean)[:most]}
    return [one for one in alive if one.name in chosen]


def _scores(row: ArmOutcomes, split: str) -> list[float]:
    return [float("nan") if one is None else one.score for one in row.measured(split)]
