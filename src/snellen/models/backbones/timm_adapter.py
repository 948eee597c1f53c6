"""Networks of timm as backbones: ``timm:NAME``."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from snellen.errors import ConfigError, MissingExtraError
from snellen.models.backbones.backbone import Backbone
from snellen.nn import FrozenBatchNorm, Norm, Padding
from snellen.structures import FeatureSpec

__all__ = [
    "TimmBackbone",
    "TimmInput",
    "frozen_norms",
    "is_timm_name",
    "timm_backbone",
    "timm_colours",
    "timm_input",
    "timm_network",
    "timm_norm",
    "timm_package",
]

_PREFIX = "timm:"
_WRAPPED = re.compile(r"^(?:module\.|_orig_mod\.)*")
_INNER = re.compile(r"^(?:model|body)\.")  # of timm's own wrappers around networks whose features are wanted
_PROBED_CELLS = (4, 5)  # rows and columns of the coarsest map on which shapes are worked out
# What lets a network take images of any size, for those that have one by default; the first that it knows is used.
_ANY_SIZE: tuple[dict[str, bool], ...] = (
    {"dynamic_img_size": True},
    {"strict_img_size": False, "dynamic_mask": True},
    {"strict_img_size": False},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimmInput:
    """Images that a network of timm takes.

    Attributes:
        size: Height and width in pixels that its weights were trained with.
        is_fixed: Whether it takes no others.
        options: Keywords of ``timm.create_model`` that let it take others.
    """

    size: tuple[int, int]
    is_fixed: bool = False
    options: Mapping[str, bool] = field(default_factory=dict)


def is_timm_name(name: str) -> bool:
    """Return whether a name means one of timm's networks."""
    return name.startswith(_PREFIX)


def timm_package() -> ModuleType:
    """Return timm.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        import timm  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise MissingExtraError("timm", extra="timm", purpose="a network called timm:NAME") from error
    return timm


def timm_network(name: str, **options: Any) -> nn.Module:
    """Return a network as ``timm.create_model`` makes it, with random weights.

    Args:
        name: ``timm:NAME``.
        options: Keywords of ``timm.create_model``.

    Raises:
        ConfigError: If timm has no such network.
        MissingExtraError: If timm is not installed.
    """
    timm = timm_package()
    plain = name.removeprefix(_PREFIX)
    if ":" in plain or not timm.is_model(plain):
        known = [*timm.list_models()]
        near = difflib.get_close_matches(plain.partition(".")[0], known, n=3, cutoff=0.55)
        hint = f"Did you mean {' or '.join(_PREFIX + other for other in near)}?" if near else ""
        raise ConfigError(
            f"timm {timm.__version__} has no network {plain!r}. {hint or 'timm.list_models() lists its names.'}"
        )
    network: nn.Module = timm.create_model(plain, pretrained=False, **options)
    return network


def timm_colours(name: str) -> tuple[Sequence[float], Sequence[float]]:
    """Return mean and spread of R, G, B that the published weights of ``timm:NAME`` were trained with."""
    config = timm_package().get_pretrained_cfg(name.removeprefix(_PREFIX))
    return (Backbone.mean, Backbone.std) if config is None else (config.mean, config.std)


def timm_norm(name: str) -> Norm | None:
    """Return ``nn.BatchNorm2d`` if ``timm:NAME`` has batch norms that can be frozen, else None."""
    with torch.device("meta"):
        network = timm_network(name)
    return nn.BatchNorm2d if any(isinstance(module, nn.BatchNorm2d) for module in network.modules()) else None


class TimmBackbone(Backbone):
    """A network of timm that gives its feature maps.

    Reads the state dicts that ``timm.create_model(NAME)`` and its ``features_only`` form write. Images are padded to
    multiples of the coarsest stride, for not all of timm's networks round the sizes of their maps up.

    Args:
        name: ``timm:NAME``.
        ends_in: Name of the last feature that is wanted; None for all.
        output_stride: Greatest stride of any map, for networks that timm can dilate; None for the network as published.

    Attributes:
        features: The last map at each stride from 2 on, named by the logarithm of the stride.
        network: timm's.

    Raises:
        ConfigError: If timm has no such network, or its maps do not follow the contract of ``Backbone``.
        MissingExtraError: If timm is not installed.

    Source:
        https://huggingface.co/docs/timm/feature_extraction.
    """

    def __init__(self, name: str, *, ends_in: str | None = None, output_stride: int | None = None) -> None:
        super().__init__()
        shapes = _map_shapes(name, output_stride)
        if ends_in is not None and ends_in in shapes:
            shapes = {key: value for key, value in shapes.items() if key <= ends_in}
        self.name = name
        self.features = tuple(shape.spec for shape in shapes.values())
        self.is_channels_last = [shape.is_channels_last for shape in shapes.values()]
        options = {"features_only": True, "out_indices": [shape.place for shape in shapes.values()]}
        self.network = timm_network(name, **options, **_dilation(output_stride), **timm_input(name).options)
        self.mean, self.std = timm_colours(name)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> dict[str, Float[Tensor, "batch _ _ _"]]:
        """Return the maps of ``features`` by name."""
        height, width = x.shape[-2:]
        coarsest = self.features[-1].stride
        if height % coarsest or width % coarsest:
            x = functional.pad(x, (0, -width % coarsest, 0, -height % coarsest))
        maps: Sequence[Tensor] = self.network(x)
        found = {}
        for spec, each, is_last in zip(self.features, maps, self.is_channels_last, strict=True):
            ordered = each.permute(0, 3, 1, 2) if is_last else each  # [B, H, W, C] -> [B, C, H, W]
            found[spec.name] = ordered[:, :, : -(-height // spec.stride), : -(-width // spec.stride)]
        return found

    def stage_modules(self) -> Mapping[str, Sequence[nn.Module]]:
        """Return the modules with weights that each feature depends on and those before it do not.

        What belongs to which feature is read from the gradients on a small image.
        """
        holders = {id(p): module for module in self.modules() for p in module.parameters(recurse=False)}
        parameters = [p for p in self.parameters() if p.requires_grad]
        maps = _small_run(self)
        stages: dict[str, Sequence[nn.Module]] = {}
        taken: set[int] = set()
        for spec in self.features:
            gradients: tuple[Tensor | None, ...] = torch.autograd.grad(
                maps[spec.name].sum(), parameters, allow_unused=True, retain_graph=True
            )
            reached = [holders[id(p)] for p, g in zip(parameters, gradients, strict=True) if g is not None]
            stages[spec.name] = tuple({id(each): each for each in reached if id(each) not in taken}.values())
            taken |= {id(each) for each in stages[spec.name]}
        return stages

    def adapted_weights(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a file under the names that they have here.

        Where features are wanted, timm renames ``stages.0`` to ``stages_0``, or puts the network into another.
        """
        own: dict[str, str] = {}
        for key in self.network.state_dict():
            own[_plain(key)] = key
        return {f"network.{own[_plain(key)]}" if _plain(key) in own else key: value for key, value in tensors.items()}


