"""How the splits of a data set differ: in what images measure, in their classes, and in how they look as a whole."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from snellen.data import DatasetIndex, ValueTable
from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.agreement import image_groups
from snellen.doctor.evidence.copies import ImageCopies
from snellen.doctor.evidence.embeddings import Embeddings
from snellen.doctor.evidence.folds import grouped_folds, out_of_fold_probs
from snellen.doctor.evidence.images import ImageFacts
from snellen.doctor.evidence.statistics import population_shift
from snellen.doctor.words import Text

__all__ = ["PropertyShift", "SplitDrift", "SplitShift", "drift_of_splits", "image_properties"]

FEWEST = 30  # images of a split that is compared
MOST = 1500  # images of each side that the classifier sees
FOLDS = 5
FEWEST_EXPECTED = 5.0  # images with a class in each split, by the shares of both; Cochran's rule for chi-squared
TRAIN = "train"
NO_SHIFT = (0.0, 1.0, ("", 0.0, 0.0))  # of classes: size, p, and the class that shifts most with its shares

Values = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertyShift:
    """One property in two splits.

    Attributes:
        name: Of the property.
        before: Median in the training images.
        after: Median in the other split.
        shift: Population stability index, less what chance makes of it.
        distance: Largest distance of the cumulative shares (Kolmogorov and Smirnov).
        p: Of that distance, multiplied by the number of properties.
    """

    name: str
    before: float
    after: float
    shift: float
    distance: float
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitShift:
    """One split against the training images.

    Attributes:
        split: Its name.
        properties: Of the images, the largest shift first.
        class_shift: Population stability index of the shares of classes, less what chance makes of it.
        class_p: Of the chi-squared test of independence; 1 where there is nothing to test.
        shifted_class: Whose share changed most, with its shares before and after.
        told_apart: Area under the curve of a classifier that tells the two splits apart out of fold; 0.5 is not.
        told_apart_low: Lower end of its 95 % interval.
        telling: Rows of the split that are most unlike the training images.
    """

    split: str
    properties: tuple[PropertyShift, ...]
    class_shift: float
    class_p: float
    shifted_class: tuple[str, float, float]
    told_apart: float
    told_apart_low: float
    telling: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SplitDrift:
    """Every split that is large enough, against the training images."""

    ABSENT = Text(en="there are not two splits to compare", zh="没有两个子集可供比较")

    splits: tuple[SplitShift, ...]


def drift_of_splits(
    index: DatasetIndex, facts: ImageFacts, embeddings: Embeddings | None, copies: ImageCopies
) -> SplitDrift:
    """Compare every split with the training images.

    Raises:
        NotCheckable: If there are no two splits of enough images.
    """
    if TRAIN not in index.split_names:
        raise NotCheckable(SplitDrift.ABSENT)
    parts = {name: np.flatnonzero((index.splits == place) & facts.is_readable)
             for place, name in enumerate(index.split_names)}  # fmt: skip
    others = [name for name, rows in parts.items() if name != TRAIN and len(rows) >= FEWEST]
    if len(parts[TRAIN]) < FEWEST or not others:
        raise NotCheckable(Text(
            en=f"two splits of {FEWEST} readable images are needed", zh=f"需要两个至少含 {FEWEST} 张可读图像的子集"
        ))  # fmt: skip
    groups = image_groups(index, copies)
    return SplitDrift(
        splits=tuple(_compared(name, index, facts, embeddings, groups, (parts[TRAIN], parts[name])) for name in others)
    )


def image_properties(facts: ImageFacts) -> dict[str, Values]:
    """Return what may differ between cameras and places, by name; NaN where there is none."""
    red, green, blue = (facts.means[:, channel].astype(np.float64) for channel in range(3))
    grey = np.maximum((red + green + blue) / 3, 1)
    return {
        "brightness": facts.percentile(50).astype(np.float64),
        "contrast": facts.contrast.astype(np.float64),
        "sharpness": facts.sharpness.astype(np.float64),
        "noise": facts.noise.astype(np.float64),
        "redness": (red - blue) / grey,
        "greenness": (green - (red + blue) / 2) / grey,
        "size": np.sqrt(facts.height.astype(np.float64) * facts.width),
        "aspect": facts.width / np.maximum(facts.height, 1).astype(np.float64),
    }


def _compared(
    name: str,
    index: DatasetIndex,
    facts: ImageFacts,
    embeddings: Embeddings | None,
    groups: Rows,
    parts: tuple[Rows, Rows],
) -> SplitShift:
    counts = index.annotations.class_counts(len(index.classes)) > 0  # objects of one image are no independent draws
    shift, p, class_ = _class_shift(counts[parts[0]].sum(0), counts[parts[1]].sum(0), index.classes)
    if isinstance(index.annotations, ValueTable):
        shift, p, class_ = NO_SHIFT
    area, low, telling = (0.5, 0.0, ()) if embeddings is None else _told_apart(embeddings, groups, parts)
    return SplitShift(
        split=name,
        properties=tuple(sorted(_property_shifts(facts, parts), key=lambda entry: -entry.shift)),
        class_shift=shift,
        class_p=p,
        shifted_class=class_,
        told_apart=area,
        told_apart_low=low,
        telling=telling,
    )


def _property_shifts(facts: ImageFacts, parts: tuple[Rows, Rows]) -> Iterator[PropertyShift]:
    properties = image_properties(facts)
    for name, values in properties.items():
        before, after = (values[rows][np.isfinite(values[rows])] for rows in parts)
        if min(len(before), len(after)) < FEWEST or np.ptp(np.concatenate([before, after])) == 0:
            continue
        found = stats.ks_2samp(before, after, method="asymp")
        yield PropertyShift(
            name=name,
            before=float(np.median(before)),
            after=float(np.median(after)),
            shift=population_shift(before, after),
            distance=float(found.statistic),
            p=min(1.0, float(found.pvalue) * len(properties)),
        )


def _class_shift(before: Rows, after: Rows, classes: tuple[str, ...]) -> tuple[float, float, tuple[str, float, float]]:
    table = np.stack([before, after]).astype(np.float64)
    if (table.sum(1) == 0).any():
        return NO_SHIFT
    expected = table.sum(0) * table.sum(1, keepdims=True) / table.sum()
    usual = expected.min(0) >= FEWEST_EXPECTED
    if usual.sum() < 2 or (table[:, usual].sum(1) == 0).any():
        return NO_SHIFT
    table = table[:, usual]
    shares = (table + 0.5) / (table + 0.5).sum(1, keepdims=True)
    terms = (shares[0] - shares[1]) * np.log(shares[0] / shares[1])
    chance = (len(terms) - 1) * float((1 / table.sum(1)).sum())
    worst = int(terms.argmax())
    name = classes[int(np.flatnonzero(usual)[worst])]
    p = float(stats.chi2_contingency(table).pvalue)
    return max(0.0, float(terms.sum()) - chance), p, (name, float(shares[0, worst]), float(shares[1, worst]))


def _told_apart(embeddings: Embeddings, groups: Rows, parts: tuple[Rows, Rows]) -> tuple[float, float, tuple[int, ...]]:
    """Return the area under the curve of a classifier of splits, its lower end, and the most telling rows."""
    chance = np.random.default_rng(0)
    number = min(MOST, len(parts[0]), len(parts[1]))
    rows = np.concatenate([chance.permutation(part)[:number] for part in parts])
    side = np.repeat([0, 1], number)
    # Copies on both sides are one group, which belongs to neither.
    folds = grouped_folds(side, groups[rows], FOLDS)
    probs = out_of_fold_probs(embeddings.vectors[rows], side, folds, 2)[:, 1]
    ranks = stats.rankdata(probs)
    area = float((ranks[side == 1].sum() - number * (number + 1) / 2) / number**2)
    # Hanley and McNeil 1982, eq. 2.
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    spread = (area * (1 - area) + (number - 1) * (first + second - 2 * area**2)) / number**2
    other = rows[side == 1]
    telling = other[np.argsort(-probs[side == 1], kind="stable")[:50]]
    return area, float(area - 1.96 * np.sqrt(max(spread, 0.0))), tuple(telling.tolist())
