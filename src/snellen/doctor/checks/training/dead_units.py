"""dead-units (T8)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.watching.outcome import Learning, Outcome, layer_samples
from snellen.doctor.watching.showing import unit_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.watching.updates import LEAST_SAMPLES, need_samples, with_rate
from snellen.doctor.words import Text

__all__ = ["CHECK"]

MANY = 0.5  # of the units that a layer reads; SageMaker Debugger, AutoTrainer
MORE = 0.75
NEARLY_ALL = 0.9
LEAST_TOLD = {Outcome.BAD: MANY, Outcome.GOOD: NEARLY_ALL}
ALIVE = 0.8  # share of zeros in the first step, below which a layer was alive
LEAST_IMAGES = 48  # over the last samples, three or more; fewer do not show that a unit never fires
LOWER = 0.1  # times the rate; too large a rate is what kills units
MOST_PLACES = 50
_SOURCE = "SageMaker Debugger, dead ReLU; over three samples"


def judge(trace: Trace, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if half of the units of a layer never fire."""
    rows = layer_samples(trace)
    need_samples(len(rows))
    counts = [int(trace.images[trace.steps == step].sum()) for step in trace.sampled[rows[::-1]]]
    images = np.cumsum(counts)
    if images[-1] < LEAST_IMAGES:
        raise NotCheckable(
            Text(en=f"{images[-1]} images in all samples are too few", zh=f"所有样本中只有 {images[-1]} 张图像，太少")
        )
    taken = max(LEAST_SAMPLES, int(np.argmax(images >= LEAST_IMAGES)) + 1)
    readers = [place for place, column in enumerate(trace.layers) if column.role == "weights"][1:]
    if not readers:
        raise NotCheckable(Text(en="no layer reads from another", zh="没有读取其他层的层"))
    shares = trace.dead[rows[-taken:]][:, readers].astype(np.float64)
    lasting = np.nan_to_num(shares, nan=0.0).min(0)
    worst = float(lasting.max())
    if worst < LEAST_TOLD.get(learning.outcome, MORE):
        return
    order = [place for place in np.argsort(-lasting) if lasting[place] >= MANY]
    name = trace.layers[readers[order[0]]].name
    has_been_killed = worst >= NEARLY_ALL and _zeros_at_first(trace, readers[order[0]]) < ALIVE
    yield Finding(
        level=learning.level if worst >= NEARLY_ALL else Level.INFO,
        message="killed" if has_been_killed else "all" if worst == 1 else "default",
        numbers={"layer": name, "percent": f"{100 * worst:.0f}", "layers": len(order)},
        measured=worst,
        limit=Limit(value=MANY, unit="share", source=_SOURCE),
        places=tuple(
            Place(kind="layer", name=trace.layers[readers[place]].name, note=f"{lasting[place]:.0%}",
                  score=float(lasting[place]))
            for place in order[:MOST_PLACES]
        ),
        num_places=len(order),
        treatment=with_rate(trace, LOWER),
    )  # fmt: skip


def _zeros_at_first(trace: Trace, layer: int) -> float:
    """Return the share of zeros that a layer read in the first step; 1 where that was not seen."""
    was_seen = len(trace.sampled) > 0 and int(trace.sampled[0]) == 1 and bool(np.isfinite(trace.zeros[0, layer]))
    return float(trace.zeros[0, layer]) if was_seen else 1.0


CHECK = Check(
    code="T8",
    name="dead-units",
    stage=Stage.TRAINING,
    judge=judge,
    curves=unit_curves,
    covers=("DX-063",),
    caused_by=("T1", "T28", "T29", "T14", "T20", "T26", "T27", "T25", "T24", "T10", "T6"),
    source="Lu et al. 2019, https://arxiv.org/abs/1903.06733; SageMaker Debugger; AutoTrainer",
    pages={
        "en": Page(
            title="units that never fire",
            finds="Layers of which half of the inputs are zero for every image and at every place.",
            matters="A unit that is zero for all images has no gradient and never comes back: the network is narrower "
            "than it looks, and where a whole layer is dead, nothing passes and nothing below it learns.",
            measured="Channels that each convolution and linear layer reads, but for the first: a unit is dead that "
            "was zero everywhere in the last samples: three, or as many as hold 48 images. Half of a layer's units "
            "in each of them are told where the loss has not fallen, three quarters elsewhere, and only nine tenths "
            "where the loss is down by half. Nine tenths are a warning where the loss has not fallen: fewer are found "
            "in healthy deep nets and where something else keeps a net from learning. They have been killed if less "
            "than 80 % of what the layer read in the first step was zero.",
            false_alarms="Wide networks on easy data may leave many units unused, and be fine.",
            fix="A lower rate (a step too large pushes biases far below zero), norms before the activation, an "
            "initialisation that fits it, or a leaky ReLU, ELU or GELU.",
            messages={
                "default": "{percent} % of the units that {layer} reads never fire ({layers} such layers).",
                "all": "{layer} reads nothing but zeros: the layers before it are dead ({layers} such layers).",
                "killed": "{percent} % of the units that {layer} reads never fire ({layers} such layers), though they "
                "did before the first steps: the steps are too large.",
            },
            fixes={
                "killed": "A lower rate, a tenth for a start, or a warm-up: steps too large pushed the units so far "
                "below zero that they have no gradient to come back by.",
            },
        ),
        "zh": Page(
            title="从不激活的单元",
            finds="一半输入对所有图像、所有位置都为零的层。",
            matters="对所有图像都为零的单元没有梯度，再也不会恢复：网络比看起来窄；若整层死亡，信息无法通过，"
            "其下各层也学不到东西。",
            measured="看除第一层外每个卷积层和线性层读入的通道：在最后的样本（至少三个、共至少 48 张图像）中"
            "处处为零的单元为死亡。"
            "这些样本中都有一半单元死亡：损失没有下降时提示；其他情况四分之三以上才提示，"
            "损失已下降一半时十分之九以上才提示。损失没有下降且达到十分之九时警告：更少的死亡单元在正常的深层网络中、"
            "以及在因其他原因学不动的网络中也会出现。若该层在第一步读入的零少于 80%，则单元是后来被杀死的。",
            false_alarms="在简单数据上，较宽的网络可能有许多闲置单元而一切正常。",
            fix="降低学习率（步子过大会把偏置推到零以下很远），在激活之前加归一化，使用合适的初始化，"
            "或改用 leaky ReLU、ELU、GELU。",
            messages={
                "default": "{layer} 读入的单元中有 {percent}% 从不激活（这样的层有 {layers} 个）。",
                "all": "{layer} 读入的全是零：它前面的层已死亡（这样的层有 {layers} 个）。",
                "killed": "{layer} 读入的单元中有 {percent}% 从不激活（这样的层有 {layers} 个），"
                "而最初几步之前它们是激活的：步子太大。",
            },
            fixes={
                "killed": "降低学习率，先试十分之一，或使用预热：过大的步子把单元推到零以下很远，"
                "使它们没有梯度可以恢复。",
            },
        ),
    },
)
