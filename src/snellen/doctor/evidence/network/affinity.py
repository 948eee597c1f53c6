"""Whether a network is more than one linear layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from snellen.doctor.evidence.network.functions import Kind
from snellen.doctor.evidence.network.trace import NetworkTrace, Operation, batch_sources
from snellen.doctor.evidence.network.tracing import Tracer, traced
from snellen.doctor.examining import Subject

__all__ = ["Affinity", "LinearPair", "affinity"]

_CURVED = (Kind.ACTIVATION, Kind.GATE, Kind.ATTENTION, Kind.RECURRENT, Kind.OTHER)
_WEAKLY_CURVED = (Kind.MAX_POOL, Kind.NORM)
_LINEAR = (Kind.BATCH_NORM, Kind.DROPOUT, Kind.AFFINE, Kind.SHAPE, Kind.MEAN_POOL, Kind.RESIZE, Kind.ADD)


@dataclass(frozen=True, kw_only=True)
class LinearPair:
    """Two layers that could be one.

    Attributes:
        first: Name of the layer.
        second: Name of the layer that reads it, and nothing else.
    """

    first: str
    second: str


@dataclass(frozen=True, kw_only=True)
class Affinity:
    """How linear a network is between its first and its last layer.

    Attributes:
        num_layers: Layers with weights.
        depth: Least number of layers between the images and an output.
        activations: Names of non-linear functions between layers; pooling by the largest and norms do not count.
        weak: Names of functions of those two kinds.
        deviation: Of the features before the last layer, ``f(½a + ½b)`` from ``½f(a) + ½f(b)``, as a share of the
            largest ``|f(a) - f(b)|``; None where there is an activation, or where nothing could be compared.
        narrowest: Least width of a layer before the last, over the least of what goes in and what comes out; below 1
            the layers together are a projection, which one layer is not.
        pairs: Layers joined by linear functions alone, neither of them depthwise or a bottleneck.
        is_whole: Whether every tensor could be followed.
    """

    num_layers: int
    depth: int
    activations: tuple[str, ...]
    weak: tuple[str, ...]
    deviation: float | None
    narrowest: float
    pairs: tuple[LinearPair, ...]
    is_whole: bool


def affinity(subject: Subject, trace: NetworkTrace) -> Affinity:
    """Look for what bends, and where there is nothing, try."""
    bending = _bending(trace)
    activations = tuple(dict.fromkeys(each.function for each in bending if each.kind in _CURVED))
    weak = tuple(dict.fromkeys(each.function for each in bending if each.kind in _WEAKLY_CURVED))
    return Affinity(
        num_layers=len(trace.layers),
        depth=min((trace.depths[each.index] for each in trace.last_layers), default=0),
        activations=activations,
        weak=weak,
        deviation=None if activations or not trace.layers else _deviation(subject),
        narrowest=_narrowest(trace),
        pairs=tuple(_pairs(trace)),
        is_whole=not trace.lost,
    )


def _bending(trace: NetworkTrace) -> list[Operation]:
    """Return the non-linear functions after a first layer and before a last one."""
    before_last: set[int] = set()
    for each in reversed(trace.forward):
        if each.has_weights or each.index in before_last:
            before_last.update(each.inputs)
    return [
        each
        for each in trace.forward
        if each.kind in (*_CURVED, *_WEAKLY_CURVED) and trace.depths[each.index] > 0 and each.index in before_last
    ]


def _narrowest(trace: NetworkTrace) -> float:
    widths = [_widths(each) for each in trace.layers if len(each.weight_shape) > 1]
    if len(widths) < 2:
        return 1.0
    return min(width for _, width in widths[:-1]) / min(widths[0][0], widths[-1][1])


def _widths(layer: Operation) -> tuple[int, int]:
    """Return how many numbers a layer reads and gives at one place."""
    rows, columns = layer.weight_shape[:2]
    if layer.kind is Kind.CONV:
        taps = 1
        for side in layer.weight_shape[2:]:
            taps *= side
        return columns * taps, rows
    if layer.kind is Kind.CONV_TRANSPOSE or layer.function != "linear":
        return rows, columns
    return columns, rows


def _pairs(trace: NetworkTrace) -> list[LinearPair]:
    found = []
    for second in trace.layers:
        first = _only_layer_before(trace, second)
        if first is not None and _is_full(first) and _is_full(second):
            width_in, width = _widths(first)
            if width >= min(width_in, _widths(second)[1]):
                found.append(LinearPair(first=first.name, second=second.name))
    return found


def _only_layer_before(trace: NetworkTrace, layer: Operation) -> Operation | None:
    """Return the layer before another if nothing but linear functions of it alone lies between."""
    place = layer
    while len(place.inputs) == 1:
        place = trace.operations[place.inputs[0]]
        if len([user for user in trace.users[place.index] if not trace.operations[user].in_loss]) > 1:
            return None
        if place.has_weights:
            return place
        if place.kind not in _LINEAR:
            return None
    return None


def _is_full(layer: Operation) -> bool:
    """Return whether all inputs go to all outputs."""
    if layer.kind is Kind.LINEAR:
        return True
    return layer.kind in (Kind.CONV, Kind.CONV_TRANSPOSE) and layer.settings.get("groups", 1) == 1


def _deviation(subject: Subject) -> float | None:
    """Return how far the features of a mean of images are from the mean of their features."""
    ours = subject.images(subject.batch)
    noise = torch.Generator().manual_seed(0)
    low, high = float(ours.min()), float(ours.max())
    drawn = (low + (high - low) * torch.rand(ours.shape, generator=noise)).to(ours)
    if ours.is_floating_point():
        middle = (ours + drawn) / 2
    else:
        ours, drawn = ours // 2 * 2, drawn // 2 * 2  # so that their mean is a whole number
        middle = ours // 2 + drawn // 2
    found = [_features(subject, images) for images in (ours, drawn, middle)]
    worst = None
    for name in found[0]:
        parts = [features.get(name) for features in found]
        a, b, half = (None if part is None else part.double() for part in parts)
        if a is None or b is None or half is None or not a.shape == b.shape == half.shape:
            continue
        reach = float((a - b).abs().max())
        if reach:
            worst = max(worst or 0.0, float((half - (a + b) / 2).abs().max()) / reach)
    return worst


def _features(subject: Subject, images: Tensor) -> Mapping[str, Tensor]:
    """Return what the last layers read, in evaluation mode."""
    batch = subject.with_images(subject.batch, images)
    read: dict[int, Tensor] = {}

    def keep(call: Any) -> dict[str, float]:
        read[call.index] = call.given.detach().clone() if call.given.is_floating_point() else call.given
        return {}

    with subject.probed(training=False) as model, torch.no_grad():
        calls = _run(subject, model, batch, keep)
    followed: set[int] = set()
    last = {}
    for call in reversed(calls):
        if call.weight is not None and call.index not in followed:
            last[f"{call.module} {call.function}"] = read[call.index]
        if call.weight is not None or call.index in followed:
            followed.update(call.inputs)
    return last


def _run(subject: Subject, model: nn.Module, batch: Any, keep: Any) -> list[Any]:
    images, targets = batch_sources(subject, batch)
    tracer = Tracer(model, images, targets, measure=keep)
    with traced(tracer, model):
        subject.output(model, batch)
    return tracer.calls
