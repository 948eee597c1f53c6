"""RetinaNet: two small subnets on every cell of a pyramid, and a loss that does not drown in background.

Shapes: B images, A anchors over all levels, K classes.

Source:
    Lin et al. 2017, https://arxiv.org/abs/1708.02002; weights, losses and detections are those of torchvision's
    ``retinanet_resnet50_fpn``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from snellen.errors import ConfigError
from snellen.losses import hard_negatives, hardest
from snellen.models.backbones import Backbone, normalize_for, picked_features, pyramid_backbone
from snellen.models.detection.dense import Dense
from snellen.models.detection.focal_sum import focal_sum
from snellen.models.detection.retina_pyramid import RetinaPyramid
from snellen.models.detection.rpn import at_least_float32, lies_in_ignored, pick
from snellen.models.detection.selection import SelectionSettings
from snellen.models.detection.two_stage import pick_labels
from snellen.nn import Norm, Padding
from snellen.ops import Matches, base_anchors, box_iou, decode_boxes, encode_boxes, grid_anchors, match_by_iou
from snellen.structures import BoxTarget, FeatureSpec, ImageBatch, TensorRecord

__all__ = [
    "RetinaHead",
    "RetinaNet",
    "RetinaOutput",
    "RetinaPyramid",
    "RetinaSettings",
    "retinanet",
    "retinanet_mobilenet_v2_fpn",
    "retinanet_r18_fpn",
    "retinanet_r50_fpn",
]

LEVELS = ("c3", "c4", "c5")  # section 4
ASPECT_RATIOS = (0.5, 1.0, 2.0)  # height over width; section 4
OCTAVE = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))  # sizes of a level's anchors, as shares of its own
PRIOR = 0.01  # probability of an object that a fresh network states everywhere; section 4.1
SUBNET_DEPTH = 4  # 3×3 convolutions before the last
_SELECTION = SelectionSettings(score_above=0.05, nms_iou=0.5, max_detections=300)  # torchvision's; 100 in the paper
_NARROW = 128  # channels of the small variants: the subnets on the finest map are most of the work
_SMALL_ANCHORS = 3.0  # cells; 24 px on stride 8, for images half as large as in the paper


@dataclass(frozen=True, slots=True, kw_only=True)
class RetinaSettings:
    """How RetinaNet is trained and read; defaults as in Lin et al. 2017.

    Attributes:
        classification: ``"focal"``; ``"alpha_ce"``, cross-entropy that only weighs the answers (table 1a);
            ``"ohem"``, cross-entropy over the hardest anchors (table 1d).
        alpha: Weight of the positive answer, against 1 − alpha; None for none. Not used by ``"ohem"``.
        gamma: Fading strength of the focal loss.
        positive_from: IoU from which an anchor is an object; each object's best anchors always are.
        negative_below: IoU under which it is background.
        ohem_slots: Anchors of each image in the loss, the hardest first; 128 in the table's best row.
        ohem_nms_iou: Anchors that overlap a harder one by more are left out.
        negative_ratio: If given, ``"ohem"`` takes all positive anchors and at most this many negative ones for
            each, as SSD does, instead of ``ohem_slots``.
        most_per_level: Best pairs of an anchor and a class of each level that go into suppression.
    """

    classification: Literal["focal", "alpha_ce", "ohem"] = "focal"
    alpha: float | None = 0.25
    gamma: float = 2.0
    positive_from: float = 0.5
    negative_below: float = 0.4
    ohem_slots: int = 128
    ohem_nms_iou: float = 0.5
    negative_ratio: float | None = None
    most_per_level: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RetinaOutput(TensorRecord):
    """What the subnets said about every anchor.

    Attributes:
        anchors: The same for every image of the batch.
        class_logits: Of independent questions, in the precision of the network.
        offsets: From the anchors.
        sizes: Height and width of each image on the canvas.
        per_level: Anchors of each level, finest first.
    """

    anchors: Float[Tensor, "num_anchors 4"]
    class_logits: Float[Tensor, "batch num_anchors num_classes"]
    offsets: Float[Tensor, "batch num_anchors 4"]
    sizes: Int64[Tensor, "batch 2"]
    per_level: tuple[int, ...]


class RetinaHead(nn.Module):
    """A subnet for classes and one for boxes, the same on every level.

    Args:
        features: The levels, all of one depth.
        num_classes: How many questions are asked about each anchor.
        sizes: Anchor sizes in pixels for each level.
        settings: Training and reading.

    Raises:
        ConfigError: If the levels differ in depth or the sizes do not fit them.

    Source:
        Lin et al. 2017, section 4. Differs: the offsets' loss is plain L1, and both losses are divided by the
        positive anchors of each image before the mean over images is taken, as in torchvision; the paper has
        smooth L1 and does not say over what it counts.
    """

    def __init__(
        self,
        features: Sequence[FeatureSpec],
        num_classes: int,
        *,
        sizes: Sequence[Sequence[float]],
        settings: RetinaSettings | None = None,
    ) -> None:
        super().__init__()
        depths = {spec.channels for spec in features}
        if len(depths) != 1 or len(sizes) != len(features) or len({len(row) for row in sizes}) != 1:
            raise ConfigError(
                "RetinaNet's subnets expect levels of one depth and equally many anchor sizes for each; got depths "
                f"{sorted(depths)}, {len(features)} levels and sizes {list(sizes)}. Use the maps of one pyramid."
            )
        self.names = tuple(spec.name for spec in features)
        self.num_classes = num_classes
        self.settings = settings or RetinaSettings()
        for level, row in enumerate(sizes):
            self.register_buffer(f"base_{level}", base_anchors(row, ASPECT_RATIOS), persistent=False)
        num_anchors = len(sizes[0]) * len(ASPECT_RATIOS)
        channels = depths.pop()
        self.class_net = _subnet(channels)
        self.classes = nn.Conv2d(channels, num_anchors * num_classes, 3, padding=1)
        self.box_net = _subnet(channels)
        self.offsets = nn.Conv2d(channels, num_anchors * 4, 3, padding=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # these layers have a bias
        nn.init.constant_(self.classes.bias, -math.log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]

    def forward(self, features: Mapping[str, Tensor], images: ImageBatch) -> RetinaOutput:
        """Return scores and offsets of all anchors."""
        canvas = images.pixels.shape[-2:]
        anchors, logits, offsets = [], [], []
        for level, name in enumerate(self.names):
            x = features[name]
            rows, columns = x.shape[-2:]
            stride = (canvas[0] // rows, canvas[1] // columns)
            anchors.append(grid_anchors(getattr(self, f"base_{level}"), (rows, columns), stride))
            # [B, anchors * K, H, W] -> [B, H * W * anchors, K]; no copy where maps are channels-last.
            logit = self.classes(self.class_net(x)).permute(0, 2, 3, 1)
            logits.append(logit.reshape(len(images), -1, self.num_classes))
            offsets.append(self.offsets(self.box_net(x)).permute(0, 2, 3, 1).reshape(len(images), -1, 4))
        return RetinaOutput(
            anchors=torch.cat(anchors),
            class_logits=torch.cat(logits, dim=1),
            offsets=at_least_float32(torch.cat(offsets, dim=1)),
            sizes=images.sizes,
            per_level=tuple(len(level) for level in anchors),
        )

    def loss(self, output: RetinaOutput, targets: BoxTarget) -> dict[str, Tensor]:
        """Return ``class`` and ``box``, means over the images of sums for each positive anchor."""
        with torch.no_grad():
            matches = match_by_iou(
                box_iou(targets.boxes, output.anchors),
                targets.valid & ~targets.ignored,
                positive_from=self.settings.positive_from,
                negative_below=self.settings.negative_below,
                keep_best=True,
            )
            positive = matches.positive
            share = 1 / (positive.sum(dim=1, keepdim=True).clamp(min=1) * len(positive)).to(output.offsets.dtype)
            goal = encode_boxes(pick(targets.boxes, matches.object_index), output.anchors).to(output.offsets.dtype)
        distance = (output.offsets - goal).abs().sum(dim=-1)
        return {
            "class": self._class_loss(output, targets, matches, share),
            "box": torch.where(positive, distance * share, 0.0).sum(),
        }

    def _class_loss(
        self, output: RetinaOutput, targets: BoxTarget, matches: Matches, share: Float[Tensor, "batch 1"]
    ) -> Tensor:
        settings = self.settings
        logits = output.class_logits
        with torch.no_grad():
            negative = matches.negative & ~lies_in_ignored(output.anchors, targets)
            labels = torch.where(matches.positive, pick_labels(targets.labels, matches.object_index), -1)
            if settings.classification == "ohem":
                chosen = self._hardest(output, labels, matches.positive, negative)
                share = 1 / (chosen.sum(dim=1, keepdim=True).clamp(min=1) * len(chosen)).to(share.dtype)
            else:
                chosen = matches.positive | negative
            weights = torch.where(chosen, share, 0.0)
        if settings.classification == "ohem":
            return focal_sum(logits, labels, weights, alpha=None, gamma=0)
        gamma = settings.gamma if settings.classification == "focal" else 0.0
        return focal_sum(logits, labels, weights, alpha=settings.alpha, gamma=gamma)

    def _hardest(self, output: RetinaOutput, labels: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """Return which anchors online mining takes: [B, A]."""
        settings = self.settings
        logits = at_least_float32(output.class_logits)
        chosen = logits.gather(2, labels.clamp(min=0)[..., None])[..., 0]
        surprise = functional.softplus(logits).sum(dim=2) - torch.where(labels >= 0, chosen, 0.0)
        surprise = surprise.masked_fill(~(positive | negative), -torch.inf)
        batch, count = labels.shape
        by_slots = settings.negative_ratio is None
        taken = hardest(
            surprise,
            output.anchors.expand(batch, count, 4),
            torch.arange(batch, device=labels.device)[:, None].expand(batch, count),
            keep=settings.ohem_slots if by_slots else count,
            nms_iou=settings.ohem_nms_iou,
        )
        if settings.negative_ratio is None:
            return taken
        return positive | hard_negatives(surprise, positive, negative & taken, ratio=settings.negative_ratio)

    def candidates(
        self, output: RetinaOutput
    ) -> tuple[Float[Tensor, "batch num_boxes 1 4"], Float[Tensor, "batch num_boxes num_classes"]]:
        """Return the boxes of the best anchors of each level; scores that are not among a level's best are 0."""
        most = self.settings.most_per_level
        boxes, scores = [], []
        start = 0
        for count in output.per_level:
            part = slice(start, start + count)
            start += count
            logits = output.class_logits[:, part]
            # The best pairs belong to the anchors with the best single class: no need to sort all pairs.
            index = logits.amax(dim=2).topk(min(most, count), dim=1).indices
            picked = logits.gather(1, index[..., None].expand(-1, -1, logits.shape[2]))
            score = at_least_float32(picked).sigmoid()
            flat = score.flatten(1)
            if flat.shape[1] > most:
                best = flat.topk(most, dim=1, sorted=False).indices
                score = torch.zeros_like(flat).scatter(1, best, flat.gather(1, best)).view_as(score)
            boxes.append(decode_boxes(pick(output.offsets[:, part], index), output.anchors[part][index]))
            scores.append(score)
        return torch.cat(boxes, dim=1)[:, :, None], torch.cat(scores, dim=1)


