"""weights-shrink-away (T24)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit, Place, Treatment
from snellen.doctor.watching.outcome import Learning, Outcome, weight_columns
from snellen.doctor.watching.showing import weight_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.watching.updates import LEAST_SAMPLES, late, need_samples

__all__ = ["CHECK"]

SHRUNK = 0.35  # of the size that they began with
WEAK = 1e-3  # gradient over weight from the start: then it is the gradient that is missing, and T7 or T10 say so
LEARNT = 0.8  # of the loss, gone: then decay did not keep the network from learning
USUAL_DECAY = 1e-4  # as a treatment
MOST_PLACES = 50
_SOURCE = "healthy trainings of small nets"


def judge(trace: Trace, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if most weights have shrunk to a fraction, and the loss is not down by half."""
    columns = [place for place in weight_columns(trace) if trace.weight[:1, place].sum() > 0]
    weight = trace.weight[:, columns].astype(np.float64)
    need_samples(len(weight))
    if not columns or learning.outcome == Outcome.EARLY or learning.drop > LEARNT:
        return
    if _gradient_at_first(trace, columns) < WEAK:
        return
    left = np.median(late(weight), axis=0) / weight[0]
    share = float(np.median(left))
    if not share < SHRUNK:  # also where weights are not finite
        return
    order = np.argsort(left)[:MOST_PLACES]
    yield Finding(
        level=Level.WARNING if learning.outcome == Outcome.BAD else Level.INFO,
        numbers={"percent": f"{100 * share:.2g}", "end": f"{learning.end:.3g}"},
        measured=share,
        limit=Limit(value=SHRUNK, unit="share", source=_SOURCE),
        places=tuple(
            Place(kind="parameter", name=trace.parameters[columns[place]].name, note=f"{left[place]:.1%}",
                  score=1 - float(left[place]))
            for place in order
        ),
        num_places=int((left < SHRUNK).sum()),
        treatment=Treatment(settings={"weight_decay": USUAL_DECAY}),
    )  # fmt: skip


def _gradient_at_first(trace: Trace, columns: list[int]) -> float:
    """Return the gradient over the weight in the first three samples; the median layer's."""
    first = slice(0, LEAST_SAMPLES)
    sizes = trace.gradient[first, columns].astype(np.float64) / trace.weight[first, columns]
    return float(np.median(np.nan_to_num(sizes, nan=0.0)))


CHECK = Check(
    code="T24",
    name="weights-shrink-away",
    stage=Stage.TRAINING,
    judge=judge,
    curves=weight_curves,
    covers=("DX-056", "DX-076"),
    caused_by=("T1", "T14", "T27", "T25"),
    source="DeepCrime's operators add_weights_regularisation (RAW) and change_weights_regularisation (RCW); Loshchilov "
    "& Hutter 2019, https://arxiv.org/abs/1711.05101",
    pages={
        "en": Page(
            title="weight decay takes the weights away",
            finds="Weights that shrink to a fraction of their size while the loss does not get on.",
            matters="Decay that is stronger than the gradient pulls a network to zero: it cannot hold what it should "
            "learn, on training images either.",
            measured="Size of each matrix and kernel in the last third of the samples beside the first one. The median "
            "below 35 %: a warning where the loss has not fallen, told where it has fallen by less than 80 %.",
            false_alarms="Weights in front of a norm may shrink without harm; the loss then falls.",
            fix="Weight decay of 1e-4 with SGD, 0.01 to 0.05 with AdamW (--weight-decay); decay acts as rate times "
            "decay in each step.",
            messages={
                "default": "Weights have shrunk to {percent} % of their size, and the loss is still {end}.",
            },
        ),
        "zh": Page(
            title="权重衰减使权重消失",
            finds="缩小到原来几分之一而损失没有进展的权重。",
            matters="强于梯度的衰减把网络拉向零：即使对训练图像，它也保留不住应学的内容。",
            measured="后三分之一样本中每个矩阵和卷积核的大小与第一个样本之比。中位数低于 35%：损失没有下降时警告，"
            "下降不到 80% 时提示。",
            false_alarms="归一化之前的权重可以无害地缩小；此时损失会下降。",
            fix="SGD 用 1e-4 的权重衰减，AdamW 用 0.01 到 0.05（--weight-decay）；每步的作用是学习率乘以衰减。",
            messages={
                "default": "权重缩小到原来的 {percent}%，而损失仍为 {end}。",
            },
        ),
    },
)
