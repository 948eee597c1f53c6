"""What must survive a break: position, optimizer, average, and what was best."""

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from snellen.errors import CheckpointError
from snellen.training.averaging import ModelAverage
from snellen.training.checkpoint import Checkpoint
from snellen.training.optimizer import make_optimizer
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


@dataclass(slots=True, kw_only=True)
class TrainState:
    """The optimizer, the average and the progress of one model's training."""

    optimizer: Optimizer
    average: ModelAverage | None
    progress: Progress

    @classmethod
    def fresh(cls, model: nn.Module, settings: TrainSettings) -> "TrainState":
        """Return the state before the first step; lays ``model`` out as ``settings`` say.

        Move the model to its device before: the optimizer's state lies where the parameters are.
        """
        if settings.channels_last:
            model.to(memory_format=torch.channels_last)
        decay = settings.ema_decay
        return cls(
            optimizer=make_optimizer(model, settings),
            average=None if decay is None else ModelAverage(model, decay=decay),
            progress=Progress(),
        )

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

    def restore(self, model: nn.Module, checkpoint: Checkpoint) -> None:
        """Put ``model`` and this state where they were when ``checkpoint`` was written.

        Raises:
            CheckpointError: If the model or its optimizer has other parts than the saved one.
        """
        content = checkpoint.content
        device = next(model.parameters()).device
        try:
            model.load_state_dict(content["model"])
            self.optimizer.load_state_dict(content["optimizer"])
            if self.average is not None:
                self.average.load_state_dict(content["average"])
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{checkpoint.path}: expected the checkpoint of this very model; got one that does not fit: "
                f"{error}. Build the model as it was (name, classes, frozen parts), or start a new run."
            ) from error
        progress = Progress(**content["progress"])
        progress.loss_sums = {name: value.to(device) for name, value in progress.loss_sums.items()}
        self.progress = progress


def check_fit(checkpoint: Checkpoint, settings: TrainSettings, *, batches_per_epoch: int, world: int) -> None:
    """Raise ``CheckpointError`` that names every setting in which a run to be resumed differs."""
    now = asdict(settings) | {"batches_per_epoch": batches_per_epoch, "processes": world}
    before = checkpoint.content["settings"]
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
