"""Boxes of several detectors on one image, as those of one."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from snellen.ops.boxes import box_iou

__all__ = ["fused_boxes"]


def fused_boxes(
    boxes: Float[Tensor, "num_boxes 4"],
    scores: Float[Tensor, " num_boxes"],
    labels: Int64[Tensor, " num_boxes"],
    models: Int64[Tensor, " num_boxes"],
    *,
    weights: Float[Tensor, " num_models"],
    iou_above: float,
) -> tuple[Float[Tensor, "num_fused 4"], Float[Tensor, " num_fused"], Int64[Tensor, " num_fused"]]:
    """Return the fused boxes with their scores and labels, best first.

    Boxes of one label join the fused box that they overlap most; its corners are the mean of theirs, weighted by
    score, and its score is their mean, lowered where fewer boxes than models agree.

    Args:
        boxes: Of all models.
        scores: 0..1.
        labels: Boxes of different labels never join.
        models: Which model found each box.
        weights: Of the models, 0 or more; their mean counts as 1.
        iou_above: Overlap with a fused box from which a box joins it.

    Source:
        Solovyev, Wang, Gabruseva 2021, Weighted boxes fusion, section 3, https://arxiv.org/abs/1910.13302, with
        equation 5 (``min(T, N) / N``) for the score. Scores are multiplied by the weight of the model first.
    """
    share = weights.to(scores.dtype) / weights.to(scores.dtype).mean()
    rated = scores * share[models]
    order = rated.argsort(descending=True, stable=True)
    found: list[tuple[Tensor, Tensor, int]] = []
    for label in sorted(set(labels.tolist())):
        rows = order[labels[order] == label]
        found += [(box, score, label) for box, score in _fused(boxes[rows], rated[rows], len(weights), iou_above)]
    if not found:
        return boxes[:0], scores[:0], labels[:0]
    fused = torch.stack([box for box, _, _ in found])
    final = torch.stack([score for _, score, _ in found])
    names = torch.tensor([label for _, _, label in found], device=labels.device)
    best = final.argsort(descending=True, stable=True)
    return fused[best], final[best], names[best]


def _fused(boxes: Tensor, scores: Tensor, num_models: int, iou_above: float) -> list[tuple[Tensor, Tensor]]:
    """Fuse boxes of one label, best first."""
    clusters: list[list[int]] = []
    fused = boxes[:0]
    for row in range(len(boxes)):
        overlap = box_iou(fused, boxes[row : row + 1])[:, 0]
        if len(fused) and float(overlap.max()) > iou_above:
            place = int(overlap.argmax())
            clusters[place].append(row)
        else:
            place = len(clusters)
            clusters.append([row])
            fused = torch.cat([fused, boxes[row : row + 1]])
        members = clusters[place]
        weight = scores[members]
        total = weight.sum()
        fused = fused.clone()
        fused[place] = (boxes[members] * weight[:, None]).sum(0) / total if float(total) > 0 else boxes[members].mean(0)
    return [
        (fused[place], (scores[members].mean() * min(len(members), num_models) / num_models).clamp(max=1.0))
        for place, members in enumerate(clusters)
    ]
