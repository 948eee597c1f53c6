"""Batches, in an order and with an augmentation that depend on ``(seed, epoch, row)`` alone.

So a run can go on at any batch of any epoch, and the number of workers changes nothing but the speed.
"""

import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from types import MappingProxyType
from typing import Protocol, cast

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch.utils.data import DataLoader

from snellen.data.rescaling import MultiScale, rescaled
from snellen.data.samplers import Sampler, SequentialSampler, ShuffledSampler
from snellen.errors import DatasetError, InputError
from snellen.structures import Batch, Sample

__all__ = ["BatchLoader", "DrawnDataset", "batches_of"]

_JUDGED_IMAGES = 32  # images after which a data set that mostly fails is given up; fewer could be bad luck
_MOST_FAILURES = 0.5  # share of them


class DrawnDataset(Protocol):
    """A data set whose samples depend on ``(row, epoch, seed)`` alone."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def draw(self, index: int, epoch: int, seed: int, /) -> Sample:
        """Return one augmented sample; raise ``DatasetError`` if its file cannot be read."""


@dataclass(frozen=True, slots=True)
class _Failure:
    path: str
    message: str


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What a worker sends: the batch of what could be read, if anything could, and what could not."""

    batch: Batch | None
    failures: tuple[_Failure, ...]
    num_images: int

    def pin_memory(self) -> "_Loaded":
        """Return a copy in page-locked memory (called by torch)."""
        batch = None if self.batch is None else self.batch.pin_memory()
        return _Loaded(batch, self.failures, self.num_images)


class _Draws:
    """A data set for torch with keys (epoch, row), which returns failures instead of raising them."""

    def __init__(self, dataset: DrawnDataset, seed: int) -> None:
        self.dataset = dataset
        self.seed = seed

    def __getitem__(self, key: tuple[int, int]) -> Sample | _Failure:
        epoch, row = key
        try:
            return self.dataset.draw(row, epoch, self.seed)
        except DatasetError as error:
            return _Failure(f"row {row}" if error.file is None else str(error.file), str(error))


