"""How far labels can be trusted, from what models that have not seen them say: low scores are likely wrong.

Classes of images: Northcutt et al. 2021; boxes: ObjectLab, Tkachenko et al. 2023; masks: Lad and Mueller 2023.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray

from snellen.metrics.objects import ImageObjects
from snellen.ops import box_iou

__all__ = [
    "ObjectQuality",
    "class_thresholds",
    "confident_disagreement",
    "confident_joint",
    "confident_set_answers",
    "mask_quality",
    "normalized_margin",
    "object_quality",
    "pooled_quality",
    "prior_free",
    "self_confidence",
    "softmin",
]

SURE_SHARE = 0.7  # of the nearest neighbours that name one class
SURE_QUANTILE = 0.7  # of the probabilities of the named class; above it a model is sure
SOFTMIN_TEMPERATURE = 0.1  # cleanlab, segmentation and object detection
LOW_CONFIDENCE = 0.5  # of detections that are looked at at all; cleanlab
HIGH_CONFIDENCE = 0.95  # of detections that must not lack a box; cleanlab
IOU_WEIGHT = 0.9  # of the IoU against the distance of centres, ObjectLab's alpha
NEARNESS_PER_PX = 0.1  # by which nearness falls off, cleanlab's factor
SAME_BOX = 0.95  # IoU from which two labels are on one object, cleanlab

Floats = NDArray[np.floating[Any]]


def self_confidence(probs: Float[np.ndarray, "n classes"], labels: Int64[np.ndarray, " n"]) -> Floats:
    """Return the probability of the label that stands there.

    Source:
        Northcutt, Jiang and Chuang 2021, Confident learning, section 4.3, https://arxiv.org/abs/1911.00068.
    """
    return np.asarray(probs[np.arange(len(labels)), labels])


def normalized_margin(probs: Float[np.ndarray, "n classes"], labels: Int64[np.ndarray, " n"]) -> Floats:
    """Return by how much the label leads the best other class, from -1..1 brought to 0..1.

    Source:
        Northcutt et al. 2021, section 4.3; cleanlab.rank.
    """
    own = self_confidence(probs, labels)
    others = probs.astype(np.float64)
    others[np.arange(len(labels)), labels] = -np.inf
    return np.asarray((own - others.max(1) + 1) / 2)


def class_thresholds(probs: Float[np.ndarray, "n classes"], labels: Int64[np.ndarray, " n"]) -> Floats:
    """Return for each class the mean probability of it among what is labelled so; infinity where nothing is.

    Source:
        Northcutt et al. 2021, eq. 2.
    """
    counts = np.bincount(labels, minlength=probs.shape[1])
    sums = np.bincount(labels, weights=self_confidence(probs, labels), minlength=probs.shape[1])
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)


def confident_joint(
    probs: Float[np.ndarray, "n classes"], labels: Int64[np.ndarray, " n"]
) -> Int64[np.ndarray, "classes classes"]:
    """Return how many are labelled as the row says and confidently look as the column says.

    Source:
        Northcutt et al. 2021, eq. 1. Differs from cleanlab: not calibrated to the counts of labels,
        and the diagonal may be 0.
    """
    above = probs >= class_thresholds(probs, labels)
    looks = np.where(above, probs, -1.0).argmax(1)
    joint = np.zeros((probs.shape[1], probs.shape[1]), np.int64)
    sure = above.any(1)
    np.add.at(joint, (labels[sure], looks[sure]), 1)
    return joint


def confident_disagreement(
    probs: Float[np.ndarray, "n classes"],
    neighbour_shares: Float[np.ndarray, "n classes"],
    labels: Int64[np.ndarray, " n"],
) -> tuple[int, int]:
    """Return how many of the rows that two models are sure of, and agree on, bear another label, and their number.

    The share of the two estimates the share of wrong labels. On CIFAR-10 it is nearer than the confident joint,
    which counts the mistakes of a weak model as wrong labels.
    """
    named = probs.argmax(1)
    best = probs.max(1)
    sure = (
        (named == neighbour_shares.argmax(1))
        & (neighbour_shares.max(1) >= SURE_SHARE - 1e-6)
        & (best >= np.quantile(best, SURE_QUANTILE))
    )
    return int((sure & (named != labels)).sum()), int(sure.sum())


def confident_set_answers(
    probs: Float[np.ndarray, "n classes"],
    neighbour_shares: Float[np.ndarray, "n classes"],
    shown: Bool[np.ndarray, "n classes"],
    known: Bool[np.ndarray, "n classes"],
) -> tuple[Bool[np.ndarray, "n classes"], Bool[np.ndarray, "n classes"]]:
    """Return of what two models are sure, and which of that contradicts sets of labels.

    They are sure of a class on an image that surely shows it, or that is labelled and surely not there; that images do
    not show most classes is no evidence for labels. The share of the second in the first estimates that of labels that
    are wrong or missing.

    Args:
        probs: That the image shows the class, by a model that has not seen it.
        neighbour_shares: Share of the most alike images that show it.
        shown: As annotated.
        known: Whether that is known; the rest counts for nothing.
    """
    sure, wrong = np.zeros(shown.shape, np.bool_), np.zeros(shown.shape, np.bool_)
    usual = shown.sum(0) / np.maximum(known.sum(0), 1)
    absent = 1 - prior_free(probs, usual)
    for column in range(probs.shape[1]):
        own, here = shown[:, column], known[:, column]
        there = here & _surely(probs[:, column], neighbour_shares[:, column])
        gone = here & own & _surely(absent[:, column], 1 - neighbour_shares[:, column])
        wrong[:, column] = (there & ~own) | gone
        sure[:, column] = there | gone
    return sure, wrong


def _surely(probs: Floats, shares: Floats) -> NDArray[np.bool_]:
    named = probs > 0.5
    if not named.any():
        return np.zeros(len(probs), np.bool_)
    return np.asarray(named & (probs >= np.quantile(probs[named], SURE_QUANTILE)) & (shares >= SURE_SHARE - 1e-6))


def prior_free(
    probs: Float[np.ndarray, "n classes"], usual: Float[np.ndarray, " classes"], *, draws: int | None = None
) -> Floats:
    """Return probabilities as if half of all images showed each class.

    Args:
        probs: That an image shows the class.
        usual: Share of the images that do.
        draws: If probabilities are shares of so many images, which are then drawn towards ``usual`` by one image, so
            that 0 of 10 proves nothing of a rare class.

    Source:
        Bayes' rule; Saerens et al. 2002, eq. 2.4.
    """
    prior = np.clip(usual, 1e-6, 1 - 1e-6)
    given = probs if draws is None else (probs * draws + prior) / (draws + 1)
    for_it, against = given * (1 - prior), (1 - given) * prior
    return np.asarray(for_it / np.maximum(for_it + against, 1e-12))


def softmin(scores: Float[np.ndarray, "*batch n"], temperature: float) -> Floats:
    """Return a mean over the last axis in which low scores weigh most.

    Source:
        Kuan and Mueller 2022, https://arxiv.org/abs/2207.06061; cleanlab.
    """
    weights = np.exp((scores.min(-1, keepdims=True) - scores) / temperature)
    return np.asarray((scores * weights).sum(-1) / weights.sum(-1))


def mask_quality(
    confidence_in_label: Float[np.ndarray, "height width"], temperature: float = SOFTMIN_TEMPERATURE
) -> float:
    """Return the softmin of the probability that each pixel's label has.

    Args:
        confidence_in_label: Pixels that count for nothing left out or, as they are, any shape.
        temperature: Of the softmin.

    Source:
        Lad and Mueller 2023, Estimating label quality and errors in semantic segmentation data,
        https://arxiv.org/abs/2307.05080: the best of their scores.
    """
    flat = confidence_in_label.reshape(-1).astype(np.float64)
    flat = flat[np.isfinite(flat)]
    return float(softmin(flat, temperature)) if len(flat) else 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ObjectQuality:
    """Scores of the boxes of one image, 0 (surely wrong) to 1.

    Attributes:
        overlooked: Of each detection: how near it is to a label of its class; NaN where it is not sure or touches a
            label.
        badly_located: Of each label: how well its box fits the best detection of its class.
        swapped: Of each label: how little a sure detection of another class fits it.
    """

    overlooked: Floats
    badly_located: Floats
    swapped: Floats


def object_quality(
    images: Sequence[ImageObjects], *, low: float = LOW_CONFIDENCE, high: float = HIGH_CONFIDENCE
) -> list[ObjectQuality]:
    """Return how well labels and detections go together, image by image.

    Args:
        images: Detections of models that have not seen the image, and what is annotated.
        low: Score from which a detection says something of where a box should be.
        high: Score from which a detection is sure.

    Source:
        Tkachenko, Thyagarajan and Mueller 2023, ObjectLab, https://arxiv.org/abs/2309.00832; equal to cleanlab 2.9,
        ``object_detection.rank``.
    """
    likeness = [_likeness(image) for image in images]
    found = [part[part > 0] for part in likeness]
    floor = min((float(part.min()) for part in found if len(part)), default=1.0)
    return [
        ObjectQuality(
            overlooked=_overlooked(image, alike, high, floor),
            badly_located=_badly_located(image, alike, low),
            swapped=_swapped(image, alike, high, floor),
        )
        for image, alike in zip(images, likeness, strict=True)
    ]


def pooled_quality(qualities: Sequence[ObjectQuality]) -> Floats:
    """Return one score for each image: the geometric mean of the softmins of the three kinds.

    Source:
        ObjectLab; cleanlab 2.9, ``object_detection.rank.get_label_quality_scores``.
    """
    kinds = [
        [_pooled(part) for part in (quality.overlooked, quality.badly_located, quality.swapped)]
        for quality in qualities
    ]
    logs = np.log(np.maximum(np.array(kinds).reshape(-1, 3), np.finfo(np.float64).tiny))
    return np.asarray(np.exp(logs.mean(1)))


def _pooled(scores: Floats) -> float:
    known = scores[~np.isnan(scores)]
    return float(softmin(known, SOFTMIN_TEMPERATURE)) if len(known) else 1.0


def _likeness(image: ImageObjects) -> Floats:
    """Return how alike each label and each detection are in place, ``[labels, detections]``, 0..1."""
    centers = [(boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (image.true_boxes, image.boxes)]
    distance = np.linalg.norm(centers[0][:, None] - centers[1][None], axis=2)
    near = np.exp(-distance * NEARNESS_PER_PX)
    return np.asarray(IOU_WEIGHT * image.overlaps().T + (1 - IOU_WEIGHT) * near)


def _overlooked(image: ImageObjects, alike: Floats, high: float, floor: float) -> Floats:
    scores = np.full(len(image.boxes), np.nan)
    touched = (image.overlaps() > 0).any(1)
    for place in np.flatnonzero((image.scores >= high) & ~touched):
        own = alike[image.true_labels == image.labels[place], place]
        scores[place] = own.max() if len(own) else floor * (1 - image.scores[place])
    return scores


def _badly_located(image: ImageObjects, alike: Floats, low: float) -> Floats:
    touches = image.overlaps().T > 0
    scores = np.ones(len(image.true_boxes))
    for place, label in enumerate(image.true_labels):
        fitting = (image.labels == label) & (image.scores > low) & touches[place]
        if fitting.any():
            scores[place] = alike[place, fitting].max()
    return scores


def _swapped(image: ImageObjects, alike: Floats, high: float, floor: float) -> Floats:
    boxes = torch.from_numpy(image.true_boxes)
    same = box_iou(boxes, boxes).numpy() >= SAME_BOX
    other = image.true_labels[:, None] != image.true_labels
    scores = np.ones(len(boxes))
    for place, label in enumerate(image.true_labels):
        rivals = (image.labels != label) & (image.scores > high)
        if (same & other)[place].any():
            scores[place] = floor
        elif rivals.any():
            scores[place] = max(floor, 1 - alike[place, rivals].max())
    return scores
