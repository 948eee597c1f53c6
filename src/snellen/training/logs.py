"""Observers that write: JSON lines, and TensorBoard."""

import json
import os
from collections.abc import Mapping
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snellen.training.events import (
    CheckpointSaved,
    EpochDone,
    Event,
    NonFiniteLoss,
    Started,
    StepDone,
    Stopped,
    Validated,
)

if TYPE_CHECKING:  # importing it takes seconds, and not everybody logs there
    from torch.utils.tensorboard import SummaryWriter

__all__ = ["JsonlLog", "TensorBoardLog"]

_LOG_EVERY = 10  # steps; reading a loss waits for the device, so not each step


class JsonlLog:
    """One JSON object per line, flushed at once; a resumed run goes on where its checkpoint stood.

    Every line has ``event`` (``step``, ``epoch_done``, ``validated``, ``nonfinite_loss``,
    ``checkpoint_saved`` or ``stopped``), ``step`` and ``epoch``. Figures that are not finite are null.

    Args:
        path: The file; lines of steps that are about to be repeated are removed when training starts.
        every: Steps between two lines ``step``.
    """

    def __init__(self, path: Path | str, *, every: int = _LOG_EVERY) -> None:
        self.path = Path(path)
        self.every = every
        self._file: TextIOWrapper | None = None

    def see(self, event: Event) -> None:
        """Write what is worth a line."""
        match event:
            case Started():
                self._start(event)
            case StepDone() if event.step % self.every == 0:
                self._write(event, "step", **_step_figures(event))
            case EpochDone():
                self._write(event, "epoch_done", **_epoch_figures(event))
            case Validated():
                self._write(event, "validated", **_validation_figures(event))
            case NonFiniteLoss():
                self._write(event, "nonfinite_loss", names=event.names, indices=event.indices)
            case CheckpointSaved():
                self._write(event, "checkpoint_saved", file=event.path.name)
            case Stopped():
                self._write(event, "stopped", reason=event.reason, message=event.message)
            case _:
                pass

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _start(self, event: Started) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = _lines_before(self.path, event) if self.path.exists() else []
        unfinished = self.path.with_name(self.path.name + ".unfinished")
        unfinished.write_text("".join(kept), encoding="utf-8")
        os.replace(unfinished, self.path)  # noqa: PTH105
        self._file = self.path.open("a", encoding="utf-8")

    def _write(self, event: Any, kind: str, **figures: Any) -> None:
        if self._file is None:
            return
        line = {"event": kind, "step": event.step, "epoch": event.epoch, **figures}
        self._file.write(json.dumps(_finite(line), ensure_ascii=False, allow_nan=False) + "\n")
        self._file.flush()


class TensorBoardLog:
    """Curves for TensorBoard; a resumed run hides the points that it is about to repeat.

    Args:
        folder: For the event files.
        every: Steps between two points of a training curve.
    """

    def __init__(self, folder: Path | str, *, every: int = _LOG_EVERY) -> None:
        self.folder = Path(folder)
        self.every = every
        self._writer: "SummaryWriter | None" = None

    def see(self, event: Event) -> None:
        """Add the points of one event."""
        if isinstance(event, Started):
            self._writer = _summary_writer(self.folder, event.step)
        elif isinstance(event, StepDone) and event.step % self.every == 0:
            losses = {f"train/{name}": float(value) for name, value in event.losses.items()}
            busy = event.data_wait_s + event.step_s
            extra = {"train/lr": event.lr, "speed/images_per_s": event.images / max(busy, 1e-9)}
            self._add(losses | extra, event.step)
        elif isinstance(event, Validated):
            scalars = {} if event.results is None else event.results.scalars
            self._add({f"validation/{name}": value for name, value in scalars.items()}, event.step)
            losses = {} if event.losses is None else dict(event.losses)
            self._add({f"validation/loss/{name}": value for name, value in losses.items()}, event.step)

    def add_text(self, tag: str, text_string: str, global_step: int | None = None) -> None:
        """Add a text in Markdown; nothing before training starts and after its end."""
        if self._writer is not None:
            self._writer.add_text(tag, text_string, global_step)

    def add_scalar(self, tag: str, scalar_value: float, global_step: int | None = None) -> None:
        """Add a point of a curve; nothing before training starts and after its end."""
        if self._writer is not None:
            self._writer.add_scalar(tag, scalar_value, global_step)

    def close(self) -> None:
        """Write what is left and close the files."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _add(self, points: Mapping[str, float], step: int) -> None:
        for name, value in points.items():
            self.add_scalar(name, value, step)


def _step_figures(event: StepDone) -> dict[str, Any]:
    losses = {name: float(value) for name, value in event.losses.items()}
    figures = {
        "lr": event.lr,
        "images": event.images,
        "data_wait_s": event.data_wait_s,
        "step_s": event.step_s,
    }
    return {"losses": losses, "loss": sum(losses.values()), **figures}


def _epoch_figures(event: EpochDone) -> dict[str, Any]:
    figures = {"images": event.images, "seconds": event.seconds, "skipped": dict(event.skipped)}
    return {"losses": dict(event.losses), "loss": sum(event.losses.values()), **figures}


def _validation_figures(event: Validated) -> dict[str, Any]:
    results = event.results
    return {
        "headline": None if results is None else results.headline,
        "scalars": None if results is None else dict(results.scalars),
        "losses": None if event.losses is None else dict(event.losses),
        "score": event.score,
        "improved": event.improved,
    }


def _summary_writer(folder: Path, step: int) -> "SummaryWriter":
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415

    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)


def _lines_before(path: Path, start: Started) -> list[str]:
    """Return the lines that ``start`` does not repeat; a line torn by a crash is dropped."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        of_epoch_end = entry["event"] in ("epoch_done", "validated")
        is_past = entry["epoch"] < start.epoch if of_epoch_end else entry["step"] <= start.step
        if is_past and line.endswith("\n"):
            kept.append(line)
    return kept if start.step else []


def _finite(value: Any) -> Any:
    # JSON has no nan; a reader in another language would stumble over Python's spelling of it
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
