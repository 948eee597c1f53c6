"""The first steps of the user's own optimizer on the batch: how far they move weights, loss and features."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from statistics import median
from time import perf_counter
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer

from snellen.doctor.check import NotCheckable
from snellen.doctor.examining import Subject
from snellen.doctor.words import Text

__all__ = ["FirstUpdates", "cka", "first_updates", "is_decoupled", "planned_rates"]

_NUM_STEPS = 5
_FEWEST_STEPS = 3
_BUDGET_S = 12.0  # after which the fewest steps must do
_MOST_ROWS = 8  # samples in a step; more cost time and show nothing new
_COMPARED_ROWS = 16  # samples whose features are compared; with few of them, CKA is near 1 whatever happens
_LEAST_ROWS = 4  # for comparing features

_NO_OPTIMIZER = Text(en="no optimizer was given; pass optimizer=", zh="没有给出优化器；请传入 optimizer=")
_NEEDS_CLOSURE = Text(
    en="the optimizer calls the loss several times in a step; its steps cannot be tried here",
    zh="该优化器每一步多次调用损失函数，无法在此尝试",
)
_NOTHING_MOVES = Text(
    en="the optimizer holds no weight matrix of the model that gets a gradient",
    zh="优化器中没有任何能得到梯度的模型权重矩阵",
)


@dataclass(frozen=True, kw_only=True)
class FirstUpdates:
    """What the first steps at the planned rate did to a copy of the weights, all on the same samples.

    There are five, and where steps take many seconds three.

    Attributes:
        rate: Highest rate of the optimizer's groups: the planned one where a scheduler has lowered it for a warm-up.
        is_warmed_up: Whether a scheduler begins below that rate.
        ratios: Of each step, the median over weight matrices of the size of the change over the size of the weights.
        losses: Before each step and after the last, in training mode; up to the first that is not finite.
        norms: Size of the whole gradient before each step, without clipping.
        decay: Size of the pull of the weight decay over that of the gradient, in the first step; with decoupled decay,
            over that of the rest of the step.
        drift: 1 - CKA of the features that the last layer reads, before the steps and after them; None where there are
            too few samples or no such layer.
        samples: Images in each step.
    """

    rate: float
    is_warmed_up: bool
    ratios: tuple[float, ...]
    losses: tuple[float, ...]
    norms: tuple[float, ...]
    decay: float
    drift: float | None
    samples: int

    @property
    def ratio(self) -> float:
        """The median of the steps."""
        return median(self.ratios)

    @property
    def is_finite(self) -> bool:
        """Whether all losses were."""
        return all(map(isfinite, self.losses))

    @property
    def gain(self) -> float:
        """Share of the first loss that the steps took away; negative where the loss rose."""
        return (self.losses[0] - self.losses[-1]) / max(abs(self.losses[0]), 1e-12)


def planned_rates(optimizer: Optimizer) -> tuple[float, ...]:
    """Return the rate of each group; the one that a scheduler noted as the planned one, where it began lower."""
    return tuple(max(float(group["lr"]), float(group.get("initial_lr", 0.0))) for group in optimizer.param_groups)


def first_updates(subject: Subject) -> FirstUpdates:
    """Take the steps.

    Raises:
        NotCheckable: If there is no optimizer, no loss, or nothing that moves.
    """
    optimizer = subject.optimizer
    if optimizer is None:
        raise NotCheckable(_NO_OPTIMIZER)
    if isinstance(optimizer, torch.optim.LBFGS):
        raise NotCheckable(_NEEDS_CLOSURE)
    rates = planned_rates(optimizer)
    is_warmed_up = any(float(group["lr"]) < rate for group, rate in zip(optimizer.param_groups, rates, strict=True))
    batch = subject.rows(subject.batch, torch.arange(min(len(subject), _MOST_ROWS)))
    compared = subject.rows(subject.batch, torch.arange(min(len(subject), _COMPARED_ROWS)))
    with subject.probed(training=True, may_resize=True) as model:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        before = _features(subject, model, compared)
        ratios, losses, norms, decay = _steps(subject, model, optimizer, batch)
        after = _features(subject, model, compared) if isfinite(losses[-1]) else None
    if not any(ratios):
        raise NotCheckable(_NOTHING_MOVES)
    return FirstUpdates(
        rate=max(rates),
        is_warmed_up=is_warmed_up,
        ratios=tuple(ratios),
        losses=tuple(losses),
        norms=tuple(norms),
        decay=decay,
        drift=None if before is None or after is None else 1.0 - cka(before, after),
        samples=min(len(subject), _MOST_ROWS),
    )


def _steps(
    subject: Subject, model: nn.Module, optimizer: Optimizer, batch: Any
) -> tuple[list[float], list[float], list[float], float]:
    ratios: list[float] = []
    losses: list[float] = []
    norms: list[float] = []
    decay = 0.0
    began = perf_counter()
    matrices = [p for group in optimizer.param_groups for p in group["params"] if p.ndim >= 2 and p.requires_grad]
    for number in range(_NUM_STEPS):
        if number >= _FEWEST_STEPS and perf_counter() - began > _BUDGET_S:
            break
        optimizer.zero_grad(set_to_none=True)
        torch.manual_seed(0)  # the same units are dropped in every step, so that losses can be compared
        loss = subject.loss(subject.output(model, batch), batch)
        losses.append(float(loss.detach()))
        if not loss.requires_grad:
            raise NotCheckable(_NOTHING_MOVES)
        if not isfinite(losses[-1]):
            return ratios, losses, norms, decay
        loss.backward()  # type: ignore[no-untyped-call]
        moved = [matrix for matrix in matrices if matrix.grad is not None]
        norms.append(float(nn.utils.get_total_norm([matrix.grad for matrix in moved if matrix.grad is not None])))
        former = [matrix.detach().clone() for matrix in moved]
        if number == 0:
            decay = _coupled_decay(optimizer)
        optimizer.step()
        ratios.append(_median_ratio(former, moved))
        if number == 0 and is_decoupled(optimizer):
            decay = _decoupled_decay(optimizer, dict(zip(map(id, moved), former, strict=True)))
    torch.manual_seed(0)
    with torch.no_grad():
        losses.append(float(subject.loss(subject.output(model, batch), batch)))
    return ratios, losses, norms, decay


def is_decoupled(optimizer: Optimizer) -> bool:
    """Return whether weight decay shrinks the weights themselves and is no part of the gradient."""
    return "AdamW" in type(optimizer).__name__ or any(
        group.get("decoupled_weight_decay", False) for group in optimizer.param_groups
    )


def _coupled_decay(optimizer: Optimizer) -> float:
    """Return the size of the pull over that of the gradient."""
    pull, gradient = 0.0, 0.0
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                pull += float(group.get("weight_decay", 0.0) or 0.0) ** 2 * float(parameter.detach().norm()) ** 2
                gradient += float(parameter.grad.norm()) ** 2
    return (pull / gradient) ** 0.5 if gradient > 0 else 0.0


def _decoupled_decay(optimizer: Optimizer, former: dict[int, Tensor]) -> float:
    """Return the size of the shrinking over that of the rest of the step."""
    pull, rest = 0.0, 0.0
    with torch.no_grad():
        for group in optimizer.param_groups:
            share = float(group["lr"]) * float(group.get("weight_decay", 0.0) or 0.0)
            for parameter in group["params"]:
                old = former.get(id(parameter))
                if old is not None:
                    pull += (share * float(old.norm())) ** 2
                    rest += float((parameter - old * (1 - share)).norm()) ** 2
    return (pull / rest) ** 0.5 if rest > 0 else 0.0


def _median_ratio(former: list[Tensor], now: list[Tensor]) -> float:
    with torch.no_grad():
        shares = [
            float((new - old).norm() / old.norm()) for old, new in zip(former, now, strict=True) if bool(old.any())
        ]
    return median(shares) if shares else 0.0


def _features(subject: Subject, model: nn.Module, batch: Any) -> Float[Tensor, "rows channels"] | None:
    """Return what the last layer with a weight matrix reads, means over places, in training mode.

    Evaluation mode would show how running statistics move, which is no loss of skill.
    """
    rows = len(subject.images(batch))
    if rows < _LEAST_ROWS:
        return None
    with torch.no_grad(), _watched_inputs(model) as seen:
        torch.manual_seed(0)  # the same units are dropped before and after
        subject.output(model, batch)
    if not seen:
        return None
    last = seen[-1]
    last = last.flatten(2).mean(2) if last.ndim > 2 else last
    return last.float() if last.ndim == 2 and last.shape[0] == rows else None


@contextmanager
def _watched_inputs(model: nn.Module) -> Iterator[list[Tensor]]:
    seen: list[Tensor] = []

    def note(_layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        if inputs and isinstance(inputs[0], Tensor):
            seen[:] = [inputs[0].detach()]

    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_pre_hook(note) for layer in layers]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def cka(first: Float[Tensor, "rows a"], second: Float[Tensor, "rows b"]) -> float:
    """Return how alike two sets of features of the same samples are, 0 to 1, whatever their scale and rotation.

    Source:
        Kornblith et al. 2019, "Similarity of neural network representations revisited", eq. 4 with a linear kernel,
        https://arxiv.org/abs/1905.00414.
    """
    first, second = (x.double() - x.double().mean(0) for x in (first, second))
    shared = float((first.T @ second).norm() ** 2)
    own = float((first.T @ first).norm() * (second.T @ second).norm())
    return shared / own if own > 0 else 1.0
