"""The seed of every batch: what is drawn depends on (seed, batch, rank), never on what ran before."""

import hashlib

import torch

__all__ = ["batch_seed", "seed_batch"]


def batch_seed(seed: int, batch: int, rank: int = 0) -> int:
    """Return 63 well-mixed bits.

    Args:
        seed: Of the run.
        batch: Counted from the start of training.
        rank: Of the process, so that dropout differs between them.
    """
    digest = hashlib.blake2b(f"{seed}/{batch}/{rank}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def seed_batch(device: torch.device, seed: int, batch: int, rank: int = 0) -> None:
    """Seed torch's global generators of the processor and of ``device``.

    Dropout and samplers inside a model are thereby functions of the batch's number, so that resuming in the
    middle of a run repeats them exactly. Python's and numpy's generators are left alone.
    """
    value = batch_seed(seed, batch, rank)
    torch.default_generator.manual_seed(value)  # torch.manual_seed also walks all devices, on every call
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(value)
    elif device.type == "mps":
        torch.mps.manual_seed(value)
