"""BN-Inception, which its authors called Inception v2 later: batch norm, and two 3×3 in the place of 5×5."""

import re
from collections.abc import Mapping

from torch import Tensor, nn

from snellen.models.backbones.chain import ChainNet
from snellen.nn import CeilMaxPool2d, InceptionConv, Norm, inception_v2, inception_v2_reduction

__all__ = ["BnInception", "bn_inception"]

# Figure 5: 1×1; reduction, 3×3; reduction, double 3×3; behind the pool. Four numbers: with stride 2, no 1×1.
_MODULES: Mapping[str, tuple[int, ...]] = {
    "inception3a": (64, 64, 64, 64, 96, 32),
    "inception3b": (64, 64, 96, 64, 96, 64),
    "inception3c": (128, 160, 64, 96),
    "inception4a": (224, 64, 96, 96, 128, 128),
    "inception4b": (192, 96, 128, 96, 128, 128),
    "inception4c": (160, 128, 160, 128, 160, 128),
    "inception4d": (96, 128, 192, 160, 192, 128),
    "inception4e": (128, 192, 192, 256),
    "inception5a": (352, 192, 320, 160, 224, 128),
    "inception5b": (352, 192, 320, 192, 224, 128),
}
_MAX_POOLED = "inception5b"  # the others take means
_LAST_AT_STRIDE = {"inception3b": "c3", "inception4d": "c4", "inception5b": "c5"}


class BnInception(ChainNet):
    """BN-Inception without its classifier.

    Reads the weights that were published for Caffe and converted for torch as ``bninception``, whose convolutions have
    biases, and read B, G, R.

    Args:
        norm: Makes a norm layer from the number of channels.

    Attributes:
        features: ``c1`` to ``c5``, the last maps at strides 2 to 32.
        inner: ``c4a``, where the first of GoogLeNet's auxiliary heads stood; the second read what is ``c4`` here.

    Source:
        Ioffe & Szegedy 2015, appendix, figure 5, https://arxiv.org/abs/1502.03167. The figure prints depths of 576 for
        4c and 4d and 1024 for 4e, which the sums of its own rows (608, 608 and 1056) contradict; the rows are built.
        Differs: the first convolution is a full one, not separable with a depth multiplier of 8.
    """

    # The published weights were trained with Caffe on bytes less 104, 117, 128 of B, G, R.
    mean = (128 / 255, 117 / 255, 104 / 255)
    std = (1 / 255, 1 / 255, 1 / 255)

    def __init__(self, *, norm: Norm = nn.BatchNorm2d) -> None:
        layers: dict[str, nn.Module] = {
            "conv1": InceptionConv(3, 64, (7, 7), stride=2, norm=norm),
            "pool1": CeilMaxPool2d(3),
            "conv2": InceptionConv(64, 64, norm=norm),
            "conv3": InceptionConv(64, 192, (3, 3), norm=norm),
            "pool2": CeilMaxPool2d(3),
        }
        ends = {"c1": ("conv1", 64), "c2": ("conv3", 192)}
        inner = {}
        channels = 192
        for name, widths in _MODULES.items():
            if len(widths) == 4:
                layers[name] = inception_v2_reduction(channels, widths, norm=norm)
                channels += widths[1] + widths[3]
            else:
                layers[name] = inception_v2(channels, widths, mean_pool=name != _MAX_POOLED, norm=norm)
                channels = widths[0] + widths[2] + widths[4] + widths[5]
            if name in _LAST_AT_STRIDE:
                ends[_LAST_AT_STRIDE[name]] = (name, channels)
            if name == "inception4a":
                inner["c4a"] = (name, channels)
        super().__init__(layers, ends, inner=inner)
        # He et al. 2015, https://arxiv.org/abs/1502.01852, fan out; the paper names no initial weights.
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def adapted_weights(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a file, those of ``bninception`` under the names that they have here.

        A bias before a norm shifts what the norm subtracts; the first convolution reads R, G, B here.
        """
        if _FIRST_OF_CAFFE not in tensors:
            return dict(tensors)
        adapted = {}
        for key, value in tensors.items():
            layer, _, part = key.rpartition(".")
            name = _own_name(layer)
            if name is None:
                adapted[key] = value
            elif part == "running_mean":
                bias = tensors.get(f"{layer.removesuffix('_bn')}.bias")
                adapted[f"{name}.bn.{part}"] = value if bias is None else value - bias
            elif layer.endswith("_bn"):
                adapted[f"{name}.bn.{part}"] = value
            elif part == "weight":
                adapted[f"{name}.conv.weight"] = value.flip(1) if key == _FIRST_OF_CAFFE else value
        return adapted


_FIRST_OF_CAFFE = "conv1_7x7_s2.weight"
_STEM_OF_CAFFE = {"conv1_7x7_s2": "conv1", "conv2_3x3_reduce": "conv2", "conv2_3x3": "conv3"}
_BRANCHES_OF_CAFFE = {
    "1x1": "branch1",
    "3x3_reduce": "branch2.0",
    "3x3": "branch2.1",
    "double_3x3_reduce": "branch3.0",
    "double_3x3_1": "branch3.1",
    "double_3x3_2": "branch3.2",
    "pool_proj": "branch4.1",
}


def _own_name(layer: str) -> str | None:
    """Return what a layer of ``bninception`` is called here, with or without its norm."""
    plain = layer.removesuffix("_bn")
    if plain in _STEM_OF_CAFFE:
        return _STEM_OF_CAFFE[plain]
    found = re.fullmatch(r"inception_(\d\w)_(\w+)", plain)
    if found is None or found[2] not in _BRANCHES_OF_CAFFE:
        return None
    return f"inception{found[1]}.{_BRANCHES_OF_CAFFE[found[2]]}"


def bn_inception(*, norm: Norm = nn.BatchNorm2d) -> BnInception:
    """Return BN-Inception."""
    return BnInception(norm=norm)
