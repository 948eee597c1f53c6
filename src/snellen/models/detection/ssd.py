"""SSD: a class and a box for every default box of maps of many sizes, in one pass.

Shapes: B images, A default boxes over all maps, K classes, M objects.

Source:
    Liu et al. 2016, https://arxiv.org/abs/1512.02325; weights, losses and detections are those of torchvision's
    ``ssd300_vgg16``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from snellen.losses import hard_negatives
from snellen.models.backbones import (
    Backbone,
    SsdVgg16,
    chosen_backbone,
    cut_behind,
    normalize_for,
    picked_features,
)
from snellen.models.detection.dense import Dense
from snellen.models.detection.rpn import at_least_float32, lies_in_ignored, pick
from snellen.models.detection.selection import SelectionSettings
from snellen.models.detection.ssd_maps import DefaultBoxTable, SsdMaps, box_table, initialise_xavier
from snellen.models.detection.two_stage import pick_labels
from snellen.nn import Norm, Padding
from snellen.ops import Matches, box_iou, decode_boxes, default_boxes, encode_boxes, match_by_iou
from snellen.structures import BoxTarget, FeatureSpec, ImageBatch, TensorRecord

__all__ = [
    "Ssd",
    "SsdHead",
    "SsdOutput",
    "SsdSettings",
    "ssd300",
    "ssd512",
    "ssd_mobilenet_v2",
]

_USUAL = "ssd_vgg16"
_LEVELS = ("c3", "c4")  # strides of conv4_3 and fc7
# Brings the offsets to about unit variance; "variance" 0.1 and 0.2 in the authors' code.
OFFSET_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
_MOST_CACHED = 32  # canvas shapes whose default boxes are kept

_QUIET_STD = 1e-3  # of the first weights of heads on features of any size

_SELECTION = SelectionSettings(score_above=0.01, nms_iou=0.45, max_detections=200)  # section 3, "inference time"


@dataclass(frozen=True, slots=True, kw_only=True)
class SsdSettings:
    """How SSD is trained and read.

    Attributes:
        positive_from: IoU from which a default box answers for an object; each object's best one always does.
        negative_ratio: Most background boxes for each positive one of an image, the hardest first; None takes
            them all (no hard negative mining).
        most_per_class: Best boxes of each class that go into suppression; 400 in the authors' code.
    """

    positive_from: float = 0.5
    negative_ratio: float | None = 3.0
    most_per_class: int = 400


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SsdOutput(TensorRecord):
    """What SSD said about every default box.

    Attributes:
        default_boxes: On the canvas, the same for every image of the batch.
        class_logits: Column 0 is the background.
        offsets: From the default boxes.
        sizes: Height and width of each image on the canvas.
    """

    default_boxes: Float[Tensor, "num_boxes 4"]
    class_logits: Float[Tensor, "batch num_boxes num_classes_and_background"]
    offsets: Float[Tensor, "batch num_boxes 4"]
    sizes: Int64[Tensor, "batch 2"]


class SsdHead(nn.Module):
    """Two 3×3 convolutions on each map: scores of all classes and offsets for each default box of a cell.

    Args:
        features: The maps.
        num_classes: Without background.
        boxes: A row for each map.
        settings: Training and reading.

    Source:
        Liu et al. 2016, sections 2.1 and 2.2. Differs: of two objects that like the same default box best, the
        later one gets it, as in torchvision; the authors match one pair after the other and give the loser its
        second choice.
    """

    shaped_by: ClassVar[Mapping[str, str]] = {
        "boxes.scales": "scales",
        "boxes.aspect_ratios": "aspect_ratios",
        "boxes.steps": "image_size",
    }

    def __init__(
        self,
        features: Sequence[FeatureSpec],
        num_classes: int,
        *,
        boxes: DefaultBoxTable,
        settings: SsdSettings | None = None,
    ) -> None:
        super().__init__()
        self.names = tuple(spec.name for spec in features)
        self.num_classes = num_classes
        self.boxes = boxes
        self.settings = settings or SsdSettings()
        self.classes = nn.ModuleList()
        self.offsets = nn.ModuleList()
        for spec, ratios in zip(features, boxes.aspect_ratios, strict=True):
            per_cell = 2 + 2 * len(ratios)
            self.classes.append(nn.Conv2d(spec.channels, per_cell * (num_classes + 1), 3, padding=1))
            self.offsets.append(nn.Conv2d(spec.channels, per_cell * 4, 3, padding=1))
        initialise_xavier(self)
        self._boxes_of: dict[tuple[object, ...], Tensor] = {}

    def forward(self, features: Mapping[str, Tensor], images: ImageBatch) -> SsdOutput:
        """Return scores and offsets of all default boxes."""
        classes, offsets, grids = [], [], []
        for level, name in enumerate(self.names):
            x = features[name]
            grids.append((x.shape[2], x.shape[3]))
            # [B, boxes * columns, H, W] -> [B, H * W * boxes, columns]; no copy where maps are channels-last.
            logits = self.classes[level](x).permute(0, 2, 3, 1)
            classes.append(logits.reshape(len(images), -1, self.num_classes + 1))
            offsets.append(self.offsets[level](x).permute(0, 2, 3, 1).reshape(len(images), -1, 4))
        canvas = (images.pixels.shape[-2], images.pixels.shape[-1])
        offset = at_least_float32(torch.cat(offsets, dim=1))
        return SsdOutput(
            default_boxes=self.default_boxes(tuple(grids), canvas, offset),
            class_logits=at_least_float32(torch.cat(classes, dim=1)),
            offsets=offset,
            sizes=images.sizes,
        )

    def default_boxes(
        self, grids: tuple[tuple[int, int], ...], canvas: tuple[int, int], like: Tensor
    ) -> Float[Tensor, "num_boxes 4"]:
        """Return the default boxes of maps on a canvas; worked out once for each canvas, dtype and device."""
        key = (grids, canvas, like.dtype, like.device)
        if key not in self._boxes_of:
            if len(self._boxes_of) >= _MOST_CACHED:
                self._boxes_of.clear()
            table = self.boxes
            with torch.inference_mode(mode=False):  # what was made in inference could not be used in training
                made = [
                    default_boxes(
                        [grid],
                        table.scales[level],
                        [table.aspect_ratios[level]],
                        canvas=canvas,
                        steps=None if table.steps is None else [table.steps[level]],
                    )
                    for level, grid in enumerate(grids)
                ]
                self._boxes_of[key] = torch.cat(made).to(like.device, like.dtype)
        return self._boxes_of[key]

    def loss(self, output: SsdOutput, targets: BoxTarget) -> dict[str, Tensor]:
        """Return ``class`` (cross-entropy over positives and hard negatives) and ``box`` (smooth L1).

        Both sums are divided by the number of positive boxes in the batch.

        Source:
            Liu et al. 2016, eq. 1-3, "Hard negative mining".
        """
        settings = self.settings
        with torch.no_grad():
            matches = match_default_boxes(
                box_iou(targets.boxes, output.default_boxes),
                targets.valid & ~targets.ignored,
                positive_from=settings.positive_from,
            )
            positive = matches.positive
            negative = matches.negative & ~lies_in_ignored(output.default_boxes, targets)
            goal = encode_boxes(
                pick(targets.boxes, matches.object_index), output.default_boxes, weights=OFFSET_WEIGHTS
            ).to(output.offsets.dtype)
            labels = torch.where(positive, pick_labels(targets.labels, matches.object_index) + 1, 0)
            count = positive.sum().clamp(min=1)
        logits = output.class_logits
        surprise = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)
        if settings.negative_ratio is not None:
            negative = hard_negatives(surprise, positive, negative, ratio=settings.negative_ratio)
        distance = functional.smooth_l1_loss(output.offsets, goal, reduction="none").sum(dim=-1)
        return {
            "class": torch.where(positive | negative, surprise, 0.0).sum() / count,
            "box": torch.where(positive, distance, 0.0).sum() / count,
        }

    def candidates(
        self, output: SsdOutput
    ) -> tuple[Float[Tensor, "batch num_boxes num_classes 4"], Float[Tensor, "batch num_boxes num_classes"]]:
        """Return the best boxes of each class, and their scores."""
        scores = output.class_logits.softmax(dim=-1)[..., 1:]
        most = min(self.settings.most_per_class, scores.shape[1])
        best, index = scores.transpose(1, 2).topk(most, dim=2, sorted=False)  # [B, K, most]
        boxes = decode_boxes(output.offsets, output.default_boxes, weights=OFFSET_WEIGHTS)
        picked = pick(boxes, index.transpose(1, 2).flatten(1))
        return picked.view(len(boxes), most, -1, 4), best.transpose(1, 2)


def match_default_boxes(
    iou: Float[Tensor, "*batch num_objects num_boxes"],
    valid: Bool[Tensor, "*batch num_objects"],
    *,
    positive_from: float,
) -> Matches:
    """Match default boxes to objects: each object's best box first, then all that overlap one enough.

    Args:
        iou: Overlap of each object with each default box.
        valid: False on rows that match nothing.
        positive_from: Overlap from which a box answers for the object that it overlaps most.

    Source:
        Liu et al. 2016, section 2.2 ("Matching strategy"); of several objects with the same best box the last
        one gets it, as in torchvision's ``SSDMatcher``. Differs: an object that touches no box gets none.
    """
    matches = match_by_iou(iou, valid, positive_from=positive_from, negative_below=positive_from, keep_best=False)
    if iou.shape[-2] == 0:
        return matches
    most, where = iou.max(dim=-1)
    order = torch.arange(iou.shape[-2], device=iou.device).expand_as(where)
    order = order.masked_fill(~(valid & (most > 0)), -1)
    forced = torch.full_like(matches.object_index, -1).scatter_reduce(-1, where, order, "amax")
    return Matches(
        object_index=torch.where(forced >= 0, forced, matches.object_index),
        positive=matches.positive | (forced >= 0),
        negative=matches.negative & (forced < 0),
    )


class Ssd(Dense):
    """SSD; reads the weights of torchvision's ``ssd300_vgg16``."""

    foreign_names: tuple[tuple[str, str], ...] = (
        (r"^backbone\.scale_weight$", "neck.norm.weight"),
        *((rf"^backbone\.extra\.{number}\.", f"neck.extras.{number - 1}.") for number in range(1, 6)),
        (r"^head\.classification_head\.module_list\.", "head.classes."),
        (r"^head\.regression_head\.module_list\.", "head.offsets."),
    )


