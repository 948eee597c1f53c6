"""Layers that two models share."""

from snellen.nn.blocks import ConvNormAct, Padding, SameConv2d, conv_norm
from snellen.nn.channel_shuffle import ChannelShuffle, channel_shuffle
from snellen.nn.content import (
    content_cells,
    content_grid,
    content_max,
    content_mean,
    content_windows,
    spread_over_content,
)
from snellen.nn.dilation import Step, dilate_entry, dilated_steps, spread_blocks
from snellen.nn.fpn import FeaturePyramid, coarser_map
from snellen.nn.inception import (
    INCEPTION_EPS,
    Branches,
    InceptionConv,
    asymmetric_convs,
    inception_naive,
    inception_v1,
    inception_v2,
    inception_v2_reduction,
    inception_v3_8,
    inception_v3_17,
    inception_v3_35,
    inception_v3_reduction_8,
    inception_v3_reduction_17,
)
from snellen.nn.l2norm import L2Norm
from snellen.nn.maxout import Maxout
from snellen.nn.norm import FrozenBatchNorm, Norm, with_eps
from snellen.nn.normalize import IMAGENET_MEAN, IMAGENET_STD, Normalize
from snellen.nn.pooling import CeilMaxPool2d
from snellen.nn.preactivation import PreActBasic, PreActBottleneck
from snellen.nn.residual import PaddedShortCut, ResidualBlock, ShortCut, begin_as_identity, begin_at_zero
from snellen.nn.response_norm import ResponseNorm, WithinChannelNorm
from snellen.nn.separable import SeparableConv2d
from snellen.nn.squeeze_excitation import Gate, SqueezeExcitation, squeezed_by
from snellen.nn.sync_batch_norm import SyncBatchNorm
from snellen.nn.upsampling import (
    BilinearTransposed,
    Enlargement,
    Upsampling,
    bilinear_kernel,
    enlarged,
    pooled_places,
    unpooled,
)
from snellen.nn.waist import WaistBlock, bottleneck_block, inverted_block
from snellen.nn.winograd import WinogradConv2d, quick_layout, use_winograd

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "INCEPTION_EPS",
    "BilinearTransposed",
    "Branches",
    "CeilMaxPool2d",
    "ChannelShuffle",
    "ConvNormAct",
    "Enlargement",
    "FeaturePyramid",
    "FrozenBatchNorm",
    "Gate",
    "InceptionConv",
    "L2Norm",
    "Maxout",
    "Norm",
    "Normalize",
    "PaddedShortCut",
    "Padding",
    "PreActBasic",
    "PreActBottleneck",
    "ResidualBlock",
    "ResponseNorm",
    "SameConv2d",
    "SeparableConv2d",
    "ShortCut",
    "SqueezeExcitation",
    "Step",
    "SyncBatchNorm",
    "Upsampling",
    "WaistBlock",
    "WinogradConv2d",
    "WithinChannelNorm",
    "asymmetric_convs",
    "begin_as_identity",
    "begin_at_zero",
    "bilinear_kernel",
    "bottleneck_block",
    "channel_shuffle",
    "coarser_map",
    "content_cells",
    "content_grid",
    "content_max",
    "content_mean",
    "content_windows",
    "conv_norm",
    "dilate_entry",
    "dilated_steps",
    "enlarged",
    "inception_naive",
    "inception_v1",
    "inception_v2",
    "inception_v2_reduction",
    "inception_v3_8",
    "inception_v3_17",
    "inception_v3_35",
    "inception_v3_reduction_8",
    "inception_v3_reduction_17",
    "inverted_block",
    "pooled_places",
    "quick_layout",
    "spread_blocks",
    "spread_over_content",
    "squeezed_by",
    "unpooled",
    "use_winograd",
    "with_eps",
]
