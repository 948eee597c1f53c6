"""dominating-detection-error (R3)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.predictions import changed, judged_places, larger_images, need, points
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.evidence.results.objects import CostOfErrors, DetectedObjects
from snellen.doctor.finding import Finding, Level, Limit, Place, Treatment
from snellen.doctor.words import Text
from snellen.metrics import ErrorKind

__all__ = ["CHECK"]

LEAST_TRUTHS = 30
LEAST_IMAGES = 10
LEAST_COST = 0.02  # of average precision
ALIKE = 0.5  # of the largest cost, from which another is told too
SHARPER = 0.1  # by which the threshold of suppression is lowered
LOWEST_NMS = 0.3
_FINER = {"pooling": "roi_align", "box_loss": "giou"}  # in the place of what rounds, or takes offsets for overlap
_SOURCE = "Bolya et al. 2020 (TIDE), section 3.3; costs below 2 points are within the spread of repeated trainings"


def judge(run: EvaluatedRun, detected: DetectedObjects, costs: CostOfErrors) -> Iterator[Finding]:
    """Yield the kinds of error that cost most, the first one first, if they cost anything beyond chance."""
    need(costs.precision.count, LEAST_TRUTHS, "objects", "个目标")
    need(len(detected.matched), LEAST_IMAGES, "images", "张图像")
    ordered = sorted(costs.kinds, key=lambda name: -costs.kinds[name].cost)
    most = costs.kinds[ordered[0]]
    if np.isnan(most.low):
        raise NotCheckable(Text(en="the cost of the errors has no interval", zh="误差代价没有区间"))
    for kind in ordered:
        cost = costs.kinds[kind]
        if cost.cost >= max(LEAST_COST, ALIKE * most.cost) and cost.low > 0:
            yield _finding(run, detected, costs, kind)


def _finding(run: EvaluatedRun, detected: DetectedObjects, costs: CostOfErrors, kind: ErrorKind) -> Finding:
    cost = costs.kinds[kind]
    places, num_places = _places(run, detected, kind)
    others = sorted((name for name in ErrorKind if name is not kind), key=lambda name: -costs.kinds[name].cost)
    return Finding(
        level=Level.INFO,
        message=kind.value,
        numbers={
            "ap": points(costs.precision.cost),
            "ap_low": points(costs.precision.low),
            "ap_high": points(costs.precision.high),
            "count": cost.count,
            "cost": points(cost.cost),
            "low": points(max(cost.low, 0.0)),
            "high": points(cost.high),
            "others": ", ".join(f"{name.value} {points(costs.kinds[name].cost)}" for name in others),
        },
        measured=cost.cost,
        limit=Limit(value=LEAST_COST, unit="AP50", source=_SOURCE),
        places=places,
        num_places=num_places,
        treatment=_treatment(run, kind),
    )


def _places(run: EvaluatedRun, detected: DetectedObjects, kind: ErrorKind) -> tuple[tuple[Place, ...], int]:
    """Return the surest errors of a kind; of what is missed the largest."""
    errors = detected.errors
    if kind is ErrorKind.MISSED:
        rows, boxes = [], []
        for place, image in enumerate(detected.matched):
            reached = np.unique(errors.truths[(errors.images == place) & (errors.truths >= 0)])
            lost = np.setdiff1d(np.flatnonzero(~image.seen.true_ignored), reached)
            rows += [int(detected.rows[place])] * len(lost)
            boxes += [image.seen.true_boxes[lost]]
        return judged_places(run, rows, boxes=np.concatenate(boxes) if boxes else np.zeros((0, 4)))
    own = np.flatnonzero(errors.kinds == kind.value)
    found = [detected.matched[errors.images[place]].seen.boxes[errors.rows[place]] for place in own]
    names = run.index.classes
    notes = [f"{names[errors.labels[place]]} {errors.scores[place]:.2f}" for place in own]
    rows = detected.rows[errors.images[own]].tolist()
    return judged_places(run, rows, scores=errors.scores[own], boxes=np.array(found).reshape(-1, 4), notes=notes)


def _treatment(run: EvaluatedRun, kind: ErrorKind) -> Treatment | None:
    """Return the first change that the model knows of those that are made for a kind of error."""
    change: Treatment | None = None
    if kind is ErrorKind.PLACE:
        coarse = [(ending, value) for ending, value in _FINER.items() if _is_coarse(run, ending)]
        change = next((changed(run, *pair) for pair in coarse), None) or larger_images(run)
    elif kind is ErrorKind.DUPLICATE:
        stated = run.option("nms_iou")
        if stated is not None and isinstance(stated[1], float) and stated[1] > LOWEST_NMS:
            change = changed(run, "nms_iou", round(max(stated[1] - SHARPER, LOWEST_NMS), 2))
    elif kind is ErrorKind.BACKGROUND:
        change = changed(run, "mining", "ohem") or changed(run, "class_loss", "focal")
    elif kind is ErrorKind.CLASS:
        change = Treatment(settings={"sampler": "repeat_factor"})
    else:
        change = larger_images(run)
    return change


def _is_coarse(run: EvaluatedRun, ending: str) -> bool:
    found = run.option(ending)
    return found is not None and found[1] in ("roi_pool", "smooth_l1", "balanced_l1", "offsets")


CHECK = Check(
    code="R3",
    name="dominating-detection-error",
    stage=Stage.RESULTS,
    judge=judge,
    covers=("DX-088", "DX-090", "DX-091", "DX-093", "DX-077"),
    source="Bolya, Foley, Hays and Hoffman 2020, TIDE: a general toolbox for identifying object detection errors",
    caused_by=("R22",),
    pages={
        "en": Page(
            title="the kinds of error that cost a detector most",
            finds="Which of six kinds of error takes most from the average precision: wrong class, bad place, both, "
            "duplicate, background, missed.",
            matters="Every kind has a cure of its own. To mend what costs little is work for nothing, and counts of "
            "errors do not tell: errors of low score hardly count.",
            measured="Detections are matched at overlap 0.5. What finds nothing is sorted: near a truth of its class "
            "(0.1 to 0.5), on a truth of another class, on one already found, near nothing (below 0.1), or the rest. "
            "A kind's cost is the AP50 that mending it alone gives back: a place or class becomes right, what cannot "
            "becomes nothing, a missed truth is no longer wanted. Its interval is that of 1000 draws of images. Told "
            "are the largest cost and those half as large or more, if they are 2 points and more and their intervals "
            "lie above 0. 30 objects on 10 images are the least.",
            false_alarms="Annotations that are wrong make good detections look like background, and missing boxes are "
            "nobody's fault: see R12 for labels that are contradicted.",
            fix="See what is told with the finding.",
            messages={
                "class": "AP50 is {ap} ({ap_low} to {ap_high}). {count} detections with a wrong class cost "
                "{cost} points ({low} to {high}). The others: {others}.",
                "place": "AP50 is {ap} ({ap_low} to {ap_high}). {count} boxes in a bad place cost {cost} points "
                "({low} to {high}). The others: {others}.",
                "both": "AP50 is {ap} ({ap_low} to {ap_high}). {count} boxes near another class's object cost "
                "{cost} points ({low} to {high}). The others: {others}.",
                "duplicate": "AP50 is {ap} ({ap_low} to {ap_high}). {count} second boxes on one object cost "
                "{cost} points ({low} to {high}). The others: {others}.",
                "background": "AP50 is {ap} ({ap_low} to {ap_high}). {count} boxes where nothing is cost {cost} "
                "points ({low} to {high}). The others: {others}.",
                "missed": "AP50 is {ap} ({ap_low} to {ap_high}). {count} missed objects cost {cost} points ("
                "{low} to {high}). The others: {others}.",
            },
            fixes={
                "class": "See the confusion in the report: merge classes that people cannot tell apart, show rare "
                "ones more often (--sampler repeat_factor), use larger images or a stronger backbone.",
                "place": "A loss of overlap (--set settings.box_loss=giou where the model has it), RoIAlign in the "
                "place of RoIPool (--set pooling=roi_align), larger images, more epochs.",
                "both": "Boxes near an object of another class: larger images, more epochs, a stronger backbone.",
                "duplicate": "Lower the threshold of suppression (--set settings.selection.nms_iou=0.4), unless "
                "neighbours overlap (see R17); a detector that is trained longer duplicates less.",
                "background": "Hard negatives: mining (--set settings.mining=ohem), focal loss, and images without "
                "objects in the training.",
                "missed": "See what is missed: small objects want larger images (--image-size) or a finer map, odd "
                "shapes other anchors (M14), crowds soft suppression (R17), rare classes the sampler.",
            },
        ),
        "zh": Page(
            title="检测器损失最大的错误类型",
            finds="六类错误中哪一类使平均精度损失最多：类别错、位置差、两者皆错、重复、背景误检、漏检。",
            matters="每类错误有各自的对策。修正代价很小的错误是白费力气，而错误的个数说明不了问题：低分错误几乎不影响"
            "结果。",
            measured="以 0.5 的重叠匹配检测。未找到目标的检测按以下分类：靠近同类真值（0.1 到 0.5）、在另一类的真值上"
            "、在已被找到的真值上、附近什么也没有（低于 0.1）、其余。某类错误的代价是只修正它所能恢复的 AP50：位置或类"
            "别改为正确，无法改正的去掉，漏检的真值不再要求。区间来自 1000 次图像重采样。提示代价最大者及达到其一半者"
            "，须达到"
            " 2 个点且区间高于 0。至少需要 10 张图像上的 30 个目标。",
            false_alarms="错误的标注会使正确的检测看起来像背景误检，缺失的框不是模型的错：见 R12。",
            fix="见随结果给出的说明。",
            messages={
                "class": "AP50 为 {ap}（{ap_low} 至 {ap_high}）。{count} 个类别错误的检测的代价为 {cost} 个点（{low} "
                "至 {high}）。其他：{others}。",
                "place": "AP50 为 {ap}（{ap_low} 至 {ap_high}）。{count} 个位置不准的框的代价为 {cost} 个点（{low} 至"
                " {high}）。其他：{others}。",
                "both": "AP50 为 {ap}（{ap_low} 至 {ap_high}）。{count} 个靠近其他类目标的框的代价为 {cost} 个点（"
                "{low} 至 {high}）。其他：{others}。",
                "duplicate": "AP50 为 {ap}（{ap_low} 至 {ap_high}）。{count} 个重复框的代价为 {cost} 个点（{low} 至 "
                "{high}）。其他：{others}。",
                "background": "AP50 为 {ap}（{ap_low} 至 {ap_high}）。{count} 个落在背景上的框的代价为 {cost} 个点（"
                "{low} 至 {high}）。其他：{others}。",
                "missed": "AP50 为 {ap}（{ap_low} 至 {ap_high}）。{count} 个漏检目标的代价为 {cost} 个点（{low} 至 "
                "{high}）。其他：{others}。",
            },
            fixes={
                "class": "查看报告中的混淆矩阵：合并人也分不清的类别，更多地展示稀有类别（--sampler repeat_factor），"
                "使用更大的图像或更强的骨干网络。",
                "place": "使用重叠损失（模型支持时 --set settings.box_loss=giou），用 RoIAlign 代替 RoIPool（--set "
                "pooling=roi_align），更大的图像，更多轮数。",
                "both": "框靠近另一类的目标：更大的图像、更多轮数、更强的骨干网络。",
                "duplicate": "降低抑制阈值（--set settings.selection.nms_iou=0.4），除非相邻目标重叠（见 R17）；训练更"
                "久的检测器重复更少。",
                "background": "难负样本：挖掘（--set settings.mining=ohem）、focal loss，并在训练中加入没有目标的图像"
                "。",
                "missed": "看漏检的是什么：小目标需要更大的图像（--image-size）或更细的特征图，特殊形状需要其他锚框（"
                "M14），密集目标需要软抑制（R17），稀有类别需要采样器。",
            },
        ),
    },
)
