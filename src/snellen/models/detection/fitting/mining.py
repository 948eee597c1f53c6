"""Hard negative mining: the negatives that teach something are those that the SVM gets wrong.

Shapes: n regions of one image, d features, K classes.

A hard negative is background that scores high, whatever its overlap with an object. The bands of overlap that are
sometimes given for it (0.1-0.5, under 0.1) belong to Fast R-CNN's sampling and are no definition.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from snellen.errors import InputError
from snellen.models.detection.fitting.svm import LinearClassifier, LinearSvms, SvmSettings, fit_linear_svm
from snellen.structures import TensorRecord

__all__ = ["MiningRound", "MiningSettings", "NegativeCache", "RegionExamples", "SvmFit", "fit_linear_svms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningSettings:
    """Which negatives an SVM is trained on; defaults as in R-CNN's code (rcnn_train.m).

    Attributes:
        svm: What each SVM minimises.
        negative_below: A region is a negative of a class if it overlaps each of its objects by less (IoU).
        hard_above: A negative is hard if its margin is above this: it violates the margin of 1, by more than rounding.
        evict_below: Negatives with a margin below this are forgotten after a retraining; None keeps all.
        retrain_after: New negatives of a class before it is retrained.
        start_images: All negatives of the first so many images are taken, for there is no SVM yet.
        passes: Over the images. One is enough (Girshick et al. 2014, section 2.3).
        target_norm: Features are scaled so that their norm is this on average; None leaves them as they are.
        is_mining: False draws ``random_negatives`` instead, to see what mining is worth.
        random_negatives: Of each class, drawn from all images alike.
    """

    svm: SvmSettings = field(default_factory=SvmSettings)
    negative_below: float = 0.3
    hard_above: float = -1.0001
    evict_below: float | None = -1.2
    retrain_after: int = 2000
    start_images: int = 1
    passes: int = 1
    target_norm: float | None = 20.0
    is_mining: bool = True
    random_negatives: int = 2000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegionExamples(TensorRecord):
    """The regions of one image.

    Attributes:
        features: Not scaled.
        overlaps: IoU of each region with the nearest object of each class. 1 for whatever must not be a negative,
            such as regions in a crowd.
        labels: The class of a region that is an object itself, as annotated; −1 for every other region.
    """

    features: Float[Tensor, "n d"]
    overlaps: Float[Tensor, "n K"]
    labels: Int64[Tensor, " n"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningRound:
    """One page of the notebook of mistakes: a retraining of one class.

    Attributes:
        label: Class.
        images: Seen so far, counted over all passes.
        candidates: Negatives scored since the last retraining.
        false_positives: Of those, how many the SVM took for objects (margin above 0).
        added: Of those, how many were new and hard.
        negatives: In the cache at this retraining.
        evicted: Of the cache, how many were easy afterwards.
        positives: Always the same.
        positive_loss: Part of the objective after retraining: C · weight · Σ loss.
        negative_loss: The same of the negatives: C · Σ loss.
        norm_loss: The same of the weights: ½ (‖w‖² + (b / m)²).
        is_converged: False if the solver stopped early.
    """

    label: int
    images: int
    candidates: int
    false_positives: int
    added: int
    negatives: int
    evicted: int
    positives: int
    positive_loss: float
    negative_loss: float
    norm_loss: float
    is_converged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SvmFit:
    """What came out.

    Attributes:
        svms: Of all classes.
        rounds: The notebook of mistakes, in the order in which the retrainings happened.
    """

    svms: LinearSvms
    rounds: tuple[MiningRound, ...]


class NegativeCache:
    """The examples of one class: all positives, and the negatives worth keeping.

    Args:
        label: Class.
        positives: Features, scaled.
        settings: Which negatives are kept.
        seed: Of the solver and of random negatives.
    """

    def __init__(
        self, label: int, positives: Float32[np.ndarray, "p d"], settings: MiningSettings, *, seed: int = 0
    ) -> None:
        self.label = label
        self.positives = positives
        self.settings = settings
        self.seed = seed
        width = positives.shape[1]
        self.classifier = LinearClassifier(weight=np.zeros(width, np.float32), bias=0.0)
        self.rounds: list[MiningRound] = []
        self._negatives = [np.zeros((0, width), np.float32)]
        self._keys = [np.zeros(0, np.int64)]
        self._candidates = self._false_positives = self._added = 0

    @property
    def negatives(self) -> Float32[np.ndarray, "q d"]:
        """Features of the negatives in the cache."""
        self._negatives = [np.concatenate(self._negatives)]
        return self._negatives[0]

    @property
    def is_due(self) -> bool:
        """Whether enough is new for a retraining."""
        return self._added > self.settings.retrain_after

    def add(self, features: Float32[np.ndarray, "n d"], keys: Int64[np.ndarray, " n"], *, takes_all: bool) -> None:
        """Take in the negatives of an image: all, or the hard ones.

        Args:
            features: Scaled.
            keys: A number for each region of the data set; what is in the cache is not added again.
            takes_all: Whether the easy ones are taken too.
        """
        margins = self.classifier.margins(features)
        self._candidates += len(features)
        if self.rounds:  # the verdict of zeros is no mistake
            self._false_positives += int((margins > 0).sum())
        is_new = np.ones(len(keys), bool) if takes_all else margins > self.settings.hard_above
        if self.settings.passes > 1 and is_new.any():
            self._keys = [np.concatenate(self._keys)]
            is_new &= ~np.isin(keys, self._keys[0])
        if is_new.any():
            self._negatives.append(features[is_new])
            self._keys.append(keys[is_new])
            self._added += int(is_new.sum())

    def keep(self, chosen: Int64[np.ndarray, " n"]) -> None:
        """Drop all negatives but the chosen rows."""
        self._keys = [np.concatenate(self._keys)[chosen]]
        self._negatives = [self.negatives[chosen]]

    def retrain(self, images: int) -> None:
        """Fit the SVM to what is in the cache, write a page of the notebook, and forget what has become easy."""
        settings, negatives = self.settings, self.negatives
        features = np.concatenate([self.positives, negatives])
        is_positive = np.arange(len(features)) < len(self.positives)
        self.classifier = fit_linear_svm(features, is_positive, settings.svm, seed=self.seed)
        margins = self.classifier.margins(features)
        loss = settings.svm.cost * _loss(np.where(is_positive, margins, -margins), settings.svm)
        evicted = 0
        if settings.evict_below is not None:
            stays = margins[~is_positive] >= settings.evict_below
            evicted = int((~stays).sum())
            self.keep(stays.nonzero()[0])
        weight, bias = self.classifier.weight, self.classifier.bias / settings.svm.bias_multiplier
        self.rounds.append(
            MiningRound(
                label=self.label,
                images=images,
                candidates=self._candidates,
                false_positives=self._false_positives,
                added=self._added,
                negatives=len(negatives),
                evicted=evicted,
                positives=len(self.positives),
                positive_loss=float(loss[is_positive].sum()) * settings.svm.positive_weight,
                negative_loss=float(loss[~is_positive].sum()),
                norm_loss=0.5 * float(weight @ weight + bias**2),
                is_converged=self.classifier.is_converged,
            )
        )
        self._candidates = self._false_positives = self._added = 0


def _loss(signed_margins: np.ndarray, settings: SvmSettings) -> np.ndarray:
    hinge: np.ndarray = np.maximum(0, 1 - signed_margins.astype(np.float64))
    return hinge**2 if settings.loss == "squared_hinge" else hinge


def fit_linear_svms(
    examples: Iterable[RegionExamples],
    num_classes: int,
    settings: MiningSettings | None = None,
    *,
    seed: int = 0,
    progress: Callable[[str, int], None] | None = None,
) -> SvmFit:
    """Return linear SVMs for all classes, trained on the objects and on hard negatives.

    Features are read image by image and never held all at once: one pass collects the objects and the mean norm, and
    one (or ``passes``) serves the negatives of all classes. In memory are the objects and each class's hard negatives.

    Args:
        examples: The images; it is iterated several times, so a generator will not do.
        num_classes: K.
        settings: Which negatives, and what each SVM minimises.
        seed: Of all that is random.
        progress: Is told what is being done and how many images are done.

    Raises:
        InputError: If the examples can be iterated only once, or there are none.

    Source:
        Girshick et al. 2014 (R-CNN), sections 2.3 and appendix B, https://arxiv.org/abs/1311.2524, and its code,
        rcnn_train.m. Mining after Felzenszwalb et al. 2010, section 4.4.
        Differs: the norm is averaged over all regions, where the code draws some of 200 images.
    """
    settings = settings or MiningSettings()
    tell = progress or _tell_nobody
    if iter(examples) is examples:
        raise InputError(
            "examples must be something that can be iterated several times; got an iterator, which can be once. Pass "
            "a list, or an object whose __iter__ begins anew."
        )
    positives, scale = _collect_positives(examples, num_classes, settings.target_norm, tell)
    caches = [NegativeCache(label, rows, settings, seed=seed) for label, rows in enumerate(positives)]
    run = _mine if settings.is_mining else _draw
    run(examples, caches, scale, seed, tell)
    svms = LinearSvms(num_classes, positives[0].shape[1])
    svms.take([cache.classifier for cache in caches], scale=scale)
    rounds = sorted((page for cache in caches for page in cache.rounds), key=lambda page: (page.images, page.label))
    return SvmFit(svms=svms, rounds=tuple(rounds))


def _tell_nobody(what: str, done: int) -> None:
    del what, done


def _as_array(values: Tensor) -> np.ndarray:
    array: np.ndarray = values.detach().cpu().numpy()
    return array


def _collect_positives(
    examples: Iterable[RegionExamples], num_classes: int, target_norm: float | None, tell: Callable[[str, int], None]
) -> tuple[list[np.ndarray], float]:
    """Return the scaled features of the objects of each class, and the scale."""
    found: list[list[np.ndarray]] = [[] for _ in range(num_classes)]
    total, count, width = 0.0, 0, None
    for done, image in enumerate(examples, start=1):
        features = image.features.float()
        width = features.shape[1]
        total += float(torch.linalg.vector_norm(features, dim=1).double().sum())
        count += len(features)
        rows, labels = _as_array(features), _as_array(image.labels)
        for label in np.unique(labels[labels >= 0]):
            found[label].append(rows[labels == label])
        tell("objects", done)
    if width is None:
        raise InputError("examples must hold at least one image; got none. Check the training data.")
    scale = 1.0 if target_norm is None or total == 0 else target_norm / (total / count)
    none = np.zeros((0, width), np.float32)
    return [np.concatenate([none, *rows]) * np.float32(scale) for rows in found], scale


def _negatives(image: RegionExamples, index: int, label: int, settings: MiningSettings) -> tuple[np.ndarray, Tensor]:
    """Return the keys of the negatives of a class, and their rows."""
    rows = (image.overlaps[:, label] < settings.negative_below).nonzero()[:, 0]
    return (index << 32) + _as_array(rows), rows


def _mine(
    examples: Iterable[RegionExamples],
    caches: list[NegativeCache],
    scale: float,
    seed: int,
    tell: Callable[[str, int], None],
) -> None:
    del seed  # nothing is random here
    settings = caches[0].settings
    wanted = [cache for cache in caches if len(cache.positives)]  # nothing is hard for a class without objects
    done = 0
    for _ in range(settings.passes):
        for index, image in enumerate(examples):
            done += 1
            is_start = done <= settings.start_images
            features = image.features.float() * scale
            for cache in wanted:
                keys, rows = _negatives(image, index, cache.label, settings)
                cache.add(_as_array(features[rows]), keys, takes_all=is_start)
                if cache.is_due or (done == settings.start_images and len(cache.negatives)):
                    cache.retrain(done)
            tell("hard negatives", done)
    for cache in caches:
        cache.retrain(done)


def _draw(
    examples: Iterable[RegionExamples],
    caches: list[NegativeCache],
    scale: float,
    seed: int,
    tell: Callable[[str, int], None],
) -> None:
    """Train on negatives drawn from all images alike."""
    wanted = [(cache, _Reservoir(cache.settings.random_negatives)) for cache in caches if len(cache.positives)]
    done = 0
    for index, image in enumerate(examples):
        done = index + 1
        features = image.features.float() * scale
        for cache, reservoir in wanted:
            keys, rows = _negatives(image, index, cache.label, cache.settings)
            chosen = reservoir.take(np.random.default_rng((seed, cache.label, index)).random(len(keys)))
            cache.add(_as_array(features[rows][torch.from_numpy(chosen)]), keys[chosen], takes_all=True)
            if reservoir.is_overfull:
                cache.keep(reservoir.settle())
        tell("random negatives", done)
    for cache, reservoir in wanted:
        cache.keep(reservoir.settle())
    for cache in caches:
        cache.retrain(done)


class _Reservoir:
    """Keeps the rows of the smallest random numbers; rows are copied only when twice as many as wanted came in."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._limit = np.inf
        self._numbers = np.zeros(0)

    @property
    def is_overfull(self) -> bool:
        return len(self._numbers) > 2 * self.size

    def take(self, numbers: np.ndarray) -> np.ndarray:
        """Return which of the new rows may be among the chosen."""
        chosen: np.ndarray = (numbers < self._limit).nonzero()[0]
        self._numbers = np.concatenate([self._numbers, numbers[chosen]])
        return chosen

    def settle(self) -> np.ndarray:
        """Return which of the rows taken so far stay."""
        chosen: np.ndarray = np.sort(np.argsort(self._numbers, kind="stable")[: self.size])
        self._numbers = self._numbers[chosen]
        if len(chosen) == self.size:
            self._limit = float(self._numbers.max(initial=0.0))
        return chosen
