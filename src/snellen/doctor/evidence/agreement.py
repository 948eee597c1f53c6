"""Whether labels agree with what images look like, judged by models that have not seen the image."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snellen.data import ClassTable, DatasetIndex
from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.copies import ImageCopies
from snellen.doctor.evidence.embeddings import Embeddings
from snellen.doctor.evidence.folds import grouped_folds, nearest, out_of_fold_probs
from snellen.doctor.words import Text
from snellen.metrics import confident_disagreement

__all__ = ["Agreement", "agreement_of_labels", "class_shares", "image_groups", "macro_recall", "permuted_recalls"]

NEIGHBOURS = 10  # cleanlab's datalab
FOLDS = 5
FEWEST_OF_CLASS = 5  # images of a class, so that there is one in each fold
FEWEST = 50  # images with a label
PERMUTATIONS = 100
LARGEST_CHAIN = 20  # near copies that hang together; more are one look (ones of MNIST, drawn signs), not one picture
LARGEST_CHAIN_SHARE = 0.05  # of the images, the same

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Agreement:
    """Out-of-fold answers for the images that have one class; ``n`` is their number, ``K`` that of the classes.

    Copies are never on both sides.

    Attributes:
        rows: Of the index, ``[n]``.
        labels: As annotated, ``[n]``.
        probs: Of each class by regularised logistic regression, ``[n, K]``.
        neighbour_shares: Share of each class among the ten nearest images, ``[n, K]``.
        recall: Mean over classes of the share that the nearest images name rightly.
        chance: The same with permuted labels: mean of many permutations.
        chance_p: Share of permutations that do as well.
        origin: See `Embeddings`.
    """

    ABSENT = Text(
        en="labels are compared with the looks of images where every image has one class",
        zh="只有每张图像有一个类别时，才能将标签与图像外观比较",
    )

    rows: Rows
    labels: Rows
    probs: Floats
    neighbour_shares: Floats
    recall: float
    chance: float
    chance_p: float
    origin: str

    @property
    def is_informed(self) -> bool:
        """Whether the nearest images know more of labels than chance does."""
        return self.chance_p < 0.05 and self.recall > self.chance

    @property
    def skill(self) -> float:
        """How far the logistic regression is from guessing, 0, to naming every label, 1: mean recall over classes."""
        guess = 1 / len(np.unique(self.labels))
        return (macro_recall(np.asarray(self.probs.argmax(1), np.int64), self.labels) - guess) / (1 - guess)

    @property
    def own_probs(self) -> Floats:
        """What both models give the label that stands there, ``[n]``; 0 is a contradiction by both."""
        places = np.arange(len(self.labels))
        both = (self.probs[places, self.labels] + self.neighbour_shares[places, self.labels]) / 2
        return np.asarray(both, np.float32)

    @property
    def proposed(self) -> Rows:
        """The class that both models together name, ``[n]``."""
        return np.asarray((self.probs + self.neighbour_shares).argmax(1), np.int64)

    def disagreement(self) -> tuple[int, int]:
        """Return how many of the images that both models are sure of bear another label, and how many those are."""
        return confident_disagreement(self.probs, self.neighbour_shares, self.labels)


def agreement_of_labels(index: DatasetIndex, embeddings: Embeddings, copies: ImageCopies) -> Agreement:
    """Predict each image's class from the others.

    Raises:
        NotCheckable: If images have no single class, or there are too few.
    """
    if not isinstance(index.annotations, ClassTable):
        raise NotCheckable(Agreement.ABSENT)
    labels = index.annotations.labels.astype(np.int64)
    counts = np.bincount(labels[(labels >= 0) & embeddings.is_readable], minlength=len(index.classes))
    usable = embeddings.is_readable & (labels >= 0)
    usable[usable] = counts[labels[usable]] >= FEWEST_OF_CLASS
    rows = np.flatnonzero(usable)
    if len(rows) < FEWEST or len(np.unique(labels[rows])) < 2:
        raise NotCheckable(Text(
            en=f"at least {FEWEST} images of two classes with {FEWEST_OF_CLASS} images each are needed; there are "
            f"{len(rows)}",
            zh=f"至少需要 {FEWEST} 张图像、两个类别且每类 {FEWEST_OF_CLASS} 张；现有 {len(rows)} 张",
        ))  # fmt: skip
    labels, vectors = labels[rows], embeddings.vectors[rows]
    groups = image_groups(index, copies)[rows]
    near = nearest(vectors, groups, NEIGHBOURS)[0]
    folds = grouped_folds(labels, groups, FOLDS)
    permuted = permuted_recalls(near, labels, len(index.classes))
    recall = macro_recall(class_shares(near, labels, len(index.classes)).argmax(1), labels)
    return Agreement(
        rows=rows,
        labels=labels,
        probs=out_of_fold_probs(vectors, labels, folds, len(index.classes)),
        neighbour_shares=class_shares(near, labels, len(index.classes)),
        recall=recall,
        chance=float(permuted.mean()),
        chance_p=float((1 + (permuted >= recall).sum()) / (1 + len(permuted))),
        origin=embeddings.origin,
    )


def image_groups(index: DatasetIndex, copies: ImageCopies) -> Rows:
    """Return a number for each image, equal for copies and for what the data set says belongs together."""
    group = np.arange(len(index)) if index.groups is None else np.unique(index.groups, return_inverse=True)[1]
    most = max(LARGEST_CHAIN, LARGEST_CHAIN_SHARE * len(index))
    near = [members for members in copies.alike_groups if len(members) <= most]
    for members in (*near, *copies.exact_groups):
        joined = np.isin(group, group[members])
        group[joined] = group[members[0]]
    return group.astype(np.int64)


def class_shares(near: Rows, labels: Rows, num_classes: int) -> Floats:
    """Return the share of each class among the neighbours of each row, ``[n, K]``."""
    shares = np.zeros((len(near), num_classes), np.float32)
    for rank in range(near.shape[1]):
        shares[np.arange(len(near)), labels[near[:, rank]]] += 1 / near.shape[1]
    return shares


def macro_recall(named: Rows, labels: Rows) -> float:
    """Return the mean over classes of the share named rightly; chance is one over the number of classes."""
    counts = np.bincount(labels)
    right = np.bincount(labels[named == labels], minlength=len(counts))
    return float((right[counts > 0] / counts[counts > 0]).mean())


def permuted_recalls(near: Rows, labels: Rows, num_classes: int, seed: int = 0) -> NDArray[np.float64]:
    """Return what the neighbours reach when labels are permuted, once for each permutation."""
    return np.array([
        macro_recall(class_shares(near, permuted, num_classes).argmax(1), permuted)
        for permuted in _permutations(labels, seed)
    ])  # fmt: skip


def _permutations(labels: Rows, seed: int) -> Iterator[Rows]:
    chance = np.random.default_rng(seed)
    rounds = PERMUTATIONS if len(labels) <= 20_000 else PERMUTATIONS // 4
    for _ in range(rounds):
        yield chance.permutation(labels)
