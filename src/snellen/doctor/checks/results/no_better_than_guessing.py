"""no-better-than-guessing (R2)."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.predictions import need, points
from snellen.doctor.evidence.results.answers import Answers, SplitAnswers
from snellen.doctor.evidence.results.maps import MapErrors
from snellen.doctor.evidence.results.objects import CostOfErrors
from snellen.doctor.evidence.results.others_answers import OthersAnswers
from snellen.doctor.evidence.results.scores import SplitScores
from snellen.doctor.finding import Finding, Level, Limit
from snellen.doctor.words import Text
from snellen.metrics import image_draws, interval_ends

__all__ = ["CHECK"]

LEAST_IMAGES = 50
LEAST_TRUTHS = 50
LEAST_MAPS = 10  # each has thousands of pixels
SLACK = 0.02  # of the figure: what a constant answer reaches, and a little
CLOSE = 0.05  # likewise, where the interval holds what a constant answer reaches
NOTHING_FOUND = 0.01  # AP50 of a detector that finds nothing to speak of
DRAWS = 500
_VALUES = "1 − RAE"
_SOURCE = "deepchecks, simple model comparison; Ng 2018"


class _Beside(NamedTuple):
    """A figure with its interval, and what a constant answer reaches."""

    name: str
    value: float
    low: float
    high: float
    constant: float


def judge(
    scores: SplitScores,
    answers: Answers | None,
    costs: CostOfErrors | None,
    maps: MapErrors | None,
    others: OthersAnswers | None,
) -> Iterator[Finding]:
    """Yield a finding if a constant answer, or that for another image, would do as well."""
    row = _beside(scores, answers, costs, maps)
    if np.isnan(row.high) or np.isnan(row.constant):
        return
    if others is not None and row.low <= others.value and row.value <= 2 * others.value + SLACK:
        yield _finding(row._replace(constant=others.value), Level.WARNING, "others")
        return
    # A map in one class but for some patches is a little above the constant one, and surely, for its pixels are many.
    if row.high > row.constant + (CLOSE if row.low <= row.constant or maps is not None else SLACK):
        return
    is_below = row.high < row.constant - SLACK
    yield _finding(row, Level.ERROR if is_below else Level.WARNING, "below" if is_below else "default")


def _finding(row: _Beside, level: Level, message: str) -> Finding:
    return Finding(
        level=level,
        message=message,
        numbers={
            "name": row.name,
            "value": points(row.value),
            "low": points(row.low),
            "high": points(row.high),
            "constant": points(row.constant),
        },
        measured=row.value,
        limit=Limit(value=row.constant, unit=row.name, source=_SOURCE),
    )


def _beside(
    scores: SplitScores, answers: Answers | None, costs: CostOfErrors | None, maps: MapErrors | None
) -> _Beside:
    if answers is not None:
        need(len(answers.looked_at.labels), LEAST_IMAGES, "images", "张图像")
        return _of_answers(answers.looked_at)
    if costs is not None:
        need(costs.precision.count, LEAST_TRUTHS, "objects", "个目标")
        found = costs.precision
        return _Beside("AP50", found.cost, found.low, found.high, NOTHING_FOUND - SLACK)
    if maps is not None:
        need(len(maps.rows), LEAST_MAPS, "images", "张图像")
        overlap = maps.precision
        return _Beside("mIoU", overlap.cost, overlap.low, overlap.high, maps.constant)
    if scores.name != _VALUES:
        raise NotCheckable(Text(en="there is no constant answer to compare with", zh="没有可比较的常数答案"))
    split = next(iter(scores.values))
    need(scores.num_images[split], LEAST_IMAGES, "images", "张图像")
    found_values = scores.interval(split)
    return _Beside(_VALUES, found_values.mean, found_values.low, found_values.high, 0.0)


def _of_answers(seen: SplitAnswers) -> _Beside:
    """Return the mean recall of the classes: that of a constant answer is one over their number, however unequal."""
    present = np.flatnonzero(np.bincount(seen.labels, minlength=seen.probs.shape[1]))
    member = seen.labels[:, None] == present
    if len(present) < 2:
        return _Beside("balanced accuracy", float("nan"), float("nan"), float("nan"), float("nan"))

    def recall(weights: np.ndarray) -> np.ndarray:
        counts = weights @ member
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.nanmean((weights @ (member & seen.right[:, None])) / counts, axis=1))

    low, high = interval_ends(recall(image_draws(len(seen.labels), DRAWS)))
    value = float(recall(np.ones((1, len(seen.labels))))[0])
    return _Beside("balanced accuracy", value, low, high, 1 / len(present))


CHECK = Check(
    code="R2",
    name="no-better-than-guessing",
    stage=Stage.RESULTS,
    judge=judge,
    covers=("DX-002",),
    source=_SOURCE,
    caused_by=("R22",),
    pages={
        "en": Page(
            title="no better than a constant answer",
            finds="Models that a constant answer would match: the same class, the same map, the mean value, no box.",
            matters="Such a model has learned nothing, however good its accuracy looks where one class is frequent.",
            measured="Mean recall of the classes beside 1 over their number; mean IoU beside that of the best map of "
            "one class; the error relative to the best constant beside 1; AP50 beside 1 point. A warning if the upper "
            "end of the 95 % bootstrap interval is no more than 2 points above the constant's, or 5 for maps and "
            "where the interval holds the constant's; an error if it is 2 points below it: then answers and labels "
            "contradict one another. An AP50 below 20 points also stands beside that of images with the answers of "
            "others: a warning if the interval holds that and it is less than twice as much and 2 points more, and "
            "own boxes "
            "lie on no more than 20 % of the objects beyond those that boxes of others lie on. 50 images or "
            "objects (10 maps) are the least.",
            false_alarms="Images of a single class are left out. Hard problems with very little data look alike.",
            fix="See what is told with the finding.",
            messages={
                "default": "{name} is {value} ({low} to {high}); a constant answer has {constant}.",
                "below": "{name} is {value} ({low} to {high}), less than that of a constant answer, {constant}.",
                "others": "{name} is {value} ({low} to {high}), and {constant} if images have the answers of others: "
                "these answers have nothing to do with their images.",
            },
            fixes={
                "default": "Look at the training first: did the loss fall (snellen check on the run tells)? Then at "
                "the pairing of images and labels (D24), the rate, and the sampler where one class is frequent.",
                "below": "The model answers something else than is asked: labels that are shifted by one, classes in "
                "another order, another split's labels. Compare the names of the classes with those of the training.",
                "others": "Find out which answer belongs to which image: files read in another order, answers that "
                "were shuffled, names that were lost. If that is right, look at the training: did the loss fall?",
            },
        ),
        "zh": Page(
            title="不比常数答案好",
            finds="与常数答案相当的模型：总是同一类别、同一张图、平均值、没有框。",
            matters="这样的模型什么也没学到，无论在某类很多时准确率看起来多好。",
            measured="各类平均召回率与类别数的倒数比较；平均 IoU 与单一类别最佳图比较；相对误差与最佳常数比较；AP50 与"
            " 1 个点比较。95% 自助法区间上端不超过常数 2 个点（分割或区间包含常数时 5 个点）时警告；低于常数 2 个点时"
            "为错误：答案与标签相互矛盾。AP50 低于 20 个点时还与换成其他图像答案时的值比较：区间包含该值，且不到其两"
            "倍加 2 个"
            "点，而且自己的框覆盖的目标只比别人的框多不到 20% 时警告。至少需要 50 张图像或 50 个目标（分割为 10 张）。",
            false_alarms="只有一个类别的图像不判断。数据极少的难题看起来也是这样。",
            fix="见随结果给出的说明。",
            messages={
                "default": "{name} 为 {value}（{low} 至 {high}）；常数答案为 {constant}。",
                "below": "{name} 为 {value}（{low} 至 {high}），低于常数答案的 {constant}。",
                "others": "{name} 为 {value}（{low} 至 {high}），换成其他图像的答案为 {constant}：答案与图像无关。",
            },
            fixes={
                "default": "先看训练：损失是否下降（对运行执行 snellen check 会说明）？再看图像与标签的配对（D24）、学"
                "习率，以及某类很多时的采样器。",
                "below": "模型回答的不是所问：标签错位一位、类别顺序不同、用了另一划分的标签。对照训练时的类别名称。",
                "others": "查清哪个答案属于哪张图像：读取顺序不同、答案被打乱。若无误，再看训练：损失是否下降？",
            },
        ),
    },
)
