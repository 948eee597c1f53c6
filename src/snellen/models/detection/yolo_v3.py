"""YOLOv3: three scales, nine anchors, classes that do not exclude one another.

Shapes: B images, N objects of each image, R references (an anchor in a cell of some level), K classes.

Source:
    Redmon and Farhadi 2018, https://arxiv.org/abs/1804.02767; the layers as darknet's ``yolov3.cfg``, the loss as its
    ``yolo_layer.c``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from snellen.errors import ConfigError
from snellen.losses.box_overlap import ciou_loss, giou_loss
from snellen.models.backbones import Backbone, normalize_for, picked_features, pyramid_backbone
from snellen.models.backbones.darknet import DarknetConv, darknet_conv_layers
from snellen.models.darknet_files import DarknetLayer, DarknetModel
from snellen.models.detection.dense import Dense
from snellen.models.detection.yolo_parts import (
    YOLO_SELECTION,
    Assigned,
    GridOutput,
    all_labels,
    area_sorted,
    assign_by_shape,
    at_slots,
    direct_boxes,
    grid_output,
    is_excused,
    norm_of_head,
    start_verdicts,
    verdict_layer,
)
from snellen.models.field_checks import NOT_NEGATIVE, SHARE, check_fields
from snellen.nn import Norm, Normalize, Padding
from snellen.structures import BoxTarget, FeatureSpec, ImageBatch

__all__ = [
    "YOLO_V3_ANCHORS",
    "YOLO_V3_TINY_ANCHORS",
    "BoxLoss",
    "YoloV3",
    "YoloV3Head",
    "YoloV3Neck",
    "YoloV3Settings",
    "yolo_v3",
    "yolo_v3_mobilenet_v2",
    "yolo_v3_tiny",
]

BoxLoss = Literal["offsets", "giou", "ciou"]

# Width and height in pixels at 416 px, clusters of COCO: section 2.3 of the paper; darknet, yolov3-tiny.cfg.
YOLO_V3_ANCHORS = (
    (10.0, 13.0),
    (16.0, 30.0),
    (33.0, 23.0),
    (30.0, 61.0),
    (62.0, 45.0),
    (59.0, 119.0),
    (116.0, 90.0),
    (156.0, 198.0),
    (373.0, 326.0),
)
YOLO_V3_TINY_ANCHORS = ((10.0, 14.0), (23.0, 27.0), (37.0, 58.0), (81.0, 82.0), (135.0, 169.0), (344.0, 319.0))

# Share of the references that hold an object at the start of training: thousands of sums begin near their end.
# Lin et al. 2017 (RetinaNet), section 4.1, https://arxiv.org/abs/1708.02002.
PRIOR_OBJECTNESS = 0.01


_LEVELS = ("c3", "c4", "c5")
_TINY_LEVELS = ("c4", "c5")


@dataclass(frozen=True, slots=True, kw_only=True)
class YoloV3Settings:
    """Threshold and kind of the loss.

    Attributes:
        excused_above: A reference whose box overlaps an object by more, and that is not the best, is left alone: 0.5 in
            the paper, section 2.1; 0.7 in ``yolov3.cfg``.
        box_loss: ``"offsets"`` as in the paper; ``"giou"`` (Rezatofighi et al. 2019) and ``"ciou"`` (Zheng et al. 2020)
            compare boxes instead.
        box_scale: Weight of the box's part.
    """

    excused_above: float = 0.5
    box_loss: BoxLoss = "offsets"
    box_scale: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a loss that is not there, and numbers that no loss can be computed with.

        Raises:
            ConfigError: If a field is out of its range.
        """
        check_fields(self, excused_above=SHARE, box_scale=NOT_NEGATIVE)


