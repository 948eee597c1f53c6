"""What the three generations of YOLO share: cells, who answers for which object, who is not punished.

Shapes: B images, N objects of each image, R references (an anchor in a cell), K classes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from snellen.models.darknet_files import DarknetLayer
from snellen.models.detection.rpn import IGNORED_FROM, at_least_float32
from snellen.models.detection.selection import SelectionSettings
from snellen.nn import FrozenBatchNorm, Norm
from snellen.ops import box_centers_sizes, box_iou, boxes_from_centers_sizes, covered_share
from snellen.ops.coding import MAX_LOG_SCALE
from snellen.ops.constants import constant_on
from snellen.structures import BoxTarget, TensorRecord

__all__ = [
    "START_STD",
    "YOLO_SELECTION",
    "Assigned",
    "GridOutput",
    "all_labels",
    "area_sorted",
    "assign_by_shape",
    "at_slots",
    "direct_boxes",
    "grid_output",
    "is_excused",
    "norm_of_head",
    "shape_iou",
    "start_verdicts",
    "verdict_layer",
    "winners",
]

# As darknet's validation of detectors: score 0.005, suppression at IoU 0.45. The limit before suppression is ours: an
# untrained net passes every pair of a box and a class.
YOLO_SELECTION = SelectionSettings(score_above=0.005, nms_iou=0.45, before_nms=1000)

START_STD = 0.01  # of the last layer's weights: verdicts start near zero
_MIN_SIDE_PX = 1e-6  # padding rows have no size, and their logarithm must be finite
_OBJECTS_AT_ONCE = 32  # bounds the memory of all overlaps; images with more objects are rare


def norm_of_head(norm: Norm | None) -> Norm | None:
    """Return the norm for layers that start from random weights: frozen statistics would only switch it off."""
    return nn.BatchNorm2d if norm is FrozenBatchNorm else norm


def area_sorted(anchors: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return anchors (width, height) from the smallest to the largest."""
    return sorted(anchors, key=lambda anchor: anchor[0] * anchor[1])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GridOutput(TensorRecord):
    """What a network with anchors said in every cell: levels, then rows, then columns, then anchors.

    Attributes:
        offsets: tx, ty, tw, th as they leave the network.
        objectness: Logits.
        class_logits: One for each class.
        corners: Left top corner (x, y) of the reference's cell in pixels.
        steps: Side of the cell in pixels.
        priors: Width and height of the anchor in pixels.
        grids: Rows and columns of each level.
        sizes: Height and width of each image on the canvas.
    """

    offsets: Float[Tensor, "batch references 4"]
    objectness: Float[Tensor, "batch references"]
    class_logits: Float[Tensor, "batch references num_classes"]
    corners: Float[Tensor, "references 2"]
    steps: Float[Tensor, " references"]
    priors: Float[Tensor, "references 2"]
    grids: tuple[tuple[int, int], ...]
    sizes: Int64[Tensor, "batch 2"]


def grid_output(
    maps: Sequence[Float[Tensor, "batch _ _ _"]],
    anchors: Float[Tensor, "levels per_level 2"],
    strides: Sequence[int],
    sizes: Int64[Tensor, "batch 2"],
) -> GridOutput:
    """Return the verdicts of all levels in one list, in float32 whatever the network computed in.

    Args:
        maps: Of each level; channels are, for each anchor, tx, ty, tw, th, objectness, classes, as in darknet.
        anchors: Width and height in pixels.
        strides: Of the levels in pixels.
        sizes: Height and width of each image on the canvas.
    """
    verdicts, corners, steps, priors = [], [], [], []
    per_level = anchors.shape[1]
    for level, x in enumerate(maps):
        batch, _, rows, columns = x.shape
        # [B, anchors * (5 + K), H, W] -> [B, H * W * anchors, 5 + K]
        verdict = at_least_float32(x).reshape(batch, per_level, -1, rows, columns).permute(0, 3, 4, 1, 2)
        verdicts.append(verdict.reshape(batch, rows * columns * per_level, -1))
        y_px = torch.arange(rows, device=x.device, dtype=anchors.dtype) * strides[level]
        x_px = torch.arange(columns, device=x.device, dtype=anchors.dtype) * strides[level]
        corner = torch.stack([x_px.expand(rows, columns), y_px[:, None].expand(rows, columns)], dim=-1)
        corners.append(corner[:, :, None].expand(-1, -1, per_level, -1).reshape(-1, 2))
        steps.append(corner.new_full((rows * columns * per_level,), strides[level]))
        priors.append(anchors[level].expand(rows * columns, per_level, 2).reshape(-1, 2))
    joined = torch.cat(verdicts, dim=1)
    return GridOutput(
        offsets=joined[..., :4],
        objectness=joined[..., 4],
        class_logits=joined[..., 5:],
        corners=torch.cat(corners),
        steps=torch.cat(steps),
        priors=torch.cat(priors),
        grids=tuple((x.shape[2], x.shape[3]) for x in maps),
        sizes=sizes,
    )


