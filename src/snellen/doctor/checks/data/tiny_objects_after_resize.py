"""tiny-objects-after-resize (D19)."""

from collections.abc import Iterator

import numpy as np

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.images import image_places
from snellen.doctor.checks.objects import object_places
from snellen.doctor.evidence.labels import Objects
from snellen.doctor.evidence.resized import ResizedObjects
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level, Limit, Treatment
from snellen.doctor.words import Text

__all__ = ["CHECK"]

LEAST_SIDE_PX = 8.0  # median side of an object in the resized image; a cell of the finest usual map
OUTLIER_RANGES = 3.0  # quartile ranges beyond the quartiles; Tukey's "far out", as in cleanvision's odd_size
LEAST_RANGE = 0.25  # of the logarithm: where nearly all images agree, a quarter more or less is no outlier
LEAST_IMAGES = 20
_NO_SETUP = Text(
    en="how large objects are once images are resized; give --model NAME",
    zh="图像缩放后目标的大小；请给出 --model 名称",
)


def judge(
    index: DatasetIndex, objects: Objects | None, resized: ResizedObjects | None, setup: Setup | None
) -> Iterator[Finding]:
    """Yield a finding if objects shrink to a few pixels, and one for images of an odd size."""
    is_sized = (index.sizes > 0).all(1)
    if objects is None and not is_sized.any():
        raise NotCheckable(Text(en="the sizes of images are not known", zh="不知道图像的尺寸"))
    if objects is not None and resized is not None and setup is not None:
        yield from _tiny(index, objects, resized, setup)
    yield from _odd(index, None if resized is not None else _NO_SETUP)


def _tiny(index: DatasetIndex, objects: Objects, resized: ResizedObjects, setup: Setup) -> Iterator[Finding]:
    median = float(np.median(resized.extents))
    finest = min((entry.stride for entry in setup.maps), default=0)
    limit = max(LEAST_SIDE_PX, float(finest))
    if median >= limit or setup.image_size is None:
        return
    small = np.flatnonzero(resized.extents < limit)
    needed = int(np.ceil(setup.image_size * limit / max(median, 0.1) / 32) * 32)
    yield Finding(
        level=Level.WARNING,
        message="tiny",
        numbers={"median": round(median, 1), "limit": limit, "image_size": setup.image_size, "needed": needed,
                 "percent": round(100 * len(small) / len(resized))},
        measured=median,
        limit=Limit(value=limit, unit="px", source="8 px, or one cell of the finest map"),
        places=object_places(index, objects, resized.rows[small], limit - resized.extents[small]),
        num_places=len(small),
        treatment=Treatment(settings={"image_size": needed}),
    )  # fmt: skip


def _odd(index: DatasetIndex, unchecked: Text | None) -> Iterator[Finding]:
    known = np.flatnonzero((index.sizes > 0).all(1))
    if len(known) < LEAST_IMAGES:
        return
    height, width = np.log(index.sizes[known].astype(np.float64)).T
    scores = np.maximum(_distance(height + width), _distance(width - height))
    odd = known[scores > OUTLIER_RANGES]
    if len(odd):
        middle = np.median(index.sizes[known], axis=0)
        yield Finding(
            level=Level.INFO,
            message="odd_size",
            numbers={"count": len(odd), "total": len(known), "width": int(middle[1]), "height": int(middle[0])},
            measured=float(scores.max()),
            limit=Limit(value=OUTLIER_RANGES, unit="quartile ranges", source="Tukey 1977; cleanvision, odd_size"),
            places=image_places(
                index,
                odd,
                scores[scores > OUTLIER_RANGES],
                lambda row: f"{index.sizes[row, 1]} x {index.sizes[row, 0]}",
            ),
            num_places=len(odd),
            unchecked=unchecked,
        )


def _distance(values: np.ndarray) -> np.ndarray:
    """Return how many quartile ranges beyond the quartiles each value lies."""
    low, high = np.quantile(values, [0.25, 0.75])
    beyond = np.maximum(low - values, values - high)
    return np.asarray(beyond / max(high - low, LEAST_RANGE))


CHECK = Check(
    code="D19",
    name="tiny-objects-after-resize",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-096", "DX-037"),
    caused_by=("D6",),
    source="Lin et al. 2017, Feature pyramid networks; Tukey 1977; cleanvision, odd_size",
    pages={
        "en": Page(
            title="objects of a few pixels once images are resized",
            finds="Training objects whose median side is below 8 px, or below a cell of the finest map, at the "
            "planned size of the images; also single images of a very odd size or aspect.",
            matters="Resizing throws away what is smaller than a few pixels before the network sees it, and within "
            "one cell of a map there is one answer. No training makes up for that.",
            measured="Side: square root of the area of the box in the resized image. The median over the training "
            "objects against 8 px or the finest stride, whichever is larger. Odd images: the logarithm of area or "
            "aspect lies more than 3 quartile ranges beyond the quartiles (only told).",
            false_alarms="Points that are annotated as small boxes on purpose and where the place is all that counts.",
            fix="Train on larger images (--image-size), on tiles of the images, or with a model whose finest map has "
            "a smaller stride.",
            messages={
                "tiny": "Half of the training objects are smaller than {median} px once images are resized to "
                "{image_size}; {percent} % are below {limit} px. An image size of {needed} would do.",
                "odd_size": "{count} of {total} images have an odd size or aspect; {width} x {height} is usual.",
            },
            fixes={"odd_size": "Look at these images: pages, thumbnails and panoramas are often strays."},
        ),
        "zh": Page(
            title="图像缩放后目标只有几个像素",
            finds="按计划的图像尺寸，训练目标的边长中位数小于 8 像素，或小于最精细特征图的一个单元；以及尺寸或长宽比很"
            "特殊的个别图像。",
            matters="小于几个像素的内容在网络看到之前就被缩放丢掉了，而特征图的一个单元只有一个答案。任何训练都无法弥"
            "补。",
            measured="边长：缩放后框面积的平方根。训练目标的中位数与 8 像素和最精细步长中较大者相比。特殊图像：面积或"
            "长宽比的对数超出四分位数 3 个四分位距（只作提示）。",
            false_alarms="有意用小框标注的点，只看位置。",
            fix="用更大的图像训练（--image-size）、把图像切成小块，或换用最精细特征图步长更小的模型。",
            messages={
                "tiny": "图像缩放到 {image_size} 后，一半训练目标小于 {median} 像素；{percent} % 低于 {limit} 像素。图"
                "像尺寸取 {needed} 即可。",
                "odd_size": "{total} 张图像中有 {count} 张尺寸或长宽比特殊；通常为 {width} x {height}。",
            },
            fixes={"odd_size": "查看这些图像：页面、缩略图和全景图往往是混进来的。"},
        ),
    },
)
