"""How a model is called on a batch, by the form of the batch and the names of the model's arguments."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from snellen.doctor.check import NotCheckable
from snellen.doctor.examining.lenses import Lens, MappingLens, PairLens, SnellenLens, described
from snellen.doctor.words import Text
from snellen.errors import InputError

__all__ = ["Forward", "failing_forward", "usual_forward", "wrong_form"]

Forward = Callable[[nn.Module, Any], Any]

# What the argument of a model is called that takes the targets, so that the model can tell the loss itself.
_TARGET_NAMES = ("targets", "labels", "target", "label", "y", "gt")


def failing_forward(error: Exception) -> Forward:
    """Return what stands for a model that cannot be run on its batch."""
    told = f"{type(error).__name__}: {error}"

    def forward(model: nn.Module, batch: Any) -> Any:
        del model, batch
        raise NotCheckable(Text(en=f"the forward pass fails: {told}", zh=f"前向计算失败：{told}"))

    return forward


def wrong_form(model: nn.Module, batch: Any, error: TypeError) -> InputError:
    """Return what to tell if a model does not take what it was given."""
    return InputError(
        f"expected a model that can be called on this batch; {type(model).__name__} raised {error} for "
        f"{described(batch)}. If it is called in another way, pass forward=lambda model, batch: ..."
    )


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
