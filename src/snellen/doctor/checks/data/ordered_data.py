"""ordered-data (D22)."""

from collections.abc import Iterator

import numpy as np

from snellen.data import ClassTable, DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.labels import class_counts_of
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level, Limit, Place, Treatment
from snellen.doctor.words import Text

__all__ = ["CHECK"]

CLEAR = 6.0  # standard deviations by which equal classes follow one another more often than in random order
FEWEST = 30  # training images
_SOURCE = "cleanlab, non-iid (p < 0.05); here p < 1e-8, because it is an error"


def judge(index: DatasetIndex, setup: Setup) -> Iterator[Finding]:
    """Yield a finding if images are sorted by class and are not shuffled."""
    if setup.sampler is None:
        raise NotCheckable(Text(
            en="the order in which images are shown is not known", zh="不知道图像按什么顺序展示"
        ))  # fmt: skip
    if setup.sampler != "sequential":
        return
    train = index.split("train") if "train" in index.split_names else index
    labels = _labels(train)
    if len(labels) < FEWEST or len(np.unique(labels)) < 2:
        raise NotCheckable(Text(en="too few images or classes to have an order", zh="图像或类别太少，谈不上顺序"))
    number = len(labels)
    shares = np.bincount(labels) / number
    expected = float((shares**2).sum())  # of neighbours with equal labels, in random order
    found = float((labels[1:] == labels[:-1]).mean())
    surprise = (found - expected) / max(np.sqrt(expected * (1 - expected) / (number - 1)), 1e-9)
    runs = np.split(labels, np.flatnonzero(labels[1:] != labels[:-1]) + 1)
    longest = max(runs, key=len)
    is_sorted = surprise >= CLEAR
    yield Finding(
        level=Level.ERROR if is_sorted else Level.WARNING,
        message="sorted" if is_sorted else "fixed",
        numbers={"found": round(100 * found), "expected": round(100 * expected), "longest": len(longest),
                 "class_": train.classes[int(longest[0])]},
        measured=float(surprise),
        limit=Limit(value=CLEAR, unit="standard deviations", source=_SOURCE),
        places=(Place(kind="setting", name="sampler", note="sequential"),),
        num_places=1,
        treatment=Treatment(settings={"sampler": "shuffled"}),
    )  # fmt: skip


def _labels(train: DatasetIndex) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the class of each image, or its most frequent one; images without any are left out."""
    if isinstance(train.annotations, ClassTable):
        labels = train.annotations.labels.astype(np.int64)
        return labels[labels >= 0]
    counts = class_counts_of(train)
    return np.asarray(counts[counts.sum(1) > 0].argmax(1), np.int64)


CHECK = Check(
    code="D22",
    name="ordered-data",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-031",),
    source="cleanlab, non-iid; Bottou 2012, Stochastic gradient descent tricks, section 3.1 (shuffle)",
    pages={
        "en": Page(
            title="images are shown in the order of the files",
            finds="Training images that are not shuffled, above all if they are sorted by class.",
            matters="With one class after the other the network forgets each as it learns the next: the loss rises "
            "and falls like saw teeth, and batch norm sees one class at a time.",
            measured="How often an image is followed by one of its class, against random order. Sorted means 6 "
            "standard deviations above it, and is an error if the sampler is sequential. A sequential sampler alone "
            "is a warning. For images of several objects their most frequent class counts.",
            false_alarms="None known: shuffling costs nothing.",
            fix="Shuffle the training images in every epoch (--sampler shuffled).",
            messages={
                "sorted": "Images are shown in the order of the files, and {found} % are followed by one of their "
                "class ({expected} % in random order); {longest} images of {class_} come in a row.",
                "fixed": "Images are shown in the same order in every epoch.",
            },
        ),
        "zh": Page(
            title="图像按文件顺序展示",
            finds="找出没有打乱的训练图像，尤其是按类别排序的。",
            matters="类别一个接一个时，网络学新忘旧：损失呈锯齿状起落，批归一化每次只看到一个类别。",
            measured="一张图像后面紧跟同类图像的频率，与随机顺序比较。高出 6 个标准差即为已排序，若采样器为顺序采样则"
            "为错误；仅为顺序采样时警告。含多个目标的图像按最多的类别计。",
            false_alarms="未发现：打乱没有代价。",
            fix="每个周期打乱训练图像（--sampler shuffled）。",
            messages={
                "sorted": "图像按文件顺序展示，{found} % 的图像后面是同类（随机顺序为 {expected} %）；连续出现 "
                "{longest} 张 {class_}。",
                "fixed": "每个周期图像的顺序都相同。",
            },
        ),
    },
)
