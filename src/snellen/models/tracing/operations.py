"""What the result of an operation of torch sees."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snellen.models.tracing.reach import LOST, Reach, Span, everything, with_span
from snellen.models.tracing.shapes import (
    layer_norm,
    lost,
    over_the_map,
    padded,
    permuted,
    reduced,
    selected,
    sliced,
    softmax,
    split,
    swapped,
    unsqueezed,
    viewed,
)
from snellen.models.tracing.windows import adaptive_pool, average_pool, bilinear, convolution, max_pool, nearest

__all__ = ["after_operation"]

_MIXING = ("aten::mm", "aten::bmm", "aten::addmm", "aten::baddbmm")
Rule = Callable[[Reach, tuple[int, ...], Sequence[Any], tuple[int, ...]], Reach]
_RULES: Mapping[str, Rule] = {
    "aten::convolution": convolution,
    "aten::max_pool2d": max_pool,
    "aten::avg_pool2d": average_pool,
    "aten::_adaptive_avg_pool2d": adaptive_pool,
    "aten::adaptive_avg_pool2d": adaptive_pool,
    "aten::adaptive_max_pool2d": adaptive_pool,
    "aten::upsample_nearest2d": nearest,
    "aten::_upsample_nearest_exact2d": nearest,
    "aten::upsample_bilinear2d": bilinear,
    "aten::mean": reduced,
    "aten::sum": reduced,
    "aten::amax": reduced,
    "aten::amin": reduced,
    "aten::var": reduced,
    "aten::std": reduced,
    "aten::_softmax": softmax,
    "aten::_log_softmax": softmax,
    "aten::native_group_norm": over_the_map,
    "aten::native_layer_norm": layer_norm,
    "aten::permute": permuted,
    "aten::transpose": swapped,
    "aten::view": viewed,
    "aten::_unsafe_view": viewed,
    "aten::reshape": viewed,
    "aten::unsqueeze": unsqueezed,
    "aten::slice": sliced,
    "aten::split": split,
    "aten::unbind": lost,
    "aten::select": selected,
    "aten::constant_pad_nd": padded,
    "aten::replication_pad2d": padded,
    "aten::reflection_pad2d": padded,
    "aten::roll": lost,
    "aten::flip": lost,
    "aten::index": lost,
    "aten::gather": lost,
    "aten::cumsum": lost,
    "aten::sort": lost,
    "aten::topk": lost,
    "aten::bmm": lost,
    "aten::_scaled_dot_product": lost,
}


def after_operation(
    name: str,
    args: Sequence[Any],
    inputs: Sequence[tuple[Reach, tuple[int, ...]]],
    output: tuple[int, ...],
) -> Reach:
    """Return what the result of an operation sees.

    Args:
        name: Of the operation, such as ``aten::convolution``.
        args: What it was called with.
        inputs: Reach and shape of each tensor among them that depends on the image.
        output: Shape of the result.
    """
    if len(inputs) == 1:
        reach, shape = inputs[0]
        if reach.spans is None:
            return LOST
        if reach.is_global:
            return everything(reach)
        for beginning, rule in _RULES.items():
            if name.startswith(beginning):
                return rule(reach, shape, args, output)
        return reach if _keeps(reach, shape, output) else LOST
    return _merged(name, args, inputs)


def _keeps(reach: Reach, shape: tuple[int, ...], output: tuple[int, ...]) -> bool:
    if reach.rows_of is not None:
        return len(output) > 1 and output[0] == shape[0]
    return len(shape) == len(output) and all(axis is not None and shape[axis] == output[axis] for axis in reach.axes)


def _merged(name: str, args: Sequence[Any], inputs: Sequence[tuple[Reach, tuple[int, ...]]]) -> Reach:
    """Return what a result of several tensors sees: what any of them does."""
    if name in _MIXING or any(reach.spans is None for reach, _ in inputs):
        return LOST
    local = [(reach, shape) for reach, shape in inputs if not reach.is_global]
    if not local:
        return everything(inputs[0][0])
    first, shape = local[0]
    if any(reach.axes != first.axes or reach.rows_of != first.rows_of for reach, _ in local):
        return LOST
    if name == "aten::cat":
        axis = (args[1] if len(args) > 1 else 0) % len(shape)
        if axis in first.axes:
            return _joined(local, first.axes.index(axis))
    rows, columns = (_hull([reach.spans[place] for reach, _ in local if reach.spans]) for place in (0, 1))
    if rows is None or columns is None:
        return LOST
    gated = len(local) < len(inputs) or any(reach.gated for reach, _ in local)
    return replace(first, spans=(rows, columns), gated=gated)


def _hull(spans: Sequence[Span]) -> Span | None:
    """Return the span from the first to the last pixel of several; None if they have different numbers of cells."""
    if len({len(span.low) for span in spans} - {1}) > 1:
        return None
    low, high = spans[0].low, spans[0].high
    for span in spans[1:]:
        low, high = np.minimum(low, span.low), np.maximum(high, span.high)
    return Span(low, high, max(span.jump for span in spans))


def _joined(inputs: Sequence[tuple[Reach, tuple[int, ...]]], place: int) -> Reach:
    parts = [reach.spans[place] for reach, _ in inputs if reach.spans is not None]
    joined = Span(
        np.concatenate([part.low for part in parts]), np.concatenate([part.high for part in parts]), parts[0].jump
    )
    return with_span(inputs[0][0], place, joined)
