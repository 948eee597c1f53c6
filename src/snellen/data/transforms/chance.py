"""Numbers drawn for one sample."""

import torch

from snellen.errors import InputError

__all__ = ["checked_share", "uniform"]


def uniform(generator: torch.Generator) -> float:
    """Return a number drawn evenly from 0..1."""
    return float(torch.rand((), generator=generator))


def checked_share(value: float, name: str) -> float:
    """Return a share, or raise InputError if it is none."""
    if not 0 <= value <= 1:
        raise InputError(f"{name} must lie in 0..1; got {value}.")
    return value
