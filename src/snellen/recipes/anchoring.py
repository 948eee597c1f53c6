"""Anchors from the boxes of a data set."""

import numpy as np
import torch

from snellen.data import BoxTable, DatasetIndex
from snellen.data.transforms import max_side_of, short_side_size
from snellen.errors import DatasetError
from snellen.ops import best_possible_recall, kmeans_anchors, mean_best_iou
from snellen.recipes.planning import Plan

__all__ = ["anchors_for"]


def anchors_for(index: DatasetIndex, plan: Plan) -> tuple[list[tuple[float, float]], str]:
    """Return anchors (width, height) in pixels at the training size, by k-means over the training boxes.

    The second result says how well they fit.

    Raises:
        DatasetError: If no training image has a box.
    """
    sides = _training_sides(index.split("train"), plan)
    if not len(sides):
        raise DatasetError("expected training images with boxes to make anchors from; none has one.", file=index.root)
    anchors = kmeans_anchors(sides, plan.model.num_anchors, seed=plan.settings.seed)
    fit = float(mean_best_iou(sides, anchors))
    reached = float(best_possible_recall(sides, anchors, iou_from=0.5))
    reason = (
        f"k-means over {len(sides):,} boxes: mean best IoU {fit:.3f}, best possible recall at IoU 0.5 {reached:.3f}"
    )
    return [(round(width, 1), round(height, 1)) for width, height in anchors.tolist()], reason


def _training_sides(part: DatasetIndex, plan: Plan) -> torch.Tensor:
    """Width and height of every training box as the network will see it: [n, 2]."""
    table = part.annotations
    if not isinstance(table, BoxTable):
        return torch.zeros(0, 2)
    scales = np.array([_scale((int(height), int(width)), plan) for height, width in part.sizes])
    per_box = np.repeat(scales, np.diff(table.offsets), axis=0)
    sides = (table.boxes[:, 2:] - table.boxes[:, :2]) * per_box
    return torch.from_numpy(sides[(sides > 0).all(axis=1)].astype(np.float32))


def _scale(size: tuple[int, int], plan: Plan) -> tuple[float, float]:
    """Return by how much widths and heights change when an image of ``size`` is resized."""
    side = plan.image_size
    if plan.model.resize == "square":
        return side / size[1], side / size[0]
    most = side if plan.model.resize == "letterbox" else max_side_of(side)
    height, width = short_side_size(size, short_side=side, max_side=most)
    return width / size[1], height / size[0]
