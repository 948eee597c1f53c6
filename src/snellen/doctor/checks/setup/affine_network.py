"""affine-network (M17)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.network.affinity import Affinity
from snellen.doctor.finding import Finding, Level, Limit, Number, Place
from snellen.doctor.words import Text

__all__ = ["CHECK"]

AFFINE = 1e-4  # of the largest difference between features; float32 rounds to 1e-6
LEAST_DEPTH = 3  # layers; in two with max pooling between, the pooling may be meant as the non-linearity
MANY_PAIRS = 0.1  # pairs per layer; healthy networks of torchvision, timm and smp have at most 1 in 59

_CALIBRATION = "58 networks of torchvision, timm and segmentation-models-pytorch: at most 1 pair in 59 layers"


def judge(affinity: Affinity) -> Iterator[Finding]:
    """Yield a finding if a network, or a stretch of it, is one linear layer in disguise."""
    if affinity.num_layers < 2:
        return
    numbers: dict[str, Number] = {
        "layers": affinity.num_layers,
        "depth": affinity.depth,
        "functions": ", ".join(affinity.weak),
    }
    if not affinity.activations:
        if not affinity.is_whole:
            raise NotCheckable(
                Text(en="the way through the network could not be followed", zh="无法追踪网络中的数据流")
            )
        is_affine = not affinity.weak and affinity.deviation is not None and affinity.deviation < AFFINE
        if is_affine:
            projects = affinity.narrowest < 1
            yield Finding(
                level=Level.WARNING if projects else Level.ERROR,
                message="projection" if projects else "default",
                numbers=numbers,
                measured=affinity.deviation,
                limit=Limit(value=AFFINE, unit="share", source="rounding of float32 makes 1e-6"),
            )
        elif affinity.depth >= LEAST_DEPTH:
            yield Finding(level=Level.WARNING, message="only_weak", numbers=numbers)
        return
    if affinity.pairs:
        share = len(affinity.pairs) / affinity.num_layers
        first = affinity.pairs[0]
        yield Finding(
            level=Level.WARNING if share >= MANY_PAIRS else Level.INFO,
            message="stretch",
            numbers={**numbers, "count": len(affinity.pairs), "first": first.first, "second": first.second},
            measured=share,
            limit=Limit(value=MANY_PAIRS, level=Level.WARNING, unit="share", source=_CALIBRATION),
            places=tuple(Place(kind="layer", name=pair.second, note=f"← {pair.first}") for pair in affinity.pairs[:50]),
            num_places=len(affinity.pairs),
        )


CHECK = Check(
    code="M17",
    name="affine-network",
    stage=Stage.SETUP,
    judge=judge,
    caused_by=("M10",),
    covers=("DX-070",),
    source="Goodfellow, Bengio and Courville 2016, Deep Learning, section 6.1; NeuraLint (missing activation)",
    pages={
        "en": Page(
            title="layers without a non-linearity between them",
            finds="A network without any activation function, or layers that follow one another with nothing "
            "non-linear between them.",
            matters="Linear layers in a row are one linear layer: they cost more and can do no more. A network without "
            "activations is logistic regression, however deep it is.",
            measured="Every function call between the first and the last layer is followed, also those in hand-written "
            "forward methods. If none is non-linear, the features before the last layer are computed for two batches "
            "and for their mean, in evaluation mode: the network is affine if the features of the mean are the mean of "
            "the features within 0.0001 of their largest difference. If there is only max pooling or a norm, that is a "
            "warning from three layers on. A stretch is two full layers (no depthwise ones, no bottleneck between) "
            "joined by linear functions alone: a warning from one in ten layers.",
            false_alarms="Linear networks on purpose: linear autoencoders and factorised layers, which are told apart "
            "by a width that is smaller than both ends, and studies of linear networks. Models of one layer are not "
            "judged.",
            fix="Put an activation such as nn.ReLU() behind every convolution and linear layer but the last (behind "
            "its batch norm if it has one).",
            messages={
                "default": "The network is affine: there is no non-linear function in its {layers} layers, so they are "
                "one linear layer.",
                "projection": "The network is affine: there is no non-linear function in its {layers} layers; together "
                "they are one linear projection.",
                "only_weak": "No activation function in {layers} layers: all that is not linear is {functions}.",
                "stretch": "{second} follows {first} with nothing non-linear between them; {count} pairs of {layers} "
                "layers are like this.",
            },
        ),
        "zh": Page(
            title="层与层之间没有非线性",
            finds="整个网络没有激活函数，或相邻层之间没有任何非线性函数。",
            matters="连续的线性层等价于一个线性层：开销更大，能力不增。没有激活函数的网络无论多深都只是逻辑回归。",
            measured="追踪第一层与最后一层之间的每次函数调用，包括手写 forward 中的调用。若没有非线性函数，则在评估模"
            "式下对两个批次及其均值计算最后一层之前的特征：若均值的特征等于特征的均值（误差小于最大差别的 0.0001），网"
            "络即为仿射。若只有最大池化或归一化，三层起给出警告。“一段”指两个完整的层（非深度卷积、中间不是瓶颈）之间"
            "只有线性函数：达到十分之一的层时警告。",
            false_alarms="有意的线性网络：线性自编码器和低秩分解层（其宽度小于两端，可以区分），以及对线性网络的研究。"
            "只有一层的模型不作判断。",
            fix="除最后一层外，在每个卷积层和线性层之后（若有批归一化则在其后）加入激活函数，例如 nn.ReLU()。",
            messages={
                "default": "网络是仿射的：{layers} 层中没有非线性函数，它们等价于一个线性层。",
                "projection": "网络是仿射的：{layers} 层中没有非线性函数，合起来是一个线性投影。",
                "only_weak": "{layers} 层中没有激活函数：非线性的只有 {functions}。",
                "stretch": "{second} 紧接 {first}，两者之间没有非线性；{layers} 层中有 {count} 对如此。",
            },
        ),
    },
)
