"""class-missing-in-split (D12)."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex, MaskTable
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.objects import class_places
from snellen.doctor.evidence.labels import class_counts_of
from snellen.doctor.finding import Finding, Level, Place
from snellen.doctor.words import Text

__all__ = ["CHECK"]

# Test splits are often published without labels.
_EMPTY_LEVELS = {"train": Level.ERROR, "val": Level.WARNING}


def judge(index: DatasetIndex) -> Iterator[Finding]:
    """Yield a finding for classes that one split has and another lacks, and for those that nobody has."""
    if isinstance(index.annotations, MaskTable) and index.annotations.present is None:
        raise NotCheckable(Text(en="no label image has been looked at", zh="没有查看过任何标签图像"))
    counts = class_counts_of(index)
    if not counts.sum():
        raise NotCheckable(Text(en="nothing is annotated", zh="没有任何标注"))
    of_split = {name: counts[index.split_rows(name)].sum(0) for name in index.split_names}
    held = {name: total for name, total in of_split.items() if total.sum()}
    for name in of_split:
        if name not in held and len(index.split_rows(name)):
            yield _empty(index, name)
    train = held.get("train")
    everywhere = counts.sum(0)
    if train is not None:
        others = np.asarray(sum(total for name, total in held.items() if name != "train"))
        yield from _found(index, "not_trained", Level.WARNING, (train == 0) & (others > 0), others)
        for name, level in (("val", Level.WARNING), ("test", Level.INFO)):
            if name in held:
                lacking = (held[name] == 0) & (train > 0)
                yield from _found(index, f"not_in_{name}", level, lacking, train)
    yield from _found(index, "never", Level.INFO, everywhere == 0, everywhere)


def _empty(index: DatasetIndex, name: str) -> Finding:
    number = len(index.split_rows(name))
    return Finding(
        level=_EMPTY_LEVELS.get(name, Level.INFO),
        message="empty",
        numbers={"split": name, "images": number},
        measured=0.0,
        places=(Place(kind="split", name=name, note=str(number)),),
        num_places=1,
    )


def _found(
    index: DatasetIndex, message: str, level: Level, lacking: NDArray[np.bool_], counts: NDArray[np.int64]
) -> Iterator[Finding]:
    labels: Sequence[int] = np.flatnonzero(lacking).tolist()
    if labels:
        names = [index.classes[label] for label in labels]
        yield Finding(
            level=level,
            message=message,
            numbers={"count": len(labels), "classes": len(index.classes), "names": ", ".join(names[:5])},
            measured=float(len(labels)),
            places=class_places(
                index, [(label, float(np.broadcast_to(counts, len(lacking))[label])) for label in labels]
            ),
            num_places=len(labels),
        )


CHECK = Check(
    code="D12",
    name="class-missing-in-split",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-012",),
    caused_by=("D5",),
    source="datumaro, MissingLabel; COCO's evaluation, which gives -1 to a class without objects",
    pages={
        "en": Page(
            title="a class that a split lacks",
            finds="Classes that occur in one split and in another not once.",
            matters="A class that is not trained is never predicted, and its objects count as missed. A class that is "
            "not validated has no metric: COCO's tools give it -1 and leave it out of the mean, others count 0, and "
            "nobody sees whether it was learned.",
            measured="Exact: examples of each class are counted in each split; a class with 0 in one and more in "
            "another is named. A split in which nothing is annotated is an error for training, a warning for "
            "validation, and told for others.",
            false_alarms="Rare classes in small validation sets, and experiments that leave classes out on purpose.",
            fix="Divide the data anew with the classes spread alike (without own splits Snellen does so), or move "
            "some images of the class.",
            messages={
                "empty": "Nothing is annotated on any of the {images} images of {split}.",
                "not_trained": "{count} of {classes} classes are validated or tested but never trained: {names}.",
                "not_in_val": "{count} of {classes} classes are trained but do not occur in the validation split: "
                "{names}.",
                "not_in_test": "{count} of {classes} classes are trained but do not occur in the test split: {names}.",
                "never": "{count} of {classes} classes have no example anywhere: {names}.",
            },
            fixes={
                "never": "Take the names off the list if they are not to come; every class costs outputs, and an "
                "empty one may hide a misspelt name.",
            },
        ),
        "zh": Page(
            title="某个子集缺少的类别",
            finds="在一个子集中出现、在另一个子集中一次也没有出现的类别。",
            matters="没有训练过的类别永远不会被预测，其目标都算漏检。没有验证样本的类别没有指标：COCO 工具给 -1 并从均"
            "值中去掉，其他工具算作 0，谁也看不出它是否学会。",
            measured="精确判断：统计每个子集中每个类别的样本；在一个子集为 0、在另一个大于 0 的类别会被列出。没有任何"
            "标注的子集：训练集为错误，验证集为警告，其他只作提示。",
            false_alarms="小验证集中的稀有类别，以及有意留出某些类别的实验。",
            fix="重新划分数据，使各类别分布一致（没有自带划分时 Snellen 会这样做），或移动该类别的一些图像。",
            messages={
                "empty": "{split} 的 {images} 张图像上没有任何标注。",
                "not_trained": "{classes} 个类别中有 {count} 个用于验证或测试却从未训练：{names}。",
                "not_in_val": "{classes} 个类别中有 {count} 个参与训练却不在验证集中：{names}。",
                "not_in_test": "{classes} 个类别中有 {count} 个参与训练却不在测试集中：{names}。",
                "never": "{classes} 个类别中有 {count} 个在任何地方都没有样本：{names}。",
            },
            fixes={
                "never": "如果不会再有样本，就从名单中去掉；每个类别都占用输出，而空类别可能掩盖了拼错的名称。",
            },
        ),
    },
)
