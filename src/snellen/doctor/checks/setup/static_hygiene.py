"""static-hygiene (M21)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.network.functions import Kind
from snellen.doctor.evidence.network.trace import NetworkTrace, Operation
from snellen.doctor.finding import Finding, Level, Place

__all__ = ["CHECK"]

_MOST_PLACES = 50


def judge(trace: NetworkTrace) -> Iterator[Finding]:
    """Yield notes on habits that cost a little and spoil nothing."""
    found = {
        "bias": [each for each in trace.layers if _has_bias(each) and _is_before(trace, each, Kind.BATCH_NORM)],
        "even": [each for each in trace.layers if _is_even(each)],
        "dropout": [
            each for each in trace.forward if each.kind is Kind.DROPOUT and _drops(each) and _next_norm(trace, each)
        ],
        "dangling": [] if trace.lost else list(trace.dangling),
    }
    for message, operations in found.items():
        if operations:
            yield Finding(
                level=Level.INFO,
                message=message,
                numbers={"count": len(operations), "first": operations[0].name},
                measured=float(len(operations)),
                places=tuple(Place(kind="layer", name=each.name) for each in operations[:_MOST_PLACES]),
                num_places=len(operations),
            )


def _has_bias(layer: Operation) -> bool:
    weights = 1
    for side in layer.weight_shape:
        weights *= side
    return layer.kind in (Kind.CONV, Kind.LINEAR) and bool(layer.weight_shape) and layer.num_weights > weights


def _is_before(trace: NetworkTrace, operation: Operation, kind: Kind) -> bool:
    """Return whether the only thing that reads the result is of a kind."""
    users = trace.users[operation.index]
    return len(users) == 1 and trace.operations[users[0]].kind is kind


def _next_norm(trace: NetworkTrace, dropout: Operation) -> bool:
    """Return whether a batch norm follows, at once or behind one layer."""
    if _is_before(trace, dropout, Kind.BATCH_NORM):
        return True
    users = [trace.operations[index] for index in trace.users[dropout.index]]
    return len(users) == 1 and users[0].has_weights and _is_before(trace, users[0], Kind.BATCH_NORM)


def _drops(dropout: Operation) -> bool:
    return float(dropout.settings.get("p", 0.5)) > 0 and dropout.settings.get("training") is not False


def _is_even(layer: Operation) -> bool:
    """Return whether a convolution of stride 1 has an even kernel, so that it shifts its map by half a pixel."""
    if layer.kind is not Kind.CONV:
        return False
    stride = layer.settings.get("stride", 1)
    strides = stride if isinstance(stride, tuple | list) else [stride] * len(layer.weight_shape[2:])
    kernels = layer.weight_shape[2:]
    cells = layer.given_shape[2:]
    return any(
        kernel % 2 == 0 and step == 1 and side > kernel
        for kernel, step, side in zip(kernels, strides * len(kernels), cells, strict=False)
    )


CHECK = Check(
    code="M21",
    name="static-hygiene",
    stage=Stage.SETUP,
    judge=judge,
    source="torch-audit TA400, TA404, TA500; Li et al. 2018, https://arxiv.org/abs/1801.05134 (dropout before batch "
    "norm)",
    pages={
        "en": Page(
            title="layers that do nothing, or not quite what is meant",
            finds="Biases before a batch norm, convolutions of stride 1 with an even kernel, dropout before a batch "
            "norm, and layers that run but do not reach the output.",
            matters="A bias before a batch norm is subtracted again: it costs memory and does no harm. An even kernel "
            "shifts the map by half a pixel at each layer. Dropout changes the variance in training and not in "
            "evaluation, so the statistics of the batch norm behind it do not fit. A layer whose result nobody reads "
            "costs time.",
            measured="By the order of the function calls in one pass. Never more than a note.",
            false_alarms="Wide ResNets have dropout before batch norms by design and work. Heads that only run for "
            "another task are left over on purpose.",
            fix="bias=False before a batch norm; odd kernels; dropout only behind the last norm; remove what is not "
            "read.",
            messages={
                "bias": "{count} layers have a bias before a batch norm, such as {first}: harmless, and without "
                "effect.",
                "even": "{count} convolutions of stride 1 have an even kernel, such as {first}: each shifts its map by "
                "half a pixel.",
                "dropout": "{count} dropouts come before a batch norm, such as {first}: in evaluation its statistics "
                "do not fit.",
                "dangling": "{count} layers run, but the output does not depend on them, such as {first}.",
            },
        ),
        "zh": Page(
            title="不起作用或与本意略有出入的层",
            finds="批归一化之前的偏置、步长为 1 的偶数核卷积、批归一化之前的 dropout，以及运行了但不影响输出的层。",
            matters="批归一化之前的偏置会被减掉：占用内存但无害。偶数核每层使特征图偏移半个像素。dropout 使训练时的方"
            "差与评估时不同，其后批归一化的统计量因此不符。结果无人读取的层浪费时间。",
            measured="根据一次计算中函数调用的顺序判断。最多只给提示。",
            false_alarms="Wide ResNet 有意在批归一化之前使用 dropout，效果良好。只为另一任务运行的头是有意保留的。",
            fix="批归一化之前设 bias=False；使用奇数核；dropout 只放在最后一个归一化之后；删除无人读取的层。",
            messages={
                "bias": "{count} 层在批归一化之前带有偏置，例如 {first}：无害，也没有作用。",
                "even": "{count} 个步长为 1 的卷积使用偶数核，例如 {first}：每个使特征图偏移半个像素。",
                "dropout": "{count} 个 dropout 位于批归一化之前，例如 {first}：评估时其统计量不符。",
                "dangling": "{count} 层运行了但输出不依赖它们，例如 {first}。",
            },
        ),
    },
)
