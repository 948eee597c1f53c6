"""Changes of a built network that no builder knows of: its activations, its norms and its first weights."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, get_args

from torch import Tensor, nn

from snellen.errors import ConfigError, did_you_mean
from snellen.models.maxout import give_maxout
from snellen.nn import Norm, SyncBatchNorm

__all__ = [
    "ACTIVATIONS",
    "BENDING",
    "INITS",
    "NORMS",
    "ActivationName",
    "InitName",
    "NormName",
    "change_activations",
    "draw_weights",
    "norm_named",
]

ActivationName = Literal["relu", "leaky_relu", "elu", "selu", "silu", "gelu", "tanh", "sigmoid", "maxout"]
InitName = Literal["kaiming", "xavier", "orthogonal"]
NormName = Literal["batch", "sync_batch", "group", "instance", "none"]
ACTIVATIONS: tuple[ActivationName, ...] = get_args(ActivationName)
INITS: tuple[InitName, ...] = get_args(InitName)
NORMS: tuple[NormName, ...] = get_args(NormName)
_GROUPS = 32  # of channels; Wu and He 2018, section 4.1

# In place only what does not need its input for the gradient.
_MADE: Mapping[ActivationName, Callable[[], nn.Module]] = MappingProxyType(
    {
        "relu": nn.ReLU,
        "leaky_relu": lambda: nn.LeakyReLU(0.1),  # as in YOLO; Redmon et al. 2016, section 2.2
        "elu": nn.ELU,
        "selu": nn.SELU,
        "silu": nn.SiLU,
        "gelu": nn.GELU,
        "tanh": nn.Tanh,
        "sigmoid": nn.Sigmoid,
    }
)
# Layers that stand between two layers and bend; those that give shares, such as a gate's sigmoid, are not among them.
BENDING = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.SiLU, nn.GELU, nn.Hardswish, nn.Tanh, nn.PReLU)


def change_activations(model: nn.Module, name: ActivationName) -> int:
    """Put another activation in the place of every one that a model holds as a layer; return how many.

    Gates that give shares of 0 to 1 stay. Where a network calls a function instead of a layer, that stays too. Maxout
    is more than another function: see ``give_maxout``.

    Args:
        model: Is changed.
        name: Of the new one.

    Raises:
        ConfigError: If there is no such activation, the model has none to change, or it cannot take maxout.

    Source:
        Nair and Hinton 2010 (ReLU); Maas et al. 2013 (leaky); Clevert et al. 2016 (ELU); Klambauer et al. 2017 (SELU);
        Ramachandran et al. 2017 (SiLU); Hendrycks and Gimpel 2016 (GELU). Tanh and the logistic sigmoid are there to be
        compared with: LeCun et al. 1998, "Efficient BackProp", section 4.4.
    """
    _check("activation", name, ACTIVATIONS)
    if name == "maxout":
        return give_maxout(model, BENDING)
    count = 0
    for module in model.modules():
        for key, child in module.named_children():
            if isinstance(child, BENDING):
                setattr(module, key, _MADE[name]())
                count += 1
    if not count:
        raise ConfigError(
            f"activation={name!r} changes layers; {type(model).__name__} has no activation that is a layer. Leave it "
            "out."
        )
    return count


def norm_named(name: NormName) -> Norm:
    """Return what makes the norm layers of a network.

    Args:
        name: ``batch``, ``sync_batch`` (over the images of all processes), ``group`` (the same for any size of the
            batch), ``instance`` (a group for each channel) or ``none``: nothing in their place, and convolutions that
            had no bias beside a norm get none.

    Raises:
        ConfigError: If there is no such norm.

    Source:
        Ioffe and Szegedy 2015; Zhang et al. 2018, https://arxiv.org/abs/1803.08904; Wu and He 2018,
        https://arxiv.org/abs/1803.08494; Ulyanov et al. 2016.
    """
    _check("norm", name, NORMS)
    made: Mapping[NormName, Norm] = {
        "batch": nn.BatchNorm2d,
        "sync_batch": SyncBatchNorm,
        "group": _group_norm,
        "instance": _instance_norm,
        "none": _no_norm,
    }
    return made[name]


def draw_weights(model: nn.Module, name: InitName) -> int:
    """Draw the weights of all convolutions and dense layers anew, from torch's generator; return how many.

    Layers that begin at zero on purpose keep that, and so do biases, which may hold what is known of the answers.

    Args:
        model: Is changed.
        name: ``kaiming`` (for ReLU and its like), ``xavier`` (for tanh and sigmoid) or ``orthogonal``.

    Raises:
        ConfigError: If there is no such way.

    Source:
        He et al. 2015, eq. 10, https://arxiv.org/abs/1502.01852; Glorot and Bengio 2010, eq. 16; Saxe et al. 2014.
    """
    _check("init", name, INITS)
    count = 0
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and bool(layer.weight.detach().any()):
            _DRAWN[name](layer.weight)
            count += 1
    return count


def _kaiming(weight: Tensor) -> None:
    nn.init.kaiming_normal_(weight, mode="fan_in", nonlinearity="relu")


def _xavier(weight: Tensor) -> None:
    nn.init.xavier_uniform_(weight)


def _orthogonal(weight: Tensor) -> None:
    nn.init.orthogonal_(weight, gain=math.sqrt(2))  # of ReLU, which lets half of the signal through


_DRAWN: Mapping[InitName, Callable[[Tensor], None]] = MappingProxyType(
    {"kaiming": _kaiming, "xavier": _xavier, "orthogonal": _orthogonal}
)


def _group_norm(num_channels: int) -> nn.Module:
    return nn.GroupNorm(math.gcd(_GROUPS, num_channels), num_channels)


def _instance_norm(num_channels: int) -> nn.Module:
    return nn.GroupNorm(num_channels, num_channels)


def _no_norm(num_channels: int) -> nn.Module:
    del num_channels
    return nn.Identity()


def _check(option: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise ConfigError(
            f"{option} must be one of {', '.join(map(repr, known))}; got {name!r}.{did_you_mean(name, known)}"
        )
