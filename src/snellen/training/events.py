"""What happens during training, as frozen records: the loop yields them, observers see them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from snellen.structures import Results

__all__ = [
    "CheckpointSaved",
    "EpochDone",
    "Event",
    "GradientsReady",
    "NonFiniteLoss",
    "Started",
    "StepDone",
    "StopReason",
    "Stopped",
    "Validated",
]

StopReason = Literal["finished", "interrupted", "patience"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Training begins, or goes on after a break.

    Attributes:
        step: Steps done already; 0 in a new run.
        epoch: The epoch that is entered, from 0.
        epochs: All epochs.
        total_steps: Steps of all epochs together.
        notice: What had to be worked around to get here, such as a damaged checkpoint; empty otherwise.
    """

    step: int
    epoch: int
    epochs: int
    total_steps: int
    notice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientsReady:
    """Gradients are in ``parameter.grad``, clipped; the weights have not changed yet.

    Attributes:
        step: Number of the step under way, from 1.
        model: To look at, not to change.
        norm: 2-norm of all gradients before clipping, on the device.
    """

    step: int
    model: nn.Module = field(repr=False)
    norm: Float[Tensor, ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone:
    """The weights have changed once.

    Attributes:
        step: Steps done so far.
        epoch: From 0.
        losses: Detached and still on the device; reading one waits for the device.
        lr: Rate used.
        images: Images in this step, on this rank.
        data_wait_s: Seconds spent waiting for batches.
        step_s: Seconds spent on everything else; on a GPU, until the work was queued.
    """

    step: int
    epoch: int
    losses: Mapping[str, Float[Tensor, ""]]
    lr: float
    images: int
    data_wait_s: float
    step_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NonFiniteLoss:
    """A step was skipped because a loss or the gradient was not finite; the weights kept their values.

    On a GPU this is known, and told, a few steps later.

    Attributes:
        step: The step that was skipped.
        epoch: From 0.
        names: The losses at fault, or ``("gradient",)`` where all losses were finite.
        indices: Rows of the data set that were in the step.
        in_a_row: Such steps since the last good one.
    """

    step: int
    epoch: int
    names: tuple[str, ...]
    indices: tuple[int, ...]
    in_a_row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochDone:
    """All batches of an epoch have been used.

    Attributes:
        step: Steps done so far.
        epoch: The epoch that ended, from 0.
        losses: Mean over the images of the epoch (on this rank).
        images: Images used in the epoch (on this rank).
        seconds: Since the epoch was entered, or gone on with.
        skipped: Files that the source could not read so far, with the reason.
    """

    step: int
    epoch: int
    losses: Mapping[str, float]
    images: int
    seconds: float
    skipped: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """The model was measured on data it does not learn from.

    Attributes:
        step: Steps done so far.
        epoch: The epoch that ended, from 0.
        results: What ``validate`` returned, or None where only the loss was measured.
        losses: Mean losses on the validation source, or None where none was given.
        score: The figure that decides, higher is better: the headline (negated where it is an error), or the
            total loss negated.
        improved: Whether it is the best so far.
    """

    step: int
    epoch: int
    results: Results | None
    losses: Mapping[str, float] | None
    score: float
    improved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSaved:
    """A checkpoint is safely on disk."""

    step: int
    epoch: int
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The last event.

    Attributes:
        reason: ``"finished"``, ``"interrupted"`` (Ctrl-C or SIGTERM) or ``"patience"``.
        step: Steps done.
        epoch: Epochs done.
        message: A sentence for the user, saying how to go on where that is possible.
    """

    reason: StopReason
    step: int
    epoch: int
    message: str


Event = Started | GradientsReady | StepDone | NonFiniteLoss | EpochDone | Validated | CheckpointSaved | Stopped
