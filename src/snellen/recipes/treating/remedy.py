"""What a treatment is: a change of configuration for a finding, where the run leaves room for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from snellen.doctor import Finding
from snellen.recipes.treating.situation import Situation

__all__ = ["BEFORE", "Change", "Changes", "Remedy", "model_option", "option", "path", "times"]

BEFORE = "proposals."  # begins paths of settings that choose regions before they are judged, in training too
Changes = Mapping[str, Any]  # by name, as `snellen.recipes.experiments.arms.Arm` has them
Change = Callable[[Situation, Finding], Changes | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """One treatment.

    Attributes:
        name: In tables.
        change: From the run and the finding to what is changed; None where it does not apply, or is so already.
        source: Paper, tool or rule that it is taken from.
        job: What it does, where several do the same; one of a job is enough in a combination.
    """

    name: str
    change: Change
    source: str
    job: str = ""


def option(name: str, value: Any) -> Change:
    """Return a change of an option of ``train`` to a value, unless it has that already."""

    def change(run: Situation, finding: Finding) -> Changes | None:
        del finding
        current = run.record.get(name, run.settings.get(name))
        return None if current == value else {name: value}

    return change


def model_option(name: str, value: Any) -> Change:
    """Return a change of an option of the model's builder, where it has that and not that value already."""

    def change(run: Situation, finding: Finding) -> Changes | None:
        del finding
        if name not in run.known or run.known[name] == value:
            return None
        return {name: value} if not isinstance(value, str) or run.can_be(name, value) else None

    return change


def path(ending: str, value: Any) -> Change:
    """Return a change of the setting inside the model whose path ends so, where there is one."""

    def change(run: Situation, finding: Finding) -> Changes | None:
        del finding
        names = [name for name in run.inside if not name.startswith(BEFORE)]
        found = next((name for name in names if f".{name}".endswith(f".{ending}")), None)
        return None if found is None or run.inside[found] == value else {found: value}

    return change


def times(name: str, factor: float, *, least: float = 0.0, most: float = float("inf")) -> Change:
    """Return a change of a setting of the loop to a multiple of what it is; ``least`` where it is less, or 0."""

    def change(run: Situation, finding: Finding) -> Changes | None:
        del finding
        current = float(run.settings.get(name) or 0.0)
        value = float(f"{min(most, max(least, current * factor)):.3g}")
        return None if value in (current, 0.0) else {name: value}

    return change
