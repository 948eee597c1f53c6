"""The verb lr: a learning-rate range test of one of Snellen's models on a data set, with the optimizer of train."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from snellen.data import BatchLoader, DatasetIndex
from snellen.doctor.examining import untouched
from snellen.doctor.range_test import HIGHEST_RATE, LOWEST_RATE, NUM_STEPS, FirstWeights, RangeTest, range_test
from snellen.errors import ConfigError
from snellen.recipes.loaders import training_loader
from snellen.recipes.options import options_from
from snellen.recipes.planning import chosen_device
from snellen.recipes.preparing import Preparation, prepare_training
from snellen.recipes.progress import counting, say
from snellen.recipes.proposing import prepare_proposals
from snellen.report.rates import range_svg, range_text, rate_text
from snellen.structures import Batch, Model, Staged
from snellen.training import Interruption, TrainState, autocast
from snellen.training.randomness import seed_batch
from snellen.training.step import Stepper, placed

__all__ = ["RateAdvice", "find_rate", "preparation_range", "write_rate_chart"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateAdvice:
    """A range test of a planned training.

    Attributes:
        test: What the sweep showed.
        model: Name.
        optimizer: That train would use.
        planned: Rate that train would use.
    """

    test: RangeTest
    model: str
    optimizer: str
    planned: float

    def record(self) -> dict[str, Any]:
        """Return everything as JSON takes it."""
        test = self.test
        return {
            "model": self.model, "optimizer": self.optimizer, "planned": self.planned, "suggestion": test.suggestion,
            "range": None if test.low is None else [test.low, test.high], "steepest": test.steepest,
            "ended": test.ended, "verdict": test.verdict, "rates": list(test.rates), "losses": list(test.losses),
            "smoothed": list(test.smoothed),
        }  # fmt: skip


def find_rate(
    data: DatasetIndex | Path | str = "charts",
    *,
    low: float = LOWEST_RATE,
    high: float = HIGHEST_RATE,
    steps: int = NUM_STEPS,
    console: Console | None = None,
    **options: Any,
) -> RateAdvice:
    """Find the learning rate for a training by a range test; nothing is written, and random states stay as they are.

    Ctrl-C ends the sweep, and what was measured so far is judged.

    Args:
        data: A data set, its path, or the name of built-in charts.
        low: First rate of the sweep.
        high: Last rate of the sweep.
        steps: Of the sweep.
        console: Where to say what happens; None says nothing.
        **options: See ``TrainOptions``; the training that they describe is tested.

    Raises:
        ConfigError: If an option is unknown or out of range, or the model is not trained by gradients.
        DatasetError: If the data cannot be read.
        CheckpointError: If the weights do not fit.
    """
    with untouched():
        ready = prepare_training(data, options_from(options))
        if console is not None:
            say(console, _announcement(ready), style="bold")
        test = preparation_range(ready, low=low, high=high, steps=steps, console=console)
    advice = RateAdvice(
        test=test,
        model=ready.plan.model.name,
        optimizer=ready.plan.settings.optimizer,
        planned=ready.plan.settings.lr,
    )
    if console is not None:
        console.print(range_text(test))
        say(console, f"Train would use {rate_text(advice.planned)} ({ready.plan.reasons['lr']}).{_advice(advice)}")
    return advice


def write_rate_chart(path: Path | str, advice: RateAdvice) -> Path:
    """Write the chart of a range test as an SVG file and return its path; missing folders are made."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(range_svg(advice.test), encoding="utf-8")
    return target


def _announcement(ready: Preparation) -> str:
    settings = ready.plan.settings
    return f"range test of {ready.plan.model.name} with {settings.optimizer}, {ready.plan.batch_size} images a batch"


def _advice(advice: RateAdvice) -> str:
    if advice.test.suggestion is None:
        return ""
    return f" To use the suggestion: snellen train … --lr {rate_text(advice.test.suggestion)}"


def preparation_range(
    ready: Preparation,
    *,
    low: float = LOWEST_RATE,
    high: float = HIGHEST_RATE,
    steps: int = NUM_STEPS,
    console: Console | None = None,
) -> RangeTest:
    """Run a range test of a prepared training; its model is trained, and random states change.

    Raises:
        ConfigError: If the model is not trained by gradients.
    """
    _enter_descent(ready.model)
    prepare_proposals(ready.index, ready.record, console)
    step = _PlannedStep(ready)
    with Interruption() as interruption, counting(total=steps, what="range test", console=console) as progress:
        return range_test(
            step, low=low, high=high, steps=steps, progress=progress, stopped=lambda: interruption.requested
        )


def _enter_descent(model: Model) -> None:
    """Make a model of several stages ready for the first one, which must be a descent."""
    if not isinstance(model, Staged):
        return
    first = model.stages[0]
    if first.kind != "gradient":
        raise ConfigError(
            f"a range test needs a model that is trained by gradients; {type(model).__name__} begins with "
            f"{first.name!r}, which is solved for and has no learning rate. Choose another, see `snellen models`."
        )
    model.enter(first.name)


class _PlannedStep:
    """One step as the training loop would take it: clipping, precision, layout and accumulation as planned."""

    def __init__(self, ready: Preparation) -> None:
        device = torch.device(chosen_device(ready.plan.device)[0])
        module: torch.nn.Module = ready.model  # type: ignore[assignment]  # every model is a module
        settings = replace(ready.plan.settings, ema_decay=None)
        self.stepper = Stepper(module.to(device).train(), TrainState.fresh(module, settings), settings)
        self.first_weights = FirstWeights(module)
        self.accumulate = settings.accumulate
        self.batches = _endless(training_loader(ready.index, ready.record, ready.model.stride))
        self.number = 0

    def __call__(self, rate: float) -> tuple[float, float]:
        group = list(islice(self.batches, self.accumulate))
        with self.first_weights.in_place():
            first = self._loss(group)
        losses, norm = self.stepper.gradients(group, first_number=self.number)
        self.number += len(group)
        total = sum(float(value) for value in losses.values())
        if isfinite(total):
            self.stepper.apply(rate, ~torch.isfinite(norm))
        return total, first

    def _loss(self, group: Sequence[Batch]) -> float:
        """Return what ``Stepper.gradients`` would say of these batches, without gradients."""
        images = sum(len(batch) for batch in group)
        stepper, settings = self.stepper, self.stepper.settings
        learner: Model = stepper.model  # type: ignore[assignment]  # an nn.Module with the three verbs
        total = 0.0
        for turn, batch in enumerate(group):
            seed_batch(stepper.device, settings.seed, self.number + turn)
            here = placed(batch, stepper.device, channels_last=settings.channels_last)
            with autocast(stepper.device, settings.precision):
                losses = learner.loss(learner(here.images, here.targets), here.targets)
            total += sum(float(value) for value in losses.values()) * len(batch) / images
        return total


def _endless(loader: BatchLoader) -> Iterator[Batch]:
    for epoch in count():
        yield from loader.epoch(epoch)
