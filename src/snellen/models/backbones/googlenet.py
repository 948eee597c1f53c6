"""GoogLeNet (Inception v1), as torchvision has it and as it was published."""

from collections.abc import Callable, Mapping

from torch import nn

from snellen.models.backbones.chain import ChainNet
from snellen.nn import INCEPTION_EPS, CeilMaxPool2d, InceptionConv, Norm, ResponseNorm, inception_v1, with_eps

__all__ = ["GoogLeNet", "googlenet", "googlenet_paper"]

# Table 1: 1×1; reduction, 3×3; reduction, 5×5; behind the pool.
_MODULES: Mapping[str, tuple[int, ...]] = {
    "inception3a": (64, 96, 128, 16, 32, 32),
    "inception3b": (128, 128, 192, 32, 96, 64),
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}
_ENDS = {
    "c1": ("conv1", 64),
    "c2": ("conv3", 192),
    "c3": ("inception3b", 480),
    "c4": ("inception4e", 832),
    "c5": ("inception5b", 1024),
}
_INNER = {"c4a": ("inception4a", 512), "c4d": ("inception4d", 528)}
_SPREAD = 0.01  # of the initial weights; torchvision's

_RESPONSE_NORM = (5, 1e-4, 0.75)  # size, alpha, beta: bvlc_googlenet; the paper names none


class GoogLeNet(ChainNet):
    """GoogLeNet without its classifiers; the keys are torchvision's.

    Args:
        norm: Makes the norm layers; None for biases and response normalisation, as published.
        kernel: Of the third branch of every module: 5, or torchvision's 3.
        small_last_pool: Whether the last pool is 2×2, as in torchvision's network, or 3×3.

    Attributes:
        features: ``c1`` to ``c5``, the last maps at strides 2 to 32.
        inner: ``c4a`` and ``c4d``, on which the auxiliary heads stand.

    Source:
        Szegedy et al. 2014, table 1, https://arxiv.org/abs/1409.4842. Differs: a pool of a map with an odd side gives
        one cell more, so that a map has ``ceil(size / stride)`` cells.
    """

    # Google's weights, which torchvision converted, were trained on -1..1.
    mean = (0.5, 0.5, 0.5)
    std = (0.5, 0.5, 0.5)

    def __init__(self, *, norm: Norm | None = nn.BatchNorm2d, kernel: int = 5, small_last_pool: bool = False) -> None:
        if norm is not None:
            norm = with_eps(norm, INCEPTION_EPS)
        layers: dict[str, nn.Module] = {
            "conv1": InceptionConv(3, 64, (7, 7), stride=2, norm=norm),
            "maxpool1": CeilMaxPool2d(3),
            "conv2": InceptionConv(64, 64, norm=norm),
            "conv3": InceptionConv(64, 192, (3, 3), norm=norm),
            "maxpool2": CeilMaxPool2d(3),
        }
        if norm is None:
            layers = _with_response_norms(layers)
        channels = 192
        for name, widths in _MODULES.items():
            if name in ("inception4a", "inception5a"):
                is_last = name == "inception5a"
                layers[f"maxpool{4 if is_last else 3}"] = CeilMaxPool2d(2 if is_last and small_last_pool else 3)
            layers[name] = inception_v1(channels, widths, kernel=kernel, norm=norm)
            channels = widths[0] + widths[2] + widths[4] + widths[5]
        super().__init__(layers, _ENDS, inner=_INNER)


def _with_response_norms(layers: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """Return the layers with a response normalisation behind the first pool and before the second."""
    size, alpha, beta = _RESPONSE_NORM
    found: dict[str, nn.Module] = {}
    for name, layer in layers.items():
        if name == "maxpool2":
            found["norm2"] = ResponseNorm(size, alpha=alpha, beta=beta)
        found[name] = layer
        if name == "maxpool1":
            found["norm1"] = ResponseNorm(size, alpha=alpha, beta=beta)
    return found


def _initialised(network: GoogLeNet, initialise: Callable[[nn.Conv2d], object]) -> GoogLeNet:
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            initialise(layer)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network


def googlenet(*, norm: Norm = nn.BatchNorm2d) -> GoogLeNet:
    """Return GoogLeNet as torchvision has it: with batch norm, and 3×3 where the paper has 5×5.

    Args:
        norm: Makes a norm layer from the number of channels.
    """
    network = GoogLeNet(norm=norm, kernel=3, small_last_pool=True)
    return _initialised(network, lambda layer: nn.init.trunc_normal_(layer.weight, std=_SPREAD, a=-2, b=2))


def googlenet_paper(*, norm: Norm | None = None) -> GoogLeNet:
    """Return GoogLeNet as published: 5×5, biases and response normalisation.

    Starts from the weights of Glorot & Bengio 2010, eq. 16, as Caffe's bvlc_googlenet does; the paper names none.

    Args:
        norm: Makes a norm layer behind each convolution in the place of biases and response normalisation.
    """
    return _initialised(GoogLeNet(norm=norm), lambda layer: nn.init.xavier_uniform_(layer.weight))
