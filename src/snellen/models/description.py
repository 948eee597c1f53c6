"""The figures of a network: layers, parameters, work, memory, how far a cell sees."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, cast

import torch
from torch import Tensor, nn

from snellen.models.backbones import Backbone, chosen_backbone
from snellen.models.entry import ModelEntry
from snellen.models.tracing import ModuleTrace, Reach, RunTracer, traced_modules
from snellen.structures import ImageBatch, Model, Regions

__all__ = [
    "FeatureDescription",
    "LayerDescription",
    "MapReach",
    "ModelDescription",
    "backbone_canvas",
    "blank_images",
    "count_parameters",
    "describe_backbone",
    "describe_model",
    "map_reaches",
    "receptive_fields",
    "sized_model",
]

_NUM_REGIONS = 16  # judged where proposals come from outside; a run has up to 2000
_BACKBONE_SIZE = (224, 224)  # at which papers count their networks


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureDescription:
    """One feature of a backbone.

    Attributes:
        name: Of the map.
        channels: Its depth.
        stride: Pixels from cell to cell.
        receptive_field_px: Longer side of the part of the image that a cell can depend on; infinite for all of it, as
            behind a gate of squeeze and excitation; None if it could not be followed.
        local_field_px: The same apart from what gates and norms over the whole map tell a cell.
    """

    name: str
    channels: int
    stride: int
    receptive_field_px: float | None
    local_field_px: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MapReach:
    """A map of features: its stride, and the side of the square of pixels that a cell sees; None if not known."""

    name: str
    stride: int
    receptive_field_px: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerDescription:
    """A module with all that lies in it.

    Attributes:
        path: From the network; empty for the network itself.
        kind: Name of its class.
        calls: How often it was called; 0 for a container whose parts are called, or weights that another module uses.
        output_shape: Of the first tensor that it returned last (of maps by name, the last one); None without any.
        num_parameters: Numbers that are learned, frozen ones included.
        multiply_adds: Of convolutions and matrix products.
        written_bytes: Results that its operations wrote, in the precision of the run; views and results written in
            place take none.
        receptive_field_px: Height and width of what a cell of the output can depend on; infinite for the whole image,
            None if the output is no map or it could not be followed.
        stride: Pixels from cell to cell of the output; None as above.
    """

    path: str
    kind: str
    calls: int
    output_shape: tuple[int, ...] | None
    num_parameters: int
    multiply_adds: int
    written_bytes: int
    receptive_field_px: tuple[float, float] | None
    stride: float | None

    @property
    def depth(self) -> int:
        """How many modules it lies in; 0 for the network itself."""
        return self.path.count(".") + 1 if self.path else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """What a network costs and what it sees.

    Attributes:
        name: Of the model or backbone.
        num_parameters: Numbers that are learned, frozen ones included.
        num_trainable: Those with a gradient.
        multiply_adds: Of one image of ``size``; convolutions and matrix products only.
        written_bytes: Results that one image writes, in float32.
        size: Height and width of the canvas that was counted, a multiple of the model's stride.
        regions: Proposals from outside that were judged; 0 for models that make their own.
        features: Of the backbone.
        layers: Every module, from the outside to the inside.
    """

    name: str
    num_parameters: int
    num_trainable: int
    multiply_adds: int
    written_bytes: int
    size: tuple[int, int]
    regions: int
    features: tuple[FeatureDescription, ...]
    layers: tuple[LayerDescription, ...]


def count_parameters(model: nn.Module, *, only_trainable: bool = False) -> int:
    """Return how many numbers are learned."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not only_trainable)


