"""The most memory that a piece of work held."""

from pathlib import Path

import torch

__all__ = ["forget_peak", "peak_bytes"]

_STATUS = Path("/proc/self/status")  # Linux; VmHWM is the peak of what lies in memory, in kB
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5): sets the peak to what is held now


def forget_peak() -> bool:
    """Begin to measure anew; return whether the system can."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return True
    try:
        _CLEAR.write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


def peak_bytes(device: str) -> int | None:
    """Return the most bytes held since ``forget_peak``: by tensors on a CUDA device, else by the process.

    Returns:
        None where the system does not tell.
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, ValueError, StopIteration):
        return None
