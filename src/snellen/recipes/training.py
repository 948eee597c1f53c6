"""The verb train: from a data set to a run with a report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from snellen.data import DatasetIndex
from snellen.doctor import Level, chosen_language
from snellen.errors import CheckpointError
from snellen.models import WeightsReport
from snellen.recipes.check_report import CheckReport, untold_problems, write_text
from snellen.recipes.checking import quick_check, refuse_spoiling
from snellen.recipes.evaluating import evaluate_run, recorded_index
from snellen.recipes.finetuning import finetuning_lines
from snellen.recipes.occupying import occupied
from snellen.recipes.options import options_from
from snellen.recipes.planning import NOT_TRAINED
from snellen.recipes.preparing import Preparation, initial_model, prepare_training
from snellen.recipes.progress import say
from snellen.recipes.reporting import write_run_report
from snellen.recipes.runs import DIAGNOSIS, ENSEMBLE, Run, add_skipped, new_folder, recorded_entry, write_json
from snellen.recipes.session import Outcome, Session
from snellen.recipes.stages import read_stages
from snellen.recipes.target_words import TARGET_WORDS
from snellen.report import LEVEL_STYLES, LEVELS, summary_line
from snellen.training import TrainSettings, current_ranks

__all__ = ["Preparation", "prepare_training", "resume", "train"]

MEASURED = ("val", "test")  # splits that a run is measured on
_CHECK_S = 20.0  # that people wait for what is found before a training; it goes on from what was measured before


def train(
    data: DatasetIndex | Path | str = "charts",
    *,
    console: Console | None = None,
    check: bool = True,
    force: bool = False,
    measure: Sequence[str] = MEASURED,
    **options: Any,
) -> Run:
    """Train a model on a data set, measure it on what it has not seen, and write a report.

    Args:
        data: A data set, its path, or the name of built-in charts.
        console: Where to say what happens; None says nothing.
        check: Whether to look for faults in data and settings first; see `snellen.check`.
        force: Whether to go on although faults were found that spoil the training.
        measure: Splits to measure at the end, as far as the data set has them.
        **options: See ``TrainOptions``; whatever is left out is chosen, with a reason that is printed.

    Returns:
        The run, with ``results``, ``report`` and ``load()``.

    Raises:
        ConfigError: If an option is unknown or out of range.
        DatasetError: If the data cannot be read.
        CheckpointError: If the weights do not fit, or there is a run in the folder.
        FaultsFoundError: If faults were found that spoil the training.
    """
    chosen = options_from(options)
    ready = prepare_training(data, chosen)
    diagnosis = quick_check(ready, budget_s=_CHECK_S, console=console) if check else None
    if diagnosis is not None and not force:
        refuse_spoiling(diagnosis, ready)
    folder = chosen.folder or new_folder(ready.plan.model.name)  # what fails before leaves none behind
    run = Run.create(folder, ready.record)
    index, settings = ready.index, ready.plan.settings
    write_json(folder / "problems.json", [asdict(problem) for problem in index.problems])
    if diagnosis is not None:
        write_text(folder / DIAGNOSIS, diagnosis.json())
    if console is not None:
        _announce(console, run, index, ready.weights, diagnosis)
    with occupied(run.folder):
        outcome = Session(run, ready.model, index, settings, console).train(go_on=False)
        return _finish(run, index, outcome, console, measure)


def resume(folder: Path | str, *, console: Console | None = None, measure: Sequence[str] = MEASURED) -> Run:
    """Go on with a run that was broken off; the end is the same as if it had not been.

    Args:
        folder: Of the run.
        console: Where to say what happens.
        measure: See `train`.

    Raises:
        CheckpointError: If there is no run, its data set has changed, or another process is training it.
    """
    run = Run.open(folder)
    record = run.record
    if record["model"] == ENSEMBLE:
        raise CheckpointError(f"{run.folder}: an ensemble is made of runs that are over; there is nothing to resume.")
    index = recorded_index(run)
    if index.fingerprint() != record["fingerprint"]:
        raise CheckpointError(
            f"{run.folder}: expected the data set as it was when the run began; {record['data']} has changed. "
            "Restore it, or start a new run (with --weights to keep what was learned)."
        )
    settings = TrainSettings.from_record(record["settings"])
    with occupied(run.folder):
        return _go_on(run, index, settings, console, measure)


def _go_on(
    run: Run, index: DatasetIndex, settings: TrainSettings, console: Console | None, measure: Sequence[str]
) -> Run:
    # Without a checkpoint the run was broken off before its first one, and begins as it began then.
    started = run.store.last.exists() or run.store.previous.exists() or bool(read_stages(run.folder))
    model = run.build() if started else initial_model(run.record)[0]
    session = Session(run, model, index, settings, console)
    return _finish(run, index, session.train(go_on=True), console, measure)


def _announce(
    console: Console, run: Run, index: DatasetIndex, weights: WeightsReport | None, diagnosis: CheckReport | None
) -> None:
    counts = index.describe().images_per_split
    shares = ", ".join(f"{count} {name or 'in no split'}" for name, count in counts.items())
    learned = TARGET_WORDS[index.target_type.__name__].learned
    say(console, f"{index.format} data set with {len(index.classes)} {learned}: {shares}", style="bold")
    if diagnosis is not None:
        _announce_findings(console, run, diagnosis)
    problems = untold_problems(index.problems, diagnosis)
    if problems:
        kinds: Counter[str] = Counter()
        for problem in problems:
            kinds[problem.code] += problem.count
        told = ", ".join(f"{code} ({count})" for code, count in kinds.items())
        say(console, f"noticed in the data: {told}; see {run.folder / 'problems.json'}", style="yellow")
    for name, value, reason in setting_rows(run.record):
        say(console, f"  {name:<15} {value!s:<29} {reason}")
    for line in finetuning_lines(run.record):
        say(console, f"    {line}")
    if weights is not None:
        say(console, weights.summary())
    elif recorded_entry(run.record).presumes_weights:
        say(console, f"no weights were given: {NOT_TRAINED}", style="yellow")
    say(console, f"run folder: {run.folder}")


def _announce_findings(console: Console, run: Run, diagnosis: CheckReport) -> None:
    """Say in a line each what is worse than worth knowing; the rest is counted."""
    language = chosen_language()
    for finding in diagnosis.findings:
        if finding.level > Level.INFO:
            told = diagnosis.check_of(finding)
            message = told.pages[language].message(finding)
            level = LEVELS[finding.level](language)
            say(console, f"{level} {finding.code} {told.name}: {message}", style=LEVEL_STYLES[finding.level])
    say(console, f"{summary_line(diagnosis, language)}; see {run.folder / DIAGNOSIS}")


def setting_rows(record: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    """Return name, value and reason of every setting of a run that has a reason."""
    values = {**record, **record["settings"], "ema": record["settings"]["ema_decay"]}
    rows = []
    for name, reason in record["reasons"].items():
        value = values.get(name, record["model_options"].get(name))
        rows.append((name, f"{value:.4g}" if isinstance(value, float) else value, reason))
    return rows


def _finish(run: Run, index: DatasetIndex, outcome: Outcome, console: Console | None, measure: Sequence[str]) -> Run:
    add_skipped(run.folder, outcome.skipped)
    if outcome.interrupted:
        say(console, f"Go on with: snellen train --resume {run.folder}")
        return run
    if current_ranks().rank != 0:
        return run
    for split in measure:
        if split in index.split_names and len(index.split_rows(split)):
            evaluate_run(run, index=index, split=split, console=console)
    write_run_report(run, index)
    say(console, f"report: {run.report}")
    return run
