"""class-imbalance (D13)."""

from collections.abc import Iterator

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.labels import class_counts_of
from snellen.doctor.finding import Finding, Level, Limit, Place, Treatment
from snellen.doctor.words import Text

__all__ = ["CHECK"]

WARNING_RATIO = 50.0  # largest class : smallest class that occurs; datumaro's ImbalancedLabels
INFO_RATIO = 10.0  # SageMaker Debugger's ClassImbalance

_SOURCES = {Level.WARNING: "datumaro, ImbalancedLabels", Level.INFO: "SageMaker Debugger, ClassImbalance"}


def judge(index: DatasetIndex) -> Iterator[Finding]:
    """Yield a finding if the largest class is many times the smallest one that occurs."""
    train = index.split("train") if "train" in index.split_names else index
    counts = class_counts_of(train).sum(0)
    present = counts > 0
    if present.sum() < 2:
        raise NotCheckable(Text(en="fewer than two classes occur", zh="出现的类别少于两个"))
    ratio = float(counts[present].max() / counts[present].min())
    if ratio < INFO_RATIO:
        return
    level, limit = (Level.WARNING, WARNING_RATIO) if ratio >= WARNING_RATIO else (Level.INFO, INFO_RATIO)
    rare = sorted((int(counts[label]), name) for label, name in enumerate(index.classes) if counts[label])
    yield Finding(
        level=level,
        numbers={"ratio": round(ratio, 1), "largest": rare[-1][1], "most": rare[-1][0], "smallest": rare[0][1],
                 "least": rare[0][0]},
        measured=ratio,
        limit=Limit(value=limit, source=_SOURCES[level]),
        places=tuple(Place(kind="class", name=name, note=str(count), score=-count) for count, name in rare[:10]),
        num_places=len(rare),
        treatment=Treatment(settings={"sampler": "repeat_factor"}),
    )  # fmt: skip


CHECK = Check(
    code="D13",
    name="class-imbalance",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-001", "DX-002"),
    source="datumaro, ImbalancedLabels (50); SageMaker Debugger, ClassImbalance (10); Gupta et al. 2019, LVIS, "
    "section 4.1 (repeat factors)",
    pages={
        "en": Page(
            title="classes of very different size",
            finds="A class that has many times as many examples as another.",
            matters="A model gains accuracy by never naming the rare class, so overall accuracy looks good while the "
            "rare class is missed.",
            measured="Examples of the largest class over those of the smallest that occurs in the training images: "
            "objects for boxes, images for classes and masks. 10 is told, 50 is a warning.",
            false_alarms="Data in which the rare class is easy to tell apart, or where its errors cost little.",
            fix="Draw images with rare classes more often (--sampler repeat_factor), weight the loss by class "
            "(--class-weights inverse), choose the threshold afterwards (snellen eval RUN --best-f1), collect more of "
            "the rare class; judge by recall per class and not by accuracy. Do not copy images on disk: copies before "
            "a split end up on both sides of it.",
            messages={
                "default": "{largest} has {most} examples and {smallest} {least}: {ratio} times as many.",
            },
        ),
        "zh": Page(
            title="类别数量悬殊",
            finds="某一类别的样本数是另一类别的许多倍。",
            matters="模型从不预测稀有类别也能提高准确率，因此总体准确率看起来很好，稀有类别却被漏掉。",
            measured="训练图像中最大类别与出现过的最小类别的样本数之比：检测任务数目标，分类和分割任务数图像。达到 10 "
            "会提示，达到 50 会警告。",
            false_alarms="稀有类别很容易区分，或其错误代价很小的数据。",
            fix="更频繁地抽取含稀有类别的图像（--sampler repeat_factor），按类别给损失加权（--class-weights inverse），"
            "训练后选择阈值（snellen eval RUN --best-f1），收集更多稀有类别的样本；看每类召回率而不是准确率。"
            "不要在磁盘上复制图像：划分之前的副本会同时落入两个子集。",
            messages={
                "default": "{largest} 有 {most} 个样本，{smallest} 只有 {least} 个：相差 {ratio} 倍。",
            },
        ),
    },
)
