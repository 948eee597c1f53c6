"""Whether sets of labels agree with what images look like, class by class, judged by models that have not seen them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex, LabelSetTable
from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.agreement import FEWEST, FOLDS, NEIGHBOURS, image_groups
from snellen.doctor.evidence.copies import ImageCopies
from snellen.doctor.evidence.embeddings import Embeddings
from snellen.doctor.evidence.folds import best_strength, fitted_probs, grouped_folds, nearest
from snellen.doctor.words import Text
from snellen.metrics import confident_set_answers, prior_free

__all__ = ["SetAgreement", "agreement_of_sets"]

FEWEST_SHOWN = 10  # images that show a class, and that do not, so that each fold has some of both
MOST_CLASSES = 40  # that are judged, the most frequent first: each takes five regressions
LEAST_SKILL = 0.4  # with which models tell a class, 0 is guessing; weaker ones are sure of what is wrong

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]
Truths = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class SetAgreement:
    """Out-of-fold answers for images with sets of labels; ``n`` images, ``K`` classes that were judged.

    Copies are never on both sides.

    Attributes:
        rows: Of the index, ``[n]``.
        labels: The classes that were judged, as places in those of the index, ``[K]``.
        shown: As annotated, ``[n, K]``.
        known: Whether that is known, ``[n, K]``.
        probs: That an image shows a class, by regularised logistic regression, ``[n, K]``.
        neighbour_shares: Share of the ten nearest images that show it, of those of which it is known, ``[n, K]``.
        origin: See `Embeddings`.
    """

    ABSENT = Text(
        en="sets of labels are compared with the looks of images, and these have none",
        zh="比较的是标签集合与图像外观，这里没有标签集合",
    )

    rows: Rows
    labels: Rows
    shown: Truths
    known: Truths
    probs: Floats
    neighbour_shares: Floats
    origin: str

    @property
    def usual(self) -> Floats:
        """Share of the images that show each class, ``[K]``."""
        return np.asarray(self.shown.sum(0) / np.maximum(self.known.sum(0), 1), np.float32)

    @property
    def skills(self) -> Floats:
        """How far the logistic regression is from guessing, 0, to telling every image, 1, for each class, ``[K]``."""
        told = prior_free(self.probs, self.usual) > 0.5
        recalls = [
            (right & wanted).sum(0) / np.maximum(wanted.sum(0), 1)
            for right, wanted in ((told, self.shown & self.known), (~told, ~self.shown & self.known))
        ]
        return np.asarray(recalls[0] + recalls[1] - 1, np.float32)

    @property
    def is_judged(self) -> Truths:
        """Whether the models know a class well enough, ``[K]``."""
        return np.asarray(self.skills >= LEAST_SKILL, np.bool_)

    @property
    def own_probs(self) -> Floats:
        """What both models give what is annotated, ``[n, K]``; 0 is a contradiction, 1 where nothing is judged.

        The more favourable of two views counts: how frequent a class is, or as if it were shown by half of the images.
        A rare class is else contradicted wherever models know nothing, and a missing one wherever they think so.
        """
        both = [
            (view(self.probs) + view(self.neighbour_shares)) / 2
            for view in (lambda given: given, lambda given: prior_free(given, self.usual, draws=NEIGHBOURS))
        ]
        own = np.maximum(*(np.where(self.shown, given, 1 - given) for given in both))
        return np.where(self.known & self.is_judged, own, 1.0).astype(np.float32)

    def sure_answers(self) -> tuple[Truths, Truths]:
        """Return of what both models are sure, and which of that contradicts the labels, ``[n, K]``."""
        sure, wrong = confident_set_answers(self.probs, self.neighbour_shares, self.shown, self.known)
        return sure & self.is_judged, wrong & self.is_judged


def agreement_of_sets(index: DatasetIndex, embeddings: Embeddings, copies: ImageCopies) -> SetAgreement:
    """Predict from the other images, class by class, whether each image shows it.

    Raises:
        NotCheckable: If there are no sets of labels, or too few images with and without any class.

    Source:
        Thyagarajan et al. 2023, Identifying incorrect annotations in multi-label classification data,
        https://arxiv.org/abs/2211.13895: each class by itself, as one against the rest.
    """
    table = index.annotations
    if not isinstance(table, LabelSetTable):
        raise NotCheckable(SetAgreement.ABSENT)
    rows = np.flatnonzero(embeddings.is_readable & table.known.any(1))
    shown, known = table.shown[rows] & table.known[rows], table.known[rows]
    counts = np.minimum(shown.sum(0), (known & ~shown).sum(0))
    labels = np.flatnonzero(counts >= FEWEST_SHOWN)
    labels = np.sort(labels[np.argsort(-counts[labels], kind="stable")][:MOST_CLASSES])
    if len(rows) < FEWEST or not len(labels):
        raise NotCheckable(Text(
            en=f"at least {FEWEST} images are needed, and a class that {FEWEST_SHOWN} of them show and {FEWEST_SHOWN} "
            f"do not; there are {len(rows)} images",
            zh=f"至少需要 {FEWEST} 张图像，且有一个类别在其中 {FEWEST_SHOWN} 张上出现、{FEWEST_SHOWN} 张上不出现；现有 "
            f"{len(rows)} 张图像",
        ))  # fmt: skip
    shown, known, vectors = shown[:, labels], known[:, labels], embeddings.vectors[rows]
    groups = image_groups(index, copies)[rows]
    near = nearest(vectors, groups, NEIGHBOURS)[0]
    return SetAgreement(
        rows=rows,
        labels=labels,
        shown=shown,
        known=known,
        probs=_out_of_fold(vectors, shown, known, grouped_folds(_rarest(shown), groups, FOLDS)),
        neighbour_shares=_shares(near, shown, known),
        origin=embeddings.origin,
    )


def _rarest(shown: Truths) -> Rows:
    """Return the rarest class that each image shows, one more than the last where it shows none."""
    counts = np.append(shown.sum(0), len(shown) + 1)
    order = np.argsort(counts, kind="stable")
    padded = np.concatenate([shown, np.ones((len(shown), 1), np.bool_)], axis=1)
    return np.asarray(order[padded[:, order].argmax(1)], np.int64)


def _out_of_fold(vectors: Floats, shown: Truths, known: Truths, folds: Rows) -> Floats:
    probs = np.zeros(shown.shape, np.float32)
    even = int(np.abs(shown.mean(0) - 0.5).argmin())
    usable = known[:, even]
    strength = best_strength(vectors[usable], shown[usable, even].astype(np.int64), folds[usable], 2)
    for column in range(shown.shape[1]):
        labels = shown[:, column].astype(np.int64)
        for fold in range(FOLDS):
            held, rest = folds == fold, (folds != fold) & known[:, column]
            probs[held, column] = fitted_probs(vectors[rest], labels[rest], vectors[held], 2, strength)[:, 1]
    return probs


def _shares(near: Rows, shown: Truths, known: Truths) -> Floats:
    counts = known[near].sum(1)
    usual = shown.sum(0) / np.maximum(known.sum(0), 1)
    return np.asarray(np.where(counts > 0, shown[near].sum(1) / np.maximum(counts, 1), usual), np.float32)
