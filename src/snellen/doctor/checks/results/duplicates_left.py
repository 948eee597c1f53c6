"""duplicates-left (R15)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.predictions import changed, judged_places, need, points
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.evidence.results.objects import CostOfErrors, DetectedObjects
from snellen.doctor.finding import Finding, Level, Limit, Treatment
from snellen.metrics import ErrorKind

__all__ = ["CHECK"]

LEAST_TRUTHS = 30
WARNING_COST = 0.03  # of average precision: more than repeated trainings differ by
LEAST_COST = 0.01
STEP = 0.1  # by which the threshold is lowered
LOWEST = 0.3


def judge(run: EvaluatedRun, detected: DetectedObjects, costs: CostOfErrors) -> Iterator[Finding]:
    """Yield a finding if second boxes on objects cost average precision."""
    need(costs.precision.count, LEAST_TRUTHS, "objects", "个目标")
    cost = costs.kinds[ErrorKind.DUPLICATE]
    if not (cost.cost >= LEAST_COST and cost.low > 0):
        return
    errors = detected.errors
    own = np.flatnonzero(errors.kinds == ErrorKind.DUPLICATE.value)
    boxes = [detected.matched[errors.images[place]].seen.boxes[errors.rows[place]] for place in own]
    places, num_places = judged_places(
        run, detected.rows[errors.images[own]], scores=errors.scores[own], boxes=np.array(boxes).reshape(-1, 4)
    )
    yield Finding(
        level=Level.WARNING if cost.cost >= WARNING_COST else Level.INFO,
        numbers={
            "count": cost.count,
            "found": int((errors.kinds == "").sum()),
            "cost": points(cost.cost),
            "low": points(cost.low),
            "high": points(cost.high),
        },
        measured=cost.cost,
        limit=Limit(
            value=WARNING_COST,
            level=Level.WARNING,
            unit="AP50",
            source="set here: more than repeated trainings differ by",
        ),
        places=places,
        num_places=num_places,
        treatment=_treatment(run),
    )


def _treatment(run: EvaluatedRun) -> Treatment | None:
    kind, stated = run.option("suppression"), run.option("nms_iou")
    if kind is not None and kind[1] != "nms":
        return changed(run, "suppression", "nms")
    if stated is None or not isinstance(stated[1], float) or stated[1] <= LOWEST:
        return None
    return changed(run, "nms_iou", round(max(stated[1] - STEP, LOWEST), 2))


CHECK = Check(
    code="R15",
    name="duplicates-left",
    stage=Stage.RESULTS,
    judge=judge,
    covers=("DX-088",),
    source="Bolya et al. 2020 (TIDE), https://arxiv.org/abs/2008.08115",
    caused_by=("R22",),
    pages={
        "en": Page(
            title="several boxes on one object",
            finds="Second and third boxes on objects that a better box has found, where they cost average precision.",
            matters="Everything that counts or measures objects counts them several times, and each of these boxes is "
            "an error.",
            measured="AP50 that taking away the duplicates gives back (TIDE), with its bootstrap interval: told from "
            "1 point, a warning from 3, if the interval lies above 0. 30 objects are the least.",
            false_alarms="Two objects of which one lacks its annotation.",
            fix="Suppression by class with a lower threshold (--set settings.selection.nms_iou=0.4); soft suppression "
            "leaves duplicates with low scores, so compare it with the hard one. Neither needs a training.",
            messages={
                "default": "{count} boxes lie on objects that were found already ({found} are found): that costs "
                "{cost} points of AP50 ({low} to {high}).",
            },
        ),
        "zh": Page(
            title="一个目标上有多个框",
            finds="在已由更好的框找到的目标上的第二、第三个框，并且它们降低了平均精度。",
            matters="凡是对目标计数或测量的用途都会重复计数，而每个这样的框都是一次错误。",
            measured="去掉重复框可恢复的 AP50（TIDE）及其自助法区间：1 个点起提示，3 个点起警告，区间须高于 0。至少需"
            "要 30 个目标。",
            false_alarms="两个目标中有一个缺少标注。",
            fix="用更低阈值按类别抑制（--set settings.selection.nms_iou=0.4）；软抑制会留下低分的重复框，应与硬抑制比"
            "较。两者都不需要重新训练。",
            messages={
                "default": "{count} 个框落在已经找到的目标上（共找到 {found} 个）：损失 AP50 {cost} 个点（{low} 至 "
                "{high}）。",
            },
        ),
    },
)
