"""The part of the image that a cell of a map really listens to, measured by gradients."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from snellen.errors import ConfigError, InputError
from snellen.models.backbones import Backbone, picked_features
from snellen.models.description import receptive_fields
from snellen.models.tracing import RunTracer, traced_modules

__all__ = ["EffectiveField", "effective_fields", "effective_size"]

# A pixel counts as long as its part is above this share: two standard deviations of a Gaussian hold 95.45 %; Luo et al.
# 2016, section 3. Differs: of the greatest part instead of that of the middle pixel, which a stride may pass over.
LEAST_SHARE = 1 - 0.9545
NUM_IMAGES = 8
_MOST_PX = 640  # side of the image; wider fields are measured as far as it reaches
_MARGIN_CELLS = 2  # beside the theoretical field, so that its edge can be seen


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EffectiveField:
    """What a cell in the middle of a map depends on, in theory and measured.

    Attributes:
        name: Of the feature.
        stride: Pixels from cell to cell.
        theory_px: Side of the square that a cell can depend on; infinite for the whole image, None if not known.
        size_px: Root of the number of pixels on which it depends by more than ``LEAST_SHARE`` of the greatest part.
        reached_px: Height and width of the smallest box around all pixels with any part at all.
        box_px: Left, top, right and bottom of the square in theory within the image, apart from gates; None if not
            known.
        parts: Mean size of the gradient at each pixel, the greatest 1, ``[side, side]``; the cell is in the middle.
    """

    name: str
    stride: int
    theory_px: float | None
    size_px: float
    reached_px: tuple[int, int]
    box_px: tuple[float, float, float, float] | None
    parts: NDArray[np.float32]


def effective_fields(
    backbone: Backbone,
    *,
    side: int | None = None,
    num_images: int = NUM_IMAGES,
    features: tuple[str, ...] | None = None,
    seed: int = 0,
) -> tuple[EffectiveField, ...]:
    """Measure what the middle cell of each feature depends on.

    The gradient of the middle cell, summed over its channels, is taken at images of noise; its size is averaged over
    them and over the colours. A network of random weights shows what the architecture makes easy, one with trained
    weights what was learned.

    Args:
        backbone: Its modes and gradients are left as they are.
        side: Of the images in pixels; None for the widest field and a margin, 640 px at most.
        num_images: Images of noise.
        features: Names of those to measure; None for all.
        seed: Of the noise.

    Raises:
        ConfigError: If there is no such feature.
        InputError: If there is no image, or it is smaller than a cell of the coarsest map.

    Source:
        Luo et al. 2016, section 3, https://arxiv.org/abs/1701.04128.
    """
    wanted = backbone.features if features is None else picked_features(backbone, features)
    theory = receptive_fields(backbone)
    side = _side(backbone, [theory[spec.name] for spec in wanted]) if side is None else side
    least = max(backbone.features[-1].stride, backbone.least_size)
    if num_images < 1 or side < least:
        raise InputError(
            f"the effective field needs at least one image of {least} px or more; got {num_images} of {side} px."
        )
    parts = _gradients(backbone, [spec.name for spec in wanted], side, num_images, seed)
    boxes = _boxes(backbone, side)
    return tuple(
        EffectiveField(
            name=spec.name,
            stride=spec.stride,
            theory_px=theory[spec.name],
            size_px=effective_size(each),
            reached_px=_extent(each),
            box_px=boxes[spec.name],
            parts=each,
        )
        for spec, each in zip(wanted, parts, strict=True)
    )


def effective_size(parts: NDArray[np.float32]) -> float:
    """Return the root of the number of pixels whose part is above ``LEAST_SHARE`` of the greatest one."""
    if not parts.size or parts.max() <= 0:
        raise ConfigError("an effective field needs a gradient; it is zero everywhere. Has the network any weights?")
    return float(np.sqrt((parts > LEAST_SHARE * parts.max()).sum()))


def _side(backbone: Backbone, fields: list[float | None]) -> int:
    stride = backbone.features[-1].stride
    known = [field for field in fields if field is not None and field != float("inf")]
    widest = max(known) if len(known) == len(fields) else _MOST_PX
    side = min(_MOST_PX, int(widest) + 2 * _MARGIN_CELLS * stride)
    return max(-(-side // stride) * stride, backbone.least_size)


def _boxes(backbone: Backbone, side: int) -> dict[str, tuple[float, float, float, float] | None]:
    """Return left, top, right and bottom of what the middle cell of each map sees apart from gates."""
    image = torch.zeros(1, 3, side, side, device=next(backbone.parameters()).device)
    tracer = RunTracer(image)
    with traced_modules(tracer, backbone):
        maps = backbone(image)
    found: dict[str, tuple[float, float, float, float] | None] = {}
    for name, each in maps.items():
        reach = tracer.reach(each)
        if reach is None or reach.spans is None or reach.local_field is None or reach.is_global:
            found[name] = None
            continue
        rows, columns = reach.spans
        row, column = each.shape[-2] // 2, each.shape[-1] // 2
        found[name] = (
            float(columns.low[column]),
            float(rows.low[row]),
            float(columns.high[column]) + 1,
            float(rows.high[row]) + 1,
        )
    return found


def _gradients(
    backbone: Backbone, names: list[str], side: int, num_images: int, seed: int
) -> list[NDArray[np.float32]]:
    generator = torch.Generator().manual_seed(seed)
    device = next(backbone.parameters()).device
    modes = [(module, module.training) for module in backbone.modules()]
    total = [torch.zeros(side, side) for _ in names]
    backbone.eval()
    try:
        for _ in range(num_images):
            image = torch.randn(1, 3, side, side, generator=generator).to(device).requires_grad_()
            maps = _maps(backbone, image)
            for place, name in enumerate(names):
                rows, columns = maps[name].shape[-2:]
                middle = maps[name][0, :, rows // 2, columns // 2].sum()
                (gradient,) = torch.autograd.grad(middle, image, retain_graph=place < len(names) - 1)
                total[place] += gradient[0].abs().sum(dim=0).cpu()
    finally:
        for module, mode in modes:
            module.training = mode
    return [(each / each.max().clamp(min=torch.finfo(torch.float32).tiny)).numpy() for each in total]


def _maps(backbone: nn.Module, image: Tensor) -> dict[str, Tensor]:
    with torch.enable_grad():
        maps: dict[str, Tensor] = backbone(image)
    return maps


def _extent(parts: NDArray[np.float32]) -> tuple[int, int]:
    rows, columns = np.nonzero(parts)
    if not len(rows):
        return 0, 0
    return int(rows.max() - rows.min() + 1), int(columns.max() - columns.min() + 1)