def begin_quietly(neck: SsdMaps, head: SsdHead) -> None:
    """Let a head say nearly nothing at first, and the maps behind the backbone be as strong as what they are made of.

    The authors' first weights fit VGG-16, whose first map is brought to one scale. Other networks' maps are several
    times as strong: the class loss began at 87 with MobileNetV2, and within 40 steps the coarsest map was the same for
    every image, and stayed so.
    """
    for layer in (*head.classes, *head.offsets):
        nn.init.normal_(layer.weight, std=_QUIET_STD)
    for layer in neck.extras.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")


def ssd300(  # noqa: PLR0913 - the paper's ablations
    num_classes: int,
    *,
    backbone: str = _USUAL,
    norm: Norm | None = None,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    image_size: int = 300,
    atrous: bool = True,
    maps: Sequence[int] | None = None,
    scales: Sequence[float] | None = None,
    aspect_ratios: Sequence[Sequence[float]] | None = None,
    settings: SsdSettings | None = None,
) -> Ssd:
    """Return SSD on VGG-16, by default as torchvision's ``ssd300_vgg16``, whose weights it reads.

    Args:
        num_classes: Without background.
        backbone: Name of another network in the place of VGG-16: its maps of stride 8 and 16 are judged, which are as
            large as those of the paper.
        norm: Makes a norm layer behind each 3×3 convolution of VGG; None, as published, for none.
        padding: ``"same"`` for weights trained with TensorFlow.
        mean: Of R, G, B where 1 is full scale; None for what the backbone's published weights expect.
        std: Spread of R, G, B where 1 is full scale; None for the same.
        image_size: Side of the square canvas in pixels; 300 in the paper.
        atrous: Of VGG-16: whether fc6 has holes and pool5 no stride (table 2; without, conv5_3 is judged too).
        maps: Which maps are judged, 0 for conv4_3, 1 for fc7 and so on; None for all (table 3). Differs from the
            paper's ablation: a map keeps its own boxes, no map gets those of one left out.
        scales: Of each map and one more, as shares of the side; None for the authors' for COCO. For VOC they take
            0.1, 0.2, 0.37, 0.54, 0.71, 0.88, 1.05.
        aspect_ratios: Of each map, above 1 (table 2).
        settings: Training and reading; ``negative_ratio=None`` switches hard negative mining off.
    """
    if backbone == _USUAL:
        network: Backbone = SsdVgg16(atrous=atrous, norm=norm)
    else:
        network = chosen_backbone(
            backbone, usual=_USUAL, norm=norm, padding=padding, needs=_LEVELS, ends_in=_LEVELS[-1]
        )
    inputs = network.features if backbone == _USUAL else picked_features(network, _LEVELS)
    neck = SsdMaps(inputs, image_size=image_size, norm_first=True, maps=maps)
    if backbone != _USUAL:
        cut_behind(network, neck.last_input)
    table = box_table(neck.maps, neck.count, image_size, scales=scales, aspect_ratios=aspect_ratios)
    head = SsdHead(neck.features, num_classes, boxes=table, settings=settings)
    if backbone != _USUAL:
        begin_quietly(neck, head)
    return Ssd(network, neck, head, normalize=normalize_for(network, mean, std), stride=1, settings=_SELECTION)


