"""A study: the same data, several configurations, the same seeds for each."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from rich.console import Console

from snellen.data import DatasetIndex
from snellen.errors import CheckpointError, ConfigError
from snellen.recipes.experiments.arms import Arm, changed, seeded
from snellen.recipes.experiments.running import run_trials
from snellen.recipes.experiments.trials import Measured, Outcome, Trial, measured_with
from snellen.recipes.options import TrainOptions
from snellen.recipes.options_file import decoded, encoded
from snellen.recipes.progress import counting
from snellen.recipes.runs import Run, write_json

__all__ = ["STUDY", "ArmOutcomes", "Study", "seeds_from"]

STUDY = "study.json"
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmOutcomes:
    """What became of one configuration.

    Attributes:
        arm: The configuration.
        outcomes: Of each seed, in the order of the study.
        folders: Of each run.
    """

    arm: Arm
    outcomes: tuple[Outcome, ...]
    folders: tuple[Path, ...]

    def measured(self, split: str) -> tuple[Measured | None, ...]:
        """Return what was measured on a split, for each seed; None where training failed."""
        return tuple(outcome.measured.get(split) for outcome in self.outcomes)

    @property
    def failures(self) -> tuple[str, ...]:
        """Why seeds failed, for those that did."""
        return tuple(outcome.reason for outcome in self.outcomes if outcome.status == "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Configurations × seeds on one data set.

    Attributes:
        data: Path of the data set.
        base: Options that all configurations share.
        arms: The configurations; the first is what the others are held against.
        seeds: Of each configuration.
    """

    data: str
    base: TrainOptions
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        """Check that it can be run and told.

        Raises:
            ConfigError: If an option is unknown, two configurations are called alike, or there is no seed.
        """
        names = [arm.name for arm in self.arms]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(f"every configuration needs a name of its own; {twice!r} stands there twice.")
        if not self.arms or not self.seeds:
            raise ConfigError("a study needs a configuration and a seed at least.")
        for arm in self.arms:
            changed(self.base, arm.options)

    @property
    def split_seed(self) -> int:
        """What the data are divided by, for every configuration and seed."""
        return self.base.seed if self.base.split_seed is None else self.base.split_seed

    def trial(self, arm: Arm, seed: int, measure: Sequence[str]) -> Trial:
        """Return the training of a configuration with a seed."""
        options = seeded(changed(self.base, arm.options), seed, split_seed=self.split_seed)
        return Trial(name=f"{arm.name}_seed-{seed}", data=self.data, options=options, measure=tuple(measure))

    def run(
        self,
        folder: Path,
        *,
        measure: Sequence[str] = ("val",),
        data: DatasetIndex | None = None,
        processes: int = 1,
        what: str = "training",
        console: Console | None = None,
    ) -> tuple[ArmOutcomes, ...]:
        """Train what has not been trained yet, seed by seed, so that a study that is broken off has compared all once.

        Args:
            folder: Trainings lie in ``trials`` beneath it.
            measure: Splits to measure.
            data: See `run_trials`.
            processes: See `run_trials`.
            what: In the bar.
            console: Where to say what happens.

        Raises:
            Interrupted: If it was broken off.
        """
        root = folder / "trials"
        trials = {(arm.name, seed): self.trial(arm, seed, measure) for seed in self.seeds for arm in self.arms}
        found = run_trials(list(trials.values()), root, data=data, processes=processes, what=what, console=console)
        rows = [
            ArmOutcomes(
                arm=arm,
                outcomes=tuple(found[trials[arm.name, seed].key] for seed in self.seeds),
                folders=tuple(trials[arm.name, seed].folder(root) / "run" for seed in self.seeds),
            )
            for arm in self.arms
        ]
        return tuple(_switched(rows, measure, console))

    def write(self, folder: Path, fingerprint: str) -> None:
        """Write what is studied, or check that it is what the folder is about.

        Raises:
            CheckpointError: If something else is in the folder, or the data have changed.
        """
        told = json.loads(json.dumps({"version": _VERSION, **self.record(), "fingerprint": fingerprint}))
        file = folder / STUDY
        if not file.is_file():
            write_json(file, told)
            return
        there = json.loads(file.read_text(encoding="utf-8"))
        other = [name for name in told if there.get(name) != told[name]]
        if other == ["fingerprint"]:
            raise CheckpointError(
                f"{folder}: the data set {self.data} has changed since. Restore it, or choose another folder."
            )
        if other:
            raise CheckpointError(
                f"{folder}: expected a new folder, or one with the same study; one with other {', '.join(other)} is "
                "there. Choose another folder, or give the same options."
            )

    def record(self) -> dict[str, Any]:
        """Return the study as JSON takes it."""
        return {
            "data": self.data,
            "base": encoded(self.base),
            "arms": [asdict(arm) for arm in self.arms],
            "seeds": list(self.seeds),
        }

    @classmethod
    def from_record(cls, told: Mapping[str, Any]) -> Self:
        """Return a study from its record."""
        return cls(
            data=told["data"],
            base=TrainOptions(**decoded(told["base"])),
            arms=tuple(Arm(**arm) for arm in told["arms"]),
            seeds=tuple(told["seeds"]),
        )


def seeds_from(seeds: int | Sequence[int], first: int) -> tuple[int, ...]:
    """Return seeds: so many from ``first`` on, or those that are given.

    Raises:
        ConfigError: If there is none, or one is given twice.
    """
    chosen = tuple(range(first, first + seeds)) if isinstance(seeds, int) else tuple(seeds)
    if not chosen or len(set(chosen)) < len(chosen):
        raise ConfigError(f"seeds must be 1 or more, or different whole numbers; got {seeds!r}.")
    return chosen


def _switched(rows: Sequence[ArmOutcomes], measure: Sequence[str], console: Console | None) -> list[ArmOutcomes]:
    """Return the rows with those measured anew that are used with other settings; figures are kept beside the run."""
    waiting = [(row, place) for row in rows if row.arm.switches for place in range(len(row.outcomes))]
    done: dict[tuple[str, int], Outcome] = {}
    with counting(total=len(waiting), what="measuring with other settings", console=console) as advance:
        for number, (row, place) in enumerate(waiting, 1):
            done[row.arm.name, place] = _outcome_with(
                row.outcomes[place], row.folders[place], row.arm.switches, measure
            )
            advance(number, len(waiting))
    return [
        ArmOutcomes(
            arm=row.arm,
            outcomes=tuple(done.get((row.arm.name, place), outcome) for place, outcome in enumerate(row.outcomes)),
            folders=row.folders,
        )
        for row in rows
    ]


def _outcome_with(outcome: Outcome, folder: Path, switches: Mapping[str, Any], measure: Sequence[str]) -> Outcome:
    if outcome.status == "failed":
        return outcome
    told = json.dumps(dict(switches), sort_keys=True)
    file = folder.parent / f"used-with-{hashlib.sha256(told.encode()).hexdigest()[:10]}.json"
    kept = json.loads(file.read_text(encoding="utf-8"))["measured"] if file.is_file() else {}
    measured = {split: Measured(**one) for split, one in kept.items()}
    left = [split for split in measure if split not in measured]
    if left:
        measured |= measured_with(Run.open(folder), switches, left)
        write_json(
            file, {"switches": dict(switches), "measured": {name: asdict(one) for name, one in measured.items()}}
        )
    return Outcome(status="done", seconds=outcome.seconds, peak_bytes=outcome.peak_bytes, measured=measured)
