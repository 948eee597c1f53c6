"""Other readings of boxes: another format, frame, scale or place."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import torch
from jaxtyping import Float64

from snellen.doctor.evidence.results.evaluated import EvaluatedRun, Pair
from snellen.doctor.evidence.results.figures import Figure
from snellen.doctor.evidence.results.readings import (
    ALL,
    NEAR,
    Proposal,
    Reading,
    Renaming,
    chosen_pairs,
    next_images,
    reading_of,
    renamed,
    same_named,
    with_prediction,
)
from snellen.metrics import ImageObjects, match_images, mended_precision, sort_errors
from snellen.ops import box_iou
from snellen.structures import BoxTarget, Detections

__all__ = ["reading_of_boxes"]

Boxes = Float64[np.ndarray, "n 4"]
Size = tuple[int, int]
Read = Callable[[Boxes, Size], Boxes]
STRICT_IOU = 0.75  # at which displacements of a few pixels show
PLACED = 0.5  # of the objects found, from which boxes are not looked for in other frames
WELL_PLACED = 0.9  # likewise, from which they are not turned: tall objects in the middle look alike upside down
MOST_BOXES = 3  # of an image, for each truth in it, that are tried
QUICK_IMAGES = 80
QUICK_GAIN = 0.1  # of the truths that are found, from which a reading is measured
LEAST_PAIRS = 30
_BIN = 0.02  # of the logarithm of a scale
_SQUARES = tuple(range(160, 1345, 32))  # sides of the squares that networks see, pixels
# What coordinates are divided by, as a function of height and width: (for x, for y).
_UNITS: dict[str, Callable[[int, int], tuple[float, float]]] = {
    "scale": lambda _height, _width: (1.0, 1.0),
    "square": lambda height, width: (float(width), float(height)),
    "longer": lambda height, width: (float(max(height, width)),) * 2,
    "shorter": lambda height, width: (float(min(height, width)),) * 2,
}


def _stacked(*columns: np.ndarray) -> Boxes:
    return np.stack(columns, 1)


# How corners are had from what stands in the place of them; x and y of both corners, then height and width.
_FORMATS: dict[str, Read] = {
    "corner_size": lambda b, _size: _stacked(b[:, 0], b[:, 1], b[:, 0] + b[:, 2], b[:, 1] + b[:, 3]),
    "centre_size": lambda b, _size: np.concatenate([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2], 1),
    "size_as_corner": lambda b, _size: np.concatenate([b[:, :2], b[:, 2:] - b[:, :2]], 1),
    "axes": lambda b, _size: b[:, [1, 0, 3, 2]],
    "mirrored": lambda b, size: _stacked(size[1] - b[:, 2], b[:, 1], size[1] - b[:, 0], b[:, 3]),
    "upside_down": lambda b, size: _stacked(b[:, 0], size[0] - b[:, 3], b[:, 2], size[0] - b[:, 1]),
}
_TURNED = ("axes", "mirrored", "upside_down")


def reading_of_boxes(run: EvaluatedRun) -> Reading:
    """Return the other reading of boxes that fits best."""
    return reading_of(run, pairs := chosen_pairs(run, Detections, BoxTarget), _of_boxes(run, pairs))


def _of_boxes(run: EvaluatedRun, pairs: Sequence[Pair]) -> Iterator[Proposal]:
    found = renamed(_confusion(pairs, len(run.index.classes)))
    if found is not None:
        names = same_named(run.index.classes, found)
        yield Proposal(name="classes", numbers=names, read=lambda given: _with_names(given, found), least=ALL)
    quick = [pair for pair in pairs if len(_truths(pair))][:QUICK_IMAGES]
    now = _share_found(quick, lambda boxes, _size: boxes)
    if now < PLACED:
        yield from _frames(quick, now)
        yield from next_images()
    elif now < WELL_PLACED:
        turned = [(name, _FORMATS[name]) for name in _TURNED]
        yield from _clearly_better([(_share_found(quick, read), name, {}, read) for name, read in turned], now)
    yield from _displaced(run, pairs)


def _truths(pair: Pair) -> np.ndarray:
    target: BoxTarget = pair[1]  # type: ignore[assignment]  # chosen by type
    return np.asarray(target.boxes[target.valid & ~target.ignored].double().numpy())


def _best(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Return the best boxes of an image and their labels."""
    found: Detections = pair[0].prediction  # type: ignore[assignment]  # chosen by type
    most = MOST_BOXES * max(len(_truths(pair)), 1)
    return found.boxes.double().numpy()[:most], found.labels.numpy()[:most]


