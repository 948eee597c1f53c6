"""From the scores of a canvas to the classes of a file's pixels."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from snellen.structures import SegmentationMap

__all__ = ["segmentation_map"]

_MOST_ELEMENTS = 2**26  # probabilities enlarged at once: 256 MB, so that 150 classes on 12 megapixels fit


def segmentation_map(logits: Float[Tensor, "num_classes height width"], size: tuple[int, int]) -> SegmentationMap:
    """Return the likeliest class of every pixel of an image of ``size`` (height, width).

    Probabilities are enlarged, not labels, so that borders lie where two classes are equally likely.

    Args:
        logits: Raw scores of the image's content, without padding.
        size: Height and width of the original file.

    Source:
        Chen et al. 2017, section 3.1 (bilinear enlargement), https://arxiv.org/abs/1606.00915.
    """
    probs = logits.float().softmax(dim=0)
    num_at_once = max(1, _MOST_ELEMENTS // (size[0] * size[1]))
    confidence = probs.new_full(size, -1.0)
    labels = torch.zeros(size, dtype=torch.uint8, device=probs.device)
    for start in range(0, len(probs), num_at_once):
        some = _resized(probs[start : start + num_at_once], size)
        best, index = some.max(dim=0)
        is_better = best > confidence
        confidence = torch.where(is_better, best, confidence)
        labels = torch.where(is_better, (index + start).to(torch.uint8), labels)
    return SegmentationMap(labels=labels, confidence=confidence)


def _resized(
    probs: Float[Tensor, "num_classes _ _"], size: tuple[int, int]
) -> Float[Tensor, "num_classes height width"]:
    if tuple(probs.shape[-2:]) == size:
        return probs
    return functional.interpolate(probs[None], size=size, mode="bilinear", align_corners=False)[0]
