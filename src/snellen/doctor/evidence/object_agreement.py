"""Whether boxes agree with what images show, judged by models that have not seen the image.

A small detector is made of vectors of regions: a logistic regression names them (a class, or background), and a ridge
regression says where the object is that a region lies near. Each image is judged by the models of the other folds: its
labelled boxes, and a dense grid of windows in which objects may have been overlooked.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from snellen.data import BoxTable, DatasetIndex
from snellen.data.tables import CROWD, DIFFICULT
from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.agreement import image_groups
from snellen.doctor.evidence.copies import ImageCopies
from snellen.doctor.evidence.embeddings import PretrainedBackbone
from snellen.doctor.evidence.folds import classifier, grouped_folds
from snellen.doctor.evidence.images import ImageFacts, ScanSettings
from snellen.doctor.evidence.loop_parts import Deep
from snellen.doctor.evidence.regions import RegionMaps, readable_image, region_reader
from snellen.doctor.words import Text
from snellen.ops import box_iou, kept_by_nms

__all__ = ["ObjectAgreement", "agreement_of_objects"]

FEWEST_OBJECTS = 60
FEWEST_IMAGES = 20
MOST_IMAGES = 1500  # that are looked at
MOST_OBJECTS = 12_000
LEAST_SIDE_PX = 2.0  # of a box that shows anything
FOLDS = 3
SHAPES = 4  # of windows
STEP = 0.35  # of a window's sides, from one window to the next
MOST_WINDOWS = 500  # of one shape in an image
NEGATIVES = 3.0  # windows of background for each object, and ...
LEAST_NEGATIVES = 30  # ... for each image
BACKGROUND_IOU = 0.3  # below it a window shows background; Girshick et al. 2014, section 2.3
OBJECT_IOU = 0.7  # from it on a shaken box still shows its object
SHAKES = 4  # of each object
SHAKEN = 0.35  # of a side, and of its logarithm, at most
KEPT = 120  # windows of an image that are refined
REFINED = 2  # times
SAME_OBJECT = 0.4  # IoU of two detections of one object
LEAST_SCORE = 0.4  # of a detection that is kept; 0.5 is as likely background as an object
STRENGTH = 1e-3  # inverse regularisation of the logistic regression per 3000 rows; see ``folds``
RIDGE = 30.0  # per 1000 rows
LARGEST_STEP = 0.6  # of a side or its logarithm, that a box is moved at one time

Boxes = NDArray[np.float32]
Rows = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class ObjectAgreement:
    """Out-of-fold answers; ``m`` is the number of labelled objects, ``q`` that of detections, ``K`` of classes.

    Attributes:
        is_judged: Which objects were looked at: not crowds nor difficult ones, nor images beyond the limit; ``[m]``.
        probs: Of each class and, last, of background, at the labelled box; ``[m, K + 1]``.
        fitted: Where the object seems to be, ``[m, 4]``.
        fitted_probs: The same as ``probs`` there.
        boxes: Detections, ``[q, 4]``.
        scores: Probability of each class and of background, ``[q, K + 1]``.
        images: Rows of the index, ``[q]``.
        looked_at: Rows of the index.
        told_from_background: Area under the curve by which labelled boxes are told from windows that hold none.
        usual_background: Median probability of background in windows that hold no labelled object.
        origin: Name of the network; empty where no weights were given.
    """

    ABSENT = Text(en="objects are looked at where there are boxes", zh="只有带框的数据才检查目标")

    is_judged: NDArray[np.bool_]
    probs: Floats
    fitted: Boxes
    fitted_probs: Floats
    boxes: Boxes
    scores: Floats
    images: Rows
    looked_at: Rows
    told_from_background: float
    usual_background: float
    origin: str


def agreement_of_objects(
    index: DatasetIndex,
    facts: ImageFacts,
    copies: ImageCopies,
    backbone: PretrainedBackbone | None,
    settings: ScanSettings | None,
    deep: Deep,
) -> ObjectAgreement:
    """Judge the boxes of each image by models of the others.

    Raises:
        NotCheckable: If there are no boxes, or too few.
    """
    del deep  # describing thousands of regions takes minutes
    table = index.annotations
    if not isinstance(table, BoxTable):
        raise NotCheckable(ObjectAgreement.ABSENT)
    return _Judging(index, table, facts, image_groups(index, copies), backbone, settings).result()


class _Models:
    """What names regions and moves boxes, fitted on some folds."""

    def __init__(self, vectors: Floats, kinds: Rows, offsets: Floats, num_kinds: int) -> None:
        named = kinds >= 0
        self._kinds = np.unique(kinds[named])
        self._num_kinds = num_kinds
        self._names = classifier(vectors[named], kinds[named], STRENGTH)
        # Background is given the weight of all objects together, whatever number of windows was drawn.
        is_background = kinds[named] == num_kinds - 1
        self._odds = (~is_background).sum() / max(1, is_background.sum())
        near = np.isfinite(offsets).all(1)
        design = _with_one(vectors[near])
        weight = RIDGE * near.sum() / 1000
        square = design.T @ design + weight * np.eye(design.shape[1], dtype=np.float32)
        square[-1, -1] -= weight
        self._moves = np.linalg.solve(square, design.T @ offsets[near]).astype(np.float32)

    def probs(self, vectors: Floats) -> Floats:
        found: Floats = np.zeros((len(vectors), self._num_kinds), np.float32)
        if len(vectors):
            found[:, self._kinds] = self._names.predict_proba(vectors)
            found[:, -1] *= self._odds
            found /= found.sum(1, keepdims=True)
        return found

    def moved(self, boxes: Boxes, vectors: Floats) -> Boxes:
        steps = (_with_one(vectors) @ self._moves).clip(-LARGEST_STEP, LARGEST_STEP)
        return _shifted(boxes, np.asarray(steps, np.float32))


def _with_one(vectors: Floats) -> Floats:
    return np.concatenate([vectors, np.ones((len(vectors), 1), np.float32)], axis=1)


class _Judging:
    def __init__(
        self,
        index: DatasetIndex,
        table: BoxTable,
        facts: ImageFacts,
        groups: Rows,
        backbone: PretrainedBackbone | None,
        settings: ScanSettings | None,
    ) -> None:
        self.index, self.table, self.groups, self.settings = index, table, groups, settings
        self.chance = np.random.default_rng(0)
        self.num_classes = len(index.classes)
        sides = table.boxes[:, 2:] - table.boxes[:, :2]
        self.is_usable = (sides.min(1, initial=np.inf) >= LEAST_SIDE_PX) & np.isfinite(table.boxes).all(1)
        self.is_usable &= (table.flags & (CROWD | DIFFICULT)) == 0
        self.sizes = np.stack([facts.height, facts.width], axis=1)
        self.rows = self._chosen(np.flatnonzero(facts.is_readable))
        self.shapes = _shapes(sides[self.is_usable], self.chance)
        self.origin = "" if backbone is None else backbone.name
        self.reader = region_reader(index, self.rows, [self._sampled(row)[0] for row in self.rows.tolist()], backbone)

    def _chosen(self, readable: Rows) -> Rows:
        """Return the images that are looked at; those with objects, so many that their number stays bounded."""
        order = self.chance.permutation(readable)[:MOST_IMAGES]
        counts = np.array([int(self.is_usable[self.table.rows(row)].sum()) for row in order.tolist()])
        order = order[: max(1, int((np.cumsum(counts) <= MOST_OBJECTS).sum()))]
        number = int(counts[: len(order)].sum())
        if len(order) < FEWEST_IMAGES or number < FEWEST_OBJECTS:
            raise NotCheckable(Text(
                en=f"{FEWEST_OBJECTS} objects in {FEWEST_IMAGES} readable images are needed; there are {number} in "
                f"{len(order)}",
                zh=f"至少需要 {FEWEST_IMAGES} 张可读图像和 {FEWEST_OBJECTS} 个目标；现有 {len(order)} 张、{number} 个",
            ))  # fmt: skip
        return np.sort(order)

    def result(self) -> ObjectAgreement:
        number = len(self.table.boxes)
        folds = self._folds()
        models = self._fitted(folds)
        judged = np.zeros(number, np.bool_)
        probs, fitted_probs = (np.zeros((number, self.num_classes + 1), np.float32) for _ in range(2))
        fitted = self.table.boxes.copy()
        found: list[tuple[Boxes, Floats, Rows]] = []
        for place, (row, maps) in enumerate(self._maps()):
            model = models[folds[self.rows.searchsorted(row)]]
            own = np.arange(number)[self.table.rows(row)]
            own = own[self.is_usable[own]]
            vectors = self.reader.vectors(maps, self.table.boxes[own])
            judged[own], probs[own] = True, model.probs(vectors)
            if len(own):
                fitted[own], fitted_probs[own] = self._refined(model, maps, self.table.boxes[own], vectors)
            boxes, scores = self._detected(model, maps, row)
            found.append((boxes, scores, np.full(len(boxes), row, np.int64)))
            self._tell(len(self.rows) + place + 1)
        return ObjectAgreement(
            is_judged=judged,
            probs=probs,
            fitted=fitted,
            fitted_probs=fitted_probs,
            boxes=np.concatenate([part[0] for part in found]),
            scores=np.concatenate([part[1] for part in found]),
            images=np.concatenate([part[2] for part in found]),
            looked_at=self.rows,
            told_from_background=self.told_from_background,
            usual_background=self.usual_background,
            origin=self.origin,
        )

    def _folds(self) -> Rows:
        counts = self.table.class_counts(self.num_classes)[self.rows]
        return grouped_folds(counts.argmax(1), self.groups[self.rows], FOLDS)

    def _maps(self) -> Iterator[tuple[int, RegionMaps]]:
        for row in self.rows.tolist():
            image = readable_image(self.index, row)
            if image is not None:
                yield row, self.reader.maps(image)

    def _fitted(self, folds: Rows) -> list[_Models]:
        """Return models of each fold, that have not seen it."""
        gathered: list[tuple[Floats, Rows, Floats, Rows]] = []
        for place, (row, maps) in enumerate(self._maps()):
            boxes, kinds, offsets = self._sampled(row)
            vectors = self.reader.vectors(maps, boxes)
            fold = np.full(len(boxes), folds[self.rows.searchsorted(row)])
            gathered.append((vectors, kinds, offsets, fold))
            self._tell(place + 1)
        vectors, kinds, offsets, fold = (np.concatenate(parts) for parts in zip(*gathered, strict=True))
        models = [
            _Models(vectors[fold != held], kinds[fold != held], offsets[fold != held], self.num_classes + 1)
            for held in range(FOLDS)
        ]
        self.told_from_background, self.usual_background = _told_apart(models, vectors, kinds, fold, self.num_classes)
        return models

    def _sampled(self, row: int) -> tuple[Boxes, Rows, Floats]:
        """Return boxes to learn from: objects, shaken objects and background, with their kinds and offsets.

        A kind is a class, K for background, -1 for what is neither; offsets are NaN where there is no object near.
        """
        chance = np.random.default_rng(row)
        everything = self.table.boxes[self.table.rows(row)]
        usable = self.is_usable[self.table.rows(row)]
        own, labels = everything[usable], self.table.labels[self.table.rows(row)][usable].astype(np.int64)
        shakes = chance.uniform(-SHAKEN, SHAKEN, (len(own) * SHAKES, 4)).astype(np.float32)
        targets, target_labels = np.repeat(own, SHAKES, axis=0), np.repeat(labels, SHAKES)
        shaken = _shifted(targets, shakes)
        alike = box_iou(torch.from_numpy(shaken), torch.from_numpy(targets)).diagonal().numpy()
        windows = self._windows(row)
        overlap = _overlap(windows, everything)
        empty = windows[overlap.max(1, initial=0.0) < BACKGROUND_IOU]
        number = max(LEAST_NEGATIVES, int(NEGATIVES * len(own)))
        empty = empty[chance.permutation(len(empty))[:number]]
        boxes = np.concatenate([own, shaken, empty])
        kinds = np.concatenate([
            labels, np.where(alike >= OBJECT_IOU, target_labels, -1), np.full(len(empty), self.num_classes)
        ])  # fmt: skip
        offsets = np.full((len(boxes), 4), np.nan, np.float32)
        offsets[: len(own)] = 0
        offsets[len(own) : len(own) + len(shaken)] = _offsets(shaken, targets)
        return boxes, kinds, offsets

    def _windows(self, row: int) -> Boxes:
        height, width = self.sizes[row].tolist()
        grids = []
        for wide, high in self.shapes.tolist():
            room = max(1.0, height - high * 0.7), max(1.0, width - wide * 0.7)
            coarser = max(1.0, np.sqrt(room[0] * room[1] / (STEP**2 * wide * high) / MOST_WINDOWS))
            tops = np.arange(-0.15 * high, height - 0.5 * high, STEP * high * coarser)
            lefts = np.arange(-0.15 * wide, width - 0.5 * wide, STEP * wide * coarser)
            left, top = (part.reshape(-1) for part in np.meshgrid(lefts, tops))
            grids.append(np.stack([left, top, left + wide, top + high], axis=1))
        boxes = np.concatenate(grids).astype(np.float32)
        boxes[:, ::2] = boxes[:, ::2].clip(0, width)
        boxes[:, 1::2] = boxes[:, 1::2].clip(0, height)
        return np.asarray(boxes[(boxes[:, 2:] - boxes[:, :2]).min(1, initial=np.inf) >= LEAST_SIDE_PX])

    def _refined(self, model: _Models, maps: RegionMaps, boxes: Boxes, vectors: Floats) -> tuple[Boxes, Floats]:
        for _ in range(REFINED):
            boxes = model.moved(boxes, vectors)
            vectors = self.reader.vectors(maps, boxes)
        return boxes, model.probs(vectors)

    def _detected(self, model: _Models, maps: RegionMaps, row: int) -> tuple[Boxes, Floats]:
        windows = self._windows(row)
        vectors = self.reader.vectors(maps, windows)
        objectness = 1 - model.probs(vectors)[:, -1]
        best = np.argsort(-objectness, kind="stable")[:KEPT]
        boxes, probs = self._refined(model, maps, windows[best], vectors[best])
        height, width = self.sizes[row].tolist()
        boxes[:, ::2] = boxes[:, ::2].clip(0, width)
        boxes[:, 1::2] = boxes[:, 1::2].clip(0, height)
        score = 1 - probs[:, -1]
        score[(boxes[:, 2:] - boxes[:, :2]).min(1, initial=np.inf) < LEAST_SIDE_PX] = 0
        boxes, probs, score = (part[score >= LEAST_SCORE] for part in (boxes, probs, score))
        kept = kept_by_nms(
            torch.from_numpy(boxes), torch.from_numpy(score), torch.zeros(len(boxes), dtype=torch.int64),
            iou_above=SAME_OBJECT, num_groups=1,
        ).numpy()  # fmt: skip
        return boxes[kept], probs[kept]

    def _tell(self, done: int) -> None:
        if self.settings is not None and self.settings.on_progress is not None:
            self.settings.on_progress(done, 2 * len(self.rows))


def _told_apart(
    models: list[_Models], vectors: Floats, kinds: Rows, folds: Rows, background: int
) -> tuple[float, float]:
    from scipy.stats import rankdata  # noqa: PLC0415 - takes a while to import

    score = np.concatenate([1 - model.probs(vectors[folds == held])[:, -1] for held, model in enumerate(models)])
    kind = np.concatenate([kinds[folds == held] for held in range(len(models))])
    positive, negative = (kind >= 0) & (kind < background), kind == background
    chosen = positive | negative
    ranks = rankdata(score[chosen])
    count = int(positive.sum())
    least = count * (count + 1) / 2
    area = float((ranks[positive[chosen]].sum() - least) / max(1, count * int(negative.sum())))
    return area, 1 - float(np.median(score[negative])) if negative.any() else 1.0


def _shapes(sides: Floats, chance: np.random.Generator) -> Floats:
    """Return widths and heights that stand for all boxes, ``[shapes, 2]``: k-means of their logarithms."""
    logs = np.log(sides[chance.permutation(len(sides))[:5000]].astype(np.float64))
    centers = logs[np.argsort(logs.sum(1))][np.linspace(0, len(logs) - 1, SHAPES).astype(int)]
    for _ in range(20):
        nearest = ((logs[:, None] - centers) ** 2).sum(2).argmin(1)
        for place in range(SHAPES):
            if (nearest == place).any():
                centers[place] = logs[nearest == place].mean(0)
    return np.unique(np.exp(centers), axis=0).astype(np.float32)


def _shifted(boxes: Boxes, steps: Floats) -> Boxes:
    """Return boxes moved by shares of their sides, and grown by logarithms of them."""
    sides = boxes[:, 2:] - boxes[:, :2]
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2 + steps[:, :2] * sides
    halves = sides * np.exp(steps[:, 2:]) / 2
    return np.concatenate([centers - halves, centers + halves], axis=1).astype(np.float32)


def _offsets(boxes: Boxes, targets: Boxes) -> Floats:
    sides, wanted = boxes[:, 2:] - boxes[:, :2], targets[:, 2:] - targets[:, :2]
    way = (targets[:, :2] + targets[:, 2:] - boxes[:, :2] - boxes[:, 2:]) / 2 / sides
    return np.concatenate([way, np.log(wanted / sides)], axis=1).astype(np.float32)


def _overlap(first: Any, second: Any) -> Floats:
    return np.asarray(box_iou(torch.from_numpy(first), torch.from_numpy(np.ascontiguousarray(second))).numpy())
