"""colour-cast (D25)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.images import image_places, medians_of_splits
from snellen.doctor.evidence.images import ImageFacts
from snellen.doctor.finding import Finding, Level, Limit, Place, Treatment
from snellen.doctor.words import Text

__all__ = ["CHECK", "agreed_tint"]

CAST = 0.5  # natural logarithm of a channel over green: 1.65 times; healthy photographs: 0 to 11 % of a set above
SET_CAST = 0.25  # of the median image; healthy sets: 0 to 0.13
SPLIT_CAST = 0.11  # distance of the medians of two splits; healthy splits: 0 to 0.06
WARNING_SHARE = 0.25  # of the images
_BALANCED = Treatment(settings={"enhance": ("neutral_light",)})
_SOURCE = "calibration on 10 healthy data sets (benchmarks/results/doctor_scan.md)"


def judge(index: DatasetIndex, facts: ImageFacts) -> Iterator[Finding]:
    """Yield a finding for tinted images, for a set that is tinted as a whole, and for splits of different tints."""
    usable = facts.is_readable & facts.is_coloured
    if not usable.any():
        raise NotCheckable(Text(en="no image is coloured", zh="没有彩色图像"))
    tints = agreed_tint(facts.white_tint, facts.edge_tint)
    strength = np.hypot(tints[:, 0], tints[:, 1])
    rows = np.flatnonzero(usable & (strength > CAST))
    usual = np.median(tints[usable], axis=0)
    if np.hypot(*usual) > SET_CAST:
        yield Finding(
            level=Level.WARNING,
            message="all",
            numbers=_gains(usual),
            measured=float(np.hypot(*usual)),
            limit=Limit(value=SET_CAST, source=_SOURCE),
            places=image_places(index, rows, strength[rows], lambda row: _told(tints[row])),
            num_places=int(usable.sum()),
            treatment=Treatment(settings={"enhance": (_undone(usual),)}),
        )
    elif len(rows):
        share = len(rows) / int(usable.sum())
        yield Finding(
            level=Level.WARNING if share >= WARNING_SHARE else Level.INFO,
            numbers={"count": len(rows), "images": len(index), "share": f"{share:.1%}"},
            measured=share,
            limit=Limit(value=WARNING_SHARE, level=Level.WARNING, unit="share", source=_SOURCE),
            places=image_places(index, rows, strength[rows], lambda row: _told(tints[row])),
            num_places=len(rows),
            treatment=_BALANCED,
        )
    both = np.concatenate([facts.white_tint, facts.edge_tint], axis=1).astype(np.float64)
    both[~usable] = np.nan
    for name, median, base in medians_of_splits(index, both):
        shift = agreed_tint((median - base)[None, :2], (median - base)[None, 2:])[0]
        apart = float(np.hypot(*shift))
        if apart > SPLIT_CAST:
            yield Finding(
                level=Level.WARNING,
                message="split",
                numbers={"split": name, **_gains(shift)},
                measured=apart,
                limit=Limit(value=SPLIT_CAST, source=_SOURCE),
                places=(Place(kind="split", name=name, score=apart),),
                num_places=1,
                treatment=_BALANCED,
            )


def agreed_tint(white: NDArray[np.floating], edge: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return for red and blue the part on which bright places and edges agree: a green wood has white clouds.

    Args:
        white: Red and blue over green of bright places, as natural logarithms, ``[*, 2]``.
        edge: The same of edges.
    """
    agree = np.sign(white) == np.sign(edge)
    return np.where(agree, np.sign(white) * np.minimum(np.abs(white), np.abs(edge)), 0.0).astype(np.float64)


def _undone(tint: NDArray[np.float64]) -> str:
    """Return the operation that takes one tint off all images; the strongest channel stays as it is."""
    red, blue = np.exp(-tint).tolist()
    strongest = min(red, 1.0, blue)
    red, green, blue = (round(gain / strongest, 2) for gain in (red, 1.0, blue))
    return f"gains:red={red:g}:green={green:g}:blue={blue:g}"


def _gains(tint: NDArray[np.float64]) -> dict[str, float | str]:
    red, blue = np.exp(tint).tolist()
    return {"red": f"{red:.2f}", "blue": f"{blue:.2f}"}


def _told(tint: NDArray[np.float64]) -> str:
    return "R/G {red}, B/G {blue}".format(**_gains(tint))


CHECK = Check(
    code="D25",
    name="colour-cast",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-033",),
    source="white patch (Land 1977) and grey edge (van de Weijer et al. 2007), which must agree; thresholds by "
    "calibration",
    pages={
        "en": Page(
            title="images with a colour cast",
            finds="Images in the colour of their light: yellow under lamps, blue in the shade, or tinted by the "
            "camera; whole sets of such images; and splits whose light differs.",
            matters="Colour is a strong cue. If it comes from the light and not from the object, a model learns the "
            "light, and fails under another.",
            measured="Red and blue over green where an image is brightest (not burnt), and of its edges. A cast is "
            "what both show alike: a green wood has white clouds and grey bark. An image counts from 1.65 times; it "
            "is told, and a warning from a quarter of the images, from 1.28 times in the median image, and from 1.12 "
            "times between the medians of training and another split.",
            false_alarms="Pictures that one colour fills: a flower, a sunset, a stained section. Such data are meant "
            "to look so.",
            fix="Balance the white of the images alike in training and in use (snellen train --enhance neutral_light; "
            "grey_world and grey_edge are others), or vary colour while training (a higher --augment).",
            messages={
                "default": "{count} of {images} images ({share}) have a strong colour cast.",
                "all": "The images have a colour cast as a whole: red is {red} and blue {blue} times green.",
                "split": "The images of {split} have another tint than those of training: red is {red} and blue "
                "{blue} times as strong against green.",
            },
        ),
        "zh": Page(
            title="偏色的图像",
            finds="带有光源颜色的图像：灯下偏黄、阴影里偏蓝或被相机染色；整套偏色的图像；以及光线不同的子集。",
            matters="颜色是很强的线索。若颜色来自光线而不是物体，模型学到的是光线，换一种光线就会失败。",
            measured="比较最亮处（未过曝）和边缘处的红、蓝与绿之比。两者一致的部分才算偏色：绿色树林里有白云和灰色树"
            "干。单张图像达到 1.65 倍会提示，占四分之一则警告；中位图像达到 1.28 倍、训练与另一子集的中位数相差 1.12 "
            "倍会警告。",
            false_alarms="被一种颜色填满的画面：花朵、日落、染色切片。这类数据本来如此。",
            fix="在训练和使用中以同样方式做白平衡（snellen train --enhance neutral_light；另有 grey_world 与 "
            "grey_edge），或在训练中变化颜色（提高 --augment）。",
            messages={
                "default": "{images} 张图像中有 {count} 张（{share}）明显偏色。",
                "all": "图像整体偏色：红是绿的 {red} 倍，蓝是绿的 {blue} 倍。",
                "split": "{split} 的图像色调与训练图像不同：相对于绿，红为 {red} 倍，蓝为 {blue} 倍。",
            },
        ),
    },
)
