"""Averages of the weights, which are what validation sees and what is kept: moving ones, and equal ones of a tail."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from snellen.training.settings import TrainSettings

__all__ = ["ModelAverage", "TailAverage", "WeightAverage", "make_average", "warm_decay"]


def warm_decay(decay: float, updates: int) -> float:
    """Return the decay for update number ``updates`` (from 0): small at first, ``decay`` in the end.

    Without it the average would hold the random start for the first ``1 / (1 - decay)`` steps.

    Source:
        ``tf.train.ExponentialMovingAverage(num_updates=...)``: min(decay, (1 + n) / (10 + n)).
    """
    return min(decay, (1 + updates) / (10 + updates))


class WeightAverage:
    """An average of the weights of a model.

    Args:
        model: Is copied; the copy stays in evaluation mode and takes no gradients.

    Attributes:
        model: The averaged copy.
        updates: How often it was updated; before the first time the model itself is what there is to judge.
        norm_batches: Last batches of an epoch on which norms are measured anew before it is judged; None for all.
    """

    norm_batches: int | None = None

    def __init__(self, model: nn.Module) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
        self.updates = 0

    def after_step(self, model: nn.Module) -> None:
        """Take note of the weights after a step."""

    def after_epoch(self, model: nn.Module, epoch: int) -> bool:
        """Take note of the weights after an epoch, from 0; return whether norms have to be measured anew."""
        del model, epoch
        return False

    def state_dict(self) -> dict[str, Any]:
        """Return the averaged weights and the number of updates."""
        return {"model": self.model.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what ``state_dict`` returned."""
        self.model.load_state_dict(state["model"])
        self.model.requires_grad_(requires_grad=False)  # loading may tell a model what learns
        self.updates = state["updates"]


class ModelAverage(WeightAverage):
    """The exponential moving average of a model, of its parameters and of what its norms have collected.

    Averaged weights with the statistics of the latest ones would be a network that never ran: where layers above one
    another have norms, the difference grows from layer to layer. Before it is judged, they are measured anew.

    Args:
        model: See ``WeightAverage``.
        decay: Share of the old average that stays at each update, 0..1, once warm.

    Source:
        For the norms Wu and Johnson 2021, Rethinking "Batch" in BatchNorm, section 3.1,
        https://arxiv.org/abs/2105.07576.
    """

    norm_batches = 32  # 8 and 32 gave the same precision on two small data sets

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        super().__init__(model)
        self.decay = decay

    def after_step(self, model: nn.Module) -> None:
        """Move the average towards the weights."""
        self.update(model)

    def after_epoch(self, model: nn.Module, epoch: int) -> bool:
        """Ask for norms that are measured anew."""
        del model, epoch
        return True

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the weights of ``model``."""
        blend = get_ema_multi_avg_fn(warm_decay(self.decay, self.updates))  # type: ignore[no-untyped-call]
        pairs = list(zip(_tensors(self.model), _tensors(model), strict=True))
        averaged = [(mean, value) for mean, value in pairs if mean.is_floating_point()]
        blend(*zip(*averaged, strict=True), self.updates)
        for mean, value in pairs:
            if not mean.is_floating_point():
                mean.copy_(value)
        self.updates += 1


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()


class TailAverage(WeightAverage):
    """The equal average of the weights at the end of each of the last epochs.

    Averaged weights have statistics that no batch norm has collected: whoever judges the average measures them anew.

    Args:
        model: See ``WeightAverage``.
        first_epoch: From 0; the first one that counts.

    Source:
        Izmailov et al. 2018, Averaging weights leads to wider optima, algorithm 1 with one update an epoch,
        https://arxiv.org/abs/1803.05407.
    """

    def __init__(self, model: nn.Module, *, first_epoch: int) -> None:
        super().__init__(model)
        self.first_epoch = first_epoch

    @torch.no_grad()
    def after_epoch(self, model: nn.Module, epoch: int) -> bool:
        """Add the weights of ``model``, if this epoch counts."""
        if epoch < self.first_epoch:
            return False
        share = 1.0 / (self.updates + 1)
        for mean, value in zip(self.model.parameters(), model.parameters(), strict=True):
            mean.lerp_(value, share)
        buffers = list(self.model.buffers())
        if buffers:
            torch._foreach_copy_(buffers, list(model.buffers()))
        self.updates += 1
        return True


def make_average(model: nn.Module, settings: TrainSettings) -> WeightAverage | None:
    """Return the average that ``settings`` ask for."""
    if settings.swa_epochs:
        return TailAverage(model, first_epoch=settings.epochs - settings.swa_epochs)
    return None if settings.ema_decay is None else ModelAverage(model, decay=settings.ema_decay)
