"""From scored boxes to detections: threshold, suppress, keep the best."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from snellen.models.field_checks import AT_LEAST_ONE, POSITIVE, SHARE, check_fields
from snellen.ops import clip_boxes, is_larger_than, kept_by_nms, scale_boxes, soft_nms, vote_boxes
from snellen.structures import Detections

__all__ = ["Selected", "SelectionSettings", "as_detections", "best_detections", "select"]

MIN_SIDE_PX = 1e-2  # a thinner detection is no detection; as in torchvision and Detectron


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionSettings:
    """How detections are chosen among scored boxes.

    Attributes:
        score_above: Lower scores are dropped.
        nms_iou: Boxes of one class that overlap a better one by more are dropped; the linear soft suppression begins
            there.
        max_detections: Most detections per image.
        before_nms: Most pairs of a box and a class of each image that go into suppression; None for all.
        suppression: ``"nms"`` drops; ``"soft_linear"`` and ``"soft_gaussian"`` lower the scores (Bodla et al. 2017,
            https://arxiv.org/abs/1704.04503).
        soft_sigma: Of the Gaussian; 0.5 in the paper.
        class_agnostic: Whether boxes of different classes suppress one another too.
        voting_iou: If given, each detection's box becomes the mean, weighted by score, of the boxes of its class that
            overlap it by at least this (Gidaris and Komodakis 2015, https://arxiv.org/abs/1505.01749).
    """

    score_above: float = 0.05
    nms_iou: float = 0.5
    max_detections: int = 100
    before_nms: int | None = None
    suppression: Literal["nms", "soft_linear", "soft_gaussian"] = "nms"
    soft_sigma: float = 0.5
    class_agnostic: bool = False
    voting_iou: float | None = None

    def __post_init__(self) -> None:
        """Refuse thresholds and counts that choose nothing sensible.

        Raises:
            ConfigError: If a field is out of its range.
        """
        check_fields(
            self,
            score_above=SHARE,
            nms_iou=SHARE,
            max_detections=AT_LEAST_ONE,
            before_nms=AT_LEAST_ONE,
            soft_sigma=POSITIVE,
            voting_iou=SHARE,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Selected:
    """Detections of a batch in one list: by image, then best first.

    Attributes:
        boxes: On the canvas.
        scores: Falling within an image.
        labels: 0…K−1.
        image: Place in the batch.
        counts: Detections of each image.
    """

    boxes: Float[Tensor, "n 4"]
    scores: Float[Tensor, " n"]
    labels: Int64[Tensor, " n"]
    image: Int64[Tensor, " n"]
    counts: list[int]


def select(
    boxes: Float[Tensor, "batch num_boxes box_classes 4"],
    scores: Float[Tensor, "batch num_boxes num_classes"],
    settings: SelectionSettings,
) -> Selected:
    """Return the detections of each image on the canvas.

    The number of host-device synchronisations does not depend on the number of images.

    Args:
        boxes: A box for each class, or one for all, on the canvas, clipped.
        scores: Of each box for each class.
        settings: What to keep.
    """
    batch, _, num_classes = scores.shape
    shared = boxes.shape[2] == 1
    eligible = (scores > settings.score_above) & is_larger_than(boxes, MIN_SIDE_PX)
    if settings.before_nms is not None and settings.before_nms < scores[0].numel():
        eligible = eligible & _among_best(scores, eligible, settings.before_nms)
    image, row, label = eligible.nonzero(as_tuple=True)
    box = boxes[image, row, 0 if shared else label]
    score = scores[image, row, label]
    groups = image if settings.class_agnostic else image * num_classes + label
    num_groups = batch if settings.class_agnostic else batch * num_classes
    before = box
    box, score = _suppressed(box, score, groups, num_groups, settings)
    if settings.voting_iou is not None:
        box = vote_boxes(before, scores[image, row, label], score > 0, groups, iou_above=settings.voting_iou)
    kept = (score > 0).nonzero()[:, 0]
    kept = kept[score[kept].argsort(descending=True, stable=True)]
    kept = kept[image[kept].argsort(stable=True)]  # by image, then best first
    counts = torch.bincount(image[kept], minlength=batch)
    rank = torch.arange(len(kept), device=kept.device) - (counts.cumsum(0) - counts)[image[kept]]
    kept = kept[rank < settings.max_detections]
    return Selected(
        boxes=box[kept],
        scores=score[kept],
        labels=label[kept],
        image=image[kept],
        counts=counts.clamp(max=settings.max_detections).tolist(),
    )


def _among_best(scores: Tensor, eligible: Tensor, most: int) -> Tensor:
    """True for the ``most`` best eligible pairs of each image."""
    flat = torch.where(eligible, scores, -torch.inf).flatten(1)
    index = flat.topk(most, dim=1, sorted=False).indices
    return torch.zeros_like(flat, dtype=torch.bool).scatter_(1, index, value=True).view_as(scores)


def _suppressed(
    box: Tensor, score: Tensor, groups: Tensor, num_groups: int, settings: SelectionSettings
) -> tuple[Tensor, Tensor]:
    """Return boxes and their scores after suppression; 0 for what is dropped."""
    if settings.suppression == "nms":
        kept = kept_by_nms(box, score, groups, iou_above=settings.nms_iou, num_groups=num_groups)
        return box, torch.where(kept, score, 0.0)
    left = soft_nms(
        box,
        score,
        groups,
        method="linear" if settings.suppression == "soft_linear" else "gaussian",
        iou_above=settings.nms_iou,
        sigma=settings.soft_sigma,
        score_floor=settings.score_above,
        num_groups=num_groups,
    )
    return box, left


def as_detections(
    selected: Selected,
    from_sizes: Int64[Tensor, "batch 2"],
    to_sizes: Int64[Tensor, "batch 2"],
    masks: Sequence[UInt8[Tensor, "_ height width"]] | None = None,
) -> list[Detections]:
    """Return the detections of each image in pixels of ``to_sizes``.

    Args:
        selected: On the canvas.
        from_sizes: Height and width of each image on the canvas.
        to_sizes: Height and width of each original image.
        masks: Of each image, at its original size, in the order of ``selected``.
    """
    image = selected.image
    box = scale_boxes(selected.boxes[:, None], from_sizes[image], to_sizes[image])
    box = clip_boxes(box, to_sizes[image])[:, 0]  # 500 * (333 / 500) may round to more than 333
    parts = (torch.split(part, selected.counts) for part in (box, selected.scores, selected.labels))
    return [
        Detections(boxes=b, scores=s, labels=k, masks=None if masks is None else masks[place])
        for place, (b, s, k) in enumerate(zip(*parts, strict=True))
    ]


def best_detections(
    boxes: Float[Tensor, "batch num_boxes box_classes 4"],
    scores: Float[Tensor, "batch num_boxes num_classes"],
    from_sizes: Int64[Tensor, "batch 2"],
    to_sizes: Int64[Tensor, "batch 2"],
    settings: SelectionSettings,
) -> list[Detections]:
    """Return the detections of each image, best first, in pixels of ``to_sizes``; see ``select``."""
    return as_detections(select(boxes, scores, settings), from_sizes, to_sizes)
