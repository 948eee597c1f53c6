"""vanishing-gradients (T7)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.watching.curves import Floats
from snellen.doctor.watching.outcome import Learning, Outcome
from snellen.doctor.watching.showing import gradient_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.watching.updates import late, need_samples, relative_gradients
from snellen.doctor.words import Text

__all__ = ["CHECK"]

LEAST_LAYERS = 4
FADED = 1e-3  # gradient over weight, first layers beside last; AutoTrainer has the same for gradients
FADED_GREATLY = 1e-5
MOST_PLACES = 20
_SOURCE = "AutoTrainer, with gradients taken over the size of the weights"


def judge(trace: Trace, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if the first layers get next to no gradient beside the last, and the outcome is not good."""
    ratios = relative_gradients(trace)
    if len(ratios.columns) < LEAST_LAYERS:
        raise NotCheckable(Text(en=f"a network of fewer than {LEAST_LAYERS} layers", zh=f"网络不足 {LEAST_LAYERS} 层"))
    need_samples(len(ratios.values))
    sizes = _usual(late(ratios.values))
    fading = fading_of(sizes)
    if fading is None or fading >= FADED or learning.outcome == Outcome.GOOD:
        return
    has_faded_greatly = fading < FADED_GREATLY and learning.outcome == Outcome.FAIR
    yield Finding(
        level=Level.WARNING if learning.outcome == Outcome.BAD or has_faded_greatly else Level.INFO,
        numbers={
            "times": f"{1 / max(fading, 1e-38):.1e}",
            "first": trace.parameters[int(ratios.columns[0])].name,
            "last": trace.parameters[int(ratios.columns[-1])].name,
        },
        measured=fading,
        limit=Limit(value=FADED, source=_SOURCE),
        places=tuple(
            Place(kind="parameter", name=trace.parameters[int(column)].name, note=f"{size:.2e}", score=-float(size))
            for column, size in list(zip(ratios.columns, sizes, strict=True))[:MOST_PLACES]
        ),
        num_places=len(ratios.columns),
    )


def _usual(values: Floats) -> Floats:
    """Return the median of each column, 0 where nothing was told."""
    return np.array([np.median(column[np.isfinite(column)]) if np.isfinite(column).any() else 0.0
                     for column in values.T])  # fmt: skip


def fading_of(sizes: Floats) -> float | None:
    """Return the sizes of the first quarter of the layers beside those of the last; None where the last have none."""
    quarter = max(1, len(sizes) // 4)
    last = float(np.median(sizes[-quarter:]))
    return float(np.median(sizes[:quarter])) / last if last > 0 else None


CHECK = Check(
    code="T7",
    name="vanishing-gradients",
    stage=Stage.TRAINING,
    judge=judge,
    curves=gradient_curves,
    covers=("DX-059", "DX-065", "DX-069", "DX-070"),
    caused_by=("T1", "T28", "T29", "T14", "T20", "T27", "T24", "T10", "T8", "T9"),
    source="Glorot & Bengio 2010; AutoTrainer, https://arxiv.org/abs/2103.16215",
    pages={
        "en": Page(
            title="gradients vanish on the way to the first layers",
            finds="First layers whose gradient is a thousandth of that of the last ones, each beside its weights, in a "
            "training that does not get on.",
            matters="The first layers stay as they were drawn, and the last ones learn from features that mean "
            "nothing.",
            measured="Gradient over weight of each matrix and kernel, median of the last third of the samples; the "
            "first quarter of the layers over the last quarter. Below 0.001: a warning where the loss has not fallen, "
            "or where it has fallen by less than half and the ratio is below 0.00001; told in other cases, not at all "
            "where the loss is down by half.",
            false_alarms="Adam makes steps of one size of gradients of any, so that a network may learn though its "
            "gradients fade; the loss then falls.",
            fix="ReLU and its kin instead of sigmoid or tanh, norms after each layer, shortcuts, an initialisation "
            "that fits the activation, or pretrained weights.",
            messages={
                "default": "Gradients are {times} times as small, beside the weights, at {first} as at {last}, and the "
                "loss does not get on.",
            },
        ),
        "zh": Page(
            title="梯度在传到前几层之前消失",
            finds="在没有进展的训练中，前几层的梯度（相对于其权重）只有最后几层的千分之一。",
            matters="前几层停留在随机初值，后几层只能从毫无意义的特征中学习。",
            measured="每个矩阵和卷积核的梯度与权重之比，取后三分之一样本的中位数；前四分之一的层比后四分之一的层。"
            "低于 0.001：损失没有下降，或下降不到一半且比值低于 0.00001 时警告；其他情况提示；损失已下降一半时不提示。",
            false_alarms="Adam 把任何大小的梯度都变成同样大小的步，因此梯度衰减的网络仍可能学习；此时损失会下降。",
            fix="用 ReLU 一类代替 sigmoid 或 tanh，每层之后加归一化，加捷径连接，使用适合激活函数的初始化，"
            "或预训练权重。",
            messages={
                "default": "相对于权重，{first} 处的梯度比 {last} 处小 {times} 倍，且损失没有进展。",
            },
        ),
    },
)
