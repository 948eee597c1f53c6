"""too-few-to-measure (R21)."""

from collections.abc import Iterator
from math import isnan

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.predictions import points
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.evidence.results.scores import SplitScores
from snellen.doctor.finding import Finding, Level, Limit
from snellen.doctor.words import Text
from snellen.metrics import Interval

__all__ = ["CHECK"]

WIDE = 0.1  # of the figure, from one end of the interval to the other
NONE_OF = 3.0  # over n: the upper end of a share of which n draws show nothing, Hanley and Lippman-Hand 1983


def judge(run: EvaluatedRun, scores: SplitScores) -> Iterator[Finding]:
    """Yield a finding if the interval of the figure is so wide that hardly any gain could be told."""
    row = scores.interval(run.judged)
    if isnan(row.mean):
        raise NotCheckable(Text(en="there is nothing to measure on", zh="没有可供测量的内容"))
    low, high = _ends(row)
    width = high - low
    if width <= WIDE:
        return
    yield Finding(
        level=Level.INFO,
        numbers={
            "name": scores.name,
            "split": run.judged,
            "value": points(row.mean),
            "low": points(low),
            "high": points(high),
            "count": row.count,
            "needed": int(row.count * (width / WIDE) ** 2),
        },
        measured=width,
        limit=Limit(value=WIDE, unit=scores.name, source="Efron and Tibshirani 1993, section 13.3"),
    )


def _ends(row: Interval) -> tuple[float, float]:
    """Return the ends of an interval; where all images are alike, their number alone says how sure that is."""
    if not row.low < row.high:
        reach = min(1.0, NONE_OF / max(row.count, 1))
        return max(0.0, row.mean - reach), min(1.0, row.mean + reach)
    return row.low, row.high


CHECK = Check(
    code="R21",
    name="too-few-to-measure",
    stage=Stage.RESULTS,
    judge=judge,
    source="Efron and Tibshirani 1993, An introduction to the bootstrap; Bouthillier et al. 2021",
    caused_by=("R22",),
    pages={
        "en": Page(
            title="too few images to measure on",
            finds="Figures whose interval is wider than 10 points.",
            matters="On such images a model that is 5 points better looks worse about as often as not; whatever is "
            "chosen by them is chosen by chance.",
            measured="95 % bootstrap interval over the images of the measured split; where all images come out alike, "
            "3 over their number. An interval shrinks with the root of their number.",
            false_alarms="None: it says how much the figure is worth, not that the model is bad.",
            fix="More test images, or all images in turn (k folds); compare runs in pairs (--against), which takes "
            "out what all have in common.",
            messages={
                "default": "{name} on {split} is {value}, and {low} to {high} on other such images ({count} images). "
                "About {needed} images would tell it to 10 points.",
            },
        ),
        "zh": Page(
            title="可供测量的图像太少",
            finds="区间宽于 10 个点的指标。",
            matters="在这样的图像上，好 5 个点的模型几乎有一半的时候看起来更差；据此做的选择全凭偶然。",
            measured="被测划分的图像上的 95% 自助法区间；所有图像结果相同时取 3 除以图像数。区间随图像数的平方根缩小。",
            false_alarms="没有：它说明指标有多可信，而不是模型不好。",
            fix="更多测试图像，或轮流使用全部图像（k 折）；配对比较运行（--against），可去掉共同的部分。",
            messages={
                "default": "{split} 上的 {name} 为 {value}，换一批同类图像为 {low} 至 {high}（{count} 张图像）。约 "
                "{needed} 张图像才能精确到 10 个点。",
            },
        ),
    },
)
