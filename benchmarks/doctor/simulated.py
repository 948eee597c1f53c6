"""Boxes and maps as models might have drawn them: true annotations with the errors that models make."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter, label, map_coordinates
from sklearn.isotonic import IsotonicRegression

from snellen.metrics import IGNORED, ImageObjects, match_images
from snellen.structures import IGNORE_LABEL, BoxTarget, Detections, MaskTarget, SegmentationMap

Chance = np.random.Generator
FOUND = 0.92  # of the truths that are not tiny
SMALL_PX = 10.0  # side of which half is found
LOOSE = 0.1  # of the boxes are four times as loose as the others
SPREAD = 0.045  # of each side of a box, standard deviation as a share of the object's
CONFUSED = 0.05  # of the boxes have the name of another class
TWICE = 0.1  # of the objects have a second box
WAVER_PX = 1.0  # of borders, standard deviation
FALSE = 1.5  # boxes of an image that are on nothing, the mean


def detections_of(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> Detections:
    """Return boxes, the best first."""
    order = np.argsort(-scores, kind="stable")
    return Detections(
        boxes=torch.from_numpy(boxes[order].astype(np.float32).reshape(-1, 4)),
        scores=torch.from_numpy(scores[order].astype(np.float32)),
        labels=torch.from_numpy(labels[order].astype(np.int64)),
    )


def jittered(boxes: np.ndarray, spread: np.ndarray | float, chance: Chance) -> np.ndarray:
    """Return boxes whose sides are moved by a share of the size, independently."""
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    moved = boxes + chance.normal(size=boxes.shape) * sides * np.reshape(spread, (-1, 1))
    return np.concatenate([np.minimum(moved[:, :2], moved[:, 2:] - 1), np.maximum(moved[:, 2:], moved[:, :2] + 1)], 1)


def drawn_boxes(truth: BoxTarget, size: tuple[int, int], num_classes: int, chance: Chance) -> Detections:
    """Return boxes for one image; scores only rank yet."""
    chosen = (truth.valid & ~truth.ignored).numpy()
    boxes, labels = truth.boxes.numpy().astype(np.float64)[chosen], truth.labels.numpy()[chosen]
    side = np.sqrt(np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1e-6))
    is_found = chance.random(len(boxes)) < FOUND / (1 + (SMALL_PX / side) ** 3)
    boxes, labels = boxes[is_found], labels[is_found].copy()
    is_loose = chance.random(len(boxes)) < LOOSE
    found = jittered(boxes, np.where(is_loose, 4 * SPREAD, SPREAD), chance)
    confused = (chance.random(len(labels)) < CONFUSED) & (num_classes > 1)
    labels[confused] = (labels[confused] + chance.integers(1, max(num_classes, 2), int(confused.sum()))) % num_classes
    scores = chance.beta(np.where(is_loose | confused, 3.0, 7.0), 2.0)
    twice = chance.random(len(boxes)) < TWICE
    number = chance.poisson(FALSE)
    height, width = size
    corner = chance.random((number, 2)) * [0.8 * width, 0.8 * height]
    extent = np.exp(chance.normal(np.log(np.median(side) if len(side) else 40.0), 0.5, (number, 2)))
    wrong = np.concatenate([corner, np.minimum(corner + extent, [width, height])], 1)
    return detections_of(
        np.concatenate([found, jittered(boxes[twice], 2 * SPREAD, chance), wrong]),
        np.concatenate(
            [scores, scores[twice] * chance.uniform(0.1, 0.6, int(twice.sum())), chance.beta(1.5, 5, number)]
        ),
        np.concatenate([labels, labels[twice], chance.integers(0, num_classes, number)]),
    )


def honest_scores(found: Sequence[Detections], truths: Sequence[BoxTarget], num_classes: int) -> list[Detections]:
    """Return the same boxes with scores that are right as often as they say."""
    del num_classes
    matched = match_images([ImageObjects.of(*pair) for pair in zip(found, truths, strict=True)], iou_at_least=0.5)
    raw = np.concatenate([image.seen.scores for image in matched])
    hits = np.concatenate([image.found for image in matched])
    fit = IsotonicRegression(y_min=0.02, y_max=0.98, out_of_bounds="clip").fit(
        raw[hits != IGNORED], hits[hits != IGNORED] >= 0
    )
    mended = []
    for image in found:
        scores = image.scores.double().numpy()
        honest = torch.from_numpy(0.98 * fit.predict(scores) + 0.02 * scores).float()
        mended.append(Detections(boxes=image.boxes, labels=image.labels, scores=honest))
    return mended


def small_map(truth: MaskTarget, reduce: int) -> MaskTarget:
    return MaskTarget(labels=truth.labels[::reduce, ::reduce].contiguous())


def drawn_map(truth: MaskTarget, num_classes: int, chance: Chance) -> SegmentationMap:
    """Return a map whose borders waver, which misses small things and calls parts of some things by another name."""
    wanted = truth.labels.numpy()
    named = filled(wanted)
    height, width = named.shape
    shift = [gaussian_filter(chance.normal(size=named.shape), 6) for _ in range(2)]
    places = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    moved = [place + WAVER_PX * part / part.std() for place, part in zip(places, shift, strict=True)]
    named = map_coordinates(named, moved, order=0, mode="nearest")
    for class_label in np.unique(named).tolist():
        parts, number = label(named == class_label)
        areas = np.bincount(parts.ravel(), minlength=number + 1)
        lost = [part for part in range(1, number + 1) if areas[part] < 5e-4 * named.size and chance.random() < 0.4]
        if lost:
            hidden = np.isin(parts, lost)
            named = np.where(hidden, filled(np.where(hidden, IGNORE_LABEL, named)), named)
    for _ in range(chance.poisson(2)):  # a patch of another name
        row, column = chance.integers(0, height), chance.integers(0, width)
        reach = chance.uniform(0.03, 0.08) * min(height, width)
        inside = (places[0] - row) ** 2 + (places[1] - column) ** 2 < reach**2
        named = np.where(inside & (named == named[row, column]), chance.integers(0, num_classes), named)
    return SegmentationMap(labels=torch.from_numpy(named.astype(np.uint8)), confidence=torch.full((height, width), 0.9))


def filled(labels: np.ndarray) -> np.ndarray:
    """Return labels in which pixels without one have that of the nearest pixel with one."""
    unknown = labels == IGNORE_LABEL
    if unknown.all() or not unknown.any():
        return np.where(unknown, 0, labels)
    places = distance_transform_edt(unknown, return_distances=False, return_indices=True)
    return labels[tuple(places)]
