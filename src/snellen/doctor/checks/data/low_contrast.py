"""low-contrast (D26)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.images import image_places, split_rows
from snellen.doctor.evidence.images import ImageFacts
from snellen.doctor.finding import Finding, Level, Limit, Treatment

__all__ = ["CHECK"]

RANGE_BELOW = 64  # levels of 255 from the 1st to the 99th percentile; healthy sets: 0 to 2.2 % of images below
BLANK_CONTRAST = 1.5  # levels of 255: an image with less shows nothing, which another check tells
DARK_BELOW, BRIGHT_ABOVE = 64, 200  # levels of 255: darker and brighter images are told by degraded-images
WARNING_SHARE = 0.25  # of the images of a split
# Where the extremes are far apart, or the means of 16 parts explain most of the spread, stretching does nothing.
FULL_RANGE = 150  # levels of 255 from the darkest to the brightest percentile of the images at fault
WHOLE_SET = 0.9  # share of the images from which one stretch for all is safe; others would be clipped by it
LOCAL = ("stretch", "clahe")  # the limit of CLAHE alone leaves a narrow range narrow
UNEVEN = 0.9  # spread of the means of 16 parts over the spread of all pixels


def judge(index: DatasetIndex, facts: ImageFacts) -> Iterator[Finding]:
    """Yield the images that use a small part of the range, with the enhancement that would help them."""
    low, high = facts.percentile(1).astype(np.int64), facts.percentile(99).astype(np.int64)
    used = high - low
    is_flat = facts.is_readable & (facts.contrast >= BLANK_CONTRAST) & (used < RANGE_BELOW)
    is_flat &= (high >= DARK_BELOW) & (low <= BRIGHT_ABOVE)
    rows = np.flatnonzero(is_flat)
    if not len(rows):
        return
    share, name = max((float(is_flat[members].mean()), split) for split, members in split_rows(index))
    uneven = float(np.median(facts.illumination[rows] / np.maximum(facts.contrast[rows], 1.0)))
    spread = int(high[rows].max() - low[rows].min())
    message = "clahe" if uneven > UNEVEN else "equalise" if spread > FULL_RANGE else "default"
    yield Finding(
        level=Level.WARNING if share >= WARNING_SHARE else Level.INFO,
        message=message,
        numbers={"count": len(rows), "images": len(index), "share": f"{share:.1%}", "split": name or "all",
                 "limit": RANGE_BELOW, "low": int(np.median(low[rows])), "high": int(np.median(high[rows]))},
        measured=share,
        limit=Limit(
            value=WARNING_SHARE, level=Level.WARNING, unit="share", source="calibration: at most 6 % of a healthy split"
        ),
        places=image_places(index, rows, -used[rows].astype(np.float64), lambda row: f"{low[row]}..{high[row]}"),
        num_places=len(rows),
        treatment=Treatment(settings={"enhance": _operations(message, low[rows], high[rows], len(index))}),
    )  # fmt: skip


def _operations(message: str, low: NDArray[np.int64], high: NDArray[np.int64], num_images: int) -> tuple[str, ...]:
    """Return what mends images that use the levels from ``low`` to ``high``; healthy ones among them hardly change."""
    if message == "default":
        is_whole = len(low) >= WHOLE_SET * num_images
        return (f"levels:low={int(np.median(low))}:high={int(np.median(high))}" if is_whole else "stretch",)
    return LOCAL if message == "clahe" else (message,)


CHECK = Check(
    code="D26",
    name="low-contrast",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-032",),
    source="Michelson's range by percentiles; Zuiderveld 1994 for CLAHE; thresholds by calibration",
    pages={
        "en": Page(
            title="images of low contrast",
            finds="Images whose brightness stays within a narrow range: haze, thin slides, flat scans.",
            matters="Differences that matter are a few levels of 255 large, near the noise and the rounding; a net "
            "that was pretrained on photographs sees a grey surface.",
            measured=f"From the 1st to the 99th percentile of brightness an image reaches less than {RANGE_BELOW} of "
            "255 levels. It is told, and a warning from a quarter of a split. If the means of 16 parts explain most of "
            "the spread, the light is uneven and local equalisation helps; if images lie at very different places of "
            "the range, equalisation of each; else one stretch for all.",
            false_alarms="Pictures of one plain surface, in which there is little to see.",
            fix="Stretch the range of all images alike, from {low} and {high} to 0 and 255, in training and in use "
            "(snellen train --enhance levels:low={low}:high={high}; stretch takes each image's own range).",
            messages=dict.fromkeys(
                ("default", "equalise", "clahe"),
                "{count} of {images} images ({share} of {split}) use fewer than {limit} of 255 levels, {low} to "
                "{high} in the median.",
            ),
            fixes={
                "equalise": "Equalise the histogram of each image, or stretch each from its own percentiles, in "
                "training and in use (snellen train --enhance equalise, or stretch): they lie at different places "
                "of the range.",
                "clahe": "Equalise locally (snellen train --enhance stretch,clahe), in training and in use: the light "
                "is uneven, so one curve for the whole image cannot help.",
            },
        ),
        "zh": Page(
            title="对比度低的图像",
            finds="亮度停留在狭窄范围内的图像：雾霾、薄切片、平淡的扫描件。",
            matters="重要的差别只有 255 级中的几级，接近噪声和舍入；在照片上预训练的网络看到的是一片灰色。",
            measured=f"亮度从第 1 到第 99 百分位不足 255 级中的 {RANGE_BELOW} 级。会提示，占某子集四分之一则警告。"
            "若 16 个部分的均值解释了大部分差异，则光照不均，局部均衡有用；若各图像位于范围内不同位置，则应逐张均衡；"
            "否则统一拉伸即可。",
            false_alarms="单一平面的照片，其中本来没有多少内容。",
            fix="在训练和使用中对所有图像统一拉伸，把 {low} 至 {high} 拉到 0 至 255（snellen train --enhance "
            "levels:low={low}:high={high}；stretch 按每张图像自身的范围拉伸）。",
            messages=dict.fromkeys(
                ("default", "equalise", "clahe"),
                "{images} 张图像中有 {count} 张（占 {split} 的 {share}）只用到 255 级中不足 {limit} 级，中位数为 "
                "{low} 至 {high}。",
            ),
            fixes={
                "equalise": "在训练和使用中对每张图像做直方图均衡，或按各自的百分位拉伸（snellen train --enhance "
                "equalise 或 stretch）：它们位于范围内的不同位置。",
                "clahe": "在训练和使用中做局部均衡（snellen train --enhance stretch,clahe）：光照不均，"
                "整图一条曲线无济于事。",
            },
        ),
    },
)
