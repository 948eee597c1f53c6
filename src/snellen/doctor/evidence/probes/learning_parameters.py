"""Which parameters learn: those of the model, those of the optimizer, those that are frozen."""

from dataclasses import dataclass

from torch import Tensor, nn

from snellen.doctor.examining import Subject
from snellen.structures import Staged

__all__ = ["LearningParameters", "learning_parameters", "looks_trained"]


@dataclass(frozen=True, kw_only=True)
class LearningParameters:
    """Who learns.

    Attributes:
        trainable: How many parameters (tensors) want a gradient.
        missing: Names of trainable parameters that the optimizer does not hold; None without an optimizer.
        head_is_missing: Whether the last layer is among them.
        foreign: Tensors that the optimizer holds and the model does not.
        repeated: Names of parameters that it holds more than once.
        frozen_share: Share of all numbers in the model that do not learn.
        frozen: Names of the parameters that want no gradient.
        has_stages: Whether what is frozen now learns in another stage of the training.
        looks_trained: Whether norms show that the weights have been trained; None where there are no norms.
    """

    trainable: int
    missing: tuple[str, ...] | None
    head_is_missing: bool
    foreign: int
    repeated: tuple[str, ...]
    frozen_share: float
    frozen: tuple[str, ...]
    has_stages: bool
    looks_trained: bool | None


def learning_parameters(subject: Subject) -> LearningParameters:
    """Compare the model's parameters with the optimizer's."""
    named = dict(subject.model.named_parameters())
    trainable = {name: parameter for name, parameter in named.items() if parameter.requires_grad}
    held = [] if subject.optimizer is None else [p for group in subject.optimizer.param_groups for p in group["params"]]
    known = {id(parameter) for parameter in held}
    ours = {id(parameter) for parameter in named.values()}
    if isinstance(subject.criterion, nn.Module):
        ours |= {id(parameter) for parameter in subject.criterion.parameters()}
    missing = tuple(name for name, parameter in trainable.items() if id(parameter) not in known)
    frozen = tuple(name for name, parameter in named.items() if not parameter.requires_grad)
    total = sum(parameter.numel() for parameter in named.values())
    return LearningParameters(
        trainable=len(trainable),
        missing=None if subject.optimizer is None else missing,
        head_is_missing=bool(set(_head(subject.model)) & set(missing)),
        foreign=sum(id(parameter) not in ours for parameter in held),
        repeated=tuple(name for name, p in trainable.items() if sum(other is p for other in held) > 1),
        frozen_share=sum(named[name].numel() for name in frozen) / total if total else 0.0,
        frozen=frozen,
        has_stages=isinstance(subject.model, Staged),
        looks_trained=looks_trained(subject.model),
    )


def _head(model: nn.Module) -> tuple[str, ...]:
    """Return the names of the parameters of the last layer with a weight matrix, as the model lists them."""
    layers = [
        name
        for name, module in model.named_modules()
        if isinstance(getattr(module, "weight", None), nn.Parameter) and module.weight.ndim >= 2
    ]
    return tuple(f"{layers[-1]}.{own}".lstrip(".") for own in ("weight", "bias")) if layers else ()


def looks_trained(model: nn.Module) -> bool | None:
    """Return whether norms have left the state in which they are built; None if the model has none.

    Norms start with one scale and one shift for all channels, and batch norms with a mean of 0 and a variance of 1.
    """
    norms = [module for module in model.modules() if "Norm" in type(module).__name__]
    seen = False
    for norm in norms:
        for name in ("weight", "bias", "running_mean", "running_var"):
            values = getattr(norm, name, None)
            if not isinstance(values, Tensor) or values.ndim != 1 or len(values) < 2:
                continue
            seen = True
            if bool((values != values[0]).any()):
                return True
    return False if seen else None
