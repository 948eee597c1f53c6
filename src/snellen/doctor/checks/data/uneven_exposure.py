"""uneven-exposure (D27)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.images import image_places, split_rows
from snellen.doctor.evidence.images import ImageFacts
from snellen.doctor.finding import Finding, Level, Limit, Treatment
from snellen.doctor.words import Text

__all__ = ["CHECK"]

CLIPPED = 0.25  # of the pixels are burnt or black; healthy sets of photographs: 0 to 3 % of images above
BLANK_CONTRAST = 1.5  # levels of 255: an image with less shows nothing, which another check tells
PLAIN_GROUND = 0.1  # of the pixels of the median image: white or black may be the ground on which things are shown
GROUND_EDGE = (
    0.5  # of the outermost pixels of the median thumbnail; things on white: 0.79, overexposed photographs: 0.28
)
EDGE_BLACK, EDGE_BURNT = 2, 253  # levels of 255 of thumbnails, whose pixels are means
DARK_BELOW = 64  # levels of 255: darker images are told by degraded-images
WARNING_SHARE = 0.25  # of the images of a split


def judge(index: DatasetIndex, facts: ImageFacts) -> Iterator[Finding]:
    """Yield the images of which a large part is burnt or black."""
    usable = facts.is_readable & (facts.contrast >= BLANK_CONTRAST)
    clipped = facts.burnt + facts.black
    if not usable.any():
        raise NotCheckable(Text(en="no image shows anything", zh="没有一张图像有内容"))
    if np.median(clipped[usable]) > PLAIN_GROUND and np.median(_clipped_edges(facts.thumbnail)[usable]) > GROUND_EDGE:
        raise NotCheckable(
            Text(
                en="most images have a white or black ground, which looks like clipped light",
                zh="多数图像有白色或黑色背景，看上去与过曝或全黑无异",
            )
        )
    is_clipped = usable & (clipped > CLIPPED) & (facts.percentile(99) >= DARK_BELOW)
    rows = np.flatnonzero(is_clipped)
    if not len(rows):
        return
    share, name = max((float(is_clipped[members].mean()), split) for split, members in split_rows(index))
    burnt = int((facts.burnt[rows] >= facts.black[rows]).sum())
    yield Finding(
        level=Level.WARNING if share >= WARNING_SHARE else Level.INFO,
        numbers={"count": len(rows), "images": len(index), "share": f"{share:.1%}", "split": name or "all",
                 "burnt": burnt, "black": len(rows) - burnt, "limit": f"{CLIPPED:.0%}"},
        measured=share,
        limit=Limit(
            value=WARNING_SHARE,
            level=Level.WARNING,
            unit="share",
            source="calibration: at most 3 % in 10 sets of photographs",
        ),
        places=image_places(
            index, rows, clipped[rows], lambda row: f"255: {facts.burnt[row]:.0%}, 0: {facts.black[row]:.0%}"
        ),
        num_places=len(rows),
        treatment=Treatment(settings={"enhance": ("exposure",)}),
    )  # fmt: skip


def _clipped_edges(thumbnails: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the share of clipped pixels among the outermost of each thumbnail, ``[n]``: a ground surrounds things."""
    sides = (thumbnails[:, 0], thumbnails[:, -1], thumbnails[:, 1:-1, 0], thumbnails[:, 1:-1, -1])
    edges = np.concatenate(sides, axis=1)
    return np.asarray(((edges <= EDGE_BLACK) | (edges >= EDGE_BURNT)).mean(1))


CHECK = Check(
    code="D27",
    name="uneven-exposure",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-034",),
    source="share of clipped pixels, as photographers' histograms show it; thresholds by calibration",
    pages={
        "en": Page(
            title="images of which a part is burnt or black",
            finds="Images in which a large part is plain white or plain black: too much or too little light in places.",
            matters="What is clipped is gone: no processing brings it back, and labels there teach noise. One "
            "threshold for the whole image fails on such pictures.",
            measured=f"Pixels that are 0, 1, 254 or 255 make up more than {CLIPPED:.0%} of an image. It is told, and a "
            "warning from a quarter of a split. Where white or black is the ground of most images and surrounds what "
            "they show, it cannot be told.",
            false_alarms="Objects before a white wall or a night sky in data that are otherwise different.",
            fix="Expose for the bright parts, or take several exposures; where it is too late, lift and lower by local "
            "thresholds or equalise locally, in training and in use (snellen train --enhance exposure, or clahe), and "
            "leave out what is lost.",
            messages={
                "default": "{count} of {images} images ({share} of {split}) are clipped over more than {limit}: "
                "{burnt} burnt, {black} black.",
            },
        ),
        "zh": Page(
            title="局部过曝或全黑的图像",
            finds="大片纯白或纯黑的图像：局部光线过强或过弱。",
            matters="被截断的信息无法恢复，那里的标注只会教给模型噪声。对整幅图像用一个阈值在这类画面上会失败。",
            measured=f"值为 0、1、254 或 255 的像素超过图像的 {CLIPPED:.0%}。会提示，占某子集四分之一则警告。"
            "若多数图像以白色或黑色为背景（四周皆是），则无法判断。",
            false_alarms="数据中其他图像不同，而个别物体位于白墙或夜空之前。",
            fix="按亮部曝光，或多次曝光；若为时已晚，在训练和使用中按局部阈值提亮与压暗，或做局部均衡（snellen "
            "train --enhance exposure 或 clahe），并排除已丢失的图像。",
            messages={
                "default": "{images} 张图像中有 {count} 张（占 {split} 的 {share}）超过 {limit} 的面积被截断：{burnt} "
                "张过曝，{black} 张全黑。",
            },
        ),
    },
)
