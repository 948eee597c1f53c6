"""Which parameters an optimizer pulls towards zero."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from snellen.doctor.check import NotCheckable
from snellen.doctor.examining import Subject
from snellen.doctor.words import Text

__all__ = ["DecayedParameters", "decayed_parameters"]

_NO_OPTIMIZER = Text(en="no optimizer was given; pass optimizer=", zh="没有给出优化器；请传入 optimizer=")


@dataclass(frozen=True, kw_only=True)
class DecayedParameters:
    """Parameters that are one scale, shift or bias for each channel.

    Attributes:
        scales: Names of scales and shifts of norms that are decayed.
        biases: Names of other parameters of one axis that are decayed.
        num_vectors: All trainable parameters of one axis.
        weight_decay: Largest of these groups.
        groups: How many groups the optimizer has.
    """

    ABSENT: ClassVar[Text] = _NO_OPTIMIZER

    scales: tuple[str, ...]
    biases: tuple[str, ...]
    num_vectors: int
    weight_decay: float
    groups: int


def decayed_parameters(subject: Subject) -> DecayedParameters:
    """Read the optimizer's groups.

    Raises:
        NotCheckable: If there is no optimizer.
    """
    if subject.optimizer is None:
        raise NotCheckable(_NO_OPTIMIZER)
    of_norms = {
        id(parameter)
        for module in subject.model.modules()
        if "Norm" in type(module).__name__
        for parameter in module.parameters(recurse=False)
    }
    rates = {
        id(parameter): float(group.get("weight_decay", 0.0) or 0.0)
        for group in subject.optimizer.param_groups
        for parameter in group["params"]
    }
    vectors = [(name, p) for name, p in subject.model.named_parameters() if p.ndim < 2 and p.requires_grad]
    decayed: list[tuple[str, nn.Parameter]] = [(name, p) for name, p in vectors if rates.get(id(p), 0.0) > 0]
    return DecayedParameters(
        scales=tuple(name for name, p in decayed if id(p) in of_norms),
        biases=tuple(name for name, p in decayed if id(p) not in of_norms),
        num_vectors=len(vectors),
        weight_decay=max((rates[id(p)] for _, p in decayed), default=0.0),
        groups=len(subject.optimizer.param_groups),
    )
