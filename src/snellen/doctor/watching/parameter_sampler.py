"""Sizes of gradients, weights and updates, and how successive gradients agree; nothing here waits for the device."""

from collections.abc import Sequence
from math import ceil

import torch
from jaxtyping import Float
from torch import Tensor, nn

from snellen.ops import constant_on

__all__ = ["ParameterSampler", "cosine", "norms"]

MOST_VALUES = 1 << 16  # of a parameter that are looked at
BLOCK = 256  # values that lie behind one another, read together


class ParameterSampler:
    """Looks at the parameters of an optimizer before and after a step.

    Gradients are measured whole; weights, updates and the angle between gradients by ``MOST_VALUES`` of each parameter,
    in blocks spread evenly over it: sizes are then known to about a percent, at a tenth of the cost.

    Args:
        parameters: Of the optimizer.
        device: Where the figures are put together.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], device: torch.device) -> None:
        self._parameters, self._device = parameters, device
        self._scales: Float[Tensor, " parameters"] | None = None
        self._former: tuple[list[int], list[Tensor]] | None = None  # gradients of the step before, in a pair of steps
        self._weights: list[Tensor] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether the step before is to be compared with the next one."""
        return self._former is not None

    @torch.no_grad()
    def before(self, *, is_first: bool) -> dict[str, Tensor]:
        """Return ``gradient``, ``weight`` and, in the second step of a pair, ``agreement``.

        Args:
            is_first: Whether the next step is to be compared with this one.
        """
        gradients = [parameter.grad for parameter in self._parameters]
        if self._scales is None:
            self._scales = _scales(self._parameters, self._device)
        found = {"gradient": norms(gradients, self._device)}
        places = [place for place, one in enumerate(gradients) if one is not None and not one.is_sparse]
        here = _parts([gradient for place in places if (gradient := gradients[place]) is not None])
        if self._former is not None and self._former[0] == places:
            scales = self._scales[constant_on(self._device, places, torch.int64)]
            found["agreement"] = cosine(self._former[1], here, scales)[None]
        self._former = (places, here) if is_first else None
        self._weights = _parts(self._parameters)
        found["weight"] = norms(self._weights, self._device) * self._scales
        return found

    @torch.no_grad()
    def after(self) -> dict[str, Tensor]:
        """Return ``update``: how far each parameter has moved since `before`; nothing if that was not called."""
        if self._weights is None or self._scales is None:
            return {}
        now = [_blocks(parameter.detach()) for parameter in self._parameters]
        torch._foreach_sub_(self._weights, now)
        moved = norms(self._weights, self._device) * self._scales
        self._weights = None
        return {"update": moved}

    def forget(self) -> None:
        """Let go of what is kept from step to step."""
        self._former = self._weights = None


def norms(tensors: Sequence[Tensor | None], device: torch.device) -> Float[Tensor, " tensors"]:
    """Return the 2-norm of each tensor; NaN for None."""
    found = torch.full((len(tensors),), float("nan"), device=device)
    groups: dict[tuple[torch.device, torch.dtype], list[int]] = {}
    for place, tensor in enumerate(tensors):
        if tensor is not None and not tensor.is_sparse:
            groups.setdefault((tensor.device, tensor.dtype), []).append(place)
    for places in groups.values():
        one = torch._foreach_norm([tensor for place in places if (tensor := tensors[place]) is not None])  # noqa: SLF001 - fused
        found[constant_on(device, places, torch.int64)] = torch.stack(list(one)).float().to(device)
    return found


def cosine(first: Sequence[Tensor], second: Sequence[Tensor], scales: Float[Tensor, " tensors"]) -> Float[Tensor, ""]:
    """Return the cosine of the angle between two lists of tensors, taken as one vector each.

    Args:
        first: Parts of tensors.
        second: The same parts of others.
        scales: See `_scales`.
    """
    device = scales.device
    products = [
        torch.dot(a.reshape(-1).float(), b.reshape(-1).float()).to(device) for a, b in zip(first, second, strict=True)
    ]
    sizes = [torch.linalg.vector_norm(norms(side, device) * scales) for side in (first, second)]
    found: Tensor = (torch.stack(products) * scales.square()).sum() / (sizes[0] * sizes[1])
    return found


def _parts(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return copies of what stands for each tensor; for tensors of one layout it lies at the same places."""
    return [_blocks(tensor.detach()).clone() for tensor in tensors]


def _scales(tensors: Sequence[Tensor], device: torch.device) -> Float[Tensor, " tensors"]:
    """Return what the norm of the part that is looked at is multiplied by to estimate that of the whole."""
    shares = [tensor.numel() / max(_blocks(tensor.detach()).numel(), 1) for tensor in tensors]
    return constant_on(device, shares, torch.float32).sqrt()


def _blocks(values: Tensor) -> Tensor:
    """Return a view of all values of a small tensor, and of blocks spread evenly over a large one."""
    count = values.numel()
    if count <= MOST_VALUES:
        return values
    flat = values
    if values.ndim == 4 and values.is_contiguous(memory_format=torch.channels_last):
        flat = values.permute(0, 2, 3, 1)
    if not flat.is_contiguous():
        return values
    blocks = flat.view(-1)[: count // BLOCK * BLOCK].view(-1, BLOCK)
    return blocks[:: ceil(count / MOST_VALUES) | 1]  # odd, so that blocks do not fall on the same columns of each row
