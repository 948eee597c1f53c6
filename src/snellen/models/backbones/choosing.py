"""Any backbone, by name, in the place that a system has for one."""

import inspect
from collections.abc import Sequence

from torch import nn

from snellen.errors import ConfigError, did_you_mean
from snellen.models.backbones.backbone import Backbone, told_features
from snellen.models.backbones.catalog import BACKBONES, find_backbone
from snellen.models.backbones.cutting import cut_behind
from snellen.models.backbones.timm_adapter import is_timm_name, timm_backbone, timm_norm
from snellen.nn import FrozenBatchNorm, Norm, Normalize, Padding, dilate_entry, spread_blocks

__all__ = ["chosen_backbone", "dilated_backbone", "normalize_for", "own_norm", "pyramid_backbone"]


def chosen_backbone(  # noqa: PLR0913 - the options of a run
    name: str,
    *,
    usual: str,
    norm: Norm | None = nn.BatchNorm2d,
    padding: Padding = "torch",
    needs: Sequence[str] = (),
    ends_in: str | None = None,
    output_stride: int | None = None,
    dilated_entry: bool = False,
    multi_grid: Sequence[int] = (),
) -> Backbone:
    """Return a backbone with random weights.

    Args:
        name: From ``BACKBONES``, or ``timm:NAME``.
        usual: The one that the system is published with.
        norm: Makes a norm layer from the number of channels. One that takes the place of the usual backbone has its
            own published norm instead, or a frozen one where ``FrozenBatchNorm`` is asked for and it has any.
        padding: ``"same"`` for weights trained with TensorFlow.
        needs: Names of the features that the system stands on.
        ends_in: What comes after this feature is left out.
        output_stride: Greatest stride of any map: stages beyond it are dilated (``dilated_steps``). None for the
            network as published.
        dilated_entry: Whether the first kernel of a dilated stage is dilated, too, see ``dilate_entry``.
        multi_grid: Factors on the dilation of the blocks of the last stage, see ``spread_blocks``; none if empty.

    Raises:
        ConfigError: If there is no such backbone, it lacks a feature, it knows no such norm or padding, or cannot be
            dilated so.
        MissingExtraError: If it is one of timm's and timm is not installed.
    """
    own = norm if name == usual else _norm_in_place(name, norm)
    if is_timm_name(name):
        backbone: Backbone = timm_backbone(
            name, norm=own, padding=padding, ends_in=ends_in, output_stride=output_stride
        )
    else:
        backbone = _ours(name, own, padding, output_stride)
    _check_features(name, backbone, needs)
    if ends_in is not None:
        cut_behind(backbone, ends_in)
    if dilated_entry:
        for stage in backbone.stage_modules().values():
            dilate_entry(stage)
    if multi_grid:
        spread_blocks(backbone.stage_modules()[backbone.features[-1].name], multi_grid)
    return backbone


def dilated_backbone(  # noqa: PLR0913 - the options of a run
    name: str,
    *,
    usual: str,
    output_stride: int | None,
    usual_stride: int,
    norm: Norm | None = nn.BatchNorm2d,
    padding: Padding = "torch",
    needs: Sequence[str] = (),
    dilated_entry: bool = False,
    multi_grid: Sequence[int] = (),
) -> Backbone:
    """Return a backbone whose maps end at a stride, for systems that are published with dilation.

    Args:
        name: See ``chosen_backbone``.
        usual: See ``chosen_backbone``.
        output_stride: Greatest stride of any map. None for ``usual_stride`` where the network can, and for its own
            strides where it cannot.
        usual_stride: That the system is published with.
        norm: See ``chosen_backbone``.
        padding: See ``chosen_backbone``.
        needs: See ``chosen_backbone``.
        dilated_entry: See ``chosen_backbone``.
        multi_grid: See ``chosen_backbone``.

    Raises:
        ConfigError: As ``chosen_backbone``.
        MissingExtraError: If it is one of timm's and timm is not installed.
    """

    def made(stride: int | None) -> Backbone:
        return chosen_backbone(
            name,
            usual=usual,
            norm=norm,
            padding=padding,
            needs=needs,
            output_stride=stride,
            dilated_entry=dilated_entry,
            multi_grid=multi_grid,
        )

    if output_stride is not None:
        return made(output_stride)
    try:
        return made(usual_stride)
    except ConfigError:  # it cannot be dilated so; whatever else is wrong comes again
        return made(None)


