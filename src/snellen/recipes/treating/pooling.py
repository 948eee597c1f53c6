"""The trainings of all seeds of one configuration, put together as one run."""

from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console

from snellen.evaluation import from_json
from snellen.recipes.ensembling import ensemble
from snellen.recipes.experiments.study import ArmOutcomes
from snellen.recipes.runs import RECORD, Run
from snellen.report.formatting import number_text
from snellen.structures import Results

__all__ = ["pooled"]

_SPLIT = "val"


def pooled(row: ArmOutcomes, folder: Path, *, console: Console | None = None) -> dict[str, Any]:
    """Return what the mean of the answers of all seeds reaches on the validation images, beside one of them.

    Args:
        row: A configuration that was trained with several seeds.
        folder: Of the ensemble, a run of its own; one that is there is only read.
        console: Where to say what happens.

    Returns:
        ``run``, ``score``, ``mean_score`` of the members, and ``told``, a sentence; empty if fewer than two were
        trained.

    Source:
        Lakshminarayanan et al. 2017, Deep ensembles, https://arxiv.org/abs/1612.01474.
    """
    runs = [place for place, outcome in zip(row.folders, row.outcomes, strict=True) if outcome.status == "done"]
    if len(runs) < 2:
        return {}
    made = Run.open(folder) if (folder / RECORD).is_file() else ensemble(runs, folder=folder, console=console)
    together = made.results[_SPLIT]
    alone = [_results(place) for place in runs]
    single = [one.scalars[one.headline] for one in alone]
    told = (
        f"All {len(runs)} seeds as one ({folder}): {together.headline} "
        f"{number_text(together.scalars[together.headline])} on the validation images, beside "
        f"{number_text(fmean(single))} of one ({number_text(min(single))} to {number_text(max(single))})."
    )
    mean = fmean(one.score for one in alone)
    return {"run": str(folder), "score": together.score, "mean_score": mean, "told": told}


def _results(run: Path) -> Results:
    return from_json((run / "evaluation" / _SPLIT / "results.json").read_text(encoding="utf-8"))
