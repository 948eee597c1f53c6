"""Losses that weigh rare positives and hard examples up, unreduced."""

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional

from snellen.losses.cross_entropy import weighted_targets

__all__ = ["alpha_balanced_cross_entropy", "focal_loss", "soft_focal_loss", "softmax_focal_loss"]


def focal_loss(
    logits: Float[Tensor, "*batch"],
    targets: Float[Tensor, "*batch"],
    *,
    alpha: float | None = 0.25,
    gamma: float = 2.0,
) -> Float[Tensor, "*batch"]:
    """Cross-entropy of independent questions that fades where the answer is right already.

    Args:
        logits: Raw scores, any range; finite results at any magnitude.
        targets: 0 or 1; soft values allowed.
        alpha: Weight of the positive answer, 0..1, against 1 − alpha of the negative one; ``None`` for no
            weights.
        gamma: Fading strength; 0 gives plain cross-entropy.

    Returns:
        Loss in nats, float32, one per element.

    Source:
        Lin et al. 2017 (RetinaNet), eq. 5, https://arxiv.org/abs/1708.02002. Differs: 1 − p_t is summed from
        two sigmoids, so that nothing cancels at large logits; with soft targets, p_t and alpha_t are mixed in
        proportion, as in fvcore.
    """
    scores, wanted = logits.float(), targets.float()
    loss = functional.binary_cross_entropy_with_logits(scores, wanted, reduction="none")
    missing = wanted * torch.sigmoid(-scores) + (1 - wanted) * torch.sigmoid(scores)  # 1 - p_t
    loss = loss * _power(missing, gamma)
    return loss if alpha is None else loss * (alpha * wanted + (1 - alpha) * (1 - wanted))


def softmax_focal_loss(
    logits: Float[Tensor, "*batch num_classes"],
    labels: Integer[Tensor, "*batch"],
    *,
    class_weights: Float[Tensor, " num_classes"] | None = None,
    gamma: float = 2.0,
) -> Float[Tensor, "*batch"]:
    """Cross-entropy over classes that exclude each other, fading where the answer is right already.

    Args:
        logits: Raw scores, any range; finite results at any magnitude.
        labels: 0..K-1.
        class_weights: Factor on the loss of each class; ``None`` for no weights.
        gamma: Fading strength; 0 gives plain cross-entropy.

    Returns:
        Loss in nats, float32, one per element.

    Source:
        Lin et al. 2017, section 3 ("extending the focal loss to the multi-class case is straightforward").
    """
    wanted = labels.long()
    log_probs = functional.log_softmax(logits.float(), dim=-1)
    log_prob = log_probs.gather(-1, wanted[..., None])[..., 0]
    loss = -log_prob * _power(-torch.expm1(log_prob), gamma)
    return loss if class_weights is None else loss * class_weights.float()[wanted]


def soft_focal_loss(
    logits: Float[Tensor, "*batch num_classes"],
    probs: Float[Tensor, "*batch num_classes"],
    *,
    class_weights: Float[Tensor, " num_classes"] | None = None,
    gamma: float = 2.0,
    label_smoothing: float = 0.0,
) -> Float[Tensor, "*batch"]:
    """Focal loss over classes that exclude each other, against a distribution over them.

    Each class that is wanted adds its own fading term, in proportion to its share; for one class it is
    ``softmax_focal_loss``.

    Args:
        logits: Raw scores, any range; finite results at any magnitude.
        probs: Wanted share of each class, sums to 1, or to 0 where nothing is wanted: there the loss is 0.
        class_weights: Factor on the part of the loss that each class is wanted for; ``None`` for no weights.
        gamma: Fading strength; 0 gives ``soft_cross_entropy``.
        label_smoothing: Share of the target that is spread evenly over all classes, 0..1.

    Returns:
        Loss in nats, float32, one per element.

    Source:
        Lin et al. 2017, eq. 4 and section 3, with soft targets mixed in proportion, as for ``focal_loss``.
    """
    wanted = weighted_targets(probs, class_weights=class_weights, label_smoothing=label_smoothing)
    log_probs = functional.log_softmax(logits.float(), dim=-1)
    return -(wanted * log_probs * _power(-torch.expm1(log_probs), gamma)).sum(dim=-1)


def alpha_balanced_cross_entropy(
    logits: Float[Tensor, "*batch"], targets: Float[Tensor, "*batch"], *, alpha: float = 0.25
) -> Float[Tensor, "*batch"]:
    """Cross-entropy of independent questions with a fixed weight for each answer.

    Args:
        logits: Raw scores, any range; finite results at any magnitude.
        targets: 0 or 1; soft values allowed.
        alpha: Weight of the positive answer, 0..1, against 1 − alpha of the negative one.

    Returns:
        Loss in nats, float32, one per element.

    Source:
        Lin et al. 2017, eq. 3.
    """
    wanted = targets.float()
    loss = functional.binary_cross_entropy_with_logits(logits.float(), wanted, reduction="none")
    return loss * (alpha * wanted + (1 - alpha) * (1 - wanted))


def _power(share: Tensor, exponent: float) -> Tensor:
    """``share`` (0..1) to a power, with a finite gradient at 0 for exponents under 1 too."""
    if exponent == 0:
        return torch.ones_like(share)
    return share.clamp(min=torch.finfo(share.dtype).tiny) ** exponent
