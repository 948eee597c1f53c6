"""How the training loop runs where the user left it open: what is usual, and the reasons."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import torch

from snellen.errors import ConfigError
from snellen.models import ModelEntry
from snellen.recipes.options import TrainOptions
from snellen.structures import BoxTarget, ClassTarget, LabelSetTarget, MaskTarget, Target, ValueTarget
from snellen.training import TrainSettings, best_precision

__all__ = ["USUAL", "Choices", "Usual", "at_least_one", "loop_settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What usually works for one type of target.

    Rates are for ``batch_size_cpu`` images and grow with the square root (AdamW) or linearly (SGD) with the batch.
    AdamW's rates are starting points, tried on the built-in charts only; SGD's are those of the budgets in
    ``benchmarks/accuracy_settings.py`` where that has a row with pretrained weights.
    """

    model: str
    model_tuned: str
    size_cpu: int
    size_gpu: int
    batch_size_cpu: int
    batch_size_gpu: int
    images_cpu: int  # images to show in a whole run, when no number of epochs is given
    images_gpu: int
    lr_scratch: float
    lr_tuned: float
    augment: float
    augment_epochs: tuple[int, int]  # up to the first none, from the second on all; with fewer epochs it costs accuracy
    frozen_norm: bool
    clip_norm: float
    least_size: int = 32  # of images, in pixels
    has_classes: bool = True  # that can be shown equally often
    stands_changes: bool = True  # whether a target stays right, or moves along, when its image is cut or mirrored


_WHOLE_IMAGES = Usual(
    model="resnet18",
    model_tuned="mobilenet_v2",
    size_cpu=160,
    size_gpu=224,
    batch_size_cpu=16,
    batch_size_gpu=64,
    images_cpu=30_000,
    images_gpu=300_000,
    lr_scratch=1e-3,
    lr_tuned=0.002,
    augment=0.5,
    augment_epochs=(0, 1),
    frozen_norm=False,
    clip_norm=10.0,
    least_size=64,
)
USUAL: Mapping[type[Target], Usual] = {
    BoxTarget: Usual(
        model="faster_rcnn_r18_fpn",
        model_tuned="faster_rcnn_mobilenet_v2_fpn",
        size_cpu=320,
        size_gpu=640,
        batch_size_cpu=4,
        batch_size_gpu=16,
        images_cpu=6_000,
        images_gpu=60_000,
        lr_scratch=5e-4,
        lr_tuned=0.01,
        augment=0.25,
        augment_epochs=(10, 50),
        frozen_norm=True,
        clip_norm=10.0,
    ),
    ClassTarget: _WHOLE_IMAGES,
    LabelSetTarget: replace(_WHOLE_IMAGES, lr_tuned=0.01),
    MaskTarget: Usual(
        model="unet_resnet18",
        model_tuned="unet_mobilenet_v2",
        size_cpu=192,
        size_gpu=512,
        batch_size_cpu=4,
        batch_size_gpu=16,
        images_cpu=8_000,
        images_gpu=80_000,
        lr_scratch=1e-3,
        lr_tuned=0.02,
        augment=0.25,
        augment_epochs=(10, 50),
        frozen_norm=False,
        clip_norm=10.0,
    ),
    ValueTarget: replace(_WHOLE_IMAGES, augment=0.0, has_classes=False, stands_changes=False),
}

_MIN_EPOCHS, _MAX_EPOCHS = 4, 100
_MOST_VALIDATIONS = 25
_WARMUP_SHARE = 0.05  # of all steps, at most _MAX_WARMUP
_MAX_WARMUP = 500
_EMA_DECAY = 0.99  # about the last hundred steps
_EMA_LEAST_STEPS = 200


# Of the loop's own settings, those that are passed on where the user gave them, and named where he did.
_AS_GIVEN = (
    "clip_value", "momentum", "nesterov", "l1", "switch_epoch", "switch_lr", "power", "cycles", "plateau_patience",
    "swa_epochs",
)  # fmt: skip
_WEIGHT_DECAYS: Mapping[str, tuple[float, str]] = {
    "sgd": (1e-4, "usual for SGD"),
    "rmsprop": (4e-5, "usual for RMSprop; Sandler et al. 2018, section 6.1"),
    "adam": (0.0, "Adam would rescale it; AdamW does not"),
    "adamw": (0.05, "usual for AdamW"),
}


class Choices:
    """Values with reasons; what the user gave always wins."""

    def __init__(self, options: TrainOptions) -> None:
        self.options = options
        self.reasons: dict[str, str] = {}

    def pick(self, name: str, choose: Callable[[], tuple[Any, str]]) -> Any:
        """Return the user's value, or the chosen one, and note the reason."""
        given = getattr(self.options, name)
        value, reason = (given, "given") if given is not None else choose()
        self.reasons[name] = reason
        return value


