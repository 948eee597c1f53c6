"""What a treatment costs the class that comes out worst: a mean may rise while one class is given up."""

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from types import MappingProxyType

from snellen.evaluation import from_json
from snellen.metrics import Interval, paired_interval

__all__ = ["LEAST_HARM", "harms", "worst_class", "worst_class_change"]

LEAST_HARM = 0.05  # of the worst class's figure, that it must lose at least
# The column of the table of classes that stands behind each headline.
_COLUMNS: Mapping[str, str] = MappingProxyType(
    {"accuracy": "Recall", "balanced_accuracy": "Recall", "macro_F1": "F1", "mAP": "AP", "AP": "AP", "mIoU": "IoU"}
)


def worst_class(folder: Path, split: str) -> float:
    """Return the figure of the class that a run does worst; nan where classes have no figures.

    Args:
        folder: Of the run.
        split: That it was measured on.
    """
    file = folder / "evaluation" / split / "results.json"
    if not file.is_file():
        return float("nan")
    results = from_json(file.read_text(encoding="utf-8"))
    column = _COLUMNS.get(results.headline)
    table = next((one for one in results.tables if one.columns[0] == "Class" and column in one.columns), None)
    if column is None or table is None:
        return float("nan")
    place = table.columns.index(column)
    values = [float(value) for row in table.rows if isinstance(value := row[place], int | float) and isfinite(value)]
    return min(values, default=float("nan"))


def worst_class_change(treated: Sequence[Path], control: Sequence[Path], split: str = "val") -> Interval:
    """Return the difference of the worst class's figure, treated less untreated, paired by seed.

    Args:
        treated: Folders of runs.
        control: Of the same seeds.
        split: That they were measured on.
    """
    return paired_interval([worst_class(one, split) for one in treated], [worst_class(one, split) for one in control])


def harms(change: Interval) -> bool:
    """Return whether the worst class measurably loses."""
    return change.is_below_zero and change.mean <= -LEAST_HARM
