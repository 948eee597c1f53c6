"""ZF and VGG_CNN_M_1024: the small and the middle network of SPPnet, Fast R-CNN and Faster R-CNN."""

from functools import partial

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from snellen.models.backbones.alexnet import ConvLayer, FiveConvNet, max_pool
from snellen.nn import Norm

__all__ = ["WithinChannelNorm", "vgg_cnn_m", "zfnet"]


class WithinChannelNorm(nn.Module):
    """Response normalisation over a window of the same channel.

    ``x · (1 + alpha · mean of x² over the window) ** -beta``; outside the map x is 0.

    Args:
        size: Odd side of the window in cells.
        alpha: Weight of the mean square.
        beta: Exponent.

    Source:
        Caffe's LRN layer with ``norm_region: WITHIN_CHANNEL``; Krizhevsky 2012, cuda-convnet.
    """

    def __init__(self, size: int, *, alpha: float, beta: float) -> None:
        super().__init__()
        self.size, self.alpha, self.beta = size, alpha, beta

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Return the normalised map."""
        energy = functional.avg_pool2d(x.square(), self.size, stride=1, padding=self.size // 2)
        return x * (1 + self.alpha * energy).pow(-self.beta)

    def extra_repr(self) -> str:
        """Return what ``print`` shows."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}"


_ZF_RESPONSE_NORM = partial(WithinChannelNorm, 3, alpha=5e-5, beta=0.75)  # ZF's prototxt in py-faster-rcnn
_VGG_M_RESPONSE_NORM = partial(nn.LocalResponseNorm, 5, alpha=5e-4, beta=0.75, k=2.0)  # that of VGG_CNN_M_1024


def zfnet(*, norm: Norm | None = None) -> FiveConvNet:
    """Return ZF, whose conv5 (``c4``) has stride 16; ``c2`` is pool1, ``c5`` pool5.

    Args:
        norm: Makes a norm layer behind each convolution in the place of the response normalisation; None for
            the network as published.

    Source:
        Zeiler & Fergus 2014, figure 3, https://arxiv.org/abs/1311.2901, with the padding of half a kernel of He
        et al. 2014 (SPPnet), appendix A, https://arxiv.org/abs/1406.4729, and the normalisation of
        py-faster-rcnn's ZF. Differs: pools round so that a map has ``ceil(size / stride)`` cells; Caffe's
        return one cell more for even sizes. Starts from the weights of He et al., not from a spread of 0.01, at
        which the signal fades by the third layer.
    """
    layers = (
        ConvLayer(channels=96, kernel=7, stride=2, pool=max_pool, response_norm=_ZF_RESPONSE_NORM, norm_first=True),
        ConvLayer(channels=256, kernel=5, stride=2, pool=max_pool, response_norm=_ZF_RESPONSE_NORM, norm_first=True),
        ConvLayer(channels=384, kernel=3),
        ConvLayer(channels=384, kernel=3),
        ConvLayer(channels=256, kernel=3, pool=max_pool),
    )
    return _initialised(FiveConvNet(layers, norm=norm))


def vgg_cnn_m(*, norm: Norm | None = None) -> FiveConvNet:
    """Return the convolutions of VGG_CNN_M_1024, the middle network of Fast R-CNN and OHEM.

    Its ``FcPair`` reads 512 × 6 × 6; the published one has a width of 4096 in fc6 and 1024 in fc7.

    Args:
        norm: Makes a norm layer behind each convolution in the place of the response normalisation; None for
            the network as published.

    Source:
        Chatfield et al. 2014, table 1 (CNN-M), https://arxiv.org/abs/1405.3531. Differs: padded by half a
        kernel everywhere, so that a map has ``ceil(size / stride)`` cells; the paper pads conv1 by 0 and conv2
        by 1, and no pool. Starts as ``zfnet`` does.
    """
    layers = (
        ConvLayer(channels=96, kernel=7, stride=2, pool=max_pool, response_norm=_VGG_M_RESPONSE_NORM, norm_first=True),
        ConvLayer(channels=256, kernel=5, stride=2, pool=max_pool, response_norm=_VGG_M_RESPONSE_NORM, norm_first=True),
        ConvLayer(channels=512, kernel=3),
        ConvLayer(channels=512, kernel=3),
        ConvLayer(channels=512, kernel=3, pool=max_pool),
    )
    return _initialised(FiveConvNet(layers, norm=norm))


def _initialised(network: FiveConvNet) -> FiveConvNet:
    # He et al. 2015, https://arxiv.org/abs/1502.01852, fan out.
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network
