"""A classical segmenter behind the verbs of every model: it cuts, and what its parts are is learned from masks.

Shapes: B images, K classes, R regions, S sides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int32, Int64, UInt8
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor, nn

from snellen.errors import CheckpointError, ConfigError, InputError
from snellen.imaging.segmentation import NOTHING_TOLD, Hints, Partition, inner_regions, region_means
from snellen.losses import pixel_cross_entropy
from snellen.models.segmentation.classical.appearance import APPEARANCE_SCHEMA, log_posteriors, num_features
from snellen.models.segmentation.classical.fitting import fit
from snellen.models.segmentation.classical.methods import Method, find_method
from snellen.models.segmentation.classical.settings import AppearanceSettings, ChoosingSettings
from snellen.models.segmentation.decoding import segmentation_maps
from snellen.models.segmentation.segmenter import SegmentationOutput
from snellen.models.shallow.describing import contents
from snellen.models.shallow.fitted import FittedArrays, check_arrays
from snellen.structures import IGNORE_LABEL, Fact, FitData, ImageBatch, MaskTarget, SegmentationMap, Stage, Target

__all__ = ["ClassicalSegmenter", "Cutting"]

_CUT_WEIGHT = 0.5  # of what the cut says beside what each pixel looks like; the cut always decides the class

RgbImage = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cutting:
    """What became of one image.

    Attributes:
        partition: Its regions.
        labels: Class of each pixel.
        probs: Of each class at each pixel; not calibrated, and before a fit no probabilities.
    """

    partition: Partition
    labels: Int32[np.ndarray, "height width"]
    probs: Float64[np.ndarray, "K height width"]


class ClassicalSegmenter(nn.Module):
    """Cuts images by a method of the table. Nothing in it is trained by gradients; one stage fits what masks can tell.

    A fit learns what classes look like and chooses among the settings of the method's row. Sides (as of a threshold)
    get the class that they had most often; regions the class that explains their pixels best; methods that can be
    guided are told what each pixel looks like, and decide themselves.

    Before a fit there are two classes at most: what is told by marks or a box, or else background is what lies rather
    at the frame, and foreground what lies rather inside (``inner_regions``).

    Args:
        num_classes: K.
        method: Name of the method.

    Raises:
        ConfigError: If there is no such method, or no class.
    """

    target_type = MaskTarget
    stride = 1
    stages = (Stage(name="fit", kind="fit"),)

    def __init__(self, num_classes: int, *, method: str) -> None:
        super().__init__()
        if num_classes < 1:
            raise ConfigError(f"a segmenter needs at least one class; got {num_classes}. Name the classes.")
        self.num_classes = num_classes
        self.method_name = method  # the row holds functions, and is no part of what is copied or set
        self.settings = find_method(method).settings()
        self.appearance = AppearanceSettings()
        self.choosing = ChoosingSettings()
        self.fitted = FittedArrays()
        self.register_load_state_dict_post_hook(_check_loaded)  # type: ignore[no-untyped-call]  # torch's

    @property
    def method(self) -> Method:
        """Its row."""
        return find_method(self.method_name)

    @property
    def is_fitted(self) -> bool:
        """Whether masks have been learned from."""
        return bool(self.fitted.numbers)

    def enter(self, stage: str) -> None:
        """Do nothing but refuse an unknown stage.

        Raises:
            ConfigError: If there is no such stage.
        """
        if stage not in {each.name for each in self.stages}:
            raise ConfigError(f"stage must be one of {[each.name for each in self.stages]}; got {stage!r}.")

    def choices(self) -> tuple[Any, ...]:
        """Return the settings that a fit compares; what was set by hand stays as it is."""
        usual = self.method.settings()
        given = {each.name for each in fields(usual) if getattr(self.settings, each.name) != getattr(usual, each.name)}
        open_choices = [
            {name: value for name, value in choice.items() if name not in given} for choice in self.method.choices
        ]
        return tuple(dict.fromkeys(replace(self.settings, **choice) for choice in open_choices))

    def used_settings(self) -> Any:
        """Return the settings that images are cut with: those that were chosen, or as they are before a fit."""
        return self.choices()[int(self.fitted.arrays()["choice"][0])] if self.is_fitted else self.settings

    def forward(self, images: ImageBatch, targets: Target | None = None) -> SegmentationOutput:
        """Return the logarithm of each class's probability; ``targets`` are not looked at.

        Before a fit all is equally likely, unless there are two classes.
        """
        del targets
        logits = torch.zeros(len(images), self.num_classes, *images.pixels.shape[-2:])
        if self.is_fitted or self.num_classes == 2:
            for row, content in enumerate(contents(images, None)):
                probs = self.cut(content.permute(1, 2, 0).contiguous().numpy()).probs
                logits[row, :, : content.shape[1], : content.shape[2]] = torch.from_numpy(np.log(probs))
        return SegmentationOutput(logits=logits.to(images.pixels.device), sizes=images.sizes)

    def cut(self, image: RgbImage, hints: Hints = NOTHING_TOLD) -> Cutting:
        """Cut one image.

        Args:
            image: RGB.
            hints: What is told of it.

        Raises:
            InputError: If the method cannot be told that, or it does not fit the image.
        """
        self.check_told(hints)
        if hints.seeds is not None and hints.seeds.shape != image.shape[:2]:
            raise InputError(
                f"seeds must have the size of the image, {image.shape[1]} × {image.shape[0]}; got "
                f"{hints.seeds.shape[1]} × {hints.seeds.shape[0]}."
            )
        if not self.is_fitted:
            return self._cut_unfitted(image, hints)
        arrays = self.fitted.arrays()
        if "side_classes" in arrays:
            return self._by_sides(self.method.cut(image, self.used_settings(), hints))
        looks = log_posteriors(image, arrays, self.appearance)
        partition = self.method.cut(image, self.used_settings(), self.guided(hints, looks))
        return self.named(partition, looks)

    def check_told(self, hints: Hints) -> None:
        """Refuse what the method cannot be told.

        Raises:
            InputError: If there is such a thing among the hints.
        """
        for name in ("box", "seeds"):
            if getattr(hints, name) is not None and name not in self.method.takes:
                knows = " and ".join(self.method.takes) or "nothing"
                raise InputError(f"{self.method_name} can be told {knows}; got {name}. Leave it out, or take grabcut.")

    def guided(self, hints: Hints, looks: Float64[np.ndarray, "K height width"]) -> Hints:
        """Return what is told with what a fit knows: costs of the classes, and pixels that are certain as seeds."""
        if not self.method.is_guided:
            return hints
        if hints.seeds is not None or "seeds" not in self.method.takes or "box" in self.method.takes:
            return replace(hints, costs=-looks)
        likeliest = looks.argmax(axis=0)
        is_certain = looks.max(axis=0) >= np.log(self.appearance.certainty)
        seeds = np.where(is_certain | (not is_certain.any()), likeliest + 1, 0)
        return replace(hints, costs=-looks, seeds=seeds.astype(np.int32))

    def named(self, partition: Partition, looks: Float64[np.ndarray, "K height width"]) -> Cutting:
        """Give classes to the regions of a cut by what their pixels look like, or take those that the method says.

        Args:
            partition: As the method cut the image.
            looks: Logarithm of each class's probability at each pixel.
        """
        if self.method.is_guided and partition.sides is not None:
            labels, probs = partition.side_map(), np.exp(looks)
        else:
            # The geometric mean of its pixels' probabilities: neighbours see the same, and are not so many witnesses.
            means = softmax(region_means(partition.labels, np.moveaxis(looks, 0, -1)), axis=1)
            labels = means.argmax(axis=1).astype(np.int32)[partition.labels]
            probs = np.moveaxis(means[partition.labels], -1, 0)
        return Cutting(partition=partition, labels=labels, probs=_mixed(labels, probs))

    def loss(self, output: SegmentationOutput, targets: MaskTarget) -> Mapping[str, Tensor]:
        """Return ``cross_entropy``, the mean over the pixels in nats, to compare fits by; nothing minimises it."""
        known = (targets.labels != IGNORE_LABEL).sum().clamp(min=1)
        return {"cross_entropy": pixel_cross_entropy(output.logits, targets.labels).sum() / known}

    @torch.no_grad()
    def decode(self, output: SegmentationOutput, sizes: Int64[Tensor, "batch 2"]) -> Sequence[SegmentationMap]:
        """Return the class of every pixel of each image at its original size (height, width)."""
        return segmentation_maps(output.logits, output.sizes, sizes)

    def fit_stage(self, stage: str, data: FitData) -> dict[str, Fact]:
        """Learn what classes look like, choose settings that are open, and what the sides of a cut are.

        Args:
            stage: ``"fit"``.
            data: The training images.

        Raises:
            ConfigError: If there is no such stage, or the method knows only two classes and there are others.
            TrainingError: If there is no pixel with a class.
        """
        self.enter(stage)
        if self.method.only_two and self.num_classes != 2:
            raise ConfigError(
                f"{self.method_name} tells an inside from an outside; the data set has {self.num_classes} classes. "
                "Take a data set of two classes, or graph_cut."
            )
        return fit(self, data)

    def check_state(self) -> None:
        """Refuse a state that no fit leaves behind.

        Raises:
            CheckpointError: If something has a wrong size or a value out of range.
        """
        arrays = self.fitted.arrays()
        if not arrays:
            return
        check_arrays(arrays, APPEARANCE_SCHEMA, {"K": self.num_classes, "d": num_features(self.appearance)})
        if not 0 <= int(arrays["choice"][0]) < len(self.choices()):
            raise CheckpointError(
                f"choice must be one of {len(self.choices())} settings; got {int(arrays['choice'][0])}. The settings "
                "of the run were changed: restore run.json, or train again."
            )

    def _by_sides(self, partition: Partition) -> Cutting:
        """Give each side the class that a fit gave it; what pixels look like does not matter."""
        arrays = self.fitted.arrays()
        sides = np.minimum(partition.side_map(), len(arrays["side_classes"]) - 1)
        labels = arrays["side_classes"][sides].astype(np.int32)
        return Cutting(
            partition=partition, labels=labels, probs=_mixed(labels, np.moveaxis(arrays["side_shares"][sides], -1, 0))
        )

    def _cut_unfitted(self, image: RgbImage, hints: Hints) -> Cutting:
        partition = self.method.cut(image, self.settings, hints)
        if self.method.is_guided and partition.sides is not None:
            labels = partition.side_map()
        else:
            labels = inner_regions(partition.labels).astype(np.int32)[partition.labels]
        number = max(self.num_classes, int(labels.max(initial=0)) + 1)
        even = np.full((number, *labels.shape), 1 / number)
        return Cutting(partition=partition, labels=labels, probs=_mixed(labels, even))


def _mixed(
    labels: NDArray[np.int32], probs: Float64[np.ndarray, "K height width"]
) -> Float64[np.ndarray, "K height width"]:
    """Return probabilities of which that of the cut's own class is the greatest everywhere, and none is 0."""
    chosen = np.arange(len(probs))[:, None, None] == labels
    mixed = _CUT_WEIGHT * chosen + (1 - _CUT_WEIGHT) * np.maximum(probs, np.finfo(np.float32).tiny)
    return np.asarray(mixed / mixed.sum(axis=0))


def _check_loaded(module: nn.Module, keys: Any) -> None:
    del keys
    if isinstance(module, ClassicalSegmenter):
        module.check_state()
