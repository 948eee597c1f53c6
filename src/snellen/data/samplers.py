"""Which rows an epoch shows, and in which order: pure functions of ``(seed, epoch)``."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int64

from snellen.errors import InputError

__all__ = [
    "OversamplingSampler",
    "RepeatFactorSampler",
    "Sampler",
    "SequentialSampler",
    "ShardedSampler",
    "ShuffledSampler",
    "UndersamplingSampler",
    "WeightedSampler",
    "class_balanced_weights",
    "rarest_classes",
    "repeat_factors",
]

NO_CLASS = -1  # stratum of images on which there is nothing


@runtime_checkable
class Sampler(Protocol):
    """Says which rows an epoch shows."""

    def __len__(self) -> int:
        """Return the number of rows per epoch, which is the same in every epoch."""

    def rows(self, epoch: int, seed: int) -> Int64[np.ndarray, " rows"]:
        """Return the rows of one epoch, in order."""


def _stream(seed: int, epoch: int) -> np.random.Generator:
    return np.random.default_rng([seed, epoch])


class SequentialSampler:
    """Every row once, from first to last.

    Args:
        num_rows: Rows of the data set.
    """

    def __init__(self, num_rows: int) -> None:
        self.num_rows = num_rows

    def __len__(self) -> int:
        return self.num_rows

    def rows(self, epoch: int, seed: int) -> Int64[np.ndarray, " rows"]:
        """Return the rows of one epoch."""
        del epoch, seed
        return np.arange(self.num_rows)


class ShuffledSampler:
    """Every row once, in another order each epoch.

    Args:
        num_rows: Rows of the data set.
    """

    def __init__(self, num_rows: int) -> None:
        self.num_rows = num_rows

    def __len__(self) -> int:
        return self.num_rows

    def rows(self, epoch: int, seed: int) -> Int64[np.ndarray, " rows"]:
        """Return the rows of one epoch."""
        return _stream(seed, epoch).permutation(self.num_rows)


class WeightedSampler:
    """Rows drawn with replacement in proportion to weights.

    Args:
        weights: One per row, not negative; any scale.
        num_samples: Rows per epoch; as many as there are weights if not given.

    Raises:
        InputError: If the weights cannot be probabilities.
    """

    def __init__(self, weights: Float[np.ndarray, " rows"], *, num_samples: int | None = None) -> None:
        shares = np.asarray(weights, dtype=np.float64)
        if shares.ndim != 1 or not np.isfinite(shares).all() or (shares < 0).any() or shares.sum() <= 0:
            raise InputError(
                "WeightedSampler needs one finite weight of 0 or more per row, not all of them 0; "
                f"got {np.array2string(shares, threshold=6)}."
            )
        self.shares = shares / shares.sum()
        self.num_samples = len(shares) if num_samples is None else num_samples

    def __len__(self) -> int:
        return self.num_samples

    def rows(self, epoch: int, seed: int) -> Int64[np.ndarray, " rows"]:
        """Return the rows of one epoch."""
        return _stream(seed, epoch).choice(len(self.shares), size=self.num_samples, p=self.shares)


class RepeatFactorSampler:
    """Every row, the rare ones several times: a factor of 2.3 means two times, and a third in 3 epochs of 10.

    Args:
        factors: One per row, 1 or more; see ``repeat_factors``.

    Source:
        Gupta et al. 2019, "LVIS", appendix B.1. Differs: which fractions round up is drawn so that every
        epoch is equally long.
    """

    def __init__(self, factors: Float[np.ndarray, " rows"]) -> None:
        self.factors = np.asarray(factors, dtype=np.float64)
        if self.factors.ndim != 1 or not len(self.factors) or not (self.factors >= 1).all():
            raise InputError("RepeatFactorSampler needs one factor of 1 or more per row.")
        self.num_samples = round(float(self.factors.sum()))

    def __len__(self) -> int:
        return self.num_samples

    def rows(self, epoch: int, seed: int) -> Int64[np.ndarray, " rows"]:
        """Return the rows of one epoch."""
        rng = _stream(seed, epoch)
        whole = np.floor(self.factors).astype(np.int64)
        fraction = self.factors - whole
        extra = self.num_samples - int(whole.sum())
        # Systematic sampling: equally spaced marks on the cumulated fractions pick each row in proportion to
        # its own.
        order = rng.permutation(len(fraction))
        edges = np.cumsum(fraction[order])
        if extra:
            marks = (rng.random() + np.arange(extra)) * (edges[-1] / extra)
            picks = np.searchsorted(edges, marks, side="right").clip(max=len(order) - 1)
            np.add.at(whole, order[picks], 1)
        return rng.permutation(np.repeat(np.arange(len(whole)), whole))


class OversamplingSampler:
    """Every row of the largest class once, and those of the others as often as fills their classes up to it.

    Every row of a class is shown either ``n`` or ``n + 1`` times; which ones once more is drawn anew for each epoch.

    Args:
        strata: Class of each row; those of ``NO_CLASS`` are shown once.

    Source:
        He and Garcia 2009, "Learning from imbalanced data", section 3.1.1. Differs: copies are shared out evenly
        instead of being drawn with replacement.
    """

    def __init__(self, strata: Int64[np.ndarray, " rows"]) -> None:
        self.members, self.others = _members(strata, "OversamplingSampler")
        self.wanted = max(map(len, self.members))

    def __len__(self) -> int:
        return self.wanted * len(self.members) + len(self.others)

    def rows(self, epoch: int, seed: int) -> Int64[np.ndarray, " rows"]:
        """Return the rows of one epoch."""
        rng = _stream(seed, epoch)
        parts = [self.others]
        for rows in self.members:
            whole, extra = divmod(self.wanted, len(rows))
            parts += [np.tile(rows, whole), rng.choice(rows, extra, replace=False)]
        return rng.permutation(np.concatenate(parts))


class UndersamplingSampler:
    """As many rows of each class as the smallest one has, others in each epoch.

    Args:
        strata: Class of each row; of those of ``NO_CLASS`` as many are shown as of a class, if there are so many.

    Source:
        He and Garcia 2009, section 3.1.1. Differs: the rows are drawn anew for each epoch, so that none is lost for
        good.
    """

    def __init__(self, strata: Int64[np.ndarray, " rows"]) -> None:
        self.members, self.others = _members(strata, "UndersamplingSampler")
        self.wanted = min(map(len, self.members))

    def __len__(self) -> int:
        return self.wanted * len(self.members) + min(self.wanted, len(self.others))

    def rows(self, epoch: int, seed: int) -> Int64[np.ndarray, " rows"]:
        """Return the rows of one epoch."""
        rng = _stream(seed, epoch)
        chosen = [rng.choice(rows, min(self.wanted, len(rows)), replace=False) for rows in (*self.members, self.others)]
        return rng.permutation(np.concatenate(chosen))


def _members(strata: Int64[np.ndarray, " rows"], name: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the rows of each class that has any, and those of no class."""
    labels = np.asarray(strata)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels) if label != NO_CLASS]
    if not members:
        raise InputError(f"{name} needs rows with classes; none of {len(labels)} has one. Take another sampler.")
    return members, np.flatnonzero(labels == NO_CLASS)


