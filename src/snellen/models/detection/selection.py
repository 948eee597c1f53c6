"""From scored boxes to detections: threshold, suppress, keep the best."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from snellen.ops import clip_boxes, is_larger_than, kept_by_nms, scale_boxes
from snellen.structures import Detections

__all__ = ["best_detections"]

MIN_SIDE_PX = 1e-2  # a thinner detection is no detection; as in torchvision and Detectron


def best_detections(
    boxes: Float[Tensor, "batch num_boxes num_classes 4"],
    scores: Float[Tensor, "batch num_boxes num_classes"],
    from_sizes: Int64[Tensor, "batch 2"],
    to_sizes: Int64[Tensor, "batch 2"],
    *,
    score_above: float,
    nms_iou: float,
    max_detections: int,
) -> list[Detections]:
    """Return the detections of each image, best first, in pixels of ``to_sizes``.

    The number of host-device synchronisations does not depend on the number of images.

    Args:
        boxes: A box for each class (or the same for all), on the canvas, clipped.
        scores: Of each box for each class.
        from_sizes: Height and width of each image on the canvas.
        to_sizes: Height and width of each original image.
        score_above: Lower scores are dropped.
        nms_iou: Boxes of one class that overlap a better one by more are dropped.
        max_detections: Most detections per image.
    """
    batch, _, num_classes = scores.shape
    image, row, label = ((scores > score_above) & is_larger_than(boxes, MIN_SIDE_PX)).nonzero(as_tuple=True)
    box, score = boxes[image, row, label], scores[image, row, label]
    kept = kept_by_nms(
        box, score, image * num_classes + label, iou_above=nms_iou, num_groups=batch * num_classes
    ).nonzero()[:, 0]
    kept = kept[score[kept].argsort(descending=True, stable=True)]
    kept = kept[image[kept].argsort(stable=True)]  # by image, then best first
    image, box, score, label = image[kept], box[kept], score[kept], label[kept]
    box = scale_boxes(box[:, None], from_sizes[image], to_sizes[image])
    box = clip_boxes(box, to_sizes[image])[:, 0]  # 500 * (333 / 500) may round to more than 333
    counts = torch.bincount(image, minlength=batch).tolist()
    return [
        Detections(boxes=b[:max_detections], scores=s[:max_detections], labels=k[:max_detections])
        for b, s, k in zip(*(torch.split(part, counts) for part in (box, score, label)), strict=True)
    ]
