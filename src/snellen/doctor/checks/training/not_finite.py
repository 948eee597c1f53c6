"""not-finite (T1)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.finding import Finding, Level, Place
from snellen.doctor.watching.rows import Happening, HappeningKind
from snellen.doctor.watching.showing import mishap_curves
from snellen.doctor.watching.trace import Trace

__all__ = ["CHECK"]

MOST_PLACES = 50


def judge(trace: Trace) -> Iterator[Finding]:
    """Yield a finding for the first value that was not finite."""
    if not trace.happenings:
        return
    first = trace.happenings[0]
    yield Finding(
        level=Level.ERROR,
        message=_message(first),
        numbers={"step": first.step, "origin": first.origin, "largest": first.note},
        measured=float(len(trace.happenings)),
        places=tuple(
            Place(kind="parameter" if row.kind != HappeningKind.LOSS else "layer", name=row.origin, note=str(row.step))
            for row in trace.happenings[:MOST_PLACES]
        ),
        num_places=len(trace.happenings),
    )


def _message(first: Happening) -> str:
    if first.kind == HappeningKind.GRADIENT:
        return "gradient"
    if first.kind == HappeningKind.WEIGHT:
        return "weight"
    if first.origin == "input":
        return "input"
    return "layer" if first.origin.endswith(")") else "loss"


CHECK = Check(
    code="T1",
    name="not-finite",
    stage=Stage.TRAINING,
    judge=judge,
    curves=mishap_curves,
    covers=("DX-060",),
    source="TheDeepChecker; detectron2 and MMDetection, which stop there; PyTorch, anomaly detection",
    pages={
        "en": Page(
            title="a loss, gradient or weight that is not finite",
            finds="The first step whose loss, gradient or weights hold NaN or infinity, and the operation that made "
            "them.",
            matters="One such value spreads through every weight within a step; the network is lost, and the run goes "
            "on as if nothing had happened.",
            measured="The loss of every step and the gradient of the first layer, through which all others have come. "
            "When one is not finite, the batch is sent through the network again, without a trace: the first layer "
            "that makes such a value of finite ones is named. If all layers are well, it is the loss itself; if the "
            "loss was well, the parameter nearest to the output whose gradient is not finite is named.",
            false_alarms="None; with a gradient scaler for half precision, steps that it skips are expected at the "
            "start, and are not counted because the optimizer does not step.",
            fix="Look at the operation that is named. Mend what can divide by zero or take the logarithm or root of "
            "zero there; else lower the learning rate, clip gradients, or add a warm-up.",
            messages={
                "input": "Step {step}: the images themselves hold values that are not finite.",
                "layer": "Step {step}: {origin} made values that are not finite of finite ones (up to {largest}).",
                "loss": "Step {step}: {origin} is not finite though the network's outputs are (up to {largest}).",
                "gradient": "Step {step}: the loss is finite and its gradient is not, from {origin} on.",
                "weight": "Step {step}: the weights of {origin} were no longer finite; the step before spoilt them.",
            },
            fixes={
                "input": "Look at the images of that batch, and at what scales them: a spread of zero, a logarithm.",
                "loss": "Use losses that take raw scores (cross_entropy, binary_cross_entropy_with_logits), and add a "
                "small number under logarithms, roots and in denominators.",
                "gradient": "Roots, norms and divisions have no gradient at zero: add a small number inside them. "
                "Otherwise clip gradients.",
                "weight": "Lower the learning rate, add a warm-up, or clip gradients; with Adam in half precision, "
                "raise eps.",
            },
        ),
        "zh": Page(
            title="损失、梯度或权重不是有限值",
            finds="找出第一个损失、梯度或权重出现 NaN 或无穷大的步，以及产生它的操作。",
            matters="这样的一个值会在一步之内传遍所有权重；网络就此报废，而训练照常进行。",
            measured="查看每一步的损失，以及第一层的梯度（其余梯度都经过它）。一旦不是有限值，就把该批次不留痕迹地再次送入"
            "网络：第一个由有限值产生非有限值的层被指出。如果各层正常，则是损失本身；如果损失正常，则指出离输出最近的、"
            "梯度不是有限值的参数。",
            false_alarms="没有；半精度的梯度缩放器在开始时跳过的步属正常，因优化器没有执行而不计。",
            fix="查看所指出的操作。修正其中可能除以零或对零取对数、开方之处；否则降低学习率、裁剪梯度或加预热。",
            messages={
                "input": "第 {step} 步：图像本身含有非有限值。",
                "layer": "第 {step} 步：{origin} 由有限值（最大 {largest}）产生了非有限值。",
                "loss": "第 {step} 步：网络输出有限（最大 {largest}），而 {origin} 不是有限值。",
                "gradient": "第 {step} 步：损失有限，而梯度从 {origin} 起不是有限值。",
                "weight": "第 {step} 步：{origin} 的权重已不是有限值；上一步破坏了它们。",
            },
            fixes={
                "input": "查看该批次的图像及其缩放方式：标准差为零、取对数。",
                "loss": "使用接受原始分数的损失（cross_entropy、binary_cross_entropy_with_logits），并在对数、开方和"
                "分母中加一个小数。",
                "gradient": "开方、范数和除法在零处没有梯度：在其中加一个小数。否则裁剪梯度。",
                "weight": "降低学习率、加预热或裁剪梯度；半精度下使用 Adam 时增大 eps。",
            },
        ),
    },
)
