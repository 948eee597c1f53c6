"""Optimizers: which parameters decay, at which share of the rate, and the fastest implementation there is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from snellen.errors import ConfigError
from snellen.training.depth import DepthGroup, group_of_parameters
from snellen.training.settings import OptimizerName, TrainSettings

__all__ = ["make_optimizer", "make_second_optimizer", "parameter_groups", "shrink", "skips_on_device"]

_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
_FUSED_ON = (
    "cpu",
    "cuda",
)  # devices whose fused SGD, Adam and AdamW take float32; checked against the others in tests
_RMS_DECAY = 0.99  # of the average of squared gradients; torch's own, Tieleman and Hinton 2012 show 0.9

Groups = list[dict[str, Any]]


def parameter_groups(model: nn.Module, *, weight_decay: float, depth: Sequence[DepthGroup] = ()) -> Groups:
    """Return the trainable parameters in groups: those that decay, and norms and biases, which do not.

    Decay of scales and shifts limits what a norm may do without making the function simpler. Parameters of
    at most one axis count as scales or shifts whatever they are called.

    Args:
        model: Parameters with ``requires_grad=False`` are left out, and get no optimizer state.
        weight_decay: Of those that decay.
        depth: Parts with rates of their own; each gives two groups, with its share as ``factor``. Parts that never
            learn are left out; those that learn later are not, so that groups stay as they are.

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
    parts = tuple(depth) or (DepthGroup(name="all", parts=("",)),)
    owners = group_of_parameters(model, parts)
    found: dict[tuple[str, bool], list[nn.Parameter]] = {
        (part.name, spare): [] for part in parts for spare in (False, True)
    }
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad or owners[name].from_epoch is None:
            continue
        is_bias = name.rpartition(".")[2] == "bias"
        spare = parameter.ndim <= 1 or is_bias or id(parameter) in in_norm
        found[owners[name].name, spare].append(parameter)
    factors = {part.name: part.factor for part in parts}
    groups: Groups = [
        {
            "params": chosen,
            "weight_decay": 0.0 if spare else weight_decay,
            "factor": factors[name],
            "shrinks": not spare,
        }
        for (name, spare), chosen in found.items()
        if chosen
    ]
    if not groups:
        raise ConfigError(
            f"training needs at least one parameter with requires_grad=True; {type(model).__name__} has "
            "none. Unfreeze the parts that should learn."
        )
    return groups


def make_optimizer(model: nn.Module, settings: TrainSettings) -> Optimizer:
    """Return the optimizer that ``settings`` ask for, over the parameters of ``model`` where they now lie.

    RMSprop divides each step by the root of an average of squared gradients, and that is all: it has neither momentum
    nor decay of its own. Adam adds momentum and bias correction; its "second moment" is that of the gradient, no second
    derivative.

    Source:
        Sutskever et al. 2013 (momentum, Nesterov), Tieleman and Hinton 2012 (RMSprop), Kingma and Ba 2015,
        https://arxiv.org/abs/1412.6980 (Adam), Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101 (AdamW).
    """
    groups = parameter_groups(model, weight_decay=settings.weight_decay, depth=settings.depth)
    return _BUILDERS[settings.optimizer](groups, settings)


def make_second_optimizer(first: Optimizer, settings: TrainSettings) -> Optimizer:
    """Return the SGD that takes over from an adaptive optimizer, over the same groups.

    Source:
        Keskar and Socher 2017, https://arxiv.org/abs/1712.07628. Differs: when to switch, and the rate, are given
        instead of estimated.
    """
    kept = ("params", "weight_decay", "factor", "shrinks")
    groups = [{name: group[name] for name in kept} for group in first.param_groups]
    return _sgd(groups, replace(settings, switch_epoch=None, switch_lr=None, optimizer="sgd", lr=_second_lr(settings)))


def _second_lr(settings: TrainSettings) -> float:
    return settings.lr if settings.switch_lr is None else settings.switch_lr


def _fused(groups: Groups) -> bool | None:
    devices = {parameter.device.type for group in groups for parameter in group["params"]}
    return True if devices <= set(_FUSED_ON) else None  # None lets torch choose between foreach and a loop


def _sgd(groups: Groups, settings: TrainSettings) -> Optimizer:
    nesterov = settings.nesterov
    optimizer = SGD(groups, lr=settings.lr, momentum=settings.momentum, nesterov=nesterov, fused=_fused(groups))
    if settings.momentum:
        _start_momentum_at_zero(optimizer)
    return optimizer


def _rmsprop(groups: Groups, settings: TrainSettings) -> Optimizer:
    return RMSprop(groups, lr=settings.lr, alpha=_RMS_DECAY)


def _adam(groups: Groups, settings: TrainSettings) -> Optimizer:
    return Adam(groups, lr=settings.lr, fused=_fused(groups))


def _adamw(groups: Groups, settings: TrainSettings) -> Optimizer:
    return AdamW(groups, lr=settings.lr, fused=_fused(groups))


_BUILDERS: Mapping[OptimizerName, Callable[[Groups, TrainSettings], Optimizer]] = {
    "sgd": _sgd,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "adamw": _adamw,
}


def skips_on_device(optimizer: Optimizer) -> bool:
    """Return whether the optimizer leaves a step out by itself, on its device, when its ``found_inf`` says so."""
    on_cuda = all(parameter.is_cuda for group in optimizer.param_groups for parameter in group["params"])
    return on_cuda and all(group.get("fused") for group in optimizer.param_groups)


@torch.no_grad()
def shrink(optimizer: Optimizer, strength: float, *, keep: Tensor | None = None) -> None:
    """Pull the weights towards zero by ``strength`` times their rate, and those that get there stay at exactly zero.

    This is the proximal step of an absolute (L1) penalty. A subgradient of the penalty in the loss would make weights
    jump about zero and never reach it. Like AdamW's decay it does not pass through the moments of an adaptive
    optimizer. Norms and biases, and what does not learn yet, are left alone.

    Args:
        optimizer: After its step; the groups know their rates.
        strength: Of the penalty ``strength * |w|``.
        keep: 1 on the device to leave everything as it is, 0 otherwise; None is 0.

    Source:
        Duchi and Singer 2009, Efficient online and batch learning using forward backward splitting, section 5.1.
    """
    for group in optimizer.param_groups:
        if not group["shrinks"]:
            continue
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            limit = group["lr"] * strength
            if keep is not None:
                limit = limit * (1 - keep)
            parameter.sub_(parameter.clamp(-limit, limit))


def _start_momentum_at_zero(optimizer: Optimizer) -> None:
    # Equal to torch's own start (first buffer = first gradient), but defined even where the first step is
    # skipped on the device: the fused kernel would leave a fresh buffer uninitialised then.
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
