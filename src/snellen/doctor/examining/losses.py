"""What the loss of an output is: the user's function, or what the model tells itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from snellen.doctor.check import NotCheckable
from snellen.doctor.examining.lenses import Lens, SnellenLens, described
from snellen.doctor.words import Text
from snellen.errors import InputError

__all__ = ["LossForm", "loss_form", "unknown_loss", "usual_logits"]

Loss = Callable[[Any, Any], Any]

# What the tensor that the loss reads is called in outputs that have names, the most usual first.
_LOGIT_NAMES = ("logits", "out", "class_logits", "pred", "prediction", "output")

_NO_LOSS = Text(
    en="no loss was given, and the model does not return one; pass loss=",
    zh="没有给出损失函数，模型也不返回损失；请传入 loss=",
)
_TRAINING_ONLY = Text(en="the model tells its loss in training mode only", zh="该模型只在训练模式下给出损失")


@dataclass(frozen=True, kw_only=True)
class LossForm:
    """How a loss is computed.

    Attributes:
        loss: Of an output for its batch.
        known: Whether there is a loss at all.
        needs_training: Whether the model tells it in training mode only.
        takes_logits: Whether it is a function of the logits and the targets.
        is_output: Whether the output is the loss.
        error: What it raised on the batch, or None.
    """

    loss: Callable[[Any, Any], Float[Tensor, ""]]
    known: bool = True
    needs_training: bool = False
    takes_logits: bool = False
    is_output: bool = False
    error: Exception | None = None


def loss_form(model: nn.Module, lens: Lens, batch: Any, output: Any, criterion: Loss | None) -> LossForm:
    """Return how the loss of this output is computed, by trying.

    Raises:
        InputError: If the loss is not one number.
    """
    if criterion is None:
        return _own_loss(model, lens, output)
    errors: list[Exception] = []
    for takes_logits, candidate in _candidates(lens, output, criterion):
        try:
            _scalar(candidate(output, batch))
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001 - people's losses raise anything; it becomes a finding
            errors.append(error)
        else:
            return LossForm(loss=_scalar_of(candidate), takes_logits=takes_logits)
    return LossForm(loss=_failing(errors[0]), takes_logits=usual_logits(output) is not None, error=errors[0])


def _candidates(lens: Lens, output: Any, criterion: Loss) -> list[tuple[bool, Loss]]:
    """Return how the user's loss may be meant, with whether it reads the logits: torch's own read tensors only."""

    def of_output(given: Any, batch: Any) -> Any:
        return criterion(given, lens.targets(batch))

    def of_logits(given: Any, batch: Any) -> Any:
        return criterion(usual_logits(given), lens.targets(batch))

    if isinstance(output, Tensor):
        return [(True, of_output)]
    if usual_logits(output) is None:
        return [(False, of_output)]
    module = (
        getattr(criterion, "__module__", "") if not isinstance(criterion, nn.Module) else type(criterion).__module__
    )
    return [(True, of_logits)] if module.startswith("torch.nn") else [(False, of_output), (True, of_logits)]


def _own_loss(model: nn.Module, lens: Lens, output: Any) -> LossForm:
    """Return the loss that a model tells itself."""
    if isinstance(lens, SnellenLens):
        verb: Loss = model.loss  # type: ignore[assignment]  # Snellen's models have this verb
        return LossForm(loss=_scalar_of(lambda given, batch: verb(given, batch.targets)))
    if isinstance(getattr(output, "loss", None), Tensor):
        return LossForm(loss=lambda given, _: _scalar(given.loss))
    if _is_losses(output):
        return LossForm(loss=_own_losses, needs_training=True)
    if isinstance(output, Tensor) and output.ndim == 0:
        return LossForm(loss=lambda given, _: _scalar(given), is_output=True)
    return LossForm(loss=unknown_loss, known=False)


def _is_losses(output: Any) -> bool:
    return isinstance(output, Mapping) and len(output) > 0 and all(map(_is_number, output.values()))


def _is_number(value: Any) -> bool:
    return isinstance(value, Tensor) and value.numel() == 1 and value.is_floating_point()


def _own_losses(output: Any, batch: Any) -> Float[Tensor, ""]:
    del batch
    if not _is_losses(output):
        raise NotCheckable(_TRAINING_ONLY)
    return _scalar(output)


def unknown_loss(output: Any, batch: Any) -> Float[Tensor, ""]:
    """Refuse: nobody said what the loss is."""
    del output, batch
    raise NotCheckable(_NO_LOSS)


def _failing(error: Exception) -> Callable[[Any, Any], Float[Tensor, ""]]:
    told = f"{type(error).__name__}: {error}"

    def loss(output: Any, batch: Any) -> Float[Tensor, ""]:
        del output, batch
        raise NotCheckable(Text(en=f"the loss cannot be computed: {told}", zh=f"损失无法计算：{told}"))

    return loss


def _scalar_of(loss: Loss) -> Callable[[Any, Any], Float[Tensor, ""]]:
    return lambda output, batch: _scalar(loss(output, batch))


def _scalar(value: Any) -> Float[Tensor, ""]:
    """Return a loss as one number: of named losses the sum, of a tuple the first."""
    if isinstance(value, Tensor) and value.numel() == 1:
        return value.reshape(())
    if isinstance(value, Mapping) and value:
        if isinstance(value.get("loss"), Tensor):
            return _scalar(value["loss"])
        return torch.stack([_scalar(part).float() for part in value.values()]).sum()
    if isinstance(value, tuple) and value:
        return _scalar(value[0])
    raise InputError(
        f"expected a loss that is one number, or named numbers; got {described(value)}. Reduce it, such as by mean(), "
        "in the function passed as loss=."
    )


def usual_logits(output: Any) -> Tensor | None:
    """Return the tensor that a loss reads, or None if the output has several parts or none that is known."""
    if isinstance(output, Tensor):
        return output if output.is_floating_point() and output.ndim else None
    if isinstance(output, Mapping):
        parts = [output.get(name) for name in _LOGIT_NAMES]
    else:
        parts = [getattr(output, name, None) for name in _LOGIT_NAMES]
    first = next((part for part in parts if isinstance(part, Tensor) and part.ndim), None)
    if first is None and isinstance(output, tuple | list) and output and isinstance(output[0], Tensor):
        return usual_logits(output[0])
    return first
