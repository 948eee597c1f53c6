"""Fitting of the HOG detector: objects, random windows, and windows that were taken for objects."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from snellen.errors import ConfigError, TrainingError
from snellen.imaging import count_windows
from snellen.models.detection.fitting import NegativeCache
from snellen.models.detection.hog_windows import (
    HogSettings,
    WindowLayout,
    WindowLevel,
    crop_objects,
    fit_layout,
    is_fitting,
    picked_boxes,
    window_levels,
)
from snellen.models.detection.rpn import lies_in_ignored
from snellen.ops import box_iou
from snellen.structures import BoxTarget, Fact, FitData, ImageBatch

__all__ = ["HogFit"]

LOOKED_AT = 2000  # best windows of each class and level among which a scan finds the hard ones that hold no object
COUNTED_IMAGES = 8  # on which is counted how many windows hold an object


class HogFit:
    """One fit of the detector, its examples, and what is worth reporting.

    Args:
        num_classes: K.
        settings: Of the detector.
        data: The training images.

    Attributes:
        layout: The windows that suit the objects.
        weight: Kernels, [K, depth, blocks, blocks], zero outside a class's window.
        bias: [K].
        has_template: False for classes without an object to learn from.
        facts: What is worth reporting.
    """

    layout: WindowLayout
    has_template: Bool[Tensor, " K"]

    def __init__(self, num_classes: int, settings: HogSettings, data: FitData) -> None:
        self.settings = settings
        self.data = data
        self.weight = torch.zeros(
            num_classes, settings.hog.depth, settings.max_blocks, settings.max_blocks, device=data.device
        )
        self.bias = torch.zeros(num_classes, device=data.device)
        self.caches: list[NegativeCache] = []
        self.facts: dict[str, Fact] = {}

    def run(self) -> dict[str, Fact]:
        """Do everything and return the facts.

        Raises:
            TrainingError: If there is no object to learn from.
        """
        self.choose_windows()
        self.collect_objects()
        for turn in range(self.settings.mining_rounds + 1):
            self.scan(turn)
        return self.facts

    def _images(self, what: str) -> Iterator[tuple[int, ImageBatch, BoxTarget]]:
        """Yield the images one by one, cut to their content, with what they hold."""
        done = 0
        for batch in (each.to(self.data.device) for each in self.data.batches()):
            if not isinstance(batch.targets, BoxTarget):
                raise ConfigError(f"a detector learns from BoxTarget; got {type(batch.targets).__name__}.")
            for index, (height, width) in enumerate(batch.images.sizes.tolist()):
                one = slice(index, index + 1)
                images = ImageBatch(
                    pixels=batch.images.pixels[one, :, :height, :width],
                    sizes=batch.images.sizes[one],
                    original_sizes=batch.images.original_sizes[one],
                )
                yield done, images, batch.targets.map(partial(_rows, rows=one))
                done += 1
                self.data.progress(what, done, self.data.num_images)

    def choose_windows(self) -> None:
        """Set each class's window from its objects."""
        found: list[list[Tensor]] = [[] for _ in self.bias]
        for _, _, target in self._images("sizes of objects"):
            boxes, labels = _wanted(target)
            for label in set(labels.tolist()):
                found[label].append((boxes[:, 2:] - boxes[:, :2]).flip(1)[labels == label].cpu())
        if not any(found):
            raise TrainingError(
                "the HOG detector expects objects to learn from; the training images hold none that is neither ignored "
                "nor of zero area. Check the labels."
            )
        self.layout = fit_layout([torch.cat([torch.zeros(0, 2), *rows]) for rows in found], self.settings)

    def collect_objects(self) -> None:
        """Cut the objects out, each in the window of its class, and leave out those whose shape does not fit."""
        found: list[list[np.ndarray]] = [[] for _ in self.bias]
        left_out, cells, settings = 0, self.layout.object_cells, self.settings
        for _, images, target in self._images("objects"):
            boxes, labels = _wanted(target)
            pixels = images.pixels[0].float() / 255
            for label in set(labels.tolist()):
                of_class = boxes[labels == label]
                sizes = (of_class[:, 2:] - of_class[:, :2]).flip(1)
                fits = is_fitting(sizes, cells[label], fits_from=settings.fits_from)
                left_out += int((~fits).sum())
                if fits.any():
                    found[label].append(self._features_of(pixels, of_class[fits], cells[label]))
        for label, (rows, columns) in enumerate(self.layout.blocks(settings)):
            none = np.zeros((0, settings.hog.depth * rows * columns), np.float32)
            positives = np.concatenate([none, *found[label]])
            self.caches.append(NegativeCache(label, positives, settings.mining, seed=self.data.seed))
        self.has_template = torch.tensor([len(cache.positives) > 0 for cache in self.caches])
        self.facts["objects"] = sum(len(cache.positives) for cache in self.caches)
        self.facts["objects of a shape that no window fits"] = left_out

    def _features_of(self, pixels: Tensor, boxes: Tensor, cells: tuple[int, int]) -> np.ndarray:
        crops = [crop_objects(pixels, boxes, cells, self.settings)]
        if self.settings.has_mirrored:
            mirrored = boxes * boxes.new_tensor([-1, 1, -1, 1]) + boxes.new_tensor([1, 0, 1, 0]) * pixels.shape[2]
            crops.append(crop_objects(pixels.flip(2), mirrored[:, [2, 1, 0, 3]], cells, self.settings))
        features: np.ndarray = torch.cat(crops).flatten(1).cpu().numpy()
        return features

    def scan(self, turn: int) -> None:
        """Look through all images for negatives, random ones in turn 0 and hard ones later, and retrain."""
        settings, labels = self.settings, [c.label for c in self.caches if len(c.positives)]
        limit = self._limit_per_image(turn)
        mistakes = windows = counted = on_objects = 0
        for done, images, target in self._images(f"hard negatives, round {turn}" if turn else "random negatives"):
            levels = list(window_levels(images, self.layout, self.weight, self.bias, settings))
            windows += sum(int(level.inside[:, labels].sum()) for level in levels)
            if turn == 0 and done < COUNTED_IMAGES:
                for level in levels:
                    count = _count(level, target, labels)
                    counted, on_objects = counted + count[0], on_objects + count[1]
            generator = torch.Generator().manual_seed(hash((self.data.seed, turn, done)))
            picked = _Negatives.of(levels, target, settings, limit=limit, is_hard=turn > 0, generator=generator)
            mistakes += int((picked.mistakes[labels]).sum())
            for label in labels:
                self._take(levels, picked, label, key=(turn << 48) + (done << 24))
        for label in labels:
            self.caches[label].retrain(self.data.num_images)
        self._load()
        images_seen = max(1, self.data.num_images)
        if turn == 0:
            self.facts["windows per image"] = round(windows / images_seen)
            self.facts["windows on an object per 1000"] = round(1000 * on_objects / max(1, counted), 2)
        else:
            before = f"after round {turn - 1}" if turn > 1 else "before mining"
            self.facts[f"windows per image wrongly taken for objects, {before}"] = round(mistakes / images_seen, 2)
        self.facts["negatives"] = sum(len(self.caches[label].negatives) for label in labels)
        self.facts["classes whose SVM did not converge"] = sum(
            not self.caches[label].classifier.is_converged for label in labels
        )

    def _limit_per_image(self, turn: int) -> int:
        settings, num_images = self.settings, max(1, self.data.num_images)
        row_bytes: int = 4 * sum(cache.positives.shape[1] for cache in self.caches)
        room = settings.memory_bytes // (row_bytes * (settings.mining_rounds + 1) * num_images)
        if turn == 0:
            return max(1, min(room, settings.random_per_image))
        return max(1, min(room, settings.hard_per_image, math.ceil(settings.hard_per_class / num_images)))

    def _take(self, levels: list[WindowLevel], picked: "_Negatives", label: int, *, key: int) -> None:
        """Add the picked windows of a class to its cache."""
        rows, columns = self.layout.blocks(self.settings)[label]
        found = []
        for level, place in picked.places[label]:
            blocks = levels[level].blocks[0]
            top, left = divmod(place, blocks.shape[2])
            found.append(blocks[:, top : top + rows, left : left + columns].flatten())
        if found:
            features: np.ndarray = torch.stack(found).cpu().numpy()
            self.caches[label].add(features, key + np.arange(len(features)), takes_all=True)

    def _load(self) -> None:
        """Lay the SVMs out as kernels of a convolution."""
        depth = self.settings.hog.depth
        for cache, (rows, columns) in zip(self.caches, self.layout.blocks(self.settings), strict=True):
            weight = torch.from_numpy(cache.classifier.weight).view(depth, rows, columns)
            self.weight[cache.label, :, :rows, :columns] = weight.to(self.weight)
            self.bias[cache.label] = cache.classifier.bias


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Negatives:
    """Windows of one image that teach something.

    Attributes:
        places: Of each class: level, and place in the level.
        mistakes: Windows of each class that hold no object and were taken for one.
    """

    places: list[list[tuple[int, int]]]
    mistakes: Int64[Tensor, " K"]

    @classmethod
    def of(
        cls,
        levels: list[WindowLevel],
        target: BoxTarget,
        settings: HogSettings,
        *,
        limit: int,
        is_hard: bool,
        generator: torch.Generator,
    ) -> "_Negatives":
        """Return up to ``limit`` windows of each class, drawn among all or among the hard ones.

        Drawn, and not the very hardest: those are neighbours of one another, and an SVM that sees little else unlearns
        its objects.
        """
        scores, boxes, places, level_of = [], [], [], []
        for number, level in enumerate(levels):
            margins = level.margins[0]
            score = margins if is_hard else torch.rand(margins.shape, generator=generator).to(margins)
            best, index = score.masked_fill(~level.inside[0], -torch.inf).topk(min(LOOKED_AT, score.shape[1]), dim=1)
            scores.append(best)
            boxes.append(picked_boxes(level.boxes, index[None])[0])
            places.append(index)
            level_of.append(torch.full_like(index, number))
        score, box = torch.cat(scores, dim=1), torch.cat(boxes, dim=1)
        label = torch.arange(len(score), device=score.device)[:, None]
        of_class = (target.labels == label) & target.valid
        near = (box_iou(box, target.boxes) >= settings.negative_below) & of_class[:, None]
        score = score.masked_fill(near.any(dim=2) | lies_in_ignored(box, target), -torch.inf)
        is_wanted = score > (settings.hard_above if is_hard else -torch.inf)
        drawn = torch.rand(score.shape, generator=generator).to(score).masked_fill(~is_wanted, -torch.inf)
        best, index = drawn.topk(min(limit, drawn.shape[1]), dim=1)
        columns = [torch.cat(part, dim=1).gather(1, index) for part in (level_of, places)]
        pairs = torch.stack(columns, dim=2)
        return cls(
            places=[
                [(a, b) for a, b in rows[keep].tolist()] for rows, keep in zip(pairs, best > -torch.inf, strict=True)
            ],
            mistakes=(score > 0).sum(dim=1),
        )


def _rows(values: Tensor, *, rows: slice) -> Tensor:
    return values[rows]


def _wanted(target: BoxTarget) -> tuple[Float[Tensor, "n 4"], Int64[Tensor, " n"]]:
    """Return boxes and labels of the objects of one image that are worth learning."""
    boxes, labels = target.boxes[0], target.labels[0]
    keep = target.valid[0] & ~target.ignored[0] & ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(dim=1)
    return boxes[keep], labels[keep]


def _count(level: WindowLevel, target: BoxTarget, labels: list[int]) -> tuple[int, int]:
    """Return how many windows of a level are looked at and how many of them hold an object of their class."""
    evaluated = on_objects = 0
    for label in labels:
        count = count_windows(
            level.boxes[label], level.inside[:, label], target.boxes, target.valid & (target.labels == label)
        )
        evaluated, on_objects = evaluated + int(count.evaluated), on_objects + int(count.on_objects)
    return evaluated, on_objects
