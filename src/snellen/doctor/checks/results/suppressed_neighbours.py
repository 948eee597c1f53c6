"""suppressed-neighbours (R17)."""

from collections.abc import Iterator

import numpy as np
from scipy import stats

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.predictions import changed, judged_places, need, share
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.evidence.results.objects import DetectedObjects, WantedObjects
from snellen.doctor.finding import Finding, Level, Limit

__all__ = ["CHECK"]

NMS_IOU = 0.5  # where the model does not tell its own; the most usual setting
LEAST_TRUTHS = 30
LEAST_LOST = 5  # objects
WARNING_SHARE = 0.03  # of the objects; crowded sets lose 10 % and more, COCO 0.6 % (D37)
INFO_SHARE = 0.01
SURE = 0.01  # p-value of objects in the shadow being missed no more often than others


def judge(run: EvaluatedRun, detected: DetectedObjects, wanted: WantedObjects) -> Iterator[Finding]:
    """Yield a finding if objects are missed of which suppression would delete the box."""
    need(len(wanted.found), LEAST_TRUTHS, "objects", "个目标")
    kind, stated = run.option("suppression"), run.option("nms_iou")
    if kind is not None and kind[1] != "nms":
        return
    limit = float(stated[1]) if stated is not None and isinstance(stated[1], float) else NMS_IOU
    shadowed = wanted.shadow > limit
    lost = np.flatnonzero(shadowed & ~wanted.found)
    part = len(lost) / len(wanted.found)
    if len(lost) < LEAST_LOST or part < INFO_SHARE:
        return
    table = [[len(lost), int((shadowed & wanted.found).sum())],
             [int((~shadowed & ~wanted.found).sum()), int((~shadowed & wanted.found).sum())]]  # fmt: skip
    if float(stats.fisher_exact(table, alternative="greater").pvalue) > SURE:
        return  # others are missed as often: it is not the neighbour
    places, num_places = judged_places(run, detected.rows[wanted.images[lost]], boxes=wanted.boxes[lost])
    yield Finding(
        level=Level.WARNING if part >= WARNING_SHARE else Level.INFO,
        numbers={
            "count": len(lost),
            "total": len(wanted.found),
            "percent": share(part),
            "iou": f"{limit:g}",
            "missed": share(len(lost) / max(int(shadowed.sum()), 1)),
            "other": share(float((~wanted.found[~shadowed]).mean()) if (~shadowed).any() else 0.0),
        },
        measured=part,
        limit=Limit(
            value=WARNING_SHARE,
            level=Level.WARNING,
            unit="share",
            source="Bodla et al. 2017; crowded and usual data sets (D37)",
        ),
        places=places,
        num_places=num_places,
        treatment=changed(run, "suppression", "soft_gaussian"),
    )


CHECK = Check(
    code="R17",
    name="suppressed-neighbours",
    stage=Stage.RESULTS,
    judge=judge,
    covers=("DX-089",),
    source="Bodla et al. 2017, Soft-NMS, section 1, https://arxiv.org/abs/1704.04503",
    caused_by=("R22",),
    pages={
        "en": Page(
            title="neighbours that suppression deletes",
            finds="Objects that are missed because a detection of their neighbour overlaps them by more than the "
            "threshold of suppression.",
            matters="However sure the model is of such an object, its box is deleted as a duplicate of the "
            "neighbour's. No training mends that.",
            measured="Of each missed object, the largest overlap with a detection that found another object of its "
            "class. Above the threshold a perfect box would be deleted. Told from 1 % of the objects (5 at least), a "
            "warning from 3 %, if objects in such a shadow are missed more often than others (Fisher's exact test, "
            "0.01).",
            false_alarms="Objects that are hidden by their neighbour so far that nobody could find them.",
            fix="Soft suppression lowers scores instead of deleting (--set "
            "settings.selection.suppression=soft_gaussian); or raise settings.selection.nms_iou and look at what "
            "duplicates that costs. Neither needs a training.",
            messages={
                "default": "{count} of {total} objects ({percent}) are missed and overlap a found neighbour by more "
                "than {iou}, where suppression deletes: of such objects {missed} are missed, of others {other}.",
            },
        ),
        "zh": Page(
            title="被抑制删除的相邻目标",
            finds="因为邻居的检测框与之重叠超过抑制阈值而漏检的目标。",
            matters="无论模型对这样的目标多么确定，它的框都会被当作邻居的重复框删除。训练无法弥补。",
            measured="对每个漏检目标，取它与找到同类其他目标的检测之间的最大重叠。超过阈值时，完美的框也会被删除。占目"
            "标 1%（至少 5 个）起提示，3% 起警告，前提是处于这种遮蔽中的目标比其他目标更常漏检（Fisher 精确检验，0.01"
            "）。",
            false_alarms="被邻居遮挡到谁也找不到的目标。",
            fix="软抑制降低分数而不删除（--set settings.selection.suppression=soft_gaussian）；或提高 "
            "settings.selection.nms_iou，并查看由此增加的重复。两者都不需要重新训练。",
            messages={
                "default": "{total} 个目标中有 {count} 个（{percent}）漏检，且与已找到的邻居重叠超过 {iou}，会被抑制删"
                "除：这类目标漏检 {missed}，其他目标漏检 {other}。",
            },
        ),
    },
)
