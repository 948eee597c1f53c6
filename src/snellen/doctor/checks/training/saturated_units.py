"""saturated-units (T9)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.watching.outcome import Learning, Outcome, layer_samples
from snellen.doctor.watching.showing import saturation_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.watching.updates import LEAST_SAMPLES, need_samples
from snellen.doctor.words import Text

__all__ = ["CHECK"]

SATURATED = 0.5  # of a layer's outputs; TheDeepChecker has half of the units
MOST_PLACES = 50
_SOURCE = "TheDeepChecker, saturated activation; three samples in a row"


def judge(trace: Trace, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if half of the outputs of a sigmoid or tanh inside the network are close to their bounds."""
    rows = layer_samples(trace)
    need_samples(len(rows))
    last = max((place for place, column in enumerate(trace.layers) if column.role == "weights"), default=-1)
    inside = [place for place in range(last) if np.isfinite(trace.saturated[rows, place]).any()]
    if not inside:
        raise NotCheckable(Text(en="no sigmoid or tanh inside the network", zh="网络内部没有 sigmoid 或 tanh"))
    lasting = np.nan_to_num(trace.saturated[rows[-LEAST_SAMPLES:]][:, inside], nan=0.0).min(0).astype(np.float64)
    order = [place for place in np.argsort(-lasting) if lasting[place] > SATURATED]
    if not order or learning.outcome in (Outcome.GOOD, Outcome.EARLY):
        return
    yield Finding(
        level=Level.WARNING if learning.outcome == Outcome.BAD else Level.INFO,
        numbers={
            "layer": trace.layers[inside[order[0]]].name,
            "percent": f"{100 * lasting[order[0]]:.0f}",
            "layers": len(order),
        },
        measured=float(lasting[order[0]]),
        limit=Limit(value=SATURATED, unit="share", source=_SOURCE),
        places=tuple(
            Place(kind="layer", name=trace.layers[inside[place]].name, note=f"{lasting[place]:.0%}",
                  score=float(lasting[place]))
            for place in order[:MOST_PLACES]
        ),
        num_places=len(order),
    )  # fmt: skip


CHECK = Check(
    code="T9",
    name="saturated-units",
    stage=Stage.TRAINING,
    judge=judge,
    curves=saturation_curves,
    covers=("DX-062", "DX-066"),
    caused_by=("T1", "T28", "T29", "T14", "T27", "T10", "T6"),
    source="TheDeepChecker; Glorot & Bengio 2010, figure 2; Rakitianskaia & Engelbrecht 2015",
    pages={
        "en": Page(
            title="sigmoids and tanhs at their bounds",
            finds="Layers inside the network whose sigmoid or tanh outputs lie mostly at their bounds.",
            matters="There the slope is next to nothing, so no gradient comes through, whatever the loss says.",
            measured="Outputs within 5 % of the range from a bound (the slope is then below a fifth of its largest), "
            "in layers before the last one with weights. More than half of them in three samples in a row: a warning "
            "where the loss has not fallen, told where it has fallen by less than half, not told where it is down by "
            "half.",
            false_alarms="Gates, which are meant to be open or shut; with a loss that falls by half they are not told.",
            fix="Smaller initial weights (Xavier), inputs that are standardised, norms before the activation, a lower "
            "rate, or ReLU and its kin.",
            messages={
                "default": "{percent} % of the outputs of {layer} lie at their bounds ({layers} such layers), and the "
                "loss does not get on.",
            },
        ),
        "zh": Page(
            title="sigmoid 和 tanh 处于边界",
            finds="网络内部的 sigmoid 或 tanh 输出大多处于边界的层。",
            matters="那里的斜率几乎为零，无论损失如何，梯度都传不过去。",
            measured="在最后一个带权重的层之前，距边界不到值域 5% 的输出（斜率不足最大值的五分之一）。"
            "连续三个样本中超过一半：损失没有下降时警告，下降不到一半时提示，已下降一半时不提示。",
            false_alarms="本来就应开或关的门；损失已下降一半时不提示。",
            fix="更小的初始权重（Xavier）、标准化的输入、激活之前的归一化、更低的学习率，或 ReLU 一类。",
            messages={
                "default": "{layer} 的输出有 {percent}% 处于边界（这样的层有 {layers} 个），且损失没有进展。",
            },
        ),
    },
)