def loop_settings(
    choices: Choices,
    usual: Usual,
    entry: ModelEntry,
    batch_size: int,
    batches: int,
    num_train: int,
    device: str,
    *,
    tuned: bool,
) -> TrainSettings:
    """Choose every setting of the loop that the user left open, and note why.

    Args:
        choices: What the user said; the reasons are noted there.
        usual: For this kind of target.
        entry: The model.
        batch_size: Images per batch.
        batches: Of an epoch.
        num_train: Images of an epoch.
        device: Where to compute.
        tuned: Whether the model starts from weights.

    Raises:
        ConfigError: If a value is out of range.
    """
    options = choices.options
    on_cpu = torch.device(device).type == "cpu"
    epochs = choices.pick("epochs", lambda: _epochs(usual, num_train, on_cpu=on_cpu))
    at_least_one(epochs=epochs, accumulate=options.accumulate)
    steps = epochs * ceil(batches / options.accumulate)
    optimizer = choices.pick(
        "optimizer",
        lambda: _optimizer(entry, tuned=tuned),
    )
    choices.reasons["channels_last"] = "convolutions are faster in this layout"
    return TrainSettings(
        epochs=epochs,
        optimizer=optimizer,
        lr=choices.pick("lr", lambda: _lr(usual, entry, batch_size * options.accumulate, optimizer, tuned=tuned)),
        weight_decay=choices.pick("weight_decay", lambda: _WEIGHT_DECAYS[optimizer]),
        schedule=(schedule := choices.pick("schedule", lambda: ("cosine", "needs no milestones"))),
        warmup_steps=choices.pick("warmup_steps", lambda: _warmup(schedule, steps)),
        milestones=options.milestones,
        accumulate=options.accumulate,
        clip_norm=choices.pick("clip_norm", lambda: _clip_norm(usual, options)) or None,
        ema_decay=choices.pick("ema", lambda: _ema(steps, schedule, options.swa_epochs or 0)) or None,
        precision=choices.pick("precision", lambda: _precision(device)),
        channels_last=True,
        patience=options.patience,
        validate_every=choices.pick(
            "validate_every",
            lambda: (ceil(epochs / _MOST_VALIDATIONS), f"at most {_MOST_VALIDATIONS} validations"),
        ),
        seed=options.seed,
        **{name: value for name in _AS_GIVEN if (value := getattr(options, name)) is not None},
    )


def _epochs(usual: Usual, num_train: int, *, on_cpu: bool) -> tuple[int, str]:
    images = usual.images_cpu if on_cpu else usual.images_gpu
    epochs = max(_MIN_EPOCHS, min(_MAX_EPOCHS, round(images / num_train)))
    return epochs, f"shows about {epochs * num_train:,} images, as suits a {'CPU' if on_cpu else 'GPU'}"


def _optimizer(entry: ModelEntry, *, tuned: bool) -> tuple[str, str]:
    if not tuned:
        return "adamw", "learns fastest from random weights"
    if entry.tuned is not None and entry.tuned[0] == "adamw":
        return "adamw", "its heads on every map start from nothing"
    return "sgd", "keeps what the weights know"


def _lr(usual: Usual, entry: ModelEntry, batch: int, optimizer: str, *, tuned: bool) -> tuple[float, str]:
    ratio = batch / usual.batch_size_cpu
    own = entry.tuned[1] if tuned and entry.tuned is not None and entry.tuned[0] == optimizer else None
    if optimizer == "sgd":
        base = usual.lr_tuned if own is None else own
        return base * ratio, f"{base:g} for {usual.batch_size_cpu} images, in proportion to the batch"
    if not tuned and entry.scratch_lr is not None:
        own = entry.scratch_lr
    base = own if own is not None else usual.lr_scratch * (0.2 if tuned else 1.0)
    return base * ratio**0.5, f"{base:g} for {usual.batch_size_cpu} images, with the square root of the batch"


def _clip_norm(usual: Usual, options: TrainOptions) -> tuple[float, str]:
    if options.clip_value is not None:
        return 0.0, "the gradient is limited number by number (clip_value)"
    return usual.clip_norm, "guards against single bad batches"


def _warmup(schedule: str, steps: int) -> tuple[int, str]:
    if schedule in ("onecycle", "snapshot"):
        return 0, f"{schedule} has a course of its own"
    return min(_MAX_WARMUP, ceil(_WARMUP_SHARE * steps)), f"{_WARMUP_SHARE:.0%} of {steps} steps"


def _ema(steps: int, schedule: str, swa_epochs: int) -> tuple[float, str]:
    if schedule == "snapshot":
        return 0.0, "an average would mix the cycles"
    if swa_epochs:
        return 0.0, f"the weights of the last {swa_epochs} epochs are averaged"
    if steps < _EMA_LEAST_STEPS:
        return 0.0, f"too few steps ({steps}) to average over"
    return _EMA_DECAY, "the average of the last weights is usually better than the last weights"


def _precision(device: str) -> tuple[str, str]:
    best = best_precision(device)
    return best, "faster on this device" if best == "bf16" else "bf16 is not faster on this device"


def at_least_one(**values: int) -> None:
    """Raise ConfigError for a count, by its name, that is below 1."""
    for name, value in values.items():
        if value < 1:
            raise ConfigError(f"{name} must be 1 or more; got {value}.")
