"""Mask R-CNN: a two-stage detector that outlines what it finds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from snellen.errors import InputError
from snellen.models.detection.faster_rcnn import (
    COARSE_LEVELS,
    PYRAMID_LEVELS,
    faster_rcnn_mobilenet_v2_fpn,
    faster_rcnn_r18_fpn,
    faster_rcnn_r50_fpn,
)
from snellen.models.detection.mask_head import MaskHead
from snellen.models.detection.region_losses import RegionTargets
from snellen.models.detection.regions import PyramidAlign
from snellen.models.detection.selection import as_detections, select
from snellen.models.detection.two_stage import TwoStage, TwoStageOutput
from snellen.nn import Norm, Padding
from snellen.ops.masks import crop_masks, paste_masks
from snellen.structures import BoxTarget, Detections, ImageBatch, Target

__all__ = [
    "MaskOutput",
    "MaskRCNN",
    "mask_rcnn_mobilenet_v2_fpn",
    "mask_rcnn_r18_fpn",
    "mask_rcnn_r50_fpn",
]

MASK_POOLED = 14  # cells per side of the features of the mask branch, whose masks have twice as many; He et al. 2017
REGIONS_AT_ONCE = 256  # through the mask branch in decode: 200 MB of float32 at its widest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaskOutput(TwoStageOutput):
    """What Mask R-CNN says, the same in training and in evaluation.

    Attributes:
        mask_rows: Regions whose masks were asked for, as rows of all regions of the batch; empty without targets.
        mask_logits: Of the class that the region shows.
        maps: Features, for the masks of what ``decode`` finds.
    """

    mask_rows: Int64[Tensor, " num_masks"]
    mask_logits: Float[Tensor, "num_masks side side"]
    maps: tuple[Tensor, ...]

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """Return a copy with ``change`` applied to every tensor."""
        # super() with no arguments does not work in a class with slots.
        return replace(TwoStageOutput.map(self, change), maps=tuple(change(item) for item in self.maps))


class MaskRCNN(TwoStage):
    """Faster R-CNN with a branch for outlines beside the one for boxes.

    Args:
        detector: Whose parts are used.
        mask_features: Features and regions to small maps.
        mask_head: Small maps and labels to masks.

    Source:
        He et al. 2017, https://arxiv.org/abs/1703.06870. In training the branch sees the regions that show an object;
        afterwards the detections.
    """

    foreign_names = (
        *TwoStage.foreign_names,
        *((rf"^roi_heads\.mask_head\.mask_fcn{number + 1}\.", f"mask_head.convs.{number}.") for number in range(4)),
        (r"^roi_heads\.mask_head\.(\d)\.0\.", r"mask_head.convs.\1."),
        (r"^roi_heads\.mask_predictor\.conv5_mask\.", "mask_head.deconv."),
        (r"^roi_heads\.mask_predictor\.mask_fcn_logits\.", "mask_head.logits."),
    )

    def __init__(self, detector: TwoStage, *, mask_features: PyramidAlign, mask_head: MaskHead) -> None:
        super().__init__(
            detector.backbone,
            detector.neck,
            detector.proposals,
            detector.region_features,
            detector.region_head,
            normalize=detector.normalize,
            stride=detector.stride,
            settings=detector.settings,
        )
        self.mask_features = mask_features
        self.mask_head = mask_head

    def forward(self, images: ImageBatch, targets: Target | None = None) -> MaskOutput:
        """Return proposals and verdicts, and with targets the masks of the regions that show an object."""
        features = self.features(images)
        proposals, regions = self.proposals(features, images)
        plain = self.judge(features, proposals, regions, images, targets)
        maps = tuple(features[name] for name in self.mask_features.names)
        if plain.region_targets is None:
            rows = torch.zeros(0, dtype=torch.long, device=images.pixels.device)
            logits = plain.class_logits.new_zeros((0, 2 * MASK_POOLED, 2 * MASK_POOLED))
        else:
            rows = self._rows_with_objects(plain.region_targets)
            labels = plain.region_targets.labels.flatten()[rows].clamp(min=1)
            image = rows // plain.regions.valid.shape[1]
            logits = self.masks(maps, plain.regions.boxes.flatten(0, 1)[rows], image, labels)
        known = {field.name: getattr(plain, field.name) for field in fields(plain)}
        return MaskOutput(**known, mask_rows=rows, mask_logits=logits, maps=maps)

    def masks(
        self,
        maps: Sequence[Tensor],
        boxes: Float[Tensor, "num_regions 4"],
        image: Int64[Tensor, " num_regions"],
        labels: Int64[Tensor, " num_regions"],
    ) -> Float[Tensor, "num_regions side side"]:
        """Return the logits of the mask of one class (1…K) for each region."""
        features = dict(zip(self.mask_features.names, maps, strict=True))
        logits: Tensor = self.mask_head(self.mask_features(features, boxes, image), labels)
        return logits

    def _rows_with_objects(self, goal: RegionTargets) -> Int64[Tensor, " num_masks"]:
        """Return the rows of the regions that show an object.

        On an accelerator as many as there can be, filled up with others, so that nobody waits to know how many there
        are; on the CPU as many as there are (one at least), because there computing costs more than counting.
        """
        shows = goal.labels.flatten() > 0
        count = min(len(goal.labels) * max(1, int(self.settings.slots * self.settings.positive_share)), len(shows))
        if _is_on_the_host(shows):
            count = min(count, max(1, int(shows.sum())))
        return shows.to(torch.uint8).argsort(descending=True, stable=True)[:count]

    def loss(self, output: TwoStageOutput, targets: BoxTarget) -> dict[str, Tensor]:
        """Return the losses of the detector, and ``mask``: cross-entropy of the pixels of the right class's mask.

        Raises:
            InputError: If the output was made without targets, or the targets have no outlines.

        Source:
            He et al. 2017, section 3: an average over the pixels and the regions that show an object.
        """
        losses = super().loss(output, targets)
        if targets.masks is None:
            raise InputError(
                "Mask R-CNN learns from outlines and expects BoxTarget.masks; got boxes only. Train on data with "
                "polygons or masks for every object (COCO with segmentation), or choose a Faster R-CNN"
            )
        if not isinstance(output, MaskOutput) or output.region_targets is None:
            raise InputError("the loss of Mask R-CNN expects its own output; got another. Call model(images, targets)")
        rows, goal = output.mask_rows, output.region_targets
        wanted = crop_masks(
            targets.masks,
            output.regions.boxes.flatten(0, 1)[rows],
            rows // goal.labels.shape[1],
            goal.objects.flatten()[rows],
            output.sizes,
            output_size=output.mask_logits.shape[-1],
        )
        shows = goal.labels.flatten()[rows] > 0
        pixels = functional.binary_cross_entropy_with_logits(output.mask_logits, wanted, reduction="none")
        per_region = pixels.mean(dim=(1, 2)).masked_fill(~shows, 0.0)
        return {**losses, "mask": per_region.sum() / shows.sum().clamp(min=1)}

    @torch.no_grad()
    def decode(self, output: TwoStageOutput, sizes: Int64[Tensor, "batch 2"]) -> Sequence[Detections]:
        """Return the detections of each image, with masks at the original ``sizes`` (height, width).

        The masks of one image take as many bytes as it has pixels times detections.
        """
        if not isinstance(output, MaskOutput):
            raise InputError("Mask R-CNN decodes its own output; got another. Call model(images)")
        selected = select(*self.candidates(output), self.settings.selection)
        found = as_detections(selected, output.sizes, sizes)
        probs = self._mask_probs(output.maps, selected.boxes, selected.image, selected.labels + 1)
        return [
            replace(one, masks=paste_masks(masks, one.boxes, (height, width)))
            for one, masks, (height, width) in zip(
                found, torch.split(probs, selected.counts), sizes.tolist(), strict=True
            )
        ]

    def _mask_probs(self, maps: Sequence[Tensor], boxes: Tensor, image: Tensor, labels: Tensor) -> Tensor:
        half = maps[0].dtype in (torch.bfloat16, torch.float16)
        parts = [boxes.new_zeros((0, 2 * MASK_POOLED, 2 * MASK_POOLED))]
        # The features know at which precision the network ran; decode itself is called outside of autocast.
        with torch.autocast(maps[0].device.type, dtype=maps[0].dtype if half else None, enabled=half):
            for start in range(0, len(boxes), REGIONS_AT_ONCE):
                part = slice(start, start + REGIONS_AT_ONCE)
                parts.append(self.masks(maps, boxes[part], image[part], labels[part]).sigmoid())
        return torch.cat(parts)


def _is_on_the_host(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu"


def _with_masks(detector: TwoStage, num_classes: int, *, width: int) -> MaskRCNN:
    pooling = detector.region_features
    if not isinstance(pooling, PyramidAlign):
        raise InputError("a mask branch stands on a pyramid; got another detector. Build it by faster_rcnn_fpn")
    align = PyramidAlign(pooling.features, output_size=MASK_POOLED)
    return MaskRCNN(
        detector, mask_features=align, mask_head=MaskHead(pooling.features[0].channels, num_classes, width=width)
    )


def mask_rcnn_r50_fpn(
    num_classes: int,
    *,
    backbone: str = "resnet50",
    levels: Sequence[str] = PYRAMID_LEVELS,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> MaskRCNN:
    """Return Mask R-CNN with ResNet-50 and a pyramid; reads torchvision's ``maskrcnn_resnet50_fpn``."""
    detector = faster_rcnn_r50_fpn(
        num_classes, backbone=backbone, levels=levels, norm=norm, padding=padding, mean=mean, std=std
    )
    return _with_masks(detector, num_classes, width=256)


def mask_rcnn_r18_fpn(
    num_classes: int,
    *,
    backbone: str = "resnet18",
    levels: Sequence[str] = PYRAMID_LEVELS,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> MaskRCNN:
    """Return Mask R-CNN on ``faster_rcnn_r18_fpn``, its branch half as wide too."""
    detector = faster_rcnn_r18_fpn(
        num_classes, backbone=backbone, levels=levels, norm=norm, padding=padding, mean=mean, std=std
    )
    return _with_masks(detector, num_classes, width=128)


def mask_rcnn_mobilenet_v2_fpn(
    num_classes: int,
    *,
    backbone: str = "mobilenet_v2",
    levels: Sequence[str] = COARSE_LEVELS,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> MaskRCNN:
    """Return Mask R-CNN on ``faster_rcnn_mobilenet_v2_fpn``, with a branch half as wide as the paper's."""
    detector = faster_rcnn_mobilenet_v2_fpn(
        num_classes, backbone=backbone, levels=levels, norm=norm, padding=padding, mean=mean, std=std
    )
    return _with_masks(detector, num_classes, width=128)
