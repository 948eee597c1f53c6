"""How much memory is held."""

import os
from pathlib import Path

import torch

__all__ = ["held_bytes"]

_STATM = Path("/proc/self/statm")  # Linux: pages in all, pages in memory, …


def held_bytes(device: torch.device) -> int:
    """Return the bytes that tensors hold on a CUDA device, or that the process holds in memory; 0 if unknown."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
