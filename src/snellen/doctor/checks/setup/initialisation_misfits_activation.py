"""initialisation-misfits-activation (M26)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.network.functions import Kind
from snellen.doctor.evidence.network.trace import NetworkTrace, Operation
from snellen.doctor.finding import Finding, Level, Limit, Number, Place
from snellen.doctor.words import Text

__all__ = ["CHECK"]

FADED = 1e-3  # what is left of signal or gradient; AlexNet keeps 0.016 and 0.007, and is the least of 58
GROWN = 1e2  # times; the most of 58 healthy networks is 8

_CALIBRATION = (
    "58 networks of torchvision, timm and smp keep 0.016 to 8 of the signal and 0.007 of the gradient; of small "
    "networks trained on digits those below 0.001 did not learn with SGD"
)


def judge(trace: NetworkTrace) -> Iterator[Finding]:
    """Yield a finding if what tells images apart, or the gradient, dies or bursts on its way through the layers."""
    if len(trace.layers) < 2:
        return
    signal, growth = _signal(trace)
    gradient = min((each.gradient for each in trace.first_layers if each.gradient is not None), default=None)
    if signal is None and gradient is None:
        raise NotCheckable(Text(en="no layer could be measured", zh="没有可测量的层"))
    if growth is not None and growth > GROWN:
        yield _finding(trace, "grows", growth, GROWN)
    elif signal is not None and signal < FADED:
        yield _finding(trace, "fades", signal, FADED)
    elif gradient is not None and gradient < FADED:
        yield _finding(trace, "gradient_fades", gradient, FADED)


def _signal(trace: NetworkTrace) -> tuple[float | None, float | None]:
    """Return the spread of what the last layers read over that of what the first give, and of what these read."""
    if trace.last_layers == trace.first_layers:
        return None, None
    ends = [each.given_spread for each in trace.last_layers if each.given_spread is not None]
    results = [each.spread for each in trace.first_layers if each.spread]
    images = [each.given_spread for each in trace.first_layers if each.given_spread]
    return (
        max(ends) / max(results) if ends and results else None,
        max(ends) / max(images) if ends and images else None,
    )


def _finding(trace: NetworkTrace, message: str, measured: float, limit: float) -> Finding:
    way = trace.way_to(max(trace.last_layers, key=lambda each: each.given_spread or 0.0))
    layers = [each for each in way if each.has_weights]
    activations = [each.function for each in way if each.kind is Kind.ACTIVATION and trace.depths[each.index] > 0]
    usual = max(set(activations), key=activations.count) if activations else "linear"
    numbers: dict[str, Number] = {
        "depth": len(layers), "ratio": f"{measured:.2g}", "activation": usual,
        "first": layers[0].name, "last": layers[-1].name,
    }  # fmt: skip
    return Finding(
        level=Level.WARNING,
        message=message,
        numbers=numbers,
        measured=measured,
        limit=Limit(value=limit, source=_CALIBRATION),
        places=tuple(Place(kind="layer", name=each.name, note=_note(each)) for each in layers[:50]),
        num_places=len(layers),
    )


def _note(layer: Operation) -> str:
    gradient = "" if layer.gradient is None else f", ∂ {layer.gradient:.1e}"
    return f"σ {layer.spread or 0.0:.1e}{gradient}"


CHECK = Check(
    code="M26",
    name="initialisation-misfits-activation",
    stage=Stage.SETUP,
    judge=judge,
    caused_by=("M10", "M17", "M41"),
    covers=("DX-059", "DX-060", "DX-065", "DX-066", "DX-067"),
    source="Glorot and Bengio 2010; He et al. 2015, https://arxiv.org/abs/1502.01852, section 2.2; own calibration",
    pages={
        "en": Page(
            title="signal or gradient dies on its way through the layers",
            finds="Weights that are too small or too large for the activation and the depth, so that what tells one "
            "image from another fades or grows from layer to layer before training begins.",
            matters="Each layer multiplies the signal by a factor; over many layers 0.4 becomes nothing and 2 becomes "
            "huge. Where the features of all images are the same, or no gradient reaches the first layers, training "
            "does not begin; where they are huge, the loss is NaN or jumps.",
            measured="One pass in training mode. Signal: spread between samples of what the last layer reads over that "
            "of what the first layer gives. Gradient: random numbers are sent back from before the last layer, and the "
            "norm that arrives behind the first layer is divided by the norm sent. Below 0.001 is a warning, and so "
            "is a signal above 100 times that of the images. Of several last layers the one that sees most counts.",
            false_alarms="Adam rescues some deep networks that SGD cannot start. Last layers that start near zero do "
            "not count.",
            fix="Draw the weights with torch.nn.init.kaiming_normal_ for ReLU, GELU and SiLU, with xavier_uniform_ for "
            "tanh and sigmoid, by 1 / sqrt(fan-in) for SELU; or put a norm behind each layer, or shortcuts around "
            "pairs of layers.",
            messages={
                "fades": "Over {depth} layers the signal fades to {ratio} of what it was: {last} sees nearly the same "
                "for all images (activation: {activation}).",
                "grows": "Over {depth} layers the signal grows to {ratio} times that of the images at {last} "
                "(activation: {activation}).",
                "gradient_fades": "Of a gradient before {last}, {ratio} arrives at {first}, {depth} layers below "
                "(activation: {activation}).",
            },
        ),
        "zh": Page(
            title="信号或梯度在层间消失或爆炸",
            finds="权重相对于激活函数和深度过小或过大，使区分图像的信号在训练开始前就逐层衰减或增长。",
            matters="每层都把信号乘以一个系数；层数多时 0.4 会变成零，2 会变得巨大。若所有图像的特征都相同，或没有梯度"
            "到达前面的层，训练就无法开始；若特征巨大，损失会变成 NaN 或剧烈跳动。",
            measured="训练模式下做一次计算。信号：最后一层输入在样本间的离散程度与第一层输出之比。梯度：从最后一层之前"
            "送回随机数，以第一层之后到达的范数除以送出的范数。低于 0.001，或信号高于图像的 100 倍，给出警告。"
            "有多个最后一层时，取看到信号最多的一个。",
            false_alarms="Adam 能救活一些 SGD 无法启动的深层网络。接近零初始化的最后一层不计入。",
            fix="ReLU、GELU、SiLU 用 torch.nn.init.kaiming_normal_ 初始化权重，tanh 和 sigmoid 用 xavier_uniform_，"
            "SELU 用 1 / sqrt(fan-in)；或在每层之后加归一化，或每两层加一条捷径。",
            messages={
                "fades": "经过 {depth} 层，信号衰减到原来的 {ratio}：{last} 看到的所有图像几乎一样（激活函数："
                "{activation}）。",
                "grows": "经过 {depth} 层，{last} 处的信号增长到图像的 {ratio} 倍（激活函数：{activation}）。",
                "gradient_fades": "{last} 之前的梯度经过 {depth} 层后，只有 {ratio} 到达 {first}（激活函数："
                "{activation}）。",
            },
        ),
    },
)