def _share_found(pairs: Sequence[Pair], read: Read) -> float:
    """Return the share of the truths near which one of the best boxes lies, whatever its class."""
    hits = total = 0
    for pair in pairs:
        truths = torch.from_numpy(_truths(pair))
        boxes = torch.from_numpy(np.ascontiguousarray(read(_best(pair)[0], pair[0].size)))
        total += len(truths)
        if len(boxes):
            hits += int((box_iou(boxes, truths).max(0).values >= 0.5).sum())
    return hits / max(total, 1)


def _frames(pairs: Sequence[Pair], now: float) -> Iterator[Proposal]:
    """Yield the readings under which clearly more truths lie near a box."""
    found: list[tuple[float, str, dict[str, str | int], Read]] = [
        (_share_found(pairs, read), name, {}, read) for name, read in _FORMATS.items()
    ]
    for name, unit in _UNITS.items():
        for across, down in product(*(_factors(pairs, unit, axis) for axis in (0, 1))):
            read = _scaled(unit, across, down)
            numbers: dict[str, str | int] = {"across": f"{across:.3g}", "down": f"{down:.3g}"}
            found.append((_share_found(pairs, read), name, numbers, read))
    few = pairs[: QUICK_IMAGES // 4]
    found += [
        (_share_found(few, read), "border", {"side": side}, read)
        for side, read in ((side, _unpadded(side)) for side in _SQUARES)
    ]
    yield from _clearly_better(found, now)


def _clearly_better(found: Sequence[tuple[float, str, dict[str, str | int], Read]], now: float) -> Iterator[Proposal]:
    for share, name, told, read in sorted(found, key=lambda row: -row[0])[:3]:
        if share >= now + QUICK_GAIN:
            yield Proposal(name=name, numbers=told, read=partial(_moved, read=read))


def _scaled(unit: Callable[[int, int], tuple[float, float]], across: float, down: float) -> Read:
    def read(boxes: Boxes, size: Size) -> Boxes:
        own = unit(*size)
        return np.asarray(boxes * np.array([across * own[0], down * own[1]] * 2))

    return read


def _unpadded(side: int) -> Read:
    """Return the reading of boxes in a square, in the middle of which the image lay at the largest scale that fits."""

    def read(boxes: Boxes, size: Size) -> Boxes:
        scale = side / max(size)
        border = (side - scale * np.array([size[1], size[0]] * 2)) / 2
        return (boxes - border) / scale

    return read


def _factors(pairs: Sequence[Pair], unit: Callable[[int, int], tuple[float, float]], axis: int) -> list[float]:
    """Return the two factors by which most corners of boxes would come to lie on corners of truths, along one axis.

    Source:
        Votes of all pairs in a histogram: Ballard 1981, Generalizing the Hough transform. Pairs that belong together
        agree; the others are spread.
    """
    votes = []
    for pair in pairs:
        truths, (boxes, _) = _truths(pair), _best(pair)
        own = unit(*pair[0].size)[axis]
        for corner in (axis, axis + 2):
            wanted, there = truths[:, corner] / own, boxes[:, corner]
            ratio = wanted[:, None] / np.where(np.abs(there) > 1e-9, there, np.nan)[None]
            votes.append(np.log(ratio[ratio > 0]))
    rows = np.concatenate(votes)
    if len(rows) < LEAST_PAIRS:
        return []
    places = np.floor(rows / _BIN).astype(np.int64)
    counts = np.bincount(places - places.min()).astype(np.float64)
    near = np.convolve(counts, [1, 1, 1], "same")
    wide = np.convolve(counts, np.ones(41) / 41, "same")  # what pairs that do not belong together give
    found = []
    for peak in np.argsort(wide - near)[:2].tolist():
        middle = (peak + places.min() + 0.5) * _BIN
        found.append(float(np.exp(np.median(rows[np.abs(rows - middle) <= 1.5 * _BIN]))))
    return found


def _moved(pairs: Sequence[Pair], read: Read) -> list[Pair]:
    moved = []
    for pair in pairs:
        found: Detections = pair[0].prediction  # type: ignore[assignment]  # chosen by type
        boxes = np.ascontiguousarray(read(found.boxes.double().numpy(), pair[0].size), np.float32)
        moved.append(with_prediction(pair, replace(found, boxes=torch.from_numpy(boxes), masks=None)))
    return moved


def _confusion(pairs: Sequence[Pair], number: int) -> np.ndarray:
    """Return how truths are named by the best box that lies well on them, for the two halves of the images."""
    confusion = np.zeros((2, number, number), np.int64)
    for place, pair in enumerate(pairs):
        target: BoxTarget = pair[1]  # type: ignore[assignment]  # chosen by type
        truths, (boxes, named) = _truths(pair), _best(pair)
        if not len(truths) or not len(boxes):
            continue
        well = box_iou(torch.from_numpy(boxes), torch.from_numpy(truths)).numpy() >= 0.5
        hit = well.any(0)
        wanted = target.labels[target.valid & ~target.ignored].numpy()[hit]
        np.add.at(confusion[place % 2], (wanted, named[well.argmax(0)[hit]]), 1)
    return confusion


def _with_names(pairs: Sequence[Pair], renaming: Renaming) -> list[Pair]:
    table = torch.from_numpy(renaming.means)
    found: list[Detections] = [pair[0].prediction for pair in pairs]  # type: ignore[misc]  # chosen by type
    return [
        with_prediction(pair, replace(one, labels=table[one.labels])) for pair, one in zip(pairs, found, strict=True)
    ]


def _displaced(run: EvaluatedRun, pairs: Sequence[Pair]) -> Iterator[Proposal]:
    """Yield the readings in which all boxes are moved alike, or enlarged alike, as those that found something say."""
    boxes, truths = _found(pairs)
    if len(boxes) < LEAST_PAIRS:
        return
    extent = truths[:, 2:] - truths[:, :2]
    step = np.median((boxes - truths).reshape(-1, 2, 2).mean(1), axis=0)
    grown = np.median((boxes[:, 2:] - boxes[:, :2]) / np.maximum(extent, 1e-6), axis=0)

    def strict(given: Sequence[Pair]) -> Figure:
        return _at(STRICT_IOU, given, len(run.index.classes))

    yield Proposal(
        name="boxes_moved",
        numbers={"right": f"{step[0]:+.1f}", "down": f"{step[1]:+.1f}"},
        read=lambda given: _moved(given, lambda b, _size: b - np.tile(step, 2)),
        least=NEAR,
        figure=strict,
    )
    yield Proposal(
        name="boxes_grown",
        numbers={"width": f"{100 * (grown[0] - 1):+.0f} %", "height": f"{100 * (grown[1] - 1):+.0f} %"},
        read=lambda given: _moved(given, lambda b, _size: _resized(b, 1 / grown)),
        least=NEAR,
        figure=strict,
    )


def _resized(boxes: Boxes, factors: np.ndarray) -> Boxes:
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 * factors
    return np.concatenate([centre - half, centre + half], 1)


def _found(pairs: Sequence[Pair]) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest box of each truth that one lies near, and the truth."""
    rows, wanted = [np.zeros((0, 4))], [np.zeros((0, 4))]
    for pair in pairs:
        truths, (boxes, _) = _truths(pair), _best(pair)
        if len(truths) and len(boxes):
            overlap = box_iou(torch.from_numpy(boxes), torch.from_numpy(truths)).numpy()
            near = overlap.max(0) >= 0.3  # a box that is displaced by a quarter of its size still is
            rows.append(boxes[overlap.argmax(0)[near]])
            wanted.append(truths[near])
    return np.concatenate(rows), np.concatenate(wanted)


def _at(least: float, pairs: Sequence[Pair], num_classes: int) -> Figure:
    images = [ImageObjects.of(image.prediction, truth) for image, truth in pairs]  # type: ignore[arg-type]
    errors = sort_errors(match_images(images, iou_at_least=least), num_classes=num_classes, iou_at_least=least)
    return Figure(
        name=f"AP{100 * least:.0f}",
        num_images=len(images),
        measure=lambda weights: mended_precision(errors, None, weights),
    )
