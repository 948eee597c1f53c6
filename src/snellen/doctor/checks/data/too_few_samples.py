"""too-few-samples (D14)."""

from collections.abc import Iterator

import numpy as np

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.objects import class_places
from snellen.doctor.evidence.labels import class_counts_of
from snellen.doctor.evidence.statistics import wilson_interval
from snellen.doctor.finding import Finding, Level, Limit
from snellen.doctor.words import Text

__all__ = ["CHECK"]

LEAST_TRAIN = 20  # examples of a class; set here, beyond datumaro's 1
LEAST_VAL = 10  # examples of a class: below it the 95 % interval of a recall is wider than 50 points


def judge(index: DatasetIndex) -> Iterator[Finding]:
    """Yield a finding for classes with too few examples to learn from, or to measure by."""
    counts = class_counts_of(index)
    if not counts.sum():
        raise NotCheckable(Text(en="nothing is annotated", zh="没有任何标注"))
    parts = {"train": index.split_rows("train") if "train" in index.split_names else np.arange(len(index))}
    if "val" in index.split_names:
        parts["val"] = index.split_rows("val")
    for (name, rows), least in zip(parts.items(), (LEAST_TRAIN, LEAST_VAL), strict=False):
        of_class = counts[rows].sum(0)
        few = np.flatnonzero((of_class > 0) & (of_class < least))
        if not len(few):
            continue
        label = int(few[of_class[few].argmin()])
        number = int(of_class[label])
        low, high = wilson_interval(round(number / 2), number)
        yield Finding(
            level=Level.WARNING,
            message=name,
            numbers={"count": len(few), "classes": int((of_class > 0).sum()), "least": least, "number": number,
                     "class_": index.classes[label], "half": round(50 * (high - low))},
            measured=float(number),
            limit=Limit(value=least, unit="examples", source="set here; Wilson 1927 for the interval"),
            places=class_places(index, [(int(place), float(of_class[place])) for place in few]),
            num_places=len(few),
        )  # fmt: skip


CHECK = Check(
    code="D14",
    name="too-few-samples",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-008", "DX-014"),
    source="Wilson 1927, Probable inference; datumaro, FewSamplesInLabel; DeepCrime's operator TRD",
    pages={
        "en": Page(
            title="too few examples of a class",
            finds="Classes with fewer than 20 training or 10 validation examples.",
            matters="A network learns such examples by heart instead of their class, and a metric on so few is mostly "
            "chance: two models cannot be told apart by it.",
            measured="Objects (boxes) or images (classes, masks) of each class that occurs in the split. The 95 % "
            "interval of a share is Wilson's at one half, where it is widest: with 10 examples ± 26 points, with 100 "
            "± 10, with 400 ± 5.",
            false_alarms="Few-shot learning on strong pretrained features, and long tails whose rare classes do not "
            "matter.",
            fix="Collect more of these classes, merge classes, start from pretrained weights (--weights) with little "
            "trained, augment. For validation: more images, or cross-validation, and look at intervals and not at "
            "points.",
            messages={
                "train": "{count} of {classes} classes have fewer than {least} training examples; {class_} has "
                "{number}.",
                "val": "{count} of {classes} classes have fewer than {least} validation examples; {class_} has "
                "{number}, which tells a recall to ± {half} points at best.",
            },
        ),
        "zh": Page(
            title="某类别的样本太少",
            finds="训练样本少于 20 个或验证样本少于 10 个的类别。",
            matters="网络会死记这些样本而不是学会类别；在这么少的样本上，指标主要是偶然，无法区分两个模型。",
            measured="统计子集中出现的每个类别的目标（检测）或图像（分类、分割）。比例的 95 % 区间取 Wilson 在一半处的"
            "区间，即最宽处：10 个样本 ±26 个百分点，100 个 ±10，400 个 ±5。",
            false_alarms="基于强预训练特征的小样本学习，以及稀有类别无关紧要的长尾数据。",
            fix="收集更多该类样本、合并类别、从预训练权重开始（--weights）并只训练少量参数、做数据增强。验证方面：增加"
            "图像或做交叉验证，看区间而不是看点值。",
            messages={
                "train": "{classes} 个类别中有 {count} 个训练样本少于 {least} 个；{class_} 只有 {number} 个。",
                "val": "{classes} 个类别中有 {count} 个验证样本少于 {least} 个；{class_} 只有 {number} 个，召回率的误"
                "差可达 ±{half} 个百分点。",
            },
        ),
    },
)
