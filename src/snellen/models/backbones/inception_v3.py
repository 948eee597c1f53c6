"""Inception v3: factorised convolutions."""

from typing import ClassVar

from torch import nn

from snellen.models.backbones.chain import ChainNet
from snellen.nn import (
    INCEPTION_EPS,
    InceptionConv,
    Norm,
    inception_v3_8,
    inception_v3_17,
    inception_v3_35,
    inception_v3_reduction_8,
    inception_v3_reduction_17,
    with_eps,
)

__all__ = ["InceptionV3", "inception_v3"]

_SPREAD = 0.1  # of the initial weights, cut off at ±2; torchvision's
_LEAST_SIZE = 75  # px; below it the last map of the network that does not pad has no cell
_ENDS = {
    "c1": ("Conv2d_2b_3x3", 64),
    "c2": ("Conv2d_4a_3x3", 192),
    "c3": ("Mixed_5d", 288),
    "c4": ("Mixed_6e", 768),
    "c5": ("Mixed_7c", 2048),
}


class InceptionV3(ChainNet):
    """Inception v3 without its classifiers.

    Args:
        norm: Makes a norm layer from the number of channels.
        padded: True pads half of every kernel, so that a map has ``ceil(size / stride)`` cells. False leaves five
            convolutions and all pools of stride 2 unpadded as published: at 299 px the maps have 147, 71, 35, 17 and
            8 cells a side. The weights are the same.

    Attributes:
        features: ``c1`` to ``c5``, the last maps at strides 2 to 32. The auxiliary head stands on ``c4``.

    Source:
        Szegedy et al. 2015, table 1, https://arxiv.org/abs/1512.00567, in the form in which it was published and
        torchvision has it: one 1×1 and one 3×3 in the place of two of the stem's 3×3, and 5×5 in the first modules.
    """

    # torchvision numbers the steps of a branch from 1 in one name; a branch is a sequence here.
    foreign_names: ClassVar[tuple[tuple[str, str], ...]] = (
        (r"\.branch_pool\.(conv|bn)\.", r".branch_pool.1.\1."),
        *((rf"^(Mixed_\w+\.branch\w+)_{step}([ab])\.", rf"\g<1>.{step - 1}.\2.") for step in (2, 3)),
        *((rf"^(Mixed_\w+\.branch\w+)_{step}\.", rf"\g<1>.{step - 1}.") for step in range(1, 6)),
    )
    mean = (0.5, 0.5, 0.5)
    std = (0.5, 0.5, 0.5)

    def __init__(self, *, norm: Norm = nn.BatchNorm2d, padded: bool = True) -> None:
        norm = with_eps(norm, INCEPTION_EPS)
        three = (3, 3)
        layers: dict[str, nn.Module] = {
            "Conv2d_1a_3x3": InceptionConv(3, 32, three, stride=2, norm=norm, padded=padded),
            "Conv2d_2a_3x3": InceptionConv(32, 32, three, norm=norm, padded=padded),
            "Conv2d_2b_3x3": InceptionConv(32, 64, three, norm=norm),
            "maxpool1": nn.MaxPool2d(3, 2, int(padded)),
            "Conv2d_3b_1x1": InceptionConv(64, 80, norm=norm),
            "Conv2d_4a_3x3": InceptionConv(80, 192, three, norm=norm, padded=padded),
            "maxpool2": nn.MaxPool2d(3, 2, int(padded)),
            "Mixed_5b": inception_v3_35(192, 32, norm=norm),
            "Mixed_5c": inception_v3_35(256, 64, norm=norm),
            "Mixed_5d": inception_v3_35(288, 64, norm=norm),
            "Mixed_6a": inception_v3_reduction_17(288, norm=norm, padded=padded),
            "Mixed_6b": inception_v3_17(768, 128, norm=norm),
            "Mixed_6c": inception_v3_17(768, 160, norm=norm),
            "Mixed_6d": inception_v3_17(768, 160, norm=norm),
            "Mixed_6e": inception_v3_17(768, 192, norm=norm),
            "Mixed_7a": inception_v3_reduction_8(768, norm=norm, padded=padded),
            "Mixed_7b": inception_v3_8(1280, norm=norm),
            "Mixed_7c": inception_v3_8(2048, norm=norm),
        }
        super().__init__(layers, _ENDS, least_size=1 if padded else _LEAST_SIZE)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.trunc_normal_(layer.weight, std=_SPREAD, a=-2, b=2)


def inception_v3(*, norm: Norm = nn.BatchNorm2d, padded: bool = True) -> InceptionV3:
    """Return Inception v3; see ``InceptionV3``."""
    return InceptionV3(norm=norm, padded=padded)
