"""The verb ablate: what each choice of a training is worth."""

import json
import shlex
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import nn

from snellen.data import DatasetIndex
from snellen.errors import CheckpointError, ConfigError
from snellen.models import change_settings
from snellen.recipes.checking import quick_check, refuse_spoiling
from snellen.recipes.datasets import data_place, load
from snellen.recipes.experiments.ablation_report import AblationReport
from snellen.recipes.experiments.arms import BASE, Arm, changed, full_grid, single_changes
from snellen.recipes.experiments.comparing import compared
from snellen.recipes.experiments.study import STUDY, Study, seeds_from
from snellen.recipes.options import options_from
from snellen.recipes.options_file import encoded
from snellen.recipes.preparing import Preparation, prepare_training
from snellen.recipes.progress import say
from snellen.recipes.runs import new_folder, write_json
from snellen.structures import Model

__all__ = ["ablate", "resume_ablation"]

PLAN = "ablation-plan.json"
_CHECK_S = 20.0  # as before a single training
Vary = Mapping[str, Sequence[Any]]


def ablate(
    data: DatasetIndex | Path | str = "charts",
    *,
    vary: Vary | None = None,
    vary_use: Vary | None = None,
    arms: Mapping[str, Mapping[str, Any]] | None = None,
    one_at_a_time: bool = False,
    seeds: int | Sequence[int] = 3,
    split: str = "val",
    figures: Sequence[str] = (),
    processes: int = 1,
    folder: Path | str | None = None,
    check: bool = True,
    force: bool = False,
    console: Console | None = None,
    **options: Any,
) -> AblationReport:
    """Return what choices are worth: configurations × seeds, each a run of its own, with intervals.

    Args:
        data: A data set, its path, or the name of built-in charts.
        vary: Values by option of ``train``, option of the model or dotted path inside it; the first are the base.
        vary_use: Values by dotted path that matter only when a trained model is used, such as
            ``settings.selection.nms_iou``: configurations that differ in nothing else share a training.
        arms: Configurations by name instead, each its changes of the options; the first is the base.
        one_at_a_time: Whether each value is tried alone beside the base, instead of every combination.
        seeds: How many, from ``seed`` on, or which.
        split: That is measured; what is chosen by ``test`` has no test any more.
        figures: Further figures beside the headline, such as ``AP50``.
        processes: Trainings at once; they share the cores.
        folder: Of the study; a new one beneath ``runs`` if None. The same call with the same folder goes on.
        check: Whether to look for faults in data and settings first, once.
        force: Whether to go on although faults were found that spoil trainings.
        console: Where to say what happens.
        **options: Of all configurations, see ``TrainOptions``.

    Raises:
        ConfigError: If an option is unknown or out of range, or there is nothing to compare.
        DatasetError: If the data cannot be read.
        CheckpointError: If another study is in the folder.
        FaultsFoundError: If faults were found that spoil trainings.
        Interrupted: If it was broken off; the same call goes on.
    """
    base = options_from(options)
    if base.folder is not None:
        raise ConfigError("the folder of a study is given as folder; got one among the options of the training too.")
    place = str((data.root if isinstance(data, DatasetIndex) else data_place(data)).resolve())
    study = Study(
        data=place,
        base=base,
        arms=_arms(vary or {}, vary_use or {}, arms or {}, one_at_a_time=one_at_a_time),
        seeds=seeds_from(seeds, base.seed),
    )
    out = Path(folder) if folder is not None else new_folder("ablation")
    source = data if isinstance(data, DatasetIndex) else load(data, format=base.format, options=base.read)
    study.write(out, source.fingerprint())
    write_json(out / PLAN, {"split": split, "figures": list(figures), "in_memory": isinstance(data, DatasetIndex)})
    if not (out / "trials").is_dir():
        ready = prepare_training(source, changed(base, study.arms[0].options))
        _check_paths(ready.model, study.arms)
        if check:
            _look_first(ready, force=force, console=console)
    held = data if isinstance(data, DatasetIndex) else None
    return _finish(study, out, split, figures, held, processes, console)


