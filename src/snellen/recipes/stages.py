"""What the stages of a training left behind: ``stages.json`` in the folder of the run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from snellen.recipes.runs import write_json
from snellen.structures import Fact

__all__ = ["StageDone", "fact_text", "read_stages", "write_stages"]

_FILE = "stages.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDone:
    """A stage that is over.

    Attributes:
        name: Of the stage.
        kind: ``gradient`` or ``fit``.
        seconds: It took, the last time it was entered.
        score: Headline on the validation images after it, or None.
        steps: Of the training loop.
        epochs: Of the training loop.
        weights: File with the state after it, beneath ``checkpoints``.
        facts: What it had to report.
        cache_bytes: What it and those before it had left in the run's folder for those after it; that is removed when
            the last one is done.
    """

    name: str
    kind: str
    seconds: float
    score: float | None
    steps: int
    epochs: int
    weights: str
    facts: Mapping[str, Fact]
    cache_bytes: int = 0


def read_stages(folder: Path) -> list[StageDone]:
    """Return the stages of a run that are over; none for a model that is trained in one go."""
    file = folder / _FILE
    if not file.is_file():
        return []
    return [StageDone(**entry) for entry in json.loads(file.read_text(encoding="utf-8"))]


def write_stages(folder: Path, stages: Sequence[StageDone]) -> None:
    """Write the stages that are over."""
    write_json(folder / _FILE, [asdict(stage) for stage in stages])


def fact_text(value: Fact) -> str:
    """Return a fact as people read it."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else value
