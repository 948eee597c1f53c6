"""anchors-miss-boxes (M14)."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.objects import object_places
from snellen.doctor.evidence.labels import Objects
from snellen.doctor.evidence.resized import ResizedObjects
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level, Limit, Treatment
from snellen.doctor.words import Text
from snellen.errors import ConfigError
from snellen.models import builder_options, find_model
from snellen.ops import kmeans_anchors

__all__ = ["CHECK"]

LEAST_RECALL = 0.98  # best possible recall below which YOLOv5's autoanchor makes new anchors
MOST_RATIO = 4.0  # of the sides of a box and an anchor; YOLOv5's anchor_t
MOST_BOXES = 4_000  # that new anchors are made from


def judge(index: DatasetIndex, objects: Objects, resized: ResizedObjects, setup: Setup) -> Iterator[Finding]:
    """Yield a finding if there are boxes that no anchor is like."""
    if setup.anchors is None or not len(setup.anchors):
        raise NotCheckable(Text(en="the model has no anchors", zh="模型没有锚框"))
    worst = _worst_ratios(resized.sides, setup.anchors)
    missed = np.flatnonzero(worst >= MOST_RATIO)
    recall = 1 - len(missed) / len(resized)
    if recall >= LEAST_RECALL:
        return
    fitting = _fitting(resized.sides, len(setup.anchors))
    better = float((_worst_ratios(resized.sides, fitting) < MOST_RATIO).mean())
    yield Finding(
        level=Level.WARNING,
        numbers={"count": len(missed), "total": len(resized), "percent": round(100 * recall, 1),
                 "better": round(100 * better, 1), "anchors": len(setup.anchors),
                 "fitting": ", ".join(f"{width:.0f} x {height:.0f}" for width, height in fitting[:9].tolist())},
        measured=recall,
        limit=Limit(value=LEAST_RECALL, unit="share", source="YOLOv5, utils/autoanchor.py"),
        places=object_places(index, objects, resized.rows[missed], worst[missed],
                             lambda place: f"{worst[missed[place]]:.1f}"),
        num_places=len(missed),
        treatment=_treatment(setup, fitting),
    )  # fmt: skip


def _worst_ratios(sides: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Return how far each box is from the anchor that it is most like: the larger ratio of widths and heights."""
    best = np.full(len(sides), np.inf)
    for anchor in np.maximum(np.asarray(anchors, np.float64), 1e-3):
        ratio = np.maximum(sides, 1e-3) / anchor
        best = np.minimum(best, np.maximum(ratio, 1 / ratio).max(1))
    return best


def _fitting(sides: np.ndarray, number: int) -> np.ndarray:
    """Return as many anchors as there are, made from the boxes by k-means."""
    chosen = np.random.default_rng(0).permutation(len(sides))[:MOST_BOXES]
    found = kmeans_anchors(torch.from_numpy(np.maximum(sides[chosen], 1e-3)), number, seed=0)
    return np.asarray(found.numpy(), np.float64)


def _treatment(setup: Setup, fitting: np.ndarray) -> Treatment | None:
    """Return the new anchors as options of the model, where its builder takes any."""
    try:
        options: Mapping[str, Any] = builder_options(find_model(setup.model or ""))
    except ConfigError:
        return None
    if "anchors" not in options:
        return None
    anchors = tuple((round(width, 1), round(height, 1)) for width, height in fitting.tolist())
    return Treatment(settings={"model_options": {"anchors": anchors}})


CHECK = Check(
    code="M14",
    name="anchors-miss-boxes",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-093", "DX-094"),
    caused_by=("D6",),
    source="YOLOv5, utils/autoanchor.py (best possible recall); Redmon and Farhadi 2017, YOLO9000, section 2",
    pages={
        "en": Page(
            title="boxes that no anchor is like",
            finds="Training boxes, at the planned size of the images, whose width or height is more than four times "
            "larger or smaller than those of every anchor.",
            matters="A box is learned by the anchors that are like it. One that none is like is forced onto one that "
            "does not fit, or is never a positive example, and objects of its size and shape are missed.",
            measured="Best possible recall: share of the training boxes for which some anchor is within a ratio of 4 "
            "in width and in height. Below 98 % is a warning, as in YOLOv5's autoanchor, which makes new anchors then.",
            false_alarms="Detectors that assign by something else than the shape of the anchors.",
            fix="Make anchors from the data by k-means (models that take anchors do so by themselves when none are "
            "given), change the size of the images, or add scales and ratios.",
            messages={
                "default": "{count} of {total} training boxes are like none of the {anchors} anchors: the best "
                "possible recall is {percent} %. Anchors from the data would reach {better} %: {fitting}.",
            },
        ),
        "zh": Page(
            title="没有锚框与之相近的框",
            finds="按计划的图像尺寸，宽或高与每个锚框都相差四倍以上的训练框。",
            matters="框由与之相近的锚框来学习。没有相近锚框的框被迫分给不合适的锚框，或从不成为正样本，"
            "这种大小和形状的目标便被漏掉。",
            measured="最佳可能召回率：宽和高与某个锚框之比都在 4 以内的训练框所占比例。低于 98 % 为警告，"
            "与 YOLOv5 的 autoanchor 一致，后者此时会生成新的锚框。",
            false_alarms="不按锚框形状分配样本的检测器。",
            fix="用 k 均值由数据得出锚框（接受锚框的模型在没有指定时会自行这样做）、改变图像尺寸，或增加尺度和比例。",
            messages={
                "default": "{total} 个训练框中有 {count} 个与 {anchors} 个锚框都不相近：最佳可能召回率为 {percent} %。"
                "由数据得出的锚框可达 {better} %：{fitting}。",
            },
        ),
    },
)
