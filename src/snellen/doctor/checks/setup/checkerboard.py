"""checkerboard (M30)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.network.functions import Kind
from snellen.doctor.evidence.network.trace import NetworkTrace, Operation
from snellen.doctor.finding import Finding, Level, Place

__all__ = ["CHECK", "overlaps"]

CLOSE = 1  # layers behind a transposed convolution that can smooth its pattern; with more it is only told


def judge(trace: NetworkTrace) -> Iterator[Finding]:
    """Yield a finding for transposed convolutions that reach some pixels more often than others."""
    uneven = {}
    for each in trace.layers:
        if each.kind is Kind.CONV_TRANSPOSE:
            counts = [overlaps(*axis) for axis in _axes(each)]
            if any(min(count) != max(count) for count in counts):
                uneven[each.index] = max(counts, key=lambda count: max(count) - min(count))
    if not uneven:
        return
    has_gaps = any(min(count) == 0 for count in uneven.values())
    behind = {index: _layers_behind(trace, index) for index in uneven}
    worst = min(uneven, key=lambda index: (min(uneven[index]), behind[index]))
    is_close = min(behind.values()) <= CLOSE
    layer = trace.operations[worst]
    yield Finding(
        level=Level.WARNING if is_close or has_gaps else Level.INFO,
        message="gaps" if has_gaps else "default",
        numbers={"count": len(uneven), "first": layer.name, "least": min(uneven[worst]), "most": max(uneven[worst]),
                 "kernel": layer.weight_shape[2], "stride": _axes(layer)[0][1]},
        measured=float(max(uneven[worst]) - min(uneven[worst])),
        places=tuple(
            Place(kind="layer", name=trace.operations[index].name, note=" ".join(map(str, count)))
            for index, count in list(uneven.items())[:50]
        ),
        num_places=len(uneven),
    )  # fmt: skip


def overlaps(kernel: int, stride: int, dilation: int = 1) -> tuple[int, ...]:
    """Return how many taps of the kernel reach a pixel, for each of the places that repeat along an axis.

    Source:
        Odena et al. 2016, https://distill.pub/2016/deconv-checkerboard.
    """
    places = [tap * dilation % stride for tap in range(kernel)]
    return tuple(places.count(place) for place in range(stride))


def _axes(layer: Operation) -> list[tuple[int, int, int]]:
    """Return kernel, stride and dilation of each axis."""
    kernels = layer.weight_shape[2:]
    return [
        (kernel, _along(layer.settings.get("stride", 1), axis), _along(layer.settings.get("dilation", 1), axis))
        for axis, kernel in enumerate(kernels)
    ]


def _along(value: int | tuple[int, ...], axis: int) -> int:
    return value if isinstance(value, int) else value[axis % len(value)]


def _layers_behind(trace: NetworkTrace, index: int) -> int:
    """Return the least number of layers between an operation and a last layer, that one included."""
    counts = {index: 0}
    for each in trace.operations[index + 1 :]:
        before = [counts[place] for place in each.inputs if place in counts]
        if before:
            counts[each.index] = min(before) + each.has_weights
    return min((counts[each.index] for each in trace.last_layers if each.index in counts), default=0)


CHECK = Check(
    code="M30",
    name="checkerboard",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-105",),
    source="Odena et al. 2016, https://distill.pub/2016/deconv-checkerboard",
    pages={
        "en": Page(
            title="a transposed convolution that draws a checkerboard",
            finds="Transposed convolutions whose kernel is no multiple of their stride.",
            matters="Some pixels of the result are then written by more taps of the kernel than their neighbours, so "
            "the map has a pattern with the period of the stride, which later layers have to learn away.",
            measured="The taps that reach each pixel are counted along both axes. Uneven counts are a warning if at "
            "most one layer follows, or if some pixels are reached by none; otherwise a note.",
            false_alarms="Deep decoders learn most of the pattern away (ENet and ERFNet have kernels of 3 with stride "
            "2).",
            fix="A kernel that is a multiple of the stride (4 with stride 2, or 2 with 2); or nn.Upsample and a 3×3 "
            "convolution.",
            messages={
                "default": "{first} has a kernel of {kernel} and a stride of {stride}: neighbouring pixels are reached "
                "by {least} and by {most} taps along an axis ({count} such layers).",
                "gaps": "{first} has a kernel of {kernel} and a stride of {stride}: some pixels are reached by none of "
                "its taps and hold nothing but the bias ({count} such layers).",
            },
        ),
        "zh": Page(
            title="产生棋盘格的转置卷积",
            finds="卷积核不是步长整数倍的转置卷积。",
            matters="结果中某些像素被卷积核更多的元素写入，特征图因此带有以步长为周期的花纹，后面的层必须学会把它抹"
            "去。",
            measured="沿两个轴统计到达每个像素的卷积核元素数。数目不均时：若其后最多只有一层，或有像素完全没有被覆盖，"
            "则警告；否则提示。",
            false_alarms="较深的解码器能学会抹去大部分花纹（ENet 和 ERFNet 使用核 3、步长 2）。",
            fix="让卷积核为步长的整数倍（步长 2 用核 4 或 2）；或用 nn.Upsample 加 3×3 卷积。",
            messages={
                "default": "{first} 的核为 {kernel}、步长为 {stride}：相邻像素沿一个轴分别被 {least} 和 {most} 个元素"
                "覆盖（共 {count} 层）。",
                "gaps": "{first} 的核为 {kernel}、步长为 {stride}：某些像素没有被任何元素覆盖，只有偏置（共 {count} "
                "层）。",
            },
        ),
    },
)
