"""Batch normalisation over the images of all processes."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional

__all__ = ["SyncBatchNorm"]

_SPACE = [0, 2, 3]  # all but the channels


class SyncBatchNorm(nn.BatchNorm2d):
    """Batch norm whose statistics are those of the batch of all processes of ``torchrun``, on CPUs and on GPUs.

    With a few images for each process the mean and the variance of these few are noisy; those of all processes are what
    one process with the whole batch would see. A forward pass costs one exchange and a backward pass another. Alone, in
    evaluation and without a process group it is ``nn.BatchNorm2d``, whose keys it has.

    Processes may have different numbers of images, also none at all. Every process must call the layer equally often.

    Source:
        Zhang et al. 2018 (Context Encoding), section 3.3, https://arxiv.org/abs/1803.08904. Differs: what is exchanged
        are counts, means and sums of squares about the mean, merged as in Chan et al. 1983, "Algorithms for computing
        the sample variance", eq. 2.1: the variance as the mean of squares minus the squared mean loses all its digits
        where the mean is large. torch's own layer of that name works on accelerators only.
    """

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Return ``(x - mean) / sqrt(var + eps) * weight + bias``."""
        by_batch = self.training or self.running_mean is None
        if not (by_batch and distributed.is_available() and distributed.is_initialized()):
            return super().forward(x)
        if distributed.get_world_size() == 1:
            return super().forward(x)
        self._check_input_dim(x)
        y, mean, var, total = _Shared.apply(x, self.weight, self.bias, self.eps)
        if self.training and self.running_mean is not None:
            self._follow(mean, var * (total / (total - 1).clamp(min=1)))
        result: Tensor = y
        return result

    @torch.no_grad()
    def _follow(self, mean: Tensor, var: Tensor) -> None:
        """Move the running statistics as ``nn.BatchNorm2d`` does."""
        share = self.momentum
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if share is None:
                share = 1.0 / float(self.num_batches_tracked)
        for kept, new in ((self.running_mean, mean), (self.running_var, var)):
            if kept is not None:
                kept.lerp_(new.to(kept.dtype), 0.0 if share is None else share)


class _Shared(Function):
    """The normalisation by the statistics of all processes, and the gradient through them.

    Source:
        Ioffe and Szegedy 2015, section 3, for both passes; the two sums of the backward pass go over all processes.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        mean, var, total = _merged(*_moments(x))
        ctx.save_for_backward(x, weight, mean, (var + eps).rsqrt(), total)
        ctx.mark_non_differentiable(mean, var, total)
        return functional.batch_norm(x, mean, var, weight, bias, training=False, eps=eps), mean, var, total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        x, weight, mean, scale, total = ctx.saved_tensors
        wide = (slice(None), None, None)
        coming = grad.to(mean.dtype)
        unit = (x.to(mean.dtype) - mean[wide]) * scale[wide]  # before weight and bias
        own = torch.stack([coming.sum(_SPACE), (coming * unit).sum(_SPACE)])
        shared = own.clone()
        distributed.all_reduce(shared)
        by_mean, by_scale = shared / total
        slope = scale if weight is None else scale * weight
        going = (coming - by_mean[wide] - unit * by_scale[wide]) * slope[wide]
        if weight is None:
            return going.to(x.dtype), None, None, None
        return going.to(x.dtype), own[1].to(weight.dtype), own[0].to(weight.dtype), None


def _moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return how many values each channel has here, their means, and their sums of squares about them."""
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    count = x.new_tensor(float(x.numel() // x.shape[1]))
    if x.numel() == 0:
        nothing = x.new_zeros(x.shape[1])
        return count, nothing, nothing
    var, mean = torch.var_mean(x, _SPACE, correction=0)
    return count, mean, var * count


def _merged(count: Tensor, mean: Tensor, squares: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean, variance and number of the values of all processes, by one exchange."""
    own = torch.cat([count[None], mean, squares])
    parts = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, own)
    rows = torch.stack(parts)
    counts, (means, sums) = rows[:, :1], rows[:, 1:].chunk(2, dim=1)
    total = counts.sum().clamp(min=1)
    whole = (counts * means).sum(0) / total
    return whole, (sums + counts * (means - whole).square()).sum(0) / total, total