class ShardedSampler:
    """One process's part of another sampler's rows.

    All parts together are the rows of the other sampler; the last few are repeated from the start so that
    every process takes the same number of steps.

    Args:
        sampler: Whose rows are shared out.
        rank: Number of this process, from 0.
        world: Number of processes.
        pad: Whether to make the parts equally long; False for evaluation, where nothing may count twice.
    """

    def __init__(self, sampler: Sampler, *, rank: int, world: int, pad: bool = True) -> None:
        if not 0 <= rank < world:
            raise InputError(f"rank must lie in 0..{world - 1} for {world} processes; got {rank}.")
        self.sampler = sampler
        self.rank = rank
        self.world = world
        self.pad = pad

    def __len__(self) -> int:
        extra = self.world - 1 if self.pad else self.world - 1 - self.rank
        return (len(self.sampler) + extra) // self.world

    def rows(self, epoch: int, seed: int) -> Int64[np.ndarray, " rows"]:
        """Return this process's rows of one epoch."""
        rows = self.sampler.rows(epoch, seed)
        if self.pad and len(rows):
            rows = np.resize(rows, len(self) * self.world)
        return rows[self.rank :: self.world]


def class_balanced_weights(
    labels_per_image: Sequence[Sequence[int]], *, power: float = 0.0
) -> Float[np.ndarray, " rows"]:
    """Return weights under which classes are met in proportion to a power of their size, for ``WeightedSampler``.

    An image with several classes weighs as its rarest; an image without any weighs as one of the commonest.

    Args:
        labels_per_image: The classes of each image.
        power: 0 lets every class be met equally often, 0.5 in proportion to the square root of its images, 1 as often
            as it occurs.

    Source:
        Kang et al. 2020, "Decoupling representation and classifier", eq. 1, https://arxiv.org/abs/1910.09217.
    """
    counts = _images_per_class(labels_per_image)
    most = max(counts.values(), default=1)
    rarest = [min((counts[label] for label in set(labels)), default=most) for labels in labels_per_image]
    return np.array(rarest, dtype=np.float64) ** (power - 1)


def rarest_classes(labels_per_image: Sequence[Sequence[int]]) -> Int64[np.ndarray, " rows"]:
    """Return the class of each image that the fewest images have, ``NO_CLASS`` where there is none.

    Args:
        labels_per_image: The classes of each image.
    """
    counts = _images_per_class(labels_per_image)
    return np.array(
        [min(labels, key=lambda label: (counts[label], label), default=NO_CLASS) for labels in labels_per_image],
        dtype=np.int64,
    )


def repeat_factors(labels_per_image: Sequence[Sequence[int]], *, threshold: float) -> Float[np.ndarray, " rows"]:
    """Return how often each image should be shown per epoch, for ``RepeatFactorSampler``.

    Args:
        labels_per_image: The classes of each image.
        threshold: Share of the images below which a class is shown more often; LVIS takes 0.001.

    Source:
        Gupta et al. 2019, "LVIS", appendix B.1: r_c = max(1, sqrt(t / f_c)), and an image takes its greatest
        r_c.
    """
    counts = _images_per_class(labels_per_image)
    total = max(len(labels_per_image), 1)
    factor = {label: max(1.0, float(np.sqrt(threshold * total / count))) for label, count in counts.items()}
    return np.array([max((factor[label] for label in set(labels)), default=1.0) for labels in labels_per_image])


def _images_per_class(labels_per_image: Sequence[Sequence[int]]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for labels in labels_per_image:
        for label in set(labels):
            counts[label] = counts.get(label, 0) + 1
    return counts
