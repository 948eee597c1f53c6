"""Losses of overlap between a predicted box and its target, unreduced."""

from jaxtyping import Float
from torch import Tensor

from snellen.ops import ciou, diou, giou, paired_iou

__all__ = ["ciou_loss", "diou_loss", "giou_loss", "iou_loss"]

# The logarithm of an overlap stops here; about 13.8 nats. Boxes that do not touch have no gradient.
_LEAST_IOU = 1e-6


def iou_loss(
    boxes: Float[Tensor, "*batch 4"], targets: Float[Tensor, "*batch 4"], *, logarithmic: bool = False
) -> Float[Tensor, "*batch"]:
    """One minus the overlap of each pair, or the negative logarithm of the overlap.

    Args:
        boxes: Predicted.
        targets: Wanted, one for each box.
        logarithmic: −ln IoU instead of 1 − IoU.

    Returns:
        Loss, float32 at least, one per pair; no gradient for pairs that do not touch.

    Source:
        Yu et al. 2016 (UnitBox, IoU loss layer), https://arxiv.org/abs/1608.01471, for the logarithm.
    """
    overlap = paired_iou(boxes, targets)
    return -overlap.clamp(min=_LEAST_IOU).log() if logarithmic else 1 - overlap


def giou_loss(boxes: Float[Tensor, "*batch 4"], targets: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch"]:
    """One minus GIoU of each pair, 0..2.

    Args:
        boxes: Predicted.
        targets: Wanted, one for each box.

    Source:
        Rezatofighi et al. 2019, algorithm 2, https://arxiv.org/abs/1902.09630.
    """
    return 1 - giou(boxes, targets)


def diou_loss(boxes: Float[Tensor, "*batch 4"], targets: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch"]:
    """One minus DIoU of each pair, 0..2.

    Args:
        boxes: Predicted.
        targets: Wanted, one for each box.

    Source:
        Zheng et al. 2020, eq. 7, https://arxiv.org/abs/1911.08287.
    """
    return 1 - diou(boxes, targets)


def ciou_loss(boxes: Float[Tensor, "*batch 4"], targets: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch"]:
    """One minus CIoU of each pair.

    Args:
        boxes: Predicted.
        targets: Wanted, one for each box.

    Source:
        Zheng et al. 2020, eq. 10, https://arxiv.org/abs/1911.08287.
    """
    return 1 - ciou(boxes, targets)
