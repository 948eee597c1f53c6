"""What a classical segmenter learns from masks: looks of classes, settings, classes of sides.

Shapes: K classes, S sides, n pixels, d numbers of a pixel.
"""

from collections.abc import Iterator
from dataclasses import fields
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, UInt8
from numpy.typing import NDArray

from snellen.errors import TrainingError
from snellen.imaging.segmentation import NOTHING_TOLD, Partition
from snellen.metrics import overlap_figures
from snellen.models.segmentation.classical.appearance import fit_appearance, log_posteriors, pixel_features
from snellen.models.shallow.describing import contents
from snellen.structures import IGNORE_LABEL, Batch, Fact, FitData, MaskTarget

if TYPE_CHECKING:  # the model is what this fits, and calls it
    from snellen.models.segmentation.classical.model import ClassicalSegmenter

__all__ = ["classes_of_sides", "fit"]

_MOST_WAYS = 512  # to give classes to sides, all of which are tried
_POINTS = 40_000  # pixels of each class that its mixture is drawn from, of all images together


class _Example(NamedTuple):
    row: int
    image: UInt8[np.ndarray, "height width 3"]
    labels: UInt8[np.ndarray, "height width"]


def fit(model: "ClassicalSegmenter", data: FitData) -> dict[str, Fact]:
    """Fit a model in place; return what is worth reporting.

    Raises:
        TrainingError: If there is no pixel with a class.
    """
    counts, points, examples = _gathered(model, data)
    shares = counts / counts.sum()
    seen = (counts > 0).astype(np.float64)
    # Whoever is judged by the mean over classes does not always do best to believe in their shares.
    weightings = {"by their pixels": shares, "all alike": seen / seen.sum()}
    arrays: dict[str, NDArray[Any]] = {
        "choice": np.zeros(1, dtype=np.int64),
        "shares": shares,
        **fit_appearance(points, model.appearance, seed=data.seed),
    }
    model.fitted.take(arrays)
    scores = _scores(model, examples, list(weightings.values()), data)
    weighting, choice = np.unravel_index(int(np.argmax(scores)), scores.shape)
    counted, weights = list(weightings.items())[int(weighting)]
    arrays |= {"choice": np.array([int(choice)]), "shares": weights}
    model.fitted.take(arrays)
    side_counts = _side_counts(model, data)
    if side_counts is not None:
        arrays |= {"side_shares": _shares_of_sides(side_counts), "side_classes": classes_of_sides(side_counts)}
        model.fitted.take(arrays)
    used = model.used_settings()
    return {
        "settings": ", ".join(f"{each.name}={getattr(used, each.name)}" for each in fields(used)),
        "classes count": counted,
        "compared": f"{scores.size} choices on {len(examples)} training images",
        "their mean IoU": float(scores.max()),
    }


def _examples(data: FitData) -> Iterator[_Example]:
    for batch in data.batches():
        targets = batch.targets
        if not isinstance(targets, MaskTarget):
            raise TrainingError(f"a segmenter learns from masks; got {type(targets).__name__}. Check the data set.")
        yield from _of_batch(batch, targets)


def _of_batch(batch: Batch, targets: MaskTarget) -> Iterator[_Example]:
    for place, content in enumerate(contents(batch.images, None)):
        height, width = content.shape[1:]
        yield _Example(
            row=int(batch.indices[place]),
            image=content.permute(1, 2, 0).contiguous().numpy(),  # [3, h, w] -> [h, w, 3]
            labels=targets.labels[place, :height, :width].cpu().numpy(),
        )


