"""export-differs (R8)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.predictions import need, share
from snellen.doctor.evidence.results.parity import Parity
from snellen.doctor.finding import Finding, Level, Limit, Place

__all__ = ["CHECK"]

NEARLY = 1e-3  # of the outputs' size, in float32
FAR = 0.05  # beyond what half precision does
AGREEMENT = 0.999  # of the first choices


def judge(parity: Parity) -> Iterator[Finding]:
    """Yield a finding if two forms of a model give different numbers."""
    need(parity.num_batches, 1, "batches", "个批次")
    if parity.shapes:
        place, one, other = parity.shapes[0]
        yield Finding(
            level=Level.ERROR,
            message="shapes",
            numbers={"place": place, "first": one, "second": other, "count": len(parity.shapes)},
            places=tuple(
                Place(kind="layer", name=name, note=f"{left} ≠ {right}") for name, left, right in parity.shapes
            ),
            num_places=len(parity.shapes),
        )
    worst = max(parity.differences, key=lambda name: parity.differences[name], default="")
    largest = parity.differences.get(worst, 0.0)
    if largest > NEARLY:
        changes = parity.agreement is not None and parity.agreement < AGREEMENT
        ranked = sorted(parity.differences.items(), key=lambda row: -row[1])
        yield Finding(
            level=Level.ERROR if largest > FAR or changes else Level.WARNING,
            message="answers" if changes else "default",
            numbers={
                "place": worst,
                "largest": f"{largest:.2g}",
                "agreement": "—" if parity.agreement is None else share(parity.agreement),
                "batches": parity.num_batches,
            },
            measured=largest,
            limit=Limit(value=NEARLY, unit="of the output", source="float32 on two backends; checks of ONNX exporters"),
            places=tuple(Place(kind="layer", name=name, note=f"{gap:.2g}", score=gap) for name, gap in ranked[:50]),
            num_places=len(ranked),
        )


CHECK = Check(
    code="R8",
    name="export-differs",
    stage=Stage.RESULTS,
    judge=judge,
    covers=("DX-055",),
    source="PyTorch, torch.onnx.verification; modern-yolonas#7 (3.4 mAP lost to another pre-processing)",
    pages={
        "en": Page(
            title="an export that gives other answers",
            finds="Two forms of one model (checkpoint and export, two devices, two precisions) whose outputs differ "
            "on the same images.",
            matters="What was measured is not what is used. Another normalisation, another order of colours or norms "
            "in training mode cost points and raise no error.",
            measured="Both get the same batches. Largest difference of each output tensor over its size (root mean "
            "square): a warning above 0.001, an error above 0.05 or where less than 99.9 % of the first choices "
            "agree. Different shapes are an error. In Python: snellen.check_parity(model, other, batches).",
            false_alarms="Half precision and quantisation differ by 0.01 and more on purpose; the agreement of the "
            "answers then says whether it matters. Boxes that were sorted by nearly equal scores may change places.",
            fix="Put the model in evaluation mode before it is exported, give both the same pixels in the same order "
            "of colours, and keep the normalisation inside the model. Compare layer by layer from the input on.",
            messages={
                "default": "{place} differs by {largest} of its size over {batches} batches; the answers agree ("
                "{agreement}).",
                "answers": "{place} differs by {largest} of its size over {batches} batches, and only {agreement} of "
                "the answers agree.",
                "shapes": "{place} has shape {first} in one form and {second} in the other ({count} such outputs).",
            },
        ),
        "zh": Page(
            title="导出模型给出不同的答案",
            finds="同一模型的两种形式（检查点与导出、两种设备、两种精度）在相同图像上输出不同。",
            matters="测量的不是所使用的。不同的归一化、颜色顺序，或处于训练模式的归一化层会损失精度而不报错。",
            measured="两者得到相同的批次。每个输出张量的最大差异与其大小（均方根）之比：超过 0.001 警告，超过 0.05 或"
            "首选一致率低于 99.9% 为错误。形状不同为错误。Python 中：snellen.check_parity(model, other, batches)。",
            false_alarms="半精度和量化有意相差 0.01 以上；这时答案的一致率说明是否要紧。分数几乎相等的框可能交换位置。",
            fix="导出前将模型置于评估模式，给两者相同的像素和颜色顺序，并把归一化放在模型内部。从输入开始逐层比较。",
            messages={
                "default": "{batches} 个批次上 {place} 相差其大小的 {largest}；答案一致（{agreement}）。",
                "answers": "{batches} 个批次上 {place} 相差其大小的 {largest}，且只有 {agreement} 的答案一致。",
                "shapes": "{place} 在一种形式中的形状为 {first}，另一种为 {second}（共 {count} 个）。",
            },
        ),
    },
)
