"""diverging (T3)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit, Number
from snellen.doctor.watching.curves import SURE, course, noise_of, running_median
from snellen.doctor.watching.outcome import Learning, Outcome
from snellen.doctor.watching.showing import held_out_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.watching.updates import with_rate

__all__ = ["CHECK"]

LOST_WARNING = 0.5  # of what had been gained
LOST_INFO = 0.25
PARTS = 20  # of the run; three in a row must be up
LAST = 3
THROWN = 1.5  # times the first loss, within the first steps
FIRST_STEPS = 50
JUMP_NOISE = 20.0  # spreads of single losses that one step must throw the loss up by
LOWER = 0.1  # times the rate; DX-039: divide by ten
JUMP_STEPS = 8  # for which it must stay up
_SOURCE = "TheDeepChecker, diverging loss; healthy trainings of small nets"


def judge(trace: Trace, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if the loss has lost a good part of what it had gained, or was thrown up at the start."""
    found = course(learning.steps, learning.values, PARTS)
    if found is None:
        return
    lowest = int(found.level.argmin())
    floor = float(found.level[lowest])
    gained = max(learning.start - floor, 0.05 * abs(learning.start))
    rise = float(found.level[-LAST:].min() - floor)
    error = float(np.hypot(found.error[-1], found.error[lowest]))
    lost = rise / gained if gained > 0 else 0.0
    numbers: dict[str, Number] = {
        "floor": f"{floor:.3g}",
        "at": round(float(found.at[lowest])),
        "end": f"{learning.end:.3g}",
        "percent": f"{100 * min(lost, 99):.0f}",
        "step": 0,
    }
    if lowest < len(found.level) - LAST and rise > SURE * error and lost > LOST_INFO:
        jump = _jump(learning)
        yield Finding(
            level=Level.WARNING if lost > LOST_WARNING else Level.INFO,
            message="jump" if jump else "default",
            numbers={**numbers, "step": jump},
            measured=lost,
            limit=Limit(value=LOST_WARNING, level=Level.WARNING, unit="share", source=_SOURCE),
            treatment=with_rate(trace, LOWER),
        )
    elif (thrown := _thrown(learning)) > THROWN:
        yield Finding(
            level=learning.level if learning.outcome != Outcome.FAIR else Level.INFO,
            message="thrown",
            numbers={**numbers, "times": f"{thrown:.3g}", "start": f"{learning.values[0]:.3g}"},
            measured=thrown,
            limit=Limit(value=THROWN, source=_SOURCE),
            treatment=with_rate(trace, LOWER),
        )


def _thrown(learning: Learning) -> float:
    """Return how high the loss was thrown in the first steps, beside the first loss; 0 where losses are negative."""
    head = learning.values[: min(FIRST_STEPS, len(learning.values))]
    if head.min() <= 0:
        return 0.0
    return float(running_median(head, LAST)[LAST - 1 :].max() / max(head[0], head[:LAST].min()))


def _jump(learning: Learning) -> int:
    """Return the step at which the loss was thrown up for good by one step; 0 if there was none."""
    values = learning.values
    if len(values) < 2 * JUMP_STEPS + 1:
        return 0
    before = running_median(values, JUMP_STEPS)[JUMP_STEPS - 1 : -JUMP_STEPS]
    after = np.array([values[end : end + JUMP_STEPS].min() for end in range(JUMP_STEPS, len(values) - JUMP_STEPS + 1)])
    rises = after[: len(before)] - before
    place = int(rises.argmax())
    noise = noise_of(values[: place + JUMP_STEPS])
    return int(learning.steps[place + JUMP_STEPS]) if rises[place] > JUMP_NOISE * noise > 0 else 0


CHECK = Check(
    code="T3",
    name="diverging",
    stage=Stage.TRAINING,
    judge=judge,
    curves=held_out_curves,
    covers=("DX-039", "DX-060", "DX-061", "DX-086"),
    caused_by=("T1", "T28", "T29", "T14", "T26", "T27", "T25", "T10", "T6"),
    source="TheDeepChecker, Braiek & Khomh 2023, https://arxiv.org/abs/2204.00694; Goodfellow et al. 2016, "
    "section 8.2.4 on cliffs",
    pages={
        "en": Page(
            title="the loss rises again",
            finds="A training loss that loses what it had gained, or that is thrown far up in the first steps.",
            matters="The steps are larger than the loss is smooth: each makes the network worse. What follows starts "
            "from ruined weights.",
            measured="Medians of twentieths of the run. If the last three are above the lowest by a quarter of what "
            "had been gained, and beyond its error, that is told; by half, it is a warning. A loss that reaches 1.5 "
            "times its first value within the first 50 steps (medians of three) is told, and is a warning if the loss "
            "has not fallen in the end. A step after which the loss stays up by 20 times its noise is named.",
            false_alarms="Cyclic rates that end at their top; data that become harder; pairs of networks that play "
            "against each other.",
            fix="Lower the rate to a third or a tenth, add a warm-up, or clip gradients; go on from weights before the "
            "rise.",
            messages={
                "default": "The loss is back at {end}: {percent} % of what had been gained until step {at} ({floor}) "
                "is lost.",
                "jump": "Step {step} threw the loss up for good; {percent} % of what had been gained until then "
                "({floor}) is lost.",
                "thrown": "The first steps threw the loss to {times} times its first value ({start}).",
            },
            fixes={
                "jump": "Clip gradients, so that no step can go that far, and go on from weights before step {step}; "
                "look at the images of that step.",
            },
        ),
        "zh": Page(
            title="损失重新上升",
            finds="训练损失失去已取得的进步，或在最初几步被抛得很高。",
            matters="步长超出了损失的平滑范围：每一步都使网络变差，此后的训练从被破坏的权重开始。",
            measured="取每二十分之一训练的中位数。若最后三段高出最低点的量达到已取得进步的四分之一并超出误差，则提示；"
            "达到一半则警告。前 50 步内（三步中位数）损失达到首值的 1.5 倍时提示，若最终没有下降则警告。"
            "某一步之后损失持续高出噪声的 20 倍时，指出该步。",
            false_alarms="结束于峰值的循环学习率；逐渐变难的数据；相互对抗的网络。",
            fix="把学习率降到三分之一或十分之一、加预热或裁剪梯度；从上升之前的权重继续。",
            messages={
                "default": "损失回到 {end}：到第 {at} 步为止取得的进步（{floor}）失去了 {percent}%。",
                "jump": "第 {step} 步把损失抛高且不再回落；此前的进步（{floor}）失去了 {percent}%。",
                "thrown": "最初几步把损失抛到首值（{start}）的 {times} 倍。",
            },
            fixes={
                "jump": "裁剪梯度，使任何一步都不会走得太远，并从第 {step} 步之前的权重继续；查看该步的图像。",
            },
        ),
    },
)
