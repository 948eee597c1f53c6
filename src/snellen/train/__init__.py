"""The training loop and what it needs: events, optimizers, schedules, precision, averages, checkpoints."""

from snellen.train.averaging import ModelAverage, warm_decay
from snellen.train.checkpoint import (
    Checkpoint,
    CheckpointStore,
    read_checkpoint,
    read_weights,
    write_atomically,
)
from snellen.train.distributed import Ranks, current_ranks, process_group
from snellen.train.events import (
    CheckpointSaved,
    EpochDone,
    Event,
    GradientsReady,
    NonFiniteLoss,
    Started,
    StepDone,
    Stopped,
    Validated,
)
from snellen.train.fit import FitResult, Observer, fit, resumed_state
from snellen.train.interruption import Interruption
from snellen.train.logs import JsonlLog, TensorBoardLog
from snellen.train.loop import Validate, train
from snellen.train.optimizer import make_optimizer, parameter_groups
from snellen.train.precision import autocast, best_precision
from snellen.train.progress import ProgressBar
from snellen.train.schedule import lr_factor
from snellen.train.settings import OptimizerName, PrecisionName, ScheduleName, TrainSettings
from snellen.train.source import BatchSource
from snellen.train.state import Progress, TrainState, check_fit
from snellen.train.validation import evaluating, mean_loss

__all__ = [
    "BatchSource",
    "Checkpoint",
    "CheckpointSaved",
    "CheckpointStore",
    "EpochDone",
    "Event",
    "FitResult",
    "GradientsReady",
    "Interruption",
    "JsonlLog",
    "ModelAverage",
    "NonFiniteLoss",
    "Observer",
    "OptimizerName",
    "PrecisionName",
    "Progress",
    "ProgressBar",
    "Ranks",
    "ScheduleName",
    "Started",
    "StepDone",
    "Stopped",
    "TensorBoardLog",
    "TrainSettings",
    "TrainState",
    "Validate",
    "Validated",
    "autocast",
    "best_precision",
    "check_fit",
    "current_ranks",
    "evaluating",
    "fit",
    "lr_factor",
    "make_optimizer",
    "mean_loss",
    "parameter_groups",
    "process_group",
    "read_checkpoint",
    "read_weights",
    "resumed_state",
    "train",
    "warm_decay",
    "write_atomically",
]
