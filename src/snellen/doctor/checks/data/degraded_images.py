"""degraded-images (D18)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.images import image_places, medians_of_splits, split_rows
from snellen.doctor.evidence.images import ImageFacts
from snellen.doctor.finding import Finding, Level, Limit, Place, Treatment

__all__ = ["CHECK"]

DARK_BELOW = 64  # levels of 255: the 99th percentile; healthy sets: 0 to 1.1 % of images below
BRIGHT_ABOVE = 200  # levels of 255: the 1st percentile; healthy sets: 0 to 0.5 % above
BLURRED_BELOW = 0.30  # sharpness; healthy sets: 0 to 1 % below; 29 of 30 images blurred by 0.6 to 2.4 % of their side
BLURRED_RATIO = 0.55  # of the median sharpness of the data set; healthy sets: 0 to 2.1 % below
BLANK_CONTRAST = 1.5  # levels of 255: standard deviation of an image that shows nothing
BLACK_CONTRAST = 0.75  # the same for dark and bright images, in which a little contrast is all that is left
WARNING_SHARE = 0.25  # of the images of a split; healthy splits have up to 2.8 %
SPLIT_DARKER = 0.7  # ratio of the median brightness; healthy splits: 0.77 to 1.3
SPLIT_BLURRIER = 0.7  # ratio of the median sharpness; healthy splits: 0.83 to 1.2
SPLIT_NOISIER = 6.0  # levels of 255: difference of the median noise; healthy splits: below 2
# Each image from its own range: what is dark or pale is mended, and a healthy image hardly changes.
_STRETCHED = Treatment(settings={"enhance": ("stretch",)})
_SOURCE = "calibration on 10 healthy data sets and planted faults (benchmarks/results/doctor_scan.md)"


def judge(index: DatasetIndex, facts: ImageFacts) -> Iterator[Finding]:
    """Yield what is dark, bright, blurred or empty, and splits that are darker, blurrier or noisier than training."""
    largest, smallest = facts.percentile(99).astype(float), facts.percentile(1).astype(float)
    dark, bright = facts.is_readable & (largest < DARK_BELOW), facts.is_readable & (smallest > BRIGHT_ABOVE)
    shows = facts.is_readable & (facts.contrast >= np.where(dark | bright, BLACK_CONTRAST, BLANK_CONTRAST))
    sharpness = facts.sharpness.astype(float)
    usual = float(np.nanmedian(sharpness[shows])) if np.isfinite(sharpness[shows]).any() else 1.0
    blurred_below = max(BLURRED_BELOW, BLURRED_RATIO * usual)
    with np.errstate(invalid="ignore"):
        blurred = shows & (sharpness < blurred_below)
    blank = facts.is_readable & ~shows
    for message, rows, values, limit, sign in (
        ("dark", dark & shows, largest, float(DARK_BELOW), -1),
        ("bright", bright & shows, smallest, float(BRIGHT_ABOVE), 1),
        ("blurred", blurred & ~dark & ~bright, sharpness, blurred_below, -1),
        ("low_information", blank, facts.contrast.astype(float), BLANK_CONTRAST, -1),
    ):
        yield from _images(index, message, np.flatnonzero(rows), values, (limit, sign))
    yield from _splits(index, facts)


def _images(
    index: DatasetIndex, message: str, rows: NDArray[np.int64], values: NDArray[np.float64], limit: tuple[float, int]
) -> Iterator[Finding]:
    if not len(rows):
        return
    share, name = max((np.isin(members, rows).mean(), name) for name, members in split_rows(index))
    yield Finding(
        level=Level.WARNING if share >= WARNING_SHARE else Level.INFO,
        message=message,
        numbers={"count": len(rows), "images": len(index), "share": f"{share:.1%}", "split": name or "all",
                 "limit": round(limit[0], 2)},
        measured=float(share),
        limit=Limit(value=WARNING_SHARE, level=Level.WARNING, unit="share", source=_SOURCE),
        places=image_places(index, rows, limit[1] * values[rows], lambda row: f"{values[row]:.2f}"),
        num_places=len(rows),
        treatment=_treatment(index, message, rows),
    )  # fmt: skip


def _treatment(index: DatasetIndex, message: str, rows: NDArray[np.int64]) -> Treatment | None:
    if message == "low_information":
        return Treatment(drop_images=tuple(index.paths[row] for row in rows.tolist()))
    return _STRETCHED if message in ("dark", "bright") else None


def _splits(index: DatasetIndex, facts: ImageFacts) -> Iterator[Finding]:
    light = np.where(facts.is_readable[:, None], facts.brightness[:, 3:6:2], np.nan)  # median and 95th percentile
    for values, bound, less, more in (
        (light, SPLIT_DARKER, "split_darker", "split_brighter"),
        (facts.sharpness.astype(np.float64), SPLIT_BLURRIER, "split_blurrier", "split_sharper"),
    ):
        for name, median, base in medians_of_splits(index, values):
            ratio = median / np.maximum(base, 1e-6)
            if (ratio < bound).all():
                yield _split(name, less, float(ratio.max()), bound)
            elif (ratio > 1 / bound).all():
                yield _split(name, more, float(ratio.min()), 1 / bound)
    noise = np.where(facts.is_readable, facts.noise, np.nan).astype(np.float64)
    for name, median, base in medians_of_splits(index, noise):
        added = float(median[0] - base[0])
        if abs(added) > SPLIT_NOISIER:
            yield _split(name, "split_noisier" if added > 0 else "split_calmer", abs(added), SPLIT_NOISIER)


def _split(name: str, message: str, measured: float, limit: float) -> Finding:
    return Finding(
        level=Level.WARNING,
        message=message,
        numbers={"split": name, "measured": round(measured, 2)},
        measured=measured,
        limit=Limit(value=limit, source=_SOURCE),
        places=(Place(kind="split", name=name, score=measured),),
        num_places=1,
        treatment=_STRETCHED if message in ("split_darker", "split_brighter") else None,
    )


CHECK = Check(
    code="D18",
    name="degraded-images",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-024", "DX-035", "DX-036"),
    source="cleanvision (dark, light, blurry, low_information) for what is looked at; criteria and thresholds by "
    "calibration",
    pages={
        "en": Page(
            title="dark, bright, blurred or empty images",
            finds="Images that are nearly black, washed out, out of focus or without any content, and splits that are "
            "darker, brighter, blurrier or noisier than the training split.",
            matters="What cannot be seen cannot be learned, and what the labels claim to be there becomes noise. If "
            "images of the field are darker or blurrier than those of the training, the score at home says little.",
            measured=f"Dark: the 99th percentile of brightness is below {DARK_BELOW}. Bright: the first is above "
            f"{BRIGHT_ABOVE}. Blurred: the steepest edges, over the way from dark to light in 8 x 8 pixels of an image "
            f"of 160 to 319 pixels and with noise taken off, are below {BLURRED_BELOW}, or below {BLURRED_RATIO} of "
            f"the median of the data set. Empty: brightness varies by less than {BLANK_CONTRAST:g} levels. Each is "
            f"told, and a warning from {WARNING_SHARE:.0%} of a split. Splits are compared by medians: brightness "
            f"below "
            f"{SPLIT_DARKER} or sharpness below {SPLIT_BLURRIER} of the other's, or noise higher by "
            f"{SPLIT_NOISIER:g} levels.",
            false_alarms="Night scenes, fluorescence on black, a picture with a shallow depth of field and nothing "
            "sharp, skies and other surfaces without edges; grey of 16 bits that uses a small part of its range is "
            "really dark after loading.",
            fix="Look at them, and leave out what shows nothing.",
            messages={
                "dark": "{count} of {images} images are nearly black: no brightness above {limit} of 255 ({share} of "
                "{split}).",
                "bright": "{count} of {images} images are washed out: no brightness below {limit} of 255 ({share} of "
                "{split}).",
                "blurred": "{count} of {images} images are blurred: sharpness below {limit} ({share} of {split}).",
                "low_information": "{count} of {images} images show nothing ({share} of {split}).",
                "split_darker": "Images of {split} are {measured} times as bright as those of training.",
                "split_brighter": "Images of {split} are {measured} times as bright as those of training.",
                "split_blurrier": "Images of {split} are {measured} times as sharp as those of training.",
                "split_sharper": "Images of {split} are {measured} times as sharp as those of training.",
                "split_noisier": "Images of {split} are noisier than those of training, by {measured} levels of 255.",
                "split_calmer": "Images of {split} are less noisy than those of training, by {measured} levels of 255.",
            },
            fixes={
                "dark": "Stretch each image from its own range, in training and in use (snellen train --enhance "
                "stretch), or, where single lights are bright, lift with a logarithm, c log(1 + r) (--enhance log); "
                "take the full range of a 16-bit file; leave out what stays black.",
                "bright": "Expose less, or stretch each image from its own range, in training and in use (snellen "
                "train --enhance stretch); what is white has lost its detail for good.",
                "blurred": "Leave them out, or, if such images will come in use, keep them and label what can still "
                "be seen; sharpening (Laplacian) helps the eye and adds nothing that a network could not find.",
                **dict.fromkeys(
                    ("split_darker", "split_brighter"),
                    "Stretch each image from its own range, in training and in use (snellen train --enhance stretch), "
                    "or train on images like those of use, or vary brightness while training (a higher --augment).",
                ),
                **dict.fromkeys(
                    (
                        "split_blurrier",
                        "split_sharper",
                        "split_noisier",
                        "split_calmer",
                    ),
                    "Train on images like those of use, or degrade training images likewise (brightness, blur, noise; "
                    "a higher --augment).",
                ),
            },
        ),
        "zh": Page(
            title="过暗、过亮、模糊或空白的图像",
            finds="几乎全黑、发白、失焦或没有内容的图像，以及比训练子集更暗、更亮、更模糊或噪声更大的子集。",
            matters="看不见的就学不到，标签声称存在的东西会变成噪声。若现场图像比训练图像更暗或更模糊，在家里得到的分"
            "数说明不了什么。",
            measured=f"过暗：亮度的第 99 百分位低于 {DARK_BELOW}。过亮：第 1 百分位高于 {BRIGHT_ABOVE}。"
            "模糊：在长边 160 至 319 像素的图像上，8 x 8 像素内最陡的边缘与明暗差之比（扣除噪声）低于 "
            f"{BLURRED_BELOW}，或低于数据集中位数的 {BLURRED_RATIO}。空白：亮度变化小于 {BLANK_CONTRAST:g} 级。"
            f"每种都会提示，达到某子集的 {WARNING_SHARE:.0%} 则警告。子集按中位数比较：亮度低于另一方的 "
            f"{SPLIT_DARKER}，"
            f"或清晰度低于 {SPLIT_BLURRIER}，或噪声高出 {SPLIT_NOISIER:g} 级。",
            false_alarms="夜景、黑底荧光图、景深浅而无清晰处的照片、天空等没有边缘的表面；只用了一小段范围的 16 位灰度"
            "图读入后确实很暗。",
            fix="查看这些图像，排除没有内容的。",
            messages={
                "dark": "{images} 张图像中有 {count} 张几乎全黑：亮度不超过 {limit}（满值 255；占 {split} 的 "
                "{share}）。",
                "bright": "{images} 张图像中有 {count} 张发白：亮度不低于 {limit}（满值 255；占 {split} 的 {share}）。",
                "blurred": "{images} 张图像中有 {count} 张模糊：清晰度低于 {limit}（占 {split} 的 {share}）。",
                "low_information": "{images} 张图像中有 {count} 张没有内容（占 {split} 的 {share}）。",
                "split_darker": "{split} 的图像亮度是训练图像的 {measured} 倍。",
                "split_brighter": "{split} 的图像亮度是训练图像的 {measured} 倍。",
                "split_blurrier": "{split} 的图像清晰度是训练图像的 {measured} 倍。",
                "split_sharper": "{split} 的图像清晰度是训练图像的 {measured} 倍。",
                "split_noisier": "{split} 的图像噪声比训练图像高 {measured} 级（满值 255）。",
                "split_calmer": "{split} 的图像噪声比训练图像低 {measured} 级（满值 255）。",
            },
            fixes={
                "dark": "在训练和使用中按每张图像自身的范围拉伸（snellen train --enhance stretch），若画面中有个别亮光"
                "，则用对数 c log(1 + r) 提亮（--enhance log）；使用 16 位文件的完整范围；仍然全黑的请排除。",
                "bright": "降低曝光，或在训练和使用中按每张图像自身的范围拉伸（snellen train --enhance stretch）；已成"
                "白色的细节无法恢复。",
                "blurred": "将其排除；若使用时会遇到这样的图像，则保留并标注仍能看清的内容。锐化（拉普拉斯）有助于人"
                "眼，但不会增加网络找不到的信息。",
                **dict.fromkeys(
                    ("split_darker", "split_brighter"),
                    "在训练和使用中按每张图像自身的范围拉伸（snellen train --enhance stretch），或用与实际使用相似的图"
                    "像训练，或在训练中变化亮度（提高 --augment）。",
                ),
                **dict.fromkeys(
                    (
                        "split_blurrier",
                        "split_sharper",
                        "split_noisier",
                        "split_calmer",
                    ),
                    "用与实际使用相似的图像训练，或对训练图像做同样的退化（亮度、模糊、噪声；提高 --augment）。",
                ),
            },
        ),
    },
)
