"""What was found of a run, and what becomes of a finding once it is treated."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snellen.data import DatasetIndex, Repairs, repaired
from snellen.doctor import CHECKS, Check, Diagnosis, Finding, Level, Stage, Status, chosen_language, find_check
from snellen.errors import SnellenError
from snellen.recipes.check_run import diagnosis_of_training
from snellen.recipes.checking import check
from snellen.recipes.options import TrainOptions
from snellen.recipes.options_file import decoded, encoded
from snellen.recipes.results_checking import diagnosis_of_results
from snellen.recipes.runs import DIAGNOSIS, Run
from snellen.report import diagnosis_from_json

__all__ = ["After", "Told", "after_training", "after_treatment", "findings_of_run", "told"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A finding as people read it.

    Attributes:
        code: Of the check.
        name: Of the check.
        level: How grave, as a word.
        message: What was found.
        fix: How a person mends it.
        measured: The value that decided; None where the finding is exact.
    """

    code: str
    name: str
    level: str
    message: str
    fix: str
    measured: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """What becomes of a finding.

    Attributes:
        found: In how many trainings it was found.
        judged: In how many it could be judged.
        measured: The mean of the values that decided, where it was found.
    """

    found: int
    judged: int
    measured: float | None = None


def findings_of_run(run: Run, *, least: Level, console: Any = None) -> list[Finding]:
    """Return what was found of a run, in order: data, set-up, training, results; in each the gravest first.

    Where nobody looked before the training, data and set-up are checked now.

    Args:
        run: Trained.
        least: Level from which findings count.
        console: Where to show how far it is.
    """
    file = run.folder / DIAGNOSIS
    if file.is_file():
        before: Diagnosis = diagnosis_from_json(file.read_bytes())
    else:
        options = _keywords(TrainOptions(**decoded(run.record["options"])))
        before = check(run.record["data"], run.record["model"], console=console, **options)
    later = [part for part in (_of_stage(run, Stage.TRAINING), _of_stage(run, Stage.RESULTS)) if part is not None]
    return [one for part in (before, *later) for one in part.findings if one.level >= least]


def told(finding: Finding) -> Told:
    """Return a finding as people read it."""
    language = chosen_language()
    made = find_check(finding.code)
    page = made.pages[language]
    return Told(
        code=finding.code,
        name=made.name,
        level=finding.level.name.lower(),
        message=page.message(finding),
        fix=page.fix_of(finding),
        measured=finding.measured,
    )


def after_training(finding: Finding, folders: Sequence[Path]) -> After | None:
    """Return what trainings show of a finding of a training or its results; None for findings of another stage."""
    made = find_check(finding.code)
    if made.stage not in (Stage.TRAINING, Stage.RESULTS):
        return None
    judged = [
        _outcome(part, made)
        for folder in folders
        if (folder / "run.json").is_file() and (part := _of_stage(Run.open(folder), made.stage, (made,))) is not None
    ]
    return _summed([one for one in judged if one is not None])


def after_treatment(finding: Finding, index: DatasetIndex, options: TrainOptions) -> After | None:
    """Return what a check of data or set-up says of a treated configuration; None for findings of another stage.

    Args:
        finding: Of the run.
        index: The data set with its splits.
        options: Treated.
    """
    made = find_check(finding.code)
    if made.stage not in (Stage.DATA, Stage.SETUP):
        return None
    source = repaired(index, options.repairs or Repairs())
    try:
        report = check(source, options.model, select=(made.code,), **_keywords(options))
    except SnellenError:
        return None  # it cannot be prepared; the training says why
    one = _outcome(report, made)
    return _summed([] if one is None else [one])


def _of_stage(run: Run, stage: Stage, checks: Sequence[Check] = CHECKS) -> Diagnosis | None:
    wanted = [one for one in checks if one.stage == stage]
    return diagnosis_of_training(run.folder, wanted) if stage == Stage.TRAINING else diagnosis_of_results(run, wanted)


def _keywords(options: TrainOptions) -> dict[str, Any]:
    """Return what `check` takes: it names the model itself, and the data are mended already."""
    left_out = ("model", "folder", "repairs", "tensorboard")
    return {name: value for name, value in decoded(encoded(options)).items() if name not in left_out}


def _outcome(report: Diagnosis, made: Check) -> tuple[bool, float | None] | None:
    result = next((one for one in report.results if one.check.code == made.code), None)
    if result is None or result.status not in (Status.FOUND, Status.PASSED):
        return None
    values = [one.measured for one in result.findings if one.measured is not None and math.isfinite(one.measured)]
    return result.status == Status.FOUND, max(values, key=abs) if values else None


def _summed(judged: Sequence[tuple[bool, float | None]]) -> After | None:
    if not judged:
        return None
    values = [value for _, value in judged if value is not None]
    return After(
        found=sum(found for found, _ in judged),
        judged=len(judged),
        measured=sum(values) / len(values) if values else None,
    )
