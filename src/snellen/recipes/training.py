"""The verb train: from a data set to a run with a report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from snellen.data import (
    BatchLoader,
    Compose,
    CopyPaste,
    DatasetIndex,
    ImageDataset,
    Mix,
    Mixing,
    MixUp,
    Mosaic,
    training_transform,
)
from snellen.errors import CheckpointError, ConfigError
from snellen.evaluation import METRICS, evaluate
from snellen.models import WeightsReport, load_weights, weights_settings
from snellen.recipes.datasets import data_place, load, prepared
from snellen.recipes.evaluating import evaluate_run, evaluation_loader, recorded_data
from snellen.recipes.options import TrainOptions, options_from
from snellen.recipes.planning import Plan, chosen_device, make_plan
from snellen.recipes.progress import say
from snellen.recipes.reporting import write_run_report
from snellen.recipes.runs import RECORD, Run, add_skipped, build_model, environment, new_folder, write_json
from snellen.structures import Model, Results
from snellen.training import (
    FitResult,
    JsonlLog,
    Observer,
    ProgressBar,
    TensorBoardLog,
    TrainSettings,
    autocast,
    current_ranks,
    fit,
)

__all__ = ["resume", "train"]

_LOG_EVERY = 10  # steps between two points of a curve in a long run
_LEAST_POINTS = 50  # of a curve; short runs log every step

_MIXUP_ALPHA = 0.2  # Zhang et al. 2018, section 3.1, for classes


def train(data: DatasetIndex | Path | str = "charts", *, console: Console | None = None, **options: Any) -> Run:
    """Train a model on a data set, measure it on what it has not seen, and write a report.

    Args:
        data: A data set, its path, or the name of built-in charts.
        console: Where to say what happens; None says nothing.
        **options: See ``TrainOptions``; whatever is left out is chosen, with a reason that is printed.

    Returns:
        The run, with ``results``, ``report`` and ``load()``.

    Raises:
        ConfigError: If an option is unknown or out of range.
        DatasetError: If the data cannot be read.
        CheckpointError: If the weights do not fit, or there is a run in the folder.
    """
    chosen = options_from(options)
    source = load(data, format=chosen.format, options=chosen.read) if isinstance(data, (str, Path)) else data
    index = prepared(source, chosen.seed)
    num_train = len(index.split_rows("train"))
    plan = make_plan(index.describe(), index.target_type, num_train, chosen)
    _check_free(chosen.folder)
    place = index.root if isinstance(data, DatasetIndex) else data_place(data)
    record = _record(place, index, plan, chosen, _model_options(plan, chosen))
    model, report = _initial_model(record)
    folder = chosen.folder or new_folder(plan.model.name)  # only now: what fails before leaves no empty run behind
    run = Run.create(folder, record)
    write_json(folder / "problems.json", [asdict(problem) for problem in index.problems])
    if console is not None:
        _announce(console, run, index, report)
    return _fit(run, model, index, plan.settings, console=console, go_on=False)


def resume(folder: Path | str, *, console: Console | None = None) -> Run:
    """Go on with a run that was broken off; the end is the same as if it had not been.

    Raises:
        CheckpointError: If there is no run, or its data set has changed.
    """
    run = Run.open(folder)
    record = run.record
    index = prepared(recorded_data(run), record["settings"]["seed"])
    if index.fingerprint() != record["fingerprint"]:
        raise CheckpointError(
            f"{run.folder}: expected the data set as it was when the run began; {record['data']} has changed. "
            "Restore it, or start a new run (with --weights to keep what was learned)."
        )
    saved = dict(record["settings"])
    saved["milestones"] = tuple(saved["milestones"])
    # Without a checkpoint the run was broken off before its first one, and begins as it began then.
    started = run.store.last.exists() or run.store.previous.exists()
    model = run.build() if started else _initial_model(record)[0]
    return _fit(run, model, index, TrainSettings(**saved), console=console, go_on=True)


def _check_free(folder: Path | None) -> None:
    if folder is None:
        return
    if (folder / RECORD).exists():
        raise CheckpointError(f"{folder}: expected a new folder; a run is there. Resume it, or choose another folder.")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: expected a folder for the run; this is a file. Choose another folder.")


def _initial_model(record: Mapping[str, Any]) -> tuple[Model, WeightsReport | None]:
    """Return the model before its first step, a function of the record alone, and what became of given weights."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(record["settings"]["seed"])
        model = build_model(record)
    if record["weights"] is None:
        return model, None
    return model, load_weights(model, record["weights"])  # type: ignore[arg-type]  # every model is a module


def _model_options(plan: Plan, options: TrainOptions) -> dict[str, Any]:
    """Return the options of the builder: what the user said, else what the file of weights says."""
    told = {} if options.weights is None else weights_settings(options.weights)
    given = {"mean": options.mean, "std": options.std, "padding": options.padding}
    chosen = {**told, **{name: value for name, value in given.items() if value is not None}}
    if plan.frozen_norm:
        chosen["frozen_norm"] = True
    return chosen