def direct_boxes(
    offsets: Float[Tensor, "*batch 4"],
    corners: Float[Tensor, "*batch 2"],
    steps: Float[Tensor, "*batch"],
    priors: Float[Tensor, "*batch 2"],
) -> Float[Tensor, "*batch 4"]:
    """Boxes whose centre lies in the cell whatever the network says: bx = σ(tx) + cx, bw = pw · exp(tw).

    Source:
        Redmon and Farhadi 2017 (YOLO9000), section 2, "Direct location prediction", https://arxiv.org/abs/1612.08242.
        Differs: the exponent is cut at ``MAX_LOG_SCALE``, so that it cannot overflow.
    """
    centers = corners + offsets[..., :2].sigmoid() * steps[..., None]
    sides = priors * offsets[..., 2:].clamp(max=MAX_LOG_SCALE).exp()
    return boxes_from_centers_sizes(centers, sides)


def shape_iou(
    sides: Float[Tensor, "*batch 2"], anchors: Float[Tensor, "num_anchors 2"]
) -> Float[Tensor, "*batch num_anchors"]:
    """Overlap of boxes and anchors (width, height) laid on one centre."""
    shared = torch.minimum(sides[..., None, :], anchors).prod(dim=-1)
    union = sides.prod(dim=-1, keepdim=True) + anchors.prod(dim=-1) - shared
    return shared / union.clamp(min=torch.finfo(union.dtype).tiny)


def winners(
    slot: Int64[Tensor, "batch num_boxes"],
    wanted: Bool[Tensor, "batch num_boxes"],
    num_slots: int,
    *,
    first: bool = False,
) -> Int64[Tensor, "batch num_slots"]:
    """Return which object each slot answers for, −1 for none.

    Args:
        slot: Of each object.
        wanted: False for objects that count for nothing.
        num_slots: How many there are.
        first: Whether the first of the objects that fall into a slot has it, or the last one.
    """
    count = slot.shape[1]
    rank = torch.arange(1, count + 1, device=slot.device)
    rank = rank.flip(0) if first else rank
    best = slot.new_zeros(len(slot), num_slots).scatter_reduce(1, slot, rank * wanted, "amax")
    return torch.where(best > 0, count - best, -1) if first else best - 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assigned(TensorRecord):
    """Which reference answers for which object.

    Attributes:
        slot: Of each object, among the references.
        owner: The object whose box the reference of each object learns: itself, or a later one that took the place.
        is_owner: Whether that is the object itself.
        is_wanted: False for padding and ignored objects.
        responsible: The references that answer for an object.
        goal: What the offsets of each object's reference should be: the place of the centre within the cell, in
            cells, and the logarithms of the sides over the anchor's.
        size_weight: 2 − w·h with the sides as shares of the canvas: small boxes count up to twice.
    """

    slot: Int64[Tensor, "batch num_boxes"]
    owner: Int64[Tensor, "batch num_boxes"]
    is_owner: Bool[Tensor, "batch num_boxes"]
    is_wanted: Bool[Tensor, "batch num_boxes"]
    responsible: Bool[Tensor, "batch references"]
    goal: Float[Tensor, "batch num_boxes 4"]
    size_weight: Float[Tensor, "batch num_boxes"]


