"""What cells see behind operations that mix, move, merge or cut whole axes."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from snellen.models.tracing.reach import LOST, Reach, Span, everything, with_span

__all__ = [
    "layer_norm",
    "lost",
    "over_the_map",
    "padded",
    "permuted",
    "reduced",
    "selected",
    "sliced",
    "softmax",
    "split",
    "swapped",
    "unsqueezed",
    "viewed",
]


def reduced(reach: Reach, shape: tuple[int, ...], args: Sequence[Any], output: tuple[int, ...]) -> Reach:
    """Return the reach behind a mean, a sum or a maximum over axes."""
    axes = args[1] if len(args) > 1 else None
    given = range(len(shape)) if axes is None or axes == [] else (axes,) if isinstance(axes, int) else axes
    gone = {axis % len(shape) for axis in given}
    keeps = len(shape) == len(output)
    if reach.spans is None or reach.rows_of is not None:
        return LOST
    spans = list(reach.spans)
    places: list[int | None] = []
    for place, axis in enumerate(reach.axes):
        if axis is None or axis in gone:
            spans[place] = Span(np.array([0.0]), np.array([0.0]), 1.0).everything
            places.append(axis if keeps else None)
        else:
            places.append(axis if keeps else axis - sum(other < axis for other in gone))
    return Reach((spans[0], spans[1]), (places[0], places[1]))


def softmax(reach: Reach, shape: tuple[int, ...], args: Sequence[Any], output: tuple[int, ...]) -> Reach:
    """Return the reach behind a softmax, which mixes the axis that it runs along."""
    del output
    place = args[1] % len(shape)
    if reach.spans is None or reach.rows_of is not None:
        return reach
    if place not in reach.axes:
        return reach
    which = reach.axes.index(place)
    return with_span(reach, which, reach.spans[which].everything)


def over_the_map(reach: Reach, shape: tuple[int, ...], args: Sequence[Any], output: tuple[int, ...]) -> Reach:
    """Return the reach behind a norm whose statistics are taken over rows and columns."""
    del shape, args, output
    return replace(reach, gated=True)


def layer_norm(reach: Reach, shape: tuple[int, ...], args: Sequence[Any], output: tuple[int, ...]) -> Reach:
    """Return the reach behind a norm over the last axes."""
    normed = range(len(shape) - len(args[1]), len(shape))
    if reach.rows_of is None and any(axis in normed for axis in reach.axes):
        return over_the_map(reach, shape, args, output)
    return reach


def permuted(reach: Reach, shape: tuple[int, ...], args: Sequence[Any], output: tuple[int, ...]) -> Reach:
    """Return the reach behind axes in another order."""
    del output
    if reach.rows_of is not None:
        return LOST
    order = [axis % len(shape) for axis in args[1]]
    first, second = (None if axis is None else order.index(axis) for axis in reach.axes)
    return replace(reach, axes=(first, second))


def swapped(reach: Reach, shape: tuple[int, ...], args: Sequence[Any], output: tuple[int, ...]) -> Reach:
    """Return the reach behind two axes that change places."""
    order = list(range(len(shape)))
    one, other = (axis % len(shape) for axis in (args[1:3] if len(args) > 2 else (0, 1)))
    order[one], order[other] = other, one
    return permuted(reach, shape, [None, order], output)


def viewed(reach: Reach, shape: tuple[int, ...], args: Sequence[Any], output: tuple[int, ...]) -> Reach:
    """Return the reach of the same numbers in another shape."""
    del args
    if reach.rows_of is not None:
        size = len(reach.rows_of)
        return replace(reach, rows_of=None) if output[:size] == reach.rows_of else LOST
    places = [None if axis is None else _same_place(shape, axis, output) for axis in reach.axes]
    if None not in places:
        return replace(reach, axes=(places[0], places[1]))
    inner = max(axis for axis in reach.axes if axis is not None)
    if inner < len(shape) - 1 and output == (prod(shape[:-1]), shape[-1]):
        return replace(reach, rows_of=tuple(shape[:-1]))
    if len(output) == 2 and output[0] == shape[0]:  # all of an image in one vector, which dense layers mix
        return everything(reach)
    return LOST


def _same_place(shape: Sequence[int], axis: int, output: Sequence[int]) -> int | None:
    before = prod(shape[:axis])
    found = [place for place in range(len(output)) if output[place] == shape[axis] and prod(output[:place]) == before]
    return found[-1] if found else None


def unsqueezed(reach: Reach, shape: tuple[int, ...], args: Sequence[Any], output: tuple[int, ...]) -> Reach:
    """Return the reach behind a new axis of size 1."""
    place = args[1] % len(output)
    first, second = (None if axis is None else axis + (axis >= place) for axis in reach.axes)
    del shape
    return replace(reach, axes=(first, second))


def sliced(reach: Reach, shape: tuple[int, ...], args: Sequence[Any], output: tuple[int, ...]) -> Reach:
    """Return the reach behind a part of an axis."""
    axis = (args[1] if len(args) > 1 else 0) % len(shape)
    if reach.spans is None or reach.rows_of is not None:
        return LOST
    if axis not in reach.axes:
        return reach
    which = reach.axes.index(axis)
    start = args[2] if len(args) > 2 and args[2] is not None else 0
    start = max(0, start + shape[axis]) if start < 0 else start
    step = args[4] if len(args) > 4 else 1
    place = start + step * np.arange(output[axis], dtype=np.int64)
    span = reach.spans[which]
    return with_span(reach, which, span.at(place, place, span.jump * step))


def split(reach: Reach, shape: tuple[int, ...], args: Sequence[Any], output: tuple[int, ...]) -> Reach:
    """Return the reach of the parts of an axis."""
    axis = (args[2] if len(args) > 2 else 0) % len(shape)
    del output
    return LOST if axis in reach.axes else reach


def selected(reach: Reach, shape: tuple[int, ...], args: Sequence[Any], output: tuple[int, ...]) -> Reach:
    """Return the reach behind one place of an axis."""
    axis = args[1] % len(shape)
    if axis in reach.axes or reach.rows_of is not None:
        return LOST
    del output
    first, second = (None if place is None else place - (place > axis) for place in reach.axes)
    return replace(reach, axes=(first, second))


def padded(reach: Reach, shape: tuple[int, ...], args: Sequence[Any], output: tuple[int, ...]) -> Reach:
    """Return the reach behind a map with a border; cells of the border are taken for cells of a larger map."""
    if reach.spans is None or reach.rows_of is not None:
        return LOST
    pads = list(args[1])
    for which, axis in enumerate(reach.axes):
        number = None if axis is None else len(shape) - 1 - axis
        if axis is None or number is None or 2 * number >= len(pads):
            continue
        place = np.arange(output[axis], dtype=np.int64) - pads[2 * number]
        span = reach.spans[which]
        reach = with_span(reach, which, span.at(place, place, span.jump))
        if reach.spans is None:
            return LOST
    return reach


def lost(reach: Reach, shape: tuple[int, ...], args: Sequence[Any], output: tuple[int, ...]) -> Reach:
    """Return that the reach is not known behind operations that move cells about."""
    del reach, shape, args, output
    return LOST
