"""Networks that are one module after the other, with maps taken in between."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from jaxtyping import Float
from torch import Tensor, nn

from snellen.models.backbones.backbone import Backbone
from snellen.structures import FeatureSpec

__all__ = ["ChainNet", "chain_maps", "chain_stages"]

Key = TypeVar("Key", bound=Hashable)


def chain_maps(layers: Iterable[tuple[Key, nn.Module]], ends: Mapping[Key, str], x: Tensor) -> dict[str, Tensor]:
    """Return what comes out of some modules of a chain, by the names of the maps.

    Args:
        layers: Modules that each read what the one before returns, with what ``ends`` calls them.
        ends: Name of the map that a module ends.
        x: What goes into the first.
    """
    maps = {}
    for key, layer in layers:
        x = layer(x)
        if key in ends:
            maps[ends[key]] = x
    return maps


def chain_stages(layers: Iterable[tuple[Key, nn.Module]], ends: Mapping[Key, str]) -> dict[str, Sequence[nn.Module]]:
    """Return the modules between one map and the next, by the name of the map they end in; see ``chain_maps``."""
    stages: dict[str, Sequence[nn.Module]] = {}
    pending: list[nn.Module] = []
    for key, layer in layers:
        pending.append(layer)
        if key in ends:
            stages[ends[key]] = tuple(pending)
            pending = []
    return stages


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
        wanted = {**self.ends, **self.inner_ends} if inner else self.ends
        return chain_maps(self._layers(), wanted, x)

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules between one feature and the next, by the name of the feature they end in."""
        return chain_stages(self._layers(), self.ends)

    def _layers(self) -> list[tuple[str, nn.Module]]:
        return [(name, self.get_submodule(name)) for name in self.order]


def _specs(ends: Mapping[str, tuple[str, int]]) -> tuple[FeatureSpec, ...]:
    return tuple(
        FeatureSpec(name=name, channels=channels, stride=2 ** int(name[1])) for name, (_, channels) in ends.items()
    )
