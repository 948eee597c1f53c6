"""too-much-dropout (T25)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.watching.outcome import BAD_DROP, Learning, Outcome, held_out_losses, layer_samples
from snellen.doctor.watching.showing import held_out_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.watching.updates import LEAST_SAMPLES, need_samples
from snellen.doctor.words import Text

__all__ = ["CHECK"]

DROPPED = 0.65  # of what an activation gave out; a half is usual
ZEROS = 0.85  # of what a layer reads: a half behind a ReLU, three quarters behind a dropout of a half after that
DEAD = 0.5  # of the units: then T8 says why
APART = 1.3  # training loss over held-out loss
_SOURCE = "healthy trainings of small nets; DeepCrime's operator change_dropout_rate (RCD)"


def judge(trace: Trace, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if a layer reads nearly only zeros, anew in each step, and the training loss suffers from it."""
    rows = layer_samples(trace)
    need_samples(len(rows))
    readers = [place for place, column in enumerate(trace.layers) if column.role == "weights"][1:]
    if not readers:
        raise NotCheckable(Text(en="no layer reads from another", zh="没有读取其他层的层"))
    dropped = np.array([_dropped(trace, rows[-LEAST_SAMPLES:], place) for place in readers])
    worst = int(dropped.argmax())
    if dropped[worst] < DROPPED or learning.outcome in (Outcome.EARLY, Outcome.GOOD):
        return
    losses = held_out_losses(trace)
    held_out = float(losses[0].values[-1]) if losses else float("nan")
    is_apart = learning.end > APART * held_out > 0
    has_not_fallen = learning.drop < BAD_DROP
    if not (is_apart or has_not_fallen):
        return
    name = trace.layers[readers[worst]].name
    yield Finding(
        level=Level.WARNING if has_not_fallen else Level.INFO,
        message="apart" if is_apart else "default",
        numbers={
            "percent": f"{100 * dropped[worst]:.0f}",
            "layer": name,
            "train": f"{learning.end:.3g}",
            "held_out": f"{held_out:.3g}",
        },
        measured=float(dropped[worst]),
        limit=Limit(value=DROPPED, unit="share", source=_SOURCE),
        places=(Place(kind="layer", name=name, note=f"{dropped[worst]:.0%}", score=float(dropped[worst])),),
        num_places=int((dropped >= DROPPED).sum()),
    )


def _dropped(trace: Trace, rows: list[int], place: int) -> float:
    """Return the share of values that were made zero between an activation and the layer that reads it.

    Where no activation module stands right before the layer, it is not known what was zero already, and only a share of
    zeros that no activation leaves counts.
    """
    read = float(np.nan_to_num(trace.zeros[rows, place], nan=0.0).min())
    if trace.layers[place - 1].role == "activation":
        before = float(np.nan_to_num(trace.zeros[rows, place - 1], nan=0.0).max())
        return (read - before) / (1 - before) if before < 1 else 0.0
    dead = float(np.nan_to_num(trace.dead[rows, place], nan=0.0).max())
    return read if read > ZEROS and dead < DEAD else 0.0


CHECK = Check(
    code="T25",
    name="too-much-dropout",
    stage=Stage.TRAINING,
    judge=judge,
    curves=held_out_curves,
    covers=("DX-076",),
    caused_by=("T1", "T14", "T20"),
    source="Srivastava et al. 2014; DeepCrime's operator change_dropout_rate (RCD)",
    pages={
        "en": Page(
            title="dropout that only hurts",
            finds="Layers that read nearly only zeros, other ones in each step, in a training that does not get on.",
            matters="Dropout guards against learning by heart; a network that has not learned its training images "
            "needs no such guard, and cannot learn through it.",
            measured="Share of what an activation gave out that is zero where the next layer reads it, in the last "
            "three samples: 65 % or more. Where no activation module stands right before the layer: 85 % of zeros, of "
            "units that are not dead. A warning where the loss has not fallen; told where it has fallen by less than "
            "half and is 1.3 times the held-out loss, which is measured without dropout.",
            false_alarms="Networks that are sparse by design.",
            fix="Lower the dropout to 0.1 or 0.2, or leave it out until the training loss is well below the held-out "
            "one.",
            messages={
                "default": "{percent} % of what {layer} reads is dropped, other parts in each step, and the loss stays "
                "at {train}.",
                "apart": "{percent} % of what {layer} reads is dropped, other parts in each step: the loss is {train} "
                "in training and {held_out} on held-out data.",
            },
        ),
        "zh": Page(
            title="只有害处的 dropout",
            finds="在没有进展的训练中，读入几乎全是零、且每步零的位置不同的层。",
            matters="dropout 用来防止死记；还没学会训练图像的网络不需要它，也无法透过它学习。",
            measured="最后三个样本中，激活输出的值到下一层读入时变为零的份额：65% 以上。若该层之前没有激活模块，"
            "则读入的零达 85%，且单元没有死亡。损失没有下降时警告；下降不到一半且为留出损失（测量时没有 dropout）"
            "的 1.3 倍时提示。",
            false_alarms="按设计就稀疏的网络。",
            fix="把 dropout 降到 0.1 或 0.2，或在训练损失明显低于留出损失之前不使用。",
            messages={
                "default": "{layer} 读入的值有 {percent}% 被丢弃，每步位置不同，损失停在 {train}。",
                "apart": "{layer} 读入的值有 {percent}% 被丢弃，每步位置不同：训练损失为 {train}，"
                "留出数据上为 {held_out}。",
            },
        ),
    },
)