def _subnet(channels: int) -> nn.Sequential:
    layers = (
        nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(inplace=True)) for _ in range(SUBNET_DEPTH)
    )
    return nn.Sequential(*layers)


class RetinaNet(Dense):
    """RetinaNet; reads the weights of torchvision's ``retinanet_resnet50_fpn``."""

    foreign_names: tuple[tuple[str, str], ...] = (
        (r"^backbone\.body\.", "backbone."),
        (r"^backbone\.fpn\.extra_blocks\.", "neck.extra_blocks."),
        (r"^backbone\.fpn\.", "neck.pyramid."),
        # The published file counts convolutions and activations, torchvision's code of today pairs of them.
        *(
            (rf"^head\.{theirs}\.conv\.{2 * number}\.(weight|bias)$", rf"head.{ours}.{number}.0.\1")
            for theirs, ours in (("classification_head", "class_net"), ("regression_head", "box_net"))
            for number in range(SUBNET_DEPTH)
        ),
        (r"^head\.classification_head\.conv\.", "head.class_net."),
        (r"^head\.classification_head\.cls_logits\.", "head.classes."),
        (r"^head\.regression_head\.conv\.", "head.box_net."),
        (r"^head\.regression_head\.bbox_reg\.", "head.offsets."),
    )


def retinanet(
    backbone: Backbone,
    num_classes: int,
    *,
    levels: Sequence[str] = LEVELS,
    channels: int = 256,
    anchor_scale: float = 4.0,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    settings: RetinaSettings | None = None,
) -> RetinaNet:
    """Return RetinaNet on some maps of any backbone, by default those of stride 8 to 32, and two coarser ones.

    Args:
        backbone: With the features ``levels``.
        num_classes: Without background.
        levels: On which the pyramid stands.
        channels: Depth of the pyramid and of the subnets; 256 in the paper.
        anchor_scale: Size of a level's smallest anchors in cells of its map; 4 in the paper (32 px on stride 8).
        mean: Of R, G, B where 1 is full scale.
        std: Spread of R, G, B where 1 is full scale.
        settings: Training and reading.
    """
    neck = RetinaPyramid(picked_features(backbone, levels), channels)
    # Whole pixels, as in torchvision.
    sizes = [[int(anchor_scale * spec.stride * factor) for factor in OCTAVE] for spec in neck.features]
    head = RetinaHead(neck.features, num_classes, sizes=sizes, settings=settings)
    stride = neck.pyramid.inputs[-1].stride
    colours = normalize_for(backbone, mean, std)
    return RetinaNet(backbone, neck, head, normalize=colours, stride=stride, settings=_SELECTION)


