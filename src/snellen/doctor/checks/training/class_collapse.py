"""class-collapse (T15)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit, Number, Place
from snellen.doctor.watching.curves import Floats
from snellen.doctor.watching.outcome import BAD_DROP, Outcome, learning_of
from snellen.doctor.watching.trace import Rows, Trace
from snellen.doctor.watching.updates import late, need_samples
from snellen.doctor.words import Text

__all__ = ["CHECK"]

NEARLY_ALL = 0.95  # of the first choices; trainproof
NEARLY_ALL_OF_TWO = 0.99  # with two classes
LEARNT = 0.9  # of the loss, gone, though there is one answer only
LEAST_CHOICES = 50  # in the samples that are looked at
IN_TURN = 0.8  # of the choices of a sample, for a class that the next sample does not choose
LEAST_BATCH = 16  # images a sample, to see that
EXPECTED = 50.0  # choices of a class if all were alike, before one that has none is told
MOST_PLACES = 50
_SOURCE = "trainproof, class collapse"


def judge(trace: Trace) -> Iterator[Finding]:
    """Yield a finding if one class is the answer to everything, or some class is no answer at all."""
    learning = learning_of(trace)
    chosen = trace.named[trace.named.sum(1) > 0]
    if not chosen.size:
        raise NotCheckable(Text(en="the model gives no scores of classes", zh="模型不输出类别分数"))
    need_samples(len(chosen))
    chosen = late(chosen)
    total, num_classes = int(chosen.sum()), chosen.shape[1]
    if total < LEAST_CHOICES:
        raise NotCheckable(Text(en=f"{total} answers are too few", zh=f"只有 {total} 个答案，太少"))
    shares: Floats = chosen.max(1) / chosen.sum(1)
    favourites = chosen.argmax(1)
    favourite = int(chosen.sum(0).argmax())
    share = float(chosen.sum(0).max() / total)
    never = np.flatnonzero(chosen.sum(0) == 0)
    numbers: dict[str, Number] = {
        "classes": num_classes,
        "label": favourite,
        "percent": f"{100 * share:.0f}",
        "never": len(never),
        "total": total,
    }
    if share > (NEARLY_ALL if num_classes > 2 else NEARLY_ALL_OF_TWO):
        is_learnt = learning.drop > LEARNT
        is_grave = learning.outcome == Outcome.BAD or (is_learnt and share == 1)
        yield Finding(
            level=Level.WARNING if is_grave else Level.INFO,
            message="labels" if is_learnt and share == 1 else "one",
            numbers=numbers,
            measured=share,
            limit=Limit(value=NEARLY_ALL, unit="share", source=_SOURCE),
            places=(Place(kind="class", name=str(favourite), note=f"{share:.0%}", score=share),),
            num_places=1,
        )
    elif learning.drop > BAD_DROP and _is_in_turn(chosen, shares, favourites):
        yield Finding(
            level=Level.WARNING,
            message="in_turn",
            numbers={**numbers, "percent": f"{100 * float(np.median(shares)):.0f}"},
            measured=float(np.median(shares)),
            limit=Limit(value=IN_TURN, unit="share", source="healthy trainings of small nets"),
        )
    elif len(never) and total / num_classes > EXPECTED:
        yield Finding(
            level=Level.INFO,
            message="never",
            numbers=numbers,
            measured=len(never),
            places=tuple(Place(kind="class", name=str(label)) for label in never[:MOST_PLACES]),
            num_places=len(never),
        )


def _is_in_turn(chosen: Rows, shares: Floats, favourites: NDArray[np.intp]) -> bool:
    """Return whether each sample has one answer, and another than the sample before."""
    if np.median(chosen.sum(1)) < LEAST_BATCH or np.median(shares) < IN_TURN:
        return False
    return bool(len(np.unique(favourites)) >= min(3, chosen.shape[1]))


CHECK = Check(
    code="T15",
    name="class-collapse",
    stage=Stage.TRAINING,
    judge=judge,
    covers=("DX-001", "DX-004", "DX-012", "DX-031"),
    caused_by=("T1", "T14", "T20", "T10", "T6", "T8", "T9", "T7", "T24", "T25", "T3"),
    source="trainproof; SageMaker Debugger, class imbalance",
    pages={
        "en": Page(
            title="one class for everything, or classes never predicted",
            finds="A classifier whose first choice is one class for nearly all training images, one class for a while "
            "and then another, or never some of its classes.",
            matters="The loss may fall all the same: naming the frequent class, or the class that comes just now, is "
            "the cheapest way down. Accuracy then looks better than the model is.",
            measured="First choices in the last third of the samples, 50 at least. One class with more than 95 % (99 % "
            "of two classes): a warning where the loss has not fallen, or where all choices are alike and 90 % of the "
            "loss is gone (then all labels are alike); else told. Samples of 16 images or more with one class for 80 % "
            "of them, and three classes in turn, while the loss falls: a warning. A class with no choice where 50 "
            "would be its share: told.",
            false_alarms="A head with more outputs than there are classes in the data; data of which one class makes "
            "up nearly all.",
            fix="Look at how often each class occurs (snellen check has D13). Then balanced sampling, class weights or "
            "focal loss; if nothing is learned at all, see the rate and the labels.",
            messages={
                "one": "{percent} % of the answers are class {label} of {classes}.",
                "labels": "Every answer is class {label} and the loss is nearly gone: all labels are alike.",
                "in_turn": "{percent} % of the answers of a step are one class, and another one later: images come in "
                "the order of their classes.",
                "never": "{never} of {classes} classes were not chosen once in {total} answers.",
            },
            fixes={
                "labels": "See where the labels come from: a file that was read wrongly, a column that is constant, "
                "ids that were cut.",
                "in_turn": "Shuffle the training images each epoch (DataLoader(shuffle=True)).",
            },
        ),
        "zh": Page(
            title="只预测一个类别，或有类别从不被预测",
            finds="对几乎所有训练图像都首选同一类别、一段时间只选一个类别然后换另一个，或从不选择某些类别的分类器。",
            matters="损失可能照样下降：总说常见的类别，或当前正在出现的类别，是最省力的办法。"
            "准确率因此看起来比模型好。",
            measured="看后三分之一样本（至少 50 个）的首选类别。一个类别超过 95%（两类时 99%）：损失没有下降，"
            "或首选全部相同且损失已去掉 90%（说明标签全相同）时警告；否则提示。每个样本至少 16 张图像、"
            "80% 为同一类别且先后有三个类别，而损失在下降：警告。按份额应有 50 次而从未被选的类别：提示。",
            false_alarms="输出多于数据中类别数的分类头；几乎全是一个类别的数据。",
            fix="查看各类别的数量（snellen check 的 D13）。然后用均衡采样、类别权重或 focal loss；如果什么都没学到，"
            "检查学习率和标签。",
            messages={
                "one": "{classes} 个类别中，{percent}% 的答案是类别 {label}。",
                "labels": "所有答案都是类别 {label}，损失几乎为零：标签全部相同。",
                "in_turn": "一步中 {percent}% 的答案是同一类别，之后换成另一个：图像按类别顺序出现。",
                "never": "{total} 个答案中，{classes} 个类别里有 {never} 个一次也没有被选。",
            },
            fixes={
                "labels": "查看标签的来源：文件读错、某列为常数、编号被截断。",
                "in_turn": "每个周期打乱训练图像（DataLoader(shuffle=True)）。",
            },
        ),
    },
)
