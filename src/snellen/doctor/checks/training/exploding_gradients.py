"""exploding-gradients (T6)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit, Place, Treatment
from snellen.doctor.watching.curves import Floats, running_median
from snellen.doctor.watching.outcome import Learning, Outcome
from snellen.doctor.watching.showing import gradient_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.watching.updates import CLIPPED_SHARE, clipped_share, lasting, need_samples, whole

__all__ = ["CHECK"]

TIMES = 10.0  # the median of the samples before; TheDeepChecker, AutoTrainer has 70
BEFORE = 15  # samples of the running median
RISEN = 1.2  # times the loss, beside which a larger gradient counts
MOST_PLACES = 10
CLIP = 1.0  # of the whole gradient, as a treatment
_SOURCE = "TheDeepChecker; three samples in a row"


def judge(trace: Trace, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if gradients have grown far beyond what they were, or are cut in most steps."""
    sizes = whole(trace.gradient)
    is_told = np.isfinite(sizes) & (sizes > 0)
    steps, sizes = trace.sampled[is_told], sizes[is_told]
    need_samples(len(sizes))
    growth = _growth(sizes)
    place = int(growth.argmax())
    clipped = clipped_share(trace)
    if growth[place] > TIMES and (rise := _rise(learning, float(steps[place]))) > RISEN:
        yield Finding(
            level=Level.WARNING if learning.outcome in (Outcome.BAD, Outcome.EARLY) else Level.INFO,
            message="default",
            numbers={"step": int(steps[place]), "times": f"{growth[place]:.3g}", "rise": f"{rise:.2g}"},
            measured=float(growth[place]),
            limit=Limit(value=TIMES, source=_SOURCE),
            places=_places(trace, np.flatnonzero(is_told)[place]),
            num_places=len(trace.parameters),
            treatment=Treatment(settings={"clip_norm": CLIP}),
        )
    elif clipped > CLIPPED_SHARE and learning.outcome != Outcome.GOOD:
        yield Finding(
            level=learning.level,
            message="clipped",
            numbers={"percent": f"{100 * clipped:.0f}", "norm": f"{np.median(sizes):.3g}"},
            measured=clipped,
            limit=Limit(value=CLIPPED_SHARE, unit="share", source="TheDeepChecker; MMDetection logs the same"),
        )


def _growth(sizes: Floats) -> Floats:
    """Return by how much three samples in a row exceed the median of those before, at the first of the three."""
    if len(sizes) < 6:
        return np.ones(1)
    lowest = lasting(sizes)[3:]
    before = running_median(sizes, BEFORE)[2 : 2 + len(lowest)]
    return np.concatenate([np.ones(3), lowest / before])


def _rise(learning: Learning, step: float) -> float:
    """Return the loss after a step beside that before it; 0 where losses are negative."""
    before, after = learning.values[learning.steps <= step], learning.values[learning.steps > step]
    if not len(before) or not len(after) or learning.values.min() < 0:
        return 0.0
    return float(np.median(after[:10]) / max(np.median(before[-10:]), 1e-12))


def _places(trace: Trace, row: int) -> tuple[Place, ...]:
    squares = np.nan_to_num(trace.gradient[row].astype(np.float64)) ** 2
    order = np.argsort(-squares)[:MOST_PLACES]
    return tuple(
        Place(kind="parameter", name=trace.parameters[place].name, note=f"{squares[place] ** 0.5:.3g}",
              score=float(squares[place]))
        for place in order if squares[place] > 0
    )  # fmt: skip


CHECK = Check(
    code="T6",
    name="exploding-gradients",
    stage=Stage.TRAINING,
    judge=judge,
    curves=gradient_curves,
    covers=("DX-060", "DX-061"),
    caused_by=("T1", "T28", "T14", "T26", "T27", "T10"),
    source="Pascanu et al. 2013, https://arxiv.org/abs/1211.5063; TheDeepChecker; AutoTrainer",
    pages={
        "en": Page(
            title="gradients explode, or are cut all the time",
            finds="Gradients that become many times as long as they were while the loss rises; and gradients that are "
            "clipped in most steps.",
            matters="One such step throws the weights far away. If most steps are clipped, their length is set by the "
            "limit and no longer by the loss, and the rate means something else than it says.",
            measured="Length of the whole gradient in the sampled steps, as the optimizer gets it. Three samples in a "
            "row above 10 times the running median of those before, while the loss rises by a fifth: a warning where "
            "the loss has not come down since, else told. More than half of the samples of the very same length, to a "
            "thousandth: they were clipped; a warning where the loss has not fallen, told where it has fallen by less "
            "than half.",
            false_alarms="Networks whose last layer begins at zero have small gradients in the first steps; the loss "
            "does not rise with them, so they are not told.",
            fix="Clip gradients at a few times their usual length (--clip-norm), lower the rate or add a warm-up; "
            "norms and shortcuts keep gradients alike through depth.",
            messages={
                "default": "From step {step} on gradients are {times} times as long as before, and the loss {rise} "
                "times as high.",
                "clipped": "{percent} % of the gradients are exactly {norm} long: they are clipped in most steps.",
            },
            fixes={
                "clipped": "Raise the limit to a few times the usual length of a gradient, or leave clipping out; if "
                "that diverges, the rate is too high.",
            },
        ),
        "zh": Page(
            title="梯度爆炸，或总是被裁剪",
            finds="在损失上升的同时变长许多倍的梯度；以及在大多数步都被裁剪的梯度。",
            matters="一个这样的步就把权重抛得很远。如果大多数步都被裁剪，步长由上限而不再由损失决定，"
            "学习率也就名不副实。",
            measured="抽样步中优化器得到的整个梯度的长度。连续三个样本超过此前滑动中位数的 10 倍，且损失上升五分之一："
            "此后损失没有回落则警告，否则提示。一半以上的样本长度完全相同（千分之一以内）即为被裁剪；"
            "损失没有下降时警告，下降不到一半时提示。",
            false_alarms="最后一层从零开始的网络最初几步梯度很小；损失不随之上升，因此不提示。",
            fix="把梯度裁剪到通常长度的几倍（--clip-norm），降低学习率或加预热；归一化和捷径连接使各深度的梯度相近。",
            messages={
                "default": "从第 {step} 步起梯度是之前的 {times} 倍，损失是之前的 {rise} 倍。",
                "clipped": "{percent}% 的梯度长度恰为 {norm}：大多数步都被裁剪。",
            },
            fixes={
                "clipped": "把上限提高到梯度通常长度的几倍，或不裁剪；如果因此发散，则学习率过高。",
            },
        ),
    },
)
