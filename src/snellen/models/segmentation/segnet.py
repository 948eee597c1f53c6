"""SegNet: a decoder that puts values back to where the encoder's pools took the maxima from."""

from collections.abc import Mapping, Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from snellen.errors import ConfigError
from snellen.models.backbones import Backbone
from snellen.models.segmentation.segmenter import Decoder, Segmenter
from snellen.nn import ConvNormAct, Norm, pooled_places, unpooled

__all__ = ["VGG16_DECODER", "Unpooling", "segnet"]

VGG16_DECODER = (3, 3, 3, 2, 1)  # convolutions of each step, mirrored from VGG-16; the head is the last one of the last
_USUAL_CONVS = 2  # of a step, on other backbones


class Unpooling(Decoder):
    """Steps of twice the size: unpooled by the places of the maxima in the encoder's map, then convolved.

    Nothing of the encoder but those places is looked at: where a map of a step's size has its maximum in every window
    of 2 × 2, there the decoder's value goes, the other three are 0. In VGG these are the places of its own pools. Steps
    for which the encoder has no map repeat cells.

    Args:
        backbone: Encoder; its maps at inner places count.
        num_convs: Of each step, deepest first; None for 2 and, in the last one, 1.
        norm: Makes the norm layers from the number of channels.

    Raises:
        ConfigError: If there is not a number of 1 or more for each step.

    Source:
        Badrinarayanan et al. 2015, section 3, https://arxiv.org/abs/1511.00561.
    """

    def __init__(
        self, backbone: Backbone, *, num_convs: Sequence[int] | None = None, norm: Norm = nn.BatchNorm2d
    ) -> None:
        super().__init__()
        deepest = backbone.features[-1]
        self.strides = tuple(deepest.stride >> step for step in range(1, deepest.stride.bit_length()))
        counts = [_USUAL_CONVS] * (len(self.strides) - 1) + [1] if num_convs is None else list(num_convs)
        if len(counts) != len(self.strides) or min(counts, default=1) < 1:
            raise ConfigError(
                f"num_convs needs a number of 1 or more for each doubling from stride {deepest.stride} to the pixel "
                f"({len(self.strides)}); got {counts}."
            )
        by_stride = {spec.stride: spec for spec in (*backbone.inner, *backbone.features)}
        self.read = [by_stride.get(stride) for stride in self.strides]
        widths, below = [], deepest.channels
        for spec in self.read:
            below = below if spec is None else spec.channels
            widths.append(below)
        self.depths = (*widths[1:], widths[-1])
        enters = deepest.channels == widths[0]
        self.enter = nn.Identity() if enters else ConvNormAct(deepest.channels, widths[0], kernel=1, norm=norm)
        self.steps = nn.ModuleList(
            nn.Sequential(
                *(ConvNormAct(width, width, norm=norm) for _ in range(count - 1)),
                ConvNormAct(width, depth, norm=norm),
            )
            for width, depth, count in zip(widths, self.depths, counts, strict=True)
        )

    def forward(
        self, x: Float[Tensor, "batch _ _ _"], maps: Mapping[str, Tensor], canvas: tuple[int, int]
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """Return the maps on the way up; see ``Decoder``."""
        levels = [self.enter(x)]
        for spec, stride, step in zip(self.read, self.strides, self.steps, strict=True):
            size = (-(-canvas[0] // stride), -(-canvas[1] // stride))
            if spec is None:
                finer = functional.interpolate(levels[-1], size=size, mode="nearest")
            else:
                finer = unpooled(levels[-1], pooled_places(maps[spec.name])[1], size)
            levels.append(step(finer))
        return levels[1:]


def segnet(
    backbone: Backbone,
    num_classes: int,
    *,
    num_convs: Sequence[int] | None = None,
    norm: Norm = nn.BatchNorm2d,
    deep_supervision: bool = False,
    auxiliary_weight: float = 0.4,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Segmenter:
    """Return SegNet on any backbone; the published one is VGG-16 with batch norm.

    Args:
        backbone: Encoder.
        num_classes: See ``Segmenter``.
        num_convs: See ``Unpooling``.
        norm: Of the decoder.
        deep_supervision: See ``Segmenter``.
        auxiliary_weight: See ``Segmenter``.
        mean: See ``Segmenter``.
        std: See ``Segmenter``.

    Raises:
        ConfigError: As ``Unpooling``.

    Source:
        Badrinarayanan et al. 2015, figure 2 and section 3, https://arxiv.org/abs/1511.00561.
    """
    decoder = Unpooling(backbone, num_convs=num_convs, norm=norm)
    head = nn.Conv2d(decoder.depths[-1], num_classes, 3, padding=1)
    for layer in (*decoder.modules(), head):
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return Segmenter(
        backbone, num_classes, decoder=decoder, head=head, deep_supervision=deep_supervision,
        auxiliary_weight=auxiliary_weight, mean=mean, std=std,
    )  # fmt: skip
