"""Looking at a model without teaching it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from snellen.errors import DatasetError
from snellen.structures import Model
from snellen.training.precision import autocast
from snellen.training.randomness import seed_batch
from snellen.training.settings import PrecisionName
from snellen.training.source import BatchSource
from snellen.training.step import placed

__all__ = ["evaluating", "mean_loss"]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put ``model`` in evaluation mode, and every part of it back into its own mode at the end."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def mean_loss(
    model: nn.Module,
    source: BatchSource,
    *,
    precision: PrecisionName = "fp32",
    channels_last: bool = False,
    seed: int = 0,
) -> Mapping[str, float]:
    """Return every loss, averaged over the images of ``source``'s epoch 0.

    Args:
        model: With ``loss``; looked at in evaluation mode, which is undone afterwards.
        source: Batches with targets.
        precision: Arithmetic of the forward pass.
        channels_last: Layout of the pixels.
        seed: Of samplers inside the model; the same batches always see the same draws.

    Raises:
        DatasetError: If the source yields nothing.
    """
    device = next(model.parameters()).device
    learner: Model = model  # type: ignore[assignment]  # an nn.Module with the three verbs
    sums: dict[str, Tensor] = {}
    images = 0
    with evaluating(model), torch.inference_mode():
        for number, batch in enumerate(source.epoch(0)):
            seed_batch(device, seed, number)
            moved = placed(batch, device, channels_last=channels_last)
            with autocast(device, precision):
                losses = learner.loss(learner(moved.images, moved.targets), moved.targets)
            for name, value in losses.items():
                sums[name] = sums.get(name, torch.zeros((), device=device)) + value.float() * len(batch)
            images += len(batch)
    if images == 0:
        raise DatasetError(
            "expected at least one batch to measure the loss on; the source yielded none. Check that the "
            "validation set has readable images."
        )
    return {name: float(value) / images for name, value in sums.items()}