class _Plan:
    """The keys of the batches still to come in this epoch; torch asks for them anew for every epoch."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[int, int]]] = []

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


@dataclass(kw_only=True, eq=False)
class BatchLoader:
    """Reads a data set batch by batch, epoch by epoch.

    An image that cannot be read is left out of its batch and named in ``skipped``; a batch without any
    readable image is left out. One epoch at a time: starting another ends the one before.

    Attributes:
        dataset: Where samples come from.
        batch_size: Images per batch; the last of an epoch may have fewer.
        stride: Height and width of the canvas are multiples of this.
        shuffle: Whether each epoch has an order of its own. ``sampler`` overrides it.
        seed: Of order and augmentation.
        workers: Processes that read ahead; 0 reads in this one.
        sampler: Which rows an epoch shows.
        aspect_ratios: Width over height of each row. If given, a batch holds either upright or lying images,
            which saves padding.
        drop_last: Whether to leave out a last batch that is not full (for batch norm, which cannot learn from
            one image).
        multi_scale: Sizes to draw from, a new one every ten batches.

    Raises:
        InputError: If a number is out of range, or there is no row.
    """

    dataset: DrawnDataset
    batch_size: int
    stride: int = 1
    shuffle: bool = False
    seed: int = 0
    workers: int = 0
    sampler: Sampler | None = None
    aspect_ratios: Float[np.ndarray, " rows"] | None = None
    drop_last: bool = False
    multi_scale: MultiScale | None = None
    _skipped: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _num_seen: int = field(default=0, init=False, repr=False)
    _num_failed: int = field(default=0, init=False, repr=False)
    _next_batch: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the numbers and prepare torch's loader; workers start with the first epoch."""
        for name, least in (("batch_size", 1), ("stride", 1), ("workers", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"BatchLoader.{name} must be {least} or more; got {getattr(self, name)}.")
        if not len(self.dataset):
            raise InputError("BatchLoader needs a data set with at least one row; this one has none.")
        num_rows = len(self.dataset)
        if self.aspect_ratios is not None and len(self.aspect_ratios) != num_rows:
            raise InputError(
                f"BatchLoader.aspect_ratios must hold one number per row; got {len(self.aspect_ratios)} "
                f"for {num_rows} rows."
            )
        self._order = self.sampler or (ShuffledSampler if self.shuffle else SequentialSampler)(num_rows)
        self._plan = _Plan()
        self._loader = self._torch_loader()

    def __len__(self) -> int:
        """Return the number of batches per epoch."""
        count = len(self._order) / self.batch_size
        return int(count) if self.drop_last else ceil(count)

    @property
    def skipped(self) -> Mapping[str, str]:
        """Path of each image that could not be read so far, with the reason."""
        return MappingProxyType(self._skipped)

    @property
    def next_batch(self) -> int:
        """Number of the batch after the one yielded last: where to go on with ``epoch(…, first_batch=…)``.

        It is not the count of batches yielded, since batches without any readable image are left out.
        """
        return self._next_batch

    def epoch(self, epoch: int, *, first_batch: int = 0) -> Iterator[Batch]:
        """Yield the batches of one epoch, from ``first_batch`` on, without reading what comes before.

        Raises:
            DatasetError: If more than half of the first images cannot be read.
            InputError: If ``first_batch`` is beyond the epoch.
        """
        if not 0 <= first_batch <= len(self):
            raise InputError(
                f"first_batch must lie in 0..{len(self)}, the batches of an epoch; got {first_batch}. "
                "Were data set, batch size or seed other ones when the run was saved?"
            )
        rows = self._order.rows(epoch, self.seed)
        batches = batches_of(rows, self.batch_size, self.aspect_ratios)[first_batch : len(self)]
        plan = [[(epoch, int(row)) for row in batch] for batch in batches]
        return self._batches(plan, epoch, first_batch)

    def _batches(self, plan: list[list[tuple[int, int]]], epoch: int, first_batch: int) -> Iterator[Batch]:
        self._plan.batches = plan
        self._next_batch = first_batch
        self._num_seen = self._num_failed = 0
        arriving = cast(Iterator[_Loaded], iter(self._loader))
        for _ in plan:
            if self._plan.batches is not plan:
                return  # another epoch has begun, and the workers read for that one
            loaded = next(arriving)
            self._next_batch += 1
            self._record(loaded)
            if loaded.batch is not None:
                yield self._at_drawn_size(loaded.batch, epoch)
        if first_batch == 0:
            self._judge(at_least=1)

    def _at_drawn_size(self, batch: Batch, epoch: int) -> Batch:
        if self.multi_scale is None:
            return batch
        usual = max(batch.images.pixels.shape[-2:])
        number = self._next_batch - 1
        side = self.multi_scale.size(usual, self.stride, seed=self.seed, epoch=epoch, batch=number)
        return rescaled(batch, side, self.stride)

    def _record(self, loaded: _Loaded) -> None:
        self._num_seen += loaded.num_images
        self._num_failed += len(loaded.failures)
        for failure in loaded.failures:
            self._skipped[failure.path] = failure.message
        self._judge(at_least=_JUDGED_IMAGES)

    def _judge(self, *, at_least: int) -> None:
        if self._num_seen < at_least or self._num_failed <= _MOST_FAILURES * self._num_seen:
            return
        examples = "\n".join(f"  {message}" for message in list(self._skipped.values())[:3])
        raise DatasetError(
            f"most images should be readable; {self._num_failed} of the {self._num_seen} read in this epoch "
            f"are not. Check the folder and the format of the files. The first reasons:\n{examples}"
        )

    def _torch_loader(self) -> "DataLoader[_Loaded]":
        return DataLoader(
            cast("torch.utils.data.Dataset[_Loaded]", _Draws(self.dataset, self.seed)),
            batch_sampler=self._plan,
            num_workers=self.workers,
            collate_fn=partial(_collated, stride=self.stride),
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_start_worker,
            persistent_workers=self.workers > 0,
            generator=torch.Generator(),  # else torch would draw from the global stream at every epoch
        )


def batches_of(
    rows: Int64[np.ndarray, " rows"], batch_size: int, aspect_ratios: Float[np.ndarray, " all_rows"] | None
) -> list[Int64[np.ndarray, " batch"]]:
    """Cut an order into batches; with aspect ratios, upright and lying images go into batches of their own.

    Only what is left over at the end of both kinds is mixed, so that the number of batches stays the same. A
    batch takes the place of its last image in the order.

    Args:
        rows: In the order wanted.
        batch_size: Images per batch.
        aspect_ratios: Width over height of every row of the data set, or None.
    """
    if aspect_ratios is None:
        return [rows[first : first + batch_size] for first in range(0, len(rows), batch_size)]
    is_lying = aspect_ratios[rows] >= 1
    full: list[tuple[int, np.ndarray]] = []
    rest: list[np.ndarray] = []
    for kind in (is_lying, ~is_lying):
        places = np.flatnonzero(kind)
        num_full = len(places) // batch_size * batch_size
        full += [(int(part[-1]), rows[part]) for part in places[:num_full].reshape(-1, batch_size)]
        rest.append(places[num_full:])
    remaining = rows[np.concatenate(rest)]
    batches = [batch for _, batch in sorted(full, key=lambda pair: pair[0])]
    return batches + [remaining[first : first + batch_size] for first in range(0, len(remaining), batch_size)]


def _collated(drawn: list[Sample | _Failure], *, stride: int) -> _Loaded:
    samples = [item for item in drawn if isinstance(item, Sample)]
    failures = tuple(item for item in drawn if isinstance(item, _Failure))
    return _Loaded(Batch.collate(samples, stride=stride) if samples else None, failures, len(drawn))


def _start_worker(worker: int) -> None:
    """Leave Ctrl-C to the main process, which ends its workers in good order (each has one thread)."""
    del worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
