"""One training of an experiment, in a folder of its own that says what it is and what came of it."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, Self

import torch
from torch import nn

from snellen.data import DatasetIndex
from snellen.errors import CheckpointError, ConfigError, SnellenError, TrainingError
from snellen.models import change_settings
from snellen.nn import quick_layout
from snellen.recipes.evaluating import evaluate_run, measured_results, recorded_index
from snellen.recipes.experiments.memory import forget_peak, peak_bytes
from snellen.recipes.options_file import decoded
from snellen.recipes.planning import chosen_device
from snellen.recipes.runs import RECORD, Run, write_json
from snellen.recipes.training import resume, train
from snellen.structures import Results

__all__ = ["Measured", "Outcome", "Trial", "measured_with", "read_outcome", "run_trial"]

OUTCOME = "outcome.json"
SPEC = "trial.json"
_DIGITS = 10  # of a hash; two trials of one study never share it
_LONGEST_NAME = 60  # of a folder, without its hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one trained model reached on one split.

    Attributes:
        headline: Name of the figure that decides.
        score: Its value, so that higher is better.
        lower_is_better: Whether the figure itself is an error.
        scalars: Everything that was measured.
    """

    headline: str
    score: float
    lower_is_better: bool
    scalars: Mapping[str, float]

    @classmethod
    def of(cls, results: Results) -> Self:
        """Return the figures of results; those that are not finite become none."""
        scalars = {name: float(value) for name, value in results.scalars.items() if isfinite(value)}
        score = results.score if isfinite(results.score) else float("nan")
        return cls(headline=results.headline, score=score, lower_is_better=results.lower_is_better, scalars=scalars)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a training ended.

    Attributes:
        status: ``failed`` where its settings do not fit, or it diverged.
        reason: Why it failed.
        seconds: That it took, all sittings together but those that were killed.
        peak_bytes: Most memory that was held; None where nobody knows.
        measured: By split.
    """

    status: Literal["done", "failed"]
    reason: str = ""
    seconds: float = 0.0
    peak_bytes: int | None = None
    measured: Mapping[str, Measured] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One training: data and options decide what comes of it, and equal ones are done once.

    Attributes:
        name: For people and for the folder.
        data: The data set.
        options: Of ``train``, as JSON takes them, with their seed.
        measure: Splits to measure.
    """

    name: str
    data: str
    options: Mapping[str, Any]
    measure: tuple[str, ...] = ("val",)

    @property
    def key(self) -> str:
        """What tells this training from others."""
        told = json.dumps([self.data, dict(self.options)], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:_DIGITS]

    def folder(self, root: Path) -> Path:
        """Return where it lies beneath the folder of all trials."""
        word = re.sub(r"[^\w.=-]+", "_", self.name).strip("_")[:_LONGEST_NAME] or "trial"
        there = next(root.glob(f"*-{self.key}"), None)  # equal trainings have one folder, whatever they are called
        return there or root / f"{word}-{self.key}"


def read_outcome(folder: Path) -> Outcome | None:
    """Return how a trial ended; None where it has not, or was broken off.

    Raises:
        CheckpointError: If the file is not one of these.
    """
    file = folder / OUTCOME
    if not file.is_file():
        return None
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        measured = {split: Measured(**one) for split, one in told.pop("measured").items()}
        return Outcome(**told, measured=measured)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{file}: expected what became of a training; {error}. Delete the folder.") from error


def run_trial(trial: Trial, root: Path, data: DatasetIndex | None = None) -> Outcome | None:
    """Train, or go on, and measure; what was done before is only read.

    Args:
        trial: Which training.
        root: Folder of all trials.
        data: The data set where it is at hand; else it is read.

    Returns:
        How it ended; None if it was broken off by Ctrl-C.
    """
    folder = trial.folder(root)
    known = read_outcome(folder)
    if known is not None and (known.status == "failed" or set(trial.measure) <= set(known.measured)):
        return known
    write_json(folder / SPEC, {**asdict(trial), "key": trial.key})
    if known is not None:
        return _measured_more(trial, folder, known)
    before = _seconds_before(folder)
    began = perf_counter()
    is_peak_known = forget_peak()
    try:
        run = _trained(trial, folder / "run", data)
    except (ConfigError, TrainingError, torch.OutOfMemoryError) as error:
        return _written(folder, Outcome(status="failed", reason=_line(error), seconds=before + perf_counter() - began))
    seconds = before + perf_counter() - began
    if not run.report.exists():
        write_json(folder / "seconds.json", seconds)
        return None
    measured = {split: Measured.of(results) for split, results in run.results.items()}
    return _written(
        folder,
        Outcome(
            status="done",
            seconds=round(seconds, 2),
            peak_bytes=peak_bytes(run.record["device"]) if is_peak_known else None,
            measured=measured,
        ),
    )


def _trained(trial: Trial, folder: Path, data: DatasetIndex | None) -> Run:
    if (folder / RECORD).exists():
        run = Run.open(folder)
        return run if run.report.exists() else resume(folder, measure=trial.measure)
    options = {**decoded(trial.options), "folder": folder}
    options.setdefault("tensorboard", False)
    return train(trial.data if data is None else data, check=False, force=True, measure=trial.measure, **options)


def _measured_more(trial: Trial, folder: Path, known: Outcome) -> Outcome:
    """Measure a finished training on splits that nobody asked for when it was done."""
    run = Run.open(folder / "run")
    index = recorded_index(run)
    for split in trial.measure:
        if split in index.split_names and split not in known.measured:
            evaluate_run(run, index=index, split=split)
    measured = {split: Measured.of(results) for split, results in run.results.items()}
    return _written(
        folder,
        Outcome(status="done", seconds=known.seconds, peak_bytes=known.peak_bytes, measured=measured),
    )


def measured_with(run: Run, switches: Mapping[str, Any], splits: Sequence[str]) -> dict[str, Measured]:
    """Return what a trained model reaches with other settings of its use, such as those of suppression.

    Args:
        run: Trained; it is left as it is.
        switches: Settings inside the model by dotted path.
        splits: To measure.

    Raises:
        ConfigError: If there is no such setting.
    """
    index = recorded_index(run)
    model: nn.Module = run.load(device=chosen_device(run.record["device"])[0])  # type: ignore[assignment]
    quick_layout(model)
    change_settings(model, switches)
    return {
        split: Measured.of(measured_results(model, run, index, split)) for split in splits if split in index.split_names
    }


def _seconds_before(folder: Path) -> float:
    file = folder / "seconds.json"
    return float(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else 0.0


def _written(folder: Path, outcome: Outcome) -> Outcome:
    write_json(folder / OUTCOME, asdict(outcome))
    return outcome


def _line(error: SnellenError | RuntimeError) -> str:
    return str(error).splitlines()[0]
