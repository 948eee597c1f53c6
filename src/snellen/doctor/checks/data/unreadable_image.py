"""unreadable-image (D1)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.images import MAX_PLACES, image_places
from snellen.doctor.evidence.images import ImageFacts
from snellen.doctor.finding import Finding, Level, Limit, Place, Treatment

__all__ = ["CHECK"]

LEFT_OUT = "image-unreadable"  # code of the problem that readers of formats tell
LEAST_SIDE = 10  # px; ultralytics' check of images
LOST_SHARE = 0.04  # of the rows are the grey that fills in what a JPEG lacks
USUAL_SHARE = 0.5  # of the images: if more are so small, the data are meant to be


def judge(index: DatasetIndex, facts: ImageFacts) -> Iterator[Finding]:
    """Yield what is wrong with files: not decodable, not ended, too small, named after another format."""
    yield from _unreadable(index, facts)
    cut_off = facts.is_readable & ((facts.lost_share > LOST_SHARE) & _is_jpeg(facts))
    if cut_off.any():
        rows = np.flatnonzero(cut_off)
        yield Finding(
            level=Level.WARNING,
            message="cut_off",
            numbers={"count": len(rows), "images": len(index), "share": f"{facts.lost_share[rows].max():.0%}"},
            measured=float(facts.lost_share[rows].max()),
            limit=Limit(value=LOST_SHARE, unit="share", source="calibration: 0 in 10 healthy data sets"),
            places=image_places(index, rows, facts.lost_share[rows], lambda row: f"{facts.lost_share[row]:.0%}"),
            num_places=len(rows),
            treatment=_dropped(index, rows),
        )
    unended = np.flatnonzero(facts.is_readable & ~facts.is_ended & ~cut_off)
    if len(unended):
        yield Finding(
            level=Level.WARNING,
            message="unended",
            numbers={"count": len(unended), "images": len(index)},
            places=image_places(index, unended),
            num_places=len(unended),
        )
    small = np.flatnonzero(facts.is_readable & (np.minimum(facts.height, facts.width) < LEAST_SIDE))
    if 0 < len(small) < USUAL_SHARE * len(index):
        sides = np.minimum(facts.height, facts.width)[small]
        yield Finding(
            level=Level.WARNING,
            message="small",
            numbers={"count": len(small), "images": len(index), "least": LEAST_SIDE},
            measured=float(sides.min()),
            limit=Limit(value=LEAST_SIDE, unit="px", source="ultralytics, check of images"),
            places=image_places(index, small, -sides, lambda row: f"{facts.width[row]} x {facts.height[row]}"),
            num_places=len(small),
            treatment=_dropped(index, small),
        )
    other = np.flatnonzero(~facts.suffix_fits)
    if len(other):
        formats = facts.format[other].astype(str)
        yield Finding(
            level=Level.INFO,
            message="suffix",
            numbers={"count": len(other), "images": len(index), "format": str(formats[0])},
            places=image_places(index, other, note=lambda row: facts.format[row].decode()),
            num_places=len(other),
        )


def _unreadable(index: DatasetIndex, facts: ImageFacts) -> Iterator[Finding]:
    lost = np.flatnonzero(~facts.is_readable)
    left_out = [problem for problem in index.problems if problem.code == LEFT_OUT]
    count = len(lost) + sum(problem.count for problem in left_out)
    if not count:
        return
    places = [
        Place(kind="file", name=problem.file.removeprefix(f"{index.root}/"), note=problem.message)
        for problem in left_out
    ]
    listed = (*image_places(index, lost, note=lambda row: facts.errors.get(row, "")), *places)[:MAX_PLACES]
    yield Finding(
        level=Level.ERROR,
        numbers={"count": count, "images": len(index) + count - len(lost), "reason": listed[0].note},
        measured=count / (len(index) + count - len(lost)),
        places=listed,
        num_places=count,
        treatment=_dropped(index, lost) if len(lost) else None,
    )


def _is_jpeg(facts: ImageFacts) -> NDArray[np.bool_]:
    return np.isin(facts.format, [b"JPEG", b"MPO"])


def _dropped(index: DatasetIndex, rows: NDArray[np.int64]) -> Treatment:
    return Treatment(drop_images=tuple(index.paths[row] for row in rows.tolist()))


CHECK = Check(
    code="D1",
    name="unreadable-image",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-011",),
    source="ultralytics, check of images (10 px, truncated JPEG); fastdup, broken images",
    pages={
        "en": Page(
            title="image files that are broken",
            finds="Files that no decoder reads to the end, JPEG files without the marker that ends them, images of a "
            "few pixels, and names that promise another format than the file has.",
            matters="A file that cannot be read stops a training in the middle of an epoch, or is left out in "
            "silence; one that is cut off is shown with its lower part grey, with the objects in it still annotated.",
            measured="Every file is read and decoded to its last byte (JPEG at a reduced scale, which reads all of its "
            f"data). An error of the decoder is proof. Rows at the bottom of a JPEG that are exactly the grey with "
            f"which "
            f"decoders fill in missing data are a warning from {LOST_SHARE:.0%} of the height. A side below "
            f"{LEAST_SIDE} px is a warning, unless half of the "
            "images are so small. The suffix is held against the format that the content has.",
            false_alarms="A few programs write JPEG files without an end marker though the picture is complete. "
            "Formats that this installation of Pillow has no decoder for count as unreadable.",
            fix="Copy the files again from where they came, or leave them out.",
            messages={
                "default": "{count} of {images} images cannot be read; the first: {reason}",
                "cut_off": "{count} of {images} images are cut off: their lower part, up to {share}, is the grey that "
                "decoders put where data are missing.",
                "unended": "{count} of {images} images are JPEG files without an end marker: something was lost.",
                "small": "{count} of {images} images have a side below {least} px.",
                "suffix": "{count} of {images} images have a name that does not fit what they are; the first is "
                "{format}.",
            },
            fixes={
                "small": "Leave them out: they were probably made by a failed crop.",
                "suffix": "Rename them after the format that they have: other programs choose their decoder by the "
                "name.",
            },
        ),
        "zh": Page(
            title="损坏的图像文件",
            finds="解码器无法读到结尾的文件、没有结束标记的 JPEG、只有几个像素的图像，以及扩展名与实际格式不符的文件。",
            matters="读不出的文件会在一轮训练中途使训练停止，或被悄悄跳过；被截断的图像下半部分显示为灰色，而其中的目"
            "标仍有标注。",
            measured="每个文件都读取并解码到最后一个字节（JPEG 按缩小比例解码，但会读完全部数据）。解码器报错即为证据。"
            f"JPEG 底部若有超过 {LOST_SHARE:.0%} 的高度恰为解码器填补缺失数据的灰色，则警告。"
            f"边长小于 {LEAST_SIDE} 像素会警告，除非一半图像都这么小。扩展名与内容的实际格式对照。",
            false_alarms="少数程序写出的 JPEG 没有结束标记，但画面完整。本机 Pillow 没有解码器的格式会算作不可读。",
            fix="从来源重新复制这些文件，或将其排除。",
            messages={
                "default": "{images} 张图像中有 {count} 张无法读取；第一张：{reason}",
                "cut_off": "{images} 张图像中有 {count} 张被截断：下部（最多 {share}）是解码器填补缺失数据的灰色。",
                "unended": "{images} 张图像中有 {count} 张是没有结束标记的 JPEG：有数据丢失。",
                "small": "{images} 张图像中有 {count} 张的某一边小于 {least} 像素。",
                "suffix": "{images} 张图像中有 {count} 张的文件名与实际格式不符；第一张实际是 {format}。",
            },
            fixes={
                "small": "将其排除：它们很可能是裁剪失败的产物。",
                "suffix": "按实际格式改名：其他程序按文件名选择解码器。",
            },
        ),
    },
)
