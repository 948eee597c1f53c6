"""Several processes on one run (torchrun): who am I, and agreeing on numbers. Alone, nothing happens."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

__all__ = [
    "Ranks",
    "current_ranks",
    "parallel",
    "process_group",
    "shared_float",
    "shared_max",
    "without_exchange",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """This process among all: ``rank`` of ``world``. Only rank 0 writes files."""

    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0


def current_ranks() -> Ranks:
    """Return this process's place; rank 0 of 1 outside a process group."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return Ranks()
    return Ranks(rank=distributed.get_rank(), world=distributed.get_world_size())


@contextmanager
def process_group(device: torch.device | str) -> Iterator[Ranks]:
    """Join the group that torchrun's environment describes, and leave it at the end; alone, do nothing.

    Args:
        device: Its type decides the backend: nccl for cuda, gloo for everything else. On cuda, the device
            of ``LOCAL_RANK`` becomes the current one.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or distributed.is_initialized():
        yield current_ranks()
        return
    kind = torch.device(device).type
    if kind == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    distributed.init_process_group("nccl" if kind == "cuda" else "gloo")
    try:
        yield current_ranks()
    finally:
        distributed.destroy_process_group()


def parallel(model: nn.Module) -> nn.Module:
    """Return ``model``, wrapped so that gradients are averaged over the ranks if there are several."""
    if current_ranks().world == 1:
        return model
    return DistributedDataParallel(model)


def without_exchange(model: nn.Module, *, skip: bool) -> AbstractContextManager[object]:
    """Return a context in which gradients stay on their rank if ``skip`` (all but a step's last batch)."""
    if skip and isinstance(model, DistributedDataParallel):
        return model.no_sync()
    return nullcontext()


def shared_max(values: Tensor) -> Tensor:
    """Return the largest of each value over all ranks, in place."""
    if current_ranks().world > 1:
        distributed.all_reduce(values, op=distributed.ReduceOp.MAX)
    return values


def shared_float(value: float, device: torch.device) -> float:
    """Return rank 0's ``value`` on every rank, so that all decide alike."""
    if current_ranks().world == 1:
        return value
    box = torch.tensor([value], dtype=torch.float32 if device.type == "mps" else torch.float64, device=device)
    distributed.broadcast(box, src=0)
    return float(box)
