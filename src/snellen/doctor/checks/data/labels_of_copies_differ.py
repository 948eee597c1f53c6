"""labels-of-copies-differ (D15)."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from snellen.data import (
    AnnotationTable,
    BoxTable,
    ClassTable,
    DatasetIndex,
    LabelSetTable,
    MaskTable,
    OutlineTable,
    ValueTable,
    read_mask,
)
from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.images import pair_places
from snellen.doctor.evidence.copies import ImageCopies
from snellen.doctor.finding import Finding, Level
from snellen.errors import DatasetError

__all__ = ["CHECK"]

SAME_BOX_IOU = 0.5  # of two boxes of a class that mean one object; PASCAL VOC's criterion
SAME_VALUE = 1e-3  # relative difference of two numbers that one picture may have; rounding to three digits
MASK_SHARE = 0.01  # of the pixels in which two masks of one picture may differ


def judge(index: DatasetIndex, copies: ImageCopies) -> Iterator[Finding]:
    """Yield the copies that are annotated differently."""
    exact = [
        (int(group[0]), int(row))
        for group in copies.exact_groups
        for row in group[1:]
        if not _same_labels(index, int(group[0]), int(row))
    ]
    single = isinstance(index.annotations, ClassTable)
    if exact:
        contradict = isinstance(index.annotations, (ClassTable, LabelSetTable))
        yield Finding(
            level=Level.ERROR if contradict else Level.WARNING,
            message="default" if single else "objects",
            numbers={"count": len(exact), "images": len(index)},
            places=pair_places(index, np.array(exact)),
            num_places=len(exact),
        )
    if not isinstance(index.annotations, ClassTable):
        return
    labels = index.annotations.labels[copies.pairs]
    differs = (labels[:, 0] != labels[:, 1]) & (labels >= 0).all(1)
    if differs.any():
        yield Finding(
            level=Level.WARNING,
            message="near",
            numbers={"count": int(differs.sum()), "images": len(index)},
            places=pair_places(index, copies.pairs[differs], copies.similarity[differs]),
            num_places=int(differs.sum()),
        )


def _same_labels(index: DatasetIndex, first: int, second: int) -> bool:
    return _SAME[type(index.annotations)](index, index.annotations, first, second)


def _same_class(index: DatasetIndex, table: ClassTable, first: int, second: int) -> bool:
    del index
    ours, theirs = table.labels[first], table.labels[second]
    return bool(ours == theirs or ours < 0 or theirs < 0)


def _same_set(index: DatasetIndex, table: LabelSetTable, first: int, second: int) -> bool:
    del index
    both = table.known[first] & table.known[second]
    return not bool((both & (table.shown[first] != table.shown[second])).any())


def _same_values(index: DatasetIndex, table: ValueTable, first: int, second: int) -> bool:
    del index
    ours, theirs = table.values[first], table.values[second]
    both = np.isfinite(ours) & np.isfinite(theirs)
    return bool(np.isclose(ours[both], theirs[both], rtol=SAME_VALUE, atol=0).all())


def _same_boxes(index: DatasetIndex, table: BoxTable, one: int, other: int) -> bool:
    """Return whether each object has its own counterpart of the same class."""
    del index
    first, second = table.rows(one), table.rows(other)
    ours, theirs = table.boxes[first], table.boxes[second]
    if len(ours) != len(theirs):
        return False
    low = np.maximum(ours[:, None, :2], theirs[None, :, :2])
    high = np.minimum(ours[:, None, 2:], theirs[None, :, 2:])
    common = (high - low).clip(min=0).prod(2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(1) for boxes in (ours, theirs)]
    iou = common / np.maximum(areas[0][:, None] + areas[1][None] - common, 1e-9)
    iou[table.labels[first][:, None] != table.labels[second][None]] = 0
    exact = (ours[:, None] == theirs[None]).all(2) & (table.labels[first][:, None] == table.labels[second][None])
    matches = (iou >= SAME_BOX_IOU) | exact  # boxes without area have no overlap even with themselves
    return _paired(matches)


def _paired(matches: NDArray[np.bool_]) -> bool:
    rows, columns = linear_sum_assignment(~matches)
    return bool(matches[rows, columns].all())


def _same_masks(index: DatasetIndex, table: MaskTable, first: int, second: int) -> bool:
    try:
        ours, theirs = (
            table.labelled(read_mask(index.root / table.paths[row], coloured=table.coloured)) for row in (first, second)
        )
    except DatasetError:  # another check tells of masks that cannot be read
        return True
    return ours.shape == theirs.shape and bool((ours != theirs).mean() <= MASK_SHARE)


def _same_outlines(index: DatasetIndex, table: OutlineTable, first: int, second: int) -> bool:
    return _same_boxes(index, table.objects, first, second)


_SAME: Mapping[type[AnnotationTable | OutlineTable], Callable[[DatasetIndex, Any, int, int], bool]] = {
    BoxTable: _same_boxes,
    ClassTable: _same_class,
    LabelSetTable: _same_set,
    MaskTable: _same_masks,
    OutlineTable: _same_outlines,
    ValueTable: _same_values,
}

CHECK = Check(
    code="D15",
    name="labels-of-copies-differ",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-011",),
    source="cleanlab, near-duplicate sets with several given labels; the contradiction is exact",
    pages={
        "en": Page(
            title="one picture, two labels",
            finds="Copies of one image that are labelled differently.",
            matters="One of the labels is wrong, or the classes overlap. The model is pulled both ways, and no model "
            "can be right on both.",
            measured="Labels of exact copies (same file, or same pixels) are compared. Another class is an error: it "
            "contradicts itself. Other objects (no counterpart of the same class with IoU 0.5) or masks (1 % of the "
            "pixels differ) are a warning, as are near copies with another class. Label sets that contradict are an "
            "error, numbers that differ by more than 0.1 % a warning.",
            false_alarms="Images filed under every class that is in them: then more than one class per image is "
            "right, and the data should say so. Near copies that differ in the very detail that makes the class.",
            fix="Look at the pairs, keep the right label and drop the other copy; if both are right, merge the "
            "classes or make the task multi-label.",
            messages={
                "default": "{count} exact copies among {images} images have another class than their twin.",
                "objects": "{count} exact copies among {images} images are annotated otherwise than their twin.",
                "near": "{count} near copies among {images} images have another class than their twin.",
            },
        ),
        "zh": Page(
            title="同一画面，两种标签",
            finds="同一图像的多个副本标注不同。",
            matters="其中一个标签是错的，或类别有重叠。模型被拉向两边，任何模型都不可能两者皆对。",
            measured="比较完全副本（文件相同或像素相同）的标签。类别不同即自相矛盾，报错误。目标不同（没有 IoU 达到 "
            "0.5 的同类目标）或掩码不同（1% 的像素不同）会警告，类别不同的近似副本也会警告。标签集相互矛盾报错误，数值"
            "相差超过 0.1% 会警告。",
            false_alarms="图像被放入其中出现的每个类别的文件夹：此时一图多类才对，数据应如此写明。近似副本恰好在决定类"
            "别的细节上不同。",
            fix="查看这些图像对，保留正确的标签并删除另一副本；若两者都对，合并类别或改为多标签任务。",
            messages={
                "default": "{images} 张图像中有 {count} 个完全副本的类别与其孪生图像不同。",
                "objects": "{images} 张图像中有 {count} 个完全副本的标注与其孪生图像不同。",
                "near": "{images} 张图像中有 {count} 个近似副本的类别与其孪生图像不同。",
            },
        ),
    },
)
