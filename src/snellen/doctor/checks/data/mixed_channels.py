"""mixed-channels (D9)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.images import image_places, split_rows
from snellen.doctor.evidence.images import ImageFacts
from snellen.doctor.finding import Finding, Level, Limit

__all__ = ["CHECK"]

# Share of the rarer kind. Photos from the web have 0 to 3 % of grey ones (10 real data sets, doctor_scan.md).
WARNING_SHARE = 0.05
_SOURCE = "calibration: at most 3 % of grey images in 10 healthy data sets"
APART = 0.5  # difference of the share of grey images between splits
DARK_BELOW = 100  # levels of 255: the 99th percentile; darkened to it, coloured photographs begin to look grey
BLANK_CONTRAST = 1.5  # levels of 255: standard deviation of an image that shows nothing


def judge(index: DatasetIndex, facts: ImageFacts) -> Iterator[Finding]:
    """Yield a finding for grey among colour, for depths that differ, for transparency, and for splits that differ."""
    readable = facts.is_readable & _shows_colours(facts)
    grey = readable & ~facts.is_coloured
    shares = {}
    worst: tuple[float, str, NDArray[np.int64]] = (0.0, "", np.zeros(0, np.int64))
    for name, rows in split_rows(index):
        rows = rows[readable[rows]]  # noqa: PLW2901 - the readable ones of them
        if not len(rows):
            continue
        shares[name] = float(grey[rows].mean())
        rarer = grey[rows] if shares[name] <= 0.5 else ~grey[rows]
        worst = max(worst, (float(rarer.mean()), name, rows[rarer]), key=lambda kind: kind[0])
    if worst[0] > 0:
        yield Finding(
            level=Level.WARNING if worst[0] >= WARNING_SHARE else Level.INFO,
            message="grey" if grey[worst[2][0]] else "colour",
            numbers={"count": len(worst[2]), "share": f"{worst[0]:.1%}", "split": worst[1] or "all"},
            measured=worst[0],
            limit=Limit(value=WARNING_SHARE, level=Level.WARNING, unit="share", source=_SOURCE),
            places=image_places(index, worst[2], note=lambda row: facts.mode[row].decode()),
            num_places=len(worst[2]),
        )
    if shares and max(shares.values()) - min(shares.values()) > APART:
        first, last = min(shares, key=lambda name: shares[name]), max(shares, key=lambda name: shares[name])
        rows = np.flatnonzero(grey & (index.splits == index.split_names.index(last))) if last else np.flatnonzero(grey)
        yield Finding(
            level=Level.WARNING,
            message="splits",
            numbers={"grey": last, "grey_share": f"{shares[last]:.0%}", "colour": first,
                     "share": f"{shares[first]:.0%}"},
            measured=shares[last] - shares[first],
            limit=Limit(value=APART, unit="share", source="calibration: no difference in 10 healthy data sets"),
            places=image_places(index, rows),
            num_places=len(rows),
        )  # fmt: skip
    yield from _other_kinds(index, facts)


def _shows_colours(facts: ImageFacts) -> NDArray[np.bool_]:
    """Return which images would show colour if they had any: in what is nearly black or empty nobody sees it."""
    shows = (facts.percentile(99) >= DARK_BELOW) & (facts.contrast >= BLANK_CONTRAST)
    return np.asarray(facts.is_coloured | shows, np.bool_)


def _other_kinds(index: DatasetIndex, facts: ImageFacts) -> Iterator[Finding]:
    depths, counts = np.unique(facts.bit_depth[facts.is_readable & (facts.bit_depth > 1)], return_counts=True)
    if len(depths) > 1:
        rows = np.flatnonzero(facts.is_readable & np.isin(facts.bit_depth, np.delete(depths, counts.argmax())))
        yield Finding(
            level=Level.WARNING,
            message="depth",
            numbers={"count": len(rows), "depths": ", ".join(map(str, depths.tolist()))},
            places=image_places(index, rows, note=lambda row: f"{facts.bit_depth[row]} bit"),
            num_places=len(rows),
        )
    clear = np.flatnonzero(facts.has_alpha & facts.is_readable)
    if 0 < len(clear) < facts.is_readable.sum():
        yield Finding(
            level=Level.INFO,
            message="alpha",
            numbers={"count": len(clear), "images": len(index)},
            places=image_places(index, clear, note=lambda row: facts.mode[row].decode()),
            num_places=len(clear),
        )


CHECK = Check(
    code="D9",
    name="mixed-channels",
    stage=Stage.DATA,
    judge=judge,
    source="nnU-Net, integrity check of channels; cleanvision, grayscale; the share by calibration",
    pages={
        "en": Page(
            title="images of different kinds of pixels",
            finds="Grey images among coloured ones or the reverse, 8 bits among 16, transparent among opaque ones, "
            "and splits of which one is grey and the other coloured.",
            matters="A network that sees colour in most images leans on it, and fails where there is none; if one "
            "class or split alone is grey, being grey becomes the answer. Depths that differ are scaled differently, "
            "so the same object comes out light and dark.",
            measured="An image is grey if no place of it is coloured, however it is stored. The rarer kind within a "
            "split is told, and is a warning from 5 %; images that are nearly black or empty are not counted. Mixed "
            "depths are a warning; transparency is told.",
            false_alarms="Collections that are meant to hold old and new photos, or scans of both kinds.",
            fix="Make all images of one kind: convert them to grey if colour carries nothing, or leave the rarer kind "
            "out, or train with augmentation that removes colour at times.",
            messages={
                "grey": "{count} images of the split {split} ({share}) are grey among coloured ones.",
                "colour": "{count} images of the split {split} ({share}) are coloured among grey ones.",
                "splits": "{grey_share} of the images of {grey} are grey, but {share} of those of {colour}.",
                "depth": "Images of {depths} bits a channel are mixed; {count} are of the rarer kind.",
                "alpha": "{count} of {images} images have transparent pixels; they are put on white.",
            },
        ),
        "zh": Page(
            title="像素类型不一致的图像",
            finds="彩色图像中混有灰度图像（或相反）、8 位与 16 位混用、透明与不透明混用，以及一个子集为灰度而另一个为"
            "彩色。",
            matters="大多数图像有颜色时网络会依赖颜色，遇到没有颜色的图像就会失败；若只有某一类或某一子集是灰度，“灰"
            "度”就成了答案。位深不同则缩放不同，同一物体会一明一暗。",
            measured="无论以何种方式存储，处处无色彩的图像算作灰度。每个子集中较少的一类会被提示，达到 5% 则警告；几乎"
            "全黑或没有内容的图像不计。位深混用会警告；透明像素会提示。",
            false_alarms="有意同时收集新旧照片或两种扫描件的数据。",
            fix="统一图像类型：颜色无用就全部转为灰度，或排除较少的一类，或在增强中偶尔去掉颜色。",
            messages={
                "grey": "子集 {split} 中有 {count} 张（{share}）灰度图像混在彩色图像里。",
                "colour": "子集 {split} 中有 {count} 张（{share}）彩色图像混在灰度图像里。",
                "splits": "{grey} 中 {grey_share} 的图像是灰度，而 {colour} 中只有 {share}。",
                "depth": "混用了每通道 {depths} 位的图像；较少的一类有 {count} 张。",
                "alpha": "{images} 张图像中有 {count} 张含透明像素；它们被置于白色背景上。",
            },
        ),
    },
)