def describe_model(
    entry: ModelEntry,
    *,
    num_classes: int,
    size: tuple[int, int] | None = None,
    options: Mapping[str, Any] | None = None,
) -> ModelDescription:
    """Build a model of random weights, run one blank image through it and count.

    Args:
        entry: Row of the catalog.
        num_classes: Size of the head.
        size: Height and width of the input; None for the entry's own.
        options: Keywords of the builder.
    """
    built = sized_model(entry, num_classes, size=size, options=options)
    blank = blank_images(entry, built.stride, size=size)
    height, width = blank.pixels.shape[-2:]
    network = cast("nn.Module", built)
    tracer = RunTracer(blank.pixels)
    with traced_modules(tracer, network):
        network(blank)
    networks = [module for module in network.modules() if isinstance(module, Backbone)]
    backbone = next((each for each in networks if each.features[-1].stride <= max(height, width)), None)
    return _description(
        entry.name,
        network,
        tracer,
        size=(height, width),
        regions=_NUM_REGIONS if entry.regions else 0,
        features=() if backbone is None else _described(backbone),
    )


def sized_model(
    entry: ModelEntry, num_classes: int, *, size: tuple[int, int] | None, options: Mapping[str, Any] | None
) -> Model:
    """Return a model of random weights; one that is built for a size, for this one."""
    sized = {"image_size": size[0]} if entry.sized and size is not None else {}
    return entry.build(num_classes, **sized, **(options or {}))


def blank_images(entry: ModelEntry, stride: int, *, size: tuple[int, int] | None = None, count: int = 1) -> ImageBatch:
    """Return black images that fill their canvas, with proposals (the image in tiles) for models that judge such.

    Args:
        entry: Row of the catalog.
        stride: Of the model, to multiples of which the canvas is rounded up.
        size: Height and width; None for the entry's own.
        count: Of images.
    """
    height, width = (_rounded_up(side, stride) for side in size or entry.default_size)
    sizes = torch.tensor([[height, width]] * count)
    regions = _some_regions(height, width, count) if entry.regions else None
    pixels = torch.zeros(count, 3, height, width, dtype=torch.uint8)
    return ImageBatch(pixels=pixels, sizes=sizes, original_sizes=sizes.clone(), regions=regions)


def describe_backbone(name: str, *, size: tuple[int, int] | None = None) -> ModelDescription:
    """Build a backbone of random weights, run one blank image through it and count.

    Args:
        name: From ``BACKBONES``, or ``timm:NAME``.
        size: Height and width of the input; None for 224 x 224.

    Raises:
        ConfigError: If there is no such backbone.
        MissingExtraError: If it is one of timm's and timm is not installed.
    """
    backbone = chosen_backbone(name, usual=name)
    height, width = backbone_canvas(backbone, size)
    image = torch.zeros(1, 3, height, width)
    tracer = RunTracer(image)
    with traced_modules(tracer, backbone):
        backbone(image)
    return _description(name, backbone, tracer, size=(height, width), regions=0, features=_described(backbone))


