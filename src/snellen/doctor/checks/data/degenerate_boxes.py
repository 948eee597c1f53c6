"""degenerate-boxes (D7)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snellen.data import BoxTable, DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.images import MAX_PLACES
from snellen.doctor.checks.objects import object_places, rounded
from snellen.doctor.evidence.labels import Objects, problems_of
from snellen.doctor.evidence.resized import ResizedObjects
from snellen.doctor.finding import Finding, Level, Limit, Place

__all__ = ["CHECK"]

BEYOND_SHARE = 0.01  # of the side of the image; what reaches further out is more than rounding
WARNING_SHARE = 0.01  # of all boxes; rarer repetitions and overhangs are told, not warned of
SAME_BOX_PX = 0.5  # corners that differ by less are one box, written twice with other rounding
LEAST_SIDE_PX = 1.0  # after resizing; Ultralytics drops boxes below 2 px
WHOLE_SHARE = 0.98  # of the image's area that a box covers which is the whole image
ALL_SHARE = 0.95  # of the boxes that are whole images, beyond which nobody has drawn boxes
LEAST_BOXES = 20  # from which something is said of all boxes


def judge(index: DatasetIndex, objects: Objects | None, resized: ResizedObjects | None) -> Iterator[Finding]:
    """Yield a finding for each way in which boxes are no boxes of objects."""
    table = index.annotations
    if not isinstance(table, BoxTable):
        raise NotCheckable(Objects.ABSENT)
    yield from _left_out(index, table, "no_area", "box-degenerate")
    yield from _left_out(index, table, "outside", "box-outside")
    if objects is None:
        return
    yield from _beyond(index, table, len(objects))
    yield from _repeated(index, objects)
    yield from _whole_images(index, objects)
    if resized is not None:
        yield from _vanishing(index, objects, resized)


def _left_out(index: DatasetIndex, table: BoxTable, message: str, code: str) -> Iterator[Finding]:
    _, count = problems_of(index, code)
    rows = np.zeros(0, np.int64) if table.changed is None else np.flatnonzero(table.changed.codes == code)
    if max(count, len(rows)):
        total = len(table.labels) + max(count, len(rows))
        yield Finding(
            level=Level.ERROR,
            message=message,
            numbers={"count": max(count, len(rows)), "total": total},
            measured=float(max(count, len(rows))),
            places=_changed_places(index, table, rows),
            num_places=max(count, len(rows)),
        )


def _changed_places(index: DatasetIndex, table: BoxTable, rows: NDArray[np.int64]) -> tuple[Place, ...]:
    if table.changed is None:
        return ()
    return tuple(
        Place(kind="image", name=index.paths[image], boxes=(rounded(np.sort(box.reshape(2, 2), axis=0).reshape(4)),),
              note=", ".join(f"{side:g}" for side in box), score=1.0)
        for image, box in zip(table.changed.images[rows][:MAX_PLACES], table.changed.boxes[rows], strict=False)
    )  # fmt: skip


def _beyond(index: DatasetIndex, table: BoxTable, number: int) -> Iterator[Finding]:
    if table.changed is None:
        return
    clipped = np.flatnonzero(table.changed.codes == "box-clipped")
    boxes, sizes = table.changed.boxes[clipped], index.sizes[table.changed.images[clipped]][:, ::-1]
    over = np.maximum(-boxes[:, :2], boxes[:, 2:] - sizes).max(1, initial=0)
    rows = clipped[over > BEYOND_SHARE * sizes.max(1, initial=1)]
    if len(rows):
        share = len(rows) / number
        yield Finding(
            level=Level.WARNING if share >= WARNING_SHARE else Level.INFO,
            message="beyond",
            numbers={"count": len(rows), "total": number, "percent": round(100 * share, 1)},
            measured=share,
            limit=Limit(
                value=WARNING_SHARE,
                level=Level.WARNING,
                unit="share",
                source="none of BCCD, fruit, COCO, Penn-Fudan has any",
            ),
            places=_changed_places(index, table, rows),
            num_places=len(rows),
        )


def _repeated(index: DatasetIndex, objects: Objects) -> Iterator[Finding]:
    rows = _repetitions(objects)
    lines = problems_of(index, "annotation-duplicate")[1] if index.format == "yolo" else 0
    count, total = len(rows) + lines, len(objects) + lines
    if count:
        share = count / total
        yield Finding(
            level=Level.WARNING if share >= WARNING_SHARE else Level.INFO,
            message="repeated",
            numbers={"count": count, "total": total, "percent": round(100 * share, 1)},
            measured=share,
            limit=Limit(
                value=WARNING_SHARE,
                level=Level.WARNING,
                unit="share",
                source="none of BCCD, fruit, COCO, Penn-Fudan has any",
            ),
            places=object_places(index, objects, rows),
            num_places=count,
        )


def _repetitions(objects: Objects) -> NDArray[np.int64]:
    """Return objects whose box and class stand before in the same image."""
    counted = np.flatnonzero(~objects.is_ignored)
    order = counted[np.lexsort((*objects.boxes[counted].T[::-1], objects.labels[counted], objects.images[counted]))]
    before, after = order[:-1], order[1:]
    is_same = (
        (objects.images[before] == objects.images[after])
        & (objects.labels[before] == objects.labels[after])
        & (np.abs(objects.boxes[before] - objects.boxes[after]).max(1, initial=0) < SAME_BOX_PX)
    )
    return np.sort(after[is_same])


def _whole_images(index: DatasetIndex, objects: Objects) -> Iterator[Finding]:
    known = np.flatnonzero((objects.sizes > 0).all(1))
    if len(known) < LEAST_BOXES:
        return
    covered = objects.sides[known].prod(1) / objects.sizes[known].astype(np.float64).prod(1)
    rows = known[covered >= WHOLE_SHARE]
    share = len(rows) / len(known)
    if share >= ALL_SHARE:
        yield Finding(
            level=Level.WARNING,
            message="whole_images",
            numbers={"count": len(rows), "total": len(known)},
            measured=share,
            limit=Limit(value=ALL_SHARE, unit="share", source="set here; no data set with drawn boxes comes near"),
            places=object_places(index, objects, rows),
            num_places=len(rows),
        )


def _vanishing(index: DatasetIndex, objects: Objects, resized: ResizedObjects) -> Iterator[Finding]:
    short = resized.sides.min(1)
    small = np.flatnonzero(short < LEAST_SIDE_PX)
    share = len(small) / len(resized)
    if len(small):
        yield Finding(
            level=Level.WARNING if share >= WARNING_SHARE else Level.INFO,
            message="vanishing",
            numbers={"count": len(small), "total": len(resized), "percent": round(100 * share, 1)},
            measured=share,
            limit=Limit(value=WARNING_SHARE, level=Level.WARNING, unit="share", source="set here"),
            places=object_places(index, objects, resized.rows[small], LEAST_SIDE_PX - short[small]),
            num_places=len(small),
        )


CHECK = Check(
    code="D7",
    name="degenerate-boxes",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-011",),
    caused_by=("D6",),
    source="Ultralytics' verify_image_label; datumaro, NegativeLength and FarFromLabelMean",
    pages={
        "en": Page(
            title="boxes that are no boxes",
            finds="Boxes of width or height 0 or less, boxes outside of their image or far beyond its edge, the same "
            "box and class twice, boxes that are the whole image everywhere, boxes below a pixel once resized.",
            matters="A box without area makes losses infinite (the logarithm of a width of 0). A repeated box is "
            "punished as a false alarm or counted as missed, since one detection can match one object only. Boxes "
            "beyond the edge often mean that the image was resized after it had been annotated.",
            measured="Exact, on the numbers as they are written. No area and outside are errors; overhangs by more "
            "than 1 % of the side and repetitions (corners within 0.5 px) are warnings from 1 % of the boxes on. All "
            "boxes are whole images if 95 % of them cover 98 % of theirs.",
            false_alarms="One-pixel objects in files whose corners are inclusive, so that both are equal. Data of one "
            "object that fills each image.",
            fix="Correct or delete the boxes listed. Reading already leaves out those without area or outside and "
            "clips the others.",
            messages={
                "no_area": "{count} of {total} boxes have a width or height of 0 or less and are left out.",
                "outside": "{count} of {total} boxes lie outside of their image and are left out.",
                "beyond": "{count} of {total} boxes ({percent} %) reach beyond the edge of their image by more than 1 "
                "% of its side; they are clipped.",
                "repeated": "{count} of {total} boxes ({percent} %) are written twice, with the same class, on the "
                "same image.",
                "whole_images": "{count} of {total} boxes are the whole image: there is no place to learn.",
                "vanishing": "{count} of {total} training boxes ({percent} %) are less than a pixel wide or high once "
                "images are resized.",
            },
            fixes={
                "repeated": "Delete all but one of each; look for two exports that were put together.",
                "whole_images": "Train a classifier on these images, or draw boxes around the objects.",
                "vanishing": "Train on larger images (--image-size), or cut images into tiles.",
            },
        ),
        "zh": Page(
            title="不成立的框",
            finds="宽或高小于等于 0 的框、在图像之外或远超边缘的框、同一图像上类别和位置都重复的框、处处等于整张图像的"
            "框、缩放后不足一个像素的框。",
            matters="没有面积的框会使损失变为无穷（宽度 0 的对数）。重复的框会被当作误报或漏检，因为一个检测只能匹配一"
            "个目标。超出边缘的框往往说明图像在标注之后被缩放过。",
            measured="按文件中的原始数字精确判断。无面积和在图像之外为错误；超出边长 1 % 以上以及重复（角点相差不到 "
            "0.5 像素）从占全部框 1 % 起为警告。若 95 % 的框覆盖图像的 98 %，则认为所有框都是整张图像。",
            false_alarms="角点两端都包含在内的文件中一个像素大小的目标，两个角点相等。每张图像只有一个占满画面的目标的"
            "数据。",
            fix="改正或删除所列的框。读取时已经略过无面积或在图像之外的框，并裁剪其余的框。",
            messages={
                "no_area": "{total} 个框中有 {count} 个宽或高小于等于 0，已略过。",
                "outside": "{total} 个框中有 {count} 个在图像之外，已略过。",
                "beyond": "{total} 个框中有 {count} 个（{percent} %）超出图像边缘达边长的 1 % 以上，已裁剪。",
                "repeated": "{total} 个框中有 {count} 个（{percent} %）在同一图像上以同一类别写了两次。",
                "whole_images": "{total} 个框中有 {count} 个就是整张图像：没有位置可学。",
                "vanishing": "{total} 个训练框中有 {count} 个（{percent} %）在图像缩放后宽或高不足一个像素。",
            },
            fixes={
                "repeated": "每个只保留一个；检查是否把两次导出合并了。",
                "whole_images": "用这些图像训练分类器，或给目标画框。",
                "vanishing": "用更大的图像训练（--image-size），或把图像切成小块。",
            },
        ),
    },
)
