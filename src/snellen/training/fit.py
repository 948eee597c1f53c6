"""The ordinary way to train: run the loop, show every event to the observers, resume if asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import nn

from snellen.errors import CheckpointError, TrainingError
from snellen.training.checkpoint import CheckpointStore
from snellen.training.distributed import current_ranks
from snellen.training.events import Event, Stopped
from snellen.training.loop import Validate, train
from snellen.training.settings import TrainSettings
from snellen.training.source import BatchSource
from snellen.training.state import TrainState, check_fit

__all__ = ["FitResult", "Observer", "fit", "resumed_state"]


@runtime_checkable
class Observer(Protocol):
    """Whoever wants to know. It sees events and cannot reach the loop."""

    def see(self, event: Event) -> None:
        """Take note of one event."""

    def close(self) -> None:
        """Let go of files and screens; called once, also after an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitResult:
    """How training ended.

    Attributes:
        stopped: Why and where.
        model: What validation judged: the average of the weights where there is one, else the model itself.
        best_score: Best headline (or negated loss), or None without validation.
        best_epoch: Its epoch, from 0.
    """

    stopped: Stopped
    model: nn.Module
    best_score: float | None
    best_epoch: int | None


def fit(  # noqa: PLR0913 - what a loop may be given
    model: nn.Module,
    source: BatchSource,
    settings: TrainSettings,
    *,
    store: CheckpointStore | None = None,
    validate: Validate | None = None,
    validation: BatchSource | None = None,
    observers: Sequence[Observer] = (),
    watcher: Callable[[TrainState], Observer] | None = None,
    resume: bool = False,
) -> FitResult:
    """Train ``model`` to the end, or until it is interrupted or stops getting better.

    Args:
        model: With the verb ``loss``, on its device.
        source: Of training batches.
        settings: Of the run.
        store: Where checkpoints go, or None for none.
        validate: See ``train``.
        validation: See ``train``.
        observers: See every event, in this order. With several processes, give them to rank 0 only.
        watcher: Makes one more, the first, that also sees the optimizer: of the state that training begins from.
        resume: Go on from the newest checkpoint in ``store``, if there is one.

    Raises:
        CheckpointError: If a run lies in ``store`` and ``resume`` is False, or it cannot be resumed.
        TrainingError: If the loss stays non-finite.
    """
    state, notice = resumed_state(model, source, settings, store=store, resume=resume)
    stopped = None
    if watcher is not None:
        observers = (watcher(state), *observers)
    events = train(model, source, state, settings, store=store, validate=validate, validation=validation, notice=notice)
    try:
        for event in events:
            for observer in observers:
                observer.see(event)
            if isinstance(event, Stopped):
                stopped = event
    finally:
        events.close()  # gives the signals back, also after an observer's error
        for observer in observers:
            observer.close()
    if stopped is None:
        raise TrainingError("expected the loop to end with Stopped; it ended without. Report this as a bug.")
    return FitResult(
        stopped=stopped,
        model=state.judged(model),
        best_score=state.progress.best_score,
        best_epoch=state.progress.best_epoch,
    )


def resumed_state(
    model: nn.Module,
    source: BatchSource,
    settings: TrainSettings,
    *,
    store: CheckpointStore | None,
    resume: bool,
) -> tuple[TrainState, str]:
    """Return the state to train from, ``model`` restored with it, and a notice about damage (or nothing).

    Raises:
        CheckpointError: As ``fit`` does.
    """
    state = TrainState.fresh(model, settings)
    if store is None:
        return state, ""
    if not resume:
        if store.last.exists() or store.previous.exists():
            raise CheckpointError(
                f"{store.folder}: expected a folder without a run, so that none is overwritten; got one with "
                "checkpoints. Resume it, or choose another folder."
            )
        return state, ""
    checkpoint = store.read_last()
    if checkpoint is None:
        return state, ""
    check_fit(checkpoint, settings, batches_per_epoch=len(source), world=current_ranks().world)
    state.restore(model, checkpoint, settings)
    return state, checkpoint.notice
