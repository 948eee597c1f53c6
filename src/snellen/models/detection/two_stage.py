"""Detectors of two stages: propose regions, then judge them.

Shapes: B images, R regions for each image, K classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from snellen.models.detection.rpn import ProposalOutput, RegionProposalNetwork, Regions, lies_in_ignored, pick
from snellen.models.detection.selection import best_detections
from snellen.nn import Normalize
from snellen.ops import box_iou, clip_boxes, decode_boxes, draw_balanced, encode_boxes, match_by_iou
from snellen.structures import BoxTarget, Detections, ImageBatch, Target, TensorRecord

__all__ = ["RegionSettings", "RegionTargets", "TwoStage", "TwoStageOutput"]

# Brings the offsets to about unit variance; Girshick 2015, section 2.3, as in all later code of the family.
OFFSET_WEIGHTS = (10.0, 10.0, 5.0, 5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionSettings:
    """How regions are sampled in training and chosen at the end.

    Attributes:
        positive_from: IoU from which a region shows an object; below it is background.
        slots: Regions per image in the loss.
        positive_share: Most objects among them.
        score_above: Detections with a lower score are dropped.
        nms_iou: Detections of one class that overlap a better one by more are dropped.
        max_detections: Best detections kept per image.
    """

    positive_from: float = 0.5
    slots: int = 512
    positive_share: float = 0.25
    score_above: float = 0.05
    nms_iou: float = 0.5
    max_detections: int = 100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegionTargets(TensorRecord):
    """What the head should say about each region.

    Attributes:
        labels: 0 background, 1…K objects, −1 not in the loss.
        boxes: Of the object, on the canvas.
    """

    labels: Int64[Tensor, "batch num_regions"]
    boxes: Float[Tensor, "batch num_regions 4"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TwoStageOutput(TensorRecord):
    """What a two-stage detector says, the same in training and in evaluation.

    Attributes:
        proposals: Of the first stage.
        regions: What the second stage looked at: a sample in training, all proposals in evaluation.
        region_targets: Known if targets were given.
        class_logits: Column 0 is the background.
        box_offsets: From the regions, for each class.
        sizes: Height and width of each image on the canvas.
    """

    proposals: ProposalOutput
    regions: Regions
    region_targets: RegionTargets | None
    class_logits: Float[Tensor, "batch num_regions num_classes_and_background"]
    box_offsets: Float[Tensor, "batch num_regions num_classes_and_background 4"]
    sizes: Int64[Tensor, "batch 2"]


class TwoStage(nn.Module):
    """A detector put together from its five parts.

    Args:
        backbone: Image to features.
        neck: Features to features; None looks at the backbone's own.
        proposals: Features to regions.
        region_features: Features and regions to one small map for each region.
        region_head: Small maps to classes and offsets.
        normalize: Bytes to what the backbone was trained on.
        stride: Canvas sides must be multiples of this.
        settings: Sampling and selection.

    Source:
        Ren et al. 2015 (Faster R-CNN), https://arxiv.org/abs/1506.01497, trained by approximate joint
        training (section 3.2): regions are constants to the second stage.
    """

    target_type = BoxTarget
    # torchvision's names, so that its checkpoints load.
    foreign_names: tuple[tuple[str, str], ...] = (
        (r"^backbone\.body\.", "backbone."),
        (r"^backbone\.fpn\.", "neck."),
        (r"^rpn\.head\.conv\.0\.0\.", "proposals.conv."),
        (r"^rpn\.head\.conv\.", "proposals.conv."),
        (r"^rpn\.head\.cls_logits\.", "proposals.objectness."),
        (r"^rpn\.head\.bbox_pred\.", "proposals.offsets."),
        (r"^roi_heads\.box_head\.", "region_head."),
        (r"^roi_heads\.box_predictor\.cls_score\.", "region_head.predictor.classes."),
        (r"^roi_heads\.box_predictor\.bbox_pred\.", "region_head.predictor.offsets."),
    )

    def __init__(
        self,
        backbone: nn.Module,
        neck: nn.Module | None,
        proposals: RegionProposalNetwork,
        region_features: nn.Module,
        region_head: nn.Module,
        *,
        normalize: Normalize,
        stride: int = 32,
        settings: RegionSettings | None = None,
    ) -> None:
        super().__init__()
        self.normalize = normalize
        self.backbone = backbone
        self.neck = neck
        self.proposals = proposals
        self.region_features = region_features
        self.region_head = region_head
        self.stride = stride
        self.settings = settings or RegionSettings()
        self.priority: Callable[..., Tensor] = torch.rand

    def forward(self, images: ImageBatch, targets: Target | None = None) -> TwoStageOutput:
        """Return proposals and verdicts.

        Args:
            images: Bytes on a canvas.
            targets: In training, regions are sampled by them (and the objects' own boxes are added). In
                evaluation they only add what ``loss`` needs and change no verdict.
        """
        features = self.backbone(self.normalize(images))
        if self.neck is not None:
            features = self.neck(features)
        proposals, regions = self.proposals(features, images)
        goal = None
        if isinstance(targets, BoxTarget):
            regions, goal = self.assign(regions, targets)
        else:
            regions = trimmed(regions)
        batch, count = regions.valid.shape
        image = torch.arange(batch, device=regions.boxes.device).repeat_interleave(count)
        logits = self.region_head(self.region_features(features, regions.boxes.flatten(0, 1), image))
        return TwoStageOutput(
            proposals=proposals,
            regions=regions,
            region_targets=goal,
            class_logits=logits.classes.unflatten(0, (batch, count)),
            box_offsets=logits.offsets.unflatten(0, (batch, count)),
            sizes=images.sizes,
        )

    @torch.no_grad()
    def assign(self, regions: Regions, targets: BoxTarget) -> tuple[Regions, RegionTargets]:
        """Sample the regions that enter the loss; in training, only they are judged at all."""
        settings = self.settings
        wanted = targets.valid & ~targets.ignored
        if self.training:
            regions = Regions(
                boxes=torch.cat([regions.boxes, targets.boxes], dim=1),
                valid=torch.cat([regions.valid, wanted], dim=1),
            )
        else:
            regions = trimmed(regions)
        matches = match_by_iou(
            box_iou(targets.boxes, regions.boxes),
            wanted,
            positive_from=settings.positive_from,
            negative_below=settings.positive_from,
            keep_best=False,
        )
        negative = matches.negative & regions.valid & ~lies_in_ignored(regions.boxes, targets)
        drawn = draw_balanced(
            matches.positive & regions.valid,
            negative,
            self.priority(negative.shape, device=negative.device),
            slots=settings.slots,
            positive_share=settings.positive_share,
        )
        object_index = matches.object_index.gather(1, drawn.index)
        labels = torch.where(drawn.positive, pick_labels(targets.labels, object_index) + 1, 0)
        labels = labels.masked_fill(~drawn.valid, -1)
        boxes = pick(targets.boxes, object_index)
        if self.training:
            return Regions(boxes=pick(regions.boxes, drawn.index), valid=drawn.valid), RegionTargets(
                labels=labels, boxes=boxes
            )
        all_labels = torch.full_like(regions.valid, -1, dtype=torch.long)
        return regions, RegionTargets(
            labels=all_labels.scatter(1, drawn.index, labels), boxes=pick(targets.boxes, matches.object_index)
        )

    def loss(self, output: TwoStageOutput, targets: BoxTarget) -> dict[str, Tensor]:
        """Return ``objectness``, ``proposal_box``, ``class`` and ``box``.

        Raises:
            ValueError: If the output was made without targets.

        Source:
            Ren et al. 2015, eq. 1; Girshick 2015 (Fast R-CNN), eq. 1-3, with smooth L1 that turns at 1/9.
        """
        goal = output.region_targets
        if goal is None:
            raise ValueError("the loss needs an output that was made with targets: model(images, targets)")
        count = (goal.labels >= 0).sum().clamp(min=1)
        by_class = functional.cross_entropy(
            output.class_logits.flatten(0, 1), goal.labels.flatten(), ignore_index=-1, reduction="sum"
        )
        column = goal.labels.clamp(min=0)[..., None, None].expand(-1, -1, 1, 4)
        offsets = output.box_offsets.gather(2, column).squeeze(2)  # [B, R, 4]
        wanted = encode_boxes(goal.boxes, output.regions.boxes, weights=OFFSET_WEIGHTS)
        distance = functional.smooth_l1_loss(offsets, wanted, beta=1 / 9, reduction="none").sum(dim=-1)
        return {
            **self.proposals.loss(output.proposals, targets),
            "class": by_class / count,
            "box": torch.where(goal.labels > 0, distance, 0.0).sum() / count,
        }

    @torch.no_grad()
    def decode(self, output: TwoStageOutput, sizes: Int64[Tensor, "batch 2"]) -> Sequence[Detections]:
        """Return the detections of each image in the pixels of the original ``sizes`` (height, width)."""
        settings = self.settings
        scores = output.class_logits.softmax(dim=-1)[..., 1:].masked_fill(~output.regions.valid[..., None], 0.0)
        boxes = decode_boxes(output.box_offsets[..., 1:, :], output.regions.boxes[:, :, None], weights=OFFSET_WEIGHTS)
        boxes = clip_boxes(boxes.flatten(1, 2), output.sizes).view_as(boxes)
        return best_detections(
            boxes,
            scores,
            output.sizes,
            sizes,
            score_above=settings.score_above,
            nms_iou=settings.nms_iou,
            max_detections=settings.max_detections,
        )


def pick_labels(labels: Int64[Tensor, "batch num_boxes"], index: Int64[Tensor, "batch picked"]) -> Tensor:
    """Return the labels at ``index``; zeros where no image has an object."""
    return torch.zeros_like(index) if labels.shape[1] == 0 else labels.gather(1, index)


def trimmed(regions: Regions) -> Regions:
    """Return the regions without the rows that are padding in every image (they are sorted: padding is last).

    Costs one host-device synchronisation for the whole batch and saves the second stage for empty rows.
    """
    most = max(1, int(regions.valid.sum(dim=1).max()))
    return Regions(boxes=regions.boxes[:, :most], valid=regions.valid[:, :most])
