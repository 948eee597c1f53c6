"""LR-ASPP: one weighed 1×1 convolution for a context, and the scores of a finer map added."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from snellen.models.backbones import Backbone, picked_features
from snellen.models.segmentation.segmenter import Context, Decoder, Segmenter
from snellen.nn import ConvNormAct, Norm, content_mean, enlarged
from snellen.structures import FeatureSpec

__all__ = ["LiteContext", "LiteFusion", "lraspp"]

_WIDTH = 128  # Howard et al. 2019, table 7

# torchvision's LRASPP.
_TORCHVISION_NAMES: tuple[tuple[str, str], ...] = (
    (r"^classifier\.cbr\.", "context.conv."),
    (r"^classifier\.scale\.1\.", "context.scale."),
    (r"^classifier\.low_classifier\.", "decoder.fine."),
    (r"^classifier\.high_classifier\.", "decoder.coarse."),
)


class LiteContext(Context):
    """A 1×1 convolution whose channels are weighed by the mean of the image.

    Args:
        in_channels: Depth of the map.
        out_channels: Depth of the result.
        norm: Makes the norm layer from the number of channels.

    Source:
        Howard et al. 2019, section 6.4 and figure 10, https://arxiv.org/abs/1905.02244. Differs, as torchvision does:
        the mean is that of the whole image and not of windows of 49 × 49 cells.
    """

    def __init__(self, in_channels: int, out_channels: int = _WIDTH, *, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.conv = ConvNormAct(in_channels, out_channels, kernel=1, norm=norm)
        self.scale = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(
        self, x: Float[Tensor, "batch channels rows columns"], cells: Int64[Tensor, "batch 2"]
    ) -> Float[Tensor, "batch out_channels rows columns"]:
        """Return the map; see ``Context``."""
        weights = self.scale(content_mean(x, cells).to(x.dtype)[..., None, None])
        result: Tensor = self.conv(x) * torch.sigmoid(weights)
        return result


class LiteFusion(Decoder):
    """Scores of the context, enlarged, and those of a finer map, added.

    Args:
        in_channels: Depth of the context.
        in_stride: Of the context in pixels.
        detail: The finer map.
        num_classes: Depth of the result.
        align_corners: How the context is enlarged; see ``snellen.nn.enlarged``.

    Source:
        Howard et al. 2019, figure 10, https://arxiv.org/abs/1905.02244.
    """

    def __init__(
        self, in_channels: int, in_stride: int, detail: FeatureSpec, num_classes: int, *, align_corners: bool = False
    ) -> None:
        super().__init__()
        self.detail, self.factor, self.align_corners = detail.name, in_stride // detail.stride, align_corners
        self.depths, self.strides = (num_classes,), (detail.stride,)
        self.fine = nn.Conv2d(detail.channels, num_classes, 1)
        self.coarse = nn.Conv2d(in_channels, num_classes, 1)

    def forward(
        self, x: Float[Tensor, "batch _ _ _"], maps: Mapping[str, Tensor], canvas: tuple[int, int]
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """Return the scores at the stride of the finer map; see ``Decoder``."""
        del canvas
        fine = maps[self.detail]
        # Scores, which are few, are enlarged and not the context: both orders are one linear map.
        coarse = enlarged(
            self.coarse(x), (fine.shape[-2], fine.shape[-1]), stride=self.factor, align_corners=self.align_corners
        )
        return [self.fine(fine) + coarse]


def lraspp(
    backbone: Backbone,
    num_classes: int,
    *,
    detail: str,
    width: int = _WIDTH,
    norm: Norm = nn.BatchNorm2d,
    align_corners: bool = False,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Segmenter:
    """Return LR-ASPP.

    Args:
        backbone: Dilated to a stride of 16, as a rule.
        num_classes: See ``Segmenter``.
        detail: Name of the finer map whose scores are added, at a stride of 8 as a rule.
        width: Depth of the context.
        norm: Of the context.
        align_corners: See ``Segmenter``.
        mean: See ``Segmenter``.
        std: See ``Segmenter``.

    Raises:
        ConfigError: If the backbone has no such map.

    Source:
        Howard et al. 2019, section 6.4, https://arxiv.org/abs/1905.02244. torchvision's weights are read.
    """
    deepest = backbone.features[-1]
    (fine,) = picked_features(backbone, [detail], inner=True)
    return Segmenter(
        backbone,
        num_classes,
        context=LiteContext(deepest.channels, width, norm=norm),
        decoder=LiteFusion(width, deepest.stride, fine, num_classes, align_corners=align_corners),
        head=nn.Identity(),
        align_corners=align_corners,
        foreign_names=_TORCHVISION_NAMES,
        mean=mean,
        std=std,
    )
