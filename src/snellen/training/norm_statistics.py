"""Measuring the statistics of batch norms anew."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from snellen.structures import Batch
from snellen.training.precision import autocast
from snellen.training.settings import PrecisionName
from snellen.training.step import placed
from snellen.training.validation import evaluating

__all__ = ["reestimate_norms"]


@torch.no_grad()
def reestimate_norms(
    model: nn.Module, batches: Iterable[Batch], *, precision: PrecisionName = "fp32", channels_last: bool = False
) -> bool:
    """Measure the statistics of every batch norm anew, each batch with an equal share; return whether there are any.

    Nothing but the norms is in training mode, so that dropout does not disturb what they see. What was frozen by
    ``FrozenBatchNorm`` stays.

    Args:
        model: On its device; its modes are left as they were.
        batches: Of images; their targets are not looked at.
        precision: Arithmetic of the forward pass.
        channels_last: Layout of the pixels.

    Source:
        Izmailov et al. 2018, section 3.3; the figures are those of ``torch.optim.swa_utils.update_bn``.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    if not norms:
        return False
    device = next(model.parameters()).device
    momenta = [norm.momentum for norm in norms]
    with evaluating(model):
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # torch's word for an equal share of each batch
            norm.train()
        try:
            for batch in batches:
                moved = placed(batch, device, channels_last=channels_last)
                with autocast(device, precision):
                    model(moved.images)
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
    return True
