"""Labels that are likely wrong, ranked: of images, of boxes (wrong class, missing, spurious, shifted) and of masks."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray

from snellen.data import BoxTable, ClassTable, DatasetIndex
from snellen.doctor.evidence.agreement import Agreement
from snellen.doctor.evidence.object_agreement import ObjectAgreement
from snellen.doctor.evidence.set_agreement import SetAgreement
from snellen.errors import InputError
from snellen.evaluation import ImagePrediction
from snellen.metrics import ImageObjects, mask_quality, object_quality, self_confidence
from snellen.ops import box_iou, covered_share
from snellen.structures import (
    IGNORE_LABEL,
    BoxTarget,
    ClassScores,
    ClassTarget,
    Detections,
    LabelSetScores,
    LabelSetTarget,
    MaskTarget,
    SegmentationMap,
    Target,
)

__all__ = ["ObjectScores", "Suspect", "SuspectKind", "object_scores", "suspects", "suspects_of_predictions"]

TOUCHING = 0.5  # IoU from which a detection is of a labelled object
LOW, HIGH = 0.5, 0.7  # scores of a network that detections need; ObjectLab's 0.95 leaves nothing of young networks
LEAST = 0.5  # score from which a label is suspected

Floats = NDArray[np.float32]


class SuspectKind(StrEnum):
    """How a label may be wrong."""

    WRONG_CLASS = "wrong class"
    MISSING = "missing"
    SPURIOUS = "spurious"
    SHIFTED = "shifted"
    WRONG_MASK = "wrong mask"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """One label that is likely wrong.

    Attributes:
        row: Of the index.
        kind: How it may be wrong.
        score: 0 to 1, surely wrong.
        label: As annotated; -1 where nothing is.
        proposed: What it should be; -1 where it should not be there, or is not known.
        box: The labelled box, or where one is missing; None for whole images.
        object_row: Of the table of boxes; -1 where there is none.
        better_box: Where a shifted box should be.
    """

    row: int
    kind: SuspectKind
    score: float
    label: int = -1
    proposed: int = -1
    box: tuple[float, float, float, float] | None = None
    object_row: int = -1
    better_box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class ObjectScores:
    """How likely each label or detection is wrong, by kind, 0..1; ``m`` objects, ``q`` detections.

    Attributes:
        wrong_class: ``[m]``.
        spurious: ``[m]``.
        shifted: ``[m]``.
        missing: Of detections without a label, ``[q]``; 0 for those that have one.
    """

    wrong_class: Floats
    spurious: Floats
    shifted: Floats
    missing: Floats


def suspects(
    index: DatasetIndex, evidence: Agreement | SetAgreement | ObjectAgreement, *, least: float = LEAST
) -> tuple[Suspect, ...]:
    """Return labels that out-of-fold models of vectors contradict, the surest first.

    Args:
        index: The data set.
        evidence: What the models said.
        least: Score below which nothing is listed.

    Raises:
        InputError: If evidence and data do not fit.
    """
    if isinstance(evidence, Agreement):
        found = _of_images(evidence)
    elif isinstance(evidence, SetAgreement):
        found = _of_sets(evidence)
    elif isinstance(index.annotations, BoxTable):
        found = _of_objects(index.annotations, evidence)
    else:
        raise InputError(
            f"evidence of objects needs data with boxes; got {index.annotations.target_type.__name__}. Gather the "
            "evidence from this data set."
        )
    return _ranked(found, least)


def suspects_of_predictions(
    index: DatasetIndex, predictions: Iterable[ImagePrediction], *, least: float = LEAST
) -> tuple[Suspect, ...]:
    """Return labels that a model contradicts, the surest first.

    Args:
        index: The data set.
        predictions: Of a model that has not seen the images, or of one for each fold; see ``read_predictions``.
        least: Score below which nothing is listed.

    Raises:
        InputError: If what is annotated can be near or far, but not wrong.
    """
    find = _CONTRADICTED.get(index.target_type)
    if find is None:
        known = ", ".join(kind.__name__ for kind in _CONTRADICTED)
        raise InputError(
            f"labels of {known} can be suspected; the data set has {index.target_type.__name__}. Look at the images "
            "with the greatest errors in the report instead."
        )
    return _ranked(find(index, predictions), least)


def object_scores(table: BoxTable, agreement: ObjectAgreement) -> ObjectScores:
    """Return how likely each labelled object is wrong in each way, and each detection overlooked."""
    places = np.arange(len(table.boxes))
    background, fitted_background = agreement.probs[:, -1], agreement.fitted_probs[:, -1]
    named = (agreement.probs[:, :-1] + agreement.fitted_probs[:, :-1]) / 2
    own = named[places, table.labels]
    rivals = named.copy()
    rivals[places, table.labels] = 0
    rival = rivals.max(1, initial=0.0)
    fit = box_iou(torch.from_numpy(table.boxes), torch.from_numpy(agreement.fitted)).diagonal().numpy()
    wrong_class = rival / np.maximum(own + rival, 1e-6) * (1 - fitted_background)
    spurious = np.sqrt(background * fitted_background)
    fit = np.maximum(fit, _best_overlap(table, agreement))
    shifted = 1 - fit * np.sqrt(1 - background)  # a box beside its object shows background, too
    for score in (wrong_class, spurious, shifted):
        score[~agreement.is_judged] = 0
    return ObjectScores(
        wrong_class=wrong_class.astype(np.float32),
        spurious=spurious.astype(np.float32),
        shifted=shifted.astype(np.float32),
        missing=_missing(table, agreement),
    )


def _best_overlap(table: BoxTable, agreement: ObjectAgreement) -> Floats:
    """Return the IoU of each labelled object with the detection that fits it best, 0 where there is none.

    A detection began somewhere else: where it ends at the label, the label is right, wherever its own window is moved.
    """
    best: Floats = np.zeros(len(table.boxes), np.float32)
    for row in np.unique(agreement.images).tolist():
        found, own = agreement.boxes[agreement.images == row], table.rows(row)
        labelled = torch.from_numpy(table.boxes[own])
        best[own] = box_iou(labelled, torch.from_numpy(found)).numpy().max(1, initial=0.0)
    return best


def _missing(table: BoxTable, agreement: ObjectAgreement) -> Floats:
    """Return objectness, less where labels cover a part: objects overlap, so that a part weighs as its cube root."""
    scores = 1 - agreement.scores[:, -1]
    for row in np.unique(agreement.images).tolist():
        here = agreement.images == row
        found, labelled = torch.from_numpy(agreement.boxes[here]), torch.from_numpy(table.boxes[table.rows(row)])
        covered = covered_share(found, labelled).numpy().sum(1).clip(0, 1)  # by labels: half a neighbour is no object
        is_labelled = box_iou(found, labelled).numpy().max(1, initial=0.0) >= TOUCHING
        scores[here] *= np.where(is_labelled, 0, np.cbrt(1 - covered))
    return np.asarray(scores, np.float32)


def _ranked(found: Iterable[Suspect], least: float) -> tuple[Suspect, ...]:
    return tuple(sorted((suspect for suspect in found if suspect.score >= least), key=lambda suspect: -suspect.score))


def _of_images(agreement: Agreement) -> Iterator[Suspect]:
    own, proposed = agreement.own_probs, agreement.proposed
    for place in np.flatnonzero(proposed != agreement.labels).tolist():
        yield Suspect(
            row=int(agreement.rows[place]),
            kind=SuspectKind.WRONG_CLASS,
            score=float(1 - own[place]),
            label=int(agreement.labels[place]),
            proposed=int(proposed[place]),
        )


def _of_sets(agreement: SetAgreement) -> Iterator[Suspect]:
    own = agreement.own_probs
    for place, column in zip(*map(np.ndarray.tolist, np.nonzero(own < LEAST)), strict=True):
        is_shown, label = bool(agreement.shown[place, column]), int(agreement.labels[column])
        yield Suspect(
            row=int(agreement.rows[place]),
            kind=SuspectKind.SPURIOUS if is_shown else SuspectKind.MISSING,
            score=float(1 - own[place, column]),
            label=label if is_shown else -1,
            proposed=-1 if is_shown else label,
        )


def _of_objects(table: BoxTable, agreement: ObjectAgreement) -> Iterator[Suspect]:
    scores = object_scores(table, agreement)
    image_of = np.repeat(np.arange(len(table)), np.diff(table.offsets))
    for place in np.flatnonzero(agreement.is_judged).tolist():
        if scores.wrong_class[place] > LEAST:
            kind, score = SuspectKind.WRONG_CLASS, scores.wrong_class[place]
        elif agreement.fitted_probs[place, -1] > LEAST:
            kind, score = SuspectKind.SPURIOUS, scores.spurious[place]
        else:
            kind, score = SuspectKind.SHIFTED, scores.shifted[place]
        proposed = int(agreement.fitted_probs[place, :-1].argmax())
        yield Suspect(
            row=int(image_of[place]),
            kind=kind,
            score=float(score),
            label=int(table.labels[place]),
            proposed=-1 if kind is SuspectKind.SPURIOUS else proposed,
            box=_corners(table.boxes[place]),
            object_row=place,
            better_box=_corners(agreement.fitted[place]) if kind is SuspectKind.SHIFTED else None,
        )
    for place in np.flatnonzero(scores.missing > 0).tolist():
        yield Suspect(
            row=int(agreement.images[place]),
            kind=SuspectKind.MISSING,
            score=float(scores.missing[place]),
            proposed=int(agreement.scores[place, :-1].argmax()),
            box=_corners(agreement.boxes[place]),
        )


def _corners(box: NDArray[np.floating]) -> tuple[float, float, float, float]:
    left, top, right, bottom = box.tolist()
    return left, top, right, bottom


def _of_class_scores(index: DatasetIndex, predictions: Iterable[ImagePrediction]) -> Iterator[Suspect]:
    table = index.annotations
    for image in predictions:
        label = int(table.labels[image.index]) if isinstance(table, ClassTable) else -1
        if label < 0 or not isinstance(image.prediction, ClassScores):
            continue
        probs = image.prediction.probs.double().numpy()
        best = int(probs.argmax())
        if best != label:
            own = self_confidence(probs[None], np.array([label]))[0]
            yield Suspect(
                row=image.index, kind=SuspectKind.WRONG_CLASS, score=float(1 - own), label=label, proposed=best
            )


def _of_label_scores(index: DatasetIndex, predictions: Iterable[ImagePrediction]) -> Iterator[Suspect]:
    """Yield every answer that is known, with the probability of its opposite."""
    for image in predictions:
        target = index.target(image.index, image.size)
        if not isinstance(image.prediction, LabelSetScores) or not isinstance(target, LabelSetTarget):
            continue
        probs, shown = image.prediction.probs.double().tolist(), target.shown.tolist()
        for label in torch.nonzero(target.known).flatten().tolist():
            if shown[label]:
                yield Suspect(row=image.index, kind=SuspectKind.SPURIOUS, score=1 - probs[label], label=label)
            else:
                yield Suspect(row=image.index, kind=SuspectKind.MISSING, score=probs[label], proposed=label)


def _of_detections(index: DatasetIndex, predictions: Iterable[ImagePrediction]) -> Iterator[Suspect]:
    table = index.annotations
    objects: dict[int, ImageObjects] = {}
    for image in predictions:
        target = index.target(image.index, image.size)
        if isinstance(image.prediction, Detections) and isinstance(target, BoxTarget):
            objects[image.index] = ImageObjects.of(image.prediction, target)
    if not isinstance(table, BoxTable):
        return
    yield from _contradictions(table, objects)


def _contradictions(table: BoxTable, objects: Mapping[int, ImageObjects]) -> Iterator[Suspect]:
    qualities = object_quality(list(objects.values()), low=LOW, high=HIGH)
    for (row, image), quality in zip(objects.items(), qualities, strict=True):
        overlap = image.overlaps()
        for place in np.flatnonzero(np.isfinite(quality.overlooked)).tolist():
            yield Suspect(
                row=row, kind=SuspectKind.MISSING, proposed=int(image.labels[place]), box=_corners(image.boxes[place]),
                score=float(image.scores[place] * (1 - quality.overlooked[place])),
            )  # fmt: skip
        for place in np.flatnonzero(~image.true_ignored).tolist():
            located, swapped = float(quality.badly_located[place]), float(quality.swapped[place])
            near = overlap[:, place] >= TOUCHING / 2
            unseen = 1 - float(image.scores[near].max(initial=0.0))
            kinds = {SuspectKind.SHIFTED: 1 - located, SuspectKind.WRONG_CLASS: 1 - swapped,
                     SuspectKind.SPURIOUS: unseen}  # fmt: skip
            kind = max(kinds, key=kinds.__getitem__)
            best = int((overlap[:, place] * image.scores).argmax()) if len(image.boxes) else -1
            yield Suspect(
                row=row,
                kind=kind,
                score=kinds[kind],
                label=int(image.true_labels[place]),
                proposed=-1 if kind is SuspectKind.SPURIOUS or best < 0 else int(image.labels[best]),
                box=_corners(image.true_boxes[place]),
                object_row=table.rows(row).start + place,
                better_box=_corners(image.boxes[best]) if kind is SuspectKind.SHIFTED else None,
            )


def _of_maps(index: DatasetIndex, predictions: Iterable[ImagePrediction]) -> Iterator[Suspect]:
    """Yield every image with a mask; where a model names a pixel otherwise, its label has what confidence is left."""
    for image in predictions:
        target = index.target(image.index, image.size)
        if not isinstance(image.prediction, SegmentationMap) or not isinstance(target, MaskTarget):
            continue
        labels, named = target.labels.numpy(), image.prediction.labels.numpy()
        confidence = image.prediction.confidence.numpy().astype(np.float64)
        trusted = np.where(labels == named, confidence, 1 - confidence)
        counted = labels != IGNORE_LABEL
        if counted.any():
            yield Suspect(row=image.index, kind=SuspectKind.WRONG_MASK, score=1 - mask_quality(trusted[counted]))


# What a model contradicts, by the type of the targets.
_CONTRADICTED: Mapping[type[Target], Callable[[DatasetIndex, Iterable[ImagePrediction]], Iterator[Suspect]]] = {
    BoxTarget: _of_detections,
    ClassTarget: _of_class_scores,
    LabelSetTarget: _of_label_scores,
    MaskTarget: _of_maps,
}