class YoloV3Neck(nn.Module):
    """From the coarsest map down: convolve, say, double the side, lay beside the next finer map.

    Args:
        features: Finest first; each half as fine as the one before.
        widths: Channels of each level; its output has twice as many.
        lengths: Convolutions of each level, 1×1 and 3×3 in turn, before it splits into verdict and next level.
        norm: Makes a norm layer from the number of channels; None for biases in its place.

    Attributes:
        features: The outputs, finest first: ``"p3"`` stands on ``"c3"``.

    Source:
        Redmon and Farhadi 2018, section 2.3; darknet, ``yolov3.cfg`` and ``yolov3-tiny.cfg``.
    """

    features: tuple[FeatureSpec, ...]

    def __init__(
        self,
        features: Sequence[FeatureSpec],
        *,
        widths: Sequence[int],
        lengths: Sequence[int],
        norm: Norm | None = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        norm = norm_of_head(norm)
        self.inputs = tuple(features)
        self.sets, self.outputs, self.laterals = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        from_above = 0
        for level in reversed(range(len(features))):  # the order of darknet's files: coarsest first
            channels, width = features[level].channels + from_above, widths[level]
            layers: list[nn.Module] = []
            for number in range(lengths[level]):
                kernel, depth = (1, width) if number % 2 == 0 else (3, 2 * width)
                layers.append(DarknetConv(channels, depth, kernel=kernel, norm=norm))
                channels = depth
            self.sets.append(nn.Sequential(*layers))
            self.outputs.append(DarknetConv(channels, 2 * width, norm=norm))
            if level > 0:
                from_above = width // 2
                self.laterals.append(DarknetConv(channels, from_above, kernel=1, norm=norm))
        self.features = tuple(
            FeatureSpec(name=spec.name.replace("c", "p"), channels=2 * width, stride=spec.stride)
            for spec, width in zip(features, widths, strict=True)
        )

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the maps on which the verdicts stand, by name."""
        outputs = {}
        from_above: Tensor | None = None
        for number, level in enumerate(reversed(range(len(self.inputs)))):
            x = features[self.inputs[level].name]
            if from_above is not None:
                x = torch.cat([functional.interpolate(from_above, scale_factor=2.0, mode="nearest"), x], dim=1)
            x = self.sets[number](x)
            outputs[self.features[level].name] = self.outputs[number](x)
            if level > 0:
                from_above = self.laterals[number](x)
        return outputs

    def level_layers(self, number: int) -> tuple[list[DarknetLayer], list[DarknetLayer]]:
        """Return the layers with weights of level ``number`` (0 is the coarsest), before and behind its verdict."""
        before = [
            *darknet_conv_layers(self.sets[number], f"sets.{number}."),
            *darknet_conv_layers(self.outputs[number], f"outputs.{number}."),
        ]
        if number == len(self.laterals):
            return before, []
        return before, [*darknet_conv_layers(self.laterals[number], f"laterals.{number}.")]


class YoloV3Head(nn.Module):
    """The verdicts of all anchors in every cell of every level.

    Args:
        features: The maps, finest first.
        num_classes: Without background.
        anchors: Width and height in pixels, equally many for each level; the smallest go to the finest map.
        settings: Of the loss.

    Raises:
        ConfigError: If the anchors cannot be dealt out evenly.

    Source:
        Redmon and Farhadi 2018, section 2. Differs: objectness starts at ``PRIOR_OBJECTNESS`` instead of one half.
    """

    anchors: Tensor

    def __init__(
        self,
        features: Sequence[FeatureSpec],
        num_classes: int,
        *,
        anchors: Sequence[tuple[float, float]] = YOLO_V3_ANCHORS,
        settings: YoloV3Settings | None = None,
    ) -> None:
        super().__init__()
        if not anchors or len(anchors) % len(features):
            raise ConfigError(
                f"anchors must be a multiple of the {len(features)} levels of YOLOv3; got {len(anchors)}: "
                f"{list(anchors)}. Pass {3 * len(features)} pairs of width and height in pixels."
            )
        self.names = tuple(spec.name for spec in features)
        self.strides = tuple(spec.stride for spec in features)
        self.settings = settings or YoloV3Settings()
        dealt = torch.tensor(area_sorted(anchors), dtype=torch.float32).view(len(features), -1, 2)
        self.register_buffer("anchors", dealt, persistent=False)
        per_level = dealt.shape[1]
        self.verdicts = nn.ModuleList(nn.Conv2d(spec.channels, per_level * (5 + num_classes), 1) for spec in features)
        for conv in self.verdicts:
            start_verdicts(conv, per_level, objectness=PRIOR_OBJECTNESS)  # type: ignore[arg-type]  # a convolution

    def forward(self, features: Mapping[str, Tensor], images: ImageBatch) -> GridOutput:
        """Return what every anchor in every cell of every level says, the finest level first."""
        maps = [conv(features[name]) for conv, name in zip(self.verdicts, self.names, strict=True)]
        return grid_output(maps, self.anchors, self.strides, images.sizes)

    def boxes(self, output: GridOutput) -> Float[Tensor, "batch references 4"]:
        """Return every reference's box on the canvas."""
        return direct_boxes(output.offsets, output.corners, output.steps, output.priors)

    def loss(self, output: GridOutput, targets: BoxTarget) -> dict[str, Tensor]:
        """Return ``objectness``, ``box`` and ``class``: sums over all cells, mean over the images.

        Binary cross-entropy of the objectness (1 for the best anchor of each object), and of every class for the
        references that answer for an object. If several objects meet in one reference, all their classes are right, and
        the last one's box is learnt. The box: the gradient on tx, ty, tw, th is wanted minus said, as the paper has
        it ("sum of squared error"), where darknet says σ(tx); that is cross-entropy of σ(tx), σ(ty), less its least
        value, and half the square of the error of tw, th, each times 2 − w·h. The gradients are darknet's "deltas".
        """
        with torch.no_grad():
            boxes = self.boxes(output)
            who = assign_by_shape(output, targets, self.anchors, self.strides)
            idle = ~who.responsible & ~is_excused(boxes, targets, iou_above=self.settings.excused_above)
            counted = who.responsible | idle
        objectness = functional.binary_cross_entropy_with_logits(
            output.objectness, who.responsible.to(output.objectness.dtype), reduction="none"
        )
        logits = at_slots(output.class_logits, who.slot)
        classes = functional.binary_cross_entropy_with_logits(
            logits, all_labels(targets, who, logits), reduction="none"
        )
        batch = len(boxes)
        return {
            "objectness": (objectness * counted).sum() / batch,
            "box": self.settings.box_scale * (self._box_loss(output, targets, who) * who.is_owner).sum() / batch,
            "class": (classes * who.is_owner[..., None]).sum() / batch,
        }

    def _box_loss(self, output: GridOutput, targets: BoxTarget, who: Assigned) -> Tensor:
        offsets = at_slots(output.offsets, who.slot)
        if self.settings.box_loss == "offsets":
            goal = who.goal[..., :2]
            place = functional.binary_cross_entropy_with_logits(offsets[..., :2], goal, reduction="none")
            least: Tensor = torch.special.entr(goal) + torch.special.entr(1 - goal)
            place = place - least
            shape = 0.5 * (offsets[..., 2:] - who.goal[..., 2:]).square()
            return (place + shape).sum(dim=-1) * who.size_weight
        compare = {"giou": giou_loss, "ciou": ciou_loss}[self.settings.box_loss]
        said = direct_boxes(offsets, output.corners[who.slot], output.steps[who.slot], output.priors[who.slot])
        return compare(said, targets.boxes)

    def candidates(
        self, output: GridOutput
    ) -> tuple[Float[Tensor, "batch references 1 4"], Float[Tensor, "batch references num_classes"]]:
        """Return boxes on the canvas and objectness · Pr(class | object)."""
        scores = output.objectness.sigmoid()[..., None] * output.class_logits.sigmoid()
        return self.boxes(output)[:, :, None], scores


class YoloV3(Dense):
    """YOLOv3 on any backbone.

    Args:
        backbone: Without its classifier.
        num_classes: Without background.
        levels: Features of the backbone on which it stands, finest first.
        widths: See ``YoloV3Neck``.
        lengths: See ``YoloV3Neck``.
        anchors: Width and height in pixels.
        box_loss: See ``YoloV3Settings``.
        norm: Makes a norm layer from the number of channels; None for biases in its place.
        normalize: Bytes to what the backbone was trained on.
    """

    neck: YoloV3Neck
    head: YoloV3Head

    def __init__(  # noqa: PLR0913 - what the variants differ in
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        levels: Sequence[str] = _LEVELS,
        widths: Sequence[int] = (128, 256, 512),
        lengths: Sequence[int] = (5, 5, 5),
        anchors: Sequence[tuple[float, float]] = YOLO_V3_ANCHORS,
        box_loss: BoxLoss = "offsets",
        norm: Norm | None = nn.BatchNorm2d,
        normalize: Normalize,
    ) -> None:
        neck = YoloV3Neck(picked_features(backbone, levels), widths=widths, lengths=lengths, norm=norm)
        head = YoloV3Head(neck.features, num_classes, anchors=anchors, settings=YoloV3Settings(box_loss=box_loss))
        super().__init__(backbone, neck, head, normalize=normalize, settings=YOLO_SELECTION)

    def darknet_layers(self) -> list[DarknetLayer]:
        """Return the layers with weights in the order of the ``.cfg``; none if the backbone is not darknet's.

        The verdicts stand between the levels there.
        """
        if not isinstance(self.backbone, DarknetModel):
            return []
        layers = [layer.moved("backbone.") for layer in self.backbone.darknet_layers()]
        for number in range(len(self.head.verdicts)):
            place = len(self.head.verdicts) - 1 - number
            before, behind = self.neck.level_layers(number)
            verdict = verdict_layer(f"head.verdicts.{place}", self.head.verdicts[place], self.head.anchors)  # type: ignore[arg-type]  # a convolution
            layers += [*(layer.moved("neck.") for layer in before), verdict]
            layers += [layer.moved("neck.") for layer in behind]
        return layers


def yolo_v3(
    num_classes: int,
    *,
    anchors: Sequence[tuple[float, float]] = YOLO_V3_ANCHORS,
    box_loss: BoxLoss = "offsets",
    backbone: str = "darknet53",
    norm: Norm | None = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> YoloV3:
    """Return YOLOv3 with Darknet-53."""
    network = pyramid_backbone(backbone, _LEVELS, usual="darknet53", norm=norm, padding=padding)
    return YoloV3(
        network,
        num_classes,
        anchors=anchors,
        box_loss=box_loss,
        norm=norm,
        normalize=normalize_for(network, mean, std),
    )


def yolo_v3_tiny(
    num_classes: int,
    *,
    anchors: Sequence[tuple[float, float]] = YOLO_V3_TINY_ANCHORS,
    box_loss: BoxLoss = "offsets",
    backbone: str = "darknet_tiny_v3",
    norm: Norm | None = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> YoloV3:
    """Return Tiny YOLOv3 as darknet's ``yolov3-tiny.cfg``: a small net and two scales with three anchors each."""
    network = pyramid_backbone(backbone, _TINY_LEVELS, usual="darknet_tiny_v3", norm=norm, padding=padding)
    return YoloV3(
        network,
        num_classes,
        levels=_TINY_LEVELS,
        widths=(128, 256),
        lengths=(0, 1),
        anchors=anchors,
        box_loss=box_loss,
        norm=norm,
        normalize=normalize_for(network, mean, std),
    )


def yolo_v3_mobilenet_v2(
    num_classes: int,
    *,
    anchors: Sequence[tuple[float, float]] = YOLO_V3_ANCHORS,
    box_loss: BoxLoss = "offsets",
    backbone: str = "mobilenet_v2",
    norm: Norm | None = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> YoloV3:
    """Return YOLOv3 with MobileNetV2 and a neck half as wide and three convolutions long: it trains on two cores."""
    network = pyramid_backbone(backbone, _LEVELS, usual="mobilenet_v2", norm=norm, padding=padding)
    return YoloV3(
        network,
        num_classes,
        widths=(64, 128, 256),
        lengths=(3, 3, 3),
        anchors=anchors,
        box_loss=box_loss,
        norm=norm,
        normalize=normalize_for(network, mean, std),
    )
