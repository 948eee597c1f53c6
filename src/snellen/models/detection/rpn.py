"""Region proposal network: which anchors hold something, and where exactly.

Shapes: B images, A anchors over all levels, R proposals.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from snellen.errors import ConfigError
from snellen.models.field_checks import AT_LEAST_ONE, NOT_NEGATIVE, SHARE, check_fields
from snellen.ops import (
    base_anchors,
    box_iou,
    clip_boxes,
    covered_share,
    decode_boxes,
    draw_balanced,
    encode_boxes,
    grid_anchors,
    is_larger_than,
    kept_by_nms,
    match_by_iou,
)
from snellen.structures import BoxTarget, FeatureSpec, ImageBatch, Regions, TensorRecord

__all__ = ["ProposalOutput", "ProposalSettings", "RegionProposalNetwork"]

# An anchor that lies in a crowd or a difficult object by more than this is not background.
IGNORED_FROM = 0.5  # share of the anchor's area


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalSettings:
    """How proposals are trained and chosen; defaults as in Ren et al. 2015 and Lin et al. 2017 (FPN).

    Attributes:
        positive_from: IoU from which an anchor is an object.
        negative_below: IoU under which it is background.
        slots: Anchors per image in the loss.
        positive_share: Most objects among them.
        nms_iou: Proposals that overlap a better one by more are dropped.
        before_nms_train: Best anchors of each level that go into suppression, in training.
        before_nms_test: The same in evaluation.
        after_nms_train: Proposals per image, in training.
        after_nms_test: The same in evaluation.
        min_side_px: Smaller proposals are dropped.
        inside_only: Whether anchors that cross the edge of their image are left out of the loss, as in Ren et al. 2015,
            section 3.1.3; an image that no anchor lies within is used as it is.
    """

    positive_from: float = 0.7
    negative_below: float = 0.3
    slots: int = 256
    positive_share: float = 0.5
    nms_iou: float = 0.7
    before_nms_train: int = 2000
    before_nms_test: int = 1000
    after_nms_train: int = 2000
    after_nms_test: int = 1000
    min_side_px: float = 1e-3
    inside_only: bool = False

    def __post_init__(self) -> None:
        """Refuse thresholds and counts that propose nothing sensible.

        Raises:
            ConfigError: If a field is out of its range.
        """
        counts = ("slots", "before_nms_train", "before_nms_test", "after_nms_train", "after_nms_test")
        shares = ("positive_from", "negative_below", "positive_share", "nms_iou")
        check_fields(
            self, min_side_px=NOT_NEGATIVE, **dict.fromkeys(counts, AT_LEAST_ONE), **dict.fromkeys(shares, SHARE)
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProposalOutput(TensorRecord):
    """What the network said about every anchor.

    Attributes:
        anchors: The same for every image of the batch.
        objectness: Logits.
        offsets: From the anchors.
        sizes: Height and width of each image on the canvas; needed only where anchors that cross the edge are left out.
        scores: Logits of the proposals that were chosen; −inf on padding.
    """

    anchors: Float[Tensor, "num_anchors 4"]
    objectness: Float[Tensor, "batch num_anchors"]
    offsets: Float[Tensor, "batch num_anchors 4"]
    sizes: Int64[Tensor, "batch 2"] | None = None
    scores: Float[Tensor, "batch num_regions"] | None = None


class RegionProposalNetwork(nn.Module):
    """A small network slid over each map of a pyramid.

    Args:
        features: The maps it looks at, all of one depth.
        sizes: Anchor sizes in pixels for each map.
        aspect_ratios: Height over width, the same for all maps.
        settings: Thresholds and counts.

    Raises:
        ConfigError: If the maps differ in depth or the sizes do not fit the maps.

    Source:
        Ren et al. 2015 (Faster R-CNN), section 3.1, https://arxiv.org/abs/1506.01497; on a pyramid as in
        Lin et al. 2017, section 4.1.
    """

    def __init__(
        self,
        features: Sequence[FeatureSpec],
        *,
        sizes: Sequence[Sequence[float]],
        aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
        settings: ProposalSettings | None = None,
    ) -> None:
        super().__init__()
        depths = {spec.channels for spec in features}
        if len(depths) != 1 or len(sizes) != len(features) or len({len(row) for row in sizes}) != 1:
            raise ConfigError(
                "a region proposal network expects maps of one depth and equally many anchor sizes for each "
                f"map; got depths {sorted(depths)}, {len(features)} maps and sizes {list(sizes)}"
            )
        channels = depths.pop()
        self.names = tuple(spec.name for spec in features)
        self.settings = settings or ProposalSettings()
        self.priority: Callable[..., Tensor] = torch.rand
        num_anchors = len(aspect_ratios) * len(sizes[0])
        for level, row in enumerate(sizes):
            self.register_buffer(f"base_{level}", base_anchors(row, aspect_ratios), persistent=False)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.objectness = nn.Conv2d(channels, num_anchors, 1)
        self.offsets = nn.Conv2d(channels, num_anchors * 4, 1)
        for layer in (self.conv, self.objectness, self.offsets):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # these layers have a bias

    def forward(self, features: Mapping[str, Tensor], images: ImageBatch) -> tuple[ProposalOutput, Regions]:
        """Return scores and offsets of all anchors, and the best regions of each image."""
        canvas = images.pixels.shape[-2:]
        anchors, objectness, offsets = [], [], []
        for level, name in enumerate(self.names):
            hidden = functional.relu(self.conv(features[name]), inplace=True)
            rows, columns = hidden.shape[-2:]
            stride = (canvas[0] // rows, canvas[1] // columns)
            anchors.append(grid_anchors(getattr(self, f"base_{level}"), (rows, columns), stride))
            # [B, anchors, H, W] -> [B, H * W * anchors]
            objectness.append(at_least_float32(self.objectness(hidden).permute(0, 2, 3, 1).flatten(1)))
            offset = self.offsets(hidden).permute(0, 2, 3, 1).reshape(len(images), -1, 4)
            offsets.append(at_least_float32(offset))
        output = ProposalOutput(
            anchors=torch.cat(anchors),
            objectness=torch.cat(objectness, dim=1),
            offsets=torch.cat(offsets, dim=1),
            sizes=images.sizes,
        )
        with torch.autocast(images.pixels.device.type, enabled=False):  # it only adds a dispatch to each small op
            regions, scores = self.propose(output, [len(level) for level in anchors], images)
        return replace(output, scores=scores), regions

    @torch.no_grad()
    def propose(
        self, output: ProposalOutput, per_level: Sequence[int], images: ImageBatch
    ) -> tuple[Regions, Float[Tensor, "batch num_regions"]]:
        """Return the regions that survive suppression, best first, and their logits; as many slots for each image."""
        settings = self.settings
        before = settings.before_nms_train if self.training else settings.before_nms_test
        after = settings.after_nms_train if self.training else settings.after_nms_test
        batch = len(images)
        boxes, scores, groups = [], [], []
        start = 0
        for level, count in enumerate(per_level):
            part = slice(start, start + count)
            best, index = output.objectness[:, part].topk(min(before, count), dim=1)
            offsets = output.offsets[:, part].gather(1, index[..., None].expand(-1, -1, 4))
            boxes.append(decode_boxes(offsets, output.anchors[part][index]))
            scores.append(best)
            image = torch.arange(batch, device=index.device)[:, None] * len(per_level) + level
            groups.append(image.expand_as(index))
            start += count
        box = clip_boxes(torch.cat(boxes, dim=1), images.sizes)
        score = torch.cat(scores, dim=1).masked_fill(~is_larger_than(box, settings.min_side_px), -torch.inf)
        kept = kept_by_nms(
            box.flatten(0, 1),
            score.flatten(),
            torch.cat(groups, dim=1).flatten(),
            iou_above=settings.nms_iou,
            num_groups=batch * len(per_level),
        ).view_as(score)
        best, index = score.masked_fill(~kept, -torch.inf).topk(min(after, score.shape[1]), dim=1)
        valid = best > -torch.inf
        # Zeros on padding rows: whatever a network gone mad said there must not reach the second stage.
        return Regions(boxes=pick(box, index).masked_fill(~valid[..., None], 0.0), valid=valid), best

    def loss(self, output: ProposalOutput, targets: BoxTarget) -> dict[str, Tensor]:
        """Return ``objectness`` (cross-entropy) and ``proposal_box`` (smooth L1) over a sample of anchors.

        Source:
            Ren et al. 2015, eq. 1; both sums are divided by the number of sampled anchors, as in the
            authors' code; smooth L1 turns at 1/9.
        """
        settings = self.settings
        with torch.no_grad():
            wanted = targets.valid & ~targets.ignored
            counts = self._counts(output)
            iou = box_iou(targets.boxes, output.anchors)
            matches = match_by_iou(
                iou.masked_fill(~counts[:, None], 0.0) if settings.inside_only else iou,
                wanted,
                positive_from=settings.positive_from,
                negative_below=settings.negative_below,
                keep_best=True,
            )
            negative = matches.negative & ~lies_in_ignored(output.anchors, targets) & counts
            drawn = draw_balanced(
                matches.positive,
                negative,
                self.priority(negative.shape, device=negative.device),
                slots=settings.slots,
                positive_share=settings.positive_share,
            )
            anchors = output.anchors[drawn.index]  # [B, slots, 4]
            goal = encode_boxes(pick(targets.boxes, matches.object_index.gather(1, drawn.index)), anchors)
        count = drawn.valid.sum().clamp(min=1)
        objectness = functional.binary_cross_entropy_with_logits(
            output.objectness.gather(1, drawn.index), drawn.positive.float(), reduction="none"
        )
        offsets = output.offsets.gather(1, drawn.index[..., None].expand(-1, -1, 4))
        distance = functional.smooth_l1_loss(offsets, goal, beta=1 / 9, reduction="none").sum(dim=-1)
        return {
            "objectness": (objectness * drawn.valid).sum() / count,
            "proposal_box": (distance * drawn.positive).sum() / count,
        }

    def _counts(self, output: ProposalOutput) -> Bool[Tensor, "#batch num_anchors"]:
        """True for the anchors that may enter the loss."""
        if not self.settings.inside_only or output.sizes is None:
            return torch.ones_like(output.anchors[None, :, 0], dtype=torch.bool)
        anchors = output.anchors.expand(len(output.sizes), -1, -1)
        inside = (clip_boxes(anchors, output.sizes) == anchors).all(dim=-1)
        return inside | ~inside.any(dim=1, keepdim=True)


def at_least_float32(values: Tensor) -> Tensor:
    """Return half precision as float32 and the rest as it is."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def pick(boxes: Float[Tensor, "batch num_boxes 4"], index: Tensor) -> Float[Tensor, "batch picked 4"]:
    """Return the boxes at ``index`` ([batch, picked]); zeros where an image batch has no object at all."""
    if boxes.shape[1] == 0:
        return boxes.new_zeros((*index.shape, 4))
    return boxes.gather(1, index[..., None].expand(-1, -1, 4))


def lies_in_ignored(boxes: Tensor, targets: BoxTarget) -> Bool[Tensor, "batch num_boxes"]:
    """Return which boxes ([num, 4] or [batch, num, 4]) lie mostly in a crowd or a difficult object."""
    share = covered_share(boxes, targets.boxes)
    ignored = (targets.ignored & targets.valid)[:, None, :]
    return ((share > IGNORED_FROM) & ignored).any(dim=-1)
