"""Cross-entropies, unreduced: whoever calls them chooses what to divide by."""

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional

from snellen.structures import IGNORE_LABEL

__all__ = ["binary_cross_entropy", "pixel_cross_entropy", "soft_cross_entropy"]


def soft_cross_entropy(
    logits: Float[Tensor, "*batch num_classes"],
    probs: Float[Tensor, "*batch num_classes"],
    *,
    class_weights: Float[Tensor, " num_classes"] | None = None,
    label_smoothing: float = 0.0,
) -> Float[Tensor, "*batch"]:
    """Cross-entropy against a distribution over the classes.

    Args:
        logits: Raw scores, any range.
        probs: Wanted share of each class, sums to 1, or to 0 where nothing is wanted: there the loss is 0.
        class_weights: Factor on the part of the loss that each class is wanted for; ``None`` for no weights.
        label_smoothing: Share of the target that is spread evenly over all classes, 0..1.

    Returns:
        Loss in nats, float32, one per element. Empty input gives empty output.

    Source:
        Label smoothing: Szegedy et al. 2015, section 7, https://arxiv.org/abs/1512.00567. Weights and smoothing meet as
        in ``torch.nn.functional.cross_entropy`` with probabilities.
    """
    wanted = weighted_targets(probs, class_weights=class_weights, label_smoothing=label_smoothing)
    return -(wanted * functional.log_softmax(logits.float(), dim=-1)).sum(dim=-1)


def weighted_targets(
    probs: Float[Tensor, "*batch num_classes"],
    *,
    class_weights: Float[Tensor, " num_classes"] | None = None,
    label_smoothing: float = 0.0,
) -> Float[Tensor, "*batch num_classes"]:
    """Return how much each class counts in a loss: its smoothed share times its weight, float32."""
    wanted = probs.float()
    if label_smoothing > 0:
        spread = label_smoothing * wanted.sum(dim=-1, keepdim=True) / wanted.shape[-1]
        wanted = wanted * (1 - label_smoothing) + spread
    return wanted if class_weights is None else wanted * class_weights.float()


def pixel_cross_entropy(
    logits: Float[Tensor, "batch num_classes *space"],
    labels: Integer[Tensor, "batch *space"],
    *,
    label_smoothing: float = 0.0,
) -> Float[Tensor, "batch *space"]:
    """Cross-entropy of every pixel; 0 where the label is ``IGNORE_LABEL``.

    Args:
        logits: Raw scores, any range.
        labels: 0..K-1 or ``IGNORE_LABEL``.
        label_smoothing: Share of the target that is spread evenly over all classes, 0..1.

    Returns:
        Loss in nats, float32, one per pixel.

    Source:
        Long et al. 2015, section 3.4, https://arxiv.org/abs/1411.4038.
    """
    return functional.cross_entropy(
        logits.float(),
        labels.long(),
        ignore_index=IGNORE_LABEL,
        reduction="none",
        label_smoothing=label_smoothing,
    )


def binary_cross_entropy(logits: Float[Tensor, "*batch"], targets: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Cross-entropy of independent yes-or-no questions.

    Args:
        logits: Raw scores, any range; finite results at any magnitude.
        targets: 0 or 1; soft values allowed.

    Returns:
        Loss in nats, float32, one per element.

    Source:
        Bishop 2006, Pattern Recognition and Machine Learning, eq. 4.90, from logits.
    """
    return functional.binary_cross_entropy_with_logits(logits.float(), targets.to(torch.float32), reduction="none")
