"""What must survive a break: position, optimizer, average, and what was best."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from snellen.errors import CheckpointError
from snellen.nn import quick_layout
from snellen.training.averaging import WeightAverage, make_average
from snellen.training.checkpoint import Checkpoint
from snellen.training.depth import LearningParts
from snellen.training.optimizer import make_optimizer, make_second_optimizer
from snellen.training.settings import TrainSettings

__all__ = ["Progress", "TrainState", "check_fit"]

# What may change between two parts of a run: it changes no weight of any step.
_FREE_TO_CHANGE = frozenset({"checkpoint_minutes", "checkpoint_steps", "patience", "max_nonfinite"})


@dataclass(slots=True, kw_only=True)
class Progress:
    """Where training stands. The loop moves it; everybody else reads.

    Attributes:
        step: Steps done.
        epoch: The epoch under way, from 0.
        batch: Batches of that epoch that are done; all of them means that only its validation is left.
        best_score: Best so far, or None before the first validation.
        best_epoch: Epoch of the best, or None.
        stale: Validations since the best.
        nonfinite: Skipped steps in a row.
        images: Images of this epoch so far.
        loss_sums: Each loss times images, summed over this epoch so far, on the device.
        lowest_loss: Of the validations, as far as the schedule ``"plateau"`` counts it; None before the first.
        stalled: Validations since then.
        cuts: How often that schedule has lowered the rate.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best_score: float | None = None
    best_epoch: int | None = None
    stale: int = 0
    nonfinite: int = 0
    images: int = 0
    loss_sums: dict[str, Tensor] = field(default_factory=dict)
    lowest_loss: float | None = None
    stalled: int = 0
    cuts: int = 0


@dataclass(slots=True, kw_only=True)
class TrainState:
    """The optimizer, the average and the progress of one model's training, and which of its parts learn."""

    optimizer: Optimizer
    average: WeightAverage | None
    progress: Progress
    parts: LearningParts

    @classmethod
    def fresh(cls, model: nn.Module, settings: TrainSettings) -> "TrainState":
        """Return the state before the first step; lays ``model`` out as ``settings`` say.

        Move the model to its device before: the optimizer's state lies where the parameters are.
        """
        if settings.channels_last:
            quick_layout(model)
        state = cls(
            optimizer=make_optimizer(model, settings),
            average=make_average(model, settings),
            progress=Progress(),
            parts=LearningParts(model, settings.depth),
        )
        state.parts.enter(0)
        return state

    def enter_epoch(self, settings: TrainSettings) -> bool:
        """Get ready for the steps of the epoch under way; return whether other parts of the model learn than before."""
        if self.progress.epoch == settings.switch_epoch and self.progress.batch == 0:
            self.optimizer = make_second_optimizer(self.optimizer, settings)
        return self.parts.enter(self.progress.epoch)

    def judged(self, model: nn.Module) -> nn.Module:
        """Return what validation judges: the average where there is one, else the model itself."""
        return model if self.average is None or not self.average.updates else self.average.model

    def capture(
        self, model: nn.Module, settings: TrainSettings, *, batches_per_epoch: int, world: int
    ) -> dict[str, Any]:
        """Return everything needed to go on, made of what ``torch.load(weights_only=True)`` reads."""
        return {
            "model": model.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
            "settings": asdict(settings) | {"batches_per_epoch": batches_per_epoch, "processes": world},
        }

    def restore(self, model: nn.Module, checkpoint: Checkpoint, settings: TrainSettings) -> None:
        """Put ``model`` and this state where they were when ``checkpoint`` was written.

        Raises:
            CheckpointError: If the model or its optimizer has other parts than the saved one.
        """
        content = checkpoint.content
        device = next(model.parameters()).device
        progress = Progress(**content["progress"])
        try:
            if _has_switched(content["settings"].get("switch_epoch"), progress):
                self.optimizer = make_second_optimizer(self.optimizer, settings)
            model.load_state_dict(content["model"])
            self.optimizer.load_state_dict(content["optimizer"])
            if self.average is not None:
                self.average.load_state_dict(content["average"])
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{checkpoint.path}: expected the checkpoint of this very model; got one that does not fit: "
                f"{error}. Build the model as it was (name, classes, frozen parts), or start a new run."
            ) from error
        progress.loss_sums = {name: value.to(device) for name, value in progress.loss_sums.items()}
        self.progress = progress


def _has_switched(switch_epoch: int | None, progress: Progress) -> bool:
    # At batch 0 the switch is still to come: it is part of entering the epoch.
    return switch_epoch is not None and (progress.epoch, progress.batch) > (switch_epoch, 0)


def check_fit(checkpoint: Checkpoint, settings: TrainSettings, *, batches_per_epoch: int, world: int) -> None:
    """Raise ``CheckpointError`` that names every setting in which a run to be resumed differs."""
    now = asdict(settings) | {"batches_per_epoch": batches_per_epoch, "processes": world}
    usual = {entry.name: entry.default for entry in fields(settings)}  # for what was not there yet when it was written
    before = {name: usual[name] for name in usual.keys() - checkpoint.content["settings"].keys()}
    before |= checkpoint.content["settings"]
    names = [name for name in sorted(now.keys() | before.keys()) if name not in _FREE_TO_CHANGE]
    missing = "absent"
    differing = [
        f"{name} was {before.get(name, missing)!r} and is now {now.get(name, missing)!r}"
        for name in names
        if before.get(name, missing) != now.get(name, missing)
    ]
    if differing:
        raise CheckpointError(
            f"{checkpoint.path}: expected the settings of the run to be resumed; got others: "
            f"{'; '.join(differing)}. Resume with the settings as they were (and the same data and batch "
            "size), or start a new run in another folder, from these weights if you like."
        )
