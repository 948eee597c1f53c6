"""wrong-objects (D17)."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from snellen.data import BoxTable, DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.agreement import macro_recall
from snellen.doctor.evidence.object_agreement import ObjectAgreement
from snellen.doctor.evidence.statistics import wilson_interval
from snellen.doctor.finding import Finding, Level, Limit, Place, Treatment
from snellen.doctor.words import Text
from snellen.doctor.wrong_labels import Suspect, SuspectKind, suspects

__all__ = ["CHECK"]

TOLD_APART = 0.85  # area under the curve of objects against background, from which models know what an object is
# Score from which a label is suspected, and share of the labels (lower end of the 95 % interval) that is a warning.
LIMITS = {
    SuspectKind.WRONG_CLASS: (0.7, 0.03),
    SuspectKind.SPURIOUS: (0.7, 0.03),
    SuspectKind.SHIFTED: (0.65, 0.05),
    SuspectKind.MISSING: (0.9, 0.15),
}
LEAST_SKILL = 0.4  # with which models name boxes, 0 is guessing; weaker ones know only the large classes
MOST_PLACES = 50
_SOURCE = "calibrated on parts of BCCD, Penn-Fudan, COCO, fruit and the built-in charts"
_NO_CLASSES = Text(
    en="the classes of boxes: there are too few of each for models to name them",
    zh="框的类别：每类太少，模型无法判断",
)
_MESSAGES = {
    SuspectKind.WRONG_CLASS: "wrong_class",
    SuspectKind.SPURIOUS: "spurious",
    SuspectKind.SHIFTED: "shifted",
    SuspectKind.MISSING: "missing",
}


def judge(index: DatasetIndex, agreement: ObjectAgreement) -> Iterator[Finding]:
    """Yield a finding for each way in which boxes contradict what images show."""
    if not isinstance(index.annotations, BoxTable):
        raise NotCheckable(ObjectAgreement.ABSENT)
    if agreement.told_from_background < TOLD_APART:
        raise NotCheckable(Text(
            en="boxes cannot be told from background by their looks (area under the curve "
            f"{agreement.told_from_background:.2f}), so that nothing can be said of single ones; give --weights and "
            f"--model",
            zh=f"无法凭外观区分框与背景（曲线下面积 {agreement.told_from_background:.2f}），因此无法判断单个框；"
            "请给出 --weights 和 --model",
        ))  # fmt: skip
    number = int(agreement.is_judged.sum())
    unchecked = None if _skill(index.annotations, agreement) >= LEAST_SKILL else _NO_CLASSES
    found = suspects(index, agreement, least=min(score for score, _ in LIMITS.values()))
    for kind, (least, share) in LIMITS.items():
        chosen = [suspect for suspect in found if suspect.kind is kind and suspect.score >= least]
        if chosen and not (kind is SuspectKind.WRONG_CLASS and unchecked is not None):
            yield replace(_finding(index, kind, chosen, number, share), unchecked=unchecked)


def _skill(table: BoxTable, agreement: ObjectAgreement) -> float:
    labels = table.labels[agreement.is_judged].astype(np.int64)
    classes = len(np.unique(labels))
    if classes < 2:
        return 1.0
    named = agreement.probs[agreement.is_judged, :-1].argmax(1).astype(np.int64)
    return (macro_recall(named, labels) - 1 / classes) / (1 - 1 / classes)


def _finding(index: DatasetIndex, kind: SuspectKind, chosen: list[Suspect], number: int, share: float) -> Finding:
    low = wilson_interval(min(len(chosen), number), number)[0]
    first = chosen[0]
    return Finding(
        level=Level.WARNING if low >= share else Level.INFO,
        message=_MESSAGES[kind],
        numbers={"count": len(chosen), "objects": number, "first": index.paths[first.row],
                 "label": index.classes[first.label] if first.label >= 0 else "",
                 "proposed": index.classes[first.proposed] if first.proposed >= 0 else "",
                 "images": len(np.unique([suspect.row for suspect in chosen]))},
        measured=low,
        limit=Limit(value=share, unit="share", source=_SOURCE),
        places=tuple(_place(index, suspect) for suspect in chosen[:MOST_PLACES]),
        num_places=len(chosen),
        treatment=_treatment(index, kind, chosen) if low >= share else None,
    )  # fmt: skip


def _treatment(index: DatasetIndex, kind: SuspectKind, chosen: list[Suspect]) -> Treatment | None:
    """Return that boxes of the wrong class get the other one, and boxes around nothing go."""
    if kind not in (SuspectKind.WRONG_CLASS, SuspectKind.SPURIOUS):
        return None
    objects = [
        {
            "image": index.paths[suspect.row],
            "box": list(suspect.box),
            "label": index.classes[suspect.proposed] if kind is SuspectKind.WRONG_CLASS else None,
        }
        for suspect in chosen
        if suspect.box is not None and (suspect.proposed >= 0 or kind is SuspectKind.SPURIOUS)
    ]
    return Treatment(data={"objects": objects}) if objects else None


def _place(index: DatasetIndex, suspect: Suspect) -> Place:
    names = [index.classes[label] if label >= 0 else "-" for label in (suspect.label, suspect.proposed)]
    boxes = tuple(box for box in (suspect.box, suspect.better_box) if box is not None)
    return Place(kind="image", name=index.paths[suspect.row], boxes=boxes, note=" → ".join(names), score=suspect.score)


CHECK = Check(
    code="D17",
    name="wrong-objects",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-011",),
    caused_by=("D24",),
    source="Tkachenko et al. 2023, ObjectLab; Chachuła et al. 2022, Combating noisy labels in object detection "
    "(CLOD); thresholds calibrated here",
    pages={
        "en": Page(
            title="boxes that images contradict",
            finds="Boxes of the wrong class, boxes around nothing, boxes that sit beside their object, and objects "
            "without a box, each list ranked.",
            matters="An object without a box is learned as background, a box around nothing as an object: recall and "
            "precision fall together. Shifted boxes cost the strict measures (AP75), and wrong classes both classes. "
            "In the test images, right detections count as mistakes.",
            measured="Boxes, shaken boxes and windows of background become vectors, pooled from the network whose "
            "weights were given, or without any from gradients, colours and a code of patches. In each third of the "
            "images, a logistic regression and a box regression of the other two judge the labelled boxes and a dense "
            "grid of windows. A box is suspected from a score of 0.7 (class, or nothing there) or 0.65 (one minus its "
            "IoU with the fitted box or the window that came nearest), a window without a label from 0.9; a warning "
            "if the lower end of the 95 % interval of their share reaches 3, 3, 5 and 15 % of the boxes. Needs models "
            "that tell boxes from background (area under the curve 0.85) and, for classes, name them (recall 0.4 of "
            "the way from guessing).",
            false_alarms="Objects cut by the edge of the image, crowds, objects that are left out on purpose, rare "
            "classes and looks. A single box is never proof.",
            fix="Look at the places from the top and correct them, missing objects first. Write down which objects "
            "count: how small, how hidden, how cut.",
            messages={
                "wrong_class": "{count} of {objects} boxes look like another class. First: {label} in {first}, which "
                "looks like {proposed}.",
                "spurious": "{count} of {objects} boxes seem to hold no object. First: {label} in {first}.",
                "shifted": "{count} of {objects} boxes seem to sit beside their object. First: {label} in {first}.",
                "missing": "{count} places in {images} images look like an object and have no box (there are "
                "{objects} boxes). First: {proposed} in {first}.",
            },
        ),
        "zh": Page(
            title="与图像不符的框",
            finds="找出类别错误的框、里面什么都没有的框、偏离目标的框，以及没有框的目标，分别按可疑程度排序。",
            matters="没有框的目标会被当作背景学习，空框会被当作目标学习：召回率和精确率一起下降。偏移的框损害严格指标"
            "（AP75），错误的类别损害两个类别。在测试图像中，正确的检测会被算作错误。",
            measured="框、抖动的框和背景窗口变成向量，取自给定权重的网络；没有权重时取自梯度、颜色和小图块编码。对每"
            "三分之一图像，由其余三分之二训练的逻辑回归和框回归来判断标注框和密集窗口。分数达到 0.7（类别或空框）、"
            "0.65（1 减去与拟合框或最近窗口的 IoU）的框，以及达到 0.9 的无标注窗口为可疑；其比例的 95 % 区间下限达到"
            "框数的 3、3、5、15 % 时警告。要求模型能区分框与背景（曲线下面积 0.85）；判断类别还要求召回率达到从猜测到"
            "完美的 0.4。",
            false_alarms="被图像边缘截断的目标、密集目标、有意不标的目标、罕见的类别和外观。单个框永远不能算作证明。",
            fix="从顶部开始查看并改正，先补漏标的目标。写明哪些目标要标：多小、遮挡多少、截断多少。",
            messages={
                "wrong_class": "{objects} 个框中有 {count} 个看起来像别的类别。首先：{first} 中的 {label}，看起来像 "
                "{proposed}。",
                "spurious": "{objects} 个框中有 {count} 个似乎没有目标。首先：{first} 中的 {label}。",
                "shifted": "{objects} 个框中有 {count} 个似乎偏离目标。首先：{first} 中的 {label}。",
                "missing": "{images} 张图像中有 {count} 处看起来像目标却没有框（共 {objects} 个框）。首先：{first} 中"
                "的 {proposed}。",
            },
        ),
    },
)
