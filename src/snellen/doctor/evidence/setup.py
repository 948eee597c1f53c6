"""What is going to be trained, and how, as far as it is known before the first step."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.doctor.words import Text

__all__ = ["FeatureMap", "Setup"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureMap:
    """A map that a model reads its answers from.

    Attributes:
        name: Of the map.
        stride: Pixels of the input from one cell to the next.
        receptive_field_px: Side of the square of input pixels that one cell sees; None where it is not known.
    """

    name: str
    stride: int
    receptive_field_px: int | None = None


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A planned training. What is None is not known, and checks that need it are not checkable.

    Attributes:
        model: Name of the model.
        image_size: Pixels; what it means depends on ``resize``.
        resize: ``short`` (the short side becomes ``image_size``), ``square`` (both sides do) or ``letterbox``.
        maps: That answers are read from.
        anchors: Width and height in pixels of the resized input, ``[num_anchors, 2]``; None without anchors.
        grid: Cells per side of a detector with one object per cell and class vector (YOLOv1); None for others.
        num_parameters: All of them.
        batch_size: Images per batch.
        accumulate: Batches per step.
        epochs: Passes over the training images.
        steps: Optimizer steps in all.
        num_train_images: Images that are trained on.
        optimizer: ``sgd`` or ``adamw``, or the name of the class.
        lr: Peak learning rate.
        weight_decay: Of the decayed parameters.
        warmup_steps: Steps until the rate is at its peak.
        sampler: ``shuffled``, ``repeat_factor``, ``class_balanced`` or ``sequential``.
        augment: Strength of the augmentation, 0 to 1.
        flip: Whether images are mirrored.
        frozen_norm: Whether batch norms keep the statistics of the weights.
        precision: Of the forward pass.
        pretrained: Whether training starts from weights.
        weights_matched: Share of the backbone's tensors that the weights filled.
        mean: Of R, G, B that the model subtracts, in 0..1.
        std: Spread of R, G, B that it divides by.
        weights_mean: Of R, G, B that the weights were trained with, where their file says so.
        weights_std: Spread of R, G, B that the weights were trained with.
        options: Further settings, by name.
        inside: Settings inside the model by dotted path.
    """

    ABSENT = Text(
        en="no model was named; give --model NAME to check what will be trained",
        zh="没有指定模型；用 --model 名称 才能检查将要训练的内容",
    )

    model: str | None = None
    image_size: int | None = None
    resize: str | None = None
    maps: tuple[FeatureMap, ...] = ()
    anchors: NDArray[np.float32] | None = None
    grid: int | None = None
    num_parameters: int | None = None
    batch_size: int | None = None
    accumulate: int = 1
    epochs: int | None = None
    steps: int | None = None
    num_train_images: int | None = None
    optimizer: str | None = None
    lr: float | None = None
    weight_decay: float | None = None
    warmup_steps: int | None = None
    sampler: str | None = None
    augment: float | None = None
    flip: bool | None = None
    frozen_norm: bool | None = None
    precision: str | None = None
    pretrained: bool | None = None
    weights_matched: float | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    weights_mean: tuple[float, float, float] | None = None
    weights_std: tuple[float, float, float] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    inside: Mapping[str, Any] = field(default_factory=dict)
