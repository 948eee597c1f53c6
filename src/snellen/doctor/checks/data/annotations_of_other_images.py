"""annotations-of-other-images (D41)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex, MaskTable
from snellen.data.index import NO_SPLIT
from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.annotation_fit import AnnotationFit
from snellen.doctor.finding import Finding, Level, Limit, Place

__all__ = ["CHECK"]

LOST = 2.0  # standard deviations of the mean fit above 0.5, that of annotations of other images
CLEAR = 0.8  # mean fit that only annotations of their own images reach
FITS = 0.95  # of a label image that belongs to its image
LEAST_FITTING = 0.3  # share of the label images that fit; then the others should, too
STRAYS = 0.05  # share of the label images that may fit worse than half of the others; 0.01 in healthy sets
FEWEST_STRAYS = 3
LESS_THAN_OTHERS = 0.15  # of the mean fit below that of the other splits; healthy splits differ by at most 0.04
SURELY_LESS = 3.0  # standard errors of that difference
MORE_STRAYS = 0.1  # of the images that fit worse than half of the others, more than in the other splits
MOST_PLACES = 50
_UNIFORM_SPREAD = 12**-0.5  # standard deviation of the fit of annotations that belong elsewhere
_SOURCE = "annotations of other images; the mean is 0.72 to 1 in eight healthy data sets"

Rows = NDArray[np.int64]


def judge(index: DatasetIndex, fit: AnnotationFit) -> Iterator[Finding]:
    """Yield a finding for each split whose annotations fit other images as well as their own, or some of which do."""
    places = index.splits[fit.rows]
    splits = [np.flatnonzero(places == place) for place in np.unique(places).tolist()]
    is_clear = any(float(fit.fit[own].mean()) >= CLEAR for own in splits)
    for own in splits:
        bound = 0.5 + LOST * _UNIFORM_SPREAD / len(own) ** 0.5
        others = np.setdiff1d(np.arange(len(fit.fit)), own)
        strays = int((fit.fit[own] < 0.5).sum())
        if float(fit.fit[own].mean()) < bound:
            yield _finding(index, fit, own, "default", Level.ERROR if is_clear else Level.WARNING, bound)
        elif (
            isinstance(index.annotations, MaskTable)
            and float((fit.fit[own] >= FITS).mean()) >= LEAST_FITTING
            and strays >= max(FEWEST_STRAYS, STRAYS * len(own))
        ):
            yield _finding(index, fit, own, "some", Level.WARNING, STRAYS)
        elif is_clear and _fits_less(fit.fit[own], fit.fit[others]):
            yield _finding(index, fit, own, "less", Level.WARNING, float(fit.fit[others].mean()) - LESS_THAN_OTHERS)


def _fits_less(own: NDArray[np.float32], others: NDArray[np.float32]) -> bool:
    """Return whether the annotations of a split fit clearly worse than those of the others: some belong elsewhere."""
    if not len(others):
        return False
    gap = float(others.mean() - own.mean())
    error = float(own.var() / len(own) + others.var() / len(others)) ** 0.5
    more = float((own < 0.5).mean() - (others < 0.5).mean())
    return gap >= max(LESS_THAN_OTHERS, SURELY_LESS * error) and more >= MORE_STRAYS


def _belonging_elsewhere(fit: AnnotationFit, own: Rows) -> float:
    """Return the share of a split whose annotations belong elsewhere: those fit one half, others as usual."""
    others = np.delete(fit.fit, own)
    usual = float(others.mean()) if len(others) else 1.0
    return float(np.clip((usual - float(fit.fit[own].mean())) / max(usual - 0.5, 1e-6), 0.0, 1.0))


def _finding(index: DatasetIndex, fit: AnnotationFit, own: Rows, message: str, level: Level, limit: float) -> Finding:
    split = int(index.splits[fit.rows[own[0]]])
    mean = float(fit.fit[own].mean())
    worst = own[np.argsort(fit.fit[own], kind="stable")]
    worst = worst[fit.fit[worst] < 0.5]
    share = len(worst) / len(own)
    return Finding(
        level=level,
        message=message,
        numbers={"split": "all" if split == NO_SPLIT else index.split_names[split], "images": len(own),
                 "fit": round(100 * mean), "strays": len(worst),
                 "share": round(100 * (_belonging_elsewhere(fit, own) if message == "less" else min(1.0, 2 * share)))},
        measured=share if message == "some" else mean,
        limit=Limit(value=round(limit, 3), source=_SOURCE),
        places=tuple(
            Place(kind="image", name=index.paths[fit.rows[at]], score=1 - float(fit.fit[at]))
            for at in worst[:MOST_PLACES].tolist()
        ),
        num_places=len(worst),
    )  # fmt: skip


CHECK = Check(
    code="D41",
    name="annotations-of-other-images",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-013",),
    source="permutation tests, Ojala and Garriga 2010; eta squared, Fisher 1925",
    pages={
        "en": Page(
            title="boxes or label images belong to other images",
            finds="Splits whose boxes or label images fit other images as well as their own, and label images that "
            "were swapped with others: a list that slipped, two folders that were sorted differently, a numbering "
            "that began anew.",
            matters="A network can then learn where things usually are, and nothing of what they look like; no setting "
            "will help.",
            measured="In up to 80 images of each split: how much of the variance of colours and edges lies between "
            "what is marked and the rest (eta squared, the mean of four channels at 96 px), with an image's own "
            "annotations and with those of 20 others. Where they belong, its own explain more than nearly all "
            "others. If they do so no more often than chance has it (2 standard deviations above 50 %), they are "
            "lost: an error where those of another split fit (80 %), else a warning. If 30 % of the label images "
            "fit, and at least 5 % (and 3) fit worse than half of the others, these are named: about twice as many "
            "belong elsewhere. A split whose mean lies 15 points (and 3 standard errors) below that of the others, and "
            "in which 10 % more fit worse than half of the others, has lost a part of its annotations.",
            false_alarms="Objects that look like what surrounds them, such as faults in a texture, images that all "
            "show the same thing at the same place, and a split of other scenes, in which objects stand out less.",
            fix="Join images and annotations by name, never by position. Look at ten images with what is drawn on "
            "them.",
            messages={
                "default": "In split {split} what is marked fits the {images} images that were looked at no better "
                "than what is marked in others (better than {fit} % of them, 50 % by chance).",
                "less": "In split {split} what is marked fits the {images} images that were looked at worse than in "
                "other splits (better than {fit} % of what is marked in others): about {share} % belong elsewhere.",
                "some": "In split {split} {strays} of {images} label images fit their image worse than most others do: "
                "about {share} % belong elsewhere.",
            },
        ),
        "zh": Page(
            title="框或标签图像属于别的图像",
            finds="找出框或标签图像与其他图像同样吻合的子集，以及被互换的标签图像：列表错位、两个文件夹排序不同、重新编"
            "号等。",
            matters="此时网络只能学到物体通常在哪里，学不到它们的样子；任何设置都无济于事。",
            measured="每个子集最多 80 张图像：颜色和边缘的方差有多少位于所标区域与其余部分之间（eta 平方，96 像素下四个"
            "通道的平均），分别用图像自身的标注和另外 20 张图像的标注计算。正确配对时，自身的标注几乎总是解释得更多。"
            "如果比例不超过随机（50 % 以上 2 个标准差），则为无关：其他子集吻合（80 %）时为错误，否则为警告。若 30 % "
            "的标签图像吻合，而至少 5 %（且 3 张）不如半数其他标签图像，则逐一指出：约两倍于此的标签属于别处。若某子集"
            "的平均比例低于其他子集 15 个百分点（且 3 个标准误差），并且不如半数其他标注的图像多出 10 %，则其部分标注已"
            "错位。",
            false_alarms="与周围看起来相同的目标，例如纹理中的缺陷；在同一位置都显示同一物体的图像；以及目标不那么醒目的"
            "另一类场景。",
            fix="按名称而不是按位置配对图像和标注。查看十张画有标注的图像。",
            messages={
                "default": "子集 {split} 中，所查看的 {images} 张图像的标注与自身的吻合程度并不优于与其他图像的标注"
                "（优于其中 {fit} %，随机为 50 %）。",
                "less": "子集 {split} 中，所查看的 {images} 张图像的标注与自身的吻合程度不如其他子集（优于其他图像标注"
                "的 {fit} %）：约 {share} % 属于别处。",
                "some": "子集 {split} 的 {images} 张标签图像中有 {strays} 张与其图像的吻合程度不如大多数其他标签图像："
                "约 {share} % 属于别处。",
            },
        ),
    },
)
