"""What lies around a cell: atrous pyramids (DeepLab) and pyramids of bins over the whole image (PSPNet)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from snellen.errors import ConfigError
from snellen.models.segmentation.segmenter import Context
from snellen.nn import ConvNormAct, Norm, SeparableConv2d, content_grid, content_mean, spread_over_content

__all__ = ["AtrousPyramid", "ImagePooling", "PyramidPooling", "usual_rates"]

_USUAL_RATES = (6, 12, 18)  # at an output stride of 16; Chen et al. 2017, section 3.3
_USUAL_BINS = (1, 2, 3, 6)  # Zhao et al. 2016, section 3.2


def usual_rates(output_stride: int) -> tuple[int, ...]:
    """Return the dilations of an atrous pyramid that reach as far in pixels as 6, 12, 18 at an output stride of 16.

    Source:
        Chen et al. 2017, section 3.3: doubled at an output stride of 8, https://arxiv.org/abs/1706.05587.
    """
    return tuple(max(1, round(rate * 16 / output_stride)) for rate in _USUAL_RATES)


class ImagePooling(nn.Module):
    """Means over bins of each image's own cells, a 1×1 convolution, and back over those cells.

    Batch norm cannot be trained on a single number of each channel: for one image in one bin it uses the statistics
    that it has collected.

    Args:
        in_channels: Depth of the map.
        out_channels: Depth of the result.
        side: Bins along each axis.
        norm: Makes the norm layer from the number of channels.
        align_corners: See ``spread_over_content``.

    Source:
        Liu et al. 2015 (ParseNet), section 3.1, https://arxiv.org/abs/1506.04579.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        side: int = 1,
        norm: Norm = nn.BatchNorm2d,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        self.side, self.align_corners = side, align_corners
        self.conv = ConvNormAct(in_channels, out_channels, kernel=1, norm=norm)

    def forward(
        self, x: Float[Tensor, "batch channels rows columns"], cells: Int64[Tensor, "batch 2"]
    ) -> Float[Tensor, "batch out_channels rows columns"]:
        """Return what was pooled, spread over the map."""
        is_mean = self.side == 1  # then there is nothing to interpolate
        pooled = content_mean(x, cells).to(x.dtype)[..., None, None] if is_mean else content_grid(x, cells, self.side)
        norm = self.conv[1]
        was_training = norm.training
        if len(pooled) * self.side**2 == 1:
            norm.eval()
        grid: Tensor = self.conv(pooled)
        norm.train(was_training)
        if is_mean:
            return grid.expand(-1, -1, *x.shape[-2:])
        return spread_over_content(grid, cells, (x.shape[-2], x.shape[-1]), align_corners=self.align_corners)


class AtrousPyramid(Context):
    """Atrous spatial pyramid pooling: a 1×1 convolution, dilated 3×3 ones and the mean of the image, side by side.

    Args:
        in_channels: Depth of the map.
        out_channels: Depth of each branch, and of the result.
        rates: Dilations of the 3×3 convolutions. Where one is as large as the map, only its middle weights see cells.
        image_pooling: Whether the mean of the image is a branch.
        separable: Whether the dilated convolutions are separable.
        norm: Makes the norm layers from the number of channels.
        dropout: Share of the result that training sets to zero.

    Raises:
        ConfigError: If a rate is below 1.

    Source:
        Chen et al. 2017, section 3.3, https://arxiv.org/abs/1706.05587; separable: Chen et al. 2018, section 3.1,
        https://arxiv.org/abs/1802.02611. Dropout as in torchvision's ``ASPP``, whose weights are read.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        *,
        rates: Sequence[int] = _USUAL_RATES,
        image_pooling: bool = True,
        separable: bool = False,
        norm: Norm = nn.BatchNorm2d,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if min(rates, default=1) < 1:
            raise ConfigError(f"rates must be whole numbers of 1 or more; got {list(rates)}.")
        self.out_channels = out_channels
        self.convs = nn.ModuleList([ConvNormAct(in_channels, out_channels, kernel=1, norm=norm)])
        for rate in rates:
            self.convs.append(dilated_conv(in_channels, out_channels, rate, separable=separable, norm=norm))
        self.pooling = ImagePooling(in_channels, out_channels, norm=norm) if image_pooling else None
        branches = len(self.convs) + image_pooling
        self.project = ConvNormAct(branches * out_channels, out_channels, kernel=1, norm=norm)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "batch channels rows columns"], cells: Int64[Tensor, "batch 2"]
    ) -> Float[Tensor, "batch out_channels rows columns"]:
        """Return the map; see ``Context``."""
        branches = [conv(x) for conv in self.convs]
        if self.pooling is not None:
            branches.append(self.pooling(x, cells))
        result: Tensor = self.dropout(self.project(torch.cat(branches, dim=1)))
        return result


class PyramidPooling(Context):
    """Means over 1, 4, 9 and 36 bins of the whole image, put beside the map.

    Args:
        in_channels: Depth of the map; each of the bins' branches gets its share of as many.
        out_channels: Depth of the result.
        bins: Along each axis, for each branch.
        norm: Makes the norm layers from the number of channels.
        dropout: Share of the result that training sets to zero.
        align_corners: How bins are spread over the map; see ``spread_over_content``.

    Source:
        Zhao et al. 2016, section 3.2 and figure 3, https://arxiv.org/abs/1612.01105. Bins are those of each image's own
        cells.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 512,
        *,
        bins: Sequence[int] = _USUAL_BINS,
        norm: Norm = nn.BatchNorm2d,
        dropout: float = 0.1,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        width = max(1, in_channels // len(bins))
        self.branches = nn.ModuleList(
            ImagePooling(in_channels, width, side=side, norm=norm, align_corners=align_corners) for side in bins
        )
        self.project = ConvNormAct(in_channels + len(bins) * width, out_channels, norm=norm)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "batch channels rows columns"], cells: Int64[Tensor, "batch 2"]
    ) -> Float[Tensor, "batch out_channels rows columns"]:
        """Return the map; see ``Context``."""
        pooled = [branch(x, cells) for branch in self.branches]
        result: Tensor = self.dropout(self.project(torch.cat([x, *pooled], dim=1)))
        return result


def dilated_conv(
    in_channels: int, out_channels: int, rate: int, *, separable: bool, norm: Norm = nn.BatchNorm2d
) -> nn.Sequential:
    """Return a 3×3 convolution with norm and ReLU, separable or not."""
    if not separable:
        return ConvNormAct(in_channels, out_channels, dilation=rate, norm=norm)
    return nn.Sequential(SeparableConv2d(in_channels, out_channels, dilation=rate), norm(out_channels), nn.ReLU())
