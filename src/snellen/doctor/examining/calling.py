"""How a model is called on a batch, by the form of the batch and the names of the model's arguments."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from snellen.doctor.check import NotCheckable
from snellen.doctor.examining.lenses import Lens, MappingLens, PairLens, SnellenLens, described
from snellen.errors import InputError

__all__ = ["Forward", "called", "usual_forward"]

Forward = Callable[[nn.Module, Any], Any]

# What the argument of a model is called that takes the targets, so that the model can tell the loss itself.
_TARGET_NAMES = ("targets", "labels", "target", "label", "y", "gt")


def called(forward: Forward, model: nn.Module, batch: Any) -> Any:
    """Return the output.

    Raises:
        InputError: If the model cannot be called so.
    """
    try:
        return forward(model, batch)
    except NotCheckable:
        raise
    except Exception as error:
        raise InputError(
            f"expected a model that can be called on this batch; {type(model).__name__} raised "
            f"{type(error).__name__}: {error} for {described(batch)}. If it is called in another way, pass "
            "forward=lambda model, batch: ..."
        ) from error


def usual_forward(model: nn.Module, lens: Lens, *, with_targets: bool) -> Forward:
    """Return how a model is called.

    Args:
        model: Its arguments' names are looked at.
        lens: Of the batches.
        with_targets: Whether the model gets the targets if it has an argument for them.
    """
    if isinstance(lens, SnellenLens):
        return lambda model, batch: model(batch.images, batch.targets)
    arguments = _arguments(model)
    if isinstance(lens, MappingLens):
        return _mapping_forward(lens, arguments)
    if not isinstance(lens, PairLens):
        return lambda model, batch: model(batch)
    target_name = next((name for name in arguments if name in _TARGET_NAMES), None)
    if with_targets and target_name is not None:
        return lambda model, batch: model(batch[lens.image_at], **{target_name: lens.targets(batch)})
    return lambda model, batch: model(batch[lens.image_at])


def _mapping_forward(lens: MappingLens, arguments: Mapping[str, inspect.Parameter]) -> Forward:
    takes_all = any(argument.kind is inspect.Parameter.VAR_KEYWORD for argument in arguments.values())
    if lens.image_key not in arguments:
        return lambda model, batch: model(batch[lens.image_key])
    return lambda model, batch: model(**{key: batch[key] for key in batch if takes_all or key in arguments})


def _arguments(model: nn.Module) -> Mapping[str, inspect.Parameter]:
    """Return the arguments of what is wrapped by compilation or parallel training."""
    inner: Any = model
    while True:
        if isinstance(inner, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = inner.module
        elif hasattr(inner, "_orig_mod"):
            inner = inner._orig_mod  # noqa: SLF001 - where torch.compile puts the model
        else:
            return inspect.signature(inner.forward).parameters
