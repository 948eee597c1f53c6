"""annotation-count-outliers (D38)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu, nbinom, poisson

from snellen.data import BoxTable, DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.images import image_places
from snellen.doctor.evidence.labels import Objects
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.words import Text

__all__ = ["CHECK"]

LEAST_IMAGES = 30  # with objects, so that usual numbers are known
RATIO = 1.25  # of the mean number of objects of two splits
P_VALUE = 1e-4  # of the rank-sum test between them
EXPECTED = 0.05  # images with so few objects, expected in the whole data set by chance
EMPTY_SHARE = 0.05  # of images without objects from which on they are there on purpose


def judge(index: DatasetIndex) -> Iterator[Finding]:
    """Yield a finding if splits are annotated to different degrees, or images have far too few objects."""
    table = index.annotations
    if not isinstance(table, BoxTable):
        raise NotCheckable(Objects.ABSENT)
    counts = np.diff(table.offsets)
    if (counts > 0).sum() < LEAST_IMAGES:
        raise NotCheckable(Text(
            en=f"fewer than {LEAST_IMAGES} images with objects", zh=f"含目标的图像少于 {LEAST_IMAGES} 张"
        ))  # fmt: skip
    yield from _differing(index, counts)
    yield from _few(index, counts)


def _differing(index: DatasetIndex, counts: NDArray[np.int64]) -> Iterator[Finding]:
    if "train" not in index.split_names:
        return
    train = counts[index.split_rows("train")]
    for name in index.split_names:
        other = counts[index.split_rows(name)]
        if name == "train" or min(len(train), len(other)) < LEAST_IMAGES or not min(train.sum(), other.sum()):
            continue
        ratio = float(max(train.mean(), other.mean()) / min(train.mean(), other.mean()))
        p_value = float(mannwhitneyu(train, other).pvalue)
        if ratio >= RATIO and p_value < P_VALUE:
            yield Finding(
                level=Level.WARNING,
                message="differing",
                numbers={"split": name, "train": round(float(train.mean()), 1), "other": round(float(other.mean()), 1),
                         "p": f"{p_value:.1g}"},
                measured=ratio,
                limit=Limit(value=RATIO, source="set here, with p < 0.0001 of the rank-sum test"),
                places=(Place(kind="split", name="train", note=f"{train.mean():.1f}"),
                        Place(kind="split", name=name, note=f"{other.mean():.1f}")),
                num_places=2,
            )  # fmt: skip


def _few(index: DatasetIndex, counts: NDArray[np.int64]) -> Iterator[Finding]:
    """Yield a finding for images with fewer objects than chance allows, given the middle of all."""
    empty = float((counts == 0).mean())
    candidates = np.flatnonzero(counts > 0) if empty > EMPTY_SHARE else np.arange(len(counts))
    middle = float(np.median(counts[counts > 0]))
    spread = 1.4826 * float(np.median(np.abs(counts[counts > 0] - middle)))
    chances = _chances(counts[candidates], middle, max(spread**2, middle))
    few = candidates[chances * len(counts) < EXPECTED]
    if len(few):
        yield Finding(
            level=Level.INFO,
            message="few",
            numbers={"count": len(few), "total": len(counts), "usual": round(middle), "least": int(counts[few].min())},
            measured=float(len(few)),
            limit=Limit(value=EXPECTED, unit="images", source="negative binomial by median and median deviation"),
            places=image_places(index, few, middle - counts[few], lambda row: str(counts[row])),
            num_places=len(few),
        )


def _chances(counts: NDArray[np.int64], mean: float, variance: float) -> NDArray[np.float64]:
    """Return the chance of so few objects or fewer, by a negative binomial, or Poisson's where it is no wider."""
    if variance <= mean * 1.001:
        return np.asarray(poisson.cdf(counts, mean))
    share = mean / variance
    return np.asarray(nbinom.cdf(counts, mean * share / (1 - share), share))


CHECK = Check(
    code="D38",
    name="annotation-count-outliers",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-011",),
    caused_by=("D3", "D6", "D12"),
    source="own; Mann and Whitney 1947; datumaro, OnlyOneLabel and FarFromAttrMean for the idea",
    pages={
        "en": Page(
            title="images with far fewer objects than others",
            finds="Splits with different numbers of objects per image, and single images with so few objects that "
            "they look unfinished.",
            matters="An object without a box is taught as background. If training images are annotated less fully "
            "than validation images, the model learns to be silent and the metric says that it misses.",
            measured="Splits: the mean numbers of objects per image differ by a quarter or more, and the rank-sum "
            "test gives p < 0.0001. Images: less than 0.05 images with so few objects are expected in the whole data "
            "set, by a negative binomial through the median and the median deviation (only told). Where more than one "
            "image in twenty has no object, empty images are taken as intended.",
            false_alarms="Validation images of fuller scenes that were chosen on purpose; close-ups among overviews.",
            fix="Look at the images listed with their boxes drawn and add what is missing; let the same people "
            "annotate all splits.",
            messages={
                "differing": "Images of train have {train} objects on average, those of {split} {other} (p = {p}): "
                "one of them may be annotated less fully.",
                "few": "{count} of {total} images have far fewer objects than the usual {usual} (down to {least}): "
                "they may not be annotated to the end.",
            },
        ),
        "zh": Page(
            title="目标数量远少于其他的图像",
            finds="每张图像目标数不同的子集，以及目标少到看起来没有标完的个别图像。",
            matters="没有框的目标会被当作背景来学习。如果训练图像标注得不如验证图像完整，模型会学会沉默，而指标显示它"
            "漏检。",
            measured="子集：每张图像的平均目标数相差四分之一以上，且秩和检验 p < 0.0001。图像：按中位数和中位偏差的负"
            "二项分布，整个数据集中目标这么少的图像预计不到 0.05 张（只作提示）。超过二十分之一的图像没有目标时，空图"
            "像视为有意。",
            false_alarms="有意选择的、目标更多的验证图像；全景之中的特写。",
            fix="把框画在所列图像上查看，补上缺少的目标；由同一批人标注所有子集。",
            messages={
                "differing": "train 的图像平均有 {train} 个目标，{split} 有 {other} 个（p = {p}）：其中之一可能标注不"
                "全。",
                "few": "{total} 张图像中有 {count} 张目标数远少于通常的 {usual} 个（最少 {least} 个）：可能没有标完。",
            },
        ),
    },
)