def _record(
    data: Path, index: DatasetIndex, plan: Plan, options: TrainOptions, model_options: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "model": plan.model.name,
        "model_options": dict(model_options),
        "classes": list(index.classes),
        "data": str(data.resolve()),  # a run can be used from any folder
        "format": index.format,
        "read": {
            "images": None if options.read.images is None else str(options.read.images.resolve()),
            "classes": None if options.read.classes is None else list(options.read.classes),
            "ignore_index": options.read.ignore_index,
        },
        "fingerprint": index.fingerprint(),
        "weights": None if options.weights is None else str(options.weights.resolve()),
        "image_size": plan.image_size,
        "batch_size": plan.batch_size,
        "augment": plan.augment,
        "flip": plan.flip,
        "mosaic": options.mosaic,
        "mixup": options.mixup,
        "copy_paste": options.copy_paste,
        "workers": plan.workers,
        "device": plan.device,
        "tensorboard": options.tensorboard,
        "settings": asdict(plan.settings),
        "reasons": dict(plan.reasons),
        "environment": environment(),
    }


def _announce(console: Console, run: Run, index: DatasetIndex, weights: WeightsReport | None) -> None:
    counts = index.describe().images_per_split
    shares = ", ".join(f"{count} {name or 'in no split'}" for name, count in counts.items())
    say(console, f"{index.format} data set with {len(index.classes)} classes: {shares}", style="bold")
    if index.problems:
        kinds: Counter[str] = Counter()
        for problem in index.problems:
            kinds[problem.code] += problem.count
        told = ", ".join(f"{code} ({count})" for code, count in kinds.items())
        say(console, f"noticed in the data: {told}; see {run.folder / 'problems.json'}", style="yellow")
    for name, value, reason in setting_rows(run.record):
        say(console, f"  {name:<15} {value!s:<29} {reason}")
    if weights is not None:
        say(console, weights.summary())
    say(console, f"run folder: {run.folder}")


def setting_rows(record: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    """Return name, value and reason of every setting of a run that has a reason."""
    values = {**record, **record["settings"], "ema": record["settings"]["ema_decay"]}
    rows = []
    for name, reason in record["reasons"].items():
        value = values.get(name, record["model_options"].get(name))
        rows.append((name, f"{value:.4g}" if isinstance(value, float) else value, reason))
    return rows


def _fit(
    run: Run,
    model: Model,
    index: DatasetIndex,
    settings: TrainSettings,
    *,
    console: Console | None,
    go_on: bool,
) -> Run:
    record = run.record
    device = torch.device(chosen_device(record["device"])[0])
    module: torch.nn.Module = model  # type: ignore[assignment]  # every model is a module
    module.to(device)
    source = _training_loader(index, record, model.stride)
    names = index.split_names
    judged = "val" if "val" in names else "test"
    validation = evaluation_loader(index.split(judged), record, model.stride)
    truths = validation.dataset

    def validate(candidate: torch.nn.Module, _epoch: int) -> Results:
        return evaluate(
            candidate,  # type: ignore[arg-type]  # the average of a model is a model
            validation.epoch(0),
            truths.truth,  # type: ignore[attr-defined]  # an ImageDataset
            METRICS[index.target_type](index.classes, index.split(judged).attributes),
            device=device,
            precision_context=lambda: autocast(device, settings.precision),
        )

    result = fit(
        module,
        source,
        settings,
        store=run.store,
        validate=validate,
        validation=validation,
        observers=_observers(run, console, len(source)) if current_ranks().rank == 0 else (),
        resume=go_on,
    )
    return _finish(run, index, result, dict(source.skipped), console)


def _training_loader(index: DatasetIndex, record: Mapping[str, Any], stride: int) -> BatchLoader:
    part = index.split("train")
    plain = training_transform(index.target_type, record["image_size"], strength=record["augment"], flip=record["flip"])
    mixes = _mixes(record)
    raw = ImageDataset(part, masks=bool(record["copy_paste"]))
    steps = [Mixing(mix, raw.untransformed, len(part)) for mix in mixes]
    dataset = ImageDataset(part, Compose(*steps, plain), masks=raw.masks)
    return BatchLoader(
        dataset=dataset,
        batch_size=record["batch_size"],
        stride=stride,
        shuffle=True,
        seed=record["settings"]["seed"],
        workers=record["workers"],
        drop_last=len(dataset) > record["batch_size"],  # a last batch of one image starves batch norm
    )


def _mixes(record: Mapping[str, Any]) -> list[Mix]:
    mixes: list[Mix] = []
    if record["copy_paste"]:
        mixes.append(CopyPaste(probability=record["copy_paste"]))
    if record["mosaic"]:
        mixes.append(Mosaic(record["image_size"], probability=record["mosaic"]))
    if record["mixup"]:
        mixes.append(MixUp(_MIXUP_ALPHA, probability=record["mixup"]))
    return mixes


def _observers(run: Run, console: Console | None, batches: int) -> Sequence[Observer]:
    settings = run.record["settings"]
    steps = settings["epochs"] * batches // settings["accumulate"]
    every = max(1, min(_LOG_EVERY, steps // _LEAST_POINTS))
    observers: list[Observer] = [JsonlLog(run.folder / "log.jsonl", every=every)]
    if run.record["tensorboard"]:
        observers.append(TensorBoardLog(run.folder / "tensorboard", every=every))
    if console is not None:
        observers.append(ProgressBar(console))
    return observers


def _finish(
    run: Run, index: DatasetIndex, result: FitResult, skipped: Mapping[str, str], console: Console | None
) -> Run:
    add_skipped(run.folder, skipped)
    if result.stopped.reason == "interrupted":
        say(console, f"Go on with: snellen train --resume {run.folder}")
        return run
    if current_ranks().rank != 0:
        return run
    for split in ("val", "test"):
        if split in index.split_names and len(index.split_rows(split)):
            evaluate_run(run, index=index, split=split, console=console)
    write_run_report(run, index)
    say(console, f"report: {run.report}")
    return run
