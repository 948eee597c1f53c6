"""What configurations are worth beside one another: means, paired differences, cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, nan
from pathlib import Path
from statistics import fmean
from typing import Any, Self

import numpy as np

from snellen.errors import InputError
from snellen.evaluation import from_json
from snellen.metrics import Interval, mean_interval, paired_interval, resampled_interval
from snellen.recipes.experiments.study import ArmOutcomes

__all__ = ["Comparison", "FigureOfArm", "compared", "image_differences"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureOfArm:
    """One figure of one configuration.

    Attributes:
        values: For each seed, as the figure is defined; nan where training failed.
        mean: Over the seeds, with Student's interval.
        difference: From the first configuration, paired by seed; None for that one itself.
    """

    values: tuple[float, ...]
    mean: Interval
    difference: Interval | None = None

    @classmethod
    def from_record(cls, told: Mapping[str, Any]) -> Self:
        """Return what JSON holds."""
        difference = told["difference"]
        return cls(
            values=tuple(told["values"]),
            mean=Interval(**told["mean"]),
            difference=None if difference is None else Interval(**difference),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One configuration beside the first one.

    Attributes:
        name: Of the configuration.
        figures: By name; the first decides.
        lower_is_better: Whether that is an error.
        image_quality: Difference of the mean quality of an image (see ``ImageScore``), with its interval over images;
            None for the first configuration, and where nothing was kept of single images.
        seconds: Of a training, the mean.
        peak_bytes: Most memory of any; None where nobody knows.
        failures: Why seeds failed.
        options: What differs from the base.
        runs: Folders of the runs.
    """

    name: str
    figures: Mapping[str, FigureOfArm]
    lower_is_better: bool
    image_quality: Interval | None = None
    seconds: float = nan
    peak_bytes: int | None = None
    failures: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    runs: tuple[str, ...] = ()

    @property
    def headline(self) -> FigureOfArm:
        """The figure that decides."""
        return next(iter(self.figures.values()))

    @property
    def gain(self) -> Interval | None:
        """The difference of the figure that decides, turned so that more is better."""
        found = self.headline.difference
        if found is None or not self.lower_is_better:
            return found
        return Interval(mean=-found.mean, low=-found.high, high=-found.low, count=found.count, p_value=found.p_value)

    @classmethod
    def from_record(cls, told: Mapping[str, Any]) -> Self:
        """Return what JSON holds."""
        figures = {name: FigureOfArm.from_record(one) for name, one in told["figures"].items()}
        quality = told["image_quality"]
        return cls(
            **{
                **told,
                "figures": figures,
                "image_quality": None if quality is None else Interval(**quality),
                "failures": tuple(told["failures"]),
                "runs": tuple(told["runs"]),
            }
        )


def compared(rows: Sequence[ArmOutcomes], split: str, figures: Sequence[str] = ()) -> tuple[Comparison, ...]:
    """Return configurations beside the first one.

    Args:
        rows: As a study gives them.
        split: That they were measured on.
        figures: Further figures, beside the headline.

    Raises:
        InputError: If no training of the study was measured, or there is no such figure.
    """
    headline, lower_is_better = _headline(rows, split)
    names = tuple(dict.fromkeys((headline, *figures)))
    known = {name for row in rows for one in row.measured(split) if one is not None for name in one.scalars}
    for name in names:
        if name not in known:
            raise InputError(
                f"figures must be measured on {split}; {name!r} is not. Known: {', '.join(sorted(known))}."
            )
    values = [{name: _values(row, split, name) for name in names} for row in rows]
    base = values[0]
    found = []
    for place, row in enumerate(rows):
        own = {
            name: FigureOfArm(
                values=values[place][name],
                mean=mean_interval(values[place][name]),
                difference=None if place == 0 else paired_interval(values[place][name], base[name]),
            )
            for name in names
        }
        found.append(
            _comparison(
                row, own, None if place == 0 else _quality(row, rows[0], split), lower_is_better=lower_is_better
            )
        )
    return tuple(found)


def image_differences(treated: Sequence[Path], control: Sequence[Path], split: str) -> "np.ndarray | None":
    """Return differences of the quality of each image, ``[seeds, images]``; None where runs do not share images.

    Args:
        treated: Folders of runs.
        control: Of the same seeds.
        split: That they were measured on.
    """
    rows = []
    for one, other in zip(treated, control, strict=True):
        own, base = _qualities(one, split), _qualities(other, split)
        if own and base:
            rows.append({index: own[index] - base[index] for index in own.keys() & base.keys()})
    shared = sorted(set.intersection(*map(set, rows))) if rows else []
    if not shared:
        return None
    return np.array([[row[index] for index in shared] for row in rows])


def _comparison(
    row: ArmOutcomes,
    figures: Mapping[str, FigureOfArm],
    quality: Interval | None,
    *,
    lower_is_better: bool,
) -> Comparison:
    peaks = [outcome.peak_bytes for outcome in row.outcomes if outcome.peak_bytes]
    done = [outcome.seconds for outcome in row.outcomes if outcome.status == "done"]
    return Comparison(
        name=row.arm.name,
        figures=figures,
        lower_is_better=lower_is_better,
        image_quality=quality,
        seconds=fmean(done) if done else nan,
        peak_bytes=max(peaks) if peaks else None,
        failures=row.failures,
        options={**row.arm.options, **row.arm.switches},
        runs=tuple(map(str, row.folders)),
    )


def _headline(rows: Sequence[ArmOutcomes], split: str) -> tuple[str, bool]:
    for row in rows:
        for one in row.measured(split):
            if one is not None:
                return one.headline, one.lower_is_better
    reasons = [reason for row in rows for reason in row.failures]
    why = f" All failed; the first: {reasons[0]}" if reasons else f" The data set has no images in {split}."
    raise InputError(f"a training that was measured on {split} was expected; there is none.{why}")


def _values(row: ArmOutcomes, split: str, name: str) -> tuple[float, ...]:
    return tuple(nan if one is None else one.scalars.get(name, nan) for one in row.measured(split))


def _quality(row: ArmOutcomes, base: ArmOutcomes, split: str) -> Interval | None:
    if row.arm.switches or base.arm.switches:
        return None  # of other uses of a run only the figures are kept
    differences = image_differences(row.folders, base.folders, split)
    return None if differences is None else resampled_interval(differences)


def _qualities(folder: Path, split: str) -> dict[int, float]:
    file = folder / "evaluation" / split / "results.json"
    if not file.is_file():
        return {}
    scores = from_json(file.read_text(encoding="utf-8")).per_image
    return {score.index: score.quality for score in scores if isfinite(score.quality)}
