"""Layers that two models share."""

from snellen.nn.blocks import ConvNormAct, Padding, SameConv2d
from snellen.nn.fpn import FeaturePyramid
from snellen.nn.norm import FrozenBatchNorm, Norm
from snellen.nn.normalize import IMAGENET_MEAN, IMAGENET_STD, Normalize

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "ConvNormAct",
    "FeaturePyramid",
    "FrozenBatchNorm",
    "Norm",
    "Normalize",
    "Padding",
    "SameConv2d",
]
