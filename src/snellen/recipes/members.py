"""Several trainings of one kind, put together: other seeds, folds, balanced subsets, or draws (bagging)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

from rich.console import Console

from snellen.data import DatasetIndex
from snellen.errors import CheckpointError, ConfigError
from snellen.recipes.datasets import data_place
from snellen.recipes.ensembling import ensemble
from snellen.recipes.options import TrainOptions, options_from
from snellen.recipes.options_file import decoded, encoded
from snellen.recipes.parts import DataPart, PartKind
from snellen.recipes.progress import say
from snellen.recipes.runs import RECORD, Run, new_folder, write_json
from snellen.recipes.training import resume, train

__all__ = ["GROUP", "MemberPlan", "resume_members", "train_members"]

GROUP = "members.json"
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberPlan:
    """Which trainings are put together.

    Attributes:
        kind: ``seeds``: the same but for the seed. ``folds``: each judged on a fold that it has not learned from.
            ``subsets``: each learns from all training images of the smallest class and as many of every other, of which
            each has others. ``bootstrap``: each learns from as many images as there are, drawn with replacement from
            those for training and validation, and is judged on those that it did not draw (bagging).
        count: How many.
        keep: The best so many of them, by their validation images; all if None.

    Raises:
        ConfigError: If a number is out of range.
    """

    kind: Literal["seeds", "folds", "subsets", "bootstrap"]
    count: int
    keep: int | None = None

    def __post_init__(self) -> None:
        """Check every value."""
        if self.count < 2:
            raise ConfigError(f"{self.kind} must be 2 or more; got {self.count}.")
        if self.keep is not None and not 1 <= self.keep <= self.count:
            raise ConfigError(f"keep must be within 1..{self.count}, the number of {self.kind}; got {self.keep}.")


def train_members(
    data: DatasetIndex | Path | str,
    plan: MemberPlan,
    *,
    console: Console | None = None,
    check: bool = True,
    force: bool = False,
    **options: Any,
) -> Run:
    """Train several models and put them together; each lies in ``members/`` of the run's folder as a run of its own.

    Args:
        data: A data set, its path, or the name of built-in charts.
        plan: Which trainings.
        console: Where to say what happens; None says nothing.
        check: Whether to look for faults first, once.
        force: Whether to go on although faults were found.
        **options: See ``TrainOptions``.

    Returns:
        The ensemble; or, where it was broken off, the member that was.

    Raises:
        ConfigError: If an option is unknown or out of range.
    """
    chosen = options_from(options)
    if chosen.part is not None:
        raise ConfigError("part is chosen for each member; leave it out.")
    folder = chosen.folder or new_folder(f"{chosen.model or 'model'}-{plan.count}-{plan.kind}")
    if (folder / GROUP).exists() or (folder / RECORD).exists():
        raise CheckpointError(f"{folder}: expected a new folder; a run is there. Resume it, or choose another folder.")
    place = data.root if isinstance(data, DatasetIndex) else data_place(data)
    split_seed = chosen.seed if chosen.split_seed is None else chosen.split_seed
    written = replace(chosen, split_seed=split_seed, folder=None)
    group = {"version": _VERSION, "plan": asdict(plan), "data": str(place.resolve()), "options": encoded(written)}
    write_json(folder / GROUP, group)
    return _go_on(folder, data, plan, written, console, check=check, force=force)


def resume_members(folder: Path | str, *, console: Console | None = None) -> Run:
    """Go on with what ``train_members`` began: members that are done stay, the one under way goes on exactly.

    Raises:
        CheckpointError: If there is nothing of the kind.
    """
    place = Path(folder)
    file = place / GROUP
    if not file.is_file():
        raise CheckpointError(f"{place}: expected a folder with {GROUP}, as --folds, --seeds and the like make it.")
    group = json.loads(file.read_text(encoding="utf-8"))
    if group.get("version") != _VERSION:
        raise CheckpointError(f"{file}: expected version {_VERSION}; this is not one. Train again.")
    if (place / RECORD).exists():
        raise CheckpointError(f"{place}: everything is done; there is nothing to resume.")
    options = TrainOptions(**decoded(group["options"]))
    return _go_on(place, group["data"], MemberPlan(**group["plan"]), options, console, check=False, force=True)


def _go_on(
    folder: Path,
    data: DatasetIndex | Path | str,
    plan: MemberPlan,
    options: TrainOptions,
    console: Console | None,
    *,
    check: bool,
    force: bool,
) -> Run:
    done: list[Run] = []
    for number in range(1, plan.count + 1):
        place = folder / "members" / str(number)
        run = Run.open(place) if (place / RECORD).exists() else None
        if run is None:
            say(console, f"{plan.kind}: {number} of {plan.count}", style="bold")
            own = _own(options, plan, number, place)
            given = {entry.name: getattr(own, entry.name) for entry in fields(own)}
            run = train(data, console=console, check=check and number == 1, force=force, **given)
        elif not run.report.exists():
            run = resume(place, console=console)
        if not run.report.exists():
            say(console, f"Go on with all of them: snellen train --resume {folder}")
            return run
        done.append(run)
    scores = [run.results[_judged(run)].score for run in done]
    order = sorted(range(len(done)), key=lambda index: -scores[index])
    kept = sorted(order[: plan.keep or plan.count])
    _tell(console, plan, done, scores, kept)
    made = ensemble([done[index] for index in kept], folder=folder, console=console)
    write_json(folder / "scores.json", {"scores": scores, "mean": fmean(scores), "spread": stdev(scores), "kept": kept})
    return made


def _judged(run: Run) -> str:
    return "val" if "val" in run.results else "test"


def _tell(
    console: Console | None, plan: MemberPlan, runs: Sequence[Run], scores: Sequence[float], kept: Sequence[int]
) -> None:
    split = _judged(runs[0])
    headline = runs[0].results[split].headline
    each = ", ".join(f"{score:.4g}" for score in scores)
    where = _HELD_OUT.get(plan.kind, f"{split} images")
    say(console, f"{headline} on the {where}: {fmean(scores):.4g} ± {stdev(scores):.2g} ({each})")
    if len(kept) < len(runs):
        say(console, f"kept: {', '.join(str(index + 1) for index in kept)}")


_HELD_OUT: Mapping[str, str] = {"folds": "held-out fold", "bootstrap": "images that were not drawn"}
_PART_OF: Mapping[str, PartKind] = {"folds": "fold", "subsets": "balanced", "bootstrap": "bootstrap"}


def _own(options: TrainOptions, plan: MemberPlan, number: int, folder: Path) -> TrainOptions:
    """Return the options of one member, from 1."""
    if plan.kind == "seeds":
        return replace(options, seed=options.seed + number - 1, folder=folder)
    part = DataPart(kind=_PART_OF[plan.kind], number=number, of=plan.count, seed=options.split_seed or 0)
    return replace(options, part=part, folder=folder)
