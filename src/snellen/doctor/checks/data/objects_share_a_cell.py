"""objects-share-a-cell (D31)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.objects import object_places
from snellen.doctor.evidence.labels import Objects
from snellen.doctor.evidence.resized import ResizedObjects
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level, Limit
from snellen.doctor.words import Text

__all__ = ["CHECK"]

WARNING_SHARE = 0.10  # of the training objects; 100 images of VOC lose 7 % on YOLOv1's grid of 7, COCO 27 %
INFO_SHARE = 0.01


def judge(index: DatasetIndex, objects: Objects, resized: ResizedObjects, setup: Setup) -> Iterator[Finding]:
    """Yield a finding if the centres of several objects fall into one cell of a grid that answers for one."""
    if setup.grid is None:
        raise NotCheckable(Text(
            en="the model has no grid whose cells answer for one object each", zh="模型没有每格只负责一个目标的网格"
        ))  # fmt: skip
    cells = _cells(objects, resized, setup.grid)
    order = np.lexsort((-resized.extents, cells))
    repeated = order[1:][cells[order][1:] == cells[order][:-1]]
    share = len(repeated) / len(resized)
    if share < INFO_SHARE:
        return
    shared = np.flatnonzero(np.isin(cells, cells[repeated]))
    yield Finding(
        level=Level.WARNING if share >= WARNING_SHARE else Level.INFO,
        numbers={"count": len(repeated), "total": len(resized), "percent": round(100 * share, 1), "grid": setup.grid},
        measured=share,
        limit=Limit(
            value=WARNING_SHARE, level=Level.WARNING, unit="share", source="100 images of VOC lose 0.07, COCO 0.27"
        ),
        places=object_places(index, objects, resized.rows[shared]),
        num_places=len(repeated),
    )


def _cells(objects: Objects, resized: ResizedObjects, grid: int) -> NDArray[np.int64]:
    """Return a number for each object, equal for those whose centres share a cell of an image."""
    centres = (resized.boxes[:, :2] + resized.boxes[:, 2:]) / 2
    place = np.clip((centres / resized.canvas[:, ::-1] * grid).astype(np.int64), 0, grid - 1)
    return np.asarray((objects.images[resized.rows] * grid + place[:, 1]) * grid + place[:, 0], np.int64)


CHECK = Check(
    code="D31",
    name="objects-share-a-cell",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-095",),
    caused_by=("D6",),
    source="Redmon et al. 2016, You Only Look Once, section 2.4 (limitations)",
    pages={
        "en": Page(
            title="several objects in one cell of the grid",
            finds="Training objects whose centres fall into one cell of a grid that answers for one object (YOLOv1).",
            matters="The cell has one class and one box that counts: all other objects in it are neither learned nor "
            "ever found.",
            measured="Centres of the training boxes on the planned grid; of each cell of an image, all objects but "
            "one are lost. Told from 1 % of the objects on, a warning from 10 %.",
            false_alarms="None: what is counted is lost.",
            fix="Use a model with anchors or several maps (YOLOv3, SSD, RetinaNet), a finer grid, or tiles of the "
            "images.",
            messages={
                "default": "{count} of {total} training objects ({percent} %) share a cell of the grid of {grid} x "
                "{grid} with another and cannot be learned.",
            },
        ),
        "zh": Page(
            title="多个目标落在同一网格单元",
            finds="中心落在同一单元的训练目标，而该网格（YOLOv1）每个单元只负责一个目标。",
            matters="一个单元只有一个类别和一个有效的框：其中的其他目标既学不到，也永远找不到。",
            measured="训练框的中心落在计划的网格上；每张图像的每个单元中，除一个外其余目标都会丢失。占目标 1 % 起提"
            "示，10 % 起警告。",
            false_alarms="没有：统计到的就是丢失的。",
            fix="使用带锚框或多尺度特征图的模型（YOLOv3、SSD、RetinaNet）、更细的网格，或把图像切成小块。",
            messages={
                "default": "{total} 个训练目标中有 {count} 个（{percent} %）与其他目标同处 {grid} x {grid} 网格的一个"
                "单元，无法学习。",
            },
        ),
    },
)