def backbone_canvas(backbone: Backbone, size: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return the height and width that a backbone is counted at: the nearest above ``size`` that it takes.

    Args:
        backbone: Of random weights, or trained.
        size: Height and width; None for 224 x 224.
    """
    stride, least = backbone.features[-1].stride, max(backbone.least_size, 1)
    height, width = (max(_rounded_up(side, stride), least) for side in size or _BACKBONE_SIZE)
    return height, width


def _description(
    name: str,
    network: nn.Module,
    tracer: RunTracer,
    *,
    size: tuple[int, int],
    regions: int,
    features: tuple[FeatureDescription, ...],
) -> ModelDescription:
    return ModelDescription(
        name=name,
        num_parameters=count_parameters(network),
        num_trainable=count_parameters(network, only_trainable=True),
        multiply_adds=tracer.total.multiply_adds,
        written_bytes=tracer.total.written_bytes,
        size=size,
        regions=regions,
        features=features,
        layers=_layers(network, tracer),
    )


def _layers(network: nn.Module, tracer: RunTracer) -> tuple[LayerDescription, ...]:
    rows = []
    for path, module in network.named_modules():
        trace = tracer.modules.get(path) or _sum_of_parts(module, path, tracer)
        num_parameters = count_parameters(module)
        if not trace.calls and not num_parameters and path:
            continue
        reach = trace.reach
        rows.append(
            LayerDescription(
                path=path,
                kind=type(module).__name__,
                calls=trace.calls if path else 1,
                output_shape=trace.output_shape,
                num_parameters=num_parameters,
                multiply_adds=trace.multiply_adds,
                written_bytes=trace.written_bytes,
                receptive_field_px=None if reach is None else reach.field,
                stride=_stride(reach),
            )
        )
    return tuple(rows)


def _sum_of_parts(module: nn.Module, path: str, tracer: RunTracer) -> ModuleTrace:
    """Return what the parts of a container did that was not called itself."""
    total = ModuleTrace()
    for name, part in module.named_children():
        inner = f"{path}.{name}"
        trace = tracer.modules.get(inner) or _sum_of_parts(part, inner, tracer)
        total.multiply_adds += trace.multiply_adds
        total.written_bytes += trace.written_bytes
    return total


def _stride(reach: Reach | None) -> float | None:
    if reach is None or reach.local_field is None or reach.spans is None or reach.is_global:
        return None
    return reach.spans[0].jump


def _some_regions(height: int, width: int, count: int) -> Regions:
    """Return proposals for blank images: each image in tiles."""
    side = int(_NUM_REGIONS**0.5)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    corner = torch.stack([columns, rows], dim=-1).reshape(1, -1, 2).expand(count, -1, -1) / side
    scale = torch.tensor([width, height])
    boxes = torch.cat([corner * scale, (corner + 1 / side) * scale], dim=-1)
    return Regions(boxes=boxes, valid=torch.ones(boxes.shape[:2], dtype=torch.bool))


def receptive_fields(backbone: Backbone) -> dict[str, float | None]:
    """Return, for each feature, the side in pixels of the square of the image that one cell can depend on.

    Infinite where the whole image reaches a cell, None where it could not be followed; see ``tracing.reach``.
    """
    return {name: _longest(reach.field) for name, reach in _feature_reaches(backbone).items()}


def _feature_reaches(backbone: Backbone) -> dict[str, Reach]:
    side = max(backbone.features[-1].stride * 2, backbone.least_size)
    image = torch.zeros(1, 3, side, side, device=_device(backbone))
    tracer = RunTracer(image)
    with traced_modules(tracer, backbone):
        maps = backbone(image)
    return {spec.name: _reach_of(tracer, maps[spec.name]) for spec in backbone.features}


def map_reaches(backbone: nn.Module, neck: nn.Module | None, side: int) -> tuple[MapReach, ...]:
    """Return the maps that come out of a backbone and, if there is one, a neck, for a square image.

    Args:
        backbone: Image to features by name.
        neck: Features to features by name.
        side: Of the image, in pixels.

    Returns:
        What a cell sees apart from gates and norms over the whole map, through which everything is seen, but not where.
    """
    parts = nn.ModuleList([part for part in (backbone, neck) if part is not None])
    image = torch.zeros(1, 3, side, side, device=_device(parts))
    tracer = RunTracer(image)
    maps: Any = image
    with traced_modules(tracer, parts):
        for part in parts:
            maps = part(maps)
    return tuple(
        MapReach(
            name=name,
            stride=max(1, round(side / x.shape[-1])),
            receptive_field_px=_longest(_reach_of(tracer, x).local_field),
        )
        for name, x in maps.items()
    )


def _device(module: nn.Module) -> torch.device:
    first = next(module.parameters(), None)
    return torch.device("cpu") if first is None else first.device


def _reach_of(tracer: RunTracer, x: Tensor) -> Reach:
    return tracer.reach(x) or Reach(None, (None, None))


def _longest(field: tuple[float, float] | None) -> float | None:
    if field is None:
        return None
    longest = max(field)
    return longest if longest == inf else int(longest)


def _described(backbone: Backbone) -> tuple[FeatureDescription, ...]:
    reaches = _feature_reaches(backbone)
    return tuple(
        FeatureDescription(
            name=spec.name,
            channels=spec.channels,
            stride=spec.stride,
            receptive_field_px=_longest(reaches[spec.name].field),
            local_field_px=_longest(reaches[spec.name].local_field),
        )
        for spec in backbone.features
    )


def _rounded_up(side: int, stride: int) -> int:
    return -(-side // stride) * stride
