"""receptive-field-too-small (M22)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.images import image_places
from snellen.doctor.checks.objects import object_places
from snellen.doctor.evidence.labels import Objects
from snellen.doctor.evidence.mask_pixels import MaskPixels
from snellen.doctor.evidence.resized import ResizedObjects, resized_scales
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level, Limit
from snellen.doctor.words import Text

__all__ = ["CHECK"]

LEAST_SHARE = 0.10  # of the objects that are longer than the widest receptive field
FAR_LONGER = 2.0  # times; up to there the middle of an object tells its extent: Ren et al. 2015, section 3.3
LEAST_OF_IMAGE = 0.25  # of the side of the image: a segmenter that sees less judges by texture alone


def judge(
    index: DatasetIndex,
    objects: Objects | None,
    resized: ResizedObjects | None,
    masks: MaskPixels | None,
    setup: Setup,
) -> Iterator[Finding]:
    """Yield a finding if objects are larger than what one answer can see."""
    fields = [entry.receptive_field_px for entry in setup.maps if entry.receptive_field_px is not None]
    if not fields or setup.image_size is None:
        raise NotCheckable(Text(en="the receptive field of the model is not known", zh="不知道模型的感受野"))
    field = max(fields)
    if field >= setup.image_size:
        return
    if objects is not None and resized is not None:
        yield from _objects(index, objects, resized, field, setup.image_size)
    elif masks is not None:
        yield from _regions(index, masks, field, setup)


def _objects(
    index: DatasetIndex, objects: Objects, resized: ResizedObjects, field: int, image_size: int
) -> Iterator[Finding]:
    long = resized.sides.max(1)
    is_far = float((long > FAR_LONGER * field).mean()) >= LEAST_SHARE
    rows = np.flatnonzero(long > field)
    share = len(rows) / len(resized)
    if share >= LEAST_SHARE:
        yield Finding(
            level=Level.WARNING if is_far else Level.INFO,
            message="objects",
            numbers={"count": len(rows), "total": len(resized), "percent": round(100 * share), "field": field,
                     "image_size": image_size},
            measured=float(np.quantile(long, 1 - LEAST_SHARE)) / field,
            limit=Limit(value=FAR_LONGER, source="Ren et al. 2015, section 3.3: anchors may exceed the field"),
            places=object_places(index, objects, resized.rows[rows], long[rows]),
            num_places=len(rows),
        )  # fmt: skip


def _regions(index: DatasetIndex, masks: MaskPixels, field: int, setup: Setup) -> Iterator[Finding]:
    size = setup.image_size or 0
    extents = _largest_regions(index, masks, size, setup.resize or "short")
    rows = np.flatnonzero(extents > field)
    if field < LEAST_OF_IMAGE * size and len(rows):
        yield Finding(
            level=Level.WARNING,
            message="image",
            numbers={"field": field, "image_size": size, "percent": round(100 * field / size)},
            measured=field / size,
            limit=Limit(value=LEAST_OF_IMAGE, unit="share", source="set here"),
            places=image_places(index, rows, extents[rows]),
            num_places=len(rows),
        )


def _largest_regions(index: DatasetIndex, masks: MaskPixels, size: int, resize: str) -> NDArray[np.float64]:
    """Return the square root of the area of the largest class of each image, in pixels of the resized image."""
    scales = resized_scales(np.maximum(index.sizes, 1), size, resize)
    areas = (np.maximum(index.sizes, 1) * scales).prod(1)
    return np.asarray(np.sqrt(masks.shares[:, :-1].max(1) * areas))


CHECK = Check(
    code="M22",
    name="receptive-field-too-small",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-037", "DX-107"),
    caused_by=("D6",),
    source="Luo et al. 2016, Understanding the effective receptive field; Ren et al. 2015, section 3.3; Chen et al. "
    "2017, DeepLab, section 3.1",
    pages={
        "en": Page(
            title="objects larger than what the model sees at once",
            finds="Objects that are longer, at the planned size of the images, than the widest receptive field of the "
            "maps that answers are read from; segmenters that see less than a quarter of the image.",
            matters="An answer that sees only a part of the object cannot know where it ends or what it is: boxes are "
            "too small, masks patchy. What counts in practice is even less than the receptive field in theory.",
            measured="Long side of the training boxes in the resized image against the widest receptive field: told "
            "if 10 % are longer, a warning if 10 % are more than twice as long. For label images: a receptive field "
            "below a quarter of the side of the image, with classes whose extent is larger than it.",
            false_alarms="Objects that a part of them gives away, and textures, for which a small field is enough.",
            fix="Resize images to a smaller size (--image-size), choose a deeper network or one with dilated layers or "
            "a pyramid with more levels.",
            messages={
                "objects": "{count} of {total} training objects ({percent} %) are longer than {field} px, which is all "
                "that one answer sees at an image size of {image_size}.",
                "image": "One answer sees {field} px, {percent} % of the side of an image of {image_size} px.",
            },
        ),
        "zh": Page(
            title="目标大于模型一次所见的范围",
            finds="按计划的图像尺寸，长度超过读取答案的特征图最大感受野的目标；看到的范围不足图像四分之一的分割模型。",
            matters="只看到目标一部分的答案无法知道它到哪里为止、是什么：框偏小，掩膜零碎。"
            "实际起作用的范围比理论感受野还要小。",
            measured="缩放后训练框的长边与最大感受野相比：10 % 更长则提示，10 % 超过两倍则警告。对标签图像："
            "感受野不足图像边长的四分之一，"
            "且有类别的范围超过感受野。",
            false_alarms="由局部就能认出的目标，以及小感受野就足够的纹理。",
            fix="把图像缩得更小（--image-size），选择更深的网络、带空洞卷积的网络或层级更多的金字塔。",
            messages={
                "objects": "图像尺寸为 {image_size} 时，{total} 个训练目标中有 {count} 个（{percent} %）长于 {field} "
                "像素，"
                "而一个答案只能看到这么多。",
                "image": "一个答案只看到 {field} 像素，为 {image_size} 像素图像边长的 {percent} %。",
            },
        ),
    },
)