def retinanet_r50_fpn(
    num_classes: int,
    *,
    backbone: str = "resnet50",
    levels: Sequence[str] = LEVELS,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    settings: RetinaSettings | None = None,
) -> RetinaNet:
    """Return RetinaNet with ResNet-50; reads torchvision's ``retinanet_resnet50_fpn``."""
    return retinanet(
        pyramid_backbone(backbone, levels, usual="resnet50", norm=norm, padding=padding),
        num_classes,
        levels=levels,
        mean=mean,
        std=std,
        settings=settings,
    )


def retinanet_r18_fpn(
    num_classes: int,
    *,
    backbone: str = "resnet18",
    levels: Sequence[str] = LEVELS,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    settings: RetinaSettings | None = None,
) -> RetinaNet:
    """Return RetinaNet with ResNet-18, everything above it half as wide, and anchors from 24 px on."""
    return retinanet(
        pyramid_backbone(backbone, levels, usual="resnet18", norm=norm, padding=padding),
        num_classes,
        levels=levels,
        channels=_NARROW,
        anchor_scale=_SMALL_ANCHORS,
        mean=mean,
        std=std,
        settings=settings,
    )


def retinanet_mobilenet_v2_fpn(
    num_classes: int,
    *,
    backbone: str = "mobilenet_v2",
    levels: Sequence[str] = LEVELS,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    settings: RetinaSettings | None = None,
) -> RetinaNet:
    """Return RetinaNet with MobileNetV2, a pyramid half as wide, and anchors from 24 px on."""
    return retinanet(
        pyramid_backbone(backbone, levels, usual="mobilenet_v2", norm=norm, padding=padding),
        num_classes,
        levels=levels,
        channels=_NARROW,
        anchor_scale=_SMALL_ANCHORS,
        mean=mean,
        std=std,
        settings=settings,
    )
