"""class-ids (D5)."""

import re
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from snellen.data import BoxTable, DatasetIndex, ValueTable
from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.objects import problem_places, written_place
from snellen.doctor.evidence.labels import problems_of
from snellen.doctor.evidence.mask_pixels import MaskPixels
from snellen.doctor.finding import Finding, Level, Place

__all__ = ["CHECK"]

BACKGROUND_NAMES = frozenset(("background", "bg", "__background__", "_background_"))
VOID_VALUE = 255  # of label images; Pascal VOC
_UNNAMED = re.compile(r"class_\d+")


def judge(index: DatasetIndex, masks: MaskPixels | None) -> Iterator[Finding]:
    """Yield a finding for numbers that are no class, numbers from 1 on, and names that mean the same."""
    offset = _from_one(index, masks)
    if offset is not None:
        yield offset
    for message, level, codes in (
        ("out_of_range", Level.ERROR, ("class-out-of-range",)),
        ("unknown", Level.ERROR, ("class-unknown",)),
        ("conflict", Level.ERROR, ("category-conflict",)),
        ("count", Level.WARNING, ("class-count",)),
    ):
        named, count = problems_of(index, *codes)
        if count and not (message == "out_of_range" and offset is not None):
            places = problem_places(index, named)
            yield Finding(level=level, message=message, measured=float(count), places=places, num_places=count,
                          numbers={"count": count, "classes": len(index.classes), "first": written_place(places)}
                          )  # fmt: skip
    yield from _variants(index)
    yield from _background(index)


def _from_one(index: DatasetIndex, masks: MaskPixels | None) -> Finding | None:
    """Return a finding if the lowest number that is written is 1 and the highest is the number of classes."""
    if isinstance(index.annotations, BoxTable) and index.format == "yolo":
        beyond = np.zeros(0, np.int32) if index.annotations.changed is None else index.annotations.changed.labels
        written = np.unique(np.concatenate([index.annotations.labels, beyond]))
    elif masks is not None and not masks.coloured and not masks.thresholded:
        written = masks.values[masks.values < VOID_VALUE]
    else:
        return None
    count = len(index.classes)
    is_unnamed = all(_UNNAMED.fullmatch(name) for name in index.classes)
    if not len(written) or written.min() != 1:
        return None
    if is_unnamed and written.max() == count - 1 and count > 2:
        level, message = Level.WARNING, "from_one_unnamed"
    elif not is_unnamed and written.max() == count:
        level, message = Level.ERROR, "from_one"
    else:
        return None
    places = problem_places(index, problems_of(index, "class-out-of-range", "mask-value-unknown")[0])
    return Finding(
        level=level,
        message=message,
        numbers={"classes": count, "most": int(written.max()), "first": index.classes[0], "last": index.classes[-1]},
        measured=1.0,
        places=places,
        num_places=len(places),
    )


def _variants(index: DatasetIndex) -> Iterator[Finding]:
    """Yield a finding if names differ only in case, spaces, hyphens or underscores; those of values are no classes."""
    if isinstance(index.annotations, ValueTable):
        return
    counts = index.annotations.class_counts(len(index.classes)).sum(0)
    by_name: dict[str, list[int]] = defaultdict(list)
    for label, name in enumerate(index.classes):
        by_name[re.sub(r"[\s_-]+", " ", name).strip().casefold()].append(label)
    groups = [labels for labels in by_name.values() if len(labels) > 1 and (counts[labels] > 0).any()]
    if groups:
        first = [repr(index.classes[label]) for label in groups[0]]
        yield Finding(
            level=Level.WARNING,
            message="variants",
            numbers={"count": len(groups), "names": ", ".join(first)},
            measured=float(len(groups)),
            places=tuple(
                Place(kind="class", name=index.classes[label], note=str(int(counts[label])))
                for labels in groups
                for label in labels
            ),
            num_places=sum(map(len, groups)),
        )


def _background(index: DatasetIndex) -> Iterator[Finding]:
    """Yield a finding if a detector is given the background as a class."""
    if not isinstance(index.annotations, BoxTable):
        return
    counts = index.annotations.class_counts(len(index.classes)).sum(0)
    for label, name in enumerate(index.classes):
        if name.strip().casefold() in BACKGROUND_NAMES:
            used = int(counts[label])
            yield Finding(
                level=Level.WARNING if used else Level.INFO,
                message="background" if used else "background_unused",
                numbers={"name": name, "count": used},
                measured=float(used),
                places=(Place(kind="class", name=name, note=str(used)),),
                num_places=1,
            )


