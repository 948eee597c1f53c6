"""steps-get-slower (T23)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit
from snellen.doctor.watching.curves import course
from snellen.doctor.watching.showing import time_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.words import Text

__all__ = ["CHECK"]

FIRST_SHARE = 0.1  # of the run, in which kernels are chosen and workers start
LEAST_STEPS = 60
PARTS = 8
SLOWER = 1.5  # times the time of a step
MUCH_SLOWER = 3.0
LEAST_STEP_S = 0.002  # below, a step is as long as the scheduler of the machine likes
_SOURCE = "steady in each eighth of the run; other work on a machine comes and goes"


def judge(trace: Trace) -> Iterator[Finding]:
    """Yield a finding if steps take longer and longer."""
    if len(trace.steps) < LEAST_STEPS:
        raise NotCheckable(
            Text(en=f"the times of {LEAST_STEPS} steps are needed", zh=f"需要至少 {LEAST_STEPS} 步的时间")
        )
    first = int(FIRST_SHARE * len(trace.steps))
    working = np.maximum(trace.step_s - trace.wait_s, 0)[first:]
    found = course(trace.steps[first:], working, PARTS)
    if found is None or found.level[0] < LEAST_STEP_S:
        return
    times = float(found.level[-1] / found.level[0])
    if times > SLOWER and bool((np.diff(found.level) > 0).all()):
        yield Finding(
            level=Level.WARNING if times > MUCH_SLOWER else Level.INFO,
            numbers={
                "times": f"{times:.1f}",
                "first": f"{1000 * found.level[0]:.0f}",
                "last": f"{1000 * found.level[-1]:.0f}",
            },
            measured=times,
            limit=Limit(value=SLOWER, source=_SOURCE),
        )


CHECK = Check(
    code="T23",
    name="steps-get-slower",
    stage=Stage.TRAINING,
    judge=judge,
    curves=time_curves,
    caused_by=("T22",),
    source="PyTorch forum, training slows down with each step: the graph grows; SageMaker Debugger, StepOutlier",
    pages={
        "en": Page(
            title="steps take longer and longer",
            finds="Steps whose time grows from part to part of the run.",
            matters="Something that grows is gone through in each step: a graph that reaches back to the first step, a "
            "list, hooks that are added and never removed.",
            measured="Time of a step without the wait for images, after the first tenth of the run, medians of eight "
            "parts. Told if each is above the one before and the last is 1.5 times the first; a warning from 3 times "
            "on.",
            false_alarms="A device that grows hot, other work on the machine, images that grow with the epochs by "
            "plan.",
            fix="Look for tensors that carry their graph into the next step (detach them), for hooks and callbacks "
            "that are added in the loop, and for lists that are gone through as a whole.",
            messages={
                "default": "A step took {first} ms at first and takes {last} ms now, {times} times as long.",
            },
        ),
        "zh": Page(
            title="每步时间越来越长",
            finds="时间逐段增长的训练步。",
            matters="每一步都要遍历某个不断增长的东西：一直连到第一步的计算图、列表，或只增不减的钩子。",
            measured="前十分之一之后，不含等待图像的每步时间，取八段的中位数。若每段都高于前一段且最后为最初的 1.5 倍则"
            "提示，3 倍以上警告。",
            false_alarms="设备发热、机器上的其他任务、按计划逐渐增大的图像。",
            fix="查找把计算图带到下一步的张量（用 detach）、在循环中添加的钩子和回调，以及整体遍历的列表。",
            messages={
                "default": "最初一步 {first} 毫秒，现在 {last} 毫秒，是原来的 {times} 倍。",
            },
        ),
    },
)
