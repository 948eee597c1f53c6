"""Small constants on the device of the data, without making the host wait."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["constant_on"]


def constant_on(device: torch.device, values: Sequence[float], dtype: torch.dtype) -> Tensor:
    """Return ``values`` as a tensor on ``device``.

    ``torch.tensor(values, device="cuda")`` copies from pageable memory and therefore waits until the GPU has
    done everything it was given; from page-locked memory the copy joins the queue.

    Args:
        device: Where the result is needed.
        values: A few numbers that the host knows.
        dtype: Of the result.
    """
    if device.type == "cuda":
        return torch.tensor(values, dtype=dtype, pin_memory=True).to(device, non_blocking=True)
    return torch.tensor(values, dtype=dtype, device=device)
