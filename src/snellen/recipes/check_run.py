"""Judging a run: its training by the trace that it left in its folder, its results by the predictions there."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from snellen.data import ClassTable, DatasetIndex
from snellen.data.sharing import Strings
from snellen.doctor import Check, CheckResult, Diagnosis, Evidence, Stage, Status, diagnose, read_trace
from snellen.doctor.evidence.catalog import TRAINING_SOURCES
from snellen.doctor.watching import TRACE_FILE
from snellen.doctor.watching.showing import with_curves
from snellen.errors import ConfigError, DatasetError
from snellen.recipes.check_report import CheckReport
from snellen.recipes.evaluating import recorded_data
from snellen.recipes.results_checking import diagnosis_of_results
from snellen.recipes.runs import RECORD, Run

__all__ = ["TRACES", "check_run", "diagnosis_of_training", "is_run"]

TRACES = "traces"  # folder of a run that holds those of its stages


def is_run(path: Path) -> bool:
    """Return whether a folder is that of a run."""
    return (path / RECORD).is_file()


def check_run(
    folder: Path,
    checks: Sequence[Check],
    *,
    against: Path | str | None = None,
    deep: bool = False,
    console: Console | None = None,
) -> CheckReport:
    """Judge the training of a run, where it had stages each by itself, and what it predicts.

    Args:
        folder: Of the run.
        checks: Those of trainings and of results among them are made.
        against: Folder of another run, to compare the results with.
        deep: Whether to measure splits that were not, and to predict some images anew.
        console: Where to show how far it is.

    Raises:
        CheckpointError: If a run cannot be read.
        ConfigError: If it left neither a trace nor predictions.
        InputError: If the trace cannot be read.
    """
    run = Run.open(folder)
    source = _data_of(run)
    training = diagnosis_of_training(folder, [item for item in checks if item.stage == Stage.TRAINING])
    results = diagnosis_of_results(
        run, checks, source=source if len(source) else None, against=against, deep=deep, console=console
    )
    found = [part for part in (training, results) if part is not None]
    if not found:
        raise ConfigError(
            f"expected the trace of a training or predictions in {folder}; there are none. `snellen eval {folder}` "
            f"measures the run. To check the data, name the data set: snellen check {run.record['data']}"
        )
    return CheckReport(
        results=tuple(row for part in found for row in part.results),
        name=folder.name,
        index=source,
        model=run.record["model"],
    )


def diagnosis_of_training(folder: Path, checks: Sequence[Check]) -> Diagnosis | None:
    """Return what the traces of a run show; None if it has none.

    Raises:
        InputError: If one cannot be read.
    """
    places = [folder, *sorted(place for place in (folder / TRACES).glob("*"))]
    traces = [read_trace(place) for place in places if (place / TRACE_FILE).is_file()]
    if not traces:
        return None
    found = [with_curves(diagnose(Evidence([trace], TRAINING_SOURCES), checks).results, trace) for trace in traces]
    return Diagnosis(results=tuple(_of_stages(rows) for rows in zip(*found, strict=True)))


def _of_stages(rows: Sequence[CheckResult]) -> CheckResult:
    """Return what a check found in any stage; where it found nothing, how it ended where it could judge."""
    order = (Status.FOUND, Status.CRASHED, Status.PASSED, Status.NOT_CHECKABLE)
    worst = min(rows, key=lambda row: order.index(row.status))
    return replace(worst, findings=tuple(finding for row in rows for finding in row.findings))


def _data_of(run: Run) -> DatasetIndex:
    """Return the data set of a run, or one without images where it is gone."""
    try:
        return recorded_data(run)
    except DatasetError:
        return DatasetIndex(
            root=run.folder,
            format="",
            classes=tuple(run.record["classes"]),
            paths=Strings.pack([]),
            annotations=ClassTable(labels=np.zeros(0, np.int32)),
            sizes=np.zeros((0, 2), np.int32),
            splits=np.zeros(0, np.int16),
        )
