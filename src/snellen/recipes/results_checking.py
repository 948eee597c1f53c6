"""Judging what a run predicts: from the predictions in its folder, and, if there is time, from new ones."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from snellen.data import DatasetIndex
from snellen.doctor import Check, Diagnosis, Evidence, Stage, diagnose
from snellen.doctor.evidence.catalog import RESULT_SOURCES
from snellen.doctor.evidence.images import ScanSettings, facts_of_images
from snellen.doctor.evidence.results.evaluated import JUDGED, OtherRun, RunFiles
from snellen.doctor.evidence.results.parity import RepeatedPredictions, prediction_gap
from snellen.errors import ConfigError, DatasetError
from snellen.evaluation import predicted_batches, read_predictions
from snellen.models import builder_options, settings_of
from snellen.recipes.evaluating import PREDICTION_OF, evaluate_run, recorded_data, recorded_index
from snellen.recipes.loaders import evaluation_loader
from snellen.recipes.operating import OPERATING, applied, read_operating
from snellen.recipes.planning import chosen_device
from snellen.recipes.progress import progress_bar
from snellen.recipes.runs import ENSEMBLE, Run, recorded_entry
from snellen.training import autocast

__all__ = ["diagnosis_of_results", "run_files"]

REPEATED = 16  # images that are predicted anew
MOST_MEASURED = ("train", "train-dev", "val", "test")


def diagnosis_of_results(
    run: Run,
    checks: Sequence[Check],
    *,
    source: DatasetIndex | None = None,
    index: DatasetIndex | None = None,
    against: Path | str | None = None,
    deep: bool = False,
    scan: bool = True,
    console: Console | None = None,
) -> Diagnosis | None:
    """Return what the predictions of a run show; None if it has none, or its data are gone.

    Args:
        run: Trained.
        checks: Those of results among them are made.
        source: Its data set as it was read, if it has been.
        index: The same with the splits of the run, where it is there.
        against: Folder of another run, to compare with.
        deep: Whether to measure splits that were not, training images too, and to predict some images anew.
        scan: Whether to look at the image files, for slices by light and for copies.
        console: Where to show how far it is.

    Raises:
        CheckpointError: If the other run cannot be read.
        ConfigError: If the data set of the other run is gone.
    """
    chosen = [item for item in checks if item.stage == Stage.RESULTS]
    if not chosen or not ((run.folder / "evaluation").is_dir() or deep):
        return None
    try:
        read = source if source is not None else index if index is not None else recorded_data(run)
        index = recorded_index(run, source=read) if index is None else index
    except DatasetError:
        return None
    if deep:
        _measure(run, index, console)
    files = run_files(run, index, read)
    given: list[object] = [files, index]
    if against is not None:
        given.append(_other(against))
    if deep:
        given.append(_repeated(run, files))
    sources = [item for item in RESULT_SOURCES if scan or item is not facts_of_images]
    with progress_bar(console) as bar:
        task = bar.add_task("looking at images", total=len(index), visible=False)

        def advance(done: int, of: int) -> None:
            bar.update(task, completed=done, total=of, visible=True)

        given.append(ScanSettings(on_progress=advance))
        return diagnose(Evidence(given, sources), chosen)


def run_files(run: Run, index: DatasetIndex, source: DatasetIndex) -> RunFiles:
    """Return what the checks of results need to know of a run.

    Args:
        run: Trained.
        index: Its data set with the splits of the run.
        source: The same as it was read.
    """
    operating = read_operating(run) if (run.folder / OPERATING).is_file() else None
    given = [name for place, name in enumerate(source.split_names) if (source.splits == place).any()]
    return RunFiles(
        folder=run.folder,
        index=index,
        kind=PREDICTION_OF[run.target_type],
        results=run.results,
        record=run.record,
        options=_options(run),
        drawn=tuple(name for name in index.split_names if name not in given and name != "train"),
        decision=None if operating is None else operating.decision,
        name=run.folder.name,
    )


def _options(run: Run) -> dict[str, Any]:
    """Return what can be set of a run's model, with its values; nothing for ensembles, whose members are trained."""
    if run.record["model"] == ENSEMBLE:
        return {}
    own = dict(run.record["model_options"])
    own.pop("settings_by_path", None)
    built: torch.nn.Module = run.build()  # type: ignore[assignment]  # every model is a module
    return {**builder_options(recorded_entry(run.record)), **own, **settings_of(built)}


def _measure(run: Run, index: DatasetIndex, console: Console | None) -> None:
    """Measure the splits that have not been."""
    operating = read_operating(run)
    for name in MOST_MEASURED:
        is_there = name in index.split_names and len(index.split_rows(name)) > 0
        if is_there and name not in run.results:
            evaluate_run(run, index=index, split=name, operating=operating, console=console)


def _other(against: Path | str) -> OtherRun:
    rival = Run.open(against)
    try:
        read = recorded_data(rival)
        return OtherRun(files=run_files(rival, recorded_index(rival, source=read), read))
    except DatasetError as error:
        raise ConfigError(f"the data set of {rival.folder} was expected where it was; {error}") from error


def _repeated(run: Run, files: RunFiles) -> RepeatedPredictions:
    """Predict some images one by one, in the opposite order, and compare with what lies on disk."""
    judged = next((name for name in JUDGED if name in files.results), None)
    if judged is None:
        return RepeatedPredictions(differences={}, num_images=0)
    part = files.index.split(judged)
    rows = np.unique(np.linspace(0, len(part) - 1, REPEATED).astype(np.int64))[::-1]
    chosen = part.select(rows)
    stored = {
        image.index: image.prediction
        for image in read_predictions(run.folder / "evaluation" / judged, files.kind)
        if image.index in set(rows.tolist())
    }
    device = torch.device(chosen_device(run.record["device"])[0])
    model = applied(run.load(device=device), read_operating(run))
    record = {**run.record, "batch_size": 1, "workers": 0}
    loader = evaluation_loader(chosen, record, model.stride)
    differences: dict[str, float] = {}
    context = partial(autocast, device, run.record["settings"]["precision"])
    for batch, predictions in predicted_batches(model, loader.epoch(0), device=device, precision_context=context):
        row = int(batch.indices[0])
        before = stored.get(int(rows[row]))
        if before is not None:
            differences[chosen.paths[row]] = prediction_gap(before, predictions[0])
    return RepeatedPredictions(differences=differences, num_images=len(differences))
