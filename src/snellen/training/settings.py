"""What a run of training is told: one frozen record, checked when it is made."""

from dataclasses import dataclass
from typing import Literal

from snellen.errors import ConfigError

__all__ = ["OptimizerName", "PrecisionName", "ScheduleName", "TrainSettings"]

OptimizerName = Literal["sgd", "adamw"]
ScheduleName = Literal["cosine", "multistep", "constant"]
PrecisionName = Literal["fp32", "bf16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How to train; a *step* is one change of the weights, a *batch* is what the source yields.

    Attributes:
        epochs: Passes over the training set.
        lr: Peak learning rate, reached after the warm-up.
        optimizer: ``"sgd"`` (with momentum) or ``"adamw"``.
        momentum: Of SGD; AdamW ignores it.
        weight_decay: Pull towards zero, for everything but norms and biases.
        warmup_steps: Steps over which the rate rises linearly to its peak.
        warmup_factor: Share of the peak at which the warm-up starts, above 0, at most 1.
        schedule: What the rate does after the warm-up.
        milestones: Epochs after which ``"multistep"`` multiplies the rate by ``milestone_factor``.
        milestone_factor: See ``milestones``.
        final_factor: Share of the peak at which ``"cosine"`` ends, 0..1.
        accumulate: Batches per step; their gradients are averaged over images.
        clip_norm: Longest gradient (2-norm over all parameters), or None for no limit.
        ema_decay: Decay of the average of the weights, or None for no average.
        precision: Arithmetic of the forward pass; see ``best_precision``.
        channels_last: Lay convolutions' memory out with channels innermost.
        patience: Validations without a better headline after which training stops, or None for never.
        validate_every: Epochs between validations; the last epoch is always validated.
        seed: Of dropout, samplers and whatever else draws during a step.
        checkpoint_minutes: Most minutes between checkpoints within an epoch, or None.
        checkpoint_steps: Most steps between checkpoints within an epoch, or None.
        max_nonfinite: Steps in a row with a loss or gradient that is not finite before training gives up.

    Raises:
        ConfigError: If a value is out of range.
    """

    epochs: int
    lr: float
    optimizer: OptimizerName = "sgd"
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warmup_steps: int = 0
    warmup_factor: float = 0.001
    schedule: ScheduleName = "cosine"
    milestones: tuple[int, ...] = ()
    milestone_factor: float = 0.1
    final_factor: float = 0.0
    accumulate: int = 1
    clip_norm: float | None = None
    ema_decay: float | None = None
    precision: PrecisionName = "fp32"
    channels_last: bool = False
    patience: int | None = None
    validate_every: int = 1
    seed: int = 0
    checkpoint_minutes: float | None = 10.0
    checkpoint_steps: int | None = None
    max_nonfinite: int = 10

    def __post_init__(self) -> None:
        """Check every value."""
        self._check_choices()
        self._check_ranges()

    def _check_choices(self) -> None:
        for name, known in (
            ("optimizer", ("sgd", "adamw")),
            ("schedule", ("cosine", "multistep", "constant")),
            ("precision", ("fp32", "bf16")),
        ):
            if getattr(self, name) not in known:
                raise ConfigError(f"{name} must be one of {', '.join(known)}; got {getattr(self, name)!r}.")
        if self.schedule == "multistep" and not self.milestones:
            raise ConfigError(
                "the schedule 'multistep' needs milestones; got none. Give the epochs after which the rate "
                "falls, such as milestones=(8, 11), or choose schedule='cosine'."
            )

    def _check_ranges(self) -> None:
        for name in ("epochs", "accumulate", "validate_every", "max_nonfinite"):
            _require(name, getattr(self, name), getattr(self, name) >= 1, "at least 1")
        for name in ("warmup_steps", "weight_decay", "seed"):
            _require(name, getattr(self, name), getattr(self, name) >= 0, "0 or more")
        for name in ("clip_norm", "patience", "checkpoint_minutes", "checkpoint_steps"):
            value = getattr(self, name)
            _require(name, value, value is None or value > 0, "above 0, or None")
        _require("lr", self.lr, self.lr > 0, "above 0")
        _require("momentum", self.momentum, 0 <= self.momentum < 1, "in [0, 1)")
        _require("warmup_factor", self.warmup_factor, 0 < self.warmup_factor <= 1, "in (0, 1]")
        _require("milestone_factor", self.milestone_factor, 0 < self.milestone_factor <= 1, "in (0, 1]")
        _require("final_factor", self.final_factor, 0 <= self.final_factor <= 1, "in [0, 1]")
        decay = self.ema_decay
        _require("ema_decay", decay, decay is None or 0 <= decay < 1, "in [0, 1), or None")


def _require(name: str, value: object, holds: bool, expected: str) -> None:  # noqa: FBT001
    if not holds:
        raise ConfigError(f"{name} must be {expected}; got {value!r} in TrainSettings. Change {name}.")
