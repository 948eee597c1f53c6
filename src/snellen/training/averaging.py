"""A moving average of the weights, which is what validation sees and what is kept."""

import copy
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

__all__ = ["ModelAverage", "warm_decay"]


def warm_decay(decay: float, updates: int) -> float:
    """Return the decay for update number ``updates`` (from 0): small at first, ``decay`` in the end.

    Without it the average would hold the random start for the first ``1 / (1 - decay)`` steps.

    Source:
        ``tf.train.ExponentialMovingAverage(num_updates=...)``: min(decay, (1 + n) / (10 + n)).
    """
    return min(decay, (1 + updates) / (10 + updates))


class ModelAverage:
    """The exponential moving average of a model.

    Args:
        model: Is copied; the copy stays in evaluation mode and takes no gradients.
        decay: Share of the old average that stays at each update, 0..1, once warm.

    Attributes:
        model: The averaged copy: parameters are averaged, buffers copied.
        updates: How often it was updated.
    """

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the weights of ``model``."""
        blend = get_ema_multi_avg_fn(warm_decay(self.decay, self.updates))  # type: ignore[no-untyped-call]
        blend(tuple(self.model.parameters()), tuple(model.parameters()), self.updates)
        buffers = list(self.model.buffers())
        if buffers:
            torch._foreach_copy_(buffers, list(model.buffers()))
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the averaged weights and the number of updates."""
        return {"model": self.model.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what ``state_dict`` returned."""
        self.model.load_state_dict(state["model"])
        self.model.requires_grad_(requires_grad=False)  # loading may tell a model what learns
        self.updates = state["updates"]
