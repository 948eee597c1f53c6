"""features-silenced (T29)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.watching.outcome import Learning, Outcome
from snellen.doctor.watching.showing import varied_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.watching.updates import need_samples, with_rate
from snellen.doctor.words import Text

__all__ = ["CHECK"]

LEFT = 0.02  # of the first sample's spread over images; layers of detectors that learned kept 0.2 and more
OF_SIZE = 0.05  # of what the layer gives out
LASTING = 2  # last samples that show it: short runs have few, and nothing else takes 98 % of a spread away
LOWER = 0.1  # times the rate
MOST_PLACES = 50
_SOURCE = "share of the first sample's spread over images; detectors of one pass on small data, silenced and not"


def judge(trace: Trace, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if what a layer gives out no longer depends on the image."""
    rows = np.flatnonzero(np.isfinite(trace.varied).any(1))
    need_samples(len(rows))
    seen = trace.varied[rows]
    layers = np.flatnonzero(np.isfinite(seen[0]) & (seen[0] > 0) & np.isfinite(seen[-LASTING:]).all(0))
    if not len(layers):
        raise NotCheckable(Text(en="no layer saw several images", zh="没有读入多张图像的层"))
    left = (seen[-LASTING:, layers] / seen[0, layers]).max(0)
    size = trace.rms[rows][-LASTING:, layers]
    share = (seen[-LASTING:, layers] / np.maximum(size, np.finfo(np.float32).tiny)).max(0)
    silenced = [int(place) for place in np.flatnonzero((left < LEFT) & ((share < OF_SIZE) | (size.max(0) == 0)))]
    if not silenced:
        return
    first = silenced[0]
    yield Finding(
        level=Level.INFO if learning.outcome == Outcome.GOOD else Level.WARNING,
        numbers={
            "layer": trace.layers[layers[first]].name,
            "count": len(silenced),
            "layers": len(layers),
            "percent": f"{100 * left[first]:.2g}",
        },
        measured=float(left[silenced].min()),
        limit=Limit(value=LEFT, unit="share", source=_SOURCE),
        places=tuple(
            Place(kind="layer", name=trace.layers[layers[place]].name, note=f"{left[place]:.2g}")
            for place in silenced[:MOST_PLACES]
        ),
        num_places=len(silenced),
        treatment=with_rate(trace, LOWER),
    )


CHECK = Check(
    code="T29",
    name="features-silenced",
    stage=Stage.TRAINING,
    judge=judge,
    curves=varied_curves,
    covers=(),
    caused_by=("T1", "T28", "T14", "T24", "T26"),
    source="the collapse to one answer of Jing et al. 2022, https://arxiv.org/abs/2110.09348, section 3, in supervised "
    "training",
    pages={
        "en": Page(
            title="features no longer depend on the image",
            finds="Layers that gave out something else for each image at first, and now the same for all of them.",
            matters="Where a loss sums over many cells or begins large, the quickest way down is to take the features' "
            "variation away: the network then says the best constant, its loss falls and stays there, and what its "
            "first weights knew is lost. It looks like a network that is too small or a task that is too hard.",
            measured="The spread of what each convolution and linear layer gives out over the images of a batch, at "
            "each place and unit: below 2 % of that in the first sample and below 5 % of the size of the output, in "
            "the last two samples. A warning, but for trainings whose loss is down by half.",
            false_alarms="A layer that others go around (a branch that is not needed) may fall silent and do no harm.",
            fix="A lower rate (a third to a tenth) or a longer warm-up; small first weights of the last layer, with a "
            "bias that says what is usual, so that the loss does not begin with noise; a norm before that layer.",
            messages={
                "default": "What {layer} gives out is the same for every image: {percent} % of the first steps' spread "
                "is left ({count} of {layers} layers). The steps have silenced the features.",
            },
        ),
        "zh": Page(
            title="特征不再随图像变化",
            finds="起初对每张图像输出不同、现在对所有图像输出相同的层。",
            matters="当损失对许多单元格求和或起始值很大时，最快的下降方式是消去特征的变化：网络于是输出最佳常数，"
            "损失下降后停滞，预训练权重所知的一切都丢失。看起来像是网络太小或任务太难。",
            measured="每个卷积层和线性层的输出在一批图像之间（同一位置、同一单元）的散布：最后两个样本中低于第一个样本的"
            " 2%，且低于输出大小的 5%。除非损失已下降一半，否则为警告。",
            false_alarms="其他层可以绕过的层（不需要的分支）可能沉默而无害。",
            fix="降低学习率（三分之一到十分之一）或延长预热；最后一层使用很小的初始权重，并用偏置表达常见的答案，"
            "使损失不以噪声开始；或在该层之前加归一化。",
            messages={
                "default": "{layer} 的输出对每张图像都相同：只剩最初散布的 {percent}%"
                "（{layers} 层中有 {count} 层如此）。更新的步子使特征沉默了。",
            },
        ),
    },
)
