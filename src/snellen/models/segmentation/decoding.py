"""From the scores of a canvas to the classes of a file's pixels."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from snellen.structures import SegmentationMap

__all__ = ["segmentation_maps"]

_MOST_ELEMENTS = 2**26  # probabilities enlarged at once: 256 MB, so that 150 classes on 12 megapixels fit


def segmentation_maps(
    logits: Float[Tensor, "batch num_classes height width"],
    contents: Int64[Tensor, "batch 2"],
    originals: Int64[Tensor, "batch 2"],
) -> list[SegmentationMap]:
    """Return the likeliest class of every pixel of each original file.

    Probabilities are enlarged, not labels, so that borders lie where two classes are equally likely. Images of the same
    sizes are done together.

    Args:
        logits: Raw scores of the canvas.
        contents: Height and width of each image on it, without padding.
        originals: Height and width of each original file.

    Source:
        Chen et al. 2017, section 3.1 (bilinear enlargement), https://arxiv.org/abs/1606.00915.
    """
    places: dict[tuple[tuple[int, int], tuple[int, int]], list[int]] = {}
    for place, (content, original) in enumerate(zip(contents.tolist(), originals.tolist(), strict=True)):
        places.setdefault(((content[0], content[1]), (original[0], original[1])), []).append(place)
    found: dict[int, SegmentationMap] = {}
    for ((height, width), size), members in places.items():
        together = max(1, _MOST_ELEMENTS // (logits.shape[1] * size[0] * size[1]))
        for start in range(0, len(members), together):
            some = members[start : start + together]
            scores = logits if len(some) == len(logits) else torch.stack([logits[place] for place in some])
            found.update(zip(some, _likeliest(scores[..., :height, :width], size), strict=True))
    return [found[place] for place in range(len(logits))]


def _likeliest(logits: Float[Tensor, "some num_classes _ _"], size: tuple[int, int]) -> list[SegmentationMap]:
    probs = logits.float().softmax(dim=1)
    at_once = max(1, _MOST_ELEMENTS // (len(probs) * size[0] * size[1]))
    confidence, labels = _resized(probs[:, :at_once], size).max(dim=1)
    for start in range(at_once, probs.shape[1], at_once):
        best, index = _resized(probs[:, start : start + at_once], size).max(dim=1)
        labels = torch.where(best > confidence, index + start, labels)
        confidence = torch.maximum(confidence, best)
    confidence.nan_to_num_(nan=-1.0)  # of a network gone mad
    labels = labels.to(torch.uint8)
    return [SegmentationMap(labels=a, confidence=b) for a, b in zip(labels, confidence, strict=True)]


def _resized(
    probs: Float[Tensor, "some num_classes _ _"], size: tuple[int, int]
) -> Float[Tensor, "some num_classes height width"]:
    if tuple(probs.shape[-2:]) == size:
        return probs
    return functional.interpolate(probs, size=size, mode="bilinear", align_corners=False)