def timm_backbone(
    name: str,
    *,
    norm: Norm | None = nn.BatchNorm2d,
    padding: Padding = "torch",
    ends_in: str | None = None,
    output_stride: int | None = None,
) -> TimmBackbone:
    """Return ``timm:NAME`` as a backbone.

    Args:
        name: ``timm:NAME``.
        norm: ``FrozenBatchNorm`` freezes its batch norms; others leave it as it is, for a network has its own norms.
        padding: ``"torch"``: names that begin with ``tf_`` pad as TensorFlow does.
        ends_in: Name of the last feature that is wanted; None for all.
        output_stride: See ``TimmBackbone``.

    Raises:
        ConfigError: If timm has no such network, its maps do not follow the contract, it cannot be dilated so, or
            padding is asked for.
        MissingExtraError: If timm is not installed.
    """
    if padding != "torch":
        raise ConfigError(
            f"padding must be 'torch' for {name}; got {padding!r}. Leave it out: timm's networks that pad as "
            "TensorFlow does have names of their own, which begin with tf_."
        )
    backbone = TimmBackbone(name, ends_in=ends_in, output_stride=output_stride)
    if norm is FrozenBatchNorm:
        backbone.network = frozen_norms(backbone.network)
    return backbone


def frozen_norms(network: nn.Module) -> nn.Module:
    """Return a network of timm whose batch norms keep their statistics, scales and shifts."""
    frozen: nn.Module = timm_package().layers.freeze_batch_norm_2d(network)
    return frozen


class _MapShape:
    """One map of a network: its specification, its number among timm's, and whether its channels come last."""

    def __init__(self, spec: FeatureSpec, place: int, *, is_channels_last: bool) -> None:
        self.spec, self.place, self.is_channels_last = spec, place, is_channels_last


def _plain(key: str) -> str:
    return _INNER.sub("", _WRAPPED.sub("", key)).replace("_", ".")