@torch.no_grad()
def assign_by_shape(
    output: GridOutput, targets: BoxTarget, anchors: Float[Tensor, "levels per_level 2"], strides: Sequence[int]
) -> Assigned:
    """Give each object to the anchor of the most similar shape, over all levels, in the cell of its centre.

    If two objects meet in one reference, the later one has it, as in darknet. A centre on the right or the bottom edge
    of the canvas belongs to the last cell.

    Source:
        Redmon and Farhadi 2017, section 2, and Redmon and Farhadi 2018, section 2.1,
        https://arxiv.org/abs/1804.02767; darknet ``region_layer.c`` (``bias_match=1``) and ``yolo_layer.c``.
    """
    device, dtype = targets.boxes.device, targets.boxes.dtype
    per_level = anchors.shape[1]
    centers, sides = box_centers_sizes(targets.boxes)
    best = shape_iou(sides, anchors.flatten(0, 1)).argmax(dim=-1)
    level = best // per_level
    starts = [0]
    for rows, columns in output.grids:
        starts.append(starts[-1] + rows * columns * per_level)
    start = constant_on(device, starts[:-1], torch.long)[level]
    grid = constant_on(device, [side for rows, columns in output.grids for side in (columns, rows)], torch.long)
    grid = grid.view(-1, 2)[level]  # columns, rows
    step = constant_on(device, [float(stride) for stride in strides], dtype)[level, None]
    cell = torch.minimum((centers / step).floor().long().clamp(min=0), grid - 1)
    slot = start + (cell[..., 1] * grid[..., 0] + cell[..., 0]) * per_level + best % per_level
    wanted = targets.valid & ~targets.ignored
    owner = winners(slot, wanted, starts[-1])
    number = torch.arange(slot.shape[1], device=device).expand_as(slot)
    prior = anchors.flatten(0, 1)[best]
    canvas = constant_on(device, [side * strides[0] for side in output.grids[0]], dtype).prod()
    owner_of_object = owner.gather(1, slot)
    return Assigned(
        slot=slot,
        owner=owner_of_object.clamp(min=0),
        is_owner=wanted & (owner_of_object == number),
        is_wanted=wanted,
        responsible=owner >= 0,
        goal=torch.cat([(centers / step - cell).clamp(0, 1), (sides.clamp(min=_MIN_SIDE_PX) / prior).log()], dim=-1),
        size_weight=2 - sides.prod(dim=-1) / canvas,
    )


@torch.no_grad()
def is_excused(
    predicted: Float[Tensor, "batch references 4"], targets: BoxTarget, *, iou_above: float
) -> Bool[Tensor, "batch references"]:
    """True for predictions that may claim an object although they do not answer for one.

    That is, those that overlap some object by more than ``iou_above``, and those that lie mostly in an ignored one.
    """
    excused = torch.zeros_like(predicted[..., 0], dtype=torch.bool)
    for start in range(0, targets.boxes.shape[1], _OBJECTS_AT_ONCE):
        part = slice(start, start + _OBJECTS_AT_ONCE)
        boxes, valid = targets.boxes[:, part], targets.valid[:, None, part]
        excused |= ((box_iou(predicted, boxes) > iou_above) & valid).any(dim=-1)
        ignored = targets.ignored[:, None, part] & valid
        excused |= ((covered_share(predicted, boxes) > IGNORED_FROM) & ignored).any(dim=-1)
    return excused


def at_slots(
    values: Float[Tensor, "batch references _"], slot: Int64[Tensor, "batch num_boxes"]
) -> Float[Tensor, "batch num_boxes _"]:
    """Return the row of ``values`` at each object's slot."""
    return values.gather(1, slot[..., None].expand(-1, -1, values.shape[-1]))


def start_verdicts(conv: nn.Conv2d, per_level: int, *, objectness: float) -> None:
    """Set the last convolution of a level so that boxes start on their anchors and objectness at a given value.

    Args:
        conv: Its channels are, for each anchor, tx, ty, tw, th, objectness, classes.
        per_level: Anchors of each cell.
        objectness: 0..1.
    """
    nn.init.normal_(conv.weight, std=START_STD)
    bias = torch.zeros(per_level, conv.out_channels // per_level)
    bias[:, 4] = math.log(objectness / (1 - objectness))
    with torch.no_grad():
        conv.bias.copy_(bias.flatten())  # type: ignore[union-attr]  # it has a bias


def verdict_layer(name: str, conv: nn.Conv2d, anchors: Float[Tensor, "levels per_level 2"]) -> DarknetLayer:
    """Return the last convolution of a level as darknet's files have it."""
    return DarknetLayer(name=name, shape=tuple(conv.weight.shape), outputs_per_class=anchors.shape[1])


def all_labels(targets: BoxTarget, who: Assigned, logits: Tensor) -> Float[Tensor, "batch num_boxes num_classes"]:
    """Return the classes of all objects that share the reference of an object, in the row of the one that owns it."""
    batch, num_boxes, num_classes = logits.shape
    place = who.owner * num_classes + targets.labels
    empty = logits.new_zeros(batch, num_boxes * num_classes)
    right = empty.scatter_reduce(1, place, who.is_wanted.to(logits.dtype), "amax")
    return right.view(batch, num_boxes, num_classes)
