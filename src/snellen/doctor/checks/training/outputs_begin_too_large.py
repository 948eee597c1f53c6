"""outputs-begin-too-large (T27)."""

from collections.abc import Iterator
from math import log

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.watching.outcome import Learning, Outcome, layer_samples
from snellen.doctor.watching.showing import output_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.words import Text

__all__ = ["CHECK"]

LARGE = 10.0  # root mean square of the scores at the first step; healthy networks begin with about 1 or less
FIRST_STEPS = 3
MOST_PLACES = 50
_SOURCE = "healthy trainings of small nets"


def judge(trace: Trace, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if a classifier was sure of everything before it had learned anything."""
    rows = layer_samples(trace)
    if learning.num_classes < 2 or not rows or trace.sampled[rows[0]] > FIRST_STEPS:
        raise NotCheckable(Text(en="the first scores of classes were not seen", zh="没有看到最初的类别分数"))
    sizes = trace.rms[rows[0]].astype(np.float64)
    readers = [place for place, column in enumerate(trace.layers) if column.role == "weights" and sizes[place] > 0]
    if not readers:
        raise NotCheckable(Text(en="no layer with weights was seen", zh="没有看到带权重的层"))
    size = float(sizes[readers[-1]])
    if size <= LARGE:
        return
    is_worse_than_guessing = learning.end > log(learning.num_classes) and learning.start > learning.end
    yield Finding(
        level=Level.WARNING if learning.outcome == Outcome.BAD or is_worse_than_guessing else Level.INFO,
        numbers={
            "size": f"{size:.3g}",
            "start": f"{learning.values[0]:.3g}",
            "chance": f"{log(learning.num_classes):.2f}",
            "classes": learning.num_classes,
        },
        measured=size,
        limit=Limit(value=LARGE, source=_SOURCE),
        places=tuple(
            Place(kind="layer", name=trace.layers[place].name, note=f"{sizes[place]:.3g}", score=float(sizes[place]))
            for place in readers[:MOST_PLACES]
        ),
        num_places=len(readers),
    )


CHECK = Check(
    code="T27",
    name="outputs-begin-too-large",
    stage=Stage.TRAINING,
    judge=judge,
    curves=output_curves,
    covers=("DX-066",),
    caused_by=("T1", "T28", "T14", "T25"),
    source="He et al. 2015, https://arxiv.org/abs/1502.01852; DeepCrime's operator change_weights_initialisation (WCI)",
    pages={
        "en": Page(
            title="outputs begin far too large",
            finds="Classifiers whose scores are large before anything has been learned.",
            matters="The network is sure and wrong: the first gradients are enormous, units die or reach their bounds, "
            "and the loss has a long way to come down to mere guessing.",
            measured="Root mean square of what the last layer with weights gives out at the first step: above 10, "
            "where about 1 or less is healthy. A warning where the loss has not fallen or is still above that of "
            "guessing, else told. The sizes of all layers are listed: where they begin to grow is where to look.",
            false_alarms="Outputs that are no scores of classes, such as coordinates in pixels.",
            fix="An initialisation that keeps sizes through depth (Kaiming for ReLU, Xavier for tanh), norms after the "
            "layers, images scaled to about -1 … 1.",
            messages={
                "default": "The first scores have a size of {size} and the first loss is {start}; guessing among "
                "{classes} classes gives {chance}.",
            },
        ),
        "zh": Page(
            title="输出的初值太大",
            finds="什么都还没学到时分数就很大的分类器。",
            matters="网络自信而错误：最初的梯度极大，单元死亡或到达边界，损失要走很长的路才降到随机猜测的水平。",
            measured="第一步中最后一个带权重的层的输出的均方根：高于 10，而健康网络约为 1 或更小。"
            "损失没有下降或仍高于随机猜测时警告，否则提示。列出各层的大小：从哪一层开始增大，就查看哪里。",
            false_alarms="不是类别分数的输出，例如像素坐标。",
            fix="使用各深度保持大小的初始化（ReLU 用 Kaiming，tanh 用 Xavier），在层后加归一化，"
            "把图像缩放到约 -1 … 1。",
            messages={
                "default": "最初的分数大小为 {size}，最初的损失为 {start}；在 {classes} 个类别中猜测为 {chance}。",
            },
        ),
    },
)
