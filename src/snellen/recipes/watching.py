"""The doctor beside the training loop: it sees every step and writes the trace of the run."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from snellen.doctor import Finding, Level, Setup, watch
from snellen.doctor.watching import Board
from snellen.recipes.progress import say
from snellen.training import Event, GradientsReady, StepDone, TrainSettings, TrainState, Validated

__all__ = ["LoopWatch", "loop_plan"]


class LoopWatch:
    """An observer of the loop that lets the doctor watch it.

    Args:
        state: Of the training that begins, or goes on.
        model: That is trained.
        plan: What is planned of it.
        folder: Where the trace goes.
        console: Where findings are told as they come, or None.
        board: Where they are told as well, or None.
    """

    def __init__(
        self,
        state: TrainState,
        model: object,
        *,
        plan: Setup,
        folder: Path,
        console: Console | None,
        board: Board | None = None,
    ) -> None:
        self._console, self._state, self._optimizer = console, state, state.optimizer
        self._doctor = watch(
            model,  # type: ignore[arg-type]  # every model is a module
            state.optimizer,
            planned_steps=plan.steps,
            setup=plan,
            steps_done=state.progress.step,
            folder=folder,
            on_finding=self._tell,
            tensorboard=board,
        )
        self._doctor.__enter__()

    def see(self, event: Event) -> None:
        """Tell the doctor losses and scores."""
        if isinstance(event, GradientsReady) and self._state.optimizer is not self._optimizer:
            self._optimizer = self._state.optimizer  # another one has taken over
            self._doctor.follow(self._optimizer)
        elif isinstance(event, StepDone):
            self._doctor.observe(**event.losses)
        elif isinstance(event, Validated):
            scores = {f"loss/{name}": value for name, value in (event.losses or {}).items()}
            if event.losses:
                scores["loss"] = sum(event.losses.values())
            self._doctor.validated(**scores, score=event.score)

    def close(self) -> None:
        """Write what is left; a training that an error ends has not come to its end."""
        self._doctor.__exit__(*sys.exc_info())

    def _tell(self, finding: Finding, text: str) -> None:
        say(self._console, f"{finding.code} {text}", style="red" if finding.level == Level.ERROR else "yellow")


def loop_plan(record: Mapping[str, Any], settings: TrainSettings, *, steps: int) -> Setup:
    """Return what is planned of one loop.

    Parts of the model may have shares of the rate, or begin later: the head always has the whole of it, from the start.

    Args:
        record: Of the run.
        settings: Of this loop, which may be one stage of several.
        steps: Of this loop.
    """
    return Setup(
        model=record["model"],
        accumulate=settings.accumulate,
        epochs=record["settings"]["epochs"],
        steps=steps,
        optimizer=settings.optimizer,
        lr=settings.lr if settings.switch_epoch is None else None,  # two optimizers have no common peak
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup_steps,
        precision=settings.precision,
        pretrained=record.get("weights") is not None,
        options={"schedule": settings.schedule},
    )
