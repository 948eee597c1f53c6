"""difference-of-runs (R13)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.predictions import points
from snellen.doctor.evidence.results.scores import TwoRuns
from snellen.doctor.finding import Finding, Level, Limit

__all__ = ["CHECK"]

SURE = 0.05  # p-value


def judge(two: TwoRuns) -> Iterator[Finding]:
    """Yield what the difference of two runs on the same images is worth."""
    difference = two.difference
    is_clear = difference.p_value < SURE and (difference.is_above_zero or difference.is_below_zero)
    message = ("better" if difference.mean > 0 else "worse") if is_clear else "same"
    yield Finding(
        level=Level.INFO,
        message=message,
        numbers={
            "name": two.name,
            "split": two.split,
            "first": points(two.first),
            "second": points(two.second),
            "other": two.other,
            "difference": f"{100 * difference.mean:+.1f}",
            "low": f"{100 * difference.low:+.1f}",
            "high": f"{100 * difference.high:+.1f}",
            "p": f"{difference.p_value:.3g}",
            "count": difference.count,
        },
        measured=difference.p_value,
        limit=Limit(value=SURE, unit="p", source="Yeh 2000; Phipson and Smyth 2010"),
    )


CHECK = Check(
    code="R13",
    name="difference-of-runs",
    stage=Stage.RESULTS,
    judge=judge,
    source="Yeh 2000, More accurate tests for the statistical significance of result differences; Efron, Tibshirani "
    "1993",
    pages={
        "en": Page(
            title="what the difference of two runs is worth",
            finds="Whether one of two runs is better than the other on the same images by more than chance.",
            matters="Two figures always differ. Without a paired test a difference on a few hundred images is read as "
            "a gain that is none.",
            measured="Both runs' predictions of the same images, paired: 95 % interval of the difference over draws "
            "of images, and a permutation test that swaps the two predictions of images (1000 swaps; exact for AP and "
            "IoU, too). Clear if p is below 0.05 and the interval does not hold 0.",
            false_alarms="The test is about images, not about trainings: another seed moves a run as well. snellen "
            "ablate takes several seeds.",
            fix="See what is told with the finding.",
            messages={
                "better": "{name} on {split} is {first}, that of {other} {second}: {difference} points ({low} to "
                "{high}; p {p}, {count} images). This run is better on such images.",
                "worse": "{name} on {split} is {first}, that of {other} {second}: {difference} points ({low} to {high}"
                "; p {p}, {count} images). This run is worse on such images.",
                "same": "{name} on {split} is {first}, that of {other} {second}: {difference} points ({low} to {high}"
                "; p {p}, {count} images). Chance alone does as much.",
            },
            fixes={
                "better": "Repeat it with other seeds before it is believed of the method and not only of these "
                "weights.",
                "worse": "Take the other run; repeat with other seeds before it is believed of the method.",
                "same": "Do not call it a gain. More test images, or several seeds of both, can tell.",
            },
        ),
        "zh": Page(
            title="两个运行的差异有多可信",
            finds="两个运行中是否有一个在相同图像上的优势超过偶然。",
            matters="两个数字总有差异。没有配对检验，几百张图像上的差异会被当成并不存在的提升。",
            measured="两个运行对相同图像的预测，配对：图像重采样得到差异的 95% 区间，以及交换图像的两个预测的置换检验"
            "（1000 次；对 AP 和 IoU 也精确）。p 低于 0.05 且区间不含 0 时为明确。",
            false_alarms="检验针对图像而不是训练：换一个随机种子也会使结果变动。snellen ablate 使用多个种子。",
            fix="见随结果给出的说明。",
            messages={
                "better": "{split} 上的 {name} 为 {first}，{other} 为 {second}：{difference} 个点（{low} 至 {high}；p "
                "{p}，{count} 张图像）。该运行在此类图像上更好。",
                "worse": "{split} 上的 {name} 为 {first}，{other} 为 {second}：{difference} 个点（{low} 至 {high}；p "
                "{p}，{count} 张图像）。该运行在此类图像上更差。",
                "same": "{split} 上的 {name} 为 {first}，{other} 为 {second}：{difference} 个点（{low} 至 {high}；p "
                "{p}，{count} 张图像）。偶然即可造成。",
            },
            fixes={
                "better": "在归功于方法而不仅是这组权重之前，用其他种子重复。",
                "worse": "采用另一个运行；在归因于方法之前，用其他种子重复。",
                "same": "不要称之为提升。更多测试图像或两者的多个种子才能判断。",
            },
        ),
    },
)
