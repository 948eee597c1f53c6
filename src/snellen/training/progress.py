"""An observer for people: a bar on a terminal, plain lines elsewhere."""

from collections import deque
from dataclasses import dataclass, field
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from snellen.training.events import EpochDone, Event, NonFiniteLoss, Started, StepDone, Stopped, Validated

__all__ = ["ProgressBar", "duration"]

_REFRESH_S = 0.5  # between two looks at the loss, each of which waits for the device
_LINE_S = 30.0  # between two plain lines
_SMOOTHING = 0.9  # share of the former loss in the one shown
_WINDOW = 50  # steps over which speed is measured


def duration(seconds: float) -> str:
    """Return ``seconds`` as ``0:07``, ``12:34`` or ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@dataclass(slots=True)
class _Speed:
    """Sums over the last steps."""

    steps: deque[tuple[int, float, float]] = field(default_factory=lambda: deque(maxlen=_WINDOW))

    def add(self, event: StepDone) -> None:
        self.steps.append((event.images, event.data_wait_s, event.step_s))

    @property
    def seconds_per_step(self) -> float:
        return sum(wait + work for _, wait, work in self.steps) / max(len(self.steps), 1)

    @property
    def images_per_s(self) -> float:
        return sum(images for images, _, _ in self.steps) / max(self._seconds, 1e-9)

    @property
    def waiting(self) -> float:
        return sum(wait for _, wait, _ in self.steps) / max(self._seconds, 1e-9)

    @property
    def _seconds(self) -> float:
        return sum(wait + work for _, wait, work in self.steps)


class ProgressBar:
    """Epoch, smoothed loss, rate, images per second, time left, share of time spent waiting for data.

    Where the output is no terminal, the same as one plain line per epoch, or per 30 seconds of an epoch.

    Args:
        console: Where to write; standard error if None.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._speed = _Speed()
        self._start: Started | None = None
        self._loss: float | None = None
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._shown_at = 0.0

    def see(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Started():
                self._open(event)
            case StepDone():
                self._step(event)
            case EpochDone():
                self._epoch(event)
            case Validated():
                self._say(_validated_line(event))
            case NonFiniteLoss():
                rows = ", ".join(map(str, event.indices[:8]))
                names = " and ".join(event.names)
                self._say(f"step {event.step} skipped: {names} not finite (images {rows})")
            case Stopped():
                self.close()
                self._say(event.message)
            case _:
                pass

    def close(self) -> None:
        """Give the terminal back."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _open(self, event: Started) -> None:
        self._start = event
        self._shown_at = perf_counter()
        if event.notice:
            self._say(event.notice)
        if not self.console.is_terminal:
            return
        columns = (SpinnerColumn(), BarColumn(bar_width=24), TextColumn("{task.description}", markup=False))
        self._bar = Progress(*columns, console=self.console, transient=True, refresh_per_second=4)
        self._task = self._bar.add_task("", total=event.total_steps, completed=event.step)
        self._bar.start()

    def _step(self, event: StepDone) -> None:
        self._speed.add(event)
        now = perf_counter()
        every = _LINE_S if self._bar is None else _REFRESH_S
        if now - self._shown_at < every:
            return
        self._shown_at = now
        text = self._line(event)
        if self._bar is None:
            self._say(text)
        else:
            self._bar.update(self._task, completed=event.step, description=text)

    def _line(self, event: StepDone) -> str:
        loss = sum(float(value) for value in event.losses.values())
        if loss == loss:  # noqa: PLR0124  # a nan would stay in the smoothed loss for ever
            self._loss = loss if self._loss is None else _SMOOTHING * self._loss + (1 - _SMOOTHING) * loss
        epochs, total = (self._start.epochs, self._start.total_steps) if self._start else (0, 0)
        left = (total - event.step) * self._speed.seconds_per_step
        shown = "-" if self._loss is None else f"{self._loss:.4g}"
        return (
            f"epoch {event.epoch + 1}/{epochs}  step {event.step}/{total}  loss {shown}  lr {event.lr:.2e}  "
            f"{self._speed.images_per_s:.1f} images/s  {duration(left)} left  "
            f"{self._speed.waiting:.0%} waiting for data"
        )

    def _epoch(self, event: EpochDone) -> None:
        self._shown_at = perf_counter()
        epochs = self._start.epochs if self._start else 0
        losses = "  ".join(f"{name} {value:.4g}" for name, value in event.losses.items())
        skipped = f"  {len(event.skipped)} files skipped" if event.skipped else ""
        self._say(
            f"epoch {event.epoch + 1}/{epochs}  {losses}  {duration(event.seconds)}  "
            f"{self._speed.images_per_s:.1f} images/s  {self._speed.waiting:.0%} waiting for data{skipped}"
        )

    def _say(self, text: str) -> None:
        # A line in a log file must not be broken at a guessed width, and names may hold [brackets].
        self.console.print(text, soft_wrap=True, markup=False, highlight=False)


def _validated_line(event: Validated) -> str:
    name = "loss" if event.results is None else event.results.headline
    value = -event.score if event.results is None or event.results.lower_is_better else event.score
    loss = ""
    if event.losses is not None and event.results is not None:
        loss = f"  validation loss {sum(event.losses.values()):.4g}"
    best = "  (best so far)" if event.improved else ""
    return f"epoch {event.epoch + 1}  validation {name} {value:.4g}{loss}{best}"
