"""numerics (M13)."""

from collections.abc import Iterator
from math import isfinite

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.probes.numerics import Numerics, relative
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level, Limit, Number, Treatment

__all__ = ["CHECK"]

HALF = 5e-2  # relative, between a half format and float32; healthy networks up to 0.01 in bfloat16
SINGLE = 1e-3  # relative, between float32 and double, or between devices; healthy networks are at 1e-5

_SOURCE = "users' reports of NaN under AMP and of other numbers on other devices; calibrated on healthy networks"


def judge(found: Numerics, setup: Setup | None) -> Iterator[Finding]:
    """Yield findings where arithmetic alone changes the loss."""
    if not isfinite(found.loss):
        exact = found.exact is not None and isfinite(found.exact)
        yield Finding(level=Level.ERROR, message="overflow" if exact else "not_finite",
                      numbers={"exact": f"{found.exact:.4g}" if exact else "–"})  # fmt: skip
        return
    yield from _compared(found.loss, found.exact, "exact", SINGLE, Level.WARNING, None)
    yield from _compared(found.loss, found.on_cpu, "device", SINGLE, Level.ERROR, None, device=found.device)
    planned = None if setup is None else setup.precision
    for name, value in (("bf16", found.bf16), ("fp16", found.fp16)):
        level = Level.ERROR if planned == name else Level.INFO
        if value is not None and not isfinite(value):
            yield Finding(level=level, message="half_not_finite", numbers={"format": name},
                          treatment=Treatment(settings={"precision": "fp32"}))  # fmt: skip
        elif planned == name:
            treatment = Treatment(settings={"precision": "fp32"})
            yield from _compared(found.loss, value, "half", HALF, Level.WARNING, treatment, format=name)


def _compared(
    loss: float,
    other: float | None,
    message: str,
    limit: float,
    level: Level,
    treatment: Treatment | None,
    **names: str,
) -> Iterator[Finding]:
    if other is None:
        return
    apart = relative(loss, other)
    if apart > limit:
        numbers: dict[str, Number] = {"loss": f"{loss:.6g}", "other": f"{other:.6g}", **names}
        yield Finding(level=level, message=message, numbers=numbers, measured=apart, treatment=treatment,
                      limit=Limit(value=limit, unit="relative", source=_SOURCE))  # fmt: skip


CHECK = Check(
    code="M13",
    name="numerics",
    stage=Stage.SETUP,
    judge=judge,
    caused_by=("M1", "M4", "M3", "M10", "M26"),
    source="ultralytics/ultralytics#1655, #3962 and others (NaN under AMP, wrong numbers on MPS); Micikevicius et al. "
    "2018, https://arxiv.org/abs/1710.03740",
    pages={
        "en": Page(
            title="arithmetic that changes the loss",
            finds="A loss that is not finite, or that depends on the number format or on the device.",
            matters="Overflow in half precision turns into NaN after some steps; a loss that rounding changes, such as "
            "a logarithm of a softmax, or a variance by the difference of squares, trains by noise; a device that "
            "computes something else gives results that nobody can repeat.",
            measured="The loss of four samples in evaluation mode with the same weights: in float32, in double "
            "precision, under autocast to bfloat16 (and float16 on an accelerator), and on the processor where the "
            "model lives elsewhere. Errors: not finite; not finite in the planned format; more than 0.001 between "
            "devices. Warnings: more than 0.001 between float32 and double, more than 0.05 between float32 and the "
            "planned half format. What this machine cannot compute is left out.",
            false_alarms="Networks whose output is chosen by ties; those that draw random numbers in evaluation mode.",
            fix="Use the losses that take logits; normalise inputs; compute sums, variances and the loss in float32 "
            "(torch.autocast(..., enabled=False)); take bfloat16 instead of float16; train in fp32.",
            messages={
                "not_finite": "The loss of the first batch is NaN or infinite before any step.",
                "overflow": "The loss of the first batch is NaN or infinite in float32 and {exact} in double "
                "precision: something overflows.",
                "exact": "The loss is {loss} in float32 and {other} in double precision: rounding decides.",
                "device": "The loss is {loss} on {device} and {other} on the processor, with the same weights and "
                "batch.",
                "half": "The loss is {loss} in float32 and {other} in {format}.",
                "half_not_finite": "The loss is NaN or infinite in {format}, and finite in float32.",
            },
        ),
        "zh": Page(
            title="数值运算改变了损失",
            finds="非有限的损失，或取决于数值格式或设备的损失。",
            matters="半精度的溢出在若干步之后变成 NaN；受舍入影响的损失（如对 softmax 取对数、用平方差求方差）靠噪声训"
            "练；计算结果不同的设备给出无法重复的结果。",
            measured="同样四个样本、同样权重在评估模式下的损失：float32、双精度、自动混合精度 bfloat16（加速器上还有 "
            "float16），以及模型在其他设备上时处理器的结果。错误：非有限；在计划的格式中非有限；设备之间相差超过 "
            "0.001。警告：float32 与双精度相差超过 0.001，float32 与计划的半精度格式相差超过 0.05。本机无法计算的部分"
            "不计。",
            false_alarms="输出由并列值的取舍决定的网络；在评估模式下抽取随机数的网络。",
            fix="使用以 logits 为输入的损失；对输入做归一化；用 float32 计算求和、方差和损失（torch.autocast(..., "
            "enabled=False)）；用 bfloat16 代替 float16；用 fp32 训练。",
            messages={
                "not_finite": "在任何一步之前，第一批次的损失就是 NaN 或无穷大。",
                "overflow": "第一批次的损失在 float32 中为 NaN 或无穷大，在双精度中为 {exact}：某处溢出。",
                "exact": "损失在 float32 中为 {loss}，在双精度中为 {other}：结果由舍入决定。",
                "device": "同样的权重和批次，损失在 {device} 上为 {loss}，在处理器上为 {other}。",
                "half": "损失在 float32 中为 {loss}，在 {format} 中为 {other}。",
                "half_not_finite": "损失在 {format} 中为 NaN 或无穷大，在 float32 中是有限的。",
            },
        ),
    },
)
