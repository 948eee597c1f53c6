"""huge-first-dense-layer (M31)."""

from collections.abc import Iterator
from math import prod

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.network.functions import Kind
from snellen.doctor.evidence.network.trace import NetworkTrace, Operation
from snellen.doctor.finding import Finding, Level, Limit, Place

__all__ = ["CHECK"]

MOST_OF_ALL = 0.9  # of the parameters of the model; VGG-11 has 0.77, VGG-16 0.74, AlexNet 0.62
MANY = 10_000_000  # parameters
HALF = 0.5  # of the parameters
WORTH_TELLING = 500_000  # parameters


def judge(trace: NetworkTrace) -> Iterator[Finding]:
    """Yield a finding if the layer that reads a flattened map holds most of the parameters."""
    for layer in trace.layers:
        cells = _cells(trace, layer)
        share = layer.num_weights / max(1, trace.num_parameters)
        if cells < 2 or share <= HALF or layer.num_weights < WORTH_TELLING:
            continue
        is_huge = share >= MOST_OF_ALL and layer.num_weights >= MANY
        yield Finding(
            level=Level.WARNING if is_huge else Level.INFO,
            numbers={"layer": layer.name, "millions": round(layer.num_weights / 1e6, 1), "share": round(100 * share),
                     "inputs": layer.weight_shape[1], "cells": cells},
            measured=share,
            limit=Limit(value=MOST_OF_ALL if is_huge else HALF, unit="share", source="torchvision: VGG-11 has 0.77"),
            places=(Place(kind="layer", name=layer.name, note=f"{layer.weight_shape[1]} × {layer.weight_shape[0]}"),),
            num_places=1,
        )  # fmt: skip


def _cells(trace: NetworkTrace, layer: Operation) -> int:
    """Return how many cells of a map a linear layer reads at once; 0 if it reads no map of convolutions."""
    if layer.kind is not Kind.LINEAR or layer.function != "linear" or len(layer.given_shape) != 2:
        return 0
    before = [each for each in trace.way_to(layer)[:-1] if len(each.shape) == 4]
    if not before or not any(each.kind is Kind.CONV for each in before):
        return 0
    if any(each.has_weights for each in trace.way_to(layer)[:-1] if each.index > before[-1].index):
        return 0
    return prod(before[-1].shape[2:]) if prod(before[-1].shape[1:]) == layer.weight_shape[1] else 0


CHECK = Check(
    code="M31",
    name="huge-first-dense-layer",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-112",),
    source="Lin et al. 2014, Network in Network, section 3.2; torchvision's model sizes",
    pages={
        "en": Page(
            title="one dense layer holds most of the parameters",
            finds="A linear layer that reads a whole flattened map and has more parameters than all the rest.",
            matters="Every cell of the map has weights of its own, so what is learned at one place is not known at "
            "another, there is much to overfit with, and the size of the images is fixed.",
            measured="Parameters of a linear layer behind the flattening of a map of convolutions, over all "
            "parameters of the model: above 0.9 with ten million is a warning, above 0.5 with half a million is told.",
            false_alarms="AlexNet and VGG are built like this.",
            fix="nn.AdaptiveAvgPool2d(1) before the flattening; or more striding before it, or 1×1 convolutions.",
            messages={
                "default": "{layer} reads {inputs} numbers ({cells} cells) and holds {millions} million parameters, "
                "{share} % of the model.",
            },
        ),
        "zh": Page(
            title="一个全连接层占了大部分参数",
            finds="读取整张展平特征图、参数比其余部分总和还多的线性层。",
            matters="特征图的每个格子都有自己的权重，因此在一处学到的在另一处不可用，容易过拟合，而且图像尺寸被固定。",
            measured="卷积特征图展平之后的线性层参数数与模型全部参数数之比：超过 0.9 且达一千万时警告，超过 0.5 且达一"
            "百万时提示。",
            false_alarms="AlexNet 和 VGG 就是这样设计的。",
            fix="展平之前加 nn.AdaptiveAvgPool2d(1)；或在此之前增加下采样，或使用 1×1 卷积。",
            messages={
                "default": "{layer} 读取 {inputs} 个数（{cells} 个格子），有 {millions} 百万个参数，占模型的 "
                "{share}%。",
            },
        ),
    },
)
