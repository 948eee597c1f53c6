"""Whether values agree with what images look like, judged by models that have not seen the image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex, ValueTable
from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.agreement import FEWEST, FOLDS, NEIGHBOURS, image_groups
from snellen.doctor.evidence.copies import ImageCopies
from snellen.doctor.evidence.embeddings import Embeddings
from snellen.doctor.evidence.folds import grouped_folds, nearest
from snellen.doctor.words import Text

__all__ = ["ValueAgreement", "agreement_of_values", "robust_spread"]

CLIPPED = 5.0  # robust spreads from the median; values beyond are learned from as if they were there
STRENGTHS = (10.0, 100.0, 1000.0)  # ridge penalties for vectors of variance 1; the best is chosen within the fold
PER_SPREAD = 1.4826  # standard deviations of a normal distribution for its median absolute deviation

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class ValueAgreement:
    """Out-of-fold answers for images with values; ``n`` images, ``V`` values. Copies are never on both sides.

    Attributes:
        rows: Of the index, ``[n]``.
        values: As annotated, nan where missing, ``[n, V]``.
        fitted: By ridge regression, ``[n, V]``; nan for values that are missing or do not vary nearly everywhere.
        beside: Median of the ten nearest images, ``[n, V]``; nan where none is known.
        origin: See `Embeddings`.
    """

    ABSENT = Text(
        en="values are compared with the looks of images, and these have none",
        zh="比较的是数值与图像外观，这里没有数值",
    )

    rows: Rows
    values: Floats
    fitted: Floats
    beside: Floats
    origin: str

    @property
    def skills(self) -> Floats:
        """How far the ridge regression is from naming the median, 0, to naming every value, 1, by spreads, ``[V]``."""
        left = np.array([robust_spread(column) for column in (self.values - self.fitted).T])
        there = np.array([robust_spread(column) for column in self.values.T])
        return np.asarray(np.where(there > 0, 1 - left / np.where(there > 0, there, 1), 0.0))

    @property
    def distances(self) -> Floats:
        """How far values are from what both models say, in robust spreads of what the models leave, ``[n, V]``.

        The lesser of the two counts, and 0 where the models lie on either side, or nothing is known.
        """
        apart = []
        for told in (self.fitted, self.beside):
            left = self.values - told
            spreads = np.array([robust_spread(column) for column in left.T])
            apart.append(left / np.where(spreads > 0, spreads, np.inf))
        agreed = np.sign(apart[0]) == np.sign(apart[1])
        lesser = np.minimum(np.abs(apart[0]), np.abs(apart[1]))
        return np.where(agreed & np.isfinite(lesser), lesser, 0.0)


def robust_spread(values: Floats) -> float:
    """Return the median absolute deviation in standard deviations of a normal distribution; nan counts for nothing."""
    known = values[np.isfinite(values)]
    return float(PER_SPREAD * np.median(np.abs(known - np.median(known)))) if len(known) else 0.0


def agreement_of_values(index: DatasetIndex, embeddings: Embeddings, copies: ImageCopies) -> ValueAgreement:
    """Predict each image's values from the others.

    Raises:
        NotCheckable: If images have no values, or there are too few.

    Source:
        Zhou et al. 2023, Detecting errors in a numerical response via any regression model,
        https://arxiv.org/abs/2305.16583: residuals out of fold against their spread. Differs: two models must agree.
    """
    table = index.annotations
    if not isinstance(table, ValueTable):
        raise NotCheckable(ValueAgreement.ABSENT)
    rows = np.flatnonzero(embeddings.is_readable & np.isfinite(table.values).any(1))
    values = np.where(np.isfinite(table.values[rows]), table.values[rows], np.nan)
    spreads = np.array([robust_spread(column) for column in values.T])
    usable = (np.isfinite(values).sum(0) >= FEWEST) & (spreads > 0)
    if not usable.any():
        raise NotCheckable(Text(
            en=f"at least {FEWEST} images with a value that varies are needed; there are {len(rows)}",
            zh=f"至少需要 {FEWEST} 张图像且其数值有变化；现有 {len(rows)} 张",
        ))  # fmt: skip
    vectors, groups = embeddings.vectors[rows], image_groups(index, copies)[rows]
    folds = grouped_folds(np.zeros(len(rows), np.int64), groups, FOLDS)
    near = nearest(vectors, groups, NEIGHBOURS)[0]
    fitted, beside = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    for column in np.flatnonzero(usable).tolist():
        fitted[:, column] = _out_of_fold(vectors, values[:, column], folds)
        beside[:, column] = _median_beside(values[near, column])
    return ValueAgreement(rows=rows, values=values, fitted=fitted, beside=beside, origin=embeddings.origin)


def _out_of_fold(vectors: NDArray[np.float32], values: Floats, folds: Rows) -> Floats:
    from sklearn.linear_model import RidgeCV  # noqa: PLC0415 - takes a second to import

    known = np.isfinite(values)
    center, reach = float(np.nanmedian(values)), CLIPPED * robust_spread(values)
    learned = np.clip(values, center - reach, center + reach)
    found = np.full(len(values), np.nan)
    for fold in range(FOLDS):
        held, rest = folds == fold, (folds != fold) & known
        if held.any() and rest.any():
            found[held] = RidgeCV(alphas=STRENGTHS).fit(vectors[rest], learned[rest]).predict(vectors[held])
    return found


def _median_beside(values: Floats) -> Floats:
    some = np.isfinite(values).any(1)
    found = np.full(len(values), np.nan)
    found[some] = np.nanmedian(values[some], axis=1)
    return found
