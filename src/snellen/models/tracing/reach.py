"""How far a cell of a map sees: the pixels that it can depend on, row by row and column by column.

Along each axis every tensor of a run carries the first and the last pixel on which each of its cells can depend. A
convolution takes the first of its first tap and the last of its last one; where two branches meet, a cell has the first
and the last of both. That is exact for branches, strides, dilation, padding, cropping and enlargement alike, while the
usual recurrence r + (k - 1) · stride follows one chain of layers alone.

Source:
    Araujo et al. 2019, eq. 2, https://distill.pub/2019/computing-receptive-fields, here with both ends of the field.
"""

from dataclasses import dataclass, replace
from math import inf

import numpy as np
from numpy.typing import NDArray

__all__ = ["LOST", "Ends", "Reach", "Span", "everything", "image_reach", "with_span"]

Ends = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """What the cells of a tensor see along one axis.

    Attributes:
        low: First pixel that each cell can depend on.
        high: Last one.
        jump: Pixels from one cell to the next.
    """

    low: Ends
    high: Ends
    jump: float

    def at(self, first: NDArray[np.int64], last: NDArray[np.int64], jump: float) -> "Span":
        """Return the span of cells that see from cell ``first`` to cell ``last`` of these.

        Cells beyond the ends are taken to be like those within: a field is that of the middle of a large map.
        """
        return Span(self._continued(self.low, first), self._continued(self.high, last), jump)

    def _continued(self, ends: Ends, place: NDArray[np.int64]) -> Ends:
        period = 1 << (len(ends).bit_length() - 1)  # enlarged maps repeat themselves at powers of two
        turns = np.where((place >= 0) & (place < len(ends)), 0, place // period)
        return np.asarray(ends[place - turns * period] + turns * period * self.jump)

    @property
    def everything(self) -> "Span":
        """A span of as many cells that depend on all pixels."""
        return Span(np.full_like(self.low, -inf), np.full_like(self.high, inf), self.jump)


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """What the cells of a tensor see.

    Attributes:
        spans: Along rows and columns; None where it could not be followed.
        axes: Which axes of the tensor are rows and columns; None for one that is gone.
        gated: Whether something that was made of the whole image scales or shifts the cells besides, such as a gate of
            squeeze and excitation or the statistics of a group norm.
        rows_of: Where rows and columns were before they were merged into one axis with the batch, as a layer that is
            the same at every place does: the sizes of what was merged.
    """

    spans: tuple[Span, Span] | None
    axes: tuple[int | None, int | None] = (2, 3)
    gated: bool = False
    rows_of: tuple[int, ...] | None = None

    @property
    def field(self) -> tuple[float, float] | None:
        """Height and width in pixels of what a cell depends on; infinite for the whole image, None if not known."""
        local = self.local_field
        return (inf, inf) if local is not None and self.gated else local

    @property
    def local_field(self) -> tuple[float, float] | None:
        """Height and width in pixels of what a cell sees apart from gates; None if not known."""
        if self.spans is None or self.rows_of is not None:
            return None
        height, width = (float((span.high - span.low).max()) + 1 for span in self.spans)
        return height, width

    @property
    def is_global(self) -> bool:
        """Whether every cell depends on the whole image."""
        return self.spans is not None and all(np.isinf(span.low).all() for span in self.spans)


LOST = Reach(None, (None, None))


def image_reach(height: int, width: int) -> Reach:
    """Return what the pixels of an image ``[batch, channels, height, width]`` see: themselves."""
    rows, columns = (np.arange(side, dtype=np.float64) for side in (height, width))
    return Reach((Span(rows, rows, 1.0), Span(columns, columns, 1.0)))


def everything(reach: Reach) -> Reach:
    """Return a reach of the whole image, which no operation narrows again."""
    ends = np.array([0.0])
    span = Span(ends, ends, 1.0).everything
    return Reach((span, span), reach.axes)


def with_span(reach: Reach, place: int, span: Span) -> Reach:
    """Return the reach with another span along its rows (``place`` 0) or columns (1)."""
    if reach.spans is None:
        return LOST
    spans = (span, reach.spans[1]) if place == 0 else (reach.spans[0], span)
    return replace(reach, spans=spans)
