"""Detectors of two stages: propose regions, then judge them.

Shapes: B images, R regions for each image, K classes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from snellen.errors import InputError
from snellen.losses import hardest
from snellen.models.detection.region_losses import (
    OFFSET_WEIGHTS,
    BoxLoss,
    ClassLoss,
    RegionTargets,
    box_losses,
    class_losses,
)
from snellen.models.detection.regions import RegionLogits
from snellen.models.detection.rpn import ProposalOutput, lies_in_ignored, pick
from snellen.models.detection.selection import SelectionSettings, best_detections
from snellen.models.field_checks import AT_LEAST_ONE, NOT_NEGATIVE, SHARE, check_fields
from snellen.nn import Normalize
from snellen.ops import box_iou, clip_boxes, decode_boxes, draw_balanced, match_by_iou
from snellen.structures import BoxTarget, Detections, ImageBatch, Regions, Target, TensorRecord

__all__ = ["Proposals", "RegionSettings", "RegionTargets", "TwoStage", "TwoStageOutput"]

# Two regions that overlap by more count as one when the hardest are chosen; Shrivastava et al. 2016, section 4.2.
HARD_NMS_IOU = 0.7


class Proposals(Protocol):
    """The first stage. Also a module."""

    def __call__(self, features: Mapping[str, Tensor], images: ImageBatch) -> tuple[ProposalOutput | None, Regions]:
        """Return what ``loss`` needs, and the regions of each image, best first, at least one row."""

    def loss(self, output: Any, targets: BoxTarget) -> dict[str, Tensor]:
        """Return named scalars, already weighted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionSettings:
    """How regions are sampled in training and chosen at the end.

    Attributes:
        positive_from: IoU from which a region shows an object.
        negative_from: IoU from which a region is background, below ``negative_below``. Above 0 it stands for a search
            for hard negatives (Girshick 2015, section 2.3); an image where no region reaches it is used without.
        negative_below: IoU under which a region is background; None for ``positive_from``.
        add_objects: Whether the objects' own boxes are among the regions in training.
        slots: Regions per image in the loss.
        positive_share: Most objects among them, where they are drawn at random.
        mining: ``"ohem"`` takes the ``slots`` regions with the highest losses instead of a random sample, whatever they
            show; ``"ohem_two_pass"`` does it as in the paper: a pass without gradient judges all regions, and only
            the chosen ones go through the head again, which saves memory and the backward pass of the others.
        class_loss: Cross-entropy, or the focal loss over the classes and the background.
        box_loss: A distance of offsets or of overlap.
        box_weight: Factor on the box loss; 1 in Girshick 2015.
        beta: Where smooth L1 turns, in weighted offsets; 1 in Girshick 2015, 1/9 in later code.
        selection: From scored boxes to detections.
    """

    positive_from: float = 0.5
    negative_from: float = 0.0
    negative_below: float | None = None
    add_objects: bool = True
    slots: int = 512
    positive_share: float = 0.25
    mining: Literal["ohem", "ohem_two_pass"] | None = None
    class_loss: ClassLoss = "cross_entropy"
    box_loss: BoxLoss = "smooth_l1"
    box_weight: float = 1.0
    beta: float = 1 / 9
    selection: SelectionSettings = field(default_factory=SelectionSettings)

    def __post_init__(self) -> None:
        """Refuse thresholds, counts and weights that nothing can be learned with.

        Raises:
            ConfigError: If a field is out of its range.
        """
        check_fields(
            self,
            positive_from=SHARE,
            negative_from=SHARE,
            negative_below=SHARE,
            slots=AT_LEAST_ONE,
            positive_share=SHARE,
            box_weight=NOT_NEGATIVE,
            beta=NOT_NEGATIVE,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TwoStageOutput(TensorRecord):
    """What a two-stage detector says, the same in training and in evaluation.

    Attributes:
        proposals: Of the first stage; None where the regions came from outside.
        regions: What the second stage looked at: a sample in training, all proposals in evaluation.
        region_targets: Known if targets were given.
        class_logits: Column 0 is the background.
        box_offsets: From the regions, for each class.
        sizes: Height and width of each image on the canvas.
    """

    proposals: ProposalOutput | None
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
        proposals: Features to regions; see ``Proposals``.
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
        proposals: nn.Module,
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
        features = self.features(images)
        proposals, regions = self.proposals(features, images)
        return self.judge(features, proposals, regions, images, targets)

    def features(self, images: ImageBatch) -> Mapping[str, Tensor]:
        """Return the maps that both stages look at."""
        features: Mapping[str, Tensor] = self.backbone(self.normalize(images))
        if self.neck is not None:
            features = self.neck(features)
        return features

    def judge(
        self,
        features: Mapping[str, Tensor],
        proposals: ProposalOutput | None,
        regions: Regions,
        images: ImageBatch,
        targets: Target | None,
    ) -> TwoStageOutput:
        """Return what the second stage says; see ``forward``."""
        goal = None
        if not isinstance(targets, BoxTarget):
            regions = trimmed(regions)
            classes, offsets = self.verdicts(features, regions)
        elif self.settings.mining is None:
            regions, goal = self.assign(regions, targets)
            classes, offsets = self.verdicts(features, regions)
        else:
            regions, goal, (classes, offsets) = self._mined(features, regions, targets)
        return TwoStageOutput(
            proposals=proposals,
            regions=regions,
            region_targets=goal,
            class_logits=classes,
            box_offsets=offsets,
            sizes=images.sizes,
        )

    def verdicts(self, features: Mapping[str, Tensor], regions: Regions) -> tuple[Tensor, Tensor]:
        """Return class logits ([B, R, K + 1]) and offsets ([B, R, K + 1, 4]) of regions."""
        batch, count = regions.valid.shape
        image = torch.arange(batch, device=regions.boxes.device).repeat_interleave(count)
        pooled = self.region_features(features, regions.boxes.flatten(0, 1), image)
        logits: RegionLogits = self.region_head(pooled)
        return logits.classes.view(batch, count, -1), logits.offsets.view(batch, count, -1, 4)

    @torch.no_grad()
    def label(self, regions: Regions, targets: BoxTarget) -> tuple[Regions, RegionTargets]:
        """Say what every region shows; in training, the objects' own boxes are added to the regions.

        Labels are −1 for regions that are neither wanted nor punished, and for padding.
        """
        settings = self.settings
        wanted = targets.valid & ~targets.ignored
        if not self.training:
            regions = trimmed(regions)
        elif settings.add_objects:
            regions = Regions(
                boxes=torch.cat([regions.boxes, targets.boxes], dim=1),
                valid=torch.cat([regions.valid, wanted], dim=1),
            )
        iou = box_iou(targets.boxes, regions.boxes)
        matches = match_by_iou(
            iou,
            wanted,
            positive_from=settings.positive_from,
            negative_below=settings.positive_from if settings.negative_below is None else settings.negative_below,
            keep_best=False,
        )
        negative = matches.negative & regions.valid & ~lies_in_ignored(regions.boxes, targets)
        if settings.negative_from > 0 and targets.boxes.shape[1] > 0:
            near = negative & (iou.masked_fill(~wanted[..., None], 0.0).amax(dim=1) >= settings.negative_from)
            negative = torch.where(near.any(dim=1, keepdim=True), near, negative)
        labels = torch.where(matches.positive, pick_labels(targets.labels, matches.object_index) + 1, 0)
        labels = labels.masked_fill(~(matches.positive & regions.valid | negative), -1)
        boxes = pick(targets.boxes, matches.object_index)
        return regions, RegionTargets(labels=labels, boxes=boxes, objects=matches.object_index)

    @torch.no_grad()
    def assign(self, regions: Regions, targets: BoxTarget) -> tuple[Regions, RegionTargets]:
        """Draw the regions that enter the loss; in training, only they are judged at all."""
        regions, goal = self.label(regions, targets)
        drawn = draw_balanced(
            goal.labels > 0,
            goal.labels == 0,
            self.priority(goal.labels.shape, device=goal.labels.device),
            slots=self.settings.slots,
            positive_share=self.settings.positive_share,
        )
        return self._only(regions, goal, drawn.index, drawn.valid)

    def _only(
        self, regions: Regions, goal: RegionTargets, index: Tensor, valid: Tensor
    ) -> tuple[Regions, RegionTargets]:
        """Cut down to the regions at ``index``; in evaluation, all stay and the others get the label −1."""
        labels = goal.labels.gather(1, index).masked_fill(~valid, -1)
        if self.training:
            goal = RegionTargets(labels=labels, boxes=pick(goal.boxes, index), objects=goal.objects.gather(1, index))
            return Regions(boxes=pick(regions.boxes, index), valid=valid), goal
        return regions, replace(goal, labels=torch.full_like(goal.labels, -1).scatter(1, index, labels))

    def _mined(
        self, features: Mapping[str, Tensor], regions: Regions, targets: BoxTarget
    ) -> tuple[Regions, RegionTargets, tuple[Tensor, Tensor]]:
        """Let the head decide which regions enter the loss: those that it gets most wrong.

        Source:
            Shrivastava et al. 2016 (OHEM), section 4, https://arxiv.org/abs/1604.03540. Differs: the pass that only
            ranks runs the head as in evaluation, so that it draws no dropout and moves no statistics.
        """
        regions, goal = self.label(regions, targets)
        if self.training and self.settings.mining == "ohem_two_pass":
            with torch.no_grad(), in_evaluation(self.region_head):
                verdicts = self.verdicts(features, regions)
            regions, goal = self._only(regions, goal, *self._hardest(verdicts, regions, goal))
            return regions, goal, self.verdicts(features, regions)
        classes, offsets = self.verdicts(features, regions)
        index, valid = self._hardest((classes, offsets), regions, goal)
        if self.training:
            classes = classes.gather(1, index[..., None].expand(-1, -1, classes.shape[2]))
            offsets = offsets.gather(1, index[..., None, None].expand(-1, -1, *offsets.shape[2:]))
        regions, goal = self._only(regions, goal, index, valid)
        return regions, goal, (classes, offsets)

    @torch.no_grad()
    def _hardest(
        self, verdicts: tuple[Tensor, Tensor], regions: Regions, goal: RegionTargets
    ) -> tuple[Int64[Tensor, "batch slots"], Bool[Tensor, "batch slots"]]:
        """Return the places of the regions with the highest losses, and which of them count."""
        by_class, by_box = self.region_losses(*verdicts, regions, goal)
        losses = (by_class + by_box).masked_fill(goal.labels < 0, -torch.inf)
        image = torch.arange(len(losses), device=losses.device)[:, None]
        chosen = hardest(losses, regions.boxes, image, keep=self.settings.slots, nms_iou=HARD_NMS_IOU)
        most = min(self.settings.slots, losses.shape[1])
        index = losses.masked_fill(~chosen, -torch.inf).topk(most, dim=1).indices
        return index, chosen.gather(1, index)

    def region_losses(
        self, class_logits: Tensor, box_offsets: Tensor, regions: Regions, goal: RegionTargets
    ) -> tuple[Float[Tensor, "batch num_regions"], Float[Tensor, "batch num_regions"]]:
        """Return the loss of the class and of the box of each region."""
        return (
            class_losses(class_logits, goal, kind=self.settings.class_loss),
            box_losses(box_offsets, regions, goal, kind=self.settings.box_loss, beta=self.settings.beta)
            * self.settings.box_weight,
        )

    def loss(self, output: TwoStageOutput, targets: BoxTarget) -> dict[str, Tensor]:
        """Return the losses of the first stage, ``class`` and ``box``.

        Raises:
            InputError: If the output was made without targets.

        Source:
            Ren et al. 2015, eq. 1; Girshick 2015 (Fast R-CNN), eq. 1-3.
        """
        return {
            **self.proposals.loss(output.proposals, targets),  # type: ignore[operator]  # see Proposals
            **self.verdict_loss(output),
        }

    def verdict_loss(self, output: TwoStageOutput) -> dict[str, Tensor]:
        """Return ``class`` and ``box``; see ``loss``."""
        goal = output.region_targets
        if goal is None:
            raise InputError(
                "the loss of a two-stage detector expects an output that was made with targets, because they decide "
                "which regions are judged; got one without. Call model(images, targets)"
            )
        by_class, by_box = self.region_losses(output.class_logits, output.box_offsets, output.regions, goal)
        count = (goal.labels >= 0).sum().clamp(min=1)
        return {
            "class": by_class.sum() / count,
            "box": by_box.sum() / count,
        }

    @torch.no_grad()
    def decode(self, output: TwoStageOutput, sizes: Int64[Tensor, "batch 2"]) -> Sequence[Detections]:
        """Return the detections of each image in the pixels of the original ``sizes`` (height, width)."""
        boxes, scores = self.candidates(output)
        return best_detections(boxes, scores, output.sizes, sizes, self.settings.selection)

    def candidates(
        self, output: TwoStageOutput
    ) -> tuple[Float[Tensor, "batch num_regions num_classes 4"], Float[Tensor, "batch num_regions num_classes"]]:
        """Return the boxes of all regions for all classes, on the canvas, and their scores."""
        scores = output.class_logits.softmax(dim=-1)[..., 1:].masked_fill(~output.regions.valid[..., None], 0.0)
        boxes = decode_boxes(output.box_offsets[..., 1:, :], output.regions.boxes[:, :, None], weights=OFFSET_WEIGHTS)
        return clip_boxes(boxes.flatten(1, 2), output.sizes).view_as(boxes), scores


@contextmanager
def in_evaluation(module: nn.Module) -> Iterator[None]:
    """Run a module as in evaluation, and put every part of it back as it was."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def pick_labels(labels: Int64[Tensor, "batch num_boxes"], index: Int64[Tensor, "batch picked"]) -> Tensor:
    """Return the labels at ``index``; zeros where no image has an object."""
    return torch.zeros_like(index) if labels.shape[1] == 0 else labels.gather(1, index)


def trimmed(regions: Regions) -> Regions:
    """Return the regions without the rows that are padding in every image (they are sorted: padding is last).

    Costs one host-device synchronisation for the whole batch and saves the second stage for empty rows.
    """
    most = max(1, int(regions.valid.sum(dim=1).max()))
    return Regions(boxes=regions.boxes[:, :most], valid=regions.valid[:, :most])
