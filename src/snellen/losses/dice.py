"""Dice: losses of overlap that count a class by its pixels, whatever its share of the image is."""

from jaxtyping import Bool, Float, Integer
from torch import Tensor
from torch.nn import functional

__all__ = ["dice_loss", "jaccard_loss", "tversky_loss"]

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
    return tversky_loss(logits, labels, valid, alpha=0.5, beta=0.5, smooth=smooth / 2)


def jaccard_loss(
    logits: Float[Tensor, "batch num_classes height width"],
    labels: Integer[Tensor, "batch height width"],
    valid: Bool[Tensor, "batch height width"],
    *,
    smooth: float = 0.0,
) -> Float[Tensor, " num_classes"]:
    """One minus the soft intersection over union of probability and truth, for each class over the whole batch.

    Args:
        logits: As for ``dice_loss``.
        labels: As for ``dice_loss``.
        valid: As for ``dice_loss``.
        smooth: Added above and below the fraction, in pixels.

    Returns:
        Loss 0..1, float32, one per class; 0 for classes without a pixel.

    Source:
        Rahman & Wang 2016, "Optimizing intersection-over-union in deep neural networks for image segmentation", eq. 3.
    """
    return tversky_loss(logits, labels, valid, alpha=1.0, beta=1.0, smooth=smooth)


def tversky_loss(
    logits: Float[Tensor, "batch num_classes height width"],
    labels: Integer[Tensor, "batch height width"],
    valid: Bool[Tensor, "batch height width"],
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 1.0,
    smooth: float = 0.0,
) -> Float[Tensor, " num_classes"]:
    """One minus ``hits / (hits + alpha · false alarms + beta · misses)``, to a power, for each class over the batch.

    With both weights 0.5 it is the dice loss, with both 1 the Jaccard loss; ``beta`` above ``alpha`` finds more of
    a small class, at the price of false alarms.

    Args:
        logits: As for ``dice_loss``.
        labels: As for ``dice_loss``.
        valid: As for ``dice_loss``.
        alpha: Weight of false alarms.
        beta: Weight of misses.
        gamma: Power of the loss; below 1 classes that are right already keep a gradient (focal Tversky: 0.75).
        smooth: Added above and below the fraction, in pixels.

    Returns:
        Loss 0..1, float32, one per class; 0 for classes without a pixel.

    Source:
        Salehi et al. 2017, eq. 2 and section 4 (0.3 and 0.7), https://arxiv.org/abs/1706.05721; the power: Abraham &
        Khan 2018, eq. 4 (1/γ of 4/3), https://arxiv.org/abs/1810.07842.
    """
    counts = valid[:, None].float()
    probs = logits.float().softmax(dim=1) * counts
    truth = functional.one_hot(labels.long() * valid, logits.shape[1]).movedim(-1, 1) * counts
    hits = (probs * truth).sum(dim=(0, 2, 3))
    size = truth.sum(dim=(0, 2, 3))
    alarms, misses = probs.sum(dim=(0, 2, 3)) - hits, size - hits
    overlap = (hits + smooth) / (hits + alpha * alarms + beta * misses + smooth).clamp(min=_FLOOR)
    loss = (1 - overlap).clamp(min=0)
    if gamma != 1:
        loss = loss.clamp(min=_FLOOR) ** gamma
    return loss * (size > 0)
