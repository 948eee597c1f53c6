"""exif-orientation (D2)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snellen.data import BoxTable, DatasetIndex
from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.images import image_places
from snellen.doctor.evidence.images import ImageFacts
from snellen.doctor.finding import Finding, Level

__all__ = ["CHECK"]

SIDEWAYS = 5  # orientations from here on exchange height and width
SLACK_PX = 1.0  # by which a box may reach over the edge of its image


def judge(index: DatasetIndex, facts: ImageFacts) -> Iterator[Finding]:
    """Yield an error where labels were made before the turn that EXIF asks for, and tell of other turned images."""
    turned = facts.is_readable & (facts.orientation > 1)
    if not turned.any():
        return
    wrong = _labelled_before_turn(index, facts)
    rows = np.flatnonzero(wrong if wrong.any() else turned)
    yield Finding(
        level=Level.ERROR if wrong.any() else Level.INFO,
        message="labelled_before_turn" if wrong.any() else "default",
        numbers={"count": len(rows), "images": len(index)},
        places=image_places(
            index, rows, note=lambda row: f"{facts.raw_width[row]} x {facts.raw_height[row]} -> "
            f"{facts.width[row]} x {facts.height[row]}, EXIF {facts.orientation[row]}",
        ),
        num_places=len(rows),
    )  # fmt: skip


def _labelled_before_turn(index: DatasetIndex, facts: ImageFacts) -> NDArray[np.bool_]:
    """Return which images are annotated in the frame of the stored pixels, which is not that of the shown ones."""
    raw = np.stack([facts.raw_height, facts.raw_width], axis=1)
    sideways = facts.is_readable & (facts.orientation >= SIDEWAYS) & (raw[:, 0] != raw[:, 1])
    stated = (index.sizes > 0).all(1)
    wrong = sideways & stated & (index.sizes == raw).all(1)
    if isinstance(index.annotations, BoxTable):
        for row in np.flatnonzero(sideways & ~stated).tolist():
            corners = index.annotations.boxes[index.annotations.rows(row)][:, 2:]
            shown = np.array([facts.width[row], facts.height[row]]) + SLACK_PX
            stored = raw[row, ::-1] + SLACK_PX
            wrong[row] = len(corners) > 0 and (corners > shown).any() and (corners <= stored).all()
    return np.asarray(wrong, np.bool_)


CHECK = Check(
    code="D2",
    name="exif-orientation",
    stage=Stage.DATA,
    judge=judge,
    source="CIPA DC-008, tag 0x0112; reports of boxes off on phone photos: yolov5 #405, ultralytics #19222, "
    "detectron2 #262, labelImg #376",
    pages={
        "en": Page(
            title="labels of an image before it was turned",
            finds="Images that ask to be turned when they are shown (EXIF orientation), and among them those whose "
            "labels were made on the pixels as they are stored.",
            matters="Phones store every photo lying down and note how to turn it. Where the tool for labelling obeyed "
            "the note and the loader does not, or the reverse, every box of the image is in the wrong place, and "
            "nothing looks wrong in the numbers.",
            measured="The size that the label file states, or the frame in which all boxes lie, is held against the "
            "stored and the shown size of the file. Labels that fit the stored one alone contradict what is shown: an "
            "error. Snellen turns images as EXIF says. Without a contradiction, turned images are only told.",
            false_alarms="None are known for the error: sizes are compared exactly. Square images and half turns "
            "cannot be told by size.",
            fix="Save the images upright, without an orientation (exiftran -ai, or mogrify -auto-orient), and "
            "annotate those at fault again or turn their boxes; then draw some to check.",
            messages={
                "default": "{count} of {images} images are turned by their EXIF orientation. Snellen turns them; "
                "other programs may not.",
                "labelled_before_turn": "{count} of {images} images are turned by their EXIF orientation, but their "
                "labels are those of the image before the turn.",
            },
            fixes={
                "default": "Save the images upright, without an orientation, so that every program shows them alike.",
            },
        ),
        "zh": Page(
            title="标注对应的是旋转前的图像",
            finds="显示时要求旋转的图像（EXIF 方向），以及其中按存储像素（旋转前）标注的图像。",
            matters="手机把照片横着存储，并记下如何旋转。若标注工具遵守这一记录而读取程序不遵守（或相反），该图像的每"
            "个框都会错位，而数字上看不出任何异常。",
            measured="把标注文件写明的尺寸，或所有框所在的画幅，与文件存储时和显示时的尺寸对照。只符合存储尺寸的标注与"
            "显示矛盾：报错误。Snellen 按 EXIF 旋转图像。没有矛盾时，只提示有旋转的图像。",
            false_alarms="错误级别没有已知误报：尺寸是精确比较的。正方形图像和转 180 度的图像无法从尺寸判断。",
            fix="把图像按正确方向保存并去掉方向标记（exiftran -ai 或 mogrify -auto-orient），重新标注出错的图像或旋转"
            "其框，然后画出几张检查。",
            messages={
                "default": "{images} 张图像中有 {count} 张按 EXIF 方向旋转。Snellen 会旋转它们，其他程序未必。",
                "labelled_before_turn": "{images} 张图像中有 {count} 张按 EXIF 方向旋转，但其标注是旋转前的。",
            },
            fixes={"default": "把图像按正确方向保存并去掉方向标记，使所有程序显示一致。"},
        ),
    },
)
