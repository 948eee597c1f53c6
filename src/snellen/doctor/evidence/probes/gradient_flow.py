"""Why a parameter gets no gradient: whether the loss depends on it all the same."""

from dataclasses import dataclass

import torch
from torch import nn

from snellen.doctor.evidence.probes.first_step import FirstStep
from snellen.doctor.examining import Subject

__all__ = ["GradientFlow", "gradient_flow"]

_NUDGE = 0.1  # of a parameter's spread, when it is moved to see whether the loss notices
_FLAT_NUDGE = 0.01  # for parameters that are constant
_NOTICED = 1e-5  # relative change of the loss; the same pass repeated gives the same bits on a CPU
_OWN_STEPS = 2  # of Adam: after one, what started from zero no longer hides what lies before it
_OWN_RATE = 1e-3  # the usual rate of Adam
_MOST_MODULES = 8  # that are moved one by one


@dataclass(frozen=True, kw_only=True)
class GradientFlow:
    """Trainable parameters that learn nothing.

    Attributes:
        cut: Without a gradient, though the loss changes when they are moved.
        unused: Without a gradient, and the loss does not depend on them.
        zero: Matrices and filters whose gradient was all zero, in the first step and in those after it.
        with_gradient: How many parameters get a gradient that is not zero.
    """

    cut: tuple[str, ...]
    unused: tuple[str, ...]
    zero: tuple[str, ...]
    with_gradient: int


def gradient_flow(subject: Subject, first: FirstStep) -> GradientFlow:
    """Look for what gets none, and at what happens when it is moved.

    Raises:
        NotCheckable: If there is no loss.
    """
    first.require_loss()
    cut = _noticed(subject, first.without)
    zero = tuple(name for name, size in first.gradients.items() if size == 0.0 and _is_matrix(subject.model, name))
    with_gradient = sum(size > 0.0 for size in first.gradients.values())
    return GradientFlow(
        cut=cut,
        unused=tuple(name for name in first.without if name not in cut),
        zero=_still_zero(subject, zero) if zero and with_gradient else zero,
        with_gradient=with_gradient,
    )


def _is_matrix(model: nn.Module, name: str) -> bool:
    return model.get_parameter(name).ndim >= 2


def _noticed(subject: Subject, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the parameters among these on which the loss depends."""
    if not names or not _notices(subject, names):
        return ()
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.rpartition(".")[0], []).append(name)
    if len(groups) > _MOST_MODULES:
        return names
    return tuple(name for group in groups.values() if _notices(subject, tuple(group)) for name in group)


def _notices(subject: Subject, names: tuple[str, ...]) -> bool:
    """Return whether the loss changes when these parameters are moved."""
    before = _loss_with(subject, ())
    after = _loss_with(subject, names)
    return abs(after - before) > _NOTICED * max(abs(before), _NOTICED)


def _loss_with(subject: Subject, moved: tuple[str, ...]) -> float:
    with subject.probed(training=True) as model, torch.no_grad():
        noise = torch.Generator().manual_seed(0)
        for name in moved:
            parameter = model.get_parameter(name)
            spread = float(parameter.float().std(correction=0)) * _NUDGE or _FLAT_NUDGE
            parameter.add_(spread * torch.randn(parameter.shape, generator=noise).to(parameter))
        return float(subject.loss(subject.output(model, subject.batch), subject.batch))


def _still_zero(subject: Subject, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the parameters whose gradient stays zero while the others learn."""
    zero = set(names)
    with subject.probed(training=True) as model:
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.Adam(trained, lr=_OWN_RATE)
        for turn in range(_OWN_STEPS + 1):
            optimizer.zero_grad()
            subject.loss(subject.output(model, subject.batch), subject.batch).backward()  # type: ignore[no-untyped-call]
            if turn:
                zero = {name for name in zero if not _has_gradient(model.get_parameter(name))}
            if not zero:
                break
            optimizer.step()
    return tuple(name for name in names if name in zero)


def _has_gradient(parameter: nn.Parameter) -> bool:
    return parameter.grad is not None and bool(parameter.grad.any())
