"""What a run of training is told: one frozen record, checked when it is made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from snellen.errors import ConfigError
from snellen.training.depth import DepthGroup

__all__ = ["OptimizerName", "PrecisionName", "ScheduleName", "TrainSettings"]

OptimizerName = Literal["sgd", "rmsprop", "adam", "adamw"]
ScheduleName = Literal["cosine", "multistep", "constant", "polynomial", "onecycle", "plateau", "snapshot"]
PrecisionName = Literal["fp32", "bf16"]
# Settings that are above 0 where there are any.
_LIMITS = (
    "clip_norm", "clip_value", "patience", "checkpoint_minutes", "checkpoint_steps", "switch_epoch", "switch_lr",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How to train; a *step* is one change of the weights, a *batch* is what the source yields.

    Attributes:
        epochs: Passes over the training set.
        lr: Peak learning rate, reached after the warm-up.
        optimizer: ``"sgd"`` (with momentum), ``"rmsprop"``, ``"adam"`` or ``"adamw"``.
        momentum: Of SGD; the others ignore it.
        nesterov: Whether SGD looks ahead along its momentum.
        weight_decay: Pull towards zero, for everything but norms and biases. AdamW takes it from the weights directly;
            the others add it to the gradient, where it is the gradient of half the squared norm.
        l1: Strength of the absolute penalty, for everything but norms and biases; see ``Stepper``.
        switch_epoch: Epoch, from 0, at whose first step SGD takes over from an adaptive optimizer, or None for never.
        switch_lr: Peak learning rate of that SGD.
        warmup_steps: Steps over which the rate rises linearly to its peak.
        warmup_factor: Share of the peak at which the warm-up starts, above 0, at most 1.
        schedule: What the rate does after the warm-up.
        milestones: Epochs after which ``"multistep"`` multiplies the rate by ``milestone_factor``.
        milestone_factor: See ``milestones``.
        final_factor: Share of the peak at which ``"cosine"`` and ``"polynomial"`` end, 0..1.
        power: Of ``"polynomial"``; 1 falls along a line.
        cycles: Of ``"snapshot"``; the weights at the end of each are kept.
        plateau_patience: Validations without a lower loss after which ``"plateau"`` lowers the rate.
        plateau_factor: By which it does so.
        swa_epochs: Last epochs whose weights are averaged with equal shares; 0 for none.
        swa_factor: Share of the peak at which the rate stays in those epochs.
        accumulate: Batches per step; their gradients are averaged over images.
        clip_norm: Longest gradient (2-norm over all parameters), or None for no limit; the direction stays.
        clip_value: Greatest size of each number of the gradient, or None for no limit; the direction may turn. Where
            both are given, numbers are cut first.
        ema_decay: Decay of the average of the weights, or None for no average.
        precision: Arithmetic of the forward pass; see ``best_precision``.
        channels_last: Lay convolutions' memory out with channels innermost.
        patience: Validations without a better headline after which training stops, or None for never.
        validate_every: Epochs between validations; the last epoch is always validated.
        seed: Of dropout, samplers and whatever else draws during a step.
        checkpoint_minutes: Most minutes between checkpoints within an epoch, or None.
        checkpoint_steps: Most steps between checkpoints within an epoch, or None.
        max_nonfinite: Steps in a row with a loss or gradient that is not finite before training gives up.
        depth: Parts of the model with rates of their own; none where all of it learns alike.

    Raises:
        ConfigError: If a value is out of range.
    """

    epochs: int
    lr: float
    optimizer: OptimizerName = "sgd"
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    l1: float = 0.0
    switch_epoch: int | None = None
    switch_lr: float | None = None
    warmup_steps: int = 0
    warmup_factor: float = 0.001
    schedule: ScheduleName = "cosine"
    milestones: tuple[int, ...] = ()
    milestone_factor: float = 0.1
    final_factor: float = 0.0
    power: float = 1.0
    cycles: int = 5
    plateau_patience: int = 2
    plateau_factor: float = 0.5
    swa_epochs: int = 0
    swa_factor: float = 0.5
    accumulate: int = 1
    clip_norm: float | None = None
    clip_value: float | None = None
    ema_decay: float | None = None
    precision: PrecisionName = "fp32"
    channels_last: bool = False
    patience: int | None = None
    validate_every: int = 1
    seed: int = 0
    checkpoint_minutes: float | None = 10.0
    checkpoint_steps: int | None = None
    max_nonfinite: int = 10
    depth: tuple[DepthGroup, ...] = ()

    def __post_init__(self) -> None:
        """Check every value."""
        self._check_choices()
        self._check_ranges()
        self._check_together()

    @classmethod
    def from_record(cls, saved: Mapping[str, Any]) -> Self:
        """Return settings from what ``asdict`` made of them, also after JSON."""
        depth = tuple(DepthGroup(**{**group, "parts": tuple(group["parts"])}) for group in saved.get("depth", ()))
        return cls(**{**saved, "milestones": tuple(saved["milestones"]), "depth": depth})

    def peak_lr(self, epoch: int) -> float:
        """Return the peak learning rate of the optimizer that is at work in ``epoch``, from 0."""
        has_switched = self.switch_epoch is not None and epoch >= self.switch_epoch
        return self.switch_lr if has_switched and self.switch_lr is not None else self.lr

    def _check_choices(self) -> None:
        for name, known in (
            ("optimizer", get_args(OptimizerName)),
            ("schedule", get_args(ScheduleName)),
            ("precision", get_args(PrecisionName)),
        ):
            if getattr(self, name) not in known:
                raise ConfigError(f"{name} must be one of {', '.join(known)}; got {getattr(self, name)!r}.")
        if self.schedule == "multistep" and not self.milestones:
            raise ConfigError(
                "the schedule 'multistep' needs milestones; got none. Give the epochs after which the rate "
                "falls, such as milestones=(8, 11), or choose schedule='cosine'."
            )

    def _check_ranges(self) -> None:
        for name in ("epochs", "accumulate", "validate_every", "max_nonfinite", "cycles", "plateau_patience"):
            _require(name, getattr(self, name), getattr(self, name) >= 1, "at least 1")
        for name in ("warmup_steps", "weight_decay", "seed", "l1"):
            _require(name, getattr(self, name), getattr(self, name) >= 0, "0 or more")
        for name in _LIMITS:
            value = getattr(self, name)
            _require(name, value, value is None or value > 0, "above 0, or None")
        for name in ("lr", "power"):
            _require(name, getattr(self, name), getattr(self, name) > 0, "above 0")
        _require("momentum", self.momentum, 0 <= self.momentum < 1, "in [0, 1)")
        for name in ("warmup_factor", "milestone_factor", "swa_factor"):
            _require(name, getattr(self, name), 0 < getattr(self, name) <= 1, "in (0, 1]")
        _require("plateau_factor", self.plateau_factor, 0 < self.plateau_factor < 1, "in (0, 1)")
        _require("final_factor", self.final_factor, 0 <= self.final_factor <= 1, "in [0, 1]")
        decay = self.ema_decay
        _require("ema_decay", decay, decay is None or 0 <= decay < 1, "in [0, 1), or None")
        fits = 0 <= self.swa_epochs < self.epochs or self.swa_epochs == 0
        _require("swa_epochs", self.swa_epochs, fits, f"in [0, {self.epochs}), fewer than all epochs")

    def _check_together(self) -> None:
        if self.nesterov and not (self.momentum and "sgd" in (self.optimizer, self._second)):
            raise ConfigError("nesterov needs SGD with momentum above 0. Choose optimizer='sgd', or leave it out.")
        if (self.switch_epoch is None) != (self.switch_lr is None):
            raise ConfigError(
                "switch_epoch and switch_lr go together: the epoch at which SGD takes over, and its learning rate; got "
                f"{self.switch_epoch} and {self.switch_lr}. SGD's rate is usually 10 to 100 times that of Adam."
            )
        if self.switch_epoch is not None and (self.optimizer == "sgd" or self.switch_epoch >= self.epochs):
            raise ConfigError(
                f"switch_epoch must be below epochs={self.epochs}, and the first optimizer another than sgd; got "
                f"{self.switch_epoch} and {self.optimizer}."
            )
        if self.swa_epochs and (self.ema_decay is not None or self.schedule == "snapshot"):
            raise ConfigError(
                "swa_epochs averages weights with equal shares; it goes neither with ema_decay nor with the schedule "
                "'snapshot'. Choose one of them."
            )

    @property
    def _second(self) -> str:
        return "" if self.switch_epoch is None else "sgd"


def _require(name: str, value: object, holds: bool, expected: str) -> None:  # noqa: FBT001
    if not holds:
        raise ConfigError(f"{name} must be {expected}; got {value!r} in TrainSettings. Change {name}.")