def pyramid_backbone(
    name: str, levels: Sequence[str], *, usual: str, norm: Norm | None, padding: Padding = "torch"
) -> Backbone:
    """Return a backbone that ends in the last of several features, for what stands on all of them.

    Args:
        name: From ``BACKBONES``, or ``timm:NAME``.
        levels: Names of the features, finest first.
        usual: See ``chosen_backbone``.
        norm: See ``chosen_backbone``.
        padding: See ``chosen_backbone``.

    Raises:
        ConfigError: As ``chosen_backbone``; or if the levels are none, or not in order.
        MissingExtraError: If it is one of timm's and timm is not installed.
    """
    if not levels or list(levels) != sorted({*levels}):
        raise ConfigError(
            f"levels must be names of features, finest first, such as ['c3', 'c4', 'c5']; got {list(levels)}."
        )
    return chosen_backbone(name, usual=usual, norm=norm, padding=padding, needs=levels, ends_in=levels[-1])


def own_norm(name: str) -> Norm | None:
    """Return what makes the norm layers of a backbone as it was published; None if it has none.

    Raises:
        ConfigError: If there is no such backbone.
        MissingExtraError: If it is one of timm's and timm is not installed.
    """
    if is_timm_name(name):
        return timm_norm(name)
    parameter = inspect.signature(_builder(name)).parameters.get("norm")
    norm: Norm | None = None if parameter is None else parameter.default
    return norm


def normalize_for(backbone: Backbone, mean: Sequence[float] | None, std: Sequence[float] | None) -> Normalize:
    """Return what makes bytes fit for a backbone; None for what its published weights were trained with."""
    return Normalize(backbone.mean if mean is None else mean, backbone.std if std is None else std)


def _norm_in_place(name: str, norm: Norm | None) -> Norm | None:
    own = own_norm(name)
    return norm if own is nn.BatchNorm2d and norm is FrozenBatchNorm else own


def _ours(name: str, norm: Norm | None, padding: Padding, output_stride: int | None) -> Backbone:
    build = _builder(name)
    known = inspect.signature(build).parameters
    if padding != "torch" and "padding" not in known:
        others = [other for other in BACKBONES if "padding" in inspect.signature(BACKBONES[other]).parameters]
        raise ConfigError(
            f"padding must be 'torch' for {name}; got {padding!r}. Leave it out, or choose {' or '.join(others)}."
        )
    options = {"norm": norm, "padding": padding, "output_stride": output_stride}
    backbone = build(**{key: value for key, value in options.items() if key in known})
    coarsest = backbone.features[-1].stride
    if output_stride is not None and "output_stride" not in known and coarsest != output_stride:
        raise ConfigError(
            f"{name} cannot be dilated: its maps end at a stride of {coarsest}; got output_stride={output_stride}. "
            "Leave it out, or choose a network that can, such as resnet50, mobilenet_v2, efficientnet_b0, densenet121 "
            "or timm:convnext_tiny."
        )
    return backbone


def _builder(name: str) -> type[Backbone]:
    if name not in BACKBONES:
        raise ConfigError(
            f"there is no backbone {name!r}.{did_you_mean(name, BACKBONES)} `snellen models --backbones` lists them; "
            "timm's are called timm:NAME."
        )
    return find_backbone(name)  # type: ignore[return-value]  # a class or a function that makes one


def _check_features(name: str, backbone: Backbone, needs: Sequence[str]) -> None:
    has = [spec.name for spec in backbone.features]
    missing = [feature for feature in needs if feature not in has]
    if missing:
        raise ConfigError(
            f"the backbone {name!r} lacks {', '.join(missing)}: it has {told_features(backbone.features)}, and "
            f"{', '.join(needs)} {'is' if len(needs) == 1 else 'are'} needed (the number is the logarithm of the "
            "stride). Choose another backbone, such as resnet18 or mobilenet_v2, or a system that stands on one map."
        )
