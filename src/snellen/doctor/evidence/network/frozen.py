"""Which part of a network does not learn, and whether it has ever learned."""

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, nn

from snellen.doctor.evidence.network.trace import NetworkTrace
from snellen.doctor.examining import Subject

__all__ = ["LEARNED", "FrozenPart", "frozen_part", "learned_structure"]

LEARNED = 1.1  # largest singular value over that of random numbers; random weights have 0.98 to 1.00, trained 1.04 up
_LEAST_SIDE = 8  # rows and columns; the edge is sharp for large matrices only
_MOST_NUMBERS = 4_000_000  # of a matrix whose singular values are computed
_MOST_MATRICES = 12  # that are looked at, spread over the network


@dataclass(frozen=True, kw_only=True)
class FrozenPart:
    """What is frozen.

    Attributes:
        share: Of all numbers in the model, those that want no gradient.
        layers: Names of layers with frozen weights.
        num_layers: Layers with weights.
        last_is_frozen: Whether every last layer is.
        is_all: Whether nothing at all learns.
        structure: Of the frozen matrices, the middle of their largest singular value over the edge of what independent
            random numbers have; None where nothing is large enough.
        norms_are_fresh: Whether the scales and shifts of all frozen norms are as they were built; None where there are
            no frozen norms.
        moving_norms: Batch norms right behind a frozen layer that keep updating their statistics.
        learning_norms: Norms right behind a frozen layer whose scales learn.
    """

    share: float
    layers: tuple[str, ...]
    num_layers: int
    last_is_frozen: bool
    is_all: bool
    structure: float | None
    norms_are_fresh: bool | None
    moving_norms: tuple[str, ...]
    learning_norms: tuple[str, ...]


def frozen_part(subject: Subject, trace: NetworkTrace) -> FrozenPart:
    """Look for it."""
    named = dict(subject.model.named_parameters(remove_duplicate=False))
    frozen = {name for name, parameter in named.items() if not parameter.requires_grad}
    layers = [each for each in trace.layers if _matrices(each.parameters, named) & frozen]
    behind = {user for each in layers for user in trace.users[each.index]}
    norms = [trace.operations[index] for index in sorted(behind) if "norm" in trace.operations[index].kind.value]
    last = trace.last_layers
    distinct = dict(subject.model.named_parameters())
    total = sum(parameter.numel() for parameter in distinct.values())
    return FrozenPart(
        share=sum(p.numel() for name, p in distinct.items() if name in frozen) / total if total else 0.0,
        layers=tuple(each.name for each in layers),
        num_layers=len(trace.layers),
        last_is_frozen=bool(last) and all(_matrices(each.parameters, named) <= frozen for each in last),
        is_all=bool(named) and len(frozen) == len(named),
        structure=learned_structure([named[name] for name in named if name in frozen]),
        norms_are_fresh=_are_fresh(subject.model, {each.module for each in norms}),
        moving_norms=tuple(each.module for each in norms if each.settings.get("training") is True),
        learning_norms=tuple(each.module for each in norms if set(each.parameters) - frozen),
    )


def _matrices(names: tuple[str, ...], named: dict[str, nn.Parameter]) -> set[str]:
    return {name for name in names if named[name].ndim > 1}


def _are_fresh(model: nn.Module, behind: set[str]) -> bool | None:
    """Return whether no norm that is frozen, or stands behind a frozen layer, has scales and shifts that moved."""
    found = [
        values.detach()
        for name, module in model.named_modules()
        for values in (getattr(module, own, None) for own in ("weight", "bias"))
        if "Norm" in type(module).__name__
        and isinstance(values, Tensor)
        and (name in behind or not values.requires_grad)
    ]
    return all(bool((values == values.flatten()[0]).all()) for values in found if values.numel()) if found else None


def learned_structure(weights: list[nn.Parameter]) -> float | None:
    """Return the middle, over some matrices, of the largest singular value over that of random numbers.

    A matrix of independent numbers of standard deviation ``s`` has its largest singular value near
    ``s (sqrt(rows) + sqrt(columns))``; what was learned stands out above it.

    Source:
        Marchenko and Pastur 1967; for trained networks Martin and Mahoney 2021, https://jmlr.org/papers/v22/20-410.html.
    """
    matrices = [weight.detach().flatten(1).float() for weight in weights if weight.ndim > 1]
    fitting = [m for m in matrices if min(m.shape) >= _LEAST_SIDE and m.numel() <= _MOST_NUMBERS and float(m.std()) > 0]
    if not fitting:
        return None
    step = max(1, len(fitting) // _MOST_MATRICES)
    ratios = torch.tensor([_over_edge(matrix) for matrix in fitting[::step]])
    return float(ratios.median())


def _over_edge(matrix: Tensor) -> float:
    rows, columns = matrix.shape
    largest = float(torch.linalg.matrix_norm(matrix, ord=2))
    return largest / (float(matrix.square().mean().sqrt()) * (sqrt(rows) + sqrt(columns)))
