"""broken-annotation (D4)."""

from collections.abc import Iterator

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.objects import problem_places, written_place
from snellen.doctor.evidence.labels import problems_of
from snellen.doctor.finding import Finding, Level

__all__ = ["CHECK"]

# Message of a finding, its level and the problems it gathers, as the readers of formats name them.
_KINDS: tuple[tuple[str, Level, tuple[str, ...]], ...] = (
    (
        "unreadable",
        Level.ERROR,
        ("annotation-unreadable", "category-unreadable", "class-missing", "image-entry-unreadable", "mask-unreadable",
         "row-short", "value-not-finite"),
    ),
    ("not_finite", Level.ERROR, ("box-not-finite",)),
    ("dangling", Level.ERROR, ("image-unknown", "category-unknown")),
    ("split_missing", Level.WARNING, ("split-missing",)),
    ("repeated", Level.WARNING, ("image-duplicate", "split-overlap")),
    ("outline", Level.WARNING, ("outline-unreadable",)),
    ("size", Level.WARNING, ("size-mismatch",)),
)  # fmt: skip


def judge(index: DatasetIndex) -> Iterator[Finding]:
    """Yield a finding for each kind of entry that cannot be read or contradicts another."""
    for message, level, codes in _KINDS:
        yield from _gathered(index, message, level, codes)
    if index.format == "coco":
        yield from _gathered(index, "same_id", Level.WARNING, ("annotation-duplicate",))


def _gathered(index: DatasetIndex, message: str, level: Level, codes: tuple[str, ...]) -> Iterator[Finding]:
    named, count = problems_of(index, *codes)
    if not count:
        return
    places = problem_places(index, named)
    yield Finding(
        level=level,
        message=message,
        numbers={"count": count, "first": written_place(places)},
        measured=float(count),
        places=places,
        num_places=count,
    )


CHECK = Check(
    code="D4",
    name="broken-annotation",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-011",),
    source="datumaro's import errors; Ultralytics' verify_image_label; pycocotools' assumptions about ids",
    pages={
        "en": Page(
            title="annotations that cannot be read",
            finds="Entries of annotation files that do not parse, are no numbers, refer to an image or a class that "
            "is not listed, or carry a number that another entry has already.",
            matters="Reading leaves such entries out, so the objects are taught as background; other tools stop, or "
            "attach them to the wrong image.",
            measured="Exact: every entry is read, and each that is left out is named with its file and line. Repeated "
            "entries and sizes that differ from the image are warnings, since reading knows what to do.",
            false_alarms="An annotation file that was cut down to some images but kept all objects: the others then "
            "refer to nothing. A size of 0 x 0 that a tool writes where it does not know.",
            fix="Correct the entries at the files and lines listed, or export the annotations again; after changes by "
            "hand, convert once with `snellen data convert` to see that nothing is lost.",
            messages={
                "unreadable": "{count} entries cannot be read and are left out; the first in {first}.",
                "not_finite": "{count} boxes hold something that is no finite number and are left out; the first in "
                "{first}.",
                "dangling": "{count} objects refer to an image or a class that is not listed and are left out; the "
                "first in {first}.",
                "split_missing": "{count} listed splits or folders are not there; the first in {first}.",
                "repeated": "{count} images are listed more than once; the first in {first}.",
                "same_id": "{count} numbers of objects are used more than once; the first in {first}.",
                "outline": "{count} outlines cannot be read, so that boxes stand for them; the first in {first}.",
                "size": "For {count} images the annotation states another size than the file has; the first in "
                "{first}.",
            },
            fixes={
                "split_missing": "Correct the paths of the splits in the data set's file, or delete the entry.",
                "repeated": "List every image once, in one split.",
                "same_id": "Give every object its own number; evaluation tools that match by number confuse them "
                "otherwise.",
                "size": "Look at some of these images with their boxes drawn: if the boxes fit, correct the stated "
                "size; if not, the image was resized after it was annotated, and the boxes have to be scaled.",
            },
        ),
        "zh": Page(
            title="无法读取的标注",
            finds="标注文件中无法解析、不是数字、引用了未列出的图像或类别、或与其他条目编号重复的条目。",
            matters="读取时会略过这些条目，于是其中的目标被当作背景来学习；其他工具会停止，或把它们归到错误的图像。",
            measured="精确判断：逐条读取，每个被略过的条目都注明文件和行号。重复条目和与图像不符的尺寸只作警告，因为读"
            "取时知道如何处理。",
            false_alarms="标注文件只保留了部分图像却保留了全部目标：其余目标便没有归属。有些工具在不知道尺寸时写 0 x "
            "0。",
            fix="按所列文件和行号改正条目，或重新导出标注；手工修改之后，"
            "用 `snellen data convert` 转换一次，确认没有丢失。",
            messages={
                "unreadable": "{count} 个条目无法读取，已略过；第一个在 {first}。",
                "not_finite": "{count} 个框含有非有限数值，已略过；第一个在 {first}。",
                "dangling": "{count} 个目标引用了未列出的图像或类别，已略过；第一个在 {first}。",
                "split_missing": "{count} 个所列的子集或文件夹不存在；第一个在 {first}。",
                "repeated": "{count} 张图像被重复列出；第一个在 {first}。",
                "same_id": "{count} 个目标编号被重复使用；第一个在 {first}。",
                "outline": "{count} 个轮廓无法读取，改用其框；第一个在 {first}。",
                "size": "{count} 张图像的标注尺寸与文件不符；第一个在 {first}。",
            },
            fixes={
                "split_missing": "改正数据集文件中各子集的路径，或删除该条目。",
                "repeated": "每张图像只在一个子集中列出一次。",
                "same_id": "给每个目标唯一的编号；否则按编号匹配的评估工具会把它们混淆。",
                "size": "把框画在其中一些图像上查看：如果框吻合，就改正所写的尺寸；如果不吻合，说明图像在标注后被缩放"
                "过，框也需要相应缩放。",
            },
        ),
    },
)
