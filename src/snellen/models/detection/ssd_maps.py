"""What SSD looks at: the maps, and the default boxes on them.

Source:
    Liu et al. 2016, https://arxiv.org/abs/1512.02325.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from snellen.errors import ConfigError
from snellen.nn import L2Norm
from snellen.structures import FeatureSpec

__all__ = ["DefaultBoxTable", "SsdMaps", "box_table", "initialise_xavier"]

# Pixels from cell to cell of SSD300's maps, rounded as in the authors' code; they fit 300 px only.
STEPS_AT_300 = (8.0, 16.0, 32.0, 64.0, 100.0, 300.0)
# Scale of the first map, then of the second and of the last, as shares of the side; the authors' for COCO.
SCALES_BELOW_512 = (0.07, 0.15, 0.87)
SCALES_FROM_512 = (0.04, 0.10, 0.90)
# Layers behind the backbone: depth of the 1×1 convolution and of the one that shrinks the map.
_FIRST_EXTRA = (256, 512)
_LATER_EXTRA = (128, 256)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultBoxTable:
    """Size and shape of the default boxes of each map.

    Attributes:
        scales: Of each map, as a share of the canvas's sides: its own, and that with which the second square's is
            averaged.
        aspect_ratios: Of each map, above 1; each stands for a lying and a standing box.
        steps: Pixels from cell to cell of each map; None divides the canvas evenly.
    """

    scales: tuple[tuple[float, float], ...]
    aspect_ratios: tuple[tuple[float, ...], ...]
    steps: tuple[float, ...] | None = None


class SsdMaps(nn.Module):
    """The maps that SSD looks at: those of the backbone and smaller and smaller ones behind it, down to one cell.

    A map behind the backbone is a 1×1 convolution and one that shrinks: 3×3 with stride 2, but 3×3 without
    padding from five or three cells on, and 4×4 from two. At 300 px that gives 10, 5, 3 and 1 cells, at 512 px
    16, 8, 4, 2 and 1, as in the authors' networks.

    Args:
        inputs: Maps of the backbone, finest first.
        image_size: Side of the canvas in pixels; decides how many maps there are.
        norm_first: Whether the first map gets an ``L2Norm``, which VGG's conv4_3 needs.
        maps: Which of the maps are judged, by number, finest first; None for all. What no judged map needs is not
            built.

    Attributes:
        features: The judged maps.
        count: How many maps there would be with ``maps`` None.
        last_input: Name of the last map of the backbone that is needed.

    Raises:
        ConfigError: If a map is asked for that is not there.

    Source:
        Liu et al. 2016, section 2.1 and figure 2, footnote 5; the L2 norm: section 3.1.
    """

    features: tuple[FeatureSpec, ...]

    def __init__(
        self,
        inputs: Sequence[FeatureSpec],
        *,
        image_size: int,
        norm_first: bool,
        maps: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        specs = list(inputs)
        extras: list[nn.Module] = []
        grid = -(-image_size // specs[-1].stride)
        while grid > 1:
            squeeze, width = _FIRST_EXTRA if not extras else _LATER_EXTRA
            layer, grid = _shrinking(specs[-1].channels, squeeze, width, grid)
            extras.append(layer)
            stride = -(-image_size // grid)
            specs.append(FeatureSpec(name=f"extra{len(extras)}", channels=width, stride=stride))
        self.count = len(specs)
        self.maps = tuple(range(len(specs))) if maps is None else tuple(maps)
        if not self.maps or [*self.maps] != sorted({*self.maps} & {*range(len(specs))}):
            raise ConfigError(
                f"SSD at {image_size} px expects maps among 0..{len(specs) - 1}, rising; got {list(self.maps)}. "
                "Leave some out, but keep the order."
            )
        self.features = tuple(specs[number] for number in self.maps)
        self.last_input = inputs[min(self.maps[-1], len(inputs) - 1)].name
        self.first_input = inputs[0].name
        self.norm = L2Norm(inputs[0].channels) if norm_first and self.maps[0] == 0 else None
        self.extras = nn.ModuleList(extras[: max(0, self.maps[-1] + 1 - len(inputs))])
        initialise_xavier(self.extras)

    def forward(self, features: Mapping[str, Float[Tensor, "batch _ _ _"]]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the judged maps by name."""
        found = dict(features)
        if self.norm is not None:
            found[self.first_input] = self.norm(found[self.first_input])
        x = found[self.last_input]
        for number, layer in enumerate(self.extras, 1):
            x = layer(x)
            found[f"extra{number}"] = x
        return {spec.name: found[spec.name] for spec in self.features}


def _shrinking(channels: int, squeeze: int, width: int, grid: int) -> tuple[nn.Sequential, int]:
    """Return the layers that make a smaller map, and its cells per side."""
    if grid == 2:
        last, grid = nn.Conv2d(squeeze, width, 4, padding=1), 1
    elif grid in (3, 5):
        last, grid = nn.Conv2d(squeeze, width, 3), grid - 2
    else:
        last, grid = nn.Conv2d(squeeze, width, 3, stride=2, padding=1), -(-grid // 2)
    first = nn.Conv2d(channels, squeeze, 1)
    return nn.Sequential(first, nn.ReLU(inplace=True), last, nn.ReLU(inplace=True)), grid


def box_table(
    maps: Sequence[int],
    count: int,
    image_size: int,
    *,
    scales: Sequence[float] | None = None,
    aspect_ratios: Sequence[Sequence[float]] | None = None,
) -> DefaultBoxTable:
    """Return the default boxes of the judged ``maps`` among ``count`` maps.

    Args:
        maps: Numbers of the judged maps.
        count: How many maps the network has.
        image_size: Side of the canvas in pixels.
        scales: One for each map and one more; None spaces them evenly as the authors do for COCO.
        aspect_ratios: Of each map; None takes 2 on the first and on the last two maps, 2 and 3 between.

    Raises:
        ConfigError: If the lists do not have ``count + 1`` and ``count`` entries.

    Source:
        Liu et al. 2016, eq. 4 and section 3.4; the first map's scale stands outside the even spacing.
    """
    if scales is None:
        first, low, high = SCALES_BELOW_512 if image_size < 512 else SCALES_FROM_512
        step = (high - low) / max(1, count - 2)
        scales = (first, *(low + step * number for number in range(count)))
    if aspect_ratios is None:
        aspect_ratios = [(2.0,) if number in (0, count - 2, count - 1) else (2.0, 3.0) for number in range(count)]
    if len(scales) != count + 1 or len(aspect_ratios) != count:
        raise ConfigError(
            f"SSD at {image_size} px has {count} maps and expects {count + 1} scales and {count} rows of aspect "
            f"ratios; got {len(scales)} and {len(aspect_ratios)}. Add or remove entries."
        )
    steps = STEPS_AT_300 if image_size == 300 and count == len(STEPS_AT_300) else None
    return DefaultBoxTable(
        scales=tuple((scales[number], scales[number + 1]) for number in maps),
        aspect_ratios=tuple(tuple(aspect_ratios[number]) for number in maps),
        steps=None if steps is None else tuple(steps[number] for number in maps),
    )


def initialise_xavier(module: nn.Module) -> None:
    """Start convolutions as the authors do: Glorot and Bengio 2010, uniform; biases 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