@cache
def timm_input(name: str) -> TimmInput:
    """Return what images ``timm:NAME`` takes.

    Raises:
        ConfigError: If timm has no such network.
        MissingExtraError: If timm is not installed.
    """
    with torch.device("meta"):
        config: Any = timm_network(name).pretrained_cfg
    size = (int(config["input_size"][1]), int(config["input_size"][2]))
    if not config.get("fixed_input_size", False):
        return TimmInput(size=size)
    for options in _ANY_SIZE:
        try:
            with torch.device("meta"):
                timm_network(name, **options)
        except TypeError:
            continue
        return TimmInput(size=size, options=options)
    return TimmInput(size=size, is_fixed=True)


def _dilation(output_stride: int | None) -> dict[str, int]:
    return {} if output_stride is None else {"output_stride": output_stride}


@cache
def _map_shapes(name: str, output_stride: int | None = None) -> dict[str, _MapShape]:
    """Return the maps that a network gives, by the name of the feature, finest first.

    Raises:
        ConfigError: If it has none, or they are no maps as the contract of ``Backbone`` wants them.
    """
    try:
        with torch.device("meta"):
            network = timm_network(name, features_only=True, **_dilation(output_stride), **timm_input(name).options)
    except (RuntimeError, AssertionError, AttributeError, TypeError) as error:
        if output_stride is not None:
            _map_shapes(name)  # says what is wrong apart from the stride
            raise ConfigError(
                f"{name} cannot be dilated by timm; got output_stride={output_stride} ({_first_line(error)}). Leave it "
                "out, or choose another network, such as timm:convnext_tiny."
            ) from error
        raise ConfigError(
            f"{name} cannot be a backbone: timm knows no feature maps of it ({_first_line(error)}). It can be a "
            f"classifier (model {name}); as a backbone choose a convolutional network, such as timm:convnext_tiny."
        ) from error
    info: Any = network.feature_info
    strides, channels, indices = info.reduction(), info.channels(), tuple(info.out_indices)
    if output_stride is not None and max(strides) != output_stride:
        raise ConfigError(
            f"{name} cannot be dilated to output_stride={output_stride}: its maps then have strides of "
            f"{', '.join(map(str, strides))} px. Choose one of those, or leave it out."
        )
    last = {stride: number for number, stride in enumerate(strides) if stride > 1}
    odd = [stride for stride in last if stride & (stride - 1)]
    if odd:
        raise ConfigError(
            f"{name} cannot be a backbone: its maps have strides of {', '.join(map(str, strides))} px, and powers of "
            "two are needed. Choose another network, such as timm:convnext_tiny."
        )
    size = tuple(cells * max(last) for cells in _PROBED_CELLS)
    maps = _meta_maps(name, network, size)
    found = {}
    for stride, number in sorted(last.items()):
        spec = FeatureSpec(name=f"c{stride.bit_length() - 1}", channels=channels[number], stride=stride)
        is_last = _is_channels_last(name, spec, tuple(maps[number].shape), size)
        found[spec.name] = _MapShape(spec, indices[number], is_channels_last=is_last)
    return found


def _meta_maps(name: str, network: nn.Module, size: Sequence[int]) -> Sequence[Tensor]:
    try:
        with torch.no_grad():
            maps: Sequence[Tensor] = network.eval()(torch.zeros(1, 3, *size, device="meta"))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ConfigError(
            f"{name} cannot be a backbone: images of {size[0]} x {size[1]} px do not fit it ({_first_line(error)}); "
            f"one that takes any size is needed. It can be a classifier (model {name})."
        ) from error
    return maps


def _is_channels_last(name: str, spec: FeatureSpec, shape: tuple[int, ...], size: Sequence[int]) -> bool:
    rows, columns = (side // spec.stride for side in size)
    if shape == (1, spec.channels, rows, columns):
        return False
    if shape == (1, rows, columns, spec.channels):
        return True
    raise ConfigError(
        f"{name} cannot be a backbone: of an image of {size[0]} x {size[1]} px its map of stride {spec.stride} should "
        f"have {spec.channels} channels of {rows} x {columns} cells; it has the shape {list(shape)}, for its "
        f"convolutions are not padded. It can be a classifier (model {name}); as a backbone choose another network, "
        "such as timm:convnext_tiny."
    )


def _small_run(backbone: Backbone) -> Mapping[str, Tensor]:
    side = max(_PROBED_CELLS) * backbone.features[-1].stride
    modes = [(module, module.training) for module in backbone.modules()]
    device = next(backbone.parameters()).device
    with torch.enable_grad():
        maps: Mapping[str, Tensor] = backbone.eval()(torch.zeros(1, 3, side, side, device=device))
    for module, mode in modes:
        module.training = mode
    return maps


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
