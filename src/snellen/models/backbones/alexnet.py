"""AlexNet as torchvision has it and as it was published, and CaffeNet, which R-CNN and Fast R-CNN fine-tuned."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from snellen.models.backbones.backbone import Backbone
from snellen.nn import Norm, ResponseNorm
from snellen.structures import FeatureSpec

__all__ = ["ConvLayer", "FiveConvNet", "alexnet", "alexnet_paper", "caffenet", "max_pool"]


# Pixels below which pool5 has no cell in the networks that pad less: pools that round down, and up.
_LEAST_SIZE, _LEAST_SIZE_CEIL = 63, 39


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvLayer:
    """A convolution of a ``FiveConvNet`` and what follows it.

    Attributes:
        channels: Depth of its output.
        kernel: Size in pixels.
        stride: Step in pixels.
        padding: Pixels on every side; None for half of the kernel.
        groups: Groups of channels that do not see one another.
        pool: Makes the pool behind it, or None for none.
        response_norm: Makes the response normalisation behind it, or None for none.
        norm_first: Whether the response is normalised before it is pooled.
    """

    channels: int
    kernel: int
    stride: int = 1
    padding: int | None = None
    groups: int = 1
    pool: Callable[[], nn.MaxPool2d] | None = None
    response_norm: Callable[[], nn.Module] | None = None
    norm_first: bool = False


class FiveConvNet(Backbone):
    """Convolutions, some of them followed by a pool and a response normalisation; AlexNet and its relatives.

    Args:
        layers: The convolutions from first to last.
        norm: Makes a norm layer behind each convolution from the number of channels, in the place of the
            response normalisation; None for the network as published.
        least_size: Smallest side in pixels of a canvas on which every map has a cell.

    Attributes:
        features: One map for each stride, named by its logarithm: the last convolution at that stride after
            its activation, or what a pool returns where no convolution has that stride.
    """

    def __init__(self, layers: Sequence[ConvLayer], *, norm: Norm | None = None, least_size: int = 1) -> None:
        super().__init__()
        self.least_size = least_size
        self.num_layers = len(layers)
        self.relu = nn.ReLU(inplace=True)
        channels, stride = 3, 1
        taps: dict[str, tuple[str, int]] = {}  # feature -> module whose output it is, channels
        for number, layer in enumerate(layers, 1):
            padding = layer.kernel // 2 if layer.padding is None else layer.padding
            conv = nn.Conv2d(channels, layer.channels, layer.kernel, layer.stride, padding, groups=layer.groups)
            self.add_module(f"conv{number}", conv)
            self.add_module(f"norm{number}", nn.Identity() if norm is None else norm(layer.channels))
            self.add_module(f"between{number}", _between(layer, plain=norm is None))
            channels, stride = layer.channels, stride * layer.stride
            taps[_name(stride)] = (f"conv{number}", channels)
            if layer.pool is not None:
                stride *= _step(layer.pool())
                taps[_name(stride)] = (f"between{number}", channels)
        self.taps = {module: name for name, (module, _) in taps.items()}
        self.features = tuple(
            FeatureSpec(name=name, channels=depth, stride=2 ** int(name[1:])) for name, (_, depth) in taps.items()
        )

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps of ``features`` by name."""
        maps = {}
        for number in range(1, self.num_layers + 1):
            for module in (f"conv{number}", f"between{number}"):
                x = self.get_submodule(module)(x)
                if module.startswith("conv"):
                    x = self.relu(self.get_submodule(f"norm{number}")(x))
                if module in self.taps:
                    maps[self.taps[module]] = x
        return maps

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules between one feature and the next, by the name of the feature they end in."""
        stages: dict[str, Sequence[nn.Module]] = {}
        pending: list[nn.Module] = []
        for number in range(1, self.num_layers + 1):
            pending += [self.get_submodule(f"conv{number}"), self.get_submodule(f"norm{number}")]
            for module in (f"conv{number}", f"between{number}"):
                if module.startswith("between"):
                    pending.append(self.get_submodule(module))
                if module in self.taps:
                    stages[self.taps[module]] = tuple(pending)
                    pending = []
        return stages


def _between(layer: ConvLayer, *, plain: bool) -> nn.Sequential:
    modules: list[nn.Module] = []
    if layer.pool is not None:
        modules.append(layer.pool())
    if layer.response_norm is not None and plain:
        modules.insert(0 if layer.norm_first else len(modules), layer.response_norm())
    return nn.Sequential(*modules)


def _step(pool: nn.MaxPool2d) -> int:
    return int(pool.stride)  # type: ignore[arg-type]  # torch declares a union; ours are whole numbers


def _name(stride: int) -> str:
    return f"c{stride.bit_length() - 1}"


def max_pool(*, padded: bool = True, ceil: bool = False) -> nn.MaxPool2d:
    """Return the overlapping pool of these networks: 3×3 with stride 2.

    Args:
        padded: Pad one pixel, so that a map has ``ceil(size / 2)`` cells.
        ceil: Round up where nothing is padded, as Caffe does.
    """
    return nn.MaxPool2d(3, 2, 1 if padded else 0, ceil_mode=ceil and not padded)


class AlexNet(FiveConvNet):
    """AlexNet in one column, with the keys of torchvision's network."""

    foreign_names: ClassVar[tuple[tuple[str, str], ...]] = tuple(
        (rf"^features\.{place}\.", f"conv{number}.") for number, place in enumerate((0, 3, 6, 8, 10), 1)
    )


