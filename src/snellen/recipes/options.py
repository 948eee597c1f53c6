"""What a user may say about a training run; whatever is left out is chosen, with a reason."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import isfinite
from numbers import Integral, Real
from pathlib import Path
from typing import Any, get_args

from snellen.data import ReadOptions, Repairs
from snellen.data.transforms import MAX_LEVEL
from snellen.errors import ConfigError, did_you_mean
from snellen.imaging import Enhancement
from snellen.models import ACTIVATIONS, INITS, NORMS, ActivationName, InitName, NormName
from snellen.nn import Padding
from snellen.recipes.parts import DataPart
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
        optimizer: ``sgd``, ``rmsprop``, ``adam`` or ``adamw``.
        momentum: Of SGD.
        nesterov: Whether SGD looks ahead along its momentum.
        switch_epoch: Epoch after which SGD takes over from an adaptive optimizer.
        switch_lr: Peak learning rate of that SGD.
        schedule: ``cosine``, ``multistep``, ``constant``, ``polynomial``, ``onecycle``, ``plateau`` or ``snapshot``.
        milestones: Epochs at which ``multistep`` lowers the rate.
        power: Of ``polynomial``.
        cycles: Of ``snapshot``; the weights at the end of each are kept, for an ensemble.
        plateau_patience: Validations without a lower loss after which ``plateau`` halves the rate.
        swa_epochs: Last epochs whose weights are averaged with equal shares.
        weight_decay: Not applied to norms and biases.
        l1: Strength of the absolute penalty, which makes weights exactly zero; not applied to norms and biases.
        finetune: How a model learns that starts from weights: ``auto`` (chosen by the size of the data and how well the
            features fit), ``all``, ``head``, ``last:N`` (stages), ``gradual`` or ``scratch``.
        layer_decay: Share of the rate from one stage of the backbone to the one before.
        freeze: Stage of the backbone, such as ``c2``, up to which nothing learns.
        warmup_steps: Steps until the rate is at its peak.
        accumulate: Batches per step.
        clip_norm: Longest gradient; 0 for no limit.
        clip_value: Greatest size of each number of the gradient, which may turn its direction; then there is no limit
            on its length, unless one is given.
        ema: Decay of the averaged weights; 0 for none.
        patience: Validations without progress after which training stops.
        precision: ``fp32`` or ``bf16``.
        augment: Strength of the augmentation, 0 to 1.
        flip: Whether a mirror image is still right.
        mosaic: Share of the training images that become a mosaic of four.
        mixup: Share of the training images that are blended with another.
        copy_paste: Share of the training images that get objects of another.
        cutmix: Share of the training images that get a rectangle of another.
        randaugment: Number of operations and their magnitude, 0 to 30, in place of the usual change of colours; the
            paper takes 2 and 9. None for none.
        erase: Share of the training images of which a rectangle becomes noise.
        noise: Greatest standard deviation of the noise on training images, in levels of 0..255; each image gets an even
            draw from 0 to it.
        crop: Side in pixels of the square that is cut out of training images with label maps; the size of the
            evaluation if None.
        balanced_crops: Share of those cuts that hold a pixel of a class drawn evenly from those that the image shows.
        ignored_band: Pixels on either side of a border between classes that count for nothing in training.
        multi_scale: Whether the size of the images changes every ten batches.
        sampler: ``shuffled`` (every image once an epoch), ``repeat_factor`` (images with rare classes more often),
            ``class_balanced`` (every class equally often), ``square_root`` (between these), ``oversampled`` (images
            repeated until all classes are as large as the largest), ``undersampled`` (as many of each class as the
            smallest has, others in each epoch) or ``in_order`` (as the data set lists them).
        loss: Of the model, as in ``snellen models NAME``.
        class_weights: In the loss of one class for each image or pixel: ``inverse`` frequency, ``inverse_sqrt``,
            ``effective_number``, for pixels ``median_frequency``, numbers in label order, or numbers by class name.
        headline: Figure that decides which weights are best and when training stops: ``accuracy``,
            ``balanced_accuracy`` or ``macro_F1``, for one class for each image.
        proposals: For models that judge proposals from outside: ``single``, ``fast`` or ``quality`` (selective search),
            or a file of proposals.
        activation: In the place of the network's own: ``relu``, ``leaky_relu``, ``elu``, ``selu``, ``silu``,
            ``gelu``, ``tanh``, ``sigmoid``, or ``maxout`` (with the layers before it twice as deep; without given
            weights).
        norm: In the place of the network's own: ``batch``, ``sync_batch`` (over the images of all processes),
            ``group``, ``instance`` or ``none``; without given weights.
        init: How first weights are drawn, in the place of the network's own way: ``kaiming``, ``xavier`` or
            ``orthogonal``; without given weights.
        model_options: Further keywords of the model's builder, or settings inside the model by dotted path; see
            ``snellen models NAME``.
        seed: Of everything random.
        split_seed: Of the splits that the data set does not have itself; ``seed`` if None. Runs that are compared, or
            put together, have the same.
        part: The part of the training images to learn from; all if None.
        enhance: Operations of ``snellen enhance`` on every image as soon as it is read, in training and in use, such as
            ``("clahe:clip_limit=3", "grey_world")``.
        repairs: Training images to leave out, and labels to change, before anything is learned.
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
    momentum: float | None = None
    nesterov: bool | None = None
    switch_epoch: int | None = None
    switch_lr: float | None = None
    schedule: ScheduleName | None = None
    milestones: tuple[int, ...] = ()
    power: float | None = None
    cycles: int | None = None
    plateau_patience: int | None = None
    swa_epochs: int | None = None
    weight_decay: float | None = None
    l1: float | None = None
    finetune: str | None = None
    layer_decay: float | None = None
    freeze: str | None = None
    warmup_steps: int | None = None
    accumulate: int = 1
    clip_norm: float | None = None
    clip_value: float | None = None
    ema: float | None = None
    patience: int | None = None
    precision: PrecisionName | None = None
    augment: float | None = None
    flip: bool | None = None
    mosaic: float = 0.0
    mixup: float = 0.0
    copy_paste: float = 0.0
    cutmix: float = 0.0
    randaugment: tuple[int, int] | None = None
    erase: float = 0.0
    noise: float = 0.0
    crop: int | None = None
    balanced_crops: float = 0.0
    ignored_band: int | None = None
    multi_scale: bool | None = None
    sampler: SamplerName | None = None
    loss: str | None = None
    class_weights: str | Mapping[str, float] | Sequence[float] | None = None
    headline: str | None = None
    proposals: str | None = None
    activation: ActivationName | None = None
    norm: NormName | None = None
    init: InitName | None = None
    model_options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    split_seed: int | None = None
    part: DataPart | None = None
    enhance: tuple[str, ...] | None = None
    repairs: Repairs | None = None
    device: str | None = None
    workers: int | None = None
    read: ReadOptions = field(default_factory=ReadOptions)
    format: str | None = None
    folder: Path | None = None
    validate_every: int | None = None
    tensorboard: bool = True


def options_from(values: Mapping[str, Any]) -> TrainOptions:
    """Return options from keywords.

    Beside those of ``TrainOptions`` there is ``subset``: ``2/10`` is the second of ten balanced parts (``DataPart``).

    Raises:
        ConfigError: If there is no such option, or a value is out of range.
    """
    known = [*(entry.name for entry in fields(TrainOptions)), *_SHORT_FORMS]
    for name in values:
        if name not in known:
            raise ConfigError(f"train has no option {name!r}.{did_you_mean(name, known)}")
    for name, value in values.items():
        if value is not None:
            _check(name, value)
    paths = {name: Path(values[name]) for name in ("weights", "folder") if values.get(name) is not None}
    # What the model shall have goes to its builder, beside everything else that it takes.
    own = {name: values[name] for name in _MODEL_OPTIONS if values.get(name) is not None}
    given = {**(values.get("model_options") or {}), **own}
    plain = {name: value for name, value in values.items() if name not in _SHORT_FORMS}
    if isinstance(plain.get("repairs"), Mapping):
        plain["repairs"] = Repairs.from_record(plain["repairs"])
    if plain.get("enhance") is not None:
        plain["enhance"] = _operations(plain["enhance"])
    return TrainOptions(**{**plain, **paths, **_part(values), "model_options": given})


def _part(values: Mapping[str, Any]) -> dict[str, Any]:
    if values.get("subset") is None:
        return {}
    if values.get("part") is not None:
        raise ConfigError(f"subset is a part of the training images already; got part={values['part']!r} too.")
    number, of = map(int, values["subset"].split("/"))
    split_seed = values.get("split_seed")
    seed: int = (values.get("seed") or 0) if split_seed is None else split_seed
    return {"part": DataPart(kind="balanced", number=number, of=of, seed=seed)}


def _operations(given: str | Sequence[str]) -> tuple[str, ...] | None:
    """Return operations as they are written down; no text is none."""
    if not given:
        return None
    enhancement = Enhancement.read(given)
    if enhancement.moving:
        raise ConfigError(
            f"enhance keeps every pixel in its place, for what is annotated; got {enhancement.moving[0]!r}. Say "
            "image_size instead."
        )
    return tuple(enhancement.texts())


_MODEL_OPTIONS = ("loss", "class_weights", "ignored_band")
_SHORT_FORMS = ("subset",)
_FINETUNE = r"auto|all|head|last:[1-9]\d*|gradual|scratch"
_MAX_MAGNITUDE = 30  # of RandAugment; its paper, section 4
_WHOLE_NUMBERS: Mapping[str, int] = {  # with the least that is allowed
    "epochs": 1,
    "image_size": 1,
    "batch_size": 1,
    "warmup_steps": 0,
    "accumulate": 1,
    "patience": 1,
    "switch_epoch": 1,
    "cycles": 1,
    "plateau_patience": 1,
    "swa_epochs": 0,
    "seed": 0,
    "split_seed": 0,
    "workers": 0,
    "validate_every": 1,
    "crop": 1,
    "ignored_band": 0,
}
_REAL_NUMBERS: Mapping[str, tuple[Callable[[float], bool], str]] = {
    "lr": (lambda value: value > 0, "above 0"),
    **dict.fromkeys(("clip_value", "switch_lr", "power"), (lambda value: value > 0, "above 0")),
    **dict.fromkeys(("weight_decay", "l1"), (lambda value: value >= 0, "0 or more")),
    "momentum": (lambda value: 0 <= value < 1, "from 0 to below 1"),
    "layer_decay": (lambda value: 0 < value <= 1, "above 0, at most 1"),
    "clip_norm": (lambda value: value >= 0, "above 0, or 0 for no limit"),
    "noise": (lambda value: 0 <= value <= MAX_LEVEL, f"from 0 to {MAX_LEVEL}, levels of a pixel"),
    "ema": (lambda value: 0 <= value < 1, "from 0 (no average) to below 1"),
    **dict.fromkeys(
        ("augment", "mosaic", "mixup", "copy_paste", "cutmix", "erase", "balanced_crops"),
        (lambda value: 0 <= value <= 1, "from 0 to 1"),
    ),
}


def _check(name: str, value: Any) -> None:
    if name in _WHOLE_NUMBERS:
        least = _WHOLE_NUMBERS[name]
        _require(name, value, holds=_is_whole(value, least), expected=f"a whole number, {least} or more")
    elif name in _REAL_NUMBERS:
        fits, expected = _REAL_NUMBERS[name]
        _require(name, value, holds=_is_real(value) and fits(value), expected=f"a finite number {expected}")
    elif name in _OTHERS:
        holds, expected = _OTHERS[name]
        _require(name, value, holds=holds(value), expected=expected)


def _are_colours(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 3 and all(map(_is_real, value))


def _are_operations(value: Any) -> bool:
    fits = isinstance(value, (list, tuple)) and len(value) == 2
    return fits and _is_whole(value[0], 1) and _is_whole(value[1], 0) and value[1] <= _MAX_MAGNITUDE


def _is_subset(value: Any) -> bool:
    found = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", value) if isinstance(value, str) else None
    return found is not None and int(found[1]) <= int(found[2])


def _is_whole(value: object, least: int) -> bool:
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= least


def _is_real(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and isfinite(float(value))


def _require(name: str, value: Any, *, holds: bool, expected: str) -> None:
    if not holds:
        raise ConfigError(f"{name} must be {expected}; got {value!r}.")


_OPTIMIZERS, _SCHEDULES = get_args(OptimizerName), get_args(ScheduleName)
_OTHERS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "mean": (_are_colours, "three finite numbers, for R, G and B in 0..1"),
    "std": (
        lambda value: _are_colours(value) and min(value) > 0,
        "three finite numbers above 0, for R, G and B in 0..1",
    ),
    "milestones": (
        lambda value: isinstance(value, (list, tuple)) and all(_is_whole(epoch, 1) for epoch in value),
        "epochs, whole numbers from 1 on",
    ),
    "padding": (lambda value: value in ("torch", "same"), "'torch' or 'same'"),
    "finetune": (
        lambda value: isinstance(value, str) and re.fullmatch(_FINETUNE, value) is not None,
        "auto, all, head, last:N (such as last:2), gradual or scratch",
    ),
    "randaugment": (
        _are_operations,
        f"two whole numbers, operations from 1 on and their magnitude from 0 to {_MAX_MAGNITUDE}",
    ),
    "subset": (_is_subset, "a part and the number of parts, such as 2/10"),
    "repairs": (
        lambda value: isinstance(value, Repairs | Mapping),
        "snellen.data.Repairs, or a mapping with drop, labels and objects",
    ),
    "sampler": (lambda value: value in SAMPLERS, f"one of {', '.join(map(repr, SAMPLERS))}"),
    "activation": (lambda value: value in ACTIVATIONS, f"one of {', '.join(map(repr, ACTIVATIONS))}"),
    "norm": (lambda value: value in NORMS, f"one of {', '.join(map(repr, NORMS))}"),
    "init": (lambda value: value in INITS, f"one of {', '.join(map(repr, INITS))}"),
    "optimizer": (lambda value: value in _OPTIMIZERS, f"one of {', '.join(map(repr, _OPTIMIZERS))}"),
    "schedule": (lambda value: value in _SCHEDULES, f"one of {', '.join(map(repr, _SCHEDULES))}"),
}
