"""high-label-noise (D35)."""

from collections.abc import Iterator

import numpy as np

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.agreement import Agreement
from snellen.doctor.evidence.statistics import wilson_interval
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.words import Text

__all__ = ["CHECK"]

WARNING_SHARE = 0.05  # lower end of the 95 % interval of the share of wrong labels
WARNING_SHARE_PLAIN = 0.10  # the same without given weights: on healthy sets plain features reach 0.07
FEWEST_SURE = 50  # images that both models are sure of
LEAST_SKILL = 0.4  # of the models, 0 is guessing; weaker ones are sure of what is wrong
_SOURCE = "Northcutt, Athalye and Mueller 2021: 3.4 % in the test sets of ten benchmarks, 5.8 % in ImageNet's"


def judge(index: DatasetIndex, agreement: Agreement) -> Iterator[Finding]:
    """Yield a finding if more than one label in twenty is estimated to be wrong."""
    wrong, sure = agreement.disagreement()
    if not agreement.is_informed or agreement.skill < LEAST_SKILL or sure < FEWEST_SURE:
        raise NotCheckable(Text(
            en=f"two models must be sure of {FEWEST_SURE} images, and name labels well (skill {LEAST_SKILL}), to "
            f"estimate "
            f"a share; they are sure of {sure}, skill {agreement.skill:.2f}. Give --weights and --model",
            zh=f"估计比例要求两个模型对至少 {FEWEST_SURE} 张图像有把握且判断较准（技能 {LEAST_SKILL}）；现有 {sure} 张"
            f"，"
            f"技能 {agreement.skill:.2f}。请给出 --weights 和 --model",
        ))  # fmt: skip
    low, high = wilson_interval(wrong, sure)
    limit = WARNING_SHARE if agreement.origin else WARNING_SHARE_PLAIN
    if low < limit:
        return
    named = agreement.proposed
    differs = named != agreement.labels
    shares = [
        (float(differs[agreement.labels == label].mean()), name)
        for label, name in enumerate(index.classes)
        if (agreement.labels == label).any()
    ]
    shares.sort(reverse=True)
    yield Finding(
        level=Level.WARNING,
        numbers={"share": round(100 * wrong / sure, 1), "low": round(100 * low, 1), "high": round(100 * high, 1),
                 "count": int(np.round(wrong / sure * len(agreement.rows))), "images": len(agreement.rows),
                 "class_": shares[0][1]},
        measured=low,
        limit=Limit(value=limit, unit="share", source=_SOURCE),
        places=tuple(
            Place(kind="class", name=name, note=f"{100 * share:.0f} %", score=share) for share, name in shares[:10]
        ),
        num_places=len(shares),
    )  # fmt: skip


CHECK = Check(
    code="D35",
    name="high-label-noise",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-011",),
    caused_by=("D24",),
    source="Northcutt, Athalye and Mueller 2021, Pervasive label errors in test sets; estimate checked on CIFAR-10N "
    "(Wei et al. 2022)",
    pages={
        "en": Page(
            title="many labels are wrong",
            finds="Data of which more than one label in twenty is estimated to be wrong.",
            matters="With so many wrong labels the loss stays high or jumps, a large network learns them by heart, "
            "and the metric cannot tell good models from better ones. Hunting for single errors is not enough then: "
            "the way labels are made has to change.",
            measured="Two models that have not seen an image (logistic regression and nearest images) name its class. "
            "Of the images that both are sure of, those that bear another label are counted; the share carries over "
            "to all images if errors fall on clear and unclear ones alike. The lower end of its 95 % interval must "
            "reach 5 %, without given weights 10 %. Models whose recall is less than 0.4 of the way from guessing to "
            "perfect are not asked.",
            false_alarms="Classes that one image can belong to at once, and features that know a coarser kind than "
            "the labels do (dogs, but not breeds).",
            fix="Let two people label the same 100 images and measure how often they agree; sharpen the instructions "
            "for the classes listed first; correct labels from the top of wrong-image-labels (D16). Until then train "
            "briefly, with strong regularisation, and correct the test images first.",
            messages={
                "default": "About {share} % of the labels are wrong ({low} to {high} %), some {count} of {images}; "
                "worst in {class_}.",
            },
        ),
        "zh": Page(
            title="大量标签错误",
            finds="估计有超过二十分之一的标签错误的数据。",
            matters="错误标签这么多时，损失居高不下或跳动，大网络会死记错误，指标也分不清模型好坏。此时逐个查错已不"
            "够，必须改变标注方式。",
            measured="两个未见过该图像的模型（逻辑回归和最近邻）判断类别。在两者都有把握的图像中，统计标签不同的数量；"
            "如果错误均匀落在清楚与不清楚的图像上，该比例适用于全部图像。其 95 % 区间下限须达到 5 %，未给权重时须达到 "
            "10 %。召回率从猜测到完美不足 0.4 的模型不予采用。",
            false_alarms="一张图像可以同时属于多个类别，以及特征只认识比标签更粗的种类（认得狗，但不认得犬种）。",
            fix="让两个人标注相同的 100 张图像并测量一致率；为排在前面的类别改进标注说明；从 wrong-image-labels（D16）"
            "名单顶部开始改正标签。在此之前缩短训练、加强正则化，并先改正测试图像。",
            messages={
                "default": "约 {share} % 的标签错误（{low} 至 {high} %），即 {images} 个中约 {count} 个；{class_} 最严"
                "重。",
            },
        ),
    },
)
