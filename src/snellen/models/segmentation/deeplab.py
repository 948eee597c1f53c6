"""DeepLabv3 and v3+, and PSPNet: a dilated backbone, then a look around at several scales."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from snellen.models.backbones import Backbone, picked_features
from snellen.models.segmentation.context import AtrousPyramid, PyramidPooling, dilated_conv, usual_rates
from snellen.models.segmentation.fcn import auxiliary_heads, auxiliary_names
from snellen.models.segmentation.segmenter import AUXILIARY_WEIGHT, Decoder, Segmenter
from snellen.nn import ConvNormAct, Norm, enlarged
from snellen.structures import FeatureSpec

__all__ = ["DetailDecoder", "deeplab_v3", "deeplab_v3_plus", "pspnet"]

_DETAIL = "c2"  # the map at stride 4, which v3+ reads
_DETAIL_WIDTH = 48  # Chen et al. 2018, section 4.1 and table 1

# torchvision's DeepLabV3, but for its auxiliary head.
_TORCHVISION_NAMES: tuple[tuple[str, str], ...] = (
    (r"^classifier\.0\.convs\.4\.1\.", "context.pooling.conv.0."),
    (r"^classifier\.0\.convs\.4\.2\.", "context.pooling.conv.1."),
    (r"^classifier\.0\.", "context."),
    (r"^classifier\.1\.", "head.0.0."),
    (r"^classifier\.2\.", "head.0.1."),
    (r"^classifier\.4\.", "head.1."),
)
# The parts of segmentation_models_pytorch.DeepLabV3.
_SMP_NAMES: tuple[tuple[str, str], ...] = (
    (r"^encoder\.", "backbone."),
    (r"^decoder\.aspp\.convs\.4\.1\.", "context.pooling.conv.0."),
    (r"^decoder\.aspp\.convs\.4\.2\.", "context.pooling.conv.1."),
    (r"^decoder\.aspp\.", "context."),
    (r"^decoder\.conv\.", "head.0.0."),
    (r"^decoder\.bn\.", "head.0.1."),
    (r"^segmentation_head\.0\.", "head.1."),
)


class DetailDecoder(Decoder):
    """The context, enlarged, beside a fine map with few channels; then 3×3 convolutions.

    Args:
        in_channels: Depth of the context.
        in_stride: Of the context in pixels.
        detail: The fine map.
        width: Depth of the convolutions.
        detail_width: Depth to which the fine map is brought, so that it does not outweigh the context.
        num_convs: 3×3 convolutions.
        separable: Whether they are separable.
        norm: Makes the norm layers from the number of channels.
        align_corners: How the context is enlarged; see ``snellen.nn.enlarged``.

    Source:
        Chen et al. 2018, section 3.1 and 4.1 (48 channels, two convolutions of 256), https://arxiv.org/abs/1802.02611.
    """

    def __init__(  # noqa: PLR0913 - the parts of a network
        self,
        in_channels: int,
        in_stride: int,
        detail: FeatureSpec,
        *,
        width: int = 256,
        detail_width: int = _DETAIL_WIDTH,
        num_convs: int = 2,
        separable: bool = False,
        norm: Norm = nn.BatchNorm2d,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        self.detail = detail.name
        self.factor, self.align_corners = in_stride // detail.stride, align_corners
        self.depths, self.strides = (width,), (detail.stride,)
        self.reduce = ConvNormAct(detail.channels, detail_width, kernel=1, norm=norm)
        inputs = [in_channels + detail_width, *[width] * (num_convs - 1)]
        self.refine = nn.Sequential(*(dilated_conv(each, width, 1, separable=separable, norm=norm) for each in inputs))

    def forward(
        self, x: Float[Tensor, "batch _ _ _"], maps: Mapping[str, Tensor], canvas: tuple[int, int]
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """Return the map at the stride of the fine one; see ``Decoder``."""
        del canvas
        fine = self.reduce(maps[self.detail])
        size = (fine.shape[-2], fine.shape[-1])
        coarse = enlarged(x, size, stride=self.factor, align_corners=self.align_corners)
        return [self.refine(torch.cat([coarse, fine], dim=1))]


def _pyramid(
    backbone: Backbone, width: int, rates: Sequence[int] | None, *, image_pooling: bool, separable: bool, norm: Norm
) -> AtrousPyramid:
    """Return the context on the last map, with the usual rates of its stride where none are given."""
    deepest = backbone.features[-1]
    return AtrousPyramid(
        deepest.channels, width, rates=usual_rates(deepest.stride) if rates is None else rates,
        image_pooling=image_pooling, separable=separable, norm=norm,
    )  # fmt: skip


def deeplab_v3(  # noqa: PLR0913 - the parts of a network
    backbone: Backbone,
    num_classes: int,
    *,
    width: int = 256,
    rates: Sequence[int] | None = None,
    image_pooling: bool = True,
    separable: bool = False,
    norm: Norm = nn.BatchNorm2d,
    auxiliary_weight: float = 0.0,
    align_corners: bool = False,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Segmenter:
    """Return DeepLabv3.

    Args:
        backbone: Dilated to a stride of 16 or 8, as a rule.
        num_classes: See ``Segmenter``.
        width: Depth of the context.
        rates: Dilations of the pyramid; None for those of ``usual_rates``.
        image_pooling: See ``AtrousPyramid``.
        separable: See ``AtrousPyramid``.
        norm: Of context and heads.
        auxiliary_weight: Of the loss of a second head, see ``auxiliary_heads``; 0 leaves it out, as in the paper.
        align_corners: See ``Segmenter``.
        mean: See ``Segmenter``.
        std: See ``Segmenter``.

    Source:
        Chen et al. 2017, https://arxiv.org/abs/1706.05587. Differs, as torchvision does: a 3×3 convolution between the
        pyramid and the scores. Its weights, and segmentation_models_pytorch's, are read.
    """
    auxiliary = auxiliary_heads(backbone, num_classes, norm=norm, weight=auxiliary_weight)
    return Segmenter(
        backbone,
        num_classes,
        context=_pyramid(backbone, width, rates, image_pooling=image_pooling, separable=separable, norm=norm),
        head=nn.Sequential(ConvNormAct(width, width, norm=norm), nn.Conv2d(width, num_classes, 1)),
        auxiliary=auxiliary,
        auxiliary_weight=auxiliary_weight,
        align_corners=align_corners,
        foreign_names=(*_TORCHVISION_NAMES, *auxiliary_names(auxiliary), *_SMP_NAMES),
        mean=mean,
        std=std,
    )


def deeplab_v3_plus(  # noqa: PLR0913 - the parts of a network
    backbone: Backbone,
    num_classes: int,
    *,
    width: int = 256,
    rates: Sequence[int] | None = None,
    image_pooling: bool = True,
    separable: bool = True,
    norm: Norm = nn.BatchNorm2d,
    auxiliary_weight: float = 0.0,
    align_corners: bool = False,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Segmenter:
    """Return DeepLabv3+: DeepLabv3's context, and a decoder that reads the map at stride 4.

    Args:
        backbone: Dilated to a stride of 16, as a rule; it needs a feature ``c2``.
        num_classes: See ``Segmenter``.
        width: Depth of context and decoder.
        rates: See ``deeplab_v3``.
        image_pooling: See ``AtrousPyramid``.
        separable: Whether the convolutions of pyramid and decoder are separable.
        norm: Of context, decoder and heads.
        auxiliary_weight: See ``deeplab_v3``.
        align_corners: See ``Segmenter``.
        mean: See ``Segmenter``.
        std: See ``Segmenter``.

    Raises:
        ConfigError: If the backbone has no feature ``c2``.

    Source:
        Chen et al. 2018, https://arxiv.org/abs/1802.02611. Differs: nothing stands between the two halves of a
        separable convolution, as in segmentation_models_pytorch.
    """
    (detail,) = picked_features(backbone, [_DETAIL])
    decoder = DetailDecoder(
        width,
        backbone.features[-1].stride,
        detail,
        width=width,
        separable=separable,
        norm=norm,
        align_corners=align_corners,
    )
    return Segmenter(
        backbone,
        num_classes,
        context=_pyramid(backbone, width, rates, image_pooling=image_pooling, separable=separable, norm=norm),
        decoder=decoder,
        head=nn.Conv2d(width, num_classes, 1),
        auxiliary=auxiliary_heads(backbone, num_classes, norm=norm, weight=auxiliary_weight),
        auxiliary_weight=auxiliary_weight,
        align_corners=align_corners,
        mean=mean,
        std=std,
    )


def pspnet(  # noqa: PLR0913 - the parts of a network
    backbone: Backbone,
    num_classes: int,
    *,
    width: int = 512,
    bins: Sequence[int] = (1, 2, 3, 6),
    norm: Norm = nn.BatchNorm2d,
    auxiliary_weight: float = AUXILIARY_WEIGHT,
    align_corners: bool = False,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Segmenter:
    """Return PSPNet.

    Args:
        backbone: Dilated to a stride of 8, as a rule.
        num_classes: See ``Segmenter``.
        width: Depth of the context.
        bins: See ``PyramidPooling``.
        norm: Of context and heads.
        auxiliary_weight: Of the loss of a second head, see ``auxiliary_heads``; 0 leaves it out. The paper's 0.4.
        align_corners: See ``Segmenter``.
        mean: See ``Segmenter``.
        std: See ``Segmenter``.

    Source:
        Zhao et al. 2016, https://arxiv.org/abs/1612.01105.
    """
    context = PyramidPooling(backbone.features[-1].channels, width, bins=bins, norm=norm, align_corners=align_corners)
    return Segmenter(
        backbone,
        num_classes,
        context=context,
        head=nn.Conv2d(width, num_classes, 1),
        auxiliary=auxiliary_heads(backbone, num_classes, norm=norm, weight=auxiliary_weight),
        auxiliary_weight=auxiliary_weight,
        align_corners=align_corners,
        mean=mean,
        std=std,
    )
