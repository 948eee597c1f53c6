"""Figures of layers, left on the device: nothing here waits for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from time import perf_counter
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.utils.hooks import RemovableHandle

from snellen.doctor.watching.rows import NUM_FACTS, LayerColumn

__all__ = ["LayerSampler", "watched_layers"]

SIDE = 32  # rows and columns of a map that are looked at, evenly spread
TOKENS = 1024  # places of a sequence that are looked at
LAYER_VALUES = 1 << 17  # that are looked at of each layer; fewer rows and columns where there are more
LEAST_SIDE = 8  # rows and columns that are looked at however many values they hold
MOST_IMAGES = 32  # of a batch that are looked at
LEAST_UNITS = 4  # of a layer whose units are compared
MOST_GAP = 10.0  # spreads that count of a channel's gap, so that one channel does not hide the others
CLOSE = 0.05  # to a bound, as a share of the range: there the gradient is below a fifth of its largest
DEAD_SAMPLES = 3  # in a row, after which a unit counts as dead

WEIGHTS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.Linear)
NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm)
SQUASHING: Mapping[type[nn.Module], tuple[float, float]] = {
    nn.Sigmoid: (0.0, 1.0),
    nn.Hardsigmoid: (0.0, 1.0),
    nn.Tanh: (-1.0, 1.0),
    nn.Hardtanh: (-1.0, 1.0),
    nn.Softsign: (-1.0, 1.0),
}
ACTIVATIONS = (
    *SQUASHING, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Hardswish, nn.Softplus,
)  # fmt: skip


def watched_layers(model: nn.Module) -> tuple[tuple[LayerColumn, nn.Module], ...]:
    """Return the layers that tell something: those with weights, norms and activations."""
    found = []
    for name, module in model.named_modules():
        role = "weights" if isinstance(module, WEIGHTS) else "norm" if isinstance(module, NORMS) else ""
        role = role or ("activation" if isinstance(module, ACTIVATIONS) else "")
        if role:
            found.append((LayerColumn(name=name, kind=type(module).__name__, role=role), module))
    return tuple(found)


@dataclass
class LayerSampler:
    """Looks at what layers read and give out, during one forward pass.

    Attributes:
        layers: That are looked at.
        device: Where the figures are put together.
        spent_s: Seconds that looking took since `attach`.
    """

    layers: Sequence[tuple[LayerColumn, nn.Module]]
    device: torch.device
    spent_s: float = 0.0
    _facts: dict[int, Float[Tensor, " facts"]] = field(default_factory=dict)
    _dead: dict[int, Float[Tensor, " units"]] = field(default_factory=dict)
    _running: dict[int, tuple[Tensor, Tensor, float]] = field(default_factory=dict)  # of norms, before the pass
    _handles: list[RemovableHandle] = field(default_factory=list)

    def attach(self) -> None:
        """Look at the next forward pass."""
        began = perf_counter()
        self._facts.clear()
        self._running.clear()
        for place, (column, module) in enumerate(self.layers):
            if isinstance(module, _BatchNorm) and module.training:
                mean, variance = module.running_mean, module.running_var
                if mean is not None and variance is not None:
                    self._running[place] = (mean.clone(), variance.clone(), module.eps)
            self._handles.append(module.register_forward_hook(_hook(self, place, column)))
        self.spent_s = perf_counter() - began

    @property
    def is_attached(self) -> bool:
        """Whether layers are being looked at."""
        return bool(self._handles)

    def detach(self) -> None:
        """Stop looking."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def facts(self) -> Float[Tensor, "layers facts"]:
        """Return the figures of each layer, NaN for those that were not called; see ``NUM_FACTS``."""
        missing = torch.full((NUM_FACTS,), float("nan"), device=self.device)
        return torch.stack([self._facts.get(place, missing) for place in range(len(self.layers))])

    def note(self, place: int, column: LayerColumn, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        """Note the first call of a layer."""
        if place in self._facts or not isinstance(output, Tensor) or not output.numel():
            return
        with torch.no_grad():
            given = thinned(output.detach(), column.kind)
            nothing = torch.full((), float("nan"), device=given.device)
            zeros = dead = saturated = gap = apart = varied = nothing
            rms = torch.linalg.vector_norm(given, dtype=torch.float32) / given.numel() ** 0.5
            if column.role == "weights" and inputs and isinstance(inputs[0], Tensor) and inputs[0].numel():
                read = thinned(inputs[0].detach(), column.kind)
                zeros, dead = _zeros(read), self._dead_share(place, read, column.kind)
                units = given.float().mean(_all_but_units(given, column.kind))
                apart = units.std() / rms if len(units) >= LEAST_UNITS else nothing
                if given.ndim > 1 and len(given) > 1:
                    varied = given.float().var(0, correction=0).mean().sqrt()
            elif column.role == "activation":
                zeros = _zeros(given)
                saturated = _saturated(module, given)
            elif place in self._running and inputs and isinstance(inputs[0], Tensor):
                gap = _gap(inputs[0].detach(), *self._running[place], kind=column.kind)
            facts = [rms, given.abs().amax().float(), zeros, dead, saturated, gap, apart, varied]
            self._facts[place] = torch.stack([fact.to(self.device) for fact in facts])

    def _dead_share(self, place: int, read: Tensor, kind: str) -> Float[Tensor, ""]:
        """Return the share of units that were zero everywhere, in this sample and in those before."""
        is_zero = (read.abs().amax(_all_but_units(read, kind)) == 0).float()
        former = self._dead.get(place)
        count = (torch.zeros_like(is_zero) if former is None or former.shape != is_zero.shape else former) + 1
        self._dead[place] = count * is_zero
        return (self._dead[place] >= DEAD_SAMPLES).float().mean()


def _hook(sampler: LayerSampler, place: int, column: LayerColumn) -> Any:
    def noted(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        began = perf_counter()
        sampler.note(place, column, module, inputs, output)
        sampler.spent_s += perf_counter() - began

    return noted


def thinned(values: Tensor, kind: str) -> Tensor:
    """Return some of the images, and some of the places of their maps and sequences; all channels of each."""
    values = values[:: ceil(len(values) / MOST_IMAGES)] if values.ndim > 1 else values
    if kind == "Linear":
        if values.ndim < 3:
            return values
        flat = values.flatten(1, -2)
        return flat[:, :: ceil(flat.shape[1] / TOKENS)]
    axes = values.ndim - 2
    if axes < 1:
        return values
    room = LAYER_VALUES / (values.shape[0] * values.shape[1])
    side = min(max(int(room ** (1 / axes)), LEAST_SIDE), SIDE)
    for axis in range(2, values.ndim):
        values = values[(slice(None),) * axis + (slice(None, None, ceil(values.shape[axis] / side)),)]
    return values.contiguous()


def _all_but_units(values: Tensor, kind: str) -> tuple[int, ...]:
    """Return the axes over images and places."""
    return (*range(values.ndim - 1),) if kind == "Linear" else (0, *range(2, values.ndim))


def _zeros(values: Tensor) -> Float[Tensor, ""]:
    """Return the share of zeros."""
    is_zero = torch.empty_like(values, dtype=torch.float32)
    return torch.eq(values, 0, out=is_zero).mean()  # into floats: sums of booleans are slow


def _gap(read: Tensor, mean: Tensor, variance: Tensor, eps: float, *, kind: str) -> Float[Tensor, ""]:
    """Return how far the output of a norm would be away with running statistics in place of the batch's.

    With the mean ``m`` and spread ``s`` of the batch and those that run, ``M`` and ``S``, the output of a channel is
    ``(x - m) / s`` in training and ``(x - M) / S`` in evaluation; the root mean square of the difference is
    ``sqrt((1 - s / S)^2 + ((m - M) / S)^2)``. The mean over the channels is returned, each at most ``MOST_GAP``.

    Args:
        read: What the norm reads.
        mean: Running mean, before this batch.
        variance: Running variance, before this batch.
        eps: Of the norm.
        kind: Class of the norm.
    """
    shape = (1, -1, *([1] * (read.ndim - 2)))
    centred = thinned(read, kind).float() - mean.float().view(shape)
    over = (0, *range(2, read.ndim))
    shift = centred.mean(over)
    spread = (centred.square().mean(over) - shift.square()).clamp(min=0) + eps
    running = variance.float() + eps
    gap = ((1 - (spread / running).sqrt()).square() + shift.square() / running).sqrt()
    return gap.clamp(max=MOST_GAP).mean()


def _saturated(module: nn.Module, given: Tensor) -> Float[Tensor, ""]:
    bounds = next((SQUASHING[kind] for kind in SQUASHING if isinstance(module, kind)), None)
    if bounds is None or isinstance(module, nn.ReLU6):
        return torch.full((), float("nan"), device=given.device)
    low, high = bounds
    margin = CLOSE * (high - low)
    return ((given <= low + margin) | (given >= high - margin)).float().mean()
