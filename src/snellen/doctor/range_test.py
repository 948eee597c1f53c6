"""The learning-rate range test: one sweep of rising rates, and what it says about the rate to train with."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from math import isfinite, pi, sqrt
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from torch import Tensor, nn
from torch.optim import Optimizer

from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.loop_parts import Deep, UserLoader
from snellen.doctor.examining import Subject, subject_of
from snellen.doctor.examining.calling import Forward
from snellen.doctor.words import Text
from snellen.errors import ConfigError, DatasetError
from snellen.training import Interruption

__all__ = [
    "HIGHEST_RATE",
    "LOWEST_RATE",
    "NUM_STEPS",
    "Ending",
    "FirstWeights",
    "RangeTest",
    "SubjectStep",
    "Verdict",
    "deep_range",
    "lr_range",
    "range_test",
    "rate_shares",
    "set_rate",
]

Ending = Literal["swept", "diverged", "interrupted", "out of batches"]
Verdict = Literal["found", "flat", "still falling"]
Step = Callable[[float], tuple[float, float]]

LOWEST_RATE, HIGHEST_RATE = 1e-7, 10.0  # fastai's lr_find
NUM_STEPS = 100  # fastai's and Lightning's
_LEAST_STEPS = 10  # fewer show no course
_STOP_RATIO = 4.0  # running loss over its best; fastai's and Lightning's
_STOP_SHARE = 0.5  # of the fall that must be lost again, so that a loss near zero may flicker
_RUNNING = 0.8  # share of the former in the running loss that decides about stopping: about five steps
_KERNEL_STEPS = 3.0  # deviation of the kernel that smooths the curve afterwards, without lag
_NOISE_FACTOR = 4.5  # deviations of the smoothed curve that a fall must exceed; pure noise does in 1 sweep of 50
# Where on the curve the best rate of a whole training lies; see `RangeTest`.
_NEARLY_ALL = 0.9  # of the fall
_HALF = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeTest:
    """What a sweep of rising learning rates showed.

    The loss falls from the rate on at which steps begin to matter, until steps are too long. The suggestion is the
    middle, in ratios, of the rate at which nine tenths of the fall are done and that of the lowest point. Of the rules
    tried (either alone, the steepest place, fastai's valley) it came closest to the best rate of a whole training with
    warm-up and cosine, searched for on six pairs of a small network and an optimizer with momentum: within a factor of
    3 in 23 of 24 sweeps, in the median 1.2 times too low. For descent without momentum it is too low by more.

    Attributes:
        rates: Of each step, rising.
        losses: Before each step, freed of how hard the batch itself is: its loss under the first weights is taken off,
            and the mean of those losses added.
        smoothed: The same, smoothed without lag.
        ended: Why the sweep ended.
        verdict: Whether a range was ``found``, the loss was ``flat`` within its noise, or it was ``still falling`` when
            the sweep ended, so that nobody knows where steps become too long.
        suggestion: Rate to train with; None if no range was found.
        low: Rate at which half of the fall is done.
        high: Rate at which the smoothed loss is lowest; beyond it steps are too long.
        steepest: Rate at which it falls fastest.

    Source:
        Smith 2017, section 3.3, https://arxiv.org/abs/1506.01186; fastai's ``lr_find``; Lightning's ``Tuner.lr_find``.
        Differs: smoothed by a kernel instead of a running mean, which would shift the curve to higher rates.
    """

    ABSENT: ClassVar[Text] = Text(
        en="no range test was run; ask for it, or run snellen lr",
        zh="没有做学习率范围测试；请指定运行，或使用 snellen lr",
    )

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    ended: Ending
    verdict: Verdict
    suggestion: float | None
    low: float | None
    high: float | None
    steepest: float | None


def range_test(
    step: Step,
    *,
    low: float = LOWEST_RATE,
    high: float = HIGHEST_RATE,
    steps: int = NUM_STEPS,
    progress: Callable[[int, int], None] | None = None,
    stopped: Callable[[], bool] | None = None,
) -> RangeTest:
    """Sweep the rate from ``low`` to ``high`` in equal ratios and judge the course of the loss.

    Args:
        step: One step of training at a rate; returns the loss before it, and the loss of the first weights on the same
            batch. It may raise ``StopIteration`` where there are no more batches.
        low: First rate.
        high: Last rate.
        steps: Of the sweep.
        progress: Is told how many steps are done and how many there are.
        stopped: Asked before every step; True ends the sweep.

    Raises:
        ConfigError: If the range or the number of steps is out of range.
        DatasetError: If there was not one batch.
    """
    if not 0 < low < high:
        raise ConfigError(f"the rates must rise from above 0; got low={low:g} and high={high:g}.")
    if steps < _LEAST_STEPS:
        raise ConfigError(f"a range test needs {_LEAST_STEPS} steps or more; got {steps}.")
    rates: list[float] = []
    losses: list[float] = []
    firsts: list[float] = []
    ended: Ending = "swept"
    watch = _Running()
    for number, rate in enumerate(np.geomspace(low, high, steps).tolist()):
        if stopped is not None and stopped():
            ended = "interrupted"
            break
        try:
            loss, first = step(rate)
        except StopIteration:
            ended = "out of batches"
            break
        if not (isfinite(loss) and isfinite(first)):
            ended = "diverged"
            break
        rates.append(rate)
        losses.append(loss)
        firsts.append(first)
        if progress is not None:
            progress(number + 1, steps)
        if watch.is_diverging(loss):
            ended = "diverged"
            break
    if not rates and ended == "out of batches":
        raise DatasetError("expected at least one batch for a range test; got none.")
    freed = np.array(losses) - np.array(firsts) + (np.mean(firsts) if firsts else 0.0)
    return _judged(np.array(rates), freed, ended)


@dataclass(slots=True)
class _Running:
    """A running mean of the loss, and the best of it."""

    total: float = 0.0
    weight: float = 0.0
    start: float | None = None
    best: float = np.inf

    def is_diverging(self, loss: float) -> bool:
        """Take one more loss; return whether it is far above the best."""
        self.total = _RUNNING * self.total + (1 - _RUNNING) * loss
        self.weight = _RUNNING * self.weight + (1 - _RUNNING)
        mean = self.total / self.weight
        self.start = mean if self.start is None else self.start
        self.best = min(self.best, mean)
        worst = max((_STOP_RATIO - 1) * abs(self.best), _STOP_SHARE * (self.start - self.best))
        return mean > self.best + worst


def _judged(rates: NDArray[np.float64], losses: NDArray[np.float64], ended: Ending) -> RangeTest:
    if len(rates) < _LEAST_STEPS:
        return _without_range(rates, losses, losses, ended, "still falling")
    bounded = _bounded(losses)
    smoothed = gaussian_filter1d(bounded, _KERNEL_STEPS, mode="nearest")
    bottom = int(smoothed.argmin())
    start = float(np.median(smoothed[: max(1, min(len(rates) // 4, bottom))]))
    fall = start - float(smoothed[bottom])
    if bottom == 0 or fall <= _NOISE_FACTOR * _noise_near(bounded, bottom):
        return _without_range(rates, losses, smoothed, ended, "flat")
    if ended != "diverged" and bottom >= len(rates) - 1 - _KERNEL_STEPS:
        return _without_range(rates, losses, smoothed, ended, "still falling")
    nearly = _rate_at(rates, smoothed, start - _NEARLY_ALL * fall)
    return RangeTest(
        rates=tuple(rates.tolist()),
        losses=tuple(losses.tolist()),
        smoothed=tuple(smoothed.tolist()),
        ended=ended,
        verdict="found",
        suggestion=float((nearly * rates[bottom]) ** 0.5),
        low=_rate_at(rates, smoothed, start - _HALF * fall),
        high=float(rates[bottom]),
        steepest=float(rates[int(np.gradient(smoothed)[: bottom + 1].argmin())]),
    )


def _without_range(
    rates: NDArray[np.float64],
    losses: NDArray[np.float64],
    smoothed: NDArray[np.float64],
    ended: Ending,
    verdict: Verdict,
) -> RangeTest:
    return RangeTest(
        rates=tuple(rates.tolist()),
        losses=tuple(losses.tolist()),
        smoothed=tuple(smoothed.tolist()),
        ended=ended,
        verdict=verdict,
        suggestion=None,
        low=None,
        high=None,
        steepest=None,
    )


def _bounded(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the losses, what flew off cut so that it does not reach its neighbours through the smoothing."""
    start, best = float(np.median(losses[:_LEAST_STEPS])), float(losses.min())
    return np.minimum(losses, start + max(start - best, abs(start)))


def _noise_near(losses: NDArray[np.float64], bottom: int) -> float:
    """Return the deviation of the smoothed curve at its lowest point by chance, from how neighbours differ there.

    The median of their distances ignores the steps that flew off.
    """
    reach = int(4 * _KERNEL_STEPS)
    near = losses[max(0, bottom - 2 * reach) : bottom + reach]
    single = 1.4826 * float(np.median(np.abs(np.diff(near)))) / sqrt(2) if len(near) > 1 else 0.0
    return single / sqrt(2 * sqrt(pi) * _KERNEL_STEPS)


def _rate_at(rates: NDArray[np.float64], smoothed: NDArray[np.float64], level: float) -> float:
    """Return the rate at which the curve goes through ``level`` for the last time before its lowest point."""
    bottom = int(smoothed.argmin())
    above = np.flatnonzero(smoothed[:bottom] > level)
    if not len(above):
        return float(rates[0])
    place = int(above[-1])
    share = (smoothed[place] - level) / (smoothed[place] - smoothed[place + 1])
    return float(rates[place] * (rates[place + 1] / rates[place]) ** share)


def lr_range(  # noqa: PLR0913 - what a user may have to say
    model: nn.Module,
    batches: Iterable[Any],
    loss: Callable[[Any, Any], Any] | None = None,
    optimizer: Optimizer | None = None,
    *,
    forward: Forward | None = None,
    clip_norm: float | None = None,
    low: float = LOWEST_RATE,
    high: float = HIGHEST_RATE,
    steps: int = NUM_STEPS,
    progress: Callable[[int, int], None] | None = None,
) -> RangeTest:
    """Run a range test on anybody's model; afterwards model, optimizer and random states are as they were.

    Ctrl-C ends the sweep, and what was measured so far is judged.

    Args:
        model: Any module, on its device.
        batches: Such as a ``DataLoader``, of batches as ``examine`` takes them, on the device of the model. They are
            gone through again until the sweep ends.
        loss: ``loss(output, targets)``; None if the model returns its loss.
        optimizer: As it will be used; its groups keep the ratios of their rates.
        forward: ``forward(model, batch)``, where a model is called in an unusual way.
        clip_norm: Longest gradient, as in the loop to come; None for no limit.
        low: First rate.
        high: Last rate.
        steps: Of the sweep.
        progress: Is told how many steps are done and how many there are.

    Raises:
        ConfigError: If there is no optimizer.
        DatasetError: If there are no batches.
        InputError: If a batch is not understood.
    """
    if optimizer is None:
        raise ConfigError("a range test needs the optimizer of the training; got none. Pass optimizer=.")
    first = next(iter(batches), None)
    if first is None:
        raise DatasetError("expected at least one batch for a range test; got none.")
    subject = subject_of(model, first, loss, optimizer, forward=forward)
    with subject.probed(training=True), Interruption() as interruption:
        step = SubjectStep(subject, optimizer, chain([first], _again(batches, skip=1)), clip_norm)
        return range_test(
            step, low=low, high=high, steps=steps, progress=progress, stopped=lambda: interruption.requested
        )


def deep_range(deep: Deep, subject: Subject, user: UserLoader | None) -> RangeTest:
    """Run a range test of what is examined, on batches of its loader, or on the one batch there is.

    Raises:
        NotCheckable: If there is no optimizer or no loss.
    """
    del deep  # that it is there is what matters
    if subject.optimizer is None:
        raise NotCheckable(Text(en="no optimizer was given; pass optimizer=", zh="没有给出优化器；请传入 optimizer="))
    batches = [subject.batch] if user is None else user.batches
    with subject.probed(training=True):
        return range_test(SubjectStep(subject, subject.optimizer, _again(batches, skip=0), None))


def _again(batches: Iterable[Any], *, skip: int) -> Iterator[Any]:
    """Yield the batches over and over; an iterator that is spent ends it."""
    while True:
        count = 0
        for count, batch in enumerate(batches, 1):
            if count > skip:
                yield batch
        if count == 0:
            return
        skip = 0


class FirstWeights:
    """The weights and buffers of a model as they were, to be put in its place for a moment.

    Memory changes hands; nothing is copied after the beginning, and optimizers hold the same parameters as before.
    """

    def __init__(self, model: nn.Module) -> None:
        self._held = [*model.parameters(), *model.buffers()]
        self._kept = [tensor.detach().clone() for tensor in self._held]
        self._devices = sorted({tensor.device.index or 0 for tensor in self._held if tensor.is_cuda})

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put them in, without gradients, and take them out again with the random states as they were."""
        self._exchange()
        try:
            with torch.random.fork_rng(devices=self._devices), torch.no_grad():
                yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for place, tensor in enumerate(self._held):
            self._kept[place], tensor.data = tensor.data, self._kept[place]


class SubjectStep:
    """One step of training on the next batch, for `range_test`."""

    def __init__(self, subject: Subject, optimizer: Optimizer, batches: Iterator[Any], clip_norm: float | None) -> None:
        self.subject = subject
        self.optimizer = optimizer
        self.batches = batches
        self.clip_norm = clip_norm
        self.shares = rate_shares(optimizer)
        self.first_weights = FirstWeights(subject.model)

    def __call__(self, rate: float) -> tuple[float, float]:
        """Take it; return the loss before, and that of the first weights on the same batch."""
        batch = next(self.batches)
        set_rate(self.optimizer, rate, self.shares)
        with self.first_weights.in_place():
            first = float(self._loss(batch))
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._loss(batch)
        value = float(loss.detach())
        if isfinite(value):
            loss.backward()  # type: ignore[no-untyped-call]
            if self.clip_norm is not None:
                nn.utils.clip_grad_norm_(self.subject.model.parameters(), self.clip_norm)
            self.optimizer.step()
        return value, first

    def _loss(self, batch: Any) -> Tensor:
        return self.subject.loss(self.subject.output(self.subject.model, batch), batch)


def rate_shares(optimizer: Optimizer) -> tuple[float, ...]:
    """Return the rate of each group over the highest of them."""
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    highest = max(rates)
    return tuple(rate / highest if highest > 0 else 1.0 for rate in rates)


def set_rate(optimizer: Optimizer, rate: float, shares: Iterable[float]) -> None:
    """Set the rate of every group to its share of ``rate``."""
    for group, share in zip(optimizer.param_groups, shares, strict=True):
        group["lr"] = rate * share
