"""Where the letters of a chart stand: in shrinking rows, or scattered."""

from dataclasses import dataclass
from math import cos, exp, log, pi, sin

import numpy as np

from snellen.data.charts.spec import ChartSpec

__all__ = ["Placement", "placements"]

_TINY_HEIGHT = (4.0, 7.0)  # pixels; under the smallest anchors of common detectors (16 px on stride 4)
_MARGIN = 2.0  # pixels kept free around each letter
_TRIES = 40  # random places tried per letter before it is left out
_ROW_SHRINK = (
    0.55,
    0.8,
)  # height of a row over that of the row above; charts of opticians have 0.79 (0.1 log)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """One letter of a chart before it is drawn: class, height, clockwise turn, middle (column, row)."""

    label: int
    height: float
    angle_deg: float
    centre: tuple[float, float]

    @property
    def reach(self) -> float:
        """Half the side of the upright square around the turned letter."""
        return _reach(self.height, self.angle_deg)


def _reach(height: float, angle_deg: float) -> float:
    angle = angle_deg * pi / 180
    return height / 2 * (abs(cos(angle)) + abs(sin(angle))) + _MARGIN


def placements(spec: ChartSpec, rng: np.random.Generator) -> tuple[tuple[Placement, ...], bool]:
    """Return the letters of one chart, largest first, and whether they stand in rows."""
    if rng.random() < spec.faults.empty and spec.num_letters[1] > 1:
        return (), False
    count = int(rng.integers(spec.num_letters[0], spec.num_letters[1] + 1))
    labels = rng.choice(len(spec.letters), size=count, p=_class_shares(spec))
    angles = rng.uniform(-1, 1, size=count) * (4 + 26 * spec.difficulty)
    if count > 2 and rng.random() < 0.6 - 0.4 * spec.difficulty:
        rows = _rows(spec, labels, angles, rng)
        if rows:
            return rows, True
    return _scattered(spec, labels, angles, rng), False


def _class_shares(spec: ChartSpec) -> np.ndarray:
    """Return a geometric series from the commonest to the rarest class."""
    count = len(spec.letters)
    shares = spec.faults.imbalance ** -np.linspace(0.0, 1.0, count)
    return np.asarray(shares / shares.sum())


def _height(spec: ChartSpec, rng: np.random.Generator) -> float:
    if rng.random() < spec.faults.tiny:
        return float(rng.uniform(*_TINY_HEIGHT))
    smallest, greatest = spec.letter_height
    greatest = min(greatest, (min(spec.size) - 2 * _MARGIN) / 1.5)  # a turned letter with its margin must fit
    return exp(rng.uniform(log(smallest), log(max(greatest, smallest))))


def _scattered(
    spec: ChartSpec, labels: np.ndarray, angles: np.ndarray, rng: np.random.Generator
) -> tuple[Placement, ...]:
    height, width = spec.size
    letter_heights = sorted((_height(spec, rng) for _ in labels), reverse=True)
    placed: list[Placement] = []
    for label, angle, letter_height in zip(labels, angles, letter_heights, strict=True):
        reach = _reach(letter_height, float(angle))
        for _ in range(_TRIES):
            trial = Placement(
                label=int(label),
                height=letter_height,
                angle_deg=float(angle),
                centre=(float(rng.uniform(reach, width - reach)), float(rng.uniform(reach, height - reach))),
            )
            if not any(_is_touching(trial, other) for other in placed):
                placed.append(trial)
                break
    return tuple(placed)


def _rows(spec: ChartSpec, labels: np.ndarray, angles: np.ndarray, rng: np.random.Generator) -> tuple[Placement, ...]:
    """Return rows of 1, 2, 3 … letters, each smaller than the one above; nothing if they do not fit."""
    height, width = spec.size
    smallest, greatest = spec.letter_height
    letter_height = float(rng.uniform(0.6, 1.0)) * min(greatest, min(spec.size) / 2.5)
    column, row = float(rng.uniform(0.42, 0.58)) * width, float(rng.uniform(0.03, 0.1)) * height
    placed: list[Placement] = []
    first = 0
    while first < len(labels):
        members = range(first, min(first + len({p.centre[1] for p in placed}) + 1, len(labels)))
        step = letter_height * 1.6
        row += letter_height * 0.75
        for place, member in enumerate(members):
            centre = (column + (place - (len(members) - 1) / 2) * step, row)
            placed.append(
                Placement(
                    label=int(labels[member]),
                    height=letter_height,
                    angle_deg=float(angles[member]),
                    centre=centre,
                )
            )
        row += letter_height * 0.75
        letter_height = max(letter_height * float(rng.uniform(*_ROW_SHRINK)), smallest)
        first = members.stop
    fits = all(_is_inside(placement, spec.size) for placement in placed)
    return _with_tiny(tuple(placed), spec, rng) if fits else ()


def _with_tiny(placed: tuple[Placement, ...], spec: ChartSpec, rng: np.random.Generator) -> tuple[Placement, ...]:
    return tuple(
        Placement(
            label=p.label,
            height=float(rng.uniform(*_TINY_HEIGHT)) if rng.random() < spec.faults.tiny else p.height,
            angle_deg=p.angle_deg,
            centre=p.centre,
        )
        for p in placed
    )


def _is_inside(placement: Placement, size: tuple[int, int]) -> bool:
    (column, row), reach = placement.centre, placement.reach
    return reach <= column <= size[1] - reach and reach <= row <= size[0] - reach


def _is_touching(one: Placement, other: Placement) -> bool:
    apart = max(abs(one.centre[0] - other.centre[0]), abs(one.centre[1] - other.centre[1]))
    return apart < one.reach + other.reach
