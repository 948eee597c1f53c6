"""The figures of a model: parameters, work, how far a cell sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.weak import WeakTensorKeyDictionary

from snellen.models.backbones import Backbone
from snellen.models.entry import ModelEntry
from snellen.structures import ImageBatch, Regions

__all__ = [
    "FeatureDescription",
    "MapReach",
    "ModelDescription",
    "count_parameters",
    "describe_model",
    "map_reaches",
    "receptive_fields",
]

_NUM_REGIONS = 16  # judged where proposals come from outside; a run has up to 2000
_OPS_PER_MULTIPLY_ADD = 2  # torch counts the multiplication and the addition


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureDescription:
    """One feature of a backbone; a cell of it can depend on a square of side ``receptive_field_px``."""

    name: str
    channels: int
    stride: int
    receptive_field_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MapReach:
    """A map of features: its stride, and the side of the square of pixels that a cell can depend on."""

    name: str
    stride: int
    receptive_field_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """What a model costs and what it sees.

    Attributes:
        name: Of the model.
        num_parameters: Numbers that are learned, frozen ones included.
        num_trainable: Those with a gradient.
        multiply_adds: Of one image of ``size``; convolutions and matrix products only.
        size: Height and width of the canvas that was counted, a multiple of the model's stride.
        regions: Proposals from outside that were judged; 0 for models that make their own.
        features: Of the backbone.
    """

    name: str
    num_parameters: int
    num_trainable: int
    multiply_adds: int
    size: tuple[int, int]
    regions: int
    features: tuple[FeatureDescription, ...]


def count_parameters(model: nn.Module, *, only_trainable: bool = False) -> int:
    """Return how many numbers are learned."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not only_trainable)


def describe_model(entry: ModelEntry, *, num_classes: int, size: tuple[int, int] | None = None) -> ModelDescription:
    """Build a model of random weights, run one blank image through it and count.

    Args:
        entry: Row of the catalog.
        num_classes: Size of the head.
        size: Height and width of the input; None for the entry's own.
    """
    built = entry.build(num_classes)
    network = cast("nn.Module", built).eval()
    height, width = (_rounded_up(side, built.stride) for side in size or entry.default_size)
    blank = ImageBatch(
        pixels=torch.zeros(1, 3, height, width, dtype=torch.uint8),
        sizes=torch.tensor([[height, width]]),
        original_sizes=torch.tensor([[height, width]]),
        regions=_some_regions(height, width) if entry.regions else None,
    )
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(blank)
    backbone = getattr(network, "backbone", None)
    return ModelDescription(
        name=entry.name,
        num_parameters=count_parameters(network),
        num_trainable=count_parameters(network, only_trainable=True),
        multiply_adds=counter.get_total_flops() // _OPS_PER_MULTIPLY_ADD,
        size=(height, width),
        regions=_NUM_REGIONS if entry.regions else 0,
        features=_described(backbone) if isinstance(backbone, Backbone) else (),
    )


def _some_regions(height: int, width: int) -> Regions:
    """Return proposals for a blank image: the image in tiles."""
    side = int(_NUM_REGIONS**0.5)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    corner = torch.stack([columns, rows], dim=-1).reshape(1, -1, 2) / side
    scale = torch.tensor([width, height])
    boxes = torch.cat([corner * scale, (corner + 1 / side) * scale], dim=-1)
    return Regions(boxes=boxes, valid=torch.ones(boxes.shape[:2], dtype=torch.bool))


def receptive_fields(backbone: Backbone) -> dict[str, int]:
    """Return, for each feature, the side in pixels of the square of the image that one cell can depend on.

    Source:
        Araujo et al. 2019, eq. 2, https://distill.pub/2019/computing-receptive-fields.
    """
    side = max(backbone.features[-1].stride * 2, backbone.least_size)
    was_training = backbone.training
    image = torch.zeros(1, 3, side, side, device=next(backbone.parameters()).device)
    tracer = _ReceptiveFieldTracer(image)
    with torch.no_grad(), tracer:
        maps = backbone.eval()(image)
    backbone.train(was_training)
    return {spec.name: tracer.reach(maps[spec.name]) for spec in backbone.features}


def map_reaches(backbone: nn.Module, neck: nn.Module | None, side: int) -> tuple[MapReach, ...]:
    """Return the maps that come out of a backbone and, if there is one, a neck, for a square image.

    Args:
        backbone: Image to features by name.
        neck: Features to features by name.
        side: Of the image, in pixels.
    """
    parameters = [*backbone.parameters(), *(() if neck is None else neck.parameters())]
    image = torch.zeros(1, 3, side, side, device=parameters[0].device if parameters else "cpu")
    parts = [part for part in (backbone, neck) if part is not None]
    modes = [(module, module.training) for part in parts for module in part.modules()]
    tracer = _ReceptiveFieldTracer(image)
    maps: Any = image
    with torch.no_grad(), tracer:
        for part in parts:
            maps = part.eval()(maps)
    for module, mode in modes:
        module.training = mode
    return tuple(
        MapReach(name=name, stride=max(1, round(side / x.shape[-1])), receptive_field_px=tracer.reach(x))
        for name, x in maps.items()
    )


def _described(backbone: Backbone) -> tuple[FeatureDescription, ...]:
    fields = receptive_fields(backbone)
    return tuple(
        FeatureDescription(
            name=spec.name, channels=spec.channels, stride=spec.stride, receptive_field_px=fields[spec.name]
        )
        for spec in backbone.features
    )


class _ReceptiveFieldTracer(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own is untyped
    """Follows every tensor of a run: how many pixels a cell depends on, and how far apart two cells lie."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own is untyped
        self._states = WeakTensorKeyDictionary()
        self._states[image] = (1, 1)

    def reach(self, x: Tensor) -> int:
        return int(self._states[x][0])

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        result = func(*args, **(kwargs or {}))
        states = [self._states[x] for x in _tensors(args) if x in self._states]
        if states:
            reach, jump = max(states)
            window, stride = _window(func, args)
            state = (reach + (window - 1) * jump, jump * stride)
            for output in _tensors(result if isinstance(result, tuple | list) else (result,)):
                self._states[output] = state
        return result


def _tensors(values: Sequence[Any]) -> list[Tensor]:
    found = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, tuple | list):
            found += _tensors(value)
    return found


def _window(func: Any, args: tuple[Any, ...]) -> tuple[int, int]:
    """Return how many cells of its input an operation looks at along an axis, and its step."""
    name = func._schema.name  # noqa: SLF001 - torch gives no public name
    if name == "aten::convolution":
        weight, stride, dilation = args[1], args[3], args[5]
        return dilation[0] * (weight.shape[-2] - 1) + 1, stride[0]
    if name.startswith(("aten::max_pool2d", "aten::avg_pool2d")):
        kernel = args[1]
        stride = args[2] if len(args) > 2 and args[2] else kernel
        return kernel[0], stride[0]
    return 1, 1


def _rounded_up(side: int, stride: int) -> int:
    return -(-side // stride) * stride