ssd512 = partial(ssd300, image_size=512)


def ssd_mobilenet_v2(  # noqa: PLR0913 - the paper's ablations
    num_classes: int,
    *,
    backbone: str = "mobilenet_v2",
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    image_size: int = 320,
    maps: Sequence[int] | None = None,
    scales: Sequence[float] | None = None,
    aspect_ratios: Sequence[Sequence[float]] | None = None,
    settings: SsdSettings | None = None,
) -> Ssd:
    """Return SSD on MobileNetV2's maps of stride 8, 16 and 32: it trains on two cores; see ``ssd300``.

    Strides and scales of the maps are those of SSD300, so that a default box is two to four cells wide on every map.

    Source:
        The backbone as in Sandler et al. 2018, section 6.2, https://arxiv.org/abs/1801.04381. Differs: a map of
        stride 8 too, for small objects; plain convolutions behind it and in the head, not SSDLite's.
    """
    needed = ("c3", "c4", "c5")
    network = chosen_backbone(
        backbone, usual="mobilenet_v2", norm=norm, padding=padding, needs=needed, ends_in=needed[-1]
    )
    inputs = picked_features(network, needed)
    neck = SsdMaps(inputs, image_size=image_size, norm_first=False, maps=maps)
    cut_behind(network, neck.last_input)
    table = box_table(neck.maps, neck.count, image_size, scales=scales, aspect_ratios=aspect_ratios)
    head = SsdHead(neck.features, num_classes, boxes=table, settings=settings)
    begin_quietly(neck, head)
    return Ssd(network, neck, head, normalize=normalize_for(network, mean, std), stride=1, settings=_SELECTION)
