"""Reference boxes from the data or from a table: clustered anchor sizes, how good they are, SSD's default boxes."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from snellen.errors import InputError

__all__ = ["best_possible_recall", "default_boxes", "kmeans_anchors", "mean_best_iou", "sides_iou"]

_MOST_ROUNDS = 300  # rounds of Lloyd's algorithm; VOC's 40,000 boxes settle in about 50


def sides_iou(
    first: Float[Tensor, "*batch num_first 2"], second: Float[Tensor, "*batch num_second 2"]
) -> Float[Tensor, "*batch num_first num_second"]:
    """Intersection over union of every pair of (width, height), as if both had the same centre.

    Source:
        Redmon and Farhadi 2017 (YOLO9000), section 2 (dimension clusters), https://arxiv.org/abs/1612.08242.
    """
    shared = torch.minimum(first[..., :, None, :], second[..., None, :, :]).prod(dim=-1)
    union = first.prod(dim=-1)[..., :, None] + second.prod(dim=-1)[..., None, :] - shared
    return shared / union.clamp(min=torch.finfo(union.dtype).tiny)


def mean_best_iou(sides: Float[Tensor, "num 2"], anchors: Float[Tensor, "num_anchors 2"]) -> Float[Tensor, ""]:
    """Mean over the boxes of the overlap with the anchor that fits best; NaN without boxes.

    Args:
        sides: Width and height of each box.
        anchors: Width and height of each anchor, in the same unit.

    Source:
        Redmon and Farhadi 2017, table 1 ("Avg IOU").
    """
    return sides_iou(sides, anchors).amax(dim=1).mean()


def best_possible_recall(
    sides: Float[Tensor, "num 2"], anchors: Float[Tensor, "num_anchors 2"], *, iou_from: float
) -> Float[Tensor, ""]:
    """Share of the boxes that some anchor would match if it lay in the right place; NaN without boxes.

    Args:
        sides: Width and height of each box.
        anchors: Width and height of each anchor, in the same unit.
        iou_from: Overlap from which an anchor matches.

    Source:
        The "best possible recall" of ultralytics/yolov5's autoanchor. Differs: by overlap, not by the ratio of
        the sides.
    """
    return (sides_iou(sides, anchors).amax(dim=1) >= iou_from).to(sides.dtype).mean()


def kmeans_anchors(
    sides: Float[Tensor, "num 2"],
    k: int,
    *,
    seed: int,
    update: Literal["median", "mean"] = "median",
    restarts: int = 10,
) -> Float[Tensor, "k 2"]:
    """Anchor sizes that fit the boxes: k-means under the distance 1 − IoU.

    Each run starts from k different boxes at random. The sizes with the highest mean best IoU of all rounds of
    all runs are returned, because neither update is the minimiser of this distance and a round may lose a
    little. A cluster that lost all its boxes goes to the box that is served worst.

    Args:
        sides: Width and height of each box, above 0, in the unit in which anchors are wanted.
        k: How many anchors.
        seed: The same seed gives the same anchors.
        update: A cluster moves to the median or to the mean of its widths and heights. The median is usually
            better under this distance, and large boxes do not drag it.
        restarts: Runs from different starts.

    Returns:
        Width and height, smallest area first. With fewer different sizes than ``k``, these sizes repeat.

    Raises:
        InputError: If there is no box, a side is not positive and finite, or an option is impossible.

    Source:
        Redmon and Farhadi 2017 (YOLO9000), section 2 (dimension clusters). Differs: restarts, the choice of
        the median, and the best round instead of the last.
    """
    _check(sides, k, update, restarts)
    points = sides.double()
    distinct: Tensor = torch.unique(points, dim=0)
    if len(distinct) <= k:
        best = distinct.repeat(-(-k // len(distinct)), 1)[:k]
    else:
        generator = torch.Generator().manual_seed(seed)
        found = []
        for _ in range(restarts):
            start = distinct[torch.randperm(len(distinct), generator=generator)[:k].to(distinct.device)]
            found.append(_lloyd(points, start, update=update))
        best = max(found, key=lambda run: run[0])[1]
    return best[best.prod(dim=1).argsort(stable=True)].to(sides.dtype)


def _check(sides: Tensor, k: int, update: str, restarts: int) -> None:
    if len(sides) == 0 or not bool(((sides > 0) & sides.isfinite()).all()):
        bad = int((~((sides > 0) & sides.isfinite())).any(dim=1).sum())
        raise InputError(
            f"kmeans_anchors expects boxes with sides above 0; got {len(sides)} boxes, {bad} of them without area or "
            "not finite; leave such boxes out"
        )
    if k < 1 or restarts < 1 or update not in ("median", "mean"):
        raise InputError(
            "kmeans_anchors expects k and restarts from 1 and update 'median' or 'mean'; "
            f"got k={k}, restarts={restarts}, update={update!r}; correct the options"
        )


def _lloyd(points: Tensor, anchors: Tensor, *, update: str) -> tuple[float, Tensor]:
    """Alternate assignment and update until nothing changes.

    Returns:
        The highest mean best IoU of any round, and the anchors that gave it.
    """
    best = (-1.0, anchors)
    before = None
    for _ in range(_MOST_ROUNDS):
        overlap, cluster = sides_iou(points, anchors).max(dim=1)
        score = float(overlap.mean())
        if score > best[0]:
            best = (score, anchors)
        if before is not None and torch.equal(cluster, before):
            break
        before = cluster
        anchors = _moved(points, cluster, overlap, anchors, update=update)
    return best


def _moved(
    points: Float[Tensor, "num 2"],
    cluster: Int64[Tensor, " num"],
    overlap: Float[Tensor, " num"],
    anchors: Float[Tensor, "k 2"],
    *,
    update: str,
) -> Float[Tensor, "k 2"]:
    moved = anchors.clone()
    count = torch.bincount(cluster, minlength=len(anchors))
    worst = iter(overlap.argsort(stable=True).tolist())
    for index, size in enumerate(count.tolist()):
        if size == 0:
            moved[index] = points[next(worst)]
        elif update == "mean":
            moved[index] = points[cluster == index].mean(dim=0)
        else:
            ordered = points[cluster == index].sort(dim=0).values
            moved[index] = (ordered[(size - 1) // 2] + ordered[size // 2]) / 2
    return moved


def default_boxes(
    grids: Sequence[tuple[int, int]],
    scales: Sequence[float],
    aspect_ratios: Sequence[Sequence[float]],
    *,
    canvas: tuple[int, int],
    steps: Sequence[float] | None = None,
    clip: bool = True,
) -> Float[Tensor, "num_boxes 4"]:
    """SSD's default boxes: at each cell of each map, boxes of one scale and several shapes.

    A cell has, in this order: a square of scale s_k, a square of scale sqrt(s_k s_{k+1}), and for each aspect
    ratio a lying and a standing box of scale s_k.

    Args:
        grids: Rows and columns of each map.
        scales: Scale of each map as a share of the canvas's sides, and one more for the last map's second
            square.
        aspect_ratios: Of each map, above 1, without the square.
        canvas: Height and width of the image in pixels.
        steps: Pixels from cell to cell of each map; ``None`` divides the canvas evenly.
        clip: Cut sides at those of the canvas. Boxes still reach over its edges.

    Returns:
        Boxes in pixels: map by map, rows first, the boxes of a cell next to each other.

    Raises:
        InputError: If the lists do not fit together.

    Source:
        Liu et al. 2016 (SSD), section 2.2 (choosing scales and aspect ratios for default boxes),
        https://arxiv.org/abs/1512.02325; ``steps`` and the order as in the authors' code and torchvision.
    """
    if len(scales) != len(grids) + 1 or len(aspect_ratios) != len(grids) or len(steps or grids) != len(grids):
        raise InputError(
            "default_boxes expects aspect ratios and a step for each map and one scale more than maps; got "
            f"{len(grids)} maps, {len(scales)} scales, {len(aspect_ratios)} rows of aspect ratios and steps {steps}; "
            "repeat the last scale or correct the table"
        )
    height, width = canvas
    boxes = []
    for level, (rows, columns) in enumerate(grids):
        shares = _shapes(scales[level], scales[level + 1], aspect_ratios[level])
        if clip:
            shares = shares.clamp(max=1)
        down, right = (steps[level], steps[level]) if steps else (height / rows, width / columns)
        y = (torch.arange(rows, dtype=torch.float64) + 0.5) * down
        x = (torch.arange(columns, dtype=torch.float64) + 0.5) * right
        center = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1).view(-1, 1, 2)
        side = shares * torch.tensor([width, height], dtype=torch.float64)
        half = side / 2
        boxes.append(torch.cat([center - half, center + half], dim=-1).reshape(-1, 4))  # from [cells, shapes, 4]
    return torch.cat(boxes).float() if boxes else torch.zeros(0, 4)


def _shapes(scale: float, next_scale: float, ratios: Sequence[float]) -> Tensor:
    """Width and height of the boxes of one cell, as shares of the canvas: [shapes, 2]."""
    middle = math.sqrt(scale * next_scale)
    shapes = [(scale, scale), (middle, middle)]
    for ratio in ratios:
        long, short = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
        shapes += [(long, short), (short, long)]
    return torch.tensor(shapes, dtype=torch.float64)
