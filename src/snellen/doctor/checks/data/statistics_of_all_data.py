"""statistics-of-all-data (D32)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.images import ImageFacts
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.words import Text
from snellen.nn import IMAGENET_MEAN

__all__ = ["CHECK"]

SAME = 0.001  # of full scale, for each of R, G, B: means are mostly written with three digits
APART = 0.003  # of full scale, in one of R, G, B at least: then the training images are out of the question
_SOURCE = "rounding of published means to three digits"
_TELLS_NOTHING = Text(
    en="the training images and all images have the same mean, so that it tells nothing of where it came from",
    zh="训练图像与全部图像的均值相同，无法判断均值的来源",
)


def judge(index: DatasetIndex, facts: ImageFacts, setup: Setup) -> Iterator[Finding]:
    """Yield a finding if the mean that is subtracted was computed with images that it must not know."""
    if setup.mean is None:
        raise NotCheckable(Text(en="the mean that the model subtracts is not known", zh="不知道模型减去的均值"))
    if "train" not in index.split_names or (index.splits == index.split_names.index("train")).all():
        raise NotCheckable(Text(en="there is no split besides the training images", zh="除训练图像外没有其他子集"))
    given = np.array(setup.mean)
    if setup.mean == setup.weights_mean or np.abs(given - IMAGENET_MEAN).max() < 1e-6:
        return  # of the pretraining, not of these data
    members = {name: index.splits == place for place, name in enumerate(index.split_names)}
    own = _means(facts, members.pop("train"))
    sources = {"all": np.ones(len(index), np.bool_), **members}
    found = {name: _means(facts, rows) for name, rows in sources.items() if (rows & facts.is_readable).any()}
    if np.abs(own - given).max(1).min() <= APART:
        if np.abs(found["all"] - given).max(1).min() <= SAME:
            raise NotCheckable(_TELLS_NOTHING)
        return
    for name, means in found.items():
        distance = np.abs(means - given).max(1)
        if distance.min() <= SAME:
            yield Finding(
                level=Level.WARNING,
                message="all" if name == "all" else "split",
                numbers={"given": _written(given), "train": _written(own[0]), "split": name,
                         "found": _written(means[distance.argmin()])},
                measured=float(distance.min()),
                limit=Limit(value=SAME, unit="of full scale", source=_SOURCE),
                places=(Place(kind="setting", name="mean", note=_written(given)),),
                num_places=1,
            )  # fmt: skip
            return


def _means(facts: ImageFacts, rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean colour by the two usual rules: every pixel counts alike, and every image does; ``[2, 3]``."""
    chosen = rows & facts.is_readable
    means = facts.means[chosen].astype(np.float64) / 255
    areas = facts.height[chosen].astype(np.float64) * facts.width[chosen]
    return np.stack([np.average(means, axis=0, weights=areas), means.mean(0)])


def _written(values: NDArray[np.float64]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


CHECK = Check(
    code="D32",
    name="statistics-of-all-data",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-026",),
    source="Kaufman et al. 2012, Leakage in data mining; scikit-learn, Common pitfalls (fit on the training data only)",
    pages={
        "en": Page(
            title="the mean was computed with validation or test images",
            finds="A mean for normalisation that is that of all images, or of the validation or test images, and not "
            "that of the training images.",
            matters="What is fitted to all data has seen the test images: the score is flattered, if only a little, "
            "and what was done with the mean may have been done with more.",
            measured="The mean that the model subtracts must agree with that of all images (or of another split) "
            "within 0.001 of full scale in each of R, G and B, and differ from that of the training images by more "
            "than 0.003 in one. Both usual rules are tried: every pixel counts alike, or every image does. Means of "
            "pretrained weights are left alone.",
            false_alarms="A mean of a larger collection from which the splits were drawn.",
            fix="Compute mean and spread from the training images alone ({train}) and use them for all splits.",
            messages={
                "all": "The mean {given} is that of all images ({found}), not that of the training images ({train}).",
                "split": "The mean {given} is that of {split} ({found}), not that of the training images ({train}).",
            },
        ),
        "zh": Page(
            title="均值由验证或测试图像参与计算",
            finds="找出属于全部图像、验证图像或测试图像而不属于训练图像的归一化均值。",
            matters="用全部数据拟合的量已经见过测试图像：得分会被略微美化，而且其他步骤可能也犯了同样的错误。",
            measured="模型减去的均值在 R、G、B 上与全部图像（或另一子集）的均值相差都不超过满量程的 0.001，并且至少在"
            "一个通道上与训练图像的均值相差超过 0.003。两种常用算法都会尝试：按像素平均或按图像平均。预训练权重的均值"
            "不检查。",
            false_alarms="来自划分前更大数据集的均值。",
            fix="只用训练图像计算均值和标准差（{train}），并用于所有子集。",
            messages={
                "all": "均值 {given} 是全部图像的均值（{found}），而不是训练图像的均值（{train}）。",
                "split": "均值 {given} 是 {split} 的均值（{found}），而不是训练图像的均值（{train}）。",
            },
        ),
    },
)
