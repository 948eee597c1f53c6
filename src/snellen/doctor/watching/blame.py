"""Which operation made the first value that is not finite."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from snellen.doctor.examining.untouched import untouched
from snellen.doctor.watching.rows import Happening, HappeningKind
from snellen.structures import flat_tensors

__all__ = ["gradient_happening", "loss_happening"]


def loss_happening(
    model: nn.Module, call: tuple[Sequence[Any], Mapping[str, Any]] | None, names: Sequence[str], step: int
) -> Happening:
    """Return what made a loss that is not finite.

    Args:
        model: As it was in the step.
        call: What it was called with, if that is known; the call is repeated, without a trace.
        names: Of the losses at fault.
        step: Number of the step.
    """
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            return Happening(step=step, kind=HappeningKind.WEIGHT, origin=name)
    loss = ", ".join(names) or "loss"
    if call is None:
        return Happening(step=step, kind=HappeningKind.LOSS, origin=loss)
    arguments, keywords = call
    if not all(map(_is_finite, flat_tensors((arguments, keywords)))):
        return Happening(step=step, kind=HappeningKind.LOSS, origin="input")
    origin, largest = _first_not_finite(model, arguments, keywords)
    if origin:
        return Happening(step=step, kind=HappeningKind.LOSS, origin=origin, note=f"{largest:.3g}")
    return Happening(step=step, kind=HappeningKind.LOSS, origin=loss, note=f"{largest:.3g}")


def gradient_happening(model: nn.Module, step: int) -> Happening | None:
    """Return which parameter's gradient is the first that is not finite, on the way back; None if all are."""
    for name, parameter in reversed(list(model.named_parameters())):
        if parameter.grad is not None and not _is_finite(parameter.grad):
            return Happening(step=step, kind=HappeningKind.GRADIENT, origin=name)
    return None


def _first_not_finite(model: nn.Module, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> tuple[str, float]:
    """Return the first layer that makes such values of finite ones, and the largest value that it read."""
    found: list[str] = []
    largest = [0.0]

    def look(name: str) -> Any:
        def looked(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if found:
                return
            if not all(map(_is_finite, flat_tensors(output))):
                found.append(f"{name} ({type(module).__name__})")
                largest[0] = _largest(inputs)
            else:
                largest[0] = _largest(output)

        return looked

    with untouched(model, arguments, keywords), torch.no_grad():
        for name, module in model.named_modules():
            if not any(True for _ in module.children()):
                module.register_forward_hook(look(name))
        try:
            model(*arguments, **keywords)
        except Exception:  # noqa: BLE001 - values that are not finite may break what follows; what was seen counts
            return (found[0] if found else ""), largest[0]
    return (found[0] if found else ""), largest[0]


def _is_finite(values: Tensor) -> bool:
    return not values.is_floating_point() or bool(torch.isfinite(values).all())


def _largest(thing: Any) -> float:
    sizes = [
        float(values.abs().max()) for values in flat_tensors(thing) if values.numel() and values.is_floating_point()
    ]
    return max(sizes, default=0.0)
