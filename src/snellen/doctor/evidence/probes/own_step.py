"""One step of the user's own loop, taken and undone: in which modes it runs, and what it leaves behind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from snellen.doctor.check import NotCheckable
from snellen.doctor.examining import Subject
from snellen.doctor.examining.subject import seed_everything
from snellen.doctor.examining.untouched import untouched
from snellen.doctor.words import Text

__all__ = ["OwnStep", "OwnValidation", "own_step", "own_validation"]

_REACH = 0.05  # of the step, forwards and backwards, when its slope is measured

_NO_STEP = Text(
    en="the training loop is not known; pass step=, a function of a batch that takes one step",
    zh="不知道训练循环；请传入 step=，即对一个批次执行一步的函数",
)
_NO_VALIDATION = Text(
    en="the validation is not known; pass validate=, a function of a batch",
    zh="不知道验证过程；请传入 validate=，即对一个批次进行验证的函数",
)
_MODAL = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)  # noqa: SLF001 - bases of what has modes


@dataclass(frozen=True, kw_only=True)
class OwnStep:
    """What one step of the user's loop does.

    Attributes:
        moved: Whether any parameter of the model changed.
        asleep: Norms and dropouts that ran in evaluation mode because the whole model was in it.
        carried: How much a second step differs when the gradients are cleared before it, as a share of the step.
        climb: Loss a little ahead in the direction of the step minus loss a little behind; None without a loss or in
            half precision, where the difference is lost.
    """

    ABSENT: ClassVar[Text] = _NO_STEP

    moved: bool
    asleep: tuple[str, ...]
    carried: float
    climb: float | None


@dataclass(frozen=True, kw_only=True)
class OwnValidation:
    """What the user's validation does.

    Attributes:
        awake: Norms and dropouts that ran in training mode.
    """

    ABSENT: ClassVar[Text] = _NO_VALIDATION

    awake: tuple[str, ...]


def own_step(subject: Subject) -> OwnStep:
    """Take steps.

    Raises:
        NotCheckable: If no step was given.
    """
    step = subject.step
    if step is None:
        raise NotCheckable(_NO_STEP)
    with subject.probed(training=None) as model, _modes(model) as modes:
        start = _weights(model)
        step(subject.batch)
        first = _weights(model)
        as_it_is = _second_step(subject, step, clear=False)
        cleared = _second_step(subject, step, clear=True)
    length = _distance(cleared, first)
    return OwnStep(
        moved=_distance(first, start) > 0,
        asleep=() if modes.pop("", True) else tuple(name for name, training in modes.items() if not training),
        carried=_distance(as_it_is, cleared) / length if length else 0.0,
        climb=_climb(subject, start, first),
    )


def own_validation(subject: Subject) -> OwnValidation:
    """Validate, with the model in training mode before, as it is after an epoch.

    Raises:
        NotCheckable: If no validation was given.
    """
    if subject.validate is None:
        raise NotCheckable(_NO_VALIDATION)
    with subject.probed(training=True) as model, _modes(model) as modes:
        subject.validate(subject.batch)
    return OwnValidation(awake=tuple(name for name, training in modes.items() if training and name))


def _second_step(subject: Subject, step: Callable[[Any], Any], *, clear: bool) -> list[Tensor]:
    with untouched(subject.model, subject.optimizer, step, subject.batch, subject.keep):
        seed_everything(1)
        if clear:
            subject.model.zero_grad(set_to_none=True)
        step(subject.batch)
        return _weights(subject.model)


def _climb(subject: Subject, start: list[Tensor], first: list[Tensor]) -> float | None:
    def loss_at(reach: float) -> float:
        with subject.probed(training=True) as model, torch.no_grad():
            for parameter, old, new in zip(model.parameters(), start, first, strict=True):
                parameter.copy_(old + reach * (new - old))
            return float(subject.loss(subject.output(model, subject.batch), subject.batch))

    coarse = any(parameter.dtype in (torch.float16, torch.bfloat16) for parameter in start)
    if not subject.has_loss or subject.loss_error is not None or coarse:
        return None
    return loss_at(_REACH) - loss_at(-_REACH)


def _weights(model: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def _distance(a: list[Tensor], b: list[Tensor]) -> float:
    return sqrt(sum(float((x - y).float().square().sum()) for x, y in zip(a, b, strict=True)))


def _has_modes(module: nn.Module) -> bool:
    """Return whether a layer works differently in the two modes."""
    return isinstance(module, _MODAL) and getattr(module, "p", 1.0) > 0


@contextmanager
def _modes(model: nn.Module) -> Iterator[dict[str, bool]]:
    """Note in which mode the norms and dropouts run, and under the empty name the model itself."""
    modes: dict[str, bool] = {}
    handles = [
        module.register_forward_pre_hook(_noting(modes, name))
        for name, module in model.named_modules()
        if not name or _has_modes(module)
    ]
    try:
        yield modes
    finally:
        for handle in handles:
            handle.remove()


def _noting(modes: dict[str, bool], name: str) -> Any:
    def hook(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        del arguments
        modes[name] = module.training

    return hook
