"""schedule-not-as-planned (T14)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level, Limit, Number
from snellen.doctor.watching.curves import Floats
from snellen.doctor.watching.outcome import EARLY_STEPS, LEAST_STEPS
from snellen.doctor.watching.showing import rate_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.words import Text

__all__ = ["CHECK"]

NOTHING = 5e-4  # of the peak rate; three divisions by ten leave 1e-3
LONG_BEFORE = 0.3  # of the run, during which the rate is nothing
STOPPED = 0.1  # of the run, during which the rate is exactly zero
BEYOND = 0.02  # of the planned steps
CONSTANT = 1e-6  # relative change of a rate that never changes
OTHER_PEAK = 0.1  # relative difference from the planned peak
SCHEDULES_THAT_RISE = ("onecycle",)  # after the warm-up
SCHEDULES_THAT_FALL = ("cosine", "polynomial", "onecycle", "snapshot")


def judge(trace: Trace, setup: Setup | None) -> Iterator[Finding]:
    """Yield findings where rates and steps were not what was planned, or are nothing for a good part of the run."""
    rates = trace.rates.astype(np.float64)
    if not rates.size or len(trace.steps) < LEAST_STEPS:
        raise NotCheckable(Text(en="the rates of 30 steps are needed", zh="需要至少 30 步的学习率"))
    highest = rates.max(1)
    yield from _rate_gone(highest)
    if setup is not None:
        yield from _against_the_plan(trace, setup, highest)
    if trace.planned_steps is not None:
        done, planned = int(trace.steps[-1]), trace.planned_steps
        if done > planned * (1 + BEYOND) + 1:
            yield _counted(Level.WARNING, "beyond", done, planned)
        elif trace.is_over and done < planned * (1 - BEYOND) - 1:
            yield _counted(Level.INFO, "short", done, planned)


def _rate_gone(highest: Floats) -> Iterator[Finding]:
    """Yield a finding if all rates were zero, or next to nothing, for long."""
    count, peak = len(highest), float(highest.max())
    zeros = int((highest == 0).sum())
    gone = count - int(np.flatnonzero(highest > NOTHING * peak).max(initial=-1)) - 1
    numbers: dict[str, Number] = {
        "steps": zeros,
        "count": count,
        "percent": f"{100 * gone / count:.0f}",
        "last": count - gone,
    }
    at_the_end = count - int(np.flatnonzero(highest > 0).max(initial=-1)) - 1
    if zeros - at_the_end > STOPPED * count or at_the_end > LONG_BEFORE * count:
        yield Finding(
            level=Level.WARNING,
            message="zero",
            numbers=numbers,
            measured=zeros / count,
            limit=Limit(value=STOPPED, unit="share", source="trainproof, zero rate"),
        )
    elif gone > LONG_BEFORE * count and count >= EARLY_STEPS:
        yield Finding(
            level=Level.WARNING,
            message="gone",
            numbers=numbers,
            measured=gone / count,
            limit=Limit(value=LONG_BEFORE, unit="share", source="healthy schedules: three divisions by ten, cosine"),
        )


def _against_the_plan(trace: Trace, setup: Setup, highest: Floats) -> Iterator[Finding]:
    """Yield findings where rates contradict the plan."""
    steps, peak = int(trace.steps[-1]), float(highest.max())
    is_constant = float(np.ptp(highest)) <= CONSTANT * peak
    schedule = setup.options.get("schedule")
    warmup = setup.warmup_steps or 0
    has_changed = 1 < warmup < steps or (
        schedule in SCHEDULES_THAT_FALL and setup.steps is not None and steps > setup.steps // 2
    )
    if is_constant and has_changed and int(trace.steps[0]) == 1:
        yield Finding(
            level=Level.ERROR,
            message="constant",
            numbers={"rate": f"{peak:.3g}", "steps": steps, "warmup": warmup, "schedule": str(schedule or "-")},
            measured=peak,
        )
    elif setup.lr and steps > warmup and abs(peak / setup.lr - 1) > OTHER_PEAK and not _may_rise(trace, setup, peak):
        yield Finding(
            level=Level.WARNING if peak > setup.lr or trace.is_over else Level.INFO,
            message="peak",
            numbers={"rate": f"{peak:.3g}", "planned": f"{setup.lr:.3g}"},
            measured=peak,
            limit=Limit(value=setup.lr, source="the plan"),
        )


def _may_rise(trace: Trace, setup: Setup, peak: float) -> bool:
    """Return whether the rate is still on its way up to the planned peak."""
    return setup.options.get("schedule") in SCHEDULES_THAT_RISE and not trace.is_over and peak < (setup.lr or 0.0)


def _counted(level: Level, message: str, done: int, planned: int) -> Finding:
    return Finding(
        level=level,
        message=message,
        numbers={"done": done, "planned": planned},
        measured=done,
        limit=Limit(value=planned, unit="steps", source="the plan"),
    )


CHECK = Check(
    code="T14",
    name="schedule-not-as-planned",
    stage=Stage.TRAINING,
    judge=judge,
    curves=rate_curves,
    covers=("DX-048",),
    source="TrainCheck, Jiang et al. 2025, https://arxiv.org/abs/2506.14813; trainproof; PyTorch, order of scheduler "
    "and optimizer",
    pages={
        "en": Page(
            title="rates or steps are not as planned",
            finds="Rates that stay constant though a schedule was planned, that are zero or next to nothing for a good "
            "part of the run, and more or fewer steps than planned.",
            matters="A schedule that is stepped once an epoch instead of once a step, or the other way round, is "
            "silent: the run trains at the wrong rate, or does not train at all.",
            measured="The highest rate of each step. Zero in more than a tenth of the steps, though not at the end; "
            "below 1/2000 of its peak for the last 30 % or more of the run; constant to a millionth over a planned "
            "warm-up or past the middle of a planned decay; a peak more than 10 % away from the planned one; 2 % more "
            "steps than planned. A constant rate against the plan is an error, fewer steps than planned are told.",
            false_alarms="A cosine to zero, and three divisions by ten, stay above these limits. Fewer steps are usual "
            "with early stopping.",
            fix="Step the scheduler after the optimizer, once a step or once an epoch as it counts, and give it the "
            "number of steps that are really made.",
            messages={
                "zero": "The rate was zero in {steps} of {count} steps.",
                "gone": "The rate was next to nothing from step {last} on, for {percent} % of the run.",
                "constant": "The rate was {rate} in all {steps} steps, though a warm-up of {warmup} steps and the "
                "schedule {schedule} were planned.",
                "peak": "The highest rate was {rate}; {planned} was planned.",
                "beyond": "{done} steps were made; the schedule was planned for {planned}.",
                "short": "{done} of {planned} planned steps were made.",
            },
            fixes={
                "gone": "The schedule is over long before the run: give it the number of steps that are really made, "
                "or step it once an epoch if it counts epochs.",
                "constant": "Call the scheduler's step() in the loop, after that of the optimizer, and give it this "
                "optimizer.",
                "short": "Nothing is to be done if the training was stopped on purpose; the end of the schedule, where "
                "the rate is low, is missing then.",
            },
        ),
        "zh": Page(
            title="学习率或步数与计划不符",
            finds="计划了调度却保持不变的学习率，在相当长时间内为零或几乎为零的学习率，以及多于或少于计划的步数。",
            matters="把每步一次的调度写成每周期一次（或相反）不会报错：训练以错误的学习率进行，或根本没有训练。",
            measured="每步的最高学习率。超过十分之一的步为零且不在结尾；最后 30% 以上低于峰值的 1/2000；"
            "在计划的预热期或计划衰减的后半程变化不到百万分之一；峰值与计划相差 10% 以上；步数超出计划 2%。"
            "与计划相反的恒定学习率为错误，步数少于计划为提示。",
            false_alarms="余弦降到零、三次除以十都不会低于这些限度。提前停止时步数较少属正常。",
            fix="在优化器之后调用调度器，按其计数每步或每周期一次，并告诉它实际的步数。",
            messages={
                "zero": "{count} 步中有 {steps} 步学习率为零。",
                "gone": "从第 {last} 步起学习率几乎为零，占训练的 {percent}%。",
                "constant": "{steps} 步的学习率都是 {rate}，而计划有 {warmup} 步预热和 {schedule} 调度。",
                "peak": "最高学习率为 {rate}；计划为 {planned}。",
                "beyond": "做了 {done} 步；调度按 {planned} 步计划。",
                "short": "计划 {planned} 步，做了 {done} 步。",
            },
            fixes={
                "gone": "调度远早于训练结束：告诉它实际的步数；若它按周期计数，就每周期调用一次。",
                "constant": "在循环中于优化器之后调用调度器的 step()，并把这个优化器交给它。",
                "short": "如果是有意停止则无需处理；但缺少了学习率较低的末段。",
            },
        ),
    },
)
