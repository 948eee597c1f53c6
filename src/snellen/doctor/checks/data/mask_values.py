"""mask-values (D8)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex, MaskTable
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.images import image_places
from snellen.doctor.checks.objects import problem_places
from snellen.doctor.evidence.labels import problems_of
from snellen.doctor.evidence.mask_pixels import MaskPixels
from snellen.doctor.finding import Finding, Level, Limit, Place

__all__ = ["CHECK"]

RAMP_SHARE = 0.15  # of the edges of a label image; none of 701 CamVid masks has more than 0.03, smoothed ones 0.92 on
IGNORED_SHARE = 0.50  # of all pixels that count for nothing
SPARSE_SHARE = 0.5  # of the classes that occur, where nobody named them and there are many
SPARSE_CLASSES = 16


def judge(index: DatasetIndex, masks: MaskPixels | None) -> Iterator[Finding]:
    """Yield a finding for each way in which label images do not hold classes of their images."""
    table = index.annotations
    if not isinstance(table, MaskTable):
        raise NotCheckable(MaskPixels.ABSENT)
    yield from _problem(index, "shape", Level.ERROR, "mask-shape")
    yield from _problem(index, "scaled", Level.WARNING, "mask-scaled")
    yield from _problem(index, "lossy", Level.WARNING, "mask-lossy")
    if masks is None or not masks.is_readable.any():
        return
    yield from _unknown(index, table, masks)
    yield from _smoothed(index, table, masks)
    yield from _void(index, masks)
    yield from _one_class(index, masks)
    yield from _sparse(index, masks)


def _problem(index: DatasetIndex, message: str, level: Level, code: str) -> Iterator[Finding]:
    named, count = problems_of(index, code)
    if count:
        places = problem_places(index, named)
        yield Finding(level=level, message=message, numbers={"count": count}, measured=float(count), places=places,
                      num_places=count)  # fmt: skip


def _unknown(index: DatasetIndex, table: MaskTable, masks: MaskPixels) -> Iterator[Finding]:
    named, count = problems_of(index, "mask-value-unknown")
    if not count:
        return
    ignored = masks.shares[:, -1]
    rows = np.flatnonzero(ignored > 0)
    yield Finding(
        level=Level.ERROR,
        message="unknown",
        numbers={"count": count, "percent": round(100 * float(ignored[masks.is_readable].mean()), 2)},
        measured=float(count),
        places=_mask_places(table, rows, ignored[rows]) or problem_places(index, named),
        num_places=len(rows),
    )


def _smoothed(index: DatasetIndex, table: MaskTable, masks: MaskPixels) -> Iterator[Finding]:
    rows = np.flatnonzero(masks.is_readable & (masks.ramps > RAMP_SHARE))
    if len(rows) and not masks.thresholded:
        yield Finding(
            level=Level.WARNING,
            message="smoothed",
            numbers={"count": len(rows), "total": len(index), "percent": round(100 * float(masks.ramps[rows].max()))},
            measured=float(masks.ramps[rows].max()),
            limit=Limit(value=RAMP_SHARE, unit="share", source="healthy masks stay below 0.03 (CamVid)"),
            places=_mask_places(table, rows, masks.ramps[rows]),
            num_places=len(rows),
        )


def _void(index: DatasetIndex, masks: MaskPixels) -> Iterator[Finding]:
    ignored = masks.shares[:, -1]
    share = float(ignored[masks.is_readable].mean())
    if share > IGNORED_SHARE and not problems_of(index, "mask-value-unknown")[1]:
        rows = np.flatnonzero(masks.is_readable)
        yield Finding(
            level=Level.WARNING,
            message="void",
            numbers={"percent": round(100 * share)},
            measured=share,
            limit=Limit(value=IGNORED_SHARE, unit="share", source="set here"),
            places=image_places(index, rows, ignored[rows]),
            num_places=len(rows),
        )


def _one_class(index: DatasetIndex, masks: MaskPixels) -> Iterator[Finding]:
    present = (masks.shares[masks.is_readable][:, :-1] > 0).any(0)
    if present.sum() <= 1 and len(index.classes) > 1:
        name = index.classes[int(present.argmax())] if present.any() else ""
        yield Finding(level=Level.ERROR, message="one_class", numbers={"total": len(index), "name": name},
                      measured=float(present.sum()),
                      places=tuple(Place(kind="class", name=entry) for entry in index.classes),
                      num_places=len(index.classes))  # fmt: skip


def _sparse(index: DatasetIndex, masks: MaskPixels) -> Iterator[Finding]:
    present = (masks.shares[masks.is_readable][:, :-1] > 0).any(0)
    count = len(index.classes)
    is_unnamed = bool(problems_of(index, "classes-unnamed")[1])
    if is_unnamed and count >= SPARSE_CLASSES and present.sum() < SPARSE_SHARE * count:
        yield Finding(
            level=Level.WARNING,
            message="sparse",
            numbers={"classes": count, "used": int(present.sum()),
                     "values": ", ".join(map(str, masks.values[:10].tolist()))},
            measured=float(present.mean()),
            limit=Limit(value=SPARSE_SHARE, unit="share", source="set here"),
        )  # fmt: skip


def _mask_places(table: MaskTable, rows: NDArray[np.int64], scores: NDArray[np.floating]) -> tuple[Place, ...]:
    order = np.argsort(-scores, kind="stable")[:50]
    return tuple(
        Place(kind="file", name=table.paths[int(rows[place])], note=f"{100 * float(scores[place]):.0f} %",
              score=float(scores[place]))
        for place in order.tolist()
    )  # fmt: skip


CHECK = Check(
    code="D8",
    name="mask-values",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-016",),
    caused_by=("D5",),
    source="nnU-Net's verify_dataset_integrity (sizes, values); ramps: own, set on CamVid",
    pages={
        "en": Page(
            title="label images that do not hold classes",
            finds="Masks of another size or shape than their image, values that name no class, edges that were "
            "smoothed, masks that are stored lossily, masks of one class only, classes by the dozen because black and "
            "white were read as 0 and 255.",
            matters="Smoothing a label image makes up classes: between 2 (road) and 6 (tree) it draws a border of 4 "
            "(car). Values that name no class count for nothing, so that the pixels are not learned.",
            measured="Sizes and values exactly. Smoothing by the neighbours along rows: of all edges between values "
            "that differ by 2 or more, those that lead over a value in between; clean masks have below 3 %, smoothed "
            "ones above 90 %, the limit is 15 %.",
            false_alarms="Many thin objects whose numbers lie between those of their neighbours; two-class masks are "
            "never blamed for ramps.",
            fix="Resize label images by nearest neighbour only, save them as PNG, draw without anti-aliasing; name "
            "every value in classes.txt or declare it void (ignore_index in snellen.yaml).",
            messages={
                "shape": "{count} masks have another shape than their image and are left out with it.",
                "scaled": "{count} masks have another size than their image and are scaled when they are read.",
                "lossy": "Masks are stored lossily (JPEG): grey levels between black and white are cut in two.",
                "unknown": "Masks hold {count} values that name no class; {percent} % of the pixels count for nothing.",
                "smoothed": "{count} of {total} masks have smoothed edges, with classes made up along them (up to "
                "{percent} % of the edges).",
                "void": "{percent} % of all pixels count for nothing.",
                "one_class": "All {total} masks show one class only ({name}): there is nothing to tell apart.",
                "sparse": "Nobody named the {classes} classes and {used} of them occur (values {values}): grey levels "
                "may have been read as classes.",
            },
            fixes={
                "scaled": "If both were scaled from one picture, all is well; else export the masks at the size of "
                "their images.",
                "void": "Check that the void value (often 255) is not the object itself: in black and white masks 255 "
                "is the foreground.",
            },
        ),
        "zh": Page(
            title="标签图像中不是类别",
            finds="尺寸或形状与图像不同的掩膜、不对应任何类别的数值、被平滑的边缘、有损保存的掩膜、只有一个类别的掩"
            "膜，以及把黑白读成 0 和 255 而产生的几十个类别。",
            matters="平滑标签图像会凭空产生类别：在 2（道路）与 6（树）之间会画出一圈 4（汽车）。不对应任何类别的数值"
            "不计入，这些像素便学不到。",
            measured="尺寸和数值精确判断。平滑按行的相邻像素判断：在数值相差 2 以上的边缘中，经过中间值的所占比例；干"
            "净的掩膜低于 3 %，平滑过的高于 90 %，界限为 15 %。",
            false_alarms="许多细小目标的编号恰好介于其邻居之间；两类掩膜不会因此被报告。",
            fix="标签图像只用最近邻缩放，保存为 PNG，绘制时不要抗锯齿；在 classes.txt 中给每个数值命名，或声明为无效（"
            "snellen.yaml 中的 ignore_index）。",
            messages={
                "shape": "{count} 个掩膜与图像形状不同，已连同图像略过。",
                "scaled": "{count} 个掩膜与图像尺寸不同，读取时缩放。",
                "lossy": "掩膜以有损格式（JPEG）保存：黑白之间的灰度被一分为二。",
                "unknown": "掩膜中有 {count} 个数值不对应任何类别；{percent} % 的像素不计入。",
                "smoothed": "{total} 个掩膜中有 {count} 个边缘被平滑，沿边缘产生了虚假的类别（最多占边缘的 {percent} "
                "%）。",
                "void": "全部像素中有 {percent} % 不计入。",
                "one_class": "全部 {total} 个掩膜只有一个类别（{name}）：没有可区分的内容。",
                "sparse": "{classes} 个类别都没有名称，其中只出现 {used} 个（数值 {values}）：可能把灰度读成了类别。",
            },
            fixes={
                "scaled": "如果两者由同一张图缩放而来就没有问题；否则按图像尺寸重新导出掩膜。",
                "void": "检查无效值（通常是 255）是否其实就是目标：黑白掩膜中 255 是前景。",
            },
        ),
    },
)
