"""Whether the model can learn a few samples by heart: what cannot fit sixteen will not fit a data set."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from math import isfinite
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.probes.loss_contract import LossContract
from snellen.doctor.examining import Subject
from snellen.doctor.words import Text
from snellen.training import evaluating

__all__ = ["ENOUGH", "ENOUGH_OF_PLACES", "OneBatch", "one_batch"]

ENOUGH = 0.10  # of the loss that could be lost may be left
ENOUGH_OF_PLACES = 0.30  # for detection and segmentation: sampled regions, objects between two cells, pixels at edges
_MOST_ROWS = 16
_MOST_ROWS_OF_PLACES = 4  # each has many places to learn
_NUM_STEPS = 1000  # as TheDeepChecker; narrow networks need them, and they are quick
_LEAST_STEPS_TO_TELL = 200
_STRETCH = 100  # steps over which the loss must go on falling
_STILL_FALLS = 0.05  # of what is left, in a stretch
_FAR_BELOW = 0.1  # of the goal
_RATE = 1e-3  # Adam's usual one
_BUDGET_S = 8.0  # so that an examination takes less than half a minute on two cores
_BUDGET_OF_DETECTION_S = 30.0
_LEAST_STEPS = 3
_PAUSE = 2  # steps between two looks at the loss in evaluation mode; doubled each time
_FLOOR_STEPS = 60
_FLOOR_RATE = 1.0


@dataclass(frozen=True, kw_only=True)
class OneBatch:
    """What training on a few samples alone came to.

    Attributes:
        start: Loss before, in training mode without dropout.
        end: Loss after, in evaluation mode where the model tells one.
        fitted: Loss after, in training mode.
        floor: Lowest loss that any logits reach with these targets; 0 where it is not known.
        enough: Share of ``start - floor`` that may be left.
        steps: Of Adam.
        seconds: It took.
        reached: Whether it got as low as it should.
        ran_out: Whether time ended before the steps did.
        samples: How many.
    """

    start: float
    end: float
    fitted: float
    floor: float
    enough: float
    steps: int
    seconds: float
    reached: bool
    ran_out: bool
    samples: int

    def left(self, loss: float) -> float:
        """Return the share of what could be lost that is still there at a loss."""
        return (loss - self.floor) / max(self.start - self.floor, 1e-12)


def one_batch(subject: Subject, contract: LossContract | None) -> OneBatch:
    """Train a copy of the weights.

    Raises:
        NotCheckable: If there is no loss, nothing that learns, or too little time for a few steps.
    """
    has_places = subject.task in ("detection", "segmentation")
    count = min(len(subject), _MOST_ROWS_OF_PLACES if has_places else _MOST_ROWS)
    batch = subject.rows(subject.batch, torch.arange(count))
    budget = _BUDGET_OF_DETECTION_S if subject.task == "detection" else _BUDGET_S
    with subject.probed(training=True, may_resize=True) as model, _without_dropout(model):
        run = _Run(subject, model, batch, began=perf_counter(), budget=budget)
        run.start(ENOUGH_OF_PLACES if has_places else ENOUGH, contract)
        return run.trained()


@contextmanager
def _without_dropout(model: nn.Module) -> Iterator[None]:
    """Switch off what forgets on purpose; `Subject.probed` puts modes back."""
    for module in model.modules():
        if "Drop" in type(module).__name__ or "StochasticDepth" in type(module).__name__:
            module.eval()
    yield


@dataclass
class _Run:
    subject: Subject
    model: nn.Module
    batch: Any
    began: float
    budget: float
    first: float = 0.0
    floor: float = 0.0
    enough: float = 0.0
    goal: float = 0.0

    def start(self, enough: float, contract: LossContract | None) -> None:
        """Measure the first loss and set the goal."""
        output = self.subject.output(self.model, self.batch)
        loss = self.subject.loss(output, self.batch)
        if not loss.requires_grad:
            raise NotCheckable(Text(en="the loss gives no gradient", zh="损失不产生梯度"))
        self.first = float(loss.detach())
        if not isfinite(self.first):
            raise NotCheckable(Text(en="the loss is not finite before the first step", zh="第一步之前损失就不是有限值"))
        self.floor = min(self._floor(self.subject.logits(output)), self.first)
        self.enough = enough
        hardest = self.first
        if contract is not None and contract.chance is not None and isfinite(contract.chance):
            hardest = max(hardest, contract.chance)  # weights that know the samples already have little to lose
        self.goal = self.floor + enough * (hardest - self.floor)

    def _floor(self, logits: Tensor | None) -> float:
        """Return the lowest loss that any logits reach: above zero for soft targets, below for likelihoods."""
        if logits is None or not self.subject.loss_takes_logits or self.subject.criterion is None:
            return 0.0
        free = logits.detach().clone().requires_grad_()
        optimizer = torch.optim.Adam([free], lr=_FLOOR_RATE)
        lowest = self.first
        for _ in range(_FLOOR_STEPS):
            loss = self.subject.loss(free, self.batch)
            if not loss.requires_grad or not isfinite(float(loss.detach())):
                break
            lowest = min(lowest, float(loss.detach()))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return lowest

    def trained(self) -> OneBatch:
        """Take steps until the goal is reached, or time or steps are over."""
        learning = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        if not learning:
            raise NotCheckable(Text(en="no parameter learns", zh="没有任何参数参与学习"))
        optimizer = torch.optim.Adam(learning, lr=_RATE)
        fitted, steps, pause, look_at, ran_out = self.first, 0, _PAUSE, 1, False
        milestone = self.first
        while steps < _NUM_STEPS:
            loss = self.subject.loss(self.subject.output(self.model, self.batch), self.batch)
            fitted = float(loss.detach())
            if not isfinite(fitted):
                break
            if fitted <= self.goal and steps >= look_at:
                self._renew()
                if self._judged() <= self.goal:
                    break
                look_at, pause = steps + pause, 2 * pause
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            steps += 1
            if steps % _STRETCH == 0:
                if steps >= _LEAST_STEPS_TO_TELL and self._is_over(milestone, fitted):
                    break
                milestone = fitted
            if perf_counter() - self.began > self.budget:
                ran_out = True
                break
        if steps < _LEAST_STEPS and ran_out:
            raise NotCheckable(Text(en="one step takes too long to try it here", zh="单步耗时过长，无法在此尝试"))
        return self._result(fitted, steps, ran_out=ran_out)

    def _is_over(self, before: float, now: float) -> bool:
        """Return whether the loss has stopped falling, or is far below the goal and evaluation does not follow."""
        falls = now < before - _STILL_FALLS * (before - self.floor)
        return not falls or now < self.floor + _FAR_BELOW * (self.goal - self.floor)

    def _result(self, fitted: float, steps: int, *, ran_out: bool) -> OneBatch:
        end = self._judged()
        return OneBatch(
            start=self.first,
            end=end,
            fitted=fitted,
            floor=self.floor,
            enough=self.enough,
            steps=steps,
            seconds=perf_counter() - self.began,
            reached=end <= self.goal,
            ran_out=ran_out,
            samples=len(self.subject.images(self.batch)),
        )

    def _judged(self) -> float:
        """Return the loss in evaluation mode, or in training mode where the model tells none in the other."""
        mode = nullcontext() if self.subject.loss_needs_training else evaluating(self.model)
        with mode, torch.no_grad():
            return float(self.subject.loss(self.subject.output(self.model, self.batch), self.batch))

    def _renew(self) -> None:
        """Let batch norms take over the statistics of this batch, which running means reach only after many steps."""
        norms = [module for module in self.model.modules() if isinstance(module, _BatchNorm) and module.training]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 1.0
        with torch.no_grad():
            self.subject.output(self.model, self.batch)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
