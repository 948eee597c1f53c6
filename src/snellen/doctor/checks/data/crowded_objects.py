"""crowded-objects (D37)."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.objects import object_places
from snellen.doctor.evidence.labels import Objects
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level, Limit, Treatment

__all__ = ["CHECK"]

NMS_IOU = 0.5  # where no other is planned; the most usual setting
WARNING_SHARE = 0.05  # of the objects; of the healthy sets measured, fruit has most: 2.4 %
INFO_SHARE = 0.005
TWICE_IOU = 0.98  # more is one object, annotated twice (degenerate-boxes)
_BEFORE = "proposals."  # settings of regions before they are judged


def judge(index: DatasetIndex, objects: Objects, setup: Setup | None) -> Iterator[Finding]:
    """Yield a finding if neighbours of one class overlap so much that suppression deletes one of them."""
    inside: Mapping[str, Any] = {} if setup is None else setup.inside
    stated = inside.get(_path(inside, "nms_iou"))
    limit = float(stated) if isinstance(stated, int | float) else NMS_IOU
    counted = np.flatnonzero(~objects.is_ignored)
    if not len(counted):
        return
    lost = _suppressed(objects, counted, limit)
    share = len(lost) / len(counted)
    if share < INFO_SHARE:
        return
    yield Finding(
        level=Level.WARNING if share >= WARNING_SHARE else Level.INFO,
        numbers={"count": len(lost), "total": len(counted), "percent": round(100 * share, 1), "iou": limit},
        measured=share,
        limit=Limit(
            value=WARNING_SHARE,
            level=Level.WARNING,
            unit="share",
            source="healthy: fruit 0.024, COCO 0.006, BCCD below 0.005",
        ),
        places=object_places(index, objects, lost),
        num_places=len(lost),
        treatment=_softened(inside),
    )


def _path(inside: Mapping[str, Any], ending: str) -> str:
    """Return the path of a setting of the last suppression; empty if the model has none."""
    return next((path for path in inside if path.endswith(f".{ending}") and not path.startswith(_BEFORE)), "")


def _softened(inside: Mapping[str, Any]) -> Treatment | None:
    path = _path(inside, "suppression")
    return Treatment(settings={"model_options": {path: "soft_gaussian"}}) if path else None


def _suppressed(objects: Objects, counted: NDArray[np.int64], limit: float) -> NDArray[np.int64]:
    """Return what hard suppression of perfect detections deletes, the largest objects being kept."""
    boxes, areas = objects.boxes.astype(np.float64), objects.sides.astype(np.float64).prod(1)
    key = objects.images * (int(objects.labels.max()) + 1) + objects.labels
    order = counted[np.lexsort((-areas[counted], key[counted]))]
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    lost: list[int] = []
    for group in np.split(order, starts[1:]):
        if len(group) > 1:
            lost += _lost_of(boxes, areas, group, limit)
    return np.array(sorted(lost), np.int64)


def _lost_of(
    boxes: NDArray[np.float64], areas: NDArray[np.float64], group: NDArray[np.int64], limit: float
) -> list[int]:
    lost: list[int] = []
    left = group
    while len(left) > 1:
        first, rest = left[0], left[1:]
        shared = np.minimum(boxes[first, 2:], boxes[rest, 2:]) - np.maximum(boxes[first, :2], boxes[rest, :2])
        overlap = shared.clip(0).prod(1)
        iou = overlap / np.maximum(areas[first] + areas[rest] - overlap, 1e-9)
        lost += rest[(iou > limit) & (iou < TWICE_IOU)].tolist()
        left = rest[iou <= limit]
    return lost


CHECK = Check(
    code="D37",
    name="crowded-objects",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-089",),
    caused_by=("D6",),
    source="Bodla et al. 2017, Soft-NMS, section 1; Shao et al. 2018, CrowdHuman, table 3 (overlaps)",
    pages={
        "en": Page(
            title="neighbours that suppression deletes",
            finds="Objects of one class that overlap a neighbour by more than the threshold of non-maximum "
            "suppression.",
            matters="Suppression keeps one of two boxes that overlap by more. However good the detector is, it cannot "
            "find both: the share told here is recall that is lost for certain.",
            measured="The annotated boxes are put through hard suppression by class, largest first, at the planned "
            "threshold (0.5 if none is planned). Told from 0.5 % of the objects on, a warning from 5 %. Boxes that "
            "overlap by 0.98 or more are one object written twice and are not counted here.",
            false_alarms="Objects annotated as a whole and in parts under one name.",
            fix="Use soft suppression (--set settings.selection.suppression=soft_gaussian; of models with a single "
            "stage settings.suppression), or raise nms_iou beside it to 0.6 or 0.7 and look at what double detections "
            "that costs.",
            messages={
                "default": "{count} of {total} objects ({percent} %) overlap a neighbour of their class by more than "
                "{iou}: suppression deletes them however good the model is.",
            },
        ),
        "zh": Page(
            title="会被抑制删除的相邻目标",
            finds="与同类邻居的重叠超过非极大值抑制阈值的目标。",
            matters="两个框重叠超过阈值时，抑制只保留一个。检测器再好也不可能两个都找到：这里给出的比例是必然损失的召"
            "回率。",
            measured="让标注框按类别、从大到小通过硬抑制，使用计划的阈值（没有计划时为 0.5）。占目标 0.5 % 起提示，5 "
            "% 起警告。重叠达 0.98 以上的视为同一目标写了两次，不在此统计。",
            false_alarms="同一名称下既标注整体又标注部分的目标。",
            fix="使用软抑制（--set settings.selection.suppression=soft_gaussian；单阶段模型为 settings.suppression），"
            "或把同处的 nms_iou 提高到 0.6 或 0.7，并查看由此增加的重复检测。",
            messages={
                "default": "{total} 个目标中有 {count} 个（{percent} %）与同类邻居的重叠超过 {iou}：模型再好也会被抑制"
                "删除。",
            },
        ),
    },
)
