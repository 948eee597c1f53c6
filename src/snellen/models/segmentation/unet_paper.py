"""U-Net as published: unpadded convolutions on mirrored images."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from snellen.errors import ConfigError
from snellen.models.segmentation.segmenter import PixelModel, SegmentationOutput
from snellen.nn import IMAGENET_MEAN, IMAGENET_STD, Normalize
from snellen.structures import ImageBatch, Target

__all__ = ["UNetPaper", "mirrored"]

_LEVELS = 5  # depths of 64, 128, 256, 512 and 1024
_DROPPED_LEVELS = 2  # the deepest, "at the end of the contracting path"
_HEAD_SPREAD = 0.01  # of the first weights of the scores
_POOLS = 1 << (_LEVELS - 1)  # cells of the finest level for one of the deepest


class UNetPaper(PixelModel):
    """U-Net with the layers of its paper: twenty-three convolutions without padding, and no norm.

    An answer needs 92 pixels around it. What lies beyond the image is the image mirrored, as in the paper's overlap
    tiles; on canvases larger than their image the padding is replaced so, too.

    Args:
        num_classes: See ``PixelModel``.
        width: Depth of the first level, doubled four times; 64 in the paper.
        dropout: Share of the values that training sets to zero at the end of the contracting path.
        mean: Of R, G, B where 1 is full scale.
        std: Spread of R, G, B where 1 is full scale.

    Raises:
        ConfigError: If the width is below 1, or as ``PixelModel``.

    Source:
        Ronneberger et al. 2015, figure 1 and section 2, https://arxiv.org/abs/1505.04597; first weights: section 3.
        Differs: any number of classes, images in colour; scores begin small, so that first answers are undecided.
    """

    stride = 1  # any canvas will do

    def __init__(
        self,
        num_classes: int,
        *,
        width: int = 64,
        dropout: float = 0.5,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__(num_classes)
        if width < 1:
            raise ConfigError(f"width must be a whole number of 1 or more; got {width}. The paper has 64.")
        self.normalize = Normalize(mean, std)
        self.answer_stride = 1
        depths = [width * 2**level for level in range(_LEVELS)]
        self.down = nn.ModuleList(_pair(below, depth) for below, depth in pairwise([3, *depths]))
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(dropout)
        steps = [*pairwise(reversed(depths))]
        self.up = nn.ModuleList(nn.ConvTranspose2d(deep, depth, 2, 2) for deep, depth in steps)
        self.merge = nn.ModuleList(_pair(2 * depth, depth) for _, depth in steps)
        self.head = nn.Conv2d(width, num_classes, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.bias is not None:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        nn.init.normal_(self.head.weight, std=_HEAD_SPREAD)

    def forward(self, images: ImageBatch, targets: Target | None = None) -> SegmentationOutput:
        """Return the scores of every pixel; ``targets`` are not looked at."""
        del targets
        height, width = images.pixels.shape[-2:]
        answered = tuple(_answered(side) for side in (height, width))
        x = mirrored(self.normalize(images), images.sizes, (answered[0], answered[1]), margin=_MARGIN)
        logits = self.head(self.features(x))
        return SegmentationOutput(logits=logits[:, :, :height, :width], sizes=images.sizes)

    def features(self, x: Float[Tensor, "batch 3 _ _"]) -> Float[Tensor, "batch channels _ _"]:
        """Return the last map of an image, 184 pixels smaller: of 572 × 572 pixels 388 × 388."""
        skips = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else self.pool(x))
            if level >= _LEVELS - _DROPPED_LEVELS:
                x = self.dropout(x)
            skips.append(x)
        for up, merge, skip in zip(self.up, self.merge, reversed(skips[:-1]), strict=True):
            x = up(x)
            top, left = ((skip.shape[axis] - x.shape[axis]) // 2 for axis in (2, 3))
            cut = skip[:, :, top : top + x.shape[2], left : left + x.shape[3]]
            x = merge(torch.cat((cut, x), dim=1))
        return x


def mirrored(
    x: Float[Tensor, "batch channels height width"],
    sizes: Int64[Tensor, "batch 2"],
    size: tuple[int, int],
    *,
    margin: int,
) -> Float[Tensor, "batch channels _ _"]:
    """Return images of ``size`` with a margin around them, all beyond an image's own content being its mirror image.

    Args:
        x: Images on a canvas.
        sizes: Height and width of the content of each.
        size: Height and width that are wanted, without the margin.
        margin: Pixels on every side.
    """
    for axis in (0, 1):
        place = torch.arange(-margin, size[axis] + margin, device=x.device)
        last = (sizes[:, axis].to(x.device, non_blocking=True) - 1)[:, None]  # batch 1
        folded = place.remainder((2 * last).clamp(min=1))
        index = torch.minimum(folded, 2 * last - folded).clamp(min=0)  # batch length
        shape = [len(x), 1, -1, 1] if axis == 0 else [len(x), 1, 1, -1]
        wanted = [*x.shape]
        wanted[axis + 2] = index.shape[1]
        x = x.gather(axis + 2, index.view(shape).expand(wanted))
    return x


def _margin() -> int:
    """Return how many pixels are lost on each side, followed from the paper's 3×3 convolutions down and up."""
    # Each of two convolutions loses a cell of its level on each side, on the way down and, but at the bottom, up again.
    return 2 * sum((1 if level == _LEVELS - 1 else 2) << level for level in range(_LEVELS))


_MARGIN = _margin()  # 92
_SMALLEST = 4  # answers of the smallest image whose maps can all be halved: 188 pixels; each 16 more give 16 more


def _answered(side: int) -> int:
    """Return the least number of answers along an axis, ``side`` or more, for which every pooled map is even."""
    return _SMALLEST + -(-max(0, side - _SMALLEST) // _POOLS) * _POOLS


def _pair(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3), nn.ReLU(inplace=True),
        nn.Conv2d(out_channels, out_channels, 3), nn.ReLU(inplace=True),
    )  # fmt: skip
