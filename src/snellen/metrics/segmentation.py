"""How good a map of classes is, pixel by pixel and region by region."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8
from skimage.measure import label as label_regions

from snellen.errors import InputError, ShapeError
from snellen.metrics.acuity import acuity
from snellen.metrics.boundaries import BAND_SHARE, TOLERANCE_SHARE, band_counts, boundary_scores
from snellen.metrics.classification import confusion_counts
from snellen.metrics.gathering import add_entries, check_classes, check_lengths
from snellen.structures import (
    IGNORE_LABEL,
    ImageScore,
    MaskTarget,
    Matrix,
    Results,
    SegmentationMap,
    Table,
)

__all__ = ["OverlapFigures", "SegmentationMetric", "overlap_figures", "region_recalls"]

MIN_REGION_PX = 4  # pixels; smaller regions of the truth are specks of annotation, not things
REGION_RECALL = 0.5  # share of its pixels from which a region counts as found
BACKGROUND_NAME = "background"  # case does not matter; its regions are not things, so they have no acuity


class OverlapFigures(NamedTuple):
    """Figures of each class; nan for a class that the truth does not contain."""

    iou: Float64[np.ndarray, " num_classes"]
    dice: Float64[np.ndarray, " num_classes"]
    recall: Float64[np.ndarray, " num_classes"]
    precision: Float64[np.ndarray, " num_classes"]


class _ImageCounts(NamedTuple):
    quality: float
    uncertainty: float
    contours: np.ndarray  # F-score of each class's contour, nan without one
    heights_px: np.ndarray
    recognised: np.ndarray


def overlap_figures(
    confusion: Int64[np.ndarray, "num_classes num_classes"],
    *,
    in_void: Int64[np.ndarray, " num_classes"] | None = None,
) -> OverlapFigures:
    """Overlap of each class from a confusion over pixels.

    A class that the truth does not contain has no figures (nan) and stays out of means, even where it was
    predicted; its pixels are false positives of nobody but false negatives of the classes that were there.

    Args:
        confusion: Truth in rows, prediction in columns.
        in_void: Pixels of each class that are predicted where the truth knows nothing, to be counted as wrong.

    Source:
        Jaccard 1901; Dice 1945; as for Pascal VOC segmentation in Everingham et al. 2015, section 4.2.2.
    """
    right = np.diag(confusion).astype(np.float64)
    wanted, predicted = confusion.sum(axis=1), confusion.sum(axis=0) + (0 if in_void is None else in_void)
    known = wanted > 0
    return OverlapFigures(
        iou=np.where(known, right / np.maximum(wanted + predicted - right, 1), np.nan),
        dice=np.where(known, 2 * right / np.maximum(wanted + predicted, 1), np.nan),
        recall=np.where(known, right / np.maximum(wanted, 1), np.nan),
        precision=np.where(known, right / np.maximum(predicted, 1), np.nan),
    )


def region_recalls(
    true_labels: UInt8[np.ndarray, "height width"],
    pred_labels: UInt8[np.ndarray, "height width"],
    *,
    background: int | None = None,
) -> tuple[Float64[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Height of each connected region of the truth, and whether half of its pixels were named rightly.

    Regions are 8-connected pixels of one class. Those of ``background``, ignored pixels and specks below
    ``MIN_REGION_PX`` are left out.

    Args:
        true_labels: 0..K-1 or ``IGNORE_LABEL``.
        pred_labels: 0..K-1.
        background: Label whose regions are not things.

    Returns:
        Heights in pixels, and True where found.
    """
    things = (true_labels != IGNORE_LABEL) & (true_labels != (IGNORE_LABEL if background is None else background))
    # One more than the label, so that 0 is free for what is left out.
    marked = np.where(things, true_labels.astype(np.int64) + 1, 0)
    regions = np.asarray(label_regions(marked, background=0))  # type: ignore[no-untyped-call]  # skimage has no types
    num_regions = int(regions.max(initial=0))
    sizes = np.bincount(regions.ravel(), minlength=num_regions + 1)[1:]
    right = np.bincount(regions[true_labels == pred_labels], minlength=num_regions + 1)[1:]
    rows, columns = np.nonzero(regions)
    members = regions[rows, columns] - 1
    top = np.full(num_regions, true_labels.shape[0])
    bottom = np.full(num_regions, -1)
    np.minimum.at(top, members, rows)
    np.maximum.at(bottom, members, rows)
    large = sizes >= MIN_REGION_PX
    return (bottom - top + 1.0)[large], (right >= REGION_RECALL * sizes)[large]


