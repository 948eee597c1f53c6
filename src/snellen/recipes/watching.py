"""The doctor beside the training loop: it sees every step and writes the trace of the run."""

import sys
from pathlib import Path

from rich.console import Console

from snellen.doctor import Finding, Level, watch
from snellen.recipes.progress import say
from snellen.training import Event, StepDone, TrainState, Validated

__all__ = ["LoopWatch"]


class LoopWatch:
    """An observer of the loop that lets the doctor watch it.

    Args:
        state: Of the training that begins, or goes on.
        model: That is trained.
        planned_steps: Of the whole training.
        folder: Where the trace goes.
        console: Where findings are told as they come, or None.
    """

    def __init__(
        self, state: TrainState, model: object, *, planned_steps: int, folder: Path, console: Console | None
    ) -> None:
        self._console = console
        self._doctor = watch(
            model,  # type: ignore[arg-type]  # every model is a module
            state.optimizer,
            planned_steps=planned_steps,
            steps_done=state.progress.step,
            folder=folder,
            on_finding=self._tell,
        )
        self._doctor.__enter__()

    def see(self, event: Event) -> None:
        """Tell the doctor losses and scores."""
        if isinstance(event, StepDone):
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
