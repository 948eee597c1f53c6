"""saturating-activations-in-depth (M41)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.network.trace import SATURATING, NetworkTrace, Operation
from snellen.doctor.finding import Finding, Level, Limit, Number, Place

__all__ = ["CHECK"]

SATURATED = 0.6  # share of units with a slope below 0.01; healthy networks have at most 0.02 before the first step
DEEP = 3  # hidden layers of sigmoids or the like
FADED = 0.005  # norm of the gradient at the first layer over that before the last
TOLD = 2  # hidden layers of sigmoids that are worth knowing

_NOT_CENTRED = ("sigmoid", "hardsigmoid", "expit")
_GRID = "of small sigmoid networks trained on digits, those below learned slowly or not at all"


def judge(trace: NetworkTrace) -> Iterator[Finding]:
    """Yield a finding if the signal has to pass many sigmoids, or if these are saturated at the start."""
    hidden = [each for each in _unavoidable(trace) if each.saturated is not None]
    if not hidden:
        return
    worst = max(hidden, key=lambda each: each.saturated or 0.0)
    sigmoids = [each for each in hidden if each.function in _NOT_CENTRED]
    gradient = min((each.gradient for each in trace.first_layers if each.gradient is not None), default=None)
    numbers: dict[str, Number] = {
        "count": len(hidden), "sigmoids": len(sigmoids), "function": worst.function, "layer": worst.name,
        "saturated": round(100 * (worst.saturated or 0.0)), "gradient": f"{gradient or 0.0:.2g}",
    }  # fmt: skip
    if (worst.saturated or 0.0) > SATURATED:
        yield Finding(
            level=Level.WARNING,
            message="saturated",
            numbers=numbers,
            measured=worst.saturated,
            limit=Limit(value=SATURATED, unit="share", source="58 healthy networks have at most 0.02"),
            places=_places(hidden),
            num_places=len(hidden),
        )
    elif len(sigmoids) >= TOLD:
        is_slow = len(sigmoids) >= DEEP and gradient is not None and gradient < FADED
        yield Finding(
            level=Level.WARNING if is_slow else Level.INFO,
            message="slow" if is_slow else "default",
            numbers=numbers,
            measured=gradient if is_slow else float(len(sigmoids)),
            limit=Limit(value=FADED, source=_GRID) if is_slow else Limit(value=TOLD, unit="layers", source=_GRID),
            places=_places(sigmoids),
            num_places=len(sigmoids),
        )


def _unavoidable(trace: NetworkTrace) -> list[Operation]:
    """Return the saturating functions on the shortest way to the last layer that is nearest to the images."""
    if not trace.last_layers:
        return []
    nearest = min(trace.last_layers, key=lambda each: trace.depths[each.index])
    return [each for each in trace.way_to(nearest) if each.function in SATURATING and trace.depths[each.index] > 0]


def _places(operations: list[Operation]) -> tuple[Place, ...]:
    ranked = sorted(operations, key=lambda each: -(each.saturated or 0.0))
    return tuple(
        Place(kind="layer", name=each.name, note=f"{each.saturated:.0%}", score=each.saturated or 0.0)
        for each in ranked[:50]
    )


CHECK = Check(
    code="M41",
    name="saturating-activations-in-depth",
    stage=Stage.SETUP,
    judge=judge,
    caused_by=("M10", "M3"),
    covers=("DX-059", "DX-062", "DX-066", "DX-070"),
    source="Glorot and Bengio 2010, section 3; LeCun et al. 1998, Efficient BackProp, section 4.4; own calibration",
    pages={
        "en": Page(
            title="sigmoids on every way through the network",
            finds="Hidden layers whose activation is a sigmoid, a tanh or the like, on the shortest way from the "
            "images to the output, and units of these that are saturated before training begins.",
            matters="The slope of a sigmoid is at most a quarter and that of a saturated unit nearly zero. Gradients "
            "are multiplied by it at each layer, so the first layers hardly move.",
            measured="The saturating functions on the way with the fewest layers are counted: gates (squeeze and "
            "excitation, swish, attention, LSTM) and the last function are not on it. A warning: more than 60 % of the "
            "units of one have a slope below 0.01 on the batch; or there are 3 sigmoids and of a random gradient "
            "before the last layer less than 0.005 reaches the first. Two sigmoids are told.",
            false_alarms="Small classical networks (LeNet with sigmoids) learn, slowly. Networks whose sigmoids squash "
            "on purpose, such as binary codes.",
            fix="Use ReLU, GELU or SiLU in hidden layers and keep the sigmoid for the output or gates; or put a batch "
            "norm before each sigmoid, and draw the weights with xavier_uniform_.",
            messages={
                "default": "{sigmoids} hidden layers end in a sigmoid; the slope of each is at most a quarter.",
                "slow": "{sigmoids} hidden layers end in a sigmoid: of a gradient before the last layer {gradient} "
                "reaches the first.",
                "saturated": "{saturated} % of the units of {layer} are saturated before the first step ({function} "
                "with a slope below 0.01).",
            },
        ),
        "zh": Page(
            title="信号必经多个 sigmoid",
            finds="从图像到输出的最短路径上，隐藏层以 sigmoid、tanh 等为激活函数，以及其中在训练开始前就已饱和的单元。",
            matters="sigmoid 的斜率最多为四分之一，饱和单元的斜率几乎为零。梯度每过一层都要乘以它，因此前面的层几乎不"
            "动。",
            measured="统计层数最少的路径上的饱和型函数：门控（SE、swish、注意力、LSTM）和最后的函数不在其中。警告条"
            "件：某层超过 60% 的单元在该批次上斜率低于 0.01；或有 3 个 sigmoid，且最后一层之前的随机梯度只有不到 0.005 "
            "到达第一层。有两个 sigmoid 时给出提示。",
            false_alarms="小型经典网络（使用 sigmoid 的 LeNet）仍能学习，只是较慢。有意压缩取值的网络，例如二值编码。",
            fix="隐藏层使用 ReLU、GELU 或 SiLU，sigmoid 只用于输出或门控；或在每个 sigmoid 之前加批归一化，"
            "并用 xavier_uniform_ 初始化权重。",
            messages={
                "default": "{sigmoids} 个隐藏层以 sigmoid 结尾；每个的斜率最多为四分之一。",
                "slow": "{sigmoids} 个隐藏层以 sigmoid 结尾：最后一层之前的梯度只有 {gradient} 到达第一层。",
                "saturated": "{layer} 有 {saturated}% 的单元在第一步之前就已饱和（{function} 的斜率低于 0.01）。",
            },
        ),
    },
)
