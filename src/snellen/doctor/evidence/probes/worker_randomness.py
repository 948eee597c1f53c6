"""Whether the processes of a loader draw the same random numbers, or every epoch the same again."""

import hashlib
import pickle
from dataclasses import dataclass
from typing import Any, cast
from warnings import catch_warnings, simplefilter

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.loop_parts import UserLoader
from snellen.doctor.examining import untouched
from snellen.doctor.examining.subject import seed_everything
from snellen.doctor.words import Text

__all__ = ["WorkerRandomness", "digest", "worker_randomness"]

_NUM_DRAWS = 12  # of one sample in each process: a coin alone would agree by chance in 1 of 4,096 cases
_NUM_WORKERS = 2


@dataclass(frozen=True, kw_only=True)
class WorkerRandomness:
    """What several draws of one sample gave, in two processes and in two epochs.

    Attributes:
        is_random: Whether the draws in one process differ from one another.
        workers_agree: Whether both processes drew the same.
        epochs_agree: Whether the second epoch drew what the first did.
        num_workers: Of the user's loader.
        is_persistent: Whether its processes live on between epochs.
    """

    is_random: bool
    workers_agree: bool
    epochs_agree: bool
    num_workers: int
    is_persistent: bool


class _Draws(Dataset[tuple[str, ...]]):
    """Each of its samples is the first sample of another data set, drawn several times, as digests."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return _NUM_WORKERS

    def __getitem__(self, index: int) -> tuple[str, ...]:
        del index
        return tuple(digest(self.dataset[0]) for _ in range(_NUM_DRAWS))


def digest(value: Any) -> str:
    """Return a text that is equal for equal samples."""
    found = hashlib.blake2b(digest_size=16)
    _fed(found, value)
    return found.hexdigest()


def _fed(found: "hashlib.blake2b", value: Any) -> None:
    if isinstance(value, Tensor):
        value = (
            value.detach().cpu().contiguous().view(torch.uint8).numpy()
            if value.numel() and value.ndim
            else value.tolist()
        )
    if isinstance(value, np.ndarray):
        found.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Image.Image):
        found.update(value.tobytes())
    elif isinstance(value, dict):
        for key in value:
            found.update(str(key).encode())
            _fed(found, value[key])
    elif isinstance(value, list | tuple):
        for part in value:
            _fed(found, part)
    else:
        found.update(pickle.dumps(value))


def worker_randomness(user: UserLoader) -> WorkerRandomness:
    """Start two processes twice and compare.

    Raises:
        NotCheckable: If the loader is none of torch's, its data cannot be picked from, it uses no processes, or they
            fail.
    """
    loader = user.batches
    if not isinstance(loader, DataLoader):
        raise NotCheckable(Text(en="the loader is no torch DataLoader", zh="该加载器不是 torch 的 DataLoader"))
    if isinstance(loader.dataset, IterableDataset):
        raise NotCheckable(
            Text(en="the data set is a stream; no sample can be drawn twice", zh="数据集是流，无法重复抽取样本")
        )
    if loader.num_workers == 0:
        raise NotCheckable(Text(en="the loader uses no worker processes", zh="该加载器不使用工作进程"))
    with untouched(loader.generator):
        seed_everything(0)
        try:
            first, second = _epoch(loader), _epoch(loader)
        except (RuntimeError, OSError, pickle.PicklingError, AttributeError) as error:
            told = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise NotCheckable(Text(en=f"the worker processes failed: {told}", zh=f"工作进程失败：{told}")) from error
    return WorkerRandomness(
        is_random=all(len(set(draws)) > 1 for draws in first),
        workers_agree=first[0] == first[1],
        epochs_agree=first[0] == second[0],
        num_workers=loader.num_workers,
        is_persistent=loader.persistent_workers,
    )


def _epoch(loader: DataLoader[Any]) -> list[tuple[str, ...]]:
    """Return the draws of each process; processes are given batches in turn."""
    with catch_warnings():
        simplefilter("ignore", UserWarning)  # two processes on a machine with one core are slow, and right
        probe: DataLoader[tuple[str, ...]] = DataLoader(
            _Draws(loader.dataset),
            batch_size=None,
            num_workers=_NUM_WORKERS,
            worker_init_fn=loader.worker_init_fn,
            generator=loader.generator,
            multiprocessing_context=loader.multiprocessing_context,
        )
        return [cast("tuple[str, ...]", tuple(draws)) for draws in probe]
