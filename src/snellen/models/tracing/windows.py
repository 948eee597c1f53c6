"""What cells see behind operations that look through a window: convolutions, pools and enlargements."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snellen.models.tracing.reach import LOST, Ends, Reach

__all__ = ["adaptive_pool", "average_pool", "bilinear", "convolution", "max_pool", "nearest"]


def _windowed(reach: Reach, output: tuple[int, ...], windows: Sequence[tuple[int, int, int, int]]) -> Reach:
    """Return the reach behind windows along rows and columns: kernel, stride, padding and dilation of each."""
    if reach.spans is None or reach.axes != (2, 3):
        return LOST
    spans = []
    for span, count, (kernel, stride, padding, dilation) in zip(reach.spans, output[-2:], windows, strict=True):
        first = np.arange(count, dtype=np.int64) * stride - padding
        spans.append(span.at(first, first + dilation * (kernel - 1), span.jump * stride))
    return replace(reach, spans=(spans[0], spans[1]))


def _pair(value: Any, default: Any = None) -> tuple[int, int]:
    value = default if value is None or (isinstance(value, (list, tuple)) and not value) else value
    values = (value, value) if isinstance(value, int) else tuple(value)
    return (values[0], values[-1])


def convolution(reach: Reach, shape: tuple[int, ...], args: Sequence[Any], output: tuple[int, ...]) -> Reach:
    """Return the reach behind a convolution or a transposed one; they differ in the argument ``transposed``."""
    kernel = args[1].shape[-2:]
    stride, padding, dilation = (_pair(args[place]) for place in (3, 4, 5))
    if len(shape) != 4:
        return LOST
    if args[6]:
        return _transposed(reach, output, tuple(zip(kernel, stride, padding, dilation, strict=True)))
    return _windowed(reach, output, tuple(zip(kernel, stride, padding, dilation, strict=True)))


def _transposed(reach: Reach, output: tuple[int, ...], windows: Sequence[tuple[int, int, int, int]]) -> Reach:
    # Cell o reads the cells i with o = i · stride - padding + tap.
    if reach.spans is None or reach.axes != (2, 3):
        return LOST
    spans = []
    for span, count, (kernel, stride, padding, dilation) in zip(reach.spans, output[-2:], windows, strict=True):
        taps = dilation * np.arange(kernel)
        cells = np.arange(count, dtype=np.int64)[:, None] + padding - taps[None]
        reads = cells % stride == 0
        place = cells // stride
        far = np.iinfo(np.int64).max
        first = np.where(reads, place, far).min(axis=1)
        last = np.where(reads, place, -far).max(axis=1)
        idle = ~reads.any(axis=1)  # cells that the kernel does not reach see nothing; they are given their neighbours'
        first, last = np.where(idle, cells[:, 0] // stride, first), np.where(idle, cells[:, 0] // stride, last)
        spans.append(span.at(first, last, span.jump / stride))
    return replace(reach, spans=(spans[0], spans[1]))


def max_pool(reach: Reach, shape: tuple[int, ...], args: Sequence[Any], output: tuple[int, ...]) -> Reach:
    """Return the reach behind a maximum over windows."""
    del shape
    kernel = _pair(args[1])
    stride = _pair(args[2] if len(args) > 2 else None, kernel)
    padding = _pair(args[3] if len(args) > 3 else None, 0)
    dilation = _pair(args[4] if len(args) > 4 else None, 1)
    return _windowed(reach, output, tuple(zip(kernel, stride, padding, dilation, strict=True)))


def average_pool(reach: Reach, shape: tuple[int, ...], args: Sequence[Any], output: tuple[int, ...]) -> Reach:
    """Return the reach behind a mean over windows."""
    return max_pool(reach, shape, args[:4], output)


def adaptive_pool(reach: Reach, shape: tuple[int, ...], args: Sequence[Any], output: tuple[int, ...]) -> Reach:
    """Return the reach behind bins that share out the map; one bin sees all of it."""
    del args
    if reach.spans is None or reach.axes != (2, 3):
        return LOST
    spans = []
    for span, before, count in zip(reach.spans, shape[-2:], output[-2:], strict=True):
        place = np.arange(count, dtype=np.int64)
        first, last = place * before // count, -(-(place + 1) * before // count) - 1
        whole = count == 1 and before > 1
        spans.append(span.at(first, last, span.jump * before / count).everything if whole else
                     span.at(first, last, span.jump * before / count))  # fmt: skip
    return replace(reach, spans=(spans[0], spans[1]))


def nearest(reach: Reach, shape: tuple[int, ...], args: Sequence[Any], output: tuple[int, ...]) -> Reach:
    """Return the reach behind an enlargement by nearest neighbours."""
    del args
    return _enlarged(reach, shape, output, lambda place, ratio: (np.floor(place * ratio),) * 2)


def bilinear(reach: Reach, shape: tuple[int, ...], args: Sequence[Any], output: tuple[int, ...]) -> Reach:
    """Return the reach behind a bilinear enlargement."""
    corners = bool(args[2]) if len(args) > 2 else False

    def ends(place: Ends, ratio: float) -> tuple[Ends, Ends]:
        middle = place * ratio if corners else (place + 0.5) * ratio - 0.5
        return np.floor(middle), np.ceil(middle)

    return _enlarged(reach, shape, output, ends, corners=corners)


def _enlarged(
    reach: Reach,
    shape: tuple[int, ...],
    output: tuple[int, ...],
    ends: Callable[[Ends, float], tuple[Ends, Ends]],
    *,
    corners: bool = False,
) -> Reach:
    if reach.spans is None or reach.axes != (2, 3):
        return LOST
    spans = []
    for span, before, count in zip(reach.spans, shape[-2:], output[-2:], strict=True):
        ratio = (before - 1) / max(1, count - 1) if corners else before / count
        first, last = ends(np.arange(count, dtype=np.float64), ratio)
        nearest_first, nearest_last = (np.clip(side, 0, before - 1).astype(np.int64) for side in (first, last))
        spans.append(span.at(nearest_first, nearest_last, span.jump * before / count))
    return replace(reach, spans=(spans[0], spans[1]))
