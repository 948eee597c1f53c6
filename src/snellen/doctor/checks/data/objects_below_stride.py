"""objects-below-stride (D30)."""

from collections.abc import Iterator

import numpy as np

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.objects import object_places
from snellen.doctor.evidence.labels import Objects
from snellen.doctor.evidence.resized import ResizedObjects
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level, Limit, Treatment
from snellen.doctor.words import Text

__all__ = ["CHECK"]

WARNING_SHARE = 0.20  # of the training objects; 208 images of COCO: 3 % at 640 px and stride 8, 14 % at 320
INFO_SHARE = 0.05


def judge(index: DatasetIndex, objects: Objects, resized: ResizedObjects, setup: Setup) -> Iterator[Finding]:
    """Yield a finding if many objects are smaller than a cell of the finest map."""
    if not setup.maps:
        raise NotCheckable(Text(
            en="the maps that the model reads its answers from are not known", zh="不知道模型从哪些特征图读取答案"
        ))  # fmt: skip
    finest = min(entry.stride for entry in setup.maps)
    small = np.flatnonzero(resized.extents < finest)
    share = len(small) / len(resized)
    if share < INFO_SHARE or setup.image_size is None:
        return
    allowed = float(np.quantile(resized.extents, INFO_SHARE))
    needed = int(np.ceil(setup.image_size * finest / max(allowed, 0.1) / 32) * 32)
    yield Finding(
        level=Level.WARNING if share >= WARNING_SHARE else Level.INFO,
        numbers={"count": len(small), "total": len(resized), "percent": round(100 * share), "stride": finest,
                 "image_size": setup.image_size, "needed": needed},
        measured=share,
        limit=Limit(
            value=WARNING_SHARE,
            level=Level.WARNING,
            unit="share",
            source="COCO at stride 8: 0.03 at 640 px, 0.14 at 320",
        ),
        places=object_places(index, objects, resized.rows[small], finest - resized.extents[small]),
        num_places=len(small),
        treatment=Treatment(settings={"image_size": needed}),
    )  # fmt: skip


CHECK = Check(
    code="D30",
    name="objects-below-stride",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-096",),
    caused_by=("D6", "D19"),
    source="Liu et al. 2016, SSD, section 4.1; Lin et al. 2017, Feature pyramid networks, table 1",
    pages={
        "en": Page(
            title="objects smaller than a cell of the map",
            finds="Training objects that are smaller, once images are resized, than one cell of the finest map that "
            "the model reads its answers from.",
            matters="Such an object is a fraction of what one cell sums up. It is found seldom and placed badly, and "
            "the average precision for small objects is low whatever else is tuned.",
            measured="Square root of the area of each training box in the resized image against the smallest stride "
            "of the maps. Told from 5 % of the objects on, a warning from 20 %.",
            false_alarms="Models that answer for dense heat maps at full size; objects that stand out so much that a "
            "fraction of a cell is enough.",
            fix="Train on larger images (--image-size) or tiles, or choose a model with a finer map (FPN's P2, a "
            "decoder).",
            messages={
                "default": "{count} of {total} training objects ({percent} %) are smaller than a cell of {stride} px "
                "at an image size of {image_size}; at {needed} it would be one in twenty.",
            },
        ),
        "zh": Page(
            title="目标小于特征图的一个单元",
            finds="图像缩放后，比模型读取答案的最精细特征图的一个单元还小的训练目标。",
            matters="这样的目标只是一个单元所概括内容的一小部分，很少被找到，位置也不准；无论怎样调整其他设置，小目标"
            "的平均精度都很低。",
            measured="缩放后每个训练框面积的平方根与特征图最小步长相比。占目标 5 % 起提示，20 % 起警告。",
            false_alarms="在完整尺寸上给出密集热图的模型；非常醒目、一个单元的一小部分就足够的目标。",
            fix="用更大的图像（--image-size）或小块训练，或选择特征图更精细的模型（FPN 的 P2、解码器）。",
            messages={
                "default": "图像尺寸为 {image_size} 时，{total} 个训练目标中有 {count} 个（{percent} %）小于 {stride} "
                "像素的单元；取 {needed} 时只有二十分之一。",
            },
        ),
    },
)
