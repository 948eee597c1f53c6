"""The focal loss of a whole pyramid in one sum: nearly all of its targets are 0, and that pays.

Shapes: B images, A anchors, K classes.
"""

from typing import Any, cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

__all__ = ["focal_sum"]

# On a CPU the logits are worked through in parts that stay in a core's cache.
_PART = 1 << 16  # logits


def focal_sum(
    logits: Float[Tensor, "batch num_anchors num_classes"],
    labels: Int64[Tensor, "batch num_anchors"],
    weights: Float[Tensor, "batch num_anchors"],
    *,
    alpha: float | None = 0.25,
    gamma: float = 2.0,
) -> Float[Tensor, ""]:
    """Sum of ``weights`` times ``losses.focal_loss`` over all anchors and classes.

    The gradient is worked out together with the loss, so that of all that lies between logits and sum nothing
    but the gradient is kept; every question is treated as if its answer were "no", and the few "yes" are put
    right afterwards. It cannot be differentiated twice, nor with respect to the weights.

    Args:
        logits: Raw scores, any range.
        labels: The class that an anchor must say yes to, or −1 for none.
        weights: Factor on the loss of each anchor; 0 leaves it out.
        alpha: Weight of the positive answer, 0..1, against 1 − alpha of the negative one; None for no weights.
        gamma: Fading strength; 0 gives plain cross-entropy.

    Source:
        Lin et al. 2017 (RetinaNet), eq. 5, https://arxiv.org/abs/1708.02002.
    """
    return cast("Tensor", _FocalSum.apply(logits, labels, weights, alpha, gamma))


class _FocalSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, weights: Tensor, alpha: float | None, gamma: float) -> Tensor:
        no, yes = (1.0, 1.0) if alpha is None else (1 - alpha, alpha)
        gradient = torch.empty_like(logits, memory_format=torch.contiguous_format) if ctx.needs_input_grad[0] else None
        rows = logits.flatten(0, 1)
        factor = weights.flatten() * no
        total = _sum_of_noes(rows, factor, gamma, None if gradient is None else gradient.flatten(0, 1))
        column = labels.flatten().clamp(min=0)[:, None]
        chosen = rows.gather(1, column)[:, 0].to(weights.dtype)
        said_no, slope_no = _loss_and_slope(chosen, gamma)
        said_yes, slope_yes = _loss_and_slope(-chosen, gamma)
        wanted = labels.flatten() >= 0
        change = yes * weights.flatten() * said_yes - factor * said_no
        total = total + torch.where(wanted, change, 0.0).sum()
        if gradient is not None:
            change = -yes * weights.flatten() * slope_yes - factor * slope_no
            change = torch.where(wanted, change, 0.0).to(gradient.dtype)
            gradient.flatten(0, 1).scatter_add_(1, column, change[:, None])
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return (None if gradient is None else gradient * upstream.to(gradient.dtype)), None, None, None, None


def _sum_of_noes(rows: Tensor, factor: Tensor, gamma: float, gradient: Tensor | None) -> Tensor:
    """Return the weighted sum of the losses where every answer should be no; write the gradient."""
    step = max(1, _PART // max(1, rows.shape[1])) if rows.device.type == "cpu" else max(1, len(rows))
    totals = []
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        weight = factor[part, None]
        loss, slope = _loss_and_slope(rows[part].to(factor.dtype), gamma, slope_too=gradient is not None)
        totals.append(loss.mul_(weight).sum())
        if gradient is not None:
            gradient[part] = slope.mul_(weight)
    return torch.stack(totals).sum() if totals else rows.new_zeros((), dtype=factor.dtype)


def _loss_and_slope(logits: Tensor, gamma: float, *, slope_too: bool = True) -> tuple[Tensor, Tensor]:
    """Return the focal loss of answers that should be no, and its derivative by the logit.

    With p the probability of yes and s = −log(1 − p): loss p^γ s, slope p^γ (γ (1 − p) s + p).
    """
    prob = torch.sigmoid(logits)
    surprise = functional.softplus(logits)
    fade = prob.square() if gamma == 2 else prob**gamma
    slope = prob
    if slope_too:
        slope = (1 - prob).mul_(surprise).mul_(gamma).add_(prob).mul_(fade)
    return fade.mul_(surprise), slope
