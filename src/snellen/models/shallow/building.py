"""The names of shallow models, ``FEATURES_LEARNER``, and what they name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from torch import nn

from snellen.errors import ConfigError, did_you_mean
from snellen.models.backbones import BACKBONES, chosen_backbone
from snellen.models.entry import ModelEntry
from snellen.models.shallow.extractors import HandMadeFeatures, NetworkFeatures
from snellen.models.shallow.features import FEATURES, find_features
from snellen.models.shallow.learners.catalog import LEARNERS
from snellen.models.shallow.model import ShallowClassifier
from snellen.nn import Norm, Padding
from snellen.structures import ClassTarget, Target

__all__ = ["hand_made_names", "kind_of_features", "shallow_entry"]

NETWORK = "_features"  # behind the name of a backbone
PCA = "pca"  # between features and learner
PCA_SHARE = 0.95  # of the variance, where the name asks for principal components
_NETWORK_SIZE = 224


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What a name says: features (by name, or a backbone), principal components or not, learner."""

    features: str
    backbone: str
    pca: bool
    learner: str


def hand_made_names() -> Iterator[str]:
    """Yield the names of all models on features that are made by hand, without principal components."""
    for kind in FEATURES:
        for row in LEARNERS:
            if not row.only or kind.name in row.only:
                yield f"{kind.name}_{row.name}"


def kind_of_features(name: str) -> str:
    """Return what a shallow model of this name looks at, such as ``hog`` or ``resnet18_features``."""
    parts = _parts(name)
    return "" if parts is None else parts.features


def shallow_entry(name: str, target_type: type[Target] = ClassTarget) -> ModelEntry | None:
    """Return the row of a shallow model by its name; None if the name does not begin with features.

    Args:
        name: ``FEATURES_LEARNER`` or ``FEATURES_pca_LEARNER``, where the features are a kind of the table or
            ``BACKBONE_features``.
        target_type: What it shall learn from.

    Raises:
        ConfigError: If there is no such learner or backbone, or the learner is not made for these features or targets.
    """
    parts = _parts(name)
    if parts is None or target_type is not ClassTarget:
        return None
    learners = {row.name: row for row in LEARNERS}
    if parts.learner not in learners:
        raise ConfigError(
            f"the model {name!r} must end in a learner; there is none called {parts.learner!r}."
            f"{did_you_mean(parts.learner, learners)}"
        )
    row = learners[parts.learner]
    if row.only and parts.features not in row.only:
        raise ConfigError(
            f"the learner {row.name!r} is made for {' and '.join(row.only)}; got {name!r}. "
            f"Try {row.only[0]}_{row.name}."
        )
    pca = PCA_SHARE if parts.pca else None
    if parts.backbone:
        return ModelEntry(
            name=name,
            build=partial(_on_network, parts.backbone, row.name, pca),
            target_type=target_type,
            summary=f"features of {parts.backbone}; {row.summary}",
            paper=row.paper,
            licence="Apache-2.0",
            default_size=(_NETWORK_SIZE, _NETWORK_SIZE),
            page="shallow",
            presumes_weights=True,
        )
    kind = find_features(parts.features)
    return ModelEntry(
        name=name,
        build=partial(_hand_made, kind.name, row.name, pca),
        target_type=target_type,
        summary=f"{kind.summary}; {row.summary}",
        paper=row.paper,
        licence="Apache-2.0",
        default_size=(kind.default_size, kind.default_size),
        page="shallow",
        resize="squeeze",
        sized=True,
    )


def _parts(name: str) -> _Parts | None:
    backbone, found, rest = name.partition(f"{NETWORK}_")
    if found and (backbone in BACKBONES or backbone.startswith("timm:")):
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


def _hand_made(
    kind: str,
    learner: str,
    pca: float | None,
    num_classes: int,
    *,
    image_size: int | None = None,
    norm: Norm | None = nn.BatchNorm2d,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ShallowClassifier:
    """Return a model on features made by hand; there is no norm, mean or std in them to change."""
    del norm, mean, std
    extractor = HandMadeFeatures(kind, find_features(kind).default_size if image_size is None else image_size)
    return _with_pca(ShallowClassifier(num_classes, learner=learner, extractor=extractor), pca)


def _on_network(
    backbone: str,
    learner: str,
    pca: float | None,
    num_classes: int,
    *,
    norm: Norm | None = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ShallowClassifier:
    network = chosen_backbone(backbone, usual=backbone, norm=norm, padding=padding)
    extractor = NetworkFeatures(network, mean=mean, std=std)
    return _with_pca(ShallowClassifier(num_classes, learner=learner, extractor=extractor, backbone=network), pca)


def _with_pca(model: ShallowClassifier, pca: float | None) -> ShallowClassifier:
    if pca is not None:
        model.fitting = replace(model.fitting, pca=pca)
    return model
