"""Layers whose units are all the same, and stay so when they learn."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from snellen.doctor.evidence.network.functions import Kind
from snellen.doctor.evidence.network.trace import NetworkTrace, Operation
from snellen.doctor.examining import Subject

__all__ = ["IdenticalUnits", "SameUnits", "identical_units"]

_SAME = 1e-6  # of the largest weight; rows that were set to the same value have the same bits
_NOTHING = 1e-8  # of a weight; what is smaller is zero
_SAME_CHANGE = 1e-3  # of the largest change; rounding makes 1e-6
_OWN_STEPS = 3  # of Adam: what starts from zero hides what lies before it for one step
_OWN_RATE = 1e-3  # the usual rate of Adam


@dataclass(frozen=True, kw_only=True)
class SameUnits:
    """One such layer.

    Attributes:
        layer: Name of its weight.
        units: How many.
        value: Mean of the weights; 0 for a layer of zeros.
        is_constant: Whether all weights of a unit are equal too.
        difference: Largest difference between the units after some steps, as a share of the largest change; 0 where
            nothing changed.
        changed: Whether anything did.
    """

    layer: str
    units: int
    value: float
    is_constant: bool
    difference: float
    changed: bool


@dataclass(frozen=True, kw_only=True)
class IdenticalUnits:
    """Layers with at least two units, all with the same weights at the start.

    Attributes:
        layers: All of them.
        num_layers: Layers that were looked at.
    """

    layers: tuple[SameUnits, ...]
    num_layers: int

    @property
    def stuck(self) -> tuple[SameUnits, ...]:
        """Those whose units are still the same after some steps."""
        return tuple(each for each in self.layers if each.difference < _SAME_CHANGE)

    @property
    def copies(self) -> tuple[SameUnits, ...]:
        """Those that are told apart by their gradients, but do not start from zero, as some do on purpose."""
        return tuple(each for each in self.layers if each.difference >= _SAME_CHANGE and abs(each.value) > _NOTHING)


def identical_units(subject: Subject, trace: NetworkTrace) -> IdenticalUnits:
    """Compare the units of each layer, and where they are all the same, take some steps and compare again.

    Raises:
        NotCheckable: If some are the same and there is no loss to take steps with.
    """
    axes = _unit_axes(subject.model, trace)
    same = {
        name: axis
        for name, axis in axes.items()
        if subject.model.get_parameter(name).shape[axis] > 1
        and _spread(subject.model.get_parameter(name), axis) <= _limit(subject.model.get_parameter(name))
    }
    found = _after_steps(subject, same) if same else {}
    return IdenticalUnits(
        layers=tuple(
            SameUnits(
                layer=name,
                units=subject.model.get_parameter(name).shape[same[name]],
                value=float(subject.model.get_parameter(name).detach().float().mean()),
                is_constant=bool((subject.model.get_parameter(name).detach().float().std(correction=0)) < _NOTHING),
                difference=difference,
                changed=changed,
            )
            for name, (difference, changed) in found.items()
        ),
        num_layers=len(axes),
    )


def _unit_axes(model: nn.Module, trace: NetworkTrace) -> Mapping[str, int]:
    """Return the axis of the units of each trainable matrix or set of filters."""
    known = dict(model.named_parameters(remove_duplicate=False))
    axes: dict[str, int] = {}
    for layer in trace.layers:
        if layer.settings.get("groups", 1) != 1:
            continue  # filters that are the same see different channels
        for name in layer.parameters:
            axis = _unit_axis(layer)
            parameter = known[name]
            if parameter.ndim > 1 and parameter.requires_grad and parameter.numel() > parameter.shape[axis]:
                axes.setdefault(name, axis)  # one number for each unit is a gain, and may be the same for all
    return axes


def _unit_axis(layer: Operation) -> int:
    if layer.kind is Kind.CONV_TRANSPOSE:
        return 1
    return 0 if layer.kind is not Kind.LINEAR or layer.function == "linear" else 1


def _limit(weight: Tensor) -> float:
    return max(_NOTHING, _SAME * float(weight.detach().abs().max()))


def _spread(weight: Tensor, axis: int) -> float:
    """Return the largest difference between a unit and the first."""
    units = weight.detach().movedim(axis, 0)
    return float((units - units[:1]).abs().max())


def _after_steps(subject: Subject, same: Mapping[str, int]) -> dict[str, tuple[float, bool]]:
    """Return the largest difference between units after some steps, as a share of the change, and whether any came."""
    with subject.probed(training=True) as model:
        for module in model.modules():
            if isinstance(module, nn.modules.dropout._DropoutNd):  # noqa: SLF001 - base of all dropouts
                module.eval()  # its noise is no reason to be different
        before = {name: model.get_parameter(name).detach().clone() for name in same}
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=_OWN_RATE)
        for _ in range(_OWN_STEPS):
            optimizer.zero_grad()
            loss = subject.loss(subject.output(model, subject.batch), subject.batch)
            if not loss.requires_grad:
                break
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        changes = {name: model.get_parameter(name).detach() - before[name] for name in same}
    found = {}
    for name, change in changes.items():
        largest = float(change.abs().max())
        found[name] = (_spread(change, same[name]) / largest if largest else 0.0, largest > 0)
    return found
