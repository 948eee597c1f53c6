"""The verb evaluate: a run over a split, with predictions and results on disk."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from snellen.data import DatasetIndex, ImageDataset, ReadOptions, Repairs, repaired, task_of, verify
from snellen.errors import ConfigError, did_you_mean
from snellen.evaluation import METRICS, Naming, PredictionWriter, to_json
from snellen.evaluation import evaluate as measured
from snellen.imaging import DenseCrfSettings
from snellen.nn import quick_layout
from snellen.recipes.crf_choice import choose_crf, read_crf
from snellen.recipes.datasets import load, prepared
from snellen.recipes.inference import (
    PLAIN,
    Inference,
    check_inference,
    crf_settings,
    seen_by,
    with_inference,
)
from snellen.recipes.judging import recorded_judging
from snellen.recipes.loaders import evaluation_loader
from snellen.recipes.measuring import measured_in_batches, measured_in_tiles
from snellen.recipes.operating import Operating, applied, choose_operating, read_operating
from snellen.recipes.operating_choices import goal_from
from snellen.recipes.parts import part_of, recorded_part
from snellen.recipes.planning import chosen_device
from snellen.recipes.progress import say, skip_line
from snellen.recipes.proposing import region_source, tell_faults
from snellen.recipes.runs import Run, add_skipped
from snellen.report import results_text
from snellen.structures import (
    BoxTarget,
    ClassScores,
    ClassTarget,
    Detections,
    LabelSetScores,
    LabelSetTarget,
    MaskTarget,
    Model,
    Prediction,
    Results,
    SegmentationMap,
    Target,
    ValueEstimates,
    ValueTarget,
)
from snellen.training import autocast

__all__ = [
    "PREDICTION_OF",
    "evaluate",
    "evaluate_run",
    "evaluation_loader",
    "measured_results",
    "measured_score",
    "recorded_data",
    "recorded_index",
]

PREDICTION_OF: Mapping[type[Target], type[Prediction]] = {
    BoxTarget: Detections,
    ClassTarget: ClassScores,
    LabelSetTarget: LabelSetScores,
    MaskTarget: SegmentationMap,
    ValueTarget: ValueEstimates,
}


def evaluate_run(
    run: Run,
    *,
    index: DatasetIndex,
    split: str | None = "test",
    which: str = "best",
    name: str | None = None,
    device: str | None = None,
    operating: Operating | None = None,
    inference: Inference = PLAIN,
    console: Console | None = None,
) -> Results:
    """Measure a run and write ``evaluation/NAME/`` in its folder.

    Args:
        run: Trained.
        index: The data set.
        split: Which of its splits; None for all images.
        which: ``best`` or ``last`` weights.
        name: Of the folder; the split if None.
        device: Where to compute; that of the run if None.
        operating: Thresholds and temperature to measure with; None for the most probable class.
        inference: What is done beside one look at each image; it stands in the results, and behind the name of the
            folder.
        console: Where to say what happens.

    Raises:
        ConfigError: If the data set is of another kind or has other classes than the run, or the model cannot look at
            images so.
        InputError: If there is no such split.
    """
    check_fits(run, index)
    part = index if split is None else index.split(split)
    place = torch.device(chosen_device(device or run.record["device"])[0])
    model = run.load(which=which, device=place)
    check_inference(run, inference, model.stride)
    module: torch.nn.Module = model  # type: ignore[assignment]  # every model is a module
    quick_layout(module)
    seen = applied(seen_by(model, inference), operating)
    told = "-".join(filter(None, [name or split or "all", inference.suffix]))
    folder = run.folder / "evaluation" / told
    decision = None if operating is None else operating.decision
    naming = Naming(classes=run.classes, decision=decision)
    metric = METRICS[part.target_type](part.classes, part.attributes, recorded_judging(run.record, decision))
    with PredictionWriter(folder, PREDICTION_OF[part.target_type], naming) as writer:
        common: dict[str, Any] = {"device": place, "console": console}
        if inference.tile is None:
            results, skipped = measured_in_batches(run, seen, part, metric, writer, **common)
        else:
            results, skipped = measured_in_tiles(run, seen, part, metric, writer, tile=inference.tile, **common)
    results = with_inference(results, inference)
    (folder / "results.json").write_text(to_json(results), encoding="utf-8")
    add_skipped(run.folder, skipped)
    if console is not None:
        console.print(results_text({told: results}))
        for path, reason in skipped.items():
            say(console, skip_line(path, reason), style="yellow")
    return results


def check_fits(run: Run, index: DatasetIndex) -> None:
    """Raise ``ConfigError`` unless the data set has the kind of annotation and the classes of the run."""
    if index.target_type is not run.target_type:
        raise ConfigError(
            f"the run learned from {run.target_type.__name__}; {index.root} has {index.target_type.__name__}. "
            "Evaluate on a data set of the same kind."
        )
    if index.classes != run.classes:
        strange = next((name for name in index.classes if name not in run.classes), None)
        hint = "the order differs" if strange is None else f"{strange!r} is new.{did_you_mean(strange, run.classes)}"
        raise ConfigError(
            f"the data set must have the classes of the run, in their order ({', '.join(run.classes)}); got "
            f"{', '.join(index.classes)}: {hint} Give the order with classes=…, or name the classes alike."
        )


def evaluate(
    run: Run | Path | str,
    data: DatasetIndex | Path | str | None = None,
    *,
    split: str | None = "test",
    which: str = "best",
    at_recall: float | None = None,
    at_precision: float | None = None,
    best_f1: bool = False,
    find: str | None = None,
    calibrate: bool = False,
    plain: bool = False,
    tile: int | None = None,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    crf: bool | DenseCrfSettings | Mapping[str, Any] | None = None,
    tune_crf: bool = False,
    device: str | None = None,
    format: str | None = None,
    console: Console | None = None,
) -> Results:
    """Measure a trained model, on the data of its run or on others.

    Thresholds and a temperature are chosen on the validation images of the run, never on those that are measured, and
    are kept: later calls, and ``predict``, use them until others are chosen. So are the kernels of a dense CRF, which
    are used where one is wanted. Measurements with tiles, views or a field have folders of their own; thresholds are
    chosen by one look at each image.

    Args:
        run: Trained, or its folder.
        data: A data set or its path; that of the run if None.
        split: Which part of it; None for all images. Where other data have no test split, all images are measured.
        which: ``best`` or ``last`` weights.
        at_recall: Choose the threshold with the highest precision at which so much is found, 0..1.
        at_precision: Choose the threshold with the highest recall at which so much of what is named is right, 0..1.
        best_f1: Choose the threshold, or one for each class, of the highest F1.
        find: Class that the threshold is for; of two classes the rarer one if None, of label sets all.
        calibrate: Fit a temperature, so that probabilities mean what they say.
        plain: Use no thresholds and no temperature, whatever was chosen.
        tile: Side in pixels of the tiles into which larger images are cut; each is resized as the model is used to.
        scales: Factors of the size at which the model is used to see images; its answers are averaged.
        flip: Whether mirrored images are seen, too.
        crf: Whether labels of pixels are refined by a dense CRF: with what was chosen for the run or the defaults; its
            settings; or those that differ, by name.
        tune_crf: Choose its settings on the validation images first.
        device: Where to compute; that of the run if None.
        format: Of ``data``.
        console: Where to say what happens.

    Raises:
        ConfigError: If the data set is of another kind or has other classes than the run, what is wanted of a
            threshold cannot be reached, or the model cannot look at images so.
        InputError: If there is no such split.
    """
    used = run if isinstance(run, Run) else Run.open(run)
    goal = goal_from(at_recall=at_recall, at_precision=at_precision, best_f1=best_f1, find=find)
    chooses = goal is not None or calibrate
    if chooses and plain:
        raise ConfigError("plain uses no thresholds and no temperature; got a choice of them too. Leave one out.")
    if chooses:
        operating: Operating | None = choose_operating(
            used, recorded_index(used), goal=goal, calibrate=calibrate, which=which, device=device, console=console
        )
    else:
        operating = None if plain else read_operating(used, which)
    inference = Inference(tile=tile, scales=tuple(scales), flip=flip)
    if tune_crf:
        choose_crf(used, recorded_index(used), inference=inference, which=which, device=device, console=console)
    kernels = read_crf(used, which)
    settings = crf_settings(None if kernels is None else kernels.settings, wanted=tune_crf if crf is None else crf)
    common: dict[str, Any] = {
        "which": which,
        "device": device,
        "operating": operating,
        "inference": replace(inference, crf=settings),
        "console": console,
    }
    if data is None:
        return _of_own_data(used, split, rewrite=chooses, **common)
    source = load(data, format=format, options=_read_like(used)) if isinstance(data, (str, Path)) else data
    index = verify(source)
    # A data set without splits is meant as a whole; a split that was mistyped is an error.
    part = None if split == "test" and "test" not in index.split_names else split
    name = f"{index.root.name}-{part or 'all'}"
    measured_part = index if part is None else index.split(part)
    tell_faults(region_source(used.record, index.root), measured_part, console)  # of its own data it was told before
    return evaluate_run(used, index=index, split=part, name=name, **common)


def _of_own_data(run: Run, split: str | None, *, rewrite: bool, **options: Any) -> Results:
    """Measure a run on its own data; where the way of deciding has changed, on all that the report shows."""
    index = recorded_index(run)
    results = evaluate_run(run, index=index, split=split, **options)
    if rewrite and run.report.exists():
        from snellen.recipes.reporting import write_run_report  # noqa: PLC0415 - it imports this module

        for other in run.results:
            if other != split and other in index.split_names:
                evaluate_run(run, index=index, split=other, **{**options, "console": None})
        write_run_report(run, index)
    return results


def _read_like(run: Run) -> ReadOptions:
    """Return how other data are read for a run: as what it learned, where files allow more than one reading."""
    read = _READ_LIKE.get(run.target_type)
    return ReadOptions() if read is None else read(run.classes)


_READ_LIKE: Mapping[type[Target], Callable[[tuple[str, ...]], ReadOptions]] = {
    LabelSetTarget: lambda classes: ReadOptions(task=task_of(LabelSetTarget), classes=classes),
    MaskTarget: lambda _classes: ReadOptions(task=task_of(MaskTarget)),
    ValueTarget: lambda names: ReadOptions(task=task_of(ValueTarget), columns=names),
}


def recorded_index(run: Run, *, whole: bool = False, source: DatasetIndex | None = None) -> DatasetIndex:
    """Return the data set of a run with the splits that it was trained with.

    Args:
        run: Its record tells where the data are, and how they were divided.
        whole: Whether to leave out that the run learned from a part of the training images.
        source: The data set as it was read, where it has been; see `recorded_data`.

    Raises:
        DatasetError: If it is gone.
    """
    seed = run.record.get("split_seed")
    read = recorded_data(run) if source is None else source
    index = prepared(read, run.record["settings"]["seed"] if seed is None else seed)
    index = repaired(index, Repairs.from_record(run.record.get("repairs") or {}))
    return index if whole else part_of(index, recorded_part(run.record))


def measured_score(model: torch.nn.Module, run: Run, index: DatasetIndex, split: str) -> float:
    """Return how good a model is on a split, higher is better; nothing is written. See `measured_results`."""
    return measured_results(model, run, index, split).score


def measured_results(model: torch.nn.Module, run: Run, index: DatasetIndex, split: str) -> Results:
    """Return what a model reaches on a split; nothing is written.

    Args:
        model: On its device.
        run: Images are made as it wants them.
        index: The data set.
        split: Of it.
    """
    part = index.split(split)
    device = next(model.parameters()).device
    judged: Model = model  # type: ignore[assignment]  # every model is a module with three verbs
    loader = evaluation_loader(part, run.record, judged.stride)
    return measured(
        judged,
        loader.epoch(0),
        ImageDataset(part, masks=run.record["masks"]).truth,
        METRICS[part.target_type](part.classes, part.attributes, recorded_judging(run.record)),
        device=device,
        precision_context=lambda: autocast(device, run.record["settings"]["precision"]),
    )


def recorded_data(run: Run) -> DatasetIndex:
    """Return the data set of a run, read as it was read then.

    Raises:
        DatasetError: If it is gone.
    """
    read = run.record["read"]
    options = ReadOptions(
        images=None if read["images"] is None else Path(read["images"]),
        classes=None if read["classes"] is None else tuple(read["classes"]),
        ignore_index=read["ignore_index"],
        task=read.get("task"),
        columns=None if read.get("columns") is None else tuple(read["columns"]),
        separator=read.get("separator"),
    )
    return load(run.record["data"], format=run.record["format"], options=options)
