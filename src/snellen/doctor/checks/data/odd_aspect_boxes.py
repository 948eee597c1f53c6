"""odd-aspect-boxes (D39)."""

from collections.abc import Iterator

import numpy as np

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.objects import object_places
from snellen.doctor.evidence.labels import Objects
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level, Limit

__all__ = ["CHECK"]

LONG_RATIO = 4.0  # long side over short side; anchors and default boxes reach 2 or 3
INFO_SHARE = 0.05  # of the objects; COCO has 6 %, VOC 3 %
WARNING_SHARE = 0.20  # where the model has two boxes per cell, or warps crops to a square


def judge(index: DatasetIndex, objects: Objects, setup: Setup | None) -> Iterator[Finding]:
    """Yield a finding if many boxes are long and thin."""
    sides = np.maximum(objects.sides, 1e-3)
    ratios = sides.max(1) / sides.min(1)
    long = np.flatnonzero((ratios > LONG_RATIO) & ~objects.is_ignored)
    number = int((~objects.is_ignored).sum())
    share = len(long) / max(1, number)
    if share < INFO_SHARE:
        return
    is_rigid = setup is not None and (setup.grid is not None or bool(setup.options.get("proposals")))
    is_warning = share >= WARNING_SHARE and is_rigid
    yield Finding(
        level=Level.WARNING if is_warning else Level.INFO,
        message="rigid" if is_warning else "default",
        numbers={"count": len(long), "total": number, "percent": round(100 * share), "ratio": LONG_RATIO,
                 "longest": round(float(ratios[long].max()), 1)},
        measured=share,
        limit=Limit(value=WARNING_SHARE if is_warning else INFO_SHARE, unit="share", source="COCO has 0.06, VOC 0.03"),
        places=object_places(index, objects, long, ratios[long], lambda place: f"{ratios[long[place]]:.1f} : 1"),
        num_places=len(long),
    )  # fmt: skip


CHECK = Check(
    code="D39",
    name="odd-aspect-boxes",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-094", "DX-098"),
    caused_by=("D6",),
    source="Redmon et al. 2016, You Only Look Once, section 2.4; Girshick et al. 2014, R-CNN, appendix A (warping)",
    pages={
        "en": Page(
            title="long and thin boxes",
            finds="Data with many boxes that are more than four times as long as they are wide.",
            matters="Anchors and default boxes reach ratios of 2 or 3; a grid with two boxes per cell has seen few "
            "shapes; crops that are warped to a square are distorted. Such objects are missed, or taken for others.",
            measured="Long side over short side of each box. Told if 5 % of the boxes have more than 4; a warning if "
            "20 % do and the planned model has two boxes per cell or warps crops.",
            false_alarms="Models without anchors, or with anchors made from the data, can well learn such shapes; "
            "anchors-miss-boxes (M14) says whether the planned ones fit.",
            fix="Make anchors from the data, add ratios of 1:4 and more, use a detector with several maps; cut long "
            "objects into parts where that makes sense.",
            messages={
                "default": "{count} of {total} boxes ({percent} %) are more than {ratio} times as long as wide; the "
                "longest {longest} times.",
                "rigid": "{count} of {total} boxes ({percent} %) are more than {ratio} times as long as wide, which "
                "this model has no shapes for.",
            },
        ),
        "zh": Page(
            title="细长的框",
            finds="许多框的长度超过宽度四倍的数据。",
            matters="锚框和默认框的比例只到 2 或 3；每格两个框的网格见过的形状很少；拉伸成正方形的裁剪会变形。这样的目"
            "标会被漏掉或误认。",
            measured="每个框的长边与短边之比。5 % 的框超过 4 时提示；20 % 超过且计划的模型每格只有两个框或会拉伸裁剪时"
            "警告。",
            false_alarms="没有锚框、或锚框由数据得出的模型完全能学会这些形状；anchors-miss-boxes（M14）会说明计划的锚"
            "框是否合适。",
            fix="由数据得出锚框、加入 1:4 及更大的比例、使用多尺度特征图的检测器；在合理时把长目标切成几段。",
            messages={
                "default": "{total} 个框中有 {count} 个（{percent} %）长宽比超过 {ratio}；最长的为 {longest}。",
                "rigid": "{total} 个框中有 {count} 个（{percent} %）长宽比超过 {ratio}，该模型没有这样的形状。",
            },
        ),
    },
)
