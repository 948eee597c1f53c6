"""How long a model takes to judge images, without the time that it waits for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

__all__ = ["Lap", "Stopwatch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lap:
    """One batch: its images, and the seconds from their tensor in memory to predictions on the CPU."""

    images: int
    seconds: float


@dataclass(slots=True)
class Stopwatch:
    """The laps of one measurement; the first is warm-up (memory is asked for, algorithms are chosen) and not counted.

    Attributes:
        laps: In the order of the batches.
    """

    laps: list[Lap] = field(default_factory=list)

    @contextmanager
    def lap(self, images: int) -> Iterator[None]:
        """Time what happens within, for so many images; what fails is not a lap."""
        start = perf_counter()
        yield
        self.laps.append(Lap(images=images, seconds=perf_counter() - start))

    @property
    def counted(self) -> tuple[Lap, ...]:
        """All laps but the first; a lap that is alone, for want of others."""
        return tuple(self.laps[1:] or self.laps)

    @property
    def seconds_per_image(self) -> float | None:
        """Mean over the images that are counted; None before the first lap."""
        images = sum(lap.images for lap in self.counted)
        return sum(lap.seconds for lap in self.counted) / images if images else None