def alexnet(*, norm: Norm | None = None, padded: bool = True) -> AlexNet:
    """Return AlexNet in one column, as torchvision has it: no response normalisation, no groups.

    Args:
        norm: Makes a norm layer behind each convolution; None for none, as published.
        padded: True pads half of every kernel, so that a map has ``ceil(size / stride)`` cells: for whole
            images. False keeps the padding of the published network, whose maps are smaller: at 224 px (and
            227) ``c5`` is 6×6, which ``FcPair`` reads. The weights are the same.

    Source:
        Krizhevsky 2014, https://arxiv.org/abs/1404.5997, after Krizhevsky et al. 2012 (NeurIPS).
    """
    pool = partial(max_pool, padded=padded)
    layers = (
        ConvLayer(channels=64, kernel=11, stride=4, padding=None if padded else 2, pool=pool),
        ConvLayer(channels=192, kernel=5, pool=pool),
        ConvLayer(channels=384, kernel=3),
        ConvLayer(channels=256, kernel=3),
        ConvLayer(channels=256, kernel=3, pool=pool),
    )
    return AlexNet(layers, norm=norm, least_size=1 if padded else _LEAST_SIZE)


# deploy.prototxt of bvlc_reference_caffenet; the values are those of the AlexNet paper, section 3.3, but k = 1.
_CAFFE_RESPONSE_NORM = partial(ResponseNorm, 5, alpha=1e-4, beta=0.75)


def caffenet(*, norm: Norm | None = None, padded: bool = True) -> FiveConvNet:
    """Return CaffeNet: AlexNet with its groups and response normalisation, pooled before it is normalised.

    Args:
        norm: Makes a norm layer behind each convolution in the place of the response normalisation; None for
            the network as published.
        padded: True pads half of every kernel, as Fast R-CNN's CaffeNet does for whole images, so that a map
            has ``ceil(size / stride)`` cells. False is the network of classification and of R-CNN: at 227 px
            ``c5`` is 6×6, which ``FcPair`` reads.

    Source:
        Jia et al. 2014 (Caffe), https://arxiv.org/abs/1408.5093, bvlc_reference_caffenet; Krizhevsky et al.
        2012, "ImageNet classification with deep convolutional neural networks"; used by Girshick et al. 2014
        (R-CNN), https://arxiv.org/abs/1311.2524. Differs: padded pools round so that ``ceil(size / stride)``
        holds; Caffe's return one cell more for even sizes.
    """
    pool = partial(max_pool, padded=padded, ceil=True)
    layers = (
        ConvLayer(
            channels=96,
            kernel=11,
            stride=4,
            padding=None if padded else 0,
            pool=pool,
            response_norm=_CAFFE_RESPONSE_NORM,
        ),
        ConvLayer(channels=256, kernel=5, groups=2, pool=pool, response_norm=_CAFFE_RESPONSE_NORM),
        ConvLayer(channels=384, kernel=3),
        ConvLayer(channels=384, kernel=3, groups=2),
        ConvLayer(channels=256, kernel=3, groups=2, pool=pool),
    )
    network = FiveConvNet(layers, norm=norm, least_size=1 if padded else _LEAST_SIZE_CEIL)
    _initialise_as_caffe(network)
    return network


def alexnet_paper(*, norm: Norm | None = None, padded: bool = True) -> FiveConvNet:
    """Return AlexNet as published: two columns that meet in conv3, the response normalised before it is pooled.

    The columns lay on two GPUs; here they are groups of one convolution, which computes the same.

    Args:
        norm: Makes a norm layer behind each convolution in the place of the response normalisation; None for
            the network as published.
        padded: See ``caffenet``; at 227 px ``c5`` is 6×6. (The paper says 224 px, from which its 55×55 cells do not
            follow.)

    Source:
        Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural networks", figure 2, sections
        3.3 to 3.5 and 5.
    """
    pool = partial(max_pool, padded=padded, ceil=True)
    # k = 2, n = 5, alpha = 1e-4, beta = 0.75; the layer takes alpha times n.
    response = partial(ResponseNorm, 5, alpha=5e-4, beta=0.75, k=2.0)
    layers = (
        ConvLayer(
            channels=96,
            kernel=11,
            stride=4,
            padding=None if padded else 0,
            pool=pool,
            response_norm=response,
            norm_first=True,
        ),
        ConvLayer(channels=256, kernel=5, groups=2, pool=pool, response_norm=response, norm_first=True),
        ConvLayer(channels=384, kernel=3),
        ConvLayer(channels=384, kernel=3, groups=2),
        ConvLayer(channels=256, kernel=3, groups=2, pool=pool),
    )
    network = FiveConvNet(layers, norm=norm, least_size=1 if padded else _LEAST_SIZE_CEIL)
    _initialise_as_caffe(network)
    return network


def _initialise_as_caffe(network: FiveConvNet) -> None:
    # Krizhevsky et al. 2012, section 5, and train_val.prototxt of bvlc_reference_caffenet: spread 0.01; the biases
    # of conv2, conv4 and conv5 start at 1.
    for number in range(1, network.num_layers + 1):
        conv = network.get_submodule(f"conv{number}")
        nn.init.normal_(conv.weight, std=0.01)  # type: ignore[arg-type]
        nn.init.constant_(conv.bias, 1.0 if number in (2, 4, 5) else 0.0)  # type: ignore[arg-type]