def resume_ablation(folder: Path | str, *, processes: int = 1, console: Console | None = None) -> AblationReport:
    """Go on with a study that was broken off; what is done is only read, and the table is the same.

    Args:
        folder: Of the study.
        processes: Trainings at once.
        console: Where to say what happens.

    Raises:
        CheckpointError: If there is none, its data have changed, or they were in memory.
        Interrupted: If it was broken off again.
    """
    out = Path(folder)
    if not (out / STUDY).is_file() or not (out / PLAN).is_file():
        raise CheckpointError(f"{out}: expected the folder of an ablation, with {STUDY} and {PLAN} in it.")
    study = Study.from_record(json.loads((out / STUDY).read_text(encoding="utf-8")))
    plan = json.loads((out / PLAN).read_text(encoding="utf-8"))
    if plan["in_memory"]:
        raise CheckpointError(f"{out}: the data set was in memory; call snellen.ablate again with it and this folder.")
    study.write(out, load(study.data, format=study.base.format, options=study.base.read).fingerprint())
    return _finish(study, out, plan["split"], plan["figures"], None, processes, console)


def _finish(
    study: Study,
    out: Path,
    split: str,
    figures: Sequence[str],
    data: DatasetIndex | None,
    processes: int,
    console: Console | None,
) -> AblationReport:
    say(console, f"{len(study.arms)} configurations × {len(study.seeds)} seeds in {out}", style="bold")
    if len(study.arms) == 1:
        say(console, "one configuration: its figures over the seeds are told, but it is compared with nothing")
    measure = tuple(dict.fromkeys(("val", split)))
    rows = study.run(out, measure=measure, data=data, processes=processes, console=console)
    found = compared(rows, split, figures)
    report = AblationReport(
        data=study.data,
        split=split,
        seeds=study.seeds,
        headline=next(iter(found[0].figures)),
        rows=found,
        settings=encoded(study.base),
        command="" if data is not None else shlex.join(["snellen", "ablate", "--resume", str(out)]),
    )
    report.write(out)
    say(console, f"written: {out / 'ablation.html'} (.md, .tex, .csv, .json)")
    return report


def _arms(vary: Vary, vary_use: Vary, arms: Mapping[str, Mapping[str, Any]], *, one_at_a_time: bool) -> tuple[Arm, ...]:
    if arms and (vary or vary_use or one_at_a_time):
        raise ConfigError("configurations are given by name (arms), or made from what varies; got both.")
    if arms:
        return tuple(Arm(name=name, options=dict(options)) for name, options in arms.items())
    if vary and vary_use and one_at_a_time:
        trained, used = single_changes(vary), single_changes(vary_use)[1:]
        return (*trained, *(Arm(name=arm.name, switches=arm.options) for arm in used))
    make = single_changes if one_at_a_time else full_grid
    if not vary_use:
        return make(vary)
    trained = make(vary) if vary else (Arm(name=BASE),)
    used = make(vary_use)
    return tuple(
        Arm(
            name=", ".join(part for part in (one.name, other.name) if part != BASE) or BASE,
            options=one.options,
            switches=other.options,
        )
        for one in trained
        for other in used
    )


def _check_paths(model: Model, arms: Sequence[Arm]) -> None:
    """Tell of settings that are not there before hours of training, as far as arms share the model."""
    module: nn.Module = model  # type: ignore[assignment]  # every model is a module
    for arm in arms:
        paths = {name: value for name, value in arm.options.items() if "." in name} | dict(arm.switches)
        if paths and not {"model", "backbone"} & arm.options.keys():
            change_settings(deepcopy(module), paths)


def _look_first(ready: Preparation, *, force: bool, console: Console | None) -> None:
    diagnosis = quick_check(ready, budget_s=_CHECK_S, console=console)
    if not force:
        refuse_spoiling(diagnosis, ready)
