"""Optimizers: which parameters decay, and the fastest implementation that the device has."""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import SGD, AdamW, Optimizer

from snellen.errors import ConfigError
from snellen.training.settings import TrainSettings

__all__ = ["make_optimizer", "parameter_groups"]

_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
_FUSED_ON = (
    "cpu",
    "cuda",
)  # devices whose fused SGD and AdamW take float32; checked against the others in tests


def parameter_groups(model: nn.Module, *, weight_decay: float) -> list[dict[str, object]]:
    """Return the trainable parameters in two groups: those that decay, and norms and biases, which do not.

    Decay of scales and shifts limits what a norm may do without making the function simpler. Parameters of
    at most one axis count as scales or shifts whatever they are called.

    Args:
        model: Parameters with ``requires_grad=False`` are left out, and get no optimizer state.
        weight_decay: Of the first group.

    Raises:
        ConfigError: If nothing is trainable.

    Source:
        He et al. 2019, "Bag of tricks", section 3.1, https://arxiv.org/abs/1812.01187.
    """
    in_norm = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, _NORMS)
        for parameter in module.parameters(recurse=False)
    }
    decayed: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        is_bias = name.rpartition(".")[2] == "bias"
        spare = parameter.ndim <= 1 or is_bias or id(parameter) in in_norm
        (spared if spare else decayed).append(parameter)
    if not decayed and not spared:
        raise ConfigError(
            f"training needs at least one parameter with requires_grad=True; {type(model).__name__} has "
            "none. Unfreeze the parts that should learn."
        )
    groups: list[dict[str, object]] = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def make_optimizer(model: nn.Module, settings: TrainSettings) -> Optimizer:
    """Return the optimizer that ``settings`` ask for, over the parameters of ``model`` where they now lie."""
    groups = parameter_groups(model, weight_decay=settings.weight_decay)
    devices = {parameter.device.type for parameter in model.parameters()}
    fused = True if devices <= set(_FUSED_ON) else None  # None lets torch choose between foreach and a loop
    if settings.optimizer == "adamw":
        return AdamW(groups, lr=settings.lr, fused=fused)
    optimizer = SGD(groups, lr=settings.lr, momentum=settings.momentum, fused=fused)
    if settings.momentum:
        _start_momentum_at_zero(optimizer)
    return optimizer


def _start_momentum_at_zero(optimizer: Optimizer) -> None:
    # Equal to torch's own start (first buffer = first gradient), but defined even where the first step is
    # skipped on the device: the fused kernel would leave a fresh buffer uninitialised then.
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
