"""Acuity: how small a thing may be and still be recognised."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from snellen.structures import Table

__all__ = ["ACUITY_RECALL", "MIN_PER_BIN", "Acuity", "acuity"]

ACUITY_RECALL = 0.5  # share of things named rightly; the threshold of psychophysics without guessing
MIN_PER_BIN = 10  # things; below this the recall of a bin is mostly chance (standard error above 0.16 at recall 0.5)
BINS_PER_OCTAVE = 2  # log-spaced: every second bin doubles the height


class Acuity(NamedTuple):
    """The smallest height still recognised, and the recall by height from which it was read."""

    height_px: float
    table: Table


def acuity(heights_px: Float[np.ndarray, " n"], recognised: Bool[np.ndarray, " n"]) -> Acuity:
    """Smallest height, in pixels of the original image, that is recognised at least half of the time.

    Heights are sorted into log-spaced bins, two per octave; a bin with fewer than ``MIN_PER_BIN`` things is
    joined with its larger neighbours until it has enough, and what is left at the top joins the bin below. As
    with an eye chart, reading starts at the bin with the highest recall (the largest of several) and goes
    towards smaller ones for as long as the recall is at least ``ACUITY_RECALL``. The acuity is the median
    height in the last bin that passed. It is nan if no bin passes or there is nothing to measure. If even the
    smallest bin passes, the true acuity may be better than the data can show; the note of the table says so.

    Args:
        heights_px: One for each thing that was there; those that are not finite or not positive are left out.
        recognised: True where it was found and named rightly.

    Source:
        Snellen 1862 for reading a chart from the top; the share of one half and the bins are our choice.
    """
    measurable = np.isfinite(heights_px) & (heights_px > 0)
    heights, hits = heights_px[measurable], recognised[measurable]
    rows: list[tuple[str, int, float, float]] = []
    for members in _bins(heights):
        own = heights[members]
        rows.append((f"{own.min():.4g}–{own.max():.4g}", len(own), float(np.median(own)), float(hits[members].mean())))
    passed = _last_passed([row[3] for row in rows])
    note = f"Recall of at least {ACUITY_RECALL:g} counts as recognised. Acuity: "
    note += "not reached." if passed is None else f"{rows[passed][2]:.4g} px."
    if passed == 0:
        note += " Even the smallest bin passes: smaller things may be recognised too, but there are none to tell."
    table = Table(
        title="Recall by height",
        columns=("Height (px)", "Count", "Median (px)", "Recall"),
        rows=tuple(rows),
        note=note,
    )
    return Acuity(float("nan") if passed is None else rows[passed][2], table)


def _bins(heights: np.ndarray) -> list[np.ndarray]:
    """Return the members of each bin, smallest heights first."""
    order = np.argsort(heights, kind="stable")
    steps = np.floor(np.log2(heights[order]) * BINS_PER_OCTAVE)
    groups = np.split(order, np.flatnonzero(np.diff(steps)) + 1) if len(order) else []
    joined: list[np.ndarray] = []
    for group in groups:
        if joined and len(joined[-1]) < MIN_PER_BIN:
            joined[-1] = np.concatenate([joined[-1], group])
        else:
            joined.append(group)
    if len(joined) > 1 and len(joined[-1]) < MIN_PER_BIN:
        rest = joined.pop()
        joined[-1] = np.concatenate([joined[-1], rest])
    return joined


def _last_passed(recalls: list[float]) -> int | None:
    if not recalls or max(recalls) < ACUITY_RECALL:
        return None
    place = max(row for row, recall in enumerate(recalls) if recall == max(recalls))
    while place > 0 and recalls[place - 1] >= ACUITY_RECALL:
        place -= 1
    return place