CHECK = Check(
    code="D5",
    name="class-ids",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-012",),
    source="Ultralytics' verify_image_label (range); datumaro, UndefinedLabel",
    pages={
        "en": Page(
            title="numbers and names of classes that do not fit",
            finds="Numbers that are no class, labels that begin at 1 where they must begin at 0, one number with two "
            "names, names that differ only in case or spaces, a background class among the objects.",
            matters="A number out of range stops a training, or is left out with its object. Labels that begin at 1 "
            "teach every class under the name of the next. 'Cat' and 'cat ' are two classes to a network, each with "
            "half of the examples, and every detection of one is wrong for the other.",
            measured="Exact. Labels begin at 1 if the lowest number written is 1 and the highest is the number of "
            "named classes (a warning where no names are given and number 0 never occurs). Names are compared without "
            "case, spaces, hyphens and underscores.",
            false_alarms="Names that do differ by their case only. A first class that happens not to occur, where "
            "classes have no names.",
            fix="Number classes from 0 in the order of the list of names; give every class one name, spelt alike in "
            "all splits.",
            messages={
                "from_one": "Labels go from 1 to {most} for {classes} classes: they begin at 1 instead of 0, so that "
                "{first} is never named and {last} is taught under another name.",
                "from_one_unnamed": "Number 0 never occurs and numbers go up to {most}: labels may begin at 1.",
                "out_of_range": "{count} objects have a number that is none of the {classes} classes and are left "
                "out; the first in {first}.",
                "unknown": "{count} entries name a class that is not listed; the first in {first}.",
                "conflict": "{count} numbers of classes have different names in two files; the first in {first}.",
                "count": "The stated number of classes is not that of the names ({classes}); the names decide.",
                "variants": "{count} classes are written in several ways, such as {names}.",
                "background": "{name} is a class of objects here, with {count} boxes; detectors know the background "
                "by themselves.",
                "background_unused": "{name} is listed as a class of objects and never used; it costs outputs only.",
            },
            fixes={
                "from_one": "Subtract 1 from every number in the label files, or put the name that is missing in "
                "front of the list.",
                "background": "Delete these boxes and the class: whatever is in no box is background.",
                "background_unused": "Take it off the list of classes; numbers of the others move down by one then.",
                "variants": "Rename the folders or labels to one spelling.",
            },
        ),
        "zh": Page(
            title="类别编号或名称不符",
            finds="不属于任何类别的编号、应从 0 开始却从 1 开始的标签、同一编号有两个名称、只有大小写或空格不同的名"
            "称、目标类别中混入背景类。",
            matters="超出范围的编号会使训练中止，或连同目标被略过。从 1 开始的标签会让每个类别都以下一个类别的名称来学"
            "习。“Cat”和“cat ”对网络来说是两个类别，各占一半样本，对其中一个的检测在另一个看来都是错的。",
            measured="精确判断。如果写出的最小编号是 1、最大编号等于有名称的类别数，则标签从 1 开始（没有名称且编号 0 "
            "从不出现时为警告）。比较名称时忽略大小写、空格、连字符和下划线。",
            false_alarms="确实只靠大小写区分的名称。没有名称、而第一个类别恰好没有出现的数据。",
            fix="按名称列表的顺序从 0 开始编号；每个类别只用一个名称，在所有子集中写法一致。",
            messages={
                "from_one": "{classes} 个类别的标签为 1 到 {most}：从 1 而不是 0 开始，于是 {first} 从不被指到，"
                "{last} 以别的名称学习。",
                "from_one_unnamed": "编号 0 从不出现，最大编号为 {most}：标签可能从 1 开始。",
                "out_of_range": "{count} 个目标的编号不属于 {classes} 个类别，已略过；第一个在 {first}。",
                "unknown": "{count} 个条目使用了未列出的类别；第一个在 {first}。",
                "conflict": "{count} 个类别编号在两个文件中名称不同；第一个在 {first}。",
                "count": "所写的类别数与名称数（{classes}）不符；以名称为准。",
                "variants": "{count} 个类别有多种写法，例如 {names}。",
                "background": "{name} 在这里是目标类别，有 {count} 个框；检测器本身就知道背景。",
                "background_unused": "{name} 被列为目标类别却从未使用；只是多占输出。",
            },
            fixes={
                "from_one": "把标签文件中的每个编号减 1，或把缺少的名称加到列表最前面。",
                "background": "删除这些框和该类别：不在任何框中的就是背景。",
                "background_unused": "从类别列表中去掉；其后的编号随之减一。",
                "variants": "把文件夹或标签改成同一种写法。",
            },
        ),
    },
)
