"""Losses of overlap."""

from jaxtyping import Bool, Float, Integer
from torch import Tensor
from torch.nn import functional

__all__ = ["dice_loss"]

_FLOOR = 1e-7  # pixels; keeps an absent class from dividing by 0


def dice_loss(
    logits: Float[Tensor, "batch num_classes height width"],
    labels: Integer[Tensor, "batch height width"],
    valid: Bool[Tensor, "batch height width"],
    *,
    smooth: float = 0.0,
) -> Float[Tensor, " num_classes"]:
    """One minus the soft overlap of probability and truth, for each class over the whole batch.

    A class without a pixel in the truth gives 0: there is nothing to overlap with.

    Args:
        logits: Raw scores, any range.
        labels: 0..K-1 where ``valid``, anything elsewhere.
        valid: False for pixels that count for nothing.
        smooth: Added above and below the fraction, in pixels.

    Returns:
        Loss 0..1, float32, one per class.

    Source:
        Milletari et al. 2016, section 3, https://arxiv.org/abs/1606.04797. Differs: without the squares below
        the fraction, as segmentation_models_pytorch does.
    """
    counts = valid[:, None].float()
    probs = logits.float().softmax(dim=1) * counts
    truth = functional.one_hot(labels.long() * valid, logits.shape[1]).movedim(-1, 1) * counts
    shared = (probs * truth).sum(dim=(0, 2, 3))
    total = (probs + truth).sum(dim=(0, 2, 3))
    overlap = (2 * shared + smooth) / (total + smooth).clamp(min=_FLOOR)
    return (1 - overlap) * (truth.sum(dim=(0, 2, 3)) > 0)
