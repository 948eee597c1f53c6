"""How well the features of given weights fit a data set, stage by stage: what a plan of fine-tuning rests on.

The data that the weights were trained on are not at hand, so likeness is measured by what it is for: how well a linear
classifier on each stage's features, out of fold, tells the classes of the new data, relative to guessing; and how far
what the batch norms see lies from the statistics that the weights hold. Both are of the new data alone. A task that is
hard for every network looks "different" too, one that colours solve looks "similar", and from few images the skill is
uncertain: its standard error is told.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from snellen.data import ClassTable, DatasetIndex
from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.agreement import macro_recall
from snellen.doctor.evidence.embeddings import PretrainedBackbone, network_input, square_images
from snellen.doctor.evidence.folds import grouped_folds, out_of_fold_probs
from snellen.doctor.evidence.labels import class_counts_of
from snellen.doctor.words import Text
from snellen.nn import FrozenBatchNorm

__all__ = [
    "FEW", "SIMILAR", "VERY_FEW", "Quadrant", "StageFit", "Transfer", "examples_of_classes", "quadrant", "transfer_of",
]  # fmt: skip

VERY_FEW = 30  # training examples of a usual class; from so few a network from scratch learns by heart
FEW = 100  # examples of a usual class; below it transfer gains most, Kornblith et al. 2019, figure 8
SIMILAR = 0.5  # skill of a linear classifier on the last features, 0 guesses
EARLIER_IS_BETTER = 0.05  # by which the skill of an earlier stage must exceed that of the last, and by two errors
MOST_IMAGES = 400  # that are looked at; of two classes the standard error of a skill is below 0.05 then
MOST_OF_CLASS = 60
FEWEST_OF_CLASS = 2
FEWEST = 10
FOLDS = 5
NETWORK_PX = 128  # side at which images are looked at, or the planned one if that is smaller

Quadrant = Literal["few_similar", "few_different", "many_similar", "many_different"]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFit:
    """How well the features of one stage fit.

    Attributes:
        name: Of the feature that the stage ends in.
        skill: Mean recall over classes of a linear classifier, out of fold, from 0 (guessing) to 1 (all named rightly).
        shift: Middle distance, over channels and norms, of the mean that a norm sees from the stored one, in stored
            standard deviations; None for a stage without stored statistics.
    """

    name: str
    skill: float
    shift: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """How much there is to learn from, and how well given features fit it.

    Attributes:
        usual: Training examples of a usual class: the median.
        total: Training examples of all classes.
        num_images: That were looked at.
        error: Standard error of a skill.
        stages: From the first to the last.
        origin: Name of the network.
    """

    ABSENT = Text(
        en="how well pretrained features fit is measured where weights are given and every image has one class",
        zh="只有给出权重且每张图像有一个类别时，才衡量预训练特征的适合程度",
    )

    usual: int
    total: int
    num_images: int
    error: float
    stages: tuple[StageFit, ...]
    origin: str

    @property
    def skill(self) -> float:
        """Skill on the features that a classifier reads, those of the last stage."""
        return self.stages[-1].skill

    @property
    def best(self) -> StageFit:
        """The last stage, unless an earlier one is clearly better."""
        best = max(self.stages, key=lambda stage: stage.skill)
        return best if best.skill - self.skill > max(EARLIER_IS_BETTER, 2 * self.error) else self.stages[-1]

    @property
    def peaks_early(self) -> bool:
        """Whether features of an earlier stage are clearly better than those of the last."""
        return self.best is not self.stages[-1]

    @property
    def shift(self) -> float | None:
        """Middle shift over the stages; None where no stage has stored statistics."""
        known = [stage.shift for stage in self.stages if stage.shift is not None]
        return float(np.median(known)) if known else None

    @property
    def quadrant(self) -> Quadrant:
        """Size times likeness; see `quadrant`.

        From few images a skill is uncertain, and features count as different only where two errors do not reach 0.5:
        the plan for features that fit changes the fewest weights, and does the least harm where it is wrong.
        """
        surely_below = self.skill + 2 * self.error < SIMILAR
        return quadrant(
            self.usual, self.skill if surely_below else max(self.skill, SIMILAR), peaks_early=self.peaks_early
        )


def quadrant(usual: int, skill: float, *, peaks_early: bool = False) -> Quadrant:
    """Return which of the four cases of fine-tuning it is.

    Args:
        usual: Training examples of a usual class.
        skill: Of a linear classifier on the last features.
        peaks_early: Whether features of an earlier stage are clearly better.

    Source:
        Yosinski et al. 2014, How transferable are features in deep neural networks?, https://arxiv.org/abs/1411.1792;
        Kornblith et al. 2019, figure 8, https://arxiv.org/abs/1805.08974.
    """
    is_similar = skill >= SIMILAR and not peaks_early
    if usual < FEW:
        return "few_similar" if is_similar else "few_different"
    return "many_similar" if is_similar else "many_different"


def examples_of_classes(index: DatasetIndex) -> tuple[int, int]:
    """Return the median over classes of the training examples, and their sum; zeros where nothing is annotated."""
    train = index.split("train") if "train" in index.split_names else index
    counts = class_counts_of(train).sum(0)
    counts = counts[counts > 0]
    return (int(np.median(counts)), int(counts.sum())) if len(counts) else (0, 0)


def transfer_of(
    index: DatasetIndex,
    backbone: PretrainedBackbone,
    *,
    side: int = NETWORK_PX,
    progress: Callable[[int, int], None] | None = None,
) -> Transfer:
    """Measure how well the features of a backbone fit the training images of a data set; a function of both alone.

    Args:
        index: With a split ``train``, or all of it is taken.
        backbone: In evaluation mode.
        side: Pixels at which the images will be trained on; more than 128 are not needed here.
        progress: Is told how many images are done, and of how many.

    Raises:
        NotCheckable: If images have no single class, or there are too few.

    Source:
        Linear probes: Alain and Bengio 2016, https://arxiv.org/abs/1610.01644. Statistics of norms as a measure of how
        far domains are apart: Li et al. 2016, https://arxiv.org/abs/1603.04779, section 3.
    """
    train = index.split("train") if "train" in index.split_names else index
    if not isinstance(train.annotations, ClassTable):
        raise NotCheckable(Transfer.ABSENT)
    rows = _sample(train.annotations.labels.astype(np.int64))
    labels = train.annotations.labels[rows].astype(np.int64)
    if len(rows) < FEWEST or len(np.unique(labels)) < 2:
        raise NotCheckable(Text(
            en=f"at least {FEWEST} training images of two classes with {FEWEST_OF_CLASS} images each are needed",
            zh=f"至少需要 {FEWEST} 张训练图像、两个类别且每类 {FEWEST_OF_CLASS} 张",
        ))  # fmt: skip
    vectors, shifts = _stage_vectors(square_images(train, rows, min(side, NETWORK_PX)), backbone, len(rows), progress)
    groups = np.arange(len(train)) if train.groups is None else np.unique(train.groups, return_inverse=True)[1]
    folds = grouped_folds(labels, groups[rows].astype(np.int64), FOLDS)
    skills = {name: _skill(found, labels, folds) for name, found in vectors.items()}
    usual, total = examples_of_classes(index)
    guess = 1 / len(np.unique(labels))
    recall = guess + max(0.0, skills[next(reversed(skills))]) * (1 - guess)
    return Transfer(
        usual=usual,
        total=total,
        num_images=len(rows),
        error=sqrt(max(recall * (1 - recall), 0.25 / len(rows)) / len(rows)) / (1 - guess),
        stages=tuple(StageFit(name=name, skill=skill, shift=shifts[name]) for name, skill in skills.items()),
        origin=backbone.name,
    )


def _sample(labels: Rows, seed: int = 0) -> Rows:
    """Return rows of as many images of each class, as far as there are, in rising order."""
    chance = np.random.default_rng(seed)
    counts = np.bincount(labels[labels >= 0])
    usable = np.flatnonzero(counts >= FEWEST_OF_CLASS)
    usable = np.sort(chance.permutation(usable)[: MOST_IMAGES // FEWEST_OF_CLASS])
    each = max(FEWEST_OF_CLASS, min(MOST_OF_CLASS, MOST_IMAGES // max(len(usable), 1)))
    chosen = [chance.permutation(np.flatnonzero(labels == label))[:each] for label in usable]
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, np.int64)


def _skill(vectors: NDArray[np.float32], labels: Rows, folds: Rows) -> float:
    spread = vectors.std(0)
    scaled = (vectors - vectors.mean(0)) / np.where(spread > 0, spread, 1)
    classes, codes = np.unique(labels, return_inverse=True)
    probs = out_of_fold_probs(scaled.astype(np.float32), codes.astype(np.int64), folds, len(classes))
    guess = 1 / len(classes)
    return (macro_recall(np.asarray(probs.argmax(1), np.int64), codes.astype(np.int64)) - guess) / (1 - guess)


def _stage_vectors(
    batches: Iterable[Tensor],
    backbone: PretrainedBackbone,
    total: int,
    progress: Callable[[int, int], None] | None,
) -> tuple[dict[str, NDArray[np.float32]], dict[str, float | None]]:
    """Return mean and spread over the image of every channel, by stage, ``[n, 2 channels]``, and the norms' shifts."""
    found: dict[str, list[Tensor]] = {spec.name: [] for spec in backbone.network.features}
    done = 0
    with _watched_norms(backbone.network) as moments, torch.inference_mode():
        for pixels in batches:
            maps = backbone.network(network_input(pixels, backbone))
            for name, parts in found.items():
                spread = maps[name].float().flatten(2)
                parts.append(torch.cat([spread.mean(2), spread.std(2, correction=0)], 1))
            done += len(pixels)
            if progress is not None:
                progress(done, total)
    shifts: dict[str, float | None] = {}
    stages = backbone.network.stage_modules()
    for name in found:
        norms = [norm for part in stages.get(name, ()) for norm in _norms(part)]
        seen = [moments[id(norm)].shift for norm in norms if id(norm) in moments]
        shifts[name] = float(np.median(seen)) if seen else None
    return {name: torch.cat(parts).numpy() for name, parts in found.items()}, shifts


