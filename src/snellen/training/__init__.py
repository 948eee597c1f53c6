"""The training loop and what it needs: events, optimizers, schedules, precision, averages, checkpoints."""

from snellen.training.averaging import ModelAverage, TailAverage, WeightAverage, warm_decay
from snellen.training.checkpoint import (
    Checkpoint,
    CheckpointStore,
    read_checkpoint,
    read_weights,
    write_atomically,
)
from snellen.training.depth import DepthGroup
from snellen.training.distributed import Ranks, current_ranks, process_group
from snellen.training.events import (
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
from snellen.training.fit import FitResult, Observer, fit, resumed_state
from snellen.training.interruption import Interruption
from snellen.training.logs import JsonlLog, TensorBoardLog
from snellen.training.loop import Validate, train
from snellen.training.norm_statistics import reestimate_norms
from snellen.training.optimizer import make_optimizer, parameter_groups
from snellen.training.precision import autocast, best_precision
from snellen.training.progress import ProgressBar
from snellen.training.schedule import lr_factor
from snellen.training.settings import OptimizerName, PrecisionName, ScheduleName, TrainSettings
from snellen.training.source import BatchSource
from snellen.training.state import Progress, TrainState, check_fit
from snellen.training.validation import evaluating, mean_loss

__all__ = [
    "BatchSource",
    "Checkpoint",
    "CheckpointSaved",
    "CheckpointStore",
    "DepthGroup",
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
    "TailAverage",
    "TensorBoardLog",
    "TrainSettings",
    "TrainState",
    "Validate",
    "Validated",
    "WeightAverage",
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
    "reestimate_norms",
    "resumed_state",
    "train",
    "warm_decay",
    "write_atomically",
]
