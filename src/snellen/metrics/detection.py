"""How good a detector is: average precision, and where it fails."""

from collections.abc import Sequence

import numpy as np

from snellen.metrics.average_precision import average_precision_11_point, average_precision_area
from snellen.metrics.coco import SIZE_NAMES, SIZE_RANGES, CocoSummary, coco_summary, mean_of_known
from snellen.metrics.detection_errors import (
    confusion_matrix_of_objects,
    count_errors,
    image_score,
    object_acuity,
)
from snellen.metrics.gathering import add_entries, check_classes, check_lengths
from snellen.metrics.matching import voc_matches
from snellen.metrics.object_masks import mask_figures
from snellen.metrics.objects import ImageObjects
from snellen.metrics.operating import (
    SCORE_GRID,
    OperatingPoint,
    Ranking,
    match_images,
    operating_point,
    rank,
)
from snellen.structures import BoxTarget, Curve, Detections, Results, Series, Table

__all__ = ["DetectionMetric", "voc_average_precision"]

ANALYSIS_IOU = 0.5  # overlap from which a box counts as found in curves, confusion and errors; Everingham et al. 2010
RECALL_GRID = tuple(float(step) for step in np.linspace(0.0, 1.0, 101))  # pycocotools' Params.recThrs


class DetectionMetric:
    """COCO's twelve figures, those of Pascal VOC, curves, confusion, errors and acuity, for boxes and masks.

    Masks are measured as segments, too: panoptic quality, and the figures of ``SegmentationMetric``.

    Average precision is that of COCO, by faster-coco-eval. Everything that needs a decision (F1, confusion,
    errors, recall by height, quality of an image) is measured at overlap 0.5 with, for each class, the score
    at which its F1 is highest. ``AP`` is 0 where nothing is found, and nan where there is nothing to find.

    Args:
        classes: Names in label order.

    Source:
        Lin et al. 2014 (COCO); Everingham et al. 2010 (VOC); Bolya et al. 2020 (errors).
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = check_classes(classes)
        self._images: dict[int, ImageObjects] = {}

    def update(self, predictions: Sequence[Detections], targets: Sequence[BoxTarget], indices: Sequence[int]) -> None:
        """Add images; boxes and masks in original pixels.

        Raises:
            InputError: If the lengths differ, an image comes twice, or a score is nan.
        """
        check_lengths(predictions, targets, indices)
        for found, wanted, index in zip(predictions, targets, indices, strict=True):
            add_entries(self._images, {int(index): ImageObjects.of(found, wanted)})

    def merge(self, other: "DetectionMetric") -> None:
        """Add the images of another shard.

        Raises:
            InputError: If both have seen the same image.
        """
        add_entries(self._images, other._images)  # noqa: SLF001  # its own class

    def result(self) -> Results:
        """Measure all images seen so far; the order in which they came does not matter."""
        indices = sorted(self._images)
        images = [self._images[index] for index in indices]
        num_classes = len(self._classes)
        boxes = coco_summary(images, num_classes=num_classes)
        masks = coco_summary(images, num_classes=num_classes, with_masks=True) if _have_masks(images) else None
        matched = match_images(images, iou_at_least=ANALYSIS_IOU)
        ranking = rank(matched, num_classes=num_classes)
        point = operating_point(ranking)
        errors = count_errors(matched, point, num_classes=num_classes, iou_at_least=ANALYSIS_IOU)
        sharp = object_acuity(matched, point)
        scalars = boxes.figures()
        if masks is not None:
            scalars |= {f"mask_{name}": value for name, value in masks.figures().items()}
        scalars |= {"precision": mean_of_known(point.precision), "recall": mean_of_known(point.recall)}
        scalars |= {"F1": mean_of_known(point.f1), "F1_score_threshold": point.overall}
        scalars |= _voc_scalars(images, num_classes)
        scalars["acuity_px"] = sharp.height_px
        tables = [self._class_table(boxes, ranking, point), self._size_table("Box AP by size", boxes, images)]
        if masks is not None:
            tables.append(self._size_table("Mask AP by size", masks, images))
            pixels = mask_figures(images, point.thresholds, self._classes)
            scalars |= pixels.scalars
            tables += pixels.tables
        return Results(
            headline="AP",
            scalars=scalars,
            tables=(*tables, errors.table(), sharp.table),
            curves=(self._precision_curve(boxes), self._f1_curve(point)),
            matrices=(confusion_matrix_of_objects(errors, self._classes),),
            per_image=tuple(image_score(i, image, point) for i, image in zip(indices, matched, strict=True)),
        )

    def _class_table(self, summary: CocoSummary, ranking: Ranking, point: OperatingPoint) -> Table:
        rows = []
        for label, name in enumerate(self._classes):
            own = summary.precision[:, :, label, 0]
            figures = [own.mean(), own[0].mean(), own[5].mean(), point.precision[label], point.recall[label]]
            figures += [point.f1[label], point.thresholds[label]]
            count = int(ranking.num_wanted[label])
            rows.append((name, count, *(float(value) if count else None for value in figures)))
        note = "Precision, recall, F1: at overlap 0.5 and the score threshold with the highest F1."
        if not ranking.num_wanted.all():
            note += " A class without a truth has no figures and is left out of every mean."
        return Table(
            title="Classes",
            columns=("Class", "Truths", "AP", "AP50", "AP75", "Precision", "Recall", "F1", "Score threshold"),
            rows=tuple(rows),
            note=note,
        )

    def _size_table(self, title: str, summary: CocoSummary, images: Sequence[ImageObjects]) -> Table:
        areas = np.concatenate([np.zeros(0), *(image.true_areas[~image.true_ignored] for image in images)])
        limits = ((0.0, np.inf), (0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, np.inf))
        rows: list[tuple[str | float | int | None, ...]] = []
        for size, (low, high) in enumerate(limits):
            count = int(((areas >= low) & (areas <= high)).sum())
            figures = [
                summary.precision[..., size],
                summary.precision[0, ..., size],
                summary.recall[..., size, 2],
            ]
            known = [mean_of_known(part) for part in figures]
            rows.append((SIZE_NAMES[size], SIZE_RANGES[size], count, *(None if np.isnan(v) else v for v in known)))
        return Table(
            title=title,
            columns=("Size", "Area", "Truths", "AP", "AP50", "AR_100"),
            rows=tuple(rows),
            note="Sizes of COCO.",
        )

    def _precision_curve(self, summary: CocoSummary) -> Curve:
        at_half = summary.precision[0, :, :, 0]  # recalls, classes
        known = np.flatnonzero(~np.isnan(at_half).any(axis=0))
        lines = [(self._classes[label], at_half[:, label]) for label in known]
        if len(known) > 1:
            lines.insert(0, ("mean", at_half[:, known].mean(axis=1)))
        return Curve(
            title="Precision over recall",
            x_label="Recall",
            y_label="Precision",
            series=tuple(Series(name=name, x=RECALL_GRID, y=tuple(line.tolist())) for name, line in lines),
            note="Overlap 0.5; precision made monotone and read at 101 recalls, as COCO does.",
        )

    def _f1_curve(self, point: OperatingPoint) -> Curve:
        known = np.flatnonzero(~np.isnan(point.f1))
        lines = [(self._classes[label], point.f1_curves[label]) for label in known]
        if len(known) > 1:
            lines.insert(0, ("mean", point.f1_curves[known].mean(axis=0)))
        grid = tuple(SCORE_GRID.tolist())
        return Curve(
            title="F1 over score threshold",
            x_label="Score threshold",
            y_label="F1",
            series=tuple(Series(name=name, x=grid, y=tuple(line.tolist())) for name, line in lines),
            note=f"Overlap 0.5. The mean over classes is highest at {point.overall:.2f}.",
        )


def voc_average_precision(
    images: Sequence[ImageObjects], *, num_classes: int, iou_at_least: float
) -> tuple[list[float], list[float]]:
    """Average precision of each class by the 11-point and by the area rule; nan where there is no truth.

    Boxes have continuous edges: a box that VOC writes as ``xmin..xmax`` inclusive is ``xmin - 1 .. xmax``
    here.

    Source:
        Pascal VOC development kits of 2007 (11 points) and 2010 (area), ``VOCevaldet.m``.
    """
    found = [voc_matches(image, image.overlaps(), iou_at_least=iou_at_least) for image in images]
    ranking = Ranking.of(images, found, num_classes=num_classes)
    points, areas = [], []
    for label in range(num_classes):
        own = ranking.labels == label
        arguments = ranking.scores[own], ranking.hits[own]
        points.append(average_precision_11_point(*arguments, num_wanted=int(ranking.num_wanted[label])))
        areas.append(average_precision_area(*arguments, num_wanted=int(ranking.num_wanted[label])))
    return points, areas


def _voc_scalars(images: Sequence[ImageObjects], num_classes: int) -> dict[str, float]:
    points, areas = voc_average_precision(images, num_classes=num_classes, iou_at_least=ANALYSIS_IOU)
    return {"VOC07_AP50": mean_of_known(np.array(points)), "VOC10_AP50": mean_of_known(np.array(areas))}


def _have_masks(images: Sequence[ImageObjects]) -> bool:
    return bool(images) and all(image.masks is not None and image.true_masks is not None for image in images)
