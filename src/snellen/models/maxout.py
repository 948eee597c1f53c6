"""Maxout in the place of a network's activations: layers before them grow, and the largest of their pieces goes on."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from snellen.errors import ConfigError, SnellenError
from snellen.models.backbones import Backbone
from snellen.nn import Maxout
from snellen.structures import ImageBatch

__all__ = ["give_maxout", "largest_of_normals"]

_SIDE = 64  # px, of the blank image that shows which layer stands before which activation
_TAKERS = "VGG, AlexNet, Network in Network, Darknet-19, MobileNetV2, LeNet-5 as rebuilt and the plain twins of ResNet"
_SPAN, _PARTS = 10.0, 20_001  # standard deviations on either side, and places, of the sum in ``largest_of_normals``


def give_maxout(model: nn.Module, activations: tuple[type[nn.Module], ...], *, pieces: int = 2) -> int:
    """Put maxout in the place of every activation that evaluation reaches; return how many.

    The convolution or dense layer before an activation, and the norm between them, get ``pieces`` times the channels.
    Weights are drawn anew so that a unit hands on the mean square that it gets; biases are kept. Activations of heads
    that are there for training alone stay.

    Args:
        model: Is changed; its weights are random.
        activations: Kinds of layers that are replaced.
        pieces: Affine maps that a unit chooses from.

    Raises:
        ConfigError: If an activation stands behind something else than such a layer, such as the sum of a residual
            block, if there is none, or if the model cannot be run on a blank image.

    Source:
        Goodfellow et al. 2013, sections 3 and 5, https://arxiv.org/abs/1302.4389; the norm before the largest is
        taken: Chang and Chen 2015, https://arxiv.org/abs/1511.02583; first weights: Tseran and Montúfar 2023, section
        3, https://arxiv.org/abs/2301.06956.
    """
    feeders = _feeders(model, activations)
    if not feeders:
        raise ConfigError(
            f"activation='maxout' changes layers; {type(model).__name__} has no activation that is a layer. Leave it "
            "out."
        )
    for layer in {id(layer): layer for chain in feeders.values() for layer in chain}.values():
        _widen(layer, pieces)
    for module in model.modules():
        for key, child in module.named_children():
            if child in feeders:
                setattr(module, key, Maxout(pieces))
    _run(model)
    return len(feeders)


def largest_of_normals(count: int) -> float:
    """Return the mean square of the largest of ``count`` normal numbers of mean 0 and variance 1.

    Source:
        Tseran and Montúfar 2023, table 1, https://arxiv.org/abs/2301.06956: 1 over the constant for maxout-He.
    """
    x = torch.linspace(-_SPAN, _SPAN, _PARTS, dtype=torch.float64)
    density = torch.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    below = torch.special.ndtr(x)
    return float(torch.trapezoid(x**2 * count * density * below ** (count - 1), x))


@dataclass(kw_only=True)
class _Followed:
    """Which layer made which tensor, and what stands before each activation.

    Attributes:
        makers: For each tensor that a layer returned, by its identity: itself, which keeps that from being reused, the
            layer, the identity of what it read, and how often the tensor had been written.
        feeders: For each activation, the layers before it: what is widened.
        strangers: Activations behind something else.
    """

    makers: dict[int, tuple[Tensor, nn.Module, int, int]] = field(default_factory=dict)
    feeders: dict[nn.Module, list[nn.Module]] = field(default_factory=dict)
    strangers: dict[nn.Module, str] = field(default_factory=dict)

    def returned(self, module: nn.Module, given: tuple[Any, ...], result: Any) -> None:
        if given and isinstance(given[0], Tensor) and isinstance(result, Tensor):
            self.makers[id(result)] = (result, module, id(given[0]), result._version)  # noqa: SLF001 - no public name

    def entered(self, activation: nn.Module, given: tuple[Any, ...]) -> None:
        chain = self._chain(id(given[0]))
        if chain:
            self.feeders.setdefault(activation, []).extend(chain)
        else:
            maker = self._maker(id(given[0]))
            self.strangers[activation] = "a sum or another function" if maker is None else type(maker).__name__

    def _chain(self, place: int) -> list[nn.Module]:
        """Return the layer that made a tensor, and the norm between, if there is one; nothing for other tensors."""
        maker = self._maker(place)
        if isinstance(maker, nn.Conv2d | nn.Linear):
            return [maker]
        if isinstance(maker, nn.BatchNorm2d | nn.GroupNorm):
            before = self._chain(self.makers[place][2])
            return [*before, maker] if len(before) == 1 else []
        return []

    def _maker(self, place: int) -> nn.Module | None:
        """Return the layer whose result a tensor is, unless something was added to it since."""
        if place not in self.makers:
            return None
        result, maker, _, version = self.makers[place]
        return maker if result._version == version else None  # noqa: SLF001 - as above


def _feeders(model: nn.Module, activations: tuple[type[nn.Module], ...]) -> dict[nn.Module, list[nn.Module]]:
    followed = _Followed()
    handles: list[Any] = []
    for module in model.modules():
        if isinstance(module, activations):
            handles.append(module.register_forward_pre_hook(followed.entered))
        if not any(module.children()) and not isinstance(module, nn.Identity):  # which returns what somebody else made
            handles.append(module.register_forward_hook(followed.returned))
    try:
        _run(model)
    finally:
        for handle in handles:
            handle.remove()
    for path, module in model.named_modules():
        if module in followed.strangers:
            raise ConfigError(
                "activation='maxout' takes the largest of several affine maps, so that each activation must stand "
                f"behind a convolution or dense layer, at most with a norm between; {path!r} of {type(model).__name__} "
                f"stands behind {followed.strangers[module]}. Networks that take it: {_TAKERS}."
            )
    return followed.feeders


def _run(model: Any) -> None:
    """Run a model on a blank image, in evaluation."""
    module: nn.Module = model
    sides = [part.least_size for part in module.modules() if isinstance(part, Backbone)]
    stride = getattr(model, "stride", 1)
    side = -(-max(_SIDE, *sides, 1) // stride) * stride
    size = torch.tensor([[side, side]])
    blank = ImageBatch(pixels=torch.zeros(1, 3, side, side, dtype=torch.uint8), sizes=size, original_sizes=size)
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            model(blank)
    except (SnellenError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"activation='maxout' needs a run on a blank image of {side} px to see which layers feed activations; "
            f"{type(model).__name__} cannot be run so ({error}). Choose another activation."
        ) from error
    finally:
        for part, mode in modes:
            part.training = mode


def _widen(layer: nn.Module, pieces: int) -> None:
    for kinds, widened in _WIDENED:
        if isinstance(layer, kinds):
            widened(layer, pieces)


def _widen_affine(layer: Any, pieces: int) -> None:
    weight = layer.weight.detach()
    spread = (largest_of_normals(pieces) * weight[0].numel()) ** -0.5
    layer.weight = nn.Parameter(spread * torch.randn(pieces * len(weight), *weight.shape[1:]).to(weight))
    if layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias.detach().repeat_interleave(pieces))
    name = "out_channels" if isinstance(layer, nn.Conv2d) else "out_features"
    setattr(layer, name, len(layer.weight))


def _widen_batch_norm(layer: Any, pieces: int) -> None:
    layer.num_features *= pieces
    _repeat_learned(layer, pieces)
    for name in ("running_mean", "running_var"):
        if getattr(layer, name) is not None:
            setattr(layer, name, getattr(layer, name).repeat_interleave(pieces))


def _widen_group_norm(layer: Any, pieces: int) -> None:
    if layer.num_groups == layer.num_channels:
        layer.num_groups *= pieces
    layer.num_channels *= pieces
    _repeat_learned(layer, pieces)


def _repeat_learned(layer: Any, pieces: int) -> None:
    for name in ("weight", "bias"):
        value = getattr(layer, name)
        if value is not None:
            setattr(layer, name, nn.Parameter(value.detach().repeat_interleave(pieces)))


_WIDENED: Sequence[tuple[tuple[type[nn.Module], ...], Callable[[Any, int], None]]] = (
    ((nn.Conv2d, nn.Linear), _widen_affine),
    ((nn.BatchNorm2d,), _widen_batch_norm),
    ((nn.GroupNorm,), _widen_group_norm),
)
