"""miscalibrated (R7)."""

from collections.abc import Iterator

import numpy as np
from scipy.stats import rankdata

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.predictions import points
from snellen.doctor.evidence.results.calibration import Confidence
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.finding import Finding, Level, Limit, Treatment
from snellen.structures import ClassScores

__all__ = ["CHECK"]

WARNING_ERROR = 0.05  # beyond what chance makes
INFO_ERROR_OF_BOXES = 0.15  # likewise; scores of boxes rank, and 0.05 to 0.15 are usual
UNRANKED = 0.6  # chance that a right answer has more confidence than a wrong one; 0.5 where confidence says nothing
LEAST_OF_EACH = 15  # answers that are right, and that are wrong, for that chance
LEAST_VALUES = 20  # different confidences
SMOOTHING = 0.1  # Szegedy et al. 2016, section 7


def judge(run: EvaluatedRun, confidence: Confidence) -> Iterator[Finding]:
    """Yield a finding if confidence does not mean what it says, beyond what chance makes of honest answers."""
    rank = _rank(confidence)
    if rank is not None and rank[1] < UNRANKED:
        yield Finding(
            level=Level.WARNING,
            message="unranked_boxes" if confidence.is_of_boxes else "unranked_images",
            numbers={"chance": points(rank[0]), "high": points(rank[1]), "count": len(confidence.scores)},
            measured=rank[0],
            limit=Limit(value=UNRANKED, unit="AUC", source="Hanley and McNeil 1982 for the interval"),
        )
        return
    excess = confidence.error - confidence.honest
    limit = INFO_ERROR_OF_BOXES if confidence.is_of_boxes else WARNING_ERROR
    if excess <= limit or confidence.error <= confidence.honest_high:
        return
    too_sure = confidence.bias > 0
    kind = "boxes" if confidence.is_of_boxes else "images"
    yield Finding(
        level=Level.INFO if confidence.is_of_boxes else Level.WARNING,
        message=f"{'sure' if too_sure else 'unsure'}_{kind}",
        numbers={
            "error": points(confidence.error),
            "honest": points(confidence.honest),
            "confidence": points(float(confidence.scores.mean())),
            "right": points(float(confidence.right.mean())),
            "count": len(confidence.scores),
        },
        measured=excess,
        limit=Limit(value=limit, unit="share", source="Guo et al. 2017; Bröcker and Smith 2007 for chance"),
        treatment=_treatment(run) if too_sure else None,
    )


def _rank(confidence: Confidence) -> tuple[float, float] | None:
    """Return how likely a right answer has more confidence than a wrong one, and the upper end of the 95 % interval.

    Source:
        Hanley and McNeil 1982, The meaning and use of the area under a ROC curve, eq. 2.
    """
    right = confidence.right
    hits, misses = int(right.sum()), int((~right).sum())
    if min(hits, misses) < LEAST_OF_EACH or len(np.unique(confidence.scores)) < LEAST_VALUES:
        return None
    area = float(rankdata(confidence.scores)[right].sum() - hits * (hits + 1) / 2) / (hits * misses)
    first, second = area / (2 - area), 2 * area * area / (1 + area)
    spread = area * (1 - area) + (hits - 1) * (first - area**2) + (misses - 1) * (second - area**2)
    return area, area + 1.96 * (spread / (hits * misses)) ** 0.5


def _treatment(run: EvaluatedRun) -> Treatment | None:
    if run.kind is not ClassScores or "label_smoothing" not in run.options or run.options["label_smoothing"]:
        return None
    return Treatment(settings={"model_options": {"label_smoothing": SMOOTHING}})


