"""update-ratio (T10)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.watching.curves import Floats
from snellen.doctor.watching.outcome import Learning, Outcome
from snellen.doctor.watching.showing import ratio_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.watching.updates import (
    CLIPPED_SHARE,
    Ratios,
    clipped_share,
    lasting,
    late,
    need_samples,
    update_ratios,
    usual_rate,
    with_rate,
)
from snellen.doctor.words import Text

__all__ = ["CHECK"]

HIGH = 0.3  # change of a weight in a step over its size; TheDeepChecker has 0.1, TensorFlow's notes 0.001 as usual
AT_ONCE = 1.0  # one step that changes weights by more than they are needs no second
AT_ONCE_IF_BAD = 0.5
HIGH_IF_BAD = 0.1  # where the loss has not fallen
SHORT_WAY = 0.2  # changes of all steps together, over the size: nothing can have been learned from random weights
LEAST_STEPS_FOR_WAY = 100
USUAL_RATE = 0.03  # change over gradient, momentum included, from which on the rate is not to blame
UNEVEN = 1000.0  # between layers
LEAST_LAYERS = 4
LOWER, HIGHER = 0.1, 10.0  # times the rate, as treatments; DX-039
MOST_PLACES = 50
_SOURCE = "TheDeepChecker; healthy trainings of small nets; three samples in a row"


def judge(trace: Trace, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if weights move by far too much or too little, or at very different speeds."""
    ratios = update_ratios(trace)
    need_samples(len(ratios.values))
    if not len(ratios.columns):
        raise NotCheckable(Text(en="no weight ever changes", zh="没有任何权重发生变化"))
    with np.errstate(all="ignore"):
        usual = np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else 0.0 for row in ratios.values])
    is_bad = learning.outcome == Outcome.BAD
    at_once = AT_ONCE_IF_BAD if is_bad else AT_ONCE
    fastest = float(usual.max()) if usual.max() > at_once else float(lasting(usual).max())
    way = float(np.nanmean(ratios.values, axis=0).max()) * int(trace.steps[-1])
    limit = HIGH_IF_BAD if is_bad else HIGH
    if fastest > limit:
        yield Finding(
            level=learning.level,
            message="high",
            numbers={"percent": f"{100 * fastest:.0f}"},
            measured=fastest,
            limit=Limit(value=limit, unit="share", source=_SOURCE),
            places=_places(trace, ratios, np.nanmax(ratios.values, axis=0)),
            num_places=len(ratios.columns),
            treatment=with_rate(trace, LOWER),
        )
    elif way < SHORT_WAY and trace.steps[-1] >= LEAST_STEPS_FOR_WAY and _is_slow(learning):
        is_weak = usual_rate(trace) > USUAL_RATE
        if is_weak and clipped_share(trace) > CLIPPED_SHARE:
            return
        yield Finding(
            level=learning.level,
            message="weak" if is_weak else "low",
            numbers={"percent": f"{100 * way:.2g}", "steps": int(trace.steps[-1])},
            measured=way,
            limit=Limit(value=SHORT_WAY, unit="share", source=_SOURCE),
            places=_places(trace, ratios, -np.nanmax(ratios.values, axis=0)),
            num_places=len(ratios.columns),
            treatment=None if is_weak else with_rate(trace, HIGHER),
        )
    else:
        yield from _uneven(trace, ratios, learning)


def _is_slow(learning: Learning) -> bool:
    return learning.outcome in (Outcome.BAD, Outcome.FAIR)


