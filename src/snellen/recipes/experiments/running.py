"""Trials one after the other, or in several processes at once."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import torch
from rich.console import Console

from snellen.data import DatasetIndex
from snellen.errors import ConfigError
from snellen.recipes.experiments.trials import Outcome, Trial, read_outcome, run_trial
from snellen.recipes.progress import num_cores, progress_bar, say
from snellen.report.formatting import number_text

__all__ = ["Interrupted", "run_trials"]

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Interrupted(Exception):  # noqa: N818 - an outcome, not an error
    """Trials were broken off; what is done is kept, and the same call goes on."""


def run_trials(
    trials: Sequence[Trial],
    root: Path,
    *,
    data: DatasetIndex | None = None,
    processes: int = 1,
    what: str = "training",
    console: Console | None = None,
) -> dict[str, Outcome]:
    """Return how trials ended, by key; those that are done already are only read, those that were broken off go on.

    Args:
        trials: Which trainings; equal ones are done once.
        root: Folder that they lie in.
        data: The data set where it has no path that other processes could read it from.
        processes: How many train at once; they share the cores.
        what: In the bar.
        console: Where to say what happens.

    Raises:
        ConfigError: If several processes are wanted of data without a path.
        Interrupted: If it was broken off.
    """
    if processes > 1 and data is not None:
        raise ConfigError("several processes read the data by its path; got a data set in memory. Use processes=1.")
    root.mkdir(parents=True, exist_ok=True)
    by_key = {trial.key: trial for trial in trials}
    outcomes = {key: done for key, trial in by_key.items() if (done := _known(trial, root)) is not None}
    left = [trial for key, trial in by_key.items() if key not in outcomes]
    if outcomes and left:
        say(console, f"{len(outcomes)} of {len(by_key)} trainings are done already")
    with progress_bar(console) as bar:
        task = bar.add_task(what, total=len(by_key), completed=len(outcomes))
        try:
            for trial, outcome in _run(left, root, data, processes):
                if outcome is None:
                    raise Interrupted
                outcomes[trial.key] = outcome
                bar.advance(task)
                say(console, f"{len(outcomes)} of {len(by_key)}: {told(trial, outcome)}")
        except KeyboardInterrupt:
            raise Interrupted from None
    return outcomes


def told(trial: Trial, outcome: Outcome) -> str:
    """Return a line about a trial that has ended."""
    if outcome.status == "failed":
        return f"{trial.name} failed: {outcome.reason}"
    reached = ", ".join(
        f"{one.headline} {number_text(one.scalars.get(one.headline))} on {split}"
        for split, one in outcome.measured.items()
        if split in trial.measure
    )
    return f"{trial.name}: {reached}, {outcome.seconds:.0f} s"


def _known(trial: Trial, root: Path) -> Outcome | None:
    outcome = read_outcome(trial.folder(root))
    if outcome is None or outcome.status == "failed":
        return outcome
    return outcome if set(trial.measure) <= set(outcome.measured) else None


def _run(
    trials: Sequence[Trial], root: Path, data: DatasetIndex | None, processes: int
) -> Iterator[tuple[Trial, Outcome | None]]:
    if processes == 1 or len(trials) < 2:
        for trial in trials:
            yield trial, run_trial(trial, root, data)
        return
    threads = max(1, num_cores() // processes)
    apart = get_context("spawn")  # a fork would share locks and CUDA's state with the parent, which torch forbids
    with (
        _environment(dict.fromkeys(_THREADS, str(threads))),
        ProcessPoolExecutor(processes, mp_context=apart, initializer=_begin, initargs=(threads,)) as pool,
    ):
        waiting = {pool.submit(run_trial, trial, root): trial for trial in trials}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _begin(threads: int) -> None:
    torch.set_num_threads(threads)


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Give child processes variables of their own; this process gets its own back."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        _restore(before.items())


def _restore(before: Iterable[tuple[str, str | None]]) -> None:
    for name, value in before:
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
