"""class-collapse (T15)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit, Number, Place
from snellen.doctor.watching.outcome import Learning, Outcome
from snellen.doctor.watching.showing import answer_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.watching.updates import late, need_samples
from snellen.doctor.words import Text

__all__ = ["CHECK"]

NEARLY_ALL = 0.95  # of the first choices; trainproof
NEARLY_ALL_OF_TWO = 0.99  # with two classes
LEARNT = 0.9  # of the loss, gone, though there is one answer only
LEAST_CHOICES = 50  # in the samples that are looked at
RARE = 0.2  # of an even share
EXPECTED = 25.0  # choices of a class if all were alike, before one that has few is told
MOST_PLACES = 50
_SOURCE = "trainproof, class collapse"


def judge(trace: Trace, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if one class is the answer to everything, or some class is no answer at all."""
    chosen = trace.named[trace.named.sum(1) > 0]
    if not chosen.size:
        raise NotCheckable(Text(en="the model gives no scores of classes", zh="模型不输出类别分数"))
    need_samples(len(chosen))
    chosen = late(chosen)
    total, num_classes = int(chosen.sum()), chosen.shape[1]
    if total < LEAST_CHOICES:
        raise NotCheckable(Text(en=f"{total} answers are too few", zh=f"只有 {total} 个答案，太少"))
    favourite = int(chosen.sum(0).argmax())
    share = float(chosen.sum(0).max() / total)
    of_class = chosen.sum(0)
    never, rare = np.flatnonzero(of_class == 0), np.flatnonzero(of_class < RARE * total / num_classes)
    numbers: dict[str, Number] = {
        "classes": num_classes,
        "label": favourite,
        "percent": f"{100 * share:.0f}",
        "never": len(never),
        "rare": len(rare),
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
    elif total / num_classes > EXPECTED and (len(never) or (len(rare) and learning.outcome == Outcome.GOOD)):
        yield Finding(
            level=Level.INFO,
            message="never" if len(never) == len(rare) else "rare",
            numbers=numbers,
            measured=len(rare),
            limit=Limit(value=RARE, unit="share", source=_SOURCE),
            places=tuple(
                Place(kind="class", name=str(label), note=f"{of_class[label] / total:.1%}")
                for label in rare[:MOST_PLACES]
            ),
            num_places=len(rare),
        )


CHECK = Check(
    code="T15",
    name="class-collapse",
    stage=Stage.TRAINING,
    judge=judge,
    curves=answer_curves,
    covers=("DX-001", "DX-004", "DX-012"),
    caused_by=("T1", "T28", "T29", "T14", "T20", "T26", "T27", "T25", "T24", "T10", "T6", "T8", "T9", "T7", "T3"),
    source="trainproof; SageMaker Debugger, class imbalance",
    pages={
        "en": Page(
            title="one class for everything, or classes never predicted",
            finds="A classifier whose first choice is one class for nearly all training images, or hardly ever some of "
            "its classes.",
            matters="The loss may fall all the same: naming the frequent class is the cheapest way down. Accuracy then "
            "looks better than the model is.",
            measured="First choices in the last third of the samples, 50 at least. One class with more than 95 % (99 % "
            "of two classes): a warning where the loss has not fallen, or where all choices are alike and 90 % of the "
            "loss is gone (then all labels are alike); else told. Classes with less than a fifth of an even share, "
            "where 25 would be that share: told where the loss is down by half, and anywhere if they have none.",
            false_alarms="A head with more outputs than there are classes in the data; data of which one class makes "
            "up nearly all.",
            fix="Look at how often each class occurs (snellen check has D13). Then balanced sampling, class weights or "
            "focal loss; if nothing is learned at all, see the rate and the labels.",
            messages={
                "one": "{percent} % of the answers are class {label} of {classes}.",
                "labels": "Every answer is class {label} and the loss is nearly gone: all labels are alike.",
                "never": "{never} of {classes} classes were not chosen once in {total} answers.",
                "rare": "{rare} of {classes} classes have less than a fifth of an even share of {total} answers.",
            },
            fixes={
                "labels": "See where the labels come from: a file that was read wrongly, a column that is constant, "
                "ids that were cut.",
            },
        ),
        "zh": Page(
            title="只预测一个类别，或有类别从不被预测",
            finds="对几乎所有训练图像都首选同一类别、或很少选择某些类别的分类器。",
            matters="损失可能照样下降：总说常见的类别是最省力的办法。准确率因此看起来比模型好。",
            measured="看后三分之一样本（至少 50 个）的首选类别。一个类别超过 95%（两类时 99%）：损失没有下降，"
            "或首选全部相同且损失已去掉 90%（说明标签全相同）时警告；否则提示。平均份额达到 25 次而不到其五分之一的类"
            "别：损失下降一半时提示；一次也没有的总是提示。",
            false_alarms="输出多于数据中类别数的分类头；几乎全是一个类别的数据。",
            fix="查看各类别的数量（snellen check 的 D13）。然后用均衡采样、类别权重或 focal loss；如果什么都没学到，"
            "检查学习率和标签。",
            messages={
                "one": "{classes} 个类别中，{percent}% 的答案是类别 {label}。",
                "labels": "所有答案都是类别 {label}，损失几乎为零：标签全部相同。",
                "rare": "{total} 个答案中，{classes} 个类别里有 {rare} 个不到平均份额的五分之一。",
                "never": "{total} 个答案中，{classes} 个类别里有 {never} 个一次也没有被选。",
            },
            fixes={
                "labels": "查看标签的来源：文件读错、某列为常数、编号被截断。",
            },
        ),
    },
)
