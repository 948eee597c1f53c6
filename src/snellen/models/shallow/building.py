"""The names of shallow models, ``FEATURES_LEARNER``, and what they name."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

from torch import nn

from snellen.errors import ConfigError, did_you_mean
from snellen.models.backbones import BACKBONES, chosen_backbone
from snellen.models.backbones.timm_adapter import is_timm_name
from snellen.models.entry import ModelEntry
from snellen.models.shallow.extractors import HandMadeFeatures, NetworkFeatures
from snellen.models.shallow.features import FEATURES, find_features
from snellen.models.shallow.label_sets import ShallowLabelSets
from snellen.models.shallow.learners.catalog import LEARNERS
from snellen.models.shallow.learners.rows import Learner
from snellen.models.shallow.learners.values import VALUE_LEARNERS, ValueLearner
from snellen.models.shallow.model import ShallowClassifier, ShallowModel
from snellen.models.shallow.values import ShallowValues
from snellen.nn import Norm, Padding
from snellen.structures import ClassTarget, LabelSetTarget, Target, ValueTarget

__all__ = ["hand_made_names", "kind_of_features", "shallow_entry"]

NETWORK = "_features"  # behind the name of a backbone
PCA = "pca"  # between features and learner
PCA_SHARE = 0.95  # of the variance, where the name asks for principal components
_NETWORK_SIZE = 224

# What shallow models learn from.
MODELS: Mapping[type[Target], type[ShallowModel]] = MappingProxyType(
    {ClassTarget: ShallowClassifier, LabelSetTarget: ShallowLabelSets, ValueTarget: ShallowValues}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What a name says: features (by name, or a backbone), principal components or not, learner."""

    features: str
    backbone: str
    pca: bool
    learner: str


def hand_made_names() -> Iterator[str]:
    """Yield the names of all models on features that are made by hand, without principal components."""
    rows: tuple[Learner | ValueLearner, ...] = (*LEARNERS, *VALUE_LEARNERS)
    for kind in FEATURES:
        for row in rows:
            if not row.only or kind.name in row.only:
                yield f"{kind.name}_{row.name}"


def kind_of_features(name: str) -> str:
    """Return what a shallow model of this name looks at, such as ``hog`` or ``resnet18_features``."""
    parts = _parts(name)
    return "" if parts is None else parts.features


def shallow_entry(name: str, target_type: type[Target] | None = None) -> ModelEntry | None:
    """Return the row of a shallow model by its name; None if the name does not begin with features.

    Args:
        name: ``FEATURES_LEARNER`` or ``FEATURES_pca_LEARNER``, where the features are a kind of the table or
            ``BACKBONE_features``.
        target_type: What it shall learn from; None, or one that shallow models do not learn from, for what is usual
            for the learner.

    Raises:
        ConfigError: If there is no such learner or backbone, or the learner is not made for these features or targets.
    """
    parts = _parts(name)
    if parts is None:
        return None
    row = _row(name, parts)
    usual: type[Target] = ValueTarget if isinstance(row, ValueLearner) else ClassTarget
    wanted = usual if target_type is None or target_type not in MODELS else target_type
    _check_fits(name, parts, row, wanted)
    pca = PCA_SHARE if parts.pca else None
    entry = partial(ModelEntry, name=name, target_type=wanted, paper=row.paper, licence="Apache-2.0")
    if parts.backbone:
        return entry(
            build=partial(_on_network, MODELS[wanted], parts.backbone, row.name, pca),
            summary=f"features of {parts.backbone}; {row.summary}",
            default_size=(_NETWORK_SIZE, _NETWORK_SIZE),
            resize="squeeze",  # nothing is cut off, and features that are computed once may take a whole image's time
            presumes_weights=True,
        )
    kind = find_features(parts.features)
    return entry(
        build=partial(_hand_made, MODELS[wanted], kind.name, row.name, pca),
        summary=f"{kind.summary}; {row.summary}",
        default_size=(kind.default_size, kind.default_size),
        resize="squeeze",
        sized=True,
    )


def _row(name: str, parts: _Parts) -> Learner | ValueLearner:
    learners: tuple[Learner | ValueLearner, ...] = (*LEARNERS, *VALUE_LEARNERS)
    rows = {row.name: row for row in learners}
    if parts.learner not in rows:
        raise ConfigError(
            f"the model {name!r} must end in a learner; there is none called {parts.learner!r}."
            f"{did_you_mean(parts.learner, rows)}"
        )
    if parts.backbone and parts.backbone not in BACKBONES and not is_timm_name(parts.backbone):
        raise ConfigError(f"there is no backbone {parts.backbone!r}.{did_you_mean(parts.backbone, BACKBONES)}")
    return rows[parts.learner]


def _check_fits(name: str, parts: _Parts, row: Learner | ValueLearner, target_type: type[Target]) -> None:
    if row.only and parts.features not in row.only:
        raise ConfigError(
            f"the learner {row.name!r} is made for {' and '.join(row.only)}; got {name!r}. "
            f"Try {row.only[0]}_{row.name}."
        )
    of_values = isinstance(row, ValueLearner)
    if of_values != (target_type is ValueTarget):
        fitting = VALUE_LEARNERS if target_type is ValueTarget else LEARNERS
        raise ConfigError(
            f"the learner {row.name!r} {'estimates values' if of_values else 'tells classes'}; the data set has "
            f"{target_type.__name__}. Take one of {', '.join(each.name for each in fitting)}."
        )
    if target_type is LabelSetTarget and row.keeps_images:
        raise ConfigError(
            f"the learner {row.name!r} keeps all training images, and label sets need one for each class; got "
            f"{name!r}. Try {parts.features}_softmax or {parts.features}_forest."
        )


def _parts(name: str) -> _Parts | None:
    backbone, found, rest = name.partition(f"{NETWORK}_")
    if found:
        features = backbone + NETWORK
    else:
        backbone = ""
        features = next((kind.name for kind in FEATURES if name.startswith(f"{kind.name}_")), "")
        rest = name.removeprefix(f"{features}_")
    if not features:
        return None
    before, between, behind = rest.partition("_")
    has_pca = before == PCA and bool(between)
    return _Parts(features=features, backbone=backbone, pca=has_pca, learner=behind if has_pca else rest)


def _hand_made(  # noqa: PLR0913 - the options of a run
    model: type[ShallowModel],
    kind: str,
    learner: str,
    pca: float | None,
    num_classes: int,
    *,
    image_size: int | None = None,
    norm: Norm | None = nn.BatchNorm2d,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ShallowModel:
    """Return a model on features made by hand; there is no norm, mean or std in them to change."""
    del norm, mean, std
    extractor = HandMadeFeatures(kind, find_features(kind).default_size if image_size is None else image_size)
    return _with_pca(model(num_classes, learner=learner, extractor=extractor), pca)


def _on_network(  # noqa: PLR0913 - the options of a run
    model: type[ShallowModel],
    backbone: str,
    learner: str,
    pca: float | None,
    num_classes: int,
    *,
    norm: Norm | None = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ShallowModel:
    network = chosen_backbone(backbone, usual=backbone, norm=norm, padding=padding)
    extractor = NetworkFeatures(network, mean=mean, std=std)
    return _with_pca(model(num_classes, learner=learner, extractor=extractor, backbone=network), pca)


def _with_pca(model: ShallowModel, pca: float | None) -> ShallowModel:
    if pca is not None:
        model.fitting = replace(model.fitting, pca=pca)
    return model
