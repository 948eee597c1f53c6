"""What calls of anybody's model show: losses, scores of classes, the number of images."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

__all__ = ["first_choices", "losses_in", "num_images"]

MOST_CLASSES = 5000


def losses_in(output: Any) -> dict[str, Tensor]:
    """Return the losses that a model gives out in training: scalars of a dictionary, or ``loss`` of a record."""
    if isinstance(output, Mapping):
        scalars = {str(name): value for name, value in output.items() if _is_scalar(value)}
        if "loss" in scalars:
            return {"loss": scalars["loss"]}
        return scalars if len(scalars) == len(output) else {}
    loss = getattr(output, "loss", None)
    return {"loss": loss} if isinstance(loss, Tensor) and _is_scalar(loss) else {}


def first_choices(output: Any) -> Int64[Tensor, " classes"] | None:
    """Return how often each class has the highest score, where outputs are scores of classes; else None."""
    logits = output if isinstance(output, Tensor) else getattr(output, "logits", None)
    if isinstance(output, Mapping):
        logits = output.get("logits")
    if not isinstance(logits, Tensor) or logits.ndim != 2 or not 2 <= logits.shape[1] <= MOST_CLASSES:
        return None
    if not logits.is_floating_point():
        return None
    named = logits.detach().argmax(1)
    # bincount would make the host wait for the device.
    return named.new_zeros(logits.shape[1]).scatter_add_(0, named, torch.ones_like(named))


def num_images(arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> int:
    """Return the number of images of a call: the first axis of the first tensor of three axes or more, or of a list."""
    for value in (*arguments, *keywords.values()):
        if isinstance(value, Tensor) and value.ndim >= 2:
            return len(value)
        if isinstance(value, list | tuple) and value and all(isinstance(one, Tensor) for one in value):
            return len(value)
        pixels = getattr(value, "pixels", None)
        if isinstance(pixels, Tensor):
            return len(pixels)
    return 0


def _is_scalar(value: Any) -> bool:
    return isinstance(value, Tensor) and value.numel() == 1 and value.is_floating_point()
