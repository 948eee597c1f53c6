"""box-format (D6)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.images import split_rows
from snellen.doctor.checks.objects import rounded
from snellen.doctor.evidence.written_boxes import READINGS, WrittenBoxes
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.words import Text

__all__ = ["CHECK"]

LEAST_BOXES = 10  # from which shares are told
MARGIN = 0.05  # by which the declared reading must win; real data leave 23 points
NEAR_PERFECT = 0.98  # share of boxes that are valid under a reading which is the right one
_SOURCE = "on BCCD, fruit, Penn-Fudan and COCO the right reading has 1.00, others 0.77 at most"


def judge(index: DatasetIndex, written: WrittenBoxes) -> Iterator[Finding]:
    """Yield a finding for each split whose numbers make sense under another reading than that of the format."""
    told, is_open = False, False
    valid = {reading: written.is_valid(reading) for reading in READINGS}
    for name, images in split_rows(index):
        rows = np.flatnonzero(np.isin(written.images, images))
        if len(rows) < LEAST_BOXES:
            continue
        told = True
        shares = {reading: float(right[rows].mean()) for reading, right in valid.items()}
        declared = shares.pop(written.declared)
        best = max(shares, key=lambda reading: shares[reading])
        if shares[best] >= NEAR_PERFECT and declared <= shares[best] - MARGIN:
            yield _finding(index, written, rows, best, {"declared": declared, "best": shares[best]}, name)
        elif shares[best] > declared - MARGIN:
            is_open = True
    if not told:
        raise NotCheckable(Text(en=f"fewer than {LEAST_BOXES} boxes", zh=f"框少于 {LEAST_BOXES} 个"))
    if is_open:
        raise NotCheckable(Text(
            en="the boxes are so small or central that they are valid under several readings",
            zh="框都很小或居中，用几种读法都有效",
        ))  # fmt: skip


def _finding(
    index: DatasetIndex, written: WrittenBoxes, rows: NDArray[np.int64], best: str, shares: dict[str, float], name: str
) -> Finding:
    wrong = rows[~written.is_valid(written.declared)[rows]]
    boxes = written.boxes(best)
    images = np.unique(written.images[wrong])
    places = tuple(
        Place(kind="image", name=index.paths[image],
              boxes=tuple(rounded(boxes[row]) for row in rows[written.images[rows] == image][:50]),
              note=" ".join(f"{value:g}" for value in written.numbers[wrong[written.images[wrong] == image][0]]))
        for image in images[:50].tolist()
    )  # fmt: skip
    return Finding(
        level=Level.ERROR,
        message="other_reading" if name else "other_reading_whole",
        numbers={"split": name, "declared": written.declared, "best": best, "total": len(rows),
                 "valid": round(100 * shares["declared"], 1), "better": round(100 * shares["best"], 1)},
        measured=shares["best"] - shares["declared"],
        limit=Limit(value=MARGIN, unit="share", source=_SOURCE),
        places=places,
        num_places=len(images),
    )  # fmt: skip


CHECK = Check(
    code="D6",
    name="box-format",
    stage=Stage.DATA,
    judge=judge,
    source="own; criterion set on BCCD, fruit, Penn-Fudan and COCO",
    pages={
        "en": Page(
            title="boxes in another form than the format says",
            finds="Files whose four numbers make sense as another form of box than their format prescribes: corners "
            "in place of corner and size, centres in place of corners, shares of the image in place of pixels.",
            matters="Nothing fails, for four numbers are four numbers: boxes are only in the wrong places, clipped at "
            "the edges or left out. The model learns what is beside the objects.",
            measured="The numbers are taken as they are written and read in six ways (two corners, corner and size, "
            "centre and size; pixels, shares). Under each reading the share of boxes counts that have an extent and "
            "lie in their image, to 1 px and 1 % of a side. It is an error if another reading has at least 98 % and "
            "the declared one 5 points less, in a split of 10 boxes or more. On real data the right reading has 100 % "
            "and the others at most 77 %.",
            false_alarms="None is known. If all boxes are small and central, several readings are valid, and the "
            "check says that it cannot tell.",
            fix="Convert the numbers, or name the format that they are in (--format); look at some images with their "
            "boxes drawn.",
            messages={
                "other_reading": "Of {total} boxes of {split}, {valid} % are valid as {declared}, which the format "
                "prescribes, but {better} % as {best}.",
                "other_reading_whole": "Of {total} boxes, {valid} % are valid as {declared}, which the format "
                "prescribes, but {better} % as {best}.",
            },
        ),
        "zh": Page(
            title="框的形式与格式规定不符",
            finds="四个数字按另一种框的形式才讲得通的文件：本应是角点加尺寸却写成两个角点，本应是角点却写成中心，本应"
            "是像素却写成比例。",
            matters="什么都不会报错，因为四个数字总是四个数字：框只是落在错误的位置，被边缘裁剪或被略过。模型学到的是"
            "目标旁边的内容。",
            measured="按文件中的原始数字以六种方式读取（两个角点、角点加尺寸、中心加尺寸；像素、比例）。统计每种读法下"
            "有面积且位于图像内（容差 1 像素和边长的 1 %）的框的比例。在不少于 10 个框的子集中，如果另一种读法至少 98 "
            "% 有效，而规定的读法低 5 个百分点，则为错误。在真实数据上，正确读法为 100 %，其他读法最多 77 %。",
            false_alarms="尚未发现。如果所有框都很小且居中，几种读法都有效，检查会说明无法判断。",
            fix="转换这些数字，或指明它们实际的格式（--format）；把框画在一些图像上查看。",
            messages={
                "other_reading": "{split} 的 {total} 个框按格式规定的 {declared} 读取有 {valid} % 有效，而按 {best} 读"
                "取有 {better} % 有效。",
                "other_reading_whole": "{total} 个框按格式规定的 {declared} 读取有 {valid} % 有效，而按 {best} 读取有 "
                "{better} % 有效。",
            },
        ),
    },
)
