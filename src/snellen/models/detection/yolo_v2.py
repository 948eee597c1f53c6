"""YOLOv2: anchors from the data, places within the cell, no fully connected layer.

Shapes: B images, N objects of each image, R references (an anchor in a cell), K classes.

Source:
    Redmon and Farhadi 2017 (YOLO9000), https://arxiv.org/abs/1612.08242; the loss, which the paper does not write down,
    as darknet's ``region_layer.c``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from snellen.models.backbones import Backbone, normalize_for, picked_features, pyramid_backbone
from snellen.models.backbones.darknet import DarknetConv, darknet_conv_layers
from snellen.models.darknet_files import DarknetLayer
from snellen.models.detection.dense import Dense
from snellen.models.detection.yolo_parts import (
    YOLO_SELECTION,
    GridOutput,
    assign_by_shape,
    at_slots,
    direct_boxes,
    grid_output,
    is_excused,
    norm_of_head,
    start_verdicts,
    verdict_layer,
)
from snellen.nn import Norm, Padding
from snellen.ops import boxes_from_centers_sizes, decode_boxes, encode_boxes, paired_iou
from snellen.structures import BoxTarget, FeatureSpec, ImageBatch

__all__ = [
    "HAND_MADE_ANCHORS",
    "YOLO_V2_ANCHORS",
    "YOLO_V2_TINY_ANCHORS",
    "Location",
    "Reorg",
    "YoloV2Head",
    "YoloV2Settings",
    "yolo_v2",
    "yolo_v2_mobilenet_v2",
    "yolo_v2_tiny",
]

Location = Literal["direct", "offset"]

_LEVELS = ("c4", "c5")
_CELL_PX = 32  # darknet gives the anchors of this generation in cells
# Dimension clusters of VOC 2007 and 2012: darknet, yolov2-voc.cfg and yolov2-tiny-voc.cfg.
YOLO_V2_ANCHORS = tuple(
    (width * _CELL_PX, height * _CELL_PX)
    for width, height in (
        (1.3221, 1.73145),
        (3.19275, 4.00944),
        (5.05587, 8.09892),
        (9.47112, 4.84053),
        (11.2364, 10.0071),
    )
)
YOLO_V2_TINY_ANCHORS = tuple(
    (width * _CELL_PX, height * _CELL_PX)
    for width, height in ((1.08, 1.19), (3.42, 4.41), (6.63, 11.38), (9.42, 5.11), (16.62, 10.52))
)
# The nine of Ren et al. 2015: what the paper's step "anchor boxes" had before the clusters.
HAND_MADE_ANCHORS = tuple(
    (size / ratio**0.5, size * ratio**0.5) for size in (128.0, 256.0, 512.0) for ratio in (0.5, 1.0, 2.0)
)


# Squared error through a logistic has no slope near 0. From one half, the many empty references of an image push all
# confidences there in the first large steps, and those of the objects cannot come back: with SGD at 0.01 eight images
# could not be learnt by heart (AP50 0.55), from 0.1 they can (1.0). Darknet starts at one half, with 1000 batches of
# burn-in at small rates.
START_OBJECTNESS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class YoloV2Settings:
    """Weights and thresholds of the loss; defaults as in darknet's ``yolov2-voc.cfg``.

    Attributes:
        object_scale: Weight of the confidence of references that answer for an object.
        no_object_scale: Weight of the confidence of the others.
        coord_scale: Weight of the offsets.
        class_scale: Weight of the classes.
        excused_above: A reference whose box overlaps an object by more need not say "nothing here".
    """

    object_scale: float = 5.0
    no_object_scale: float = 1.0
    coord_scale: float = 1.0
    class_scale: float = 1.0
    excused_above: float = 0.6


class Reorg(nn.Module):
    """Four times as many channels of half the side, in darknet's own order.

    Not the usual space-to-depth: darknet's loop takes the map of C channels of H × W for one of C/4 channels of
    2H × 2W, and collects every second pixel of that. Published weights fit only this order. For a network that is
    trained anew the order does not matter much.

    Source:
        darknet, ``reorg_cpu`` in ``blas.c``, called with the sizes of the input and ``forward`` 0.
    """

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch _ _ _"]:
        """Return the map of half the sides, which must be even; the channels must be a multiple of 4."""
        batch, channels, height, width = x.shape
        wide = x.reshape(batch, channels // 4, height, 2, width, 2)
        return wide.permute(0, 3, 5, 1, 2, 4).reshape(batch, channels * 4, height // 2, width // 2)


class YoloV2Head(nn.Module):
    """Convolutions, the passthrough, and the verdicts of all anchors in every cell.

    Args:
        feature: The map of stride 32.
        fine: The map of stride 16 that is passed through, or None.
        num_classes: Without background.
        anchors: Width and height in pixels.
        width: Channels of the convolutions; 1024 in the paper.
        depth: Number of 3×3 convolutions; 3 in the paper. The last one sees the passthrough too.
        passed: Channels to which a 1×1 convolution brings the fine map before it is reordered; 64 in darknet. (The
            paper's text passes all 512 channels.)
        location: ``"direct"`` predicts the place within the cell; ``"offset"`` predicts offsets from the anchor in
            units of its sides, as region proposal networks do: the step before in the paper's table 2.
        norm: Makes a norm layer from the number of channels; None for biases in its place.
        settings: Of the loss.

    Source:
        Redmon and Farhadi 2017, section 2. Differs: darknet pulls every box towards its anchor for the first 12 800
        images. That is left out: the paper does not name it, a loss must not depend on what ran before, and the last
        layer starts near zero here, so that every box starts on its anchor anyway. Objectness starts at
        ``START_OBJECTNESS`` instead of one half.
    """

    anchors: Tensor

    def __init__(  # noqa: PLR0913 - the choices of the paper's table 2
        self,
        feature: FeatureSpec,
        fine: FeatureSpec | None,
        num_classes: int,
        *,
        anchors: Sequence[tuple[float, float]] = YOLO_V2_ANCHORS,
        width: int = 1024,
        depth: int = 3,
        passed: int = 64,
        location: Location = "direct",
        norm: Norm | None = nn.BatchNorm2d,
        settings: YoloV2Settings | None = None,
    ) -> None:
        super().__init__()
        norm = norm_of_head(norm)
        self.coarse_name, self.fine_name = feature.name, fine.name if fine is not None else None
        self.stride = feature.stride
        self.location = location
        self.settings = settings or YoloV2Settings()
        self.register_buffer("anchors", torch.tensor(anchors, dtype=torch.float32)[None], persistent=False)
        depths = [feature.channels, *[width] * (depth - 1)]
        self.convs = nn.Sequential(*(DarknetConv(a, b, norm=norm) for a, b in pairwise(depths)))
        self.passthrough = None
        if fine is not None:
            self.passthrough = nn.Sequential(DarknetConv(fine.channels, passed, kernel=1, norm=norm), Reorg())
        self.last = DarknetConv(depths[-1] + (0 if fine is None else passed * 4), width, norm=norm)
        self.verdicts = nn.Conv2d(width, len(anchors) * (5 + num_classes), 1)
        start_verdicts(self.verdicts, len(anchors), objectness=START_OBJECTNESS)

    def forward(self, features: Mapping[str, Tensor], images: ImageBatch) -> GridOutput:
        """Return what every anchor in every cell says."""
        x = self.convs(features[self.coarse_name])
        if self.passthrough is not None and self.fine_name is not None:
            x = torch.cat([self.passthrough(features[self.fine_name]), x], dim=1)  # darknet's order
        return grid_output([self.verdicts(self.last(x))], self.anchors, [self.stride], images.sizes)

    def darknet_layers(self) -> list[DarknetLayer]:
        """Return the layers with weights in the order of the ``.cfg``."""
        layers = [*darknet_conv_layers(self.convs, "convs.")]
        if self.passthrough is not None:
            layers += darknet_conv_layers(self.passthrough, "passthrough.")
        return [
            *layers,
            *darknet_conv_layers(self.last, "last."),
            verdict_layer("verdicts", self.verdicts, self.anchors),
        ]

    def boxes(self, output: GridOutput) -> Float[Tensor, "batch references 4"]:
        """Return every reference's box on the canvas."""
        if self.location == "direct":
            return direct_boxes(output.offsets, output.corners, output.steps, output.priors)
        return decode_boxes(output.offsets, self._anchor_boxes(output))

    def _anchor_boxes(self, output: GridOutput) -> Float[Tensor, "references 4"]:
        return boxes_from_centers_sizes(output.corners + output.steps[:, None] / 2, output.priors)

    def loss(self, output: GridOutput, targets: BoxTarget) -> dict[str, Tensor]:
        """Return ``object``, ``no_object``, ``box`` and ``class``: sums over all cells, mean over the images.

        Half the square of the errors of the confidence (wanted: the IoU of the reference's box and its object, or 0),
        of the place σ(tx), σ(ty) and of tw, th; cross-entropy of the classes. The gradients are darknet's "deltas".
        """
        settings = self.settings
        boxes = self.boxes(output).detach()
        who = assign_by_shape(output, targets, self.anchors, [self.stride])
        iou = paired_iou(at_slots(boxes, who.slot), targets.boxes)
        confidence = output.objectness.sigmoid()
        at_object = confidence.gather(1, who.slot)
        idle = ~who.responsible & ~is_excused(boxes, targets, iou_above=settings.excused_above)
        distance = self._distance(output, targets, who.slot, who.goal)
        logits = at_slots(output.class_logits, who.slot)
        wrong = functional.cross_entropy(logits.flatten(0, 1), targets.labels.flatten(), reduction="none")
        batch = len(boxes)
        return {
            "object": settings.object_scale * 0.5 * ((at_object - iou).square() * who.is_owner).sum() / batch,
            "no_object": settings.no_object_scale * 0.5 * (confidence.square() * idle).sum() / batch,
            "box": settings.coord_scale * 0.5 * (distance * who.size_weight * who.is_owner).sum() / batch,
            "class": settings.class_scale * (wrong.view_as(iou) * who.is_owner).sum() / batch,
        }

    def _distance(self, output: GridOutput, targets: BoxTarget, slot: Tensor, goal: Tensor) -> Tensor:
        """Squared error of the four offsets of each object's reference."""
        offsets = at_slots(output.offsets, slot)
        if self.location == "offset":
            return (offsets - encode_boxes(targets.boxes, self._anchor_boxes(output)[slot])).square().sum(dim=-1)
        said = torch.cat([offsets[..., :2].sigmoid(), offsets[..., 2:]], dim=-1)
        return (said - goal).square().sum(dim=-1)

    def candidates(
        self, output: GridOutput
    ) -> tuple[Float[Tensor, "batch references 1 4"], Float[Tensor, "batch references num_classes"]]:
        """Return boxes on the canvas and σ(to) · Pr(class | object)."""
        scores = output.objectness.sigmoid()[..., None] * output.class_logits.softmax(dim=-1)
        return self.boxes(output)[:, :, None], scores


def _yolo_v2(
    backbone: Backbone,
    num_classes: int,
    *,
    anchors: Sequence[tuple[float, float]],
    passthrough: bool,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    **options: Any,
) -> Dense:
    fine, coarse = picked_features(backbone, _LEVELS)
    head = YoloV2Head(coarse, fine if passthrough else None, num_classes, anchors=anchors, **options)
    return Dense(backbone, None, head, normalize=normalize_for(backbone, mean, std), settings=YOLO_SELECTION)


def yolo_v2(  # noqa: PLR0913 - what a run can set
    num_classes: int,
    *,
    anchors: Sequence[tuple[float, float]] = YOLO_V2_ANCHORS,
    passthrough: bool = True,
    location: Location = "direct",
    backbone: str = "darknet19",
    norm: Norm | None = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Dense:
    """Return YOLOv2 with Darknet-19."""
    return _yolo_v2(
        pyramid_backbone(backbone, _LEVELS, usual="darknet19", norm=norm, padding=padding),
        num_classes,
        anchors=anchors,
        passthrough=passthrough,
        location=location,
        norm=norm,
        mean=mean,
        std=std,
    )


def yolo_v2_tiny(
    num_classes: int,
    *,
    anchors: Sequence[tuple[float, float]] = YOLO_V2_TINY_ANCHORS,
    backbone: str = "darknet_tiny_v2",
    norm: Norm | None = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Dense:
    """Return Tiny YOLOv2 as darknet's ``yolov2-tiny-voc.cfg``: one convolution above a small net, no passthrough."""
    return _yolo_v2(
        pyramid_backbone(backbone, _LEVELS, usual="darknet_tiny_v2", norm=norm, padding=padding),
        num_classes,
        anchors=anchors,
        passthrough=False,
        depth=1,
        norm=norm,
        mean=mean,
        std=std,
    )


def yolo_v2_mobilenet_v2(  # noqa: PLR0913 - what a run can set
    num_classes: int,
    *,
    anchors: Sequence[tuple[float, float]] = YOLO_V2_ANCHORS,
    passthrough: bool = True,
    location: Location = "direct",
    backbone: str = "mobilenet_v2",
    norm: Norm | None = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Dense:
    """Return YOLOv2 with MobileNetV2 and a head a quarter as wide: it trains on two cores."""
    return _yolo_v2(
        pyramid_backbone(backbone, _LEVELS, usual="mobilenet_v2", norm=norm, padding=padding),
        num_classes,
        anchors=anchors,
        passthrough=passthrough,
        width=256,
        location=location,
        norm=norm,
        mean=mean,
        std=std,
    )
