"""Lovász: intersection over union as a convex function of the errors of the pixels."""

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

__all__ = ["lovasz_hinge_loss", "lovasz_softmax_loss"]


def lovasz_softmax_loss(
    logits: Float[Tensor, "batch num_classes height width"],
    labels: Integer[Tensor, "batch height width"],
    valid: Bool[Tensor, "batch height width"],
) -> Float[Tensor, " num_classes"]:
    """The Lovász extension of one minus intersection over union at the errors of the probabilities, for each class.

    Where every probability is 0 or 1 it is one minus the intersection over union itself, over the whole batch.

    Args:
        logits: Raw scores, any range.
        labels: 0..K-1 where ``valid``, anything elsewhere.
        valid: False for pixels that count for nothing.

    Returns:
        Loss 0..1, float32, one per class; 0 for classes without a pixel.

    Source:
        Berman et al. 2018, eq. 9 to 11, https://arxiv.org/abs/1705.08790.
    """
    probs = logits.float().softmax(dim=1)
    losses = []
    for label in range(logits.shape[1]):  # one at a time: sorting all at once holds every class at every pixel thrice
        is_class = (labels == label) & valid
        errors = (is_class.float() - probs[:, label]).abs() * valid
        losses.append(_extension(errors.flatten(), is_class.flatten()))
    return torch.stack(losses)


def lovasz_hinge_loss(
    margins: Float[Tensor, "batch height width"],
    labels: Bool[Tensor, "batch height width"],
    valid: Bool[Tensor, "batch height width"],
) -> Float[Tensor, ""]:
    """The Lovász extension of one minus the intersection over union of one class at the hinge errors of its margins.

    Args:
        margins: Logit of the class against the other one, any range.
        labels: True for pixels of the class.
        valid: False for pixels that count for nothing.

    Returns:
        Loss of 0 or more, float32; 0 where no pixel is of the class.

    Source:
        Berman et al. 2018, eq. 7 and 8, https://arxiv.org/abs/1705.08790.
    """
    signs = 2 * labels.float() - 1
    errors = (1 - margins.float() * signs).clamp(min=0) * valid
    return _extension(errors.flatten(), (labels & valid).flatten())


def _extension(errors: Float[Tensor, " num"], is_class: Bool[Tensor, " num"]) -> Float[Tensor, ""]:
    """Return the sum of the sorted errors, each times what its pixel adds to one minus intersection over union.

    Pixels with an error of 0 add nothing, wherever they stand; so pixels that do not count have 0.
    """
    ordered, order = errors.sort(descending=True)
    hits = is_class[order].cumsum(0).float()  # of the class among the pixels that are wrong, counted exactly
    size = hits[-1]
    place = torch.arange(1, len(hits) + 1, device=hits.device)
    jaccard = 1 - (size - hits) / (size + place - hits).clamp(min=1)
    steps = torch.cat((jaccard[:1], jaccard[1:] - jaccard[:-1]))
    return (ordered * steps).sum() * (size > 0)
