"""Features that nobody trains, and a learner on them: models of whole images without gradients.

Shapes: B images, n training images, d features, K outputs.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from numpy.typing import NDArray
from torch import Tensor, nn

from snellen.errors import ConfigError, TrainingError
from snellen.losses import soft_cross_entropy
from snellen.models.backbones import Backbone
from snellen.models.classification.trunk import HeadOutput
from snellen.models.shallow.extractors import HandMadeFeatures, NetworkFeatures
from snellen.models.shallow.learners.catalog import learner_row
from snellen.models.shallow.preparation import FittingSettings
from snellen.models.shallow.questions import ClassQuestion
from snellen.structures import Batch, ClassScores, ClassTarget, Fact, FitData, ImageBatch, Prediction, Stage, Target

__all__ = ["LEAST_PROB", "ShallowClassifier", "ShallowModel"]

LEAST_PROB = 1e-7  # said of any class, so that the log of what neighbours never voted for is finite
_AT_ONCE = 512  # images described at once, so that several processes have something to do


class ShallowModel(nn.Module):
    """Features and a learner behind the verbs of every model; its training is one fit.

    A subclass has a ``target_type``, ``loss`` and ``decode``, and says what is fitted and answered.

    Args:
        num_outputs: Numbers that are said of each image.
        learner: Name of the learner.
        extractor: Where features come from.
        backbone: Of `NetworkFeatures`; None for features made by hand.
    """

    target_type: type[Target]
    stride = 1
    stages = (Stage(name="fit", kind="fit"),)

    def __init__(
        self,
        num_outputs: int,
        *,
        learner: str,
        extractor: HandMadeFeatures | NetworkFeatures,
        backbone: Backbone | None = None,
    ) -> None:
        super().__init__()
        if num_outputs < 1:
            raise ConfigError(f"a model of images needs at least one output; got {num_outputs}. Name the classes.")
        self.num_outputs = num_outputs
        self.learner_name = learner
        self.extractor = extractor
        self.features = extractor.kind.settings() if isinstance(extractor, HandMadeFeatures) else None
        self.learner = learner_row(learner).settings()
        self.fitting = FittingSettings()
        if backbone is not None:
            self.backbone = backbone.requires_grad_(requires_grad=False).eval()
            self.normalize = extractor.normalize
        self.register_load_state_dict_post_hook(_check_loaded)  # type: ignore[no-untyped-call]  # torch's

    def train(self, mode: bool = True) -> "ShallowModel":  # noqa: FBT001, FBT002 - torch's signature
        """Set the mode; the backbone stays as it is in evaluation, for it does not learn."""
        super().train(mode)
        if hasattr(self, "backbone"):
            self.backbone.eval()
        return self

    def enter(self, stage: str) -> None:
        """Do nothing but refuse an unknown stage.

        Raises:
            ConfigError: If there is no such stage.
        """
        if stage not in {each.name for each in self.stages}:
            raise ConfigError(f"stage must be one of {[each.name for each in self.stages]}; got {stage!r}.")

    def forward(self, images: ImageBatch, targets: Target | None = None) -> HeadOutput:
        """Return what is said of each image; ``targets`` are not looked at. Before a fit all is equally likely."""
        del targets
        output = self.output(self.described([images])) if self.is_fitted else self._nothing_known(len(images))
        return output.to(images.pixels.device)

    def output(self, descriptions: Sequence[NDArray[Any]]) -> HeadOutput:
        """Return what is said of described images, on the processor."""
        return HeadOutput(logits=torch.from_numpy(self.answered(self.encoded(descriptions)).astype(np.float32)))

    @property
    def is_fitted(self) -> bool:
        """Whether there is something to answer by."""
        raise NotImplementedError

    def _nothing_known(self, num_images: int) -> HeadOutput:
        return HeadOutput(logits=torch.zeros(num_images, self.num_outputs))

    def answered(self, features: Float32[np.ndarray, "B d"]) -> Float64[np.ndarray, "B K"]:
        """Return the raw numbers for each image."""
        raise NotImplementedError

    def described(self, batches: Sequence[ImageBatch], *, fresh: bool = False) -> list[NDArray[Any]]:
        """Return a description of each image of each batch, from which its features are made.

        Args:
            batches: On the device of the model.
            fresh: Whether to compute them although the cache may have them, to see how long that takes.
        """
        if isinstance(self.extractor, NetworkFeatures):
            return self.extractor.describe(batches, self.backbone, fresh=fresh)
        return self.extractor.describe(batches, self.features, fresh=fresh)

    def encoded(self, descriptions: Sequence[NDArray[Any]]) -> Float32[np.ndarray, "B d"]:
        """Return the features of described images."""
        if isinstance(self.extractor, NetworkFeatures):
            return np.stack(descriptions)
        counts = learner_row(self.learner_name).counts
        return self.extractor.encode(descriptions, self.features, counts=counts)

    def fit_stage(self, stage: str, data: FitData) -> dict[str, Fact]:
        """Describe the training images, choose what is left open, and fit the learner.

        Args:
            stage: ``"fit"``.
            data: The training images.

        Raises:
            ConfigError: If there is no such stage.
            TrainingError: If there is no image, or features are not finite.
            MissingExtraError: If the learner needs a package that is not installed.
        """
        self.enter(stage)
        descriptions: list[NDArray[Any]] = []
        targets: list[Any] = []
        rows: list[int] = []
        for batches in _joined(data.batches(), _AT_ONCE):
            descriptions += self.described([batch.images.to(data.device) for batch in batches])
            targets += [batch.targets for batch in batches]
            rows += [row for batch in batches for row in batch.indices.tolist()]
            data.progress("features", len(rows), data.num_images)
        groups = None if data.groups is None else np.asarray(data.groups)[rows]
        return self.fit_to(descriptions, targets, groups=groups, data=data)

    def fit_to(
        self,
        descriptions: Sequence[NDArray[Any]],
        targets: Sequence[Any],
        *,
        groups: Int64[np.ndarray, " n"] | None,
        data: FitData,
    ) -> dict[str, Fact]:
        """Fit to images that are described already.

        Args:
            descriptions: Of all training images.
            targets: What they show, in batches.
            groups: See ``FitData``.
            data: Seed and progress.
        """
        if not descriptions:
            raise TrainingError("a learner expects training images; there are none. Check the split.")
        if isinstance(self.extractor, HandMadeFeatures):
            self.extractor.fit(descriptions, self.features, data.seed)
        return self.fit_answers(self.encoded(descriptions), targets, groups=groups, data=data)

    def fit_answers(
        self,
        features: Float32[np.ndarray, "n d"],
        targets: Sequence[Any],
        *,
        groups: Int64[np.ndarray, " n"] | None,
        data: FitData,
    ) -> dict[str, Fact]:
        """Fit to features; return what is worth reporting."""
        raise NotImplementedError

    def loss(self, output: HeadOutput, targets: Any) -> Mapping[str, Tensor]:
        """Return named scalars, to compare fits by; nothing minimises them."""
        raise NotImplementedError

    def decode(self, output: HeadOutput, sizes: Int64[Tensor, "batch 2"]) -> Sequence[Prediction]:
        """Return one prediction per image."""
        raise NotImplementedError

    @property
    def num_features(self) -> int | None:
        """How many features there are, where the model knows it without a fit."""
        return self.backbone.features[-1].channels if isinstance(self.extractor, NetworkFeatures) else None

    def check_features(self) -> None:
        """Refuse what features never learn.

        Raises:
            CheckpointError: If something has a wrong size or a value out of range.
        """
        if isinstance(self.extractor, HandMadeFeatures):
            self.extractor.check()

    def check_state(self) -> None:
        """Refuse a state that no fit leaves behind.

        Raises:
            CheckpointError: If something has a wrong size or a value out of range.
        """
        raise NotImplementedError


class ShallowClassifier(ShallowModel):
    """Sorts whole images into classes; see `ShallowModel`."""

    target_type = ClassTarget

    def __init__(
        self,
        num_outputs: int,
        *,
        learner: str,
        extractor: HandMadeFeatures | NetworkFeatures,
        backbone: Backbone | None = None,
    ) -> None:
        super().__init__(num_outputs, learner=learner, extractor=extractor, backbone=backbone)
        self.answer = ClassQuestion(learner, num_outputs)

    @property
    def is_fitted(self) -> bool:
        """Whether there is something to answer by."""
        return self.answer.is_fitted

    def answered(self, features: Float32[np.ndarray, "B d"]) -> Float64[np.ndarray, "B K"]:
        """Return the logarithm of each class's probability."""
        return np.asarray(np.log(np.maximum(self.answer.probs(features), LEAST_PROB)))

    def loss(self, output: HeadOutput, targets: ClassTarget) -> Mapping[str, Tensor]:
        """Return ``cross_entropy``, the mean over the images in nats, to compare fits by."""
        return {"cross_entropy": soft_cross_entropy(output.logits, targets.probs, label_smoothing=0.0).mean()}

    def decode(self, output: HeadOutput, sizes: Int64[Tensor, "batch 2"]) -> list[ClassScores]:
        """Return the probabilities of each image; ``sizes`` do not matter here."""
        del sizes
        return [ClassScores(probs=probs) for probs in output.logits.float().softmax(dim=-1).unbind()]

    def fit_answers(
        self,
        features: Float32[np.ndarray, "n d"],
        targets: Sequence[ClassTarget],
        *,
        groups: Int64[np.ndarray, " n"] | None,
        data: FitData,
    ) -> dict[str, Fact]:
        """Fit to features; the class of an image with a soft label is its most probable one."""
        labels = np.concatenate([target.probs.argmax(dim=-1).cpu().numpy() for target in targets])
        return self.answer.fit(
            features, labels, self.learner, self.fitting, groups=groups, seed=data.seed, progress=data.progress
        )

    def check_state(self) -> None:
        """Refuse a state that no fit leaves behind.

        Raises:
            CheckpointError: If something has a wrong size or a value out of range.
        """
        self.check_features()
        self.answer.check(self.num_features)


def _check_loaded(module: nn.Module, keys: Any) -> None:
    del keys
    if isinstance(module, ShallowModel):
        if isinstance(module.extractor, NetworkFeatures):
            module.extractor.forget()
        module.check_state()


def _joined(batches: Iterator[Batch], most: int) -> Iterator[list[Batch]]:
    """Yield batches together until they hold ``most`` images."""
    part: list[Batch] = []
    for batch in batches:
        part.append(batch)
        if sum(map(len, part)) >= most:
            yield part
            part = []
    if part:
        yield part
