"""deep-without-shortcuts (M27)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.network.functions import Kind
from snellen.doctor.evidence.network.trace import NetworkTrace
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.words import Text

__all__ = ["CHECK"]

WITH_NORM = 40  # layers; ConvMixer-768/32 trains with 34, of He et al.'s plain networks those of 44 and more get worse
WITHOUT_NORM = 22  # layers; VGG-19 is the deepest in use
TOLD = 30  # layers; MobileNetV1 has 28, LCNet 29


def judge(trace: NetworkTrace) -> Iterator[Finding]:
    """Yield a finding if every way from the images to the output passes very many layers."""
    if not trace.last_layers:
        raise NotCheckable(Text(en="no layer leads to the output", zh="没有通向输出的层"))
    last = min(trace.last_layers, key=lambda each: trace.depths[each.index])
    way = trace.way_to(last)
    depth = trace.depths[last.index]
    has_norm = any(each.kind in (Kind.BATCH_NORM, Kind.NORM) for each in way)
    limit = WITH_NORM if has_norm else WITHOUT_NORM
    if depth < min(limit, TOLD):
        return
    layers = [each for each in way if each.has_weights]
    yield Finding(
        level=Level.WARNING if depth >= limit else Level.INFO,
        message="default" if has_norm else "no_norm",
        numbers={"depth": depth, "layers": len(trace.layers)},
        measured=float(depth),
        limit=Limit(
            value=limit if depth >= limit else TOLD, unit="layers", source="He et al. 2016, table 6; ConvMixer; VGG-19"
        ),
        places=tuple(Place(kind="layer", name=each.name) for each in layers[:50]),
        num_places=len(layers),
    )


CHECK = Check(
    code="M27",
    name="deep-without-shortcuts",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-068", "DX-059"),
    source="He et al. 2016, https://arxiv.org/abs/1512.03385, figures 1 and 6; Simonyan and Zisserman 2015",
    pages={
        "en": Page(
            title="very deep, without shortcuts",
            finds="Networks in which even the shortest way from the images to the output passes very many layers.",
            matters="From some depth on a plain network has a higher error on its training data than a shallower one: "
            "not overfitting, but an optimisation that fails. Shortcuts mend it.",
            measured="The least number of layers with weights on any way through the network, as its tensors show it: "
            "sums, concatenations and branches shorten it (ResNet-50: 6, DenseNet-121: 5, Inception v3: about 20). A "
            "warning from 40 layers with norms and from 22 without; 30 are told.",
            false_alarms="Pointwise convolutions count as layers, so separable networks look deep: MobileNetV1 has 28 "
            "and ConvMixer 34, and both train.",
            fix="Add shortcuts: x + block(x) around two or three layers, with a 1×1 convolution where the shape "
            "changes; or make the network shallower and wider.",
            messages={
                "default": "Every way through the network passes at least {depth} layers, without a shortcut.",
                "no_norm": "Every way through the network passes at least {depth} layers, without a shortcut and "
                "without a norm.",
            },
        ),
        "zh": Page(
            title="很深而没有捷径",
            finds="从图像到输出的最短路径也要经过非常多层的网络。",
            matters="超过一定深度后，普通网络在训练数据上的误差反而高于较浅的网络：这不是过拟合，而是优化失败。捷径可"
            "以解决。",
            measured="根据张量的实际流向，统计任意路径上带权重的层的最少数目：求和、拼接和分支会缩短它（ResNet-50 为 "
            "6，DenseNet-121 为 5，Inception v3 约 20）。有归一化时 40 层起警告，没有时 22 层起警告；30 层起提示。",
            false_alarms="逐点卷积也算一层，因此可分离卷积网络看起来很深：MobileNetV1 有 28 层，ConvMixer 有 34 层，都"
            "能训练。",
            fix="加入捷径：每两三层用 x + block(x) 绕过，形状改变处用 1×1 卷积；或把网络改得更浅更宽。",
            messages={
                "default": "网络的每条路径都至少经过 {depth} 层，没有捷径。",
                "no_norm": "网络的每条路径都至少经过 {depth} 层，既没有捷径也没有归一化。",
            },
        ),
    },
)
