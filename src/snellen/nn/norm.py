"""Normalisation layers whose statistics do not move."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["FrozenBatchNorm", "Norm", "with_eps"]

Norm = Callable[[int], nn.Module]  # number of channels -> layer


def with_eps(norm: Norm, eps: float) -> Norm:
    """Return a norm whose layers add ``eps`` to the variance, where they have such a number."""

    def made(num_channels: int) -> nn.Module:
        layer = norm(num_channels)
        if isinstance(getattr(layer, "eps", None), float):
            layer.eps = eps  # type: ignore[assignment]  # torch declares attributes of modules as tensors
        return layer

    return made


class FrozenBatchNorm(nn.Module):
    """Batch norm with fixed statistics and fixed scale and shift.

    For fine-tuning with batches too small to estimate statistics. Everything is a buffer, so an optimizer
    sees nothing here, and the keys are those of ``nn.BatchNorm2d``.

    Args:
        num_features: Channels.
        eps: Added to the variance.

    Source:
        The layer of torchvision's detectors (``torchvision.ops.FrozenBatchNorm2d``). Differs: runs the fused
        kernel of ``batch_norm``, which keeps the dtype of the input under autocast.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(num_features))
        self.register_buffer("bias", torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_load_state_dict_pre_hook(_drop_batch_count)  # type: ignore[no-untyped-call]

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Return ``(x - mean) / sqrt(var + eps) * weight + bias``."""
        return functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
        )

    def affine(self) -> tuple[Float[Tensor, " channels"], Float[Tensor, " channels"]]:
        """Return scale and shift of each channel: the layer is ``x * scale + shift``."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return scale, self.bias - self.running_mean * scale

    def extra_repr(self) -> str:
        """Return what ``print`` shows."""
        return f"{len(self.weight)}, eps={self.eps}"


def _drop_batch_count(_module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    # A BatchNorm2d counts its batches; frozen statistics have no use for that.
    state.pop(prefix + "num_batches_tracked", None)
