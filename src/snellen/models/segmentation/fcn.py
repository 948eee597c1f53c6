"""Fully convolutional networks: scores of several maps, added up (FCN-32s, 16s, 8s), and torchvision's dilated one."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from snellen.models.backbones import Backbone
from snellen.models.segmentation.segmenter import Decoder, FcnHead, Segmenter
from snellen.nn import BilinearTransposed, Norm
from snellen.structures import FeatureSpec

__all__ = ["ScoreFusion", "auxiliary_heads", "auxiliary_names", "dilated_fcn", "skip_fcn"]

_INITIAL_SPREAD = 0.01  # of the deepest scores

# The parts of torchvision's FCN.
_FCN_NAMES: tuple[tuple[str, str], ...] = ((r"^classifier\.([01])\.", r"head.0.\1."), (r"^classifier\.4\.", "head.2."))


class ScoreFusion(Decoder):
    """Scores of the deepest map, enlarged twice and added to those of the next finer map, and so on.

    Args:
        features: Maps to score, finest first; the last one is the deepest.
        num_classes: Depth of the scores.

    Source:
        Long et al. 2015, section 4.2 and figure 3, https://arxiv.org/abs/1411.4038: enlargements begin as bilinear
        interpolation, scores of finer maps as zeros, so that a net begins as its coarser sibling. Differs: the deepest
        scores begin at random, for behind zeros no layer would learn at the first step.
    """

    def __init__(self, features: Sequence[FeatureSpec], num_classes: int) -> None:
        super().__init__()
        self.names = [spec.name for spec in features]
        self.depths, self.strides = (num_classes,), (features[0].stride,)
        scores = {spec.name: nn.Conv2d(spec.channels, num_classes, 1) for spec in features}
        for name, score in scores.items():
            nn.init.normal_(score.weight, std=_INITIAL_SPREAD if name == self.names[-1] else 0.0)
            if score.bias is not None:
                nn.init.zeros_(score.bias)
        self.scores = nn.ModuleDict(scores)
        self.ups = nn.ModuleDict(
            {
                finer.name: BilinearTransposed(num_classes, coarser.stride // finer.stride)
                for finer, coarser in pairwise(features)
            }
        )

    def forward(
        self, x: Float[Tensor, "batch _ _ _"], maps: Mapping[str, Tensor], canvas: tuple[int, int]
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """Return the scores; see ``Decoder``."""
        del canvas
        *finer, deepest = self.names
        scores = self.scores[deepest](x)
        for name in reversed(finer):
            fine = self.scores[name](maps[name])
            scores = self.ups[name](scores)[:, :, : fine.shape[-2], : fine.shape[-1]] + fine
        return [scores]


def skip_fcn(
    backbone: Backbone,
    num_classes: int,
    *,
    finest: int,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Segmenter:
    """Return FCN-32s, 16s or 8s on any backbone.

    The networks of one backbone have the same keys but for the maps that they add, so that weights of a coarser one
    are a start for a finer one, as in the paper.

    Args:
        backbone: As a rule without classifier; ``FcnVgg16`` in the paper.
        num_classes: See ``Segmenter``.
        finest: Stride in pixels of the finest map whose scores are added: 32, 16 or 8.
        mean: See ``Segmenter``.
        std: See ``Segmenter``.

    Source:
        Long et al. 2015, section 4.2, https://arxiv.org/abs/1411.4038. The last enlargement is fixed, as there.
    """
    deepest = backbone.features[-1]
    by_stride = {spec.stride: spec for spec in backbone.features}  # of maps of one stride the last
    scored = [spec for stride, spec in by_stride.items() if finest <= stride < deepest.stride] + [deepest]
    return Segmenter(
        backbone, num_classes, decoder=ScoreFusion(scored, num_classes), head=nn.Identity(), mean=mean, std=std
    )


def dilated_fcn(
    backbone: Backbone,
    num_classes: int,
    *,
    norm: Norm = nn.BatchNorm2d,
    auxiliary_weight: float = 0.5,
    align_corners: bool = False,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Segmenter:
    """Return an FCN of one fine map: a dilated backbone, a 3×3 convolution, scores; torchvision's ``fcn_resnet50``.

    Args:
        backbone: Dilated to a stride of 8, there.
        num_classes: See ``Segmenter``.
        norm: Of the heads.
        auxiliary_weight: Of the loss of a second head, see ``auxiliary_heads``; 0 leaves it out. torchvision's 0.5.
        align_corners: See ``Segmenter``.
        mean: See ``Segmenter``.
        std: See ``Segmenter``.

    Source:
        torchvision's ``fcn_resnet50``, whose weights are read.
    """
    auxiliary = auxiliary_heads(backbone, num_classes, norm=norm, weight=auxiliary_weight)
    return Segmenter(
        backbone,
        num_classes,
        head=FcnHead(backbone.features[-1].channels, num_classes, norm=norm),
        auxiliary=auxiliary,
        auxiliary_weight=auxiliary_weight,
        align_corners=align_corners,
        foreign_names=(*_FCN_NAMES, *auxiliary_names(auxiliary)),
        mean=mean,
        std=std,
    )


def auxiliary_heads(backbone: Backbone, num_classes: int, *, norm: Norm, weight: float) -> dict[str, nn.Module]:
    """Return a head on the last inner map of a backbone, where it has any, or else on the map before the last.

    Inner maps at the size of the image are none for this. None where there is no such map or its loss weighs nothing.
    """
    places = [*backbone.features[-2:-1], *(spec for spec in backbone.inner if spec.stride > 1)]
    if weight == 0 or not places:
        return {}
    spec = places[-1]
    return {spec.name: FcnHead(spec.channels, num_classes, norm=norm)}


def auxiliary_names(heads: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the rules that read the auxiliary head of torchvision's segmenters, the last of ``heads``."""
    return tuple(
        rule
        for name in list(heads)[-1:]
        for rule in (
            (r"^aux_classifier\.([01])\.", rf"auxiliary.{name}.0.\1."),
            (r"^aux_classifier\.4\.", f"auxiliary.{name}.2."),
        )
    )
