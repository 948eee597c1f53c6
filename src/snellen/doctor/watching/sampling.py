"""When to look closely, so that looking costs little."""

from collections import deque
from statistics import median

__all__ = ["SampleSchedule"]

ALWAYS = 5  # steps at the start
SHARE = 0.003  # of the time that looking may take
SHORT_SHARE = 0.02  # of the time, in runs so short that they would have fewer samples than are wanted
WANTED = 15  # samples of a run
LEAST_INTERVAL, MOST_INTERVAL = 8, 500  # steps between samples
RECENT = 32  # steps whose median is the usual time of a step


class SampleSchedule:
    """Chooses the steps that are sampled, by what samples cost beside usual steps.

    A sample is a pair of steps, of whose second only the parameters are looked at: it is compared with the first.

    Args:
        first: Number of the first step.
        every: Steps between samples; chosen if None.
        planned: Steps of the whole run, where they are known.

    Attributes:
        interval: Steps between samples, as they are looked at now.
    """

    def __init__(self, first: int, every: int | None = None, planned: int | None = None) -> None:
        self._first, self._every, self._planned = first, every, planned
        self._due = first
        self.interval = 1 if every is None else every
        self._usual: deque[float] = deque(maxlen=RECENT)

    def is_due(self, step: int) -> bool:
        """Return whether a step is the first of a pair."""
        return step >= self._due

    def note(self, step: int, *, step_s: float, spent_s: float) -> None:
        """Take note of a step.

        Args:
            step: Its number.
            step_s: Seconds that it took.
            spent_s: Seconds of these that went into looking; 0 if it was not sampled.
        """
        if not spent_s:
            self._usual.append(step_s)
        if not spent_s or not self.is_due(step):
            return  # not looked at, or the second of a pair
        if self._every is None and step >= self._first + ALWAYS - 1:
            usual = median(self._usual) if self._usual else step_s
            interval = 2 * spent_s / (SHARE * max(usual, 1e-6))
            if self._planned is not None:
                interval = min(interval, max(self._planned / WANTED, interval * SHARE / SHORT_SHARE))
            self.interval = round(min(max(interval, LEAST_INTERVAL), MOST_INTERVAL))
        self._due = step + self.interval
