"""Networks that are one module after the other, with maps taken in between."""

from collections.abc import Mapping, Sequence

from jaxtyping import Float
from torch import Tensor, nn

from snellen.models.backbones.backbone import Backbone
from snellen.structures import FeatureSpec

__all__ = ["ChainNet"]


class ChainNet(Backbone):
    """Modules that each read what the one before returns.

    Args:
        layers: By name, from first to last.
        ends: For each feature, finest first, the name of the module whose output it is, and its depth.
        inner: The same for maps in between, by the names that they get.
        least_size: Smallest side in pixels of a canvas on which every map has a cell.

    Attributes:
        features: Named ``c1`` (stride 2) and so on.
    """

    def __init__(
        self,
        layers: Mapping[str, nn.Module],
        ends: Mapping[str, tuple[str, int]],
        *,
        inner: Mapping[str, tuple[str, int]] | None = None,
        least_size: int = 1,
    ) -> None:
        super().__init__()
        between = {} if inner is None else inner
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.order = tuple(layers)
        self.features = _specs(ends)
        self.inner = _specs(between)
        self.ends = {layer: name for name, (layer, _) in ends.items()}
        self.inner_ends = {layer: name for name, (layer, _) in between.items()}
        self.least_size = least_size

    def forward(
        self, x: Float[Tensor, "batch 3 height width"], *, inner: bool = False
    ) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps of ``features`` by name, and those of ``inner``, if they are wanted."""
        maps = {}
        for name in self.order:
            x = self.get_submodule(name)(x)
            if name in self.ends:
                maps[self.ends[name]] = x
            if inner and name in self.inner_ends:
                maps[self.inner_ends[name]] = x
        return maps

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules between one feature and the next, by the name of the feature they end in."""
        stages: dict[str, Sequence[nn.Module]] = {}
        pending: list[nn.Module] = []
        for name in self.order:
            pending.append(self.get_submodule(name))
            if name in self.ends:
                stages[self.ends[name]] = tuple(pending)
                pending = []
        return stages


def _specs(ends: Mapping[str, tuple[str, int]]) -> tuple[FeatureSpec, ...]:
    return tuple(
        FeatureSpec(name=name, channels=channels, stride=2 ** int(name[1])) for name, (_, channels) in ends.items()
    )
