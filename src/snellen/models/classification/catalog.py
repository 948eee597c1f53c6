"""The classifiers that exist, by name."""

from functools import partial

from snellen.models.building import on_backbone
from snellen.models.classification.answers import ANSWERS
from snellen.models.classification.building import mean_classifier
from snellen.models.classification.classic_catalog import CLASSIC_CLASSIFIERS
from snellen.models.classification.modern_catalog import MODERN_CLASSIFIERS
from snellen.models.entry import ModelEntry, answering
from snellen.structures import ClassTarget

__all__ = ["CLASSIFIERS"]

_RESNET_PAPER = "https://arxiv.org/abs/1512.03385"
_MOBILENET_V2_PAPER = "https://arxiv.org/abs/1801.04381"
_CLASSIFIER = partial(
    ModelEntry, target_type=ClassTarget, answers=ANSWERS, licence="Apache-2.0", default_size=(224, 224)
)

_ROWS: tuple[ModelEntry, ...] = (
    _CLASSIFIER(
        name="resnet18",
        build=on_backbone(mean_classifier, "resnet18"),
        summary="ResNet-18 classifier: quick to train, a good first choice",
        paper=_RESNET_PAPER,
        page="resnet",
    ),
    _CLASSIFIER(
        name="resnet34",
        build=on_backbone(mean_classifier, "resnet34"),
        summary="ResNet-34 classifier",
        paper=_RESNET_PAPER,
        page="resnet",
    ),
    _CLASSIFIER(
        name="resnet50",
        build=on_backbone(mean_classifier, "resnet50"),
        summary="ResNet-50 classifier: the usual yardstick",
        paper=_RESNET_PAPER,
        page="resnet",
    ),
    _CLASSIFIER(
        name="resnet101",
        build=on_backbone(mean_classifier, "resnet101"),
        summary="ResNet-101 classifier",
        paper=_RESNET_PAPER,
        page="resnet",
    ),
    _CLASSIFIER(
        name="resnet152",
        build=on_backbone(mean_classifier, "resnet152"),
        summary="ResNet-152 classifier",
        paper=_RESNET_PAPER,
        page="resnet",
    ),
    _CLASSIFIER(
        name="mobilenet_v2",
        build=on_backbone(mean_classifier, "mobilenet_v2", dropout=0.2),  # as torchvision trains it
        summary="MobileNetV2 classifier: small and quick on a CPU",
        paper=_MOBILENET_V2_PAPER,
        page="mobilenet_v2",
    ),
    *CLASSIC_CLASSIFIERS,
    *MODERN_CLASSIFIERS,
)

CLASSIFIERS: tuple[ModelEntry, ...] = tuple(map(answering, _ROWS))
