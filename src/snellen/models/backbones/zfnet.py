"""ZF and VGG_CNN_M_1024: the small and the middle network of SPPnet, Fast R-CNN and Faster R-CNN."""

from functools import partial

from torch import nn

from snellen.models.backbones.alexnet import ConvLayer, FiveConvNet, max_pool
from snellen.nn import Norm, ResponseNorm, WithinChannelNorm

__all__ = ["vgg_cnn_m", "zfnet", "zfnet_paper"]


_LEAST_SIZE = 47  # px; below it pool5 of the network that pads less has no cell
_ZF_RESPONSE_NORM = partial(WithinChannelNorm, 3, alpha=5e-5, beta=0.75)  # ZF's prototxt in py-faster-rcnn
_VGG_M_RESPONSE_NORM = partial(ResponseNorm, 5, alpha=5e-4, beta=0.75, k=2.0)  # that of VGG_CNN_M_1024


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


def zfnet_paper(*, norm: Norm | None = None, padded: bool = True) -> FiveConvNet:
    """Return the network of Zeiler and Fergus, normalised over neighbouring channels behind its pools.

    Args:
        norm: Makes a norm layer behind each convolution in the place of the response normalisation; None for
            the network as published.
        padded: True pads half of every kernel, so that a map has ``ceil(size / stride)`` cells. False keeps the sizes
            of figure 3: at 224 px 110, 55, 26, 13, and 6×6 in ``c5``, which ``FcPair`` reads.

    Source:
        Zeiler & Fergus 2014, figure 3, https://arxiv.org/abs/1311.2901; the numbers of the normalisation, which it
        leaves out, are those of Krizhevsky et al. 2012, section 3.3. Starts as ``zfnet`` does.
    """
    pool = partial(max_pool, padded=padded, ceil=True)
    response = partial(ResponseNorm, 5, alpha=5e-4, beta=0.75, k=2.0)
    layers = (
        ConvLayer(channels=96, kernel=7, stride=2, padding=None if padded else 1, pool=pool, response_norm=response),
        ConvLayer(channels=256, kernel=5, stride=2, padding=None if padded else 0, pool=pool, response_norm=response),
        ConvLayer(channels=384, kernel=3),
        ConvLayer(channels=384, kernel=3),
        ConvLayer(channels=256, kernel=3, pool=pool),
    )
    return _initialised(FiveConvNet(layers, norm=norm, least_size=1 if padded else _LEAST_SIZE))


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
