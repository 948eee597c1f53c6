"""The loss of one batch in other arithmetic and on another device: what rounding alone changes."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from snellen.doctor.check import NotCheckable
from snellen.doctor.examining import Subject
from snellen.doctor.words import Text

__all__ = ["Numerics", "mapped", "numerics", "relative"]


_MOST_ROWS = 4  # samples; double precision is slow


@dataclass(frozen=True, kw_only=True)
class Numerics:
    """The loss of the same few samples and weights, computed in several ways. None where this machine cannot.

    Attributes:
        loss: As the model computes it.
        exact: In double precision.
        bf16: With torch's autocast to bfloat16.
        fp16: With torch's autocast to half precision.
        on_cpu: On the processor, where the model lives on another device.
        device: Where the model lives.
    """

    loss: float
    exact: float | None
    bf16: float | None
    fp16: float | None
    on_cpu: float | None
    device: str


def numerics(subject: Subject) -> Numerics:
    """Compute them.

    Raises:
        NotCheckable: If there is no loss, or it depends on choices that rounding may turn (detection).
    """
    if subject.task == "detection":
        raise NotCheckable(
            Text(
                en="the loss of a detector depends on which of nearly equal boxes it picks; rounding may change that",
                zh="检测器的损失取决于在几乎相同的框中选哪一个，舍入可能改变这一选择",
            )
        )
    device = next((parameter.device for parameter in subject.model.parameters()), torch.device("cpu"))
    loss = _loss(subject, lambda model, batch: (model, batch))
    is_accelerated = device.type != "cpu"
    return Numerics(
        loss=loss if loss is not None else float("nan"),
        exact=_loss(subject, lambda model, batch: (model.double(), mapped(batch, _double))),
        bf16=_loss(subject, lambda model, batch: (model, batch), autocast=torch.bfloat16, device=device.type),
        fp16=_loss(subject, lambda model, batch: (model, batch), autocast=torch.float16, device=device.type)
        if is_accelerated
        else None,
        on_cpu=_loss(subject, lambda model, batch: (model.cpu(), mapped(batch, Tensor.cpu)))
        if is_accelerated
        else None,
        device=device.type,
    )


def _loss(
    subject: Subject,
    changed: Callable[[nn.Module, Any], tuple[nn.Module, Any]],
    *,
    autocast: torch.dtype | None = None,
    device: str = "cpu",
) -> float | None:
    context = nullcontext() if autocast is None else torch.autocast(device, dtype=autocast)
    rows = subject.rows(subject.batch, torch.arange(min(len(subject), _MOST_ROWS)))
    with subject.probed(training=subject.loss_needs_training) as model, torch.no_grad():
        if isinstance(subject.criterion, nn.Module):
            changed(subject.criterion, ())
        other, batch = changed(model, rows)
        try:
            with context:
                return float(subject.loss(subject.output(other, batch), batch))
        except (RuntimeError, TypeError, ValueError):
            return None  # arithmetic that the model does not know


def _double(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def mapped(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return a batch of any form with every tensor changed."""
    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, Mapping):
        return {key: mapped(value, change) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(mapped(value, change) for value in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(mapped(value, change) for value in batch)
    return batch.map(change) if hasattr(batch, "map") and hasattr(batch, "images") else batch


def relative(first: float, second: float) -> float:
    """Return how far two losses lie apart, as a share of the larger; infinite where only one is finite."""
    if not isfinite(first) or not isfinite(second):
        return 0.0 if isfinite(first) == isfinite(second) else float("inf")
    return abs(first - second) / max(abs(first), abs(second), 1e-6)