class SegmentationMetric:
    """Mean and per-class IoU, Dice, accuracies, figures of borders, confusion over pixels, and acuity over regions.

    Counts are summed over all images before any ratio is taken; only the F-score of contours is a mean over the images
    that have the contour in the truth or in the prediction. Ignored pixels count for nothing, except in
    ``mIoU_void_as_errors``, where every class that is predicted there has a wrong pixel more: some publish that. Means
    over classes leave out classes that the truth does not contain. Without pixels every figure is nan. The acuity is
    the height of the smallest connected region of the truth of which at least half the pixels are right (see
    ``acuity``); regions of a class called "background" are not things and are left out of it.

    Args:
        classes: Names in label order.

    Source:
        Everingham et al. 2015, section 4.2.2; pixel and mean accuracy, frequency-weighted IoU: Long et al. 2015,
        section 5; borders: see ``band_counts`` and ``boundary_scores``.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = check_classes(classes)
        folded = [name.casefold() for name in self._classes]
        self._background = folded.index(BACKGROUND_NAME) if BACKGROUND_NAME in folded else None
        self._confusion = np.zeros((len(self._classes), len(self._classes)), np.int64)
        self._in_void = np.zeros(len(self._classes), np.int64)  # predicted where the truth is ignored
        self._bands = np.zeros((2, len(self._classes)), np.int64)  # see BandCounts
        self._images: dict[int, _ImageCounts] = {}

    def update(
        self, predictions: Sequence[SegmentationMap], targets: Sequence[MaskTarget], indices: Sequence[int]
    ) -> None:
        """Add images at their original size.

        Raises:
            InputError: If the lengths differ, an image comes twice, or a label is none of the classes.
            ShapeError: If a map and its truth differ in size.
        """
        check_lengths(predictions, targets, indices)
        for found, wanted, index in zip(predictions, targets, indices, strict=True):
            truth, guess = wanted.labels.cpu().numpy(), found.labels.cpu().numpy()
            confusion = self._confusion_of(truth, guess, int(index))
            heights, recognised = region_recalls(truth, guess, background=self._background)
            counted = truth != IGNORE_LABEL
            sure = found.confidence.detach().float().cpu().numpy()[counted]
            unsure = float(np.clip(1 - sure.mean(dtype=np.float64), 0, 1)) if sure.size else 0.0
            contours = boundary_scores(truth, guess, num_classes=len(self._classes))
            quality = _mean(overlap_figures(confusion).iou, empty=1.0)
            add_entries(self._images, {int(index): _ImageCounts(quality, unsure, contours, heights, recognised)})
            self._confusion += confusion
            self._in_void += np.bincount(guess[~counted], minlength=len(self._classes))[: len(self._classes)]
            self._bands += np.stack(band_counts(truth, guess, num_classes=len(self._classes)))

    def merge(self, other: "SegmentationMetric") -> None:
        """Add the images of another shard.

        Raises:
            InputError: If both have seen the same image.
        """
        add_entries(self._images, other._images)  # noqa: SLF001  # its own class
        self._confusion += other._confusion  # noqa: SLF001  # its own class
        self._in_void += other._in_void  # noqa: SLF001  # its own class
        self._bands += other._bands  # noqa: SLF001  # its own class

    def result(self) -> Results:
        """Measure all images seen so far."""
        figures = overlap_figures(self._confusion)
        entries = [self._images[index] for index in sorted(self._images)]
        heights = np.concatenate([np.zeros(0), *(entry.heights_px for entry in entries)])
        recognised = np.concatenate([np.zeros(0, bool), *(entry.recognised for entry in entries)])
        sharp = acuity(heights, recognised)
        pixels = self._confusion.sum(axis=1)
        total = int(pixels.sum())
        borders = self._border_figures(entries, known=pixels > 0)
        scalars = {
            "mIoU": _mean(figures.iou),
            "mIoU_void_as_errors": _mean(overlap_figures(self._confusion, in_void=self._in_void).iou),
            "pixel_accuracy": float(np.trace(self._confusion)) / total if total else float("nan"),
            "mean_class_accuracy": _mean(figures.recall),
            "frequency_weighted_IoU": float(np.nansum(pixels * figures.iou)) / total if total else float("nan"),
            "mean_Dice": _mean(figures.dice),
            "boundary_mIoU": _mean(borders[0]),
            "mean_boundary_F": _mean(borders[1]),
            "acuity_px": sharp.height_px,
        }
        return Results(
            headline="mIoU",
            scalars=scalars,
            tables=(self._class_table(figures, borders), sharp.table),
            matrices=(self._matrix(),),
            per_image=tuple(
                ImageScore(index=index, quality=entry.quality, uncertainty=entry.uncertainty)
                for index, entry in zip(sorted(self._images), entries, strict=True)
            ),
        )

    def _confusion_of(self, truth: np.ndarray, guess: np.ndarray, index: int) -> np.ndarray:
        if truth.shape != guess.shape:
            raise ShapeError(
                f"a map and its truth must have one size; got {guess.shape} against {truth.shape} for row "
                f"{index} of the data set. Decode the model's output at the original size of the image."
            )
        counted = truth != IGNORE_LABEL
        for name, labels in (("truth", truth[counted]), ("prediction", guess[counted])):
            if labels.size and int(labels.max()) >= len(self._classes):
                raise InputError(
                    f"labels must be below {len(self._classes)}, the number of classes, or {IGNORE_LABEL} "
                    f"for ignored pixels of the truth; got {int(labels.max())} in the {name} of row {index} "
                    "of the data set. Check the list of classes and the label that means 'ignore'."
                )
        return confusion_counts(truth[counted], guess[counted], num_classes=len(self._classes))

    def _border_figures(self, entries: Sequence[_ImageCounts], *, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return Boundary IoU and the mean F-score of the contours of each class; nan for those not ``known``."""
        both, either = self._bands
        overlap = np.where(known & (either > 0), both / np.maximum(either, 1), np.nan)
        scores = np.stack([np.full(len(self._classes), np.nan), *(entry.contours for entry in entries)])
        counts = (~np.isnan(scores)).sum(axis=0)
        means = np.where(known & (counts > 0), np.nansum(scores, axis=0) / np.maximum(counts, 1), np.nan)
        return overlap, means

    def _class_table(self, figures: OverlapFigures, borders: tuple[np.ndarray, np.ndarray]) -> Table:
        pixels = self._confusion.sum(axis=1)
        share = pixels / max(int(pixels.sum()), 1)
        rows = []
        for label, name in enumerate(self._classes):
            values = [part[label] for part in (*figures, *borders)]
            rows.append((name, float(share[label]), *(None if np.isnan(v) else float(v) for v in values)))
        note = (
            "Share: of all pixels that count; ignored ones count for nothing. Recall is the accuracy of the class. "
            f"Boundary IoU: of bands {BAND_SHARE:.0%} of the diagonal wide. Boundary F: contours met within "
            f"{TOLERANCE_SHARE:.2%} of the diagonal, mean over images."
        )
        if (pixels == 0).any():
            note += " A class without pixels in the truth has no figures and is left out of every mean."
        columns = ("Class", "Share", "IoU", "Dice", "Recall", "Precision", "Boundary IoU", "Boundary F")
        return Table(title="Classes", columns=columns, rows=tuple(rows), note=note)

    def _matrix(self) -> Matrix:
        shares = self._confusion / np.maximum(self._confusion.sum(axis=1, keepdims=True), 1)
        return Matrix(
            title="Confusion",
            row_names=self._classes,
            column_names=self._classes,
            values=tuple(tuple(row) for row in shares.tolist()),
            note="Truth in rows, prediction in columns; share of the pixels of the row.",
        )


def _mean(values: np.ndarray, *, empty: float = float("nan")) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else empty