def _uneven(trace: Trace, ratios: Ratios, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if layers move at very different speeds beside what their rates ask for."""
    if len(ratios.columns) < LEAST_LAYERS or learning.outcome == Outcome.GOOD:
        return
    rates = np.nanmax(trace.rates, axis=0) if trace.rates.size else np.ones(1)
    of_group = np.array([rates[trace.parameters[int(column)].group] for column in ratios.columns], np.float64)
    usual = np.array([np.median(column[np.isfinite(column)]) if np.isfinite(column).any() else np.nan
                      for column in late(ratios.values).T])  # fmt: skip
    speed = np.where((of_group > 0) & (usual > 0), usual / np.maximum(of_group, 1e-30), np.nan)
    if np.isfinite(speed).sum() < LEAST_LAYERS:
        return
    times = float(np.nanmax(speed) / np.nanmin(speed))
    if times > UNEVEN:
        slowest, fastest = int(np.nanargmin(speed)), int(np.nanargmax(speed))
        yield Finding(
            level=Level.INFO,
            message="uneven",
            numbers={
                "times": f"{times:.3g}",
                "slow": trace.parameters[int(ratios.columns[slowest])].name,
                "fast": trace.parameters[int(ratios.columns[fastest])].name,
            },
            measured=times,
            limit=Limit(value=UNEVEN, source=_SOURCE),
            places=_places(trace, ratios, -np.nan_to_num(speed, nan=np.inf)),
            num_places=len(ratios.columns),
        )


def _places(trace: Trace, ratios: Ratios, score: Floats) -> tuple[Place, ...]:
    largest = np.nanmax(np.nan_to_num(ratios.values, nan=0.0), axis=0)
    order = np.argsort(-np.nan_to_num(score, nan=-np.inf))[:MOST_PLACES]
    return tuple(
        Place(kind="parameter", name=trace.parameters[int(ratios.columns[place])].name, note=f"{largest[place]:.1e}",
              score=float(score[place]) if np.isfinite(score[place]) else 0.0)
        for place in order
    )  # fmt: skip


CHECK = Check(
    code="T10",
    name="update-ratio",
    stage=Stage.TRAINING,
    judge=judge,
    curves=ratio_curves,
    covers=("DX-039", "DX-040", "DX-056", "DX-072"),
    caused_by=("T1", "T28", "T14", "T20", "T26", "T27", "T25", "T24"),
    source="TheDeepChecker, https://arxiv.org/abs/2204.00694; You et al. 2017, https://arxiv.org/abs/1708.03888",
    pages={
        "en": Page(
            title="weights move too far or too little in a step",
            finds="Steps that change weights by a large part of their size, or by next to nothing in the whole run, "
            "and layers that move at very different speeds.",
            matters="The size of a step beside the weights says whether the rate fits the network, in any optimizer: "
            "about a thousandth is usual, a third throws away what is there, and a millionth teaches nothing.",
            measured="Change of each matrix and kernel in a step over its size; the median over them. Three samples in "
            "a row above 0.3 (above 0.1 where the loss has not fallen), or one above 1 (0.5), are too high. All steps "
            "together below 0.2 in every layer while the loss has fallen by less than half are too low. A warning "
            "where the loss has not fallen, else told. Layers whose speeds differ a thousandfold beyond their rates "
            "are told where the loss is not down by half.",
            false_alarms="Fine-tuning with a tiny rate moves little, and the loss falls all the same: then it is told "
            "at most.",
            fix="Divide or multiply the rate by ten. Layers of different speeds: norms, an initialisation that fits, "
            "or rates of their own.",
            messages={
                "high": "A step changes the weights by {percent} % of their size: the rate is too high.",
                "low": "In {steps} steps the weights moved by at most {percent} % of their size in all: the rate is "
                "too low.",
                "weak": "In {steps} steps the weights moved by at most {percent} % of their size in all, though the "
                "rate is usual: the gradient is next to nothing.",
                "uneven": "{fast} moves {times} times as fast, beside its size, as {slow}.",
            },
            fixes={
                "high": "Divide the rate by ten, or add a warm-up.",
                "low": "Multiply the rate by ten; a rate can also be low because gradients are cut or tiny.",
                "weak": "Look at the initialisation (weights all alike, or far too small), at the scale of the loss "
                "and of the images, and at units that are dead or at their bounds.",
                "uneven": "Norms after each layer, an initialisation that fits the activation, or rates by depth.",
            },
        ),
        "zh": Page(
            title="每步权重移动过大或过小",
            finds="使权重改变其大小的很大一部分的步，或整个训练几乎不改变权重的步，以及移动速度相差悬殊的层。",
            matters="步长与权重之比说明学习率是否适合网络，与优化器无关：通常约为千分之一；三分之一会毁掉已有的内容，"
            "百万分之一什么也学不到。",
            measured="每个矩阵和卷积核一步的改变与其大小之比，取各层中位数。连续三个样本高于 0.3（损失没有下降时高于"
            " 0.1），或一个样本高于 1（0.5），为过高。每一层所有步之和都低于 0.2 且损失下降不到一半为过低。"
            "损失没有下降时警告，否则提示。除学习率之外速度相差千倍的层，在损失未下降一半时提示。",
            false_alarms="用很小的学习率微调时移动很少，但损失照样下降：此时最多提示。",
            fix="把学习率除以或乘以十。各层速度不同：加归一化、使用合适的初始化，或单独设学习率。",
            messages={
                "high": "一步使权重改变其大小的 {percent}%：学习率过高。",
                "low": "{steps} 步总共最多使权重移动其大小的 {percent}%：学习率过低。",
                "weak": "{steps} 步总共最多使权重移动其大小的 {percent}%，而学习率正常：梯度几乎为零。",
                "uneven": "相对于各自大小，{fast} 的移动速度是 {slow} 的 {times} 倍。",
            },
            fixes={
                "high": "把学习率除以十，或加预热。",
                "low": "把学习率乘以十；梯度被裁剪或很小也会使步长过小。",
                "weak": "检查初始化（权重全部相同或太小）、损失和图像的尺度，以及死亡或处于边界的单元。",
                "uneven": "每层之后加归一化，使用适合激活函数的初始化，或按深度设置学习率。",
            },
        ),
    },
)
