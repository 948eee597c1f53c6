"""What a user may say about a training run; whatever is left out is chosen, with a reason."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from snellen.data import ReadOptions
from snellen.errors import ConfigError, did_you_mean
from snellen.nn import Padding
from snellen.recipes.sampling import SAMPLERS, SamplerName
from snellen.training.settings import OptimizerName, PrecisionName, ScheduleName

__all__ = ["TrainOptions", "options_from"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """Settings of a run; None means "choose for me and say why".

    Attributes:
        model: Name from ``snellen models``.
        weights: File to start from (.pth, .pt, .safetensors, or .weights of darknet).
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
        mosaic: Share of the training images that become a mosaic of four.
        mixup: Share of the training images that are blended with another.
        copy_paste: Share of the training images that get objects of another.
        multi_scale: Whether the size of the images changes every ten batches.
        sampler: ``shuffled`` (every image once an epoch), ``repeat_factor`` (images with rare classes more often) or
            ``class_balanced`` (every class equally often).
        proposals: For models that judge proposals from outside: ``single``, ``fast`` or ``quality`` (selective search),
            or a file of proposals.
        model_options: Further keywords of the model's builder, or settings inside the model by dotted path; see
            ``snellen models NAME``.
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
    mosaic: float = 0.0
    mixup: float = 0.0
    copy_paste: float = 0.0
    multi_scale: bool | None = None
    sampler: SamplerName | None = None
    proposals: str | None = None
    model_options: Mapping[str, Any] = field(default_factory=dict)
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
        ConfigError: If there is no such option, or a value is out of range.
    """
    known = [entry.name for entry in fields(TrainOptions)]
    for name in values:
        if name not in known:
            raise ConfigError(f"train has no option {name!r}.{did_you_mean(name, known)}")
    for name, value in values.items():
        if value is not None:
            _check(name, value)
    paths = {name: Path(values[name]) for name in ("weights", "folder") if values.get(name) is not None}
    return TrainOptions(**{**values, **paths})


_WHOLE_NUMBERS: Mapping[str, int] = {  # with the least that is allowed
    "epochs": 1,
    "image_size": 1,
    "batch_size": 1,
    "warmup_steps": 0,
    "accumulate": 1,
    "patience": 1,
    "seed": 0,
    "workers": 0,
    "validate_every": 1,
}
_REAL_NUMBERS: Mapping[str, tuple[Callable[[float], bool], str]] = {
    "lr": (lambda value: value > 0, "above 0"),
    "weight_decay": (lambda value: value >= 0, "0 or more"),
    "clip_norm": (lambda value: value >= 0, "above 0, or 0 for no limit"),
    "ema": (lambda value: 0 <= value < 1, "from 0 (no average) to below 1"),
    **dict.fromkeys(("augment", "mosaic", "mixup", "copy_paste"), (lambda value: 0 <= value <= 1, "from 0 to 1")),
}


def _check(name: str, value: Any) -> None:
    if name in _WHOLE_NUMBERS:
        least = _WHOLE_NUMBERS[name]
        _require(name, value, holds=_is_whole(value, least), expected=f"a whole number, {least} or more")
    elif name in _REAL_NUMBERS:
        fits, expected = _REAL_NUMBERS[name]
        _require(name, value, holds=_is_real(value) and fits(value), expected=f"a finite number {expected}")
    elif name in ("mean", "std"):
        holds = isinstance(value, (list, tuple)) and len(value) == 3 and all(map(_is_real, value))
        if name == "std":
            holds = holds and min(value) > 0
        above = " above 0" if name == "std" else ""
        _require(name, value, holds=holds, expected=f"three finite numbers{above}, for R, G and B in 0..1")
    elif name == "milestones":
        holds = isinstance(value, (list, tuple)) and all(_is_whole(epoch, 1) for epoch in value)
        _require(name, value, holds=holds, expected="epochs, whole numbers from 1 on")
    elif name == "padding":
        _require(name, value, holds=value in ("torch", "same"), expected="'torch' or 'same'")
    elif name == "sampler":
        _require(name, value, holds=value in SAMPLERS, expected=f"one of {', '.join(map(repr, SAMPLERS))}")


def _is_whole(value: object, least: int) -> bool:
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= least


def _is_real(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and isfinite(float(value))


def _require(name: str, value: Any, *, holds: bool, expected: str) -> None:
    if not holds:
        raise ConfigError(f"{name} must be {expected}; got {value!r}.")
