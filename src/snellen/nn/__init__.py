"""Layers that two models share."""

from snellen.nn.blocks import ConvNormAct, Padding, SameConv2d, conv_norm
from snellen.nn.fpn import FeaturePyramid, coarser_map
from snellen.nn.l2norm import L2Norm
from snellen.nn.norm import FrozenBatchNorm, Norm
from snellen.nn.normalize import IMAGENET_MEAN, IMAGENET_STD, Normalize

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "ConvNormAct",
    "FeaturePyramid",
    "FrozenBatchNorm",
    "L2Norm",
    "Norm",
    "Normalize",
    "Padding",
    "SameConv2d",
    "coarser_map",
    "conv_norm",
]
