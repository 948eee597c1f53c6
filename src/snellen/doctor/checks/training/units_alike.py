"""units-alike (T28)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.watching.outcome import Learning, Outcome
from snellen.doctor.watching.showing import apart_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.watching.updates import LEAST_SAMPLES, need_samples
from snellen.doctor.words import Text

__all__ = ["CHECK"]

ALIKE = 1e-5  # spread of the units' means over the size of the output; healthy layers have 0.1 and more
MOST_PLACES = 50
_SOURCE = "units that start alike and get the same gradient stay alike: rounding alone tells them apart"


def judge(trace: Trace, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if all units of a layer give out the same."""
    seen = trace.apart[np.isfinite(trace.apart).any(1)]
    need_samples(len(seen))
    layers = np.flatnonzero(np.isfinite(seen[-LEAST_SAMPLES:]).all(0))
    if not len(layers):
        raise NotCheckable(Text(en="no layer has units to compare", zh="没有可比较单元的层"))
    spreads = seen[-LEAST_SAMPLES:][:, layers].max(0)
    alike = [int(place) for place in np.flatnonzero(spreads < ALIKE)]
    if not alike:
        return
    yield Finding(
        level=Level.INFO if learning.outcome == Outcome.GOOD else Level.WARNING,
        numbers={"layer": trace.layers[layers[alike[0]]].name, "count": len(alike), "layers": len(layers)},
        measured=float(spreads[alike].max()),
        limit=Limit(value=ALIKE, source=_SOURCE),
        places=tuple(
            Place(kind="layer", name=trace.layers[layers[place]].name, note=f"{spreads[place]:.1e}")
            for place in alike[:MOST_PLACES]
        ),
        num_places=len(alike),
    )


CHECK = Check(
    code="T28",
    name="units-alike",
    stage=Stage.TRAINING,
    judge=judge,
    curves=apart_curves,
    covers=(),
    caused_by=("T1", "T14"),
    source="Goodfellow, Bengio and Courville 2016, Deep Learning, section 8.4 (breaking symmetry); DeepCrime, operator "
    "change_weights_initialisation",
    pages={
        "en": Page(
            title="all units of a layer give out the same",
            finds="Layers whose units are copies of one another while the training goes on.",
            matters="Units that start alike get the same gradient and stay alike for ever: a layer of 512 such units "
            "is one unit, however long it trains.",
            measured="The spread of the means of a layer's outputs over its units, over the size of the output: below "
            "1e-5 in the last three samples, in a layer of four units or more. A warning, but for trainings whose loss "
            "is down by half.",
            false_alarms="None are known; layers that give out zeros only are not judged here.",
            fix="Draw the initial weights at random (kaiming_normal_, xavier_uniform_ or the layer's own), never a "
            "constant; a bias may be constant.",
            messages={
                "default": "All units of {layer} give out the same ({count} of {layers} such layers): they began with "
                "the same weights.",
            },
        ),
        "zh": Page(
            title="一层的所有单元输出相同",
            finds="训练过程中单元互为副本的层。",
            matters="起点相同的单元得到相同的梯度，永远保持相同：512 个这样的单元等于一个单元，训练多久都一样。",
            measured="一层各单元输出均值的散布与输出大小之比：在至少四个单元的层中，最后三次采样都低于 1e-5。"
            "除非损失已下降一半，否则为警告。",
            false_alarms="未发现；只输出零的层不在此判断。",
            fix="用随机数初始化权重（kaiming_normal_、xavier_uniform_ 或层自带的方法），不要用常数；偏置可以是常数。",
            messages={
                "default": "{layer} 的所有单元输出相同（{layers} 层中有 {count} 层如此）：它们的初始权重相同。",
            },
        ),
    },
)