CHECK = Check(
    code="R7",
    name="miscalibrated",
    stage=Stage.RESULTS,
    judge=judge,
    source="Guo et al. 2017, On calibration of modern neural networks; Küppers et al. 2020 for boxes; Bröcker, Smith "
    "2007",
    caused_by=("R22", "R2"),
    pages={
        "en": Page(
            title="confidence that does not mean what it says",
            finds="Models whose answers are right more or less often than their confidence says.",
            matters="Whoever decides by a probability (shows it, adds costs, waits for a second opinion) decides "
            "wrongly. Accuracy does not show it.",
            measured="Mean distance between confidence and share that is right over 15 bins (ECE; of boxes those from "
            "a score of 0.05 on, right if they find an object at overlap 0.5). Few answers have a distance by chance: "
            "what honest answers of the same confidences would have is taken off. Told if more than 5 points (boxes: "
            "15) are left and the distance is beyond what 2 of 1000 honest ones reach: a warning for images, info for "
            "boxes, whose scores rank and are hardly ever probabilities. 50 answers are the least. Confidence that "
            "does "
            "not even rank is a warning: a right answer has more of it than a wrong one with a chance below 60 (the "
            "upper end of the interval; 15 right and 15 wrong answers are the least).",
            false_alarms="Training with mixup, label smoothing or focal loss makes answers less sure on purpose.",
            fix="See what is told with the finding.",
            messages={
                "unranked_images": "Confidence says nothing: a right answer is surer than a wrong one in {chance} of "
                "100 pairs (at most {high}; 50 by chance; {count} images).",
                "unranked_boxes": "Scores of boxes do not rank them: a box that finds something has the higher score "
                "in "
                "{chance} of 100 pairs (at most {high}; 50 by chance; {count} boxes).",
                "sure_images": "Answers are too sure: confidence {confidence}, right {right} in the mean ({count} "
                "images); calibration error {error}, by chance {honest}.",
                "unsure_images": "Answers are not sure enough: confidence {confidence}, right {right} in the mean ("
                "{count} images); calibration error {error}, by chance {honest}.",
                "sure_boxes": "Scores of boxes are too high to be probabilities: {confidence} in the mean, right "
                "{right} ({count} boxes); calibration error {error}, by chance {honest}.",
                "unsure_boxes": "Scores of boxes are too low to be probabilities: {confidence} in the mean, right "
                "{right} ({count} boxes); calibration error {error}, by chance {honest}.",
            },
            fixes={
                "unranked_images": "Find out whether confidences and classes belong to the same images: one of the two "
                "may have been sorted, or taken from another layer. Do not decide by these confidences.",
                "unranked_boxes": "Find out whether scores and boxes belong together (one of the two sorted, the score "
                "of another class, probabilities of the background), for average precision lives on their order. A "
                "model that was trained so needs its classification loss looked at.",
                "sure_images": "Fit a temperature on the validation images (snellen eval RUN --calibrate): the "
                "classes that are named stay the same. Label smoothing in the training helps too (--set "
                "label_smoothing=0.1).",
                "unsure_images": "Fit a temperature on the validation images (snellen eval RUN --calibrate): the "
                "classes that are named stay the same.",
                "sure_boxes": "Take the scores as a ranking; choose where to cut by what happens there (R19).",
                "unsure_boxes": "Take the scores as a ranking; choose where to cut by what happens there (R19).",
            },
        ),
        "zh": Page(
            title="置信度名不副实",
            finds="答案的正确率与其置信度不符的模型。",
            matters="凡是依据概率做决定的人（显示概率、计算代价、等待复核）都会决定错。准确率不显示这一点。",
            measured="15 个区间上置信度与正确比例的平均距离（ECE；框取分数 0.05 以上者，重叠 0.5 找到目标为正确）。答"
            "案少时偶然也会有距离：减去同样置信度的诚实答案会有的距离。剩余超过 5 个点（框：15）且距离超过诚实答案的第"
            " 99.8 百分位时报告：图像为警告，框为提示，因为框的分数用于排序，几乎从不是概率。至少需要 50 "
            "个答案。连排序都做不到的置信"
            "度为警告：正确答案的置信度高于错误答案的机会低于 60（区间上端；正确与错误的答案各至少 15 个）。",
            false_alarms="用 mixup、标签平滑或 focal loss 训练会有意使答案不那么确定。",
            fix="见随结果给出的说明。",
            messages={
                "unranked_images": "置信度不说明任何问题：100 对中只有 {chance} 对的正确答案比错误答案更有把握（至多 "
                "{high}；偶然为 50；{count} 张图像）。",
                "unranked_boxes": "框的分数不能排序：100 对中只有 {chance} 对的找到目标的框分数更高（至多 {high}；偶然"
                "为 50；{count} 个框）。",
                "sure_images": "答案过于自信：平均置信度 {confidence}，正确 {right}（{count} 张图像）；校准误差 "
                "{error}，偶然为 {honest}。",
                "unsure_images": "答案不够自信：平均置信度 {confidence}，正确 {right}（{count} 张图像）；校准误差 "
                "{error}，偶然为 {honest}。",
                "sure_boxes": "框的分数高于概率：平均 {confidence}，正确 {right}（{count} 个框）；校准误差 {error}，偶"
                "然为 {honest}。",
                "unsure_boxes": "框的分数低于概率：平均 {confidence}，正确 {right}（{count} 个框）；校准误差 {error}，"
                "偶然为 {honest}。",
            },
            fixes={
                "unranked_images": "查明置信度与类别是否属于同一图像：其中之一可能被排序，或取自别的层。不要依据这些置"
                "信"
                "度做决定。",
                "unranked_boxes": "查明分数与框是否对应（其中之一被排序、是别的类别的分数、是背景的概率），因为平均精度"
                "取决于它们的顺序。若模型训练成这样，检查其分类损失。",
                "sure_images": "在验证图像上拟合温度（snellen eval RUN --calibrate）：所选类别不变。训练中的标签平滑也"
                "有帮助（--set label_smoothing=0.1）。",
                "unsure_images": "在验证图像上拟合温度（snellen eval RUN --calibrate）：所选类别不变。",
                "sure_boxes": "把分数当作排序；根据阈值处的结果选择阈值（R19）。",
                "unsure_boxes": "把分数当作排序；根据阈值处的结果选择阈值（R19）。",
            },
        ),
    },
)
