"""Network in Network: small perceptrons slide over the image."""

from collections.abc import Sequence

from torch import nn

from snellen.models.backbones.alexnet import max_pool
from snellen.models.backbones.chain import ChainNet
from snellen.nn import CeilMaxPool2d, Norm

__all__ = ["mlpconv", "nin", "nin_cifar"]

_LEAST_SIZE = 39  # px; below it the last pool of the network that does not pad has no cell


def mlpconv(
    in_channels: int,
    widths: Sequence[int],
    *,
    kernel: int,
    stride: int = 1,
    padding: int | None = None,
    norm: Norm | None = None,
) -> nn.Sequential:
    """Return a convolution and 1×1 convolutions behind it, each with a ReLU: a perceptron that slides over the map.

    Args:
        in_channels: Depth of the input.
        widths: Depths of the convolution and of what follows it.
        kernel: Of the first convolution, in pixels.
        stride: Of the first convolution, in pixels.
        padding: Of the first convolution; None for half of its kernel.
        norm: Makes a norm layer behind each convolution; None, as in the paper, for none.

    Source:
        Lin et al. 2013, section 3.1, https://arxiv.org/abs/1312.4400.
    """
    layers: list[nn.Module] = []
    for number, width in enumerate(widths):
        if number == 0:
            layers.append(nn.Conv2d(in_channels, width, kernel, stride, kernel // 2 if padding is None else padding))
        else:
            layers.append(nn.Conv2d(in_channels, width, 1))
        if norm is not None:
            layers.append(norm(width))
        layers.append(nn.ReLU(inplace=True))
        in_channels = width
    return nn.Sequential(*layers)


def nin_cifar(*, norm: Norm | None = None, dropout: float = 0.5) -> ChainNet:
    """Return the paper's network for images of 32×32, up to the layer that makes a map for each class.

    Args:
        norm: Makes a norm layer behind each convolution; None, as in the paper, for none.
        dropout: Share of the values behind the first two pools that training sets to zero.

    Source:
        Lin et al. 2013, section 4.1 and figure 2, https://arxiv.org/abs/1312.4400; widths and pools as in the
        authors' files for CIFAR-10. Features: ``c1`` (stride 2) and ``c2`` (stride 4).
    """
    layers = {
        "mlpconv1": mlpconv(3, (192, 160, 96), kernel=5, norm=norm),
        "pool1": CeilMaxPool2d(3),
        "dropout1": nn.Dropout(dropout),
        "mlpconv2": mlpconv(96, (192, 192, 192), kernel=5, norm=norm),
        "pool2": nn.AvgPool2d(3, 2, 1),
        "dropout2": nn.Dropout(dropout),
        "mlpconv3": mlpconv(192, (192, 192), kernel=3, norm=norm),
    }
    return _initialised(ChainNet(layers, {"c1": ("mlpconv2", 192), "c2": ("mlpconv3", 192)}))


def nin(*, norm: Norm | None = None, padded: bool = True, dropout: float = 0.5) -> ChainNet:
    """Return the authors' network for ImageNet, up to the layer that makes a map for each class.

    Args:
        norm: Makes a norm layer behind each convolution; None, as published, for none.
        padded: True pads half of every kernel, so that a map has ``ceil(size / stride)`` cells. False is the network
            as published: at 224 px the maps have 54, 27, 13 and 6 cells a side. The weights are the same.
        dropout: Share of the values behind the third pool that training sets to zero.

    Source:
        Lin et al. 2013, https://arxiv.org/abs/1312.4400; the paper has no network for ImageNet, this is the authors'
        in Caffe's model zoo. Features: ``c2`` (stride 4) to ``c5``.
    """

    def pool() -> nn.MaxPool2d:
        return max_pool(padded=padded, ceil=True)

    layers = {
        "mlpconv1": mlpconv(3, (96, 96, 96), kernel=11, stride=4, padding=None if padded else 0, norm=norm),
        "pool1": pool(),
        "mlpconv2": mlpconv(96, (256, 256, 256), kernel=5, norm=norm),
        "pool2": pool(),
        "mlpconv3": mlpconv(256, (384, 384, 384), kernel=3, norm=norm),
        "pool3": pool(),
        "dropout": nn.Dropout(dropout),
        "mlpconv4": mlpconv(384, (1024, 1024), kernel=3, norm=norm),
    }
    ends = {f"c{number + 1}": (f"mlpconv{number}", width) for number, width in enumerate((96, 256, 384, 1024), 1)}
    return _initialised(ChainNet(layers, ends, least_size=1 if padded else _LEAST_SIZE))


def _initialised(network: ChainNet) -> ChainNet:
    # He et al. 2015, https://arxiv.org/abs/1502.01852; the authors' spreads of 0.05 and 0.01 fit their rates alone.
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network