class _Moments:
    """What a norm saw: the sum of the means of its input over batches, weighted by images."""

    def __init__(self, norm: _BatchNorm | FrozenBatchNorm) -> None:
        self.norm = norm
        self.total: Tensor | None = None
        self.images = 0

    def __call__(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].float()
        part = x.flatten(2).mean(2).sum(0)
        self.total = part if self.total is None else self.total + part
        self.images += len(x)

    @property
    def shift(self) -> float:
        """Middle distance over channels of the mean seen from the stored one, in stored standard deviations."""
        stored, spread = self.norm.running_mean, self.norm.running_var
        if self.total is None or stored is None or spread is None:
            return 0.0
        apart = (self.total / self.images - stored.float()).abs() / (spread.float() + self.norm.eps).sqrt()
        return float(apart.median())


@contextmanager
def _watched_norms(network: nn.Module) -> Iterator[dict[int, _Moments]]:
    """Watch the norms that have stored statistics, by their id."""
    watched = {id(norm): _Moments(norm) for norm in _norms(network)}
    hooks = [each.norm.register_forward_pre_hook(each) for each in watched.values()]
    try:
        yield watched
    finally:
        for hook in hooks:
            hook.remove()


def _norms(module: nn.Module) -> Iterator[_BatchNorm | FrozenBatchNorm]:
    for each in module.modules():
        if isinstance(each, FrozenBatchNorm) or (isinstance(each, _BatchNorm) and each.track_running_stats):
            yield each
