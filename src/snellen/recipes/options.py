"""What a user may say about a training run; whatever is left out is chosen, with a reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from snellen.data import ReadOptions
from snellen.errors import ConfigError, did_you_mean
from snellen.nn import Padding
from snellen.training.settings import OptimizerName, PrecisionName, ScheduleName

__all__ = ["TrainOptions", "options_from"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """Settings of a run; None means "choose for me and say why".

    Attributes:
        model: Name from ``snellen models``.
        weights: File to start from (.pth, .pt or .safetensors).
        mean: Of R, G, B in 0..1 that the weights expect; read from the file where it says so, else ImageNet's.
        std: Spread of R, G, B that the weights expect.
        padding: ``torch``, or ``same`` for weights trained with TensorFlow.
        epochs: Passes over the training images.
        image_size: Short side (detection, segmentation) or side (classification) in pixels.
        batch_size: Images per batch.
        lr: Peak learning rate.
        optimizer: ``sgd`` or ``adamw``.
        schedule: ``cosine``, ``multistep`` or ``constant``.
        milestones: Epochs at which ``multistep`` lowers the rate.
        weight_decay: Not applied to norms and biases.
        warmup_steps: Steps until the rate is at its peak.
        accumulate: Batches per step.
        clip_norm: Longest gradient; 0 for no limit.
        ema: Decay of the averaged weights; 0 for none.
        patience: Validations without progress after which training stops.
        precision: ``fp32`` or ``bf16``.
        augment: Strength of the augmentation, 0 to 1.
        flip: Whether a mirror image is still right.
        seed: Of everything random.
        device: ``cpu``, ``cuda`` or ``cuda:1``.
        workers: Processes that read images; 0 reads in the main process.
        read: What the files of the data set leave open.
        format: Name of the format of the data set.
        folder: Of the run.
        validate_every: Epochs between validations.
        tensorboard: Whether to write TensorBoard's files.
    """

    model: str | None = None
    weights: Path | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    padding: Padding | None = None
    epochs: int | None = None
    image_size: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    optimizer: OptimizerName | None = None
    schedule: ScheduleName | None = None
    milestones: tuple[int, ...] = ()
    weight_decay: float | None = None
    warmup_steps: int | None = None
    accumulate: int = 1
    clip_norm: float | None = None
    ema: float | None = None
    patience: int | None = None
    precision: PrecisionName | None = None
    augment: float | None = None
    flip: bool | None = None
    seed: int = 0
    device: str | None = None
    workers: int | None = None
    read: ReadOptions = field(default_factory=ReadOptions)
    format: str | None = None
    folder: Path | None = None
    validate_every: int | None = None
    tensorboard: bool = True


def options_from(values: Mapping[str, Any]) -> TrainOptions:
    """Return options from keywords.

    Raises:
        ConfigError: If there is no such option.
    """
    known = [entry.name for entry in fields(TrainOptions)]
    for name in values:
        if name not in known:
            raise ConfigError(f"train has no option {name!r}.{did_you_mean(name, known)}")
    paths = {name: Path(values[name]) for name in ("weights", "folder") if values.get(name) is not None}
    return TrainOptions(**{**values, **paths})
