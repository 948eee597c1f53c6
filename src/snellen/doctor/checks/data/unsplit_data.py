"""unsplit-data (D40)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex, ValueTable
from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.statistics import wilson_interval
from snellen.doctor.finding import Finding, Level, Limit, Place

__all__ = ["CHECK"]

LEAST_IMAGES = 20  # in a split to choose by; the 95 % interval of an accuracy is then up to ± 20 points
LEAST_DISTANCE = 0.10  # half of the summed differences of the class shares of two splits
LEAST_OF_CLASSES = 30  # images in each split from which their classes are compared
MOST_IMAGES = 10_000  # that are dealt out by chance; fewer make the test more careful, not less
ROUNDS = 999  # of permutation: the smallest p is 0.001
P_VALUE = 0.002


def judge(index: DatasetIndex) -> Iterator[Finding]:
    """Yield a finding if there is nothing to choose by or to report on, or splits have other classes."""
    names = index.split_names
    lacking = [name for name in ("val", "test") if name not in names]
    if len(lacking) == 2:
        yield Finding(level=Level.INFO, message="no_splits", numbers={"images": len(index)}, measured=0.0)
    elif lacking == ["val"]:
        yield Finding(level=Level.INFO, message="no_val", numbers={"images": len(index)}, measured=0.0)
    for name in names:
        number = len(index.split_rows(name))
        if name != "train" and number < LEAST_IMAGES:
            low, high = wilson_interval(round(number / 2), number)
            yield Finding(
                level=Level.WARNING,
                message="tiny",
                numbers={"split": name, "number": number, "half": round(50 * (high - low))},
                measured=float(number),
                limit=Limit(value=LEAST_IMAGES, unit="images", source="set here; Wilson 1927 for the interval"),
                places=(Place(kind="split", name=name, note=str(number)),),
                num_places=1,
            )
    if "train" in names and not isinstance(index.annotations, ValueTable):
        for name in names:
            if name != "train":
                yield from _differing(index, name)


def _differing(index: DatasetIndex, name: str) -> Iterator[Finding]:
    first, second = index.split_rows("train"), index.split_rows(name)
    counts = index.annotations.class_counts(len(index.classes)).astype(np.float64)
    if min(len(first), len(second)) < LEAST_OF_CLASSES or not (counts[first].sum() and counts[second].sum()):
        return
    distance = _distance(counts, first, second)
    if distance < LEAST_DISTANCE or _p_value(index, counts, first, second) > P_VALUE:
        return
    before, after = counts[first].sum(0), counts[second].sum(0)
    change = after / after.sum() - before / before.sum()
    worst = int(np.abs(change).argmax())
    order = np.argsort(-np.abs(change))[:10].tolist()
    yield Finding(
        level=Level.WARNING,
        message="differing",
        numbers={"split": name, "class_": index.classes[worst], "distance": round(100 * distance),
                 "before": round(100 * before[worst] / before.sum(), 1),
                 "after": round(100 * after[worst] / after.sum(), 1)},
        measured=distance,
        limit=Limit(value=LEAST_DISTANCE, unit="share", source="set on BCCD, CamVid, hymenoptera; permutation p 0.002"),
        places=tuple(
            Place(kind="class", name=index.classes[label], note=f"{100 * change[label]:+.1f} %",
                  score=float(abs(change[label])))
            for label in order
        ),
        num_places=int((change != 0).sum()),
    )  # fmt: skip


def _distance(counts: NDArray[np.float64], first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    before, after = counts[first].sum(0), counts[second].sum(0)
    return float(np.abs(before / max(before.sum(), 1) - after / max(after.sum(), 1)).sum() / 2)


def _p_value(
    index: DatasetIndex, counts: NDArray[np.float64], first: NDArray[np.int64], second: NDArray[np.int64]
) -> float:
    """Return how often images (or groups of images) dealt out by chance differ as much."""
    chance = np.random.default_rng(0)
    kept = min(1.0, MOST_IMAGES / (len(first) + len(second)))
    first, second = (np.sort(chance.permutation(rows)[: round(kept * len(rows))]) for rows in (first, second))
    rows = np.concatenate([first, second])
    group = np.arange(len(rows)) if index.groups is None else np.unique(index.groups[rows], return_inverse=True)[1]
    observed, hits = _distance(counts, first, second), 0
    for _ in range(ROUNDS):
        order = np.argsort(chance.permutation(int(group.max()) + 1)[group.reshape(-1)], kind="stable")
        hits += _distance(counts, rows[order[: len(first)]], rows[order[len(first) :]]) >= observed
    return (hits + 1) / (ROUNDS + 1)


CHECK = Check(
    code="D40",
    name="unsplit-data",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-023",),
    caused_by=("D5", "D8", "D12"),
    source="DeepCrime's operator VRM (Humbatova et al. 2021); Ng 2018, Machine Learning Yearning, chapters 5 to 7",
    pages={
        "en": Page(
            title="nothing sound to choose by",
            finds="Data without a validation or test split, splits of a few images, splits whose classes have other "
            "shares than those of the training images.",
            matters="Whoever chooses epochs, thresholds and models by the training images chooses what was learned by "
            "heart. With a few images the choice is chance. With other classes it favours the wrong model.",
            measured="Images in each split: fewer than 20 is a warning (the 95 % interval of an accuracy is then up "
            "to ± 20 points). Shares of classes differ if half of the summed differences is 10 points or more and "
            "fewer than 2 of 1000 random divisions of the same images (or groups) differ as much.",
            false_alarms="Validation data that was collected elsewhere on purpose, because that is where the model "
            "will be used.",
            fix="Divide the data with classes spread alike and groups kept together; without own splits Snellen does "
            "so before training. With little data use cross-validation.",
            messages={
                "no_splits": "The {images} images are not divided: before a training Snellen makes the splits itself.",
                "no_val": "There is no validation split: before a training Snellen makes one from the training images.",
                "tiny": "{split} has {number} images: an accuracy on them is known to ± {half} points at best.",
                "differing": "The classes of {split} have other shares than those of train ({distance} points): "
                "{class_} {before} % against {after} %.",
            },
        ),
        "zh": Page(
            title="没有可靠的选择依据",
            finds="没有验证集或测试集的数据、只有几张图像的子集、类别比例与训练图像不同的子集。",
            matters="用训练图像来选择周期、阈值和模型，选出的是死记硬背的结果。图像只有几张时，选择就是偶然。类别不同"
            "时，会偏向错误的模型。",
            measured="每个子集的图像数：少于 20 为警告（准确率的 95 % 区间可达 ±20 个百分点）。类别比例差异之和的一半"
            "达到 10 个百分点，且同样的图像（或组）随机划分 1000 次中不到 2 次差异更大，则认为不同。",
            false_alarms="有意在别处采集的验证数据，因为模型将在那里使用。",
            fix="划分时让类别分布一致并保持组的完整；没有自带划分时，Snellen 会在训练前这样做。数据很少时使用交叉验"
            "证。",
            messages={
                "no_splits": "{images} 张图像没有划分：训练之前 Snellen 会自行划分。",
                "no_val": "没有验证集：训练之前 Snellen 会从训练图像中划出。",
                "tiny": "{split} 只有 {number} 张图像：准确率的误差可达 ±{half} 个百分点。",
                "differing": "{split} 的类别比例与 train 不同（{distance} 个百分点）：{class_} 由 {before} % 变为 "
                "{after} %。",
            },
        ),
    },
)