def _gathered(
    model: "ClassicalSegmenter", data: FitData
) -> tuple[Int64[np.ndarray, " K"], list[NDArray[np.float32]], list[_Example]]:
    """Return the pixels of each class: their number, and the looks of some; and images to compare settings on."""
    counts = np.zeros(model.num_classes, dtype=np.int64)
    points: list[list[NDArray[np.float32]]] = [[] for _ in range(model.num_classes)]
    most = max(1, _POINTS // max(data.num_images, 1))
    wanted = set(np.linspace(0, data.num_images - 1, min(model.choosing.images, data.num_images)).round().astype(int))
    chosen: list[_Example] = []
    for number, example in enumerate(_examples(data)):
        features = pixel_features(example.image, model.appearance)
        generator = np.random.default_rng((data.seed, example.row))
        for label in np.unique(example.labels[example.labels != IGNORE_LABEL]):
            own = features[example.labels == label]
            counts[label] += len(own)
            points[label].append(own if len(own) <= most else own[generator.choice(len(own), most, replace=False)])
        if number in wanted:
            chosen.append(example)
        data.progress("looks of classes", number + 1, data.num_images)
    if not counts.sum():
        raise TrainingError(
            "a segmenter expects training images with classes; not one pixel has one. Check the masks and the split."
        )
    empty = np.zeros((0, 1), dtype=np.float32)
    return counts, [np.concatenate(some) if some else empty for some in points], chosen


def _scores(
    model: "ClassicalSegmenter", examples: list[_Example], weightings: list[Float64[np.ndarray, " K"]], data: FitData
) -> Float64[np.ndarray, "weightings choices"]:
    """Return the mean IoU of every choice of settings, under each weighting of the classes."""
    arrays = model.fitted.arrays()
    choices = model.choices()
    counts = [[_Counts(model.num_classes) for _ in choices] for _ in weightings]
    for number, example in enumerate(examples):
        for shares, its_counts in zip(weightings, counts, strict=True):
            looks = log_posteriors(example.image, {**arrays, "shares": shares}, model.appearance)
            hints = model.guided(NOTHING_TOLD, looks)
            for settings, of_choice in zip(choices, its_counts, strict=True):
                of_choice.add(model, model.method.cut(example.image, settings, hints), looks, example.labels)
        data.progress("comparing settings", number + 1, len(examples))
    return np.array([[of_choice.score() for of_choice in row] for row in counts])


class _Counts:
    """How often regions that were given a class have it, over images; for sides, how often each has which class."""

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.confusion = np.zeros((num_classes, num_classes), dtype=np.int64)
        self.of_sides = np.zeros((0, num_classes), dtype=np.int64)

    def add(
        self,
        model: "ClassicalSegmenter",
        partition: Partition,
        looks: Float64[np.ndarray, "K height width"],
        labels: UInt8[np.ndarray, "height width"],
    ) -> None:
        """Add an image."""
        if _has_free_sides(model, partition):
            self.of_sides = _added(self.of_sides, _pairs(partition.side_map(), labels, self.num_classes))
        else:
            found = _pairs(model.named(partition, looks).labels, labels, self.num_classes)
            self.confusion[:, : len(found)] += found.T

    def score(self) -> float:
        """Return the mean IoU of the classes that occur."""
        if len(self.of_sides):
            return _mean_iou(self.of_sides, classes_of_sides(self.of_sides))
        return float(np.nanmean(overlap_figures(self.confusion).iou))


def classes_of_sides(counts: Int64[np.ndarray, "S K"]) -> Int64[np.ndarray, " S"]:
    """Return the class of each side that makes the mean IoU largest.

    A rare class may be on no side the most frequent one, and yet best be told by one of them. Where there are too many
    ways to give classes to sides, each side's most frequent class is changed as long as that helps.

    Args:
        counts: Pixels on each side and of each class.
    """
    num_sides, num_classes = counts.shape
    if num_classes**num_sides <= _MOST_WAYS:
        ways = product(range(num_classes), repeat=num_sides)
        best = max(ways, key=lambda way: _mean_iou(counts, np.array(way)))
        return np.array(best, dtype=np.int64)
    classes = counts.argmax(axis=1).astype(np.int64)
    score = _mean_iou(counts, classes)
    improves = True
    while improves:
        improves = False
        for side, label in np.ndindex(counts.shape):
            changed = classes.copy()
            changed[side] = label
            its_score = _mean_iou(counts, changed)
            if its_score > score:
                classes, score, improves = changed, its_score, True
    return np.asarray(classes)


def _mean_iou(counts: Int64[np.ndarray, "S K"], classes: NDArray[np.integer]) -> float:
    confusion = np.zeros((counts.shape[1], counts.shape[1]), dtype=np.int64)
    np.add.at(confusion.T, classes, counts)
    return float(np.nanmean(overlap_figures(confusion).iou))


def _has_free_sides(model: "ClassicalSegmenter", partition: Partition) -> bool:
    """Return whether the sides of a partition mean the same in every image, and no class yet."""
    return partition.sides is not None and not model.method.is_guided


def _pairs(
    sides: NDArray[np.integer], labels: UInt8[np.ndarray, "height width"], num_classes: int
) -> Int64[np.ndarray, "S K"]:
    """Return how many pixels are on each side and of each class; ignored ones count for nothing."""
    known = labels != IGNORE_LABEL
    flat = sides[known].astype(np.int64) * num_classes + labels[known]
    number = int(sides.max(initial=0)) + 1
    return np.bincount(flat, minlength=number * num_classes).reshape(number, num_classes)


def _added(one: Int64[np.ndarray, "S K"], other: Int64[np.ndarray, "Z K"]) -> Int64[np.ndarray, "most K"]:
    """Return the sum of two tables of which one may have more rows."""
    total = np.zeros((max(len(one), len(other)), other.shape[1]), dtype=np.int64)
    total[: len(one)] += one
    total[: len(other)] += other
    return total


def _side_counts(model: "ClassicalSegmenter", data: FitData) -> Int64[np.ndarray, "S K"] | None:
    """Return how often each side has which class on all training images; None if sides mean nothing of their own."""
    counts = np.zeros((0, model.num_classes), dtype=np.int64)
    for number, example in enumerate(_examples(data)):
        partition = model.method.cut(example.image, model.used_settings(), NOTHING_TOLD)
        if not _has_free_sides(model, partition):
            return None
        counts = _added(counts, _pairs(partition.side_map(), example.labels, model.num_classes))
        data.progress("classes of sides", number + 1, data.num_images)
    return counts


def _shares_of_sides(counts: Int64[np.ndarray, "S K"]) -> Float64[np.ndarray, "S K"]:
    """Return the share of each class on each side; one more pixel of each class keeps what never was from being 0."""
    smoothed = counts + 1.0
    return np.asarray(smoothed / smoothed.sum(axis=1, keepdims=True))
