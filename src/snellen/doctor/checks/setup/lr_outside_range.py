"""lr-outside-range (M36)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.probes.first_updates import planned_rates
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.examining import Subject
from snellen.doctor.finding import Finding, Level, Limit, Number, Treatment
from snellen.doctor.range_test import RangeTest
from snellen.doctor.words import Text

__all__ = ["CHECK"]

# Rates that train within a tenth of the best result were searched for on six pairs of network and optimizer: they reach
# from a third of the lowest rate of the range to four times its highest; a detector with warm-up and clipping takes six
# times the highest. The limits leave room for both, and for fine-tuning.
ABOVE = 10.0  # times the rate at which the loss is lowest
BELOW = 30.0  # parts of the rate at which half of the fall is done

_SOURCE = "search of the best rates on six pairs of network and optimizer"


def judge(test: RangeTest, setup: Setup | None, subject: Subject | None) -> Iterator[Finding]:
    """Yield a finding if the planned rate is far from those at which the loss falls."""
    rate = _planned(setup, subject)
    if rate is None:
        raise NotCheckable(Text(en="the planned rate is not known", zh="不知道计划的学习率"))
    if test.verdict == "still falling":
        raise NotCheckable(
            Text(en="the range test ended while the loss was still falling", zh="范围测试结束时损失仍在下降")
        )
    if test.low is None or test.high is None or test.suggestion is None:
        raise NotCheckable(
            Text(
                en="in the range test the loss did not fall beyond its noise at any rate",
                zh="在学习率范围测试中，任何学习率下损失的下降都没有超过噪声",
            )
        )
    suggestion = float(f"{test.suggestion:.2g}")
    numbers: dict[str, Number] = {
        "rate": f"{rate:.2g}",
        "low": f"{test.low:.2g}",
        "high": f"{test.high:.2g}",
        "suggestion": suggestion,
    }
    treatment = Treatment(settings={"lr": suggestion})
    if rate > ABOVE * test.high:
        yield Finding(level=Level.WARNING, message="above", numbers=numbers, measured=rate, treatment=treatment,
                      limit=Limit(value=ABOVE * test.high, source=_SOURCE))  # fmt: skip
    elif rate < test.low / BELOW:
        yield Finding(level=Level.WARNING, message="below", numbers=numbers, measured=rate, treatment=treatment,
                      limit=Limit(value=test.low / BELOW, source=_SOURCE))  # fmt: skip


def _planned(setup: Setup | None, subject: Subject | None) -> float | None:
    if setup is not None and setup.lr is not None:
        return setup.lr
    if subject is not None and subject.optimizer is not None:
        return max(planned_rates(subject.optimizer))
    return None


CHECK = Check(
    code="M36",
    name="lr-outside-range",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-039", "DX-040"),
    source="Smith 2017, section 3.3, https://arxiv.org/abs/1506.01186; fastai's lr_find; Lightning's lr_find",
    pages={
        "en": Page(
            title="learning rate outside the range that works",
            finds="A planned learning rate far above or far below those at which the loss falls in a range test.",
            matters="Above the range the loss jumps or becomes NaN; below it nothing is learned in the time there is.",
            measured="A range test (100 steps at rising rates, undone afterwards). The range goes from the rate at "
            "which half of the fall is done to the one at which the loss is lowest. A warning: more than 10 times the "
            "highest, or less than a thirtieth of the lowest.",
            false_alarms="Rates far below the range that are meant, such as to keep what pretrained weights know; "
            "optimizers without momentum, which take higher rates than a short test shows.",
            fix="Use the suggested rate; `snellen lr` shows the curve. If the loss jumps, divide by ten; if it sits, "
            "multiply.",
            messages={
                "above": "The planned rate {rate} is far above the range that works, {low} to {high}; "
                "{suggestion} is suggested.",
                "below": "The planned rate {rate} is far below the range that works, {low} to {high}; "
                "{suggestion} is suggested.",
            },
        ),
        "zh": Page(
            title="学习率超出有效范围",
            finds="计划的学习率远高于或远低于范围测试中损失下降的那些学习率。",
            matters="高于该范围时损失跳动或变为 NaN；低于该范围时，在可用的时间内什么也学不到。",
            measured="学习率范围测试（100 步，学习率逐步升高，之后全部撤销）。范围从损失完成一半下降的学习率，到损失最"
            "低的学习率。高于上端 10 倍以上，或低于下端的三十分之一，为警告。",
            false_alarms="有意使用的很低的学习率，例如为了保留预训练权重的知识；不带动量的优化器能承受比短测试所示更高"
            "的学习率。",
            fix="使用建议的学习率；`snellen lr` 会画出曲线。损失跳动就除以十，损失不动就乘以十。",
            messages={
                "above": "计划的学习率 {rate} 远高于有效范围 {low} 到 {high}；建议 {suggestion}。",
                "below": "计划的学习率 {rate} 远低于有效范围 {low} 到 {high}；建议 {suggestion}。",
            },
        ),
    },
)
