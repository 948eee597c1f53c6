"""Where a segmenter's wrong pixels are: along borders, in what it missed, under a wrong class, where nothing is."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64, UInt8
from scipy.ndimage import maximum_filter

from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.results.evaluated import EvaluatedRun, typed_pairs
from snellen.doctor.words import Text
from snellen.metrics import RESAMPLES, ErrorCost, band_width_px, image_draws, interval_ends
from snellen.ops import border_band
from snellen.structures import IGNORE_LABEL, MaskTarget, SegmentationMap

__all__ = ["MapErrorKind", "MapErrors", "map_errors", "sorted_pixels"]

BACKGROUND_NAMES = ("background", "_background_", "void", "none", "other")
_MOST_WORK = 40_000_000  # images times draws times classes
_LEAST_DRAWS = 100


class MapErrorKind(StrEnum):
    """How a pixel is wrong."""

    BOUNDARY = "boundary"  # near a border of the truth, and named as what is on the other side
    MISSED = "missed"  # of a thing, named background
    CLASS = "class"  # of a thing, named another thing
    INVENTED = "invented"  # of the background, named a thing


@dataclass(frozen=True, kw_only=True, eq=False)
class MapErrors:
    """Wrong pixels by kind, ``i`` images.

    Attributes:
        rows: Of the part that is looked at, ``[i]``.
        precision: Mean overlap of the classes; its count is that of the pixels.
        kinds: What each kind costs, in mean overlap of the classes.
        pixels: Wrong pixels of each image and kind, ``[i, 4]``, in the order of ``MapErrorKind``.
        wrong_share: Of all pixels.
        boundary_share: Of the pixels that are near a border of the truth, which are wrong.
        inner_share: Of the pixels that are not, which are wrong.
        band_px: Median width of what counts as near.
        background: Label that is no thing; -1 if there is none.
        iou: Overlap of each class; nan for classes that the truth lacks, ``[k]``.
        wanted: Pixels of each class in each image, ``[i, k]``.
        constant: Mean overlap of the best map that is one class everywhere.
    """

    ABSENT = Text(en="the model predicts no maps of classes", zh="该模型不预测逐像素类别")

    rows: Int64[np.ndarray, " i"]
    precision: ErrorCost
    kinds: Mapping[MapErrorKind, ErrorCost]
    pixels: Int64[np.ndarray, "i 4"]
    wrong_share: float
    boundary_share: float
    inner_share: float
    band_px: float
    background: int
    iou: Float64[np.ndarray, " k"]
    wanted: Int64[np.ndarray, "i k"]
    constant: float


def sorted_pixels(
    truth: UInt8[np.ndarray, "height width"],
    named: UInt8[np.ndarray, "height width"],
    *,
    background: int,
    width_px: int | None = None,
) -> tuple[UInt8[np.ndarray, "height width"], Bool[np.ndarray, "height width"]]:
    """Return the kind of each wrong pixel (position in ``MapErrorKind`` from 1; 0 for right), and what is near borders.

    Args:
        truth: 0..K-1 or ``IGNORE_LABEL``.
        named: 0..K-1.
        background: Label that is no thing; -1 if there is none: then everything is a thing.
        width_px: What is near; 2 % of the image's diagonal if None.

    Source:
        Errors within a band around borders: Kohli, Ladicky and Torr 2009, Robust higher order potentials, section 5
        (trimaps); its width: Cheng et al. 2021, Boundary IoU, section 5.
    """
    size = (truth.shape[0], truth.shape[1])
    width = band_width_px(size) if width_px is None else width_px
    band = border_band(torch.from_numpy(truth), width_px=width, ignore=IGNORE_LABEL, with_edges=False).numpy()
    wrong = (truth != named) & (truth != IGNORE_LABEL)
    beside = np.zeros(truth.shape, bool)  # the truth has the named class within the width
    for label in np.unique(named[wrong & band]).tolist():
        near = maximum_filter(truth == label, size=2 * width + 1, mode="constant", cval=False)
        beside |= near & (named == label)
    kinds = np.zeros(truth.shape, np.uint8)
    kinds[wrong] = 1 + list(MapErrorKind).index(MapErrorKind.CLASS)
    kinds[wrong & (named == background)] = 1 + list(MapErrorKind).index(MapErrorKind.MISSED)
    kinds[wrong & (truth == background)] = 1 + list(MapErrorKind).index(MapErrorKind.INVENTED)
    kinds[wrong & band & beside] = 1 + list(MapErrorKind).index(MapErrorKind.BOUNDARY)
    return kinds, band & (truth != IGNORE_LABEL)


def map_errors(run: EvaluatedRun) -> MapErrors:
    """Sort the wrong pixels of the images that are looked at.

    Raises:
        NotCheckable: If the run predicts something else.
    """
    if run.kind is not SegmentationMap:
        raise NotCheckable(MapErrors.ABSENT)
    classes = run.index.classes
    folded = [name.casefold() for name in classes]
    background = next((folded.index(name) for name in BACKGROUND_NAMES if name in folded), -1)
    rows, tables, near, widths = [], [], [], []
    for row, found, wanted in typed_pairs(run.looked_at, SegmentationMap, MaskTarget):
        truth, named = wanted.labels.numpy(), found.labels.numpy()
        kinds, band = sorted_pixels(truth, named, background=background)
        rows.append(row)
        tables.append(_counted(truth, named, kinds, len(classes)))
        known = truth != IGNORE_LABEL
        near.append([band.sum(), (band & (kinds > 0)).sum(), known.sum(), (kinds > 0).sum()])
        widths.append(band_width_px((truth.shape[0], truth.shape[1])))
    if not rows:
        raise NotCheckable(Text(en="no image has a mask", zh="没有图像带掩码"))
    counts = np.array(tables, np.float64)  # i, 3 + 2 · 4, k
    in_band, wrong_in_band, pixels, wrong = np.array(near, np.float64).sum(0)
    precision, costs = _costs(counts, int(pixels))
    return MapErrors(
        rows=np.array(rows, np.int64),
        precision=precision,
        kinds=costs,
        pixels=counts[:, 3::2].sum(2).astype(np.int64),
        wrong_share=float(wrong / max(pixels, 1)),
        boundary_share=float(wrong_in_band / max(in_band, 1)),
        inner_share=float((wrong - wrong_in_band) / max(pixels - in_band, 1)),
        band_px=float(np.median(widths)),
        background=background,
        iou=_overlaps(counts.sum(0)[None], None)[0],
        wanted=counts[:, 1].astype(np.int64),
        constant=_constant(counts[:, 1].sum(0)),
    )


def _constant(wanted: Float64[np.ndarray, " k"]) -> float:
    total, present = float(wanted.sum()), int((wanted > 0).sum())
    return float(wanted.max()) / total / present if present else float("nan")


def _counted(truth: np.ndarray, named: np.ndarray, kinds: np.ndarray, num_classes: int) -> list[np.ndarray]:
    """Return pixels by class: right, wanted, named; then of each kind those that are wanted and are named."""
    known = truth != IGNORE_LABEL

    def by(labels: np.ndarray, of: np.ndarray) -> np.ndarray:
        return np.bincount(labels[of], minlength=num_classes)[:num_classes]

    rows = [by(truth, known & (kinds == 0)), by(truth, known), by(named, known)]
    for place in range(1, len(MapErrorKind) + 1):
        rows += [by(truth, kinds == place), by(named, kinds == place)]
    return rows


def _overlaps(sums: np.ndarray, kind: int | None) -> np.ndarray:
    """Return the overlap of each class from sums [draws, 11, k], were a kind mended; nan where there is no truth."""
    right, wanted, named = sums[:, 0], sums[:, 1], sums[:, 2]
    if kind is not None:
        gained, freed = sums[:, 3 + 2 * kind], sums[:, 4 + 2 * kind]
        right, named = right + gained, named + gained - freed
    union = wanted + named - right
    return np.where(wanted > 0, right / np.where(union > 0, union, 1.0), np.nan)


def _overlap(sums: np.ndarray, kind: int | None) -> np.ndarray:
    iou = _overlaps(sums, kind)
    known = ~np.isnan(iou)
    total = np.where(known, iou, 0.0).sum(1)
    return np.where(known.any(1), total / np.maximum(known.sum(1), 1), np.nan)


def _costs(counts: Float64[np.ndarray, "i 11 k"], pixels: int) -> tuple[ErrorCost, Mapping[MapErrorKind, ErrorCost]]:
    number = len(counts)
    once = counts.sum(0)[None]
    plain = float(_overlap(once, None)[0])
    sums = np.zeros((0, *counts.shape[1:]))
    if number > 1:
        draws = max(_LEAST_DRAWS, min(RESAMPLES, _MOST_WORK // counts.size))
        weights = image_draws(number, draws)
        sums = (weights @ counts.reshape(number, -1)).reshape(draws, *counts.shape[1:])
    base = _overlap(sums, None)
    low, high = interval_ends(base)
    kinds = {}
    for place, kind in enumerate(MapErrorKind):
        ends = interval_ends(_overlap(sums, place) - base)
        count = int(once[0, 3 + 2 * place].sum())
        cost = float(_overlap(once, place)[0]) - plain
        kinds[kind] = ErrorCost(count=count, cost=cost, low=ends[0], high=ends[1])
    return ErrorCost(count=pixels, cost=plain, low=low, high=high), kinds
