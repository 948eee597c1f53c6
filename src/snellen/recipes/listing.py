"""The catalogue as something to read: models by what they learn and by family, backbones by family."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from snellen.data import task_of
from snellen.models import ModelEntry, builder_options
from snellen.models.shallow import FEATURES, LEARNERS, VALUE_LEARNERS
from snellen.recipes.zoo import backbone_families, family_of

__all__ = ["backbone_list", "listing_json", "model_list"]


def model_list(entries: Sequence[ModelEntry]) -> RenderableType:
    """Return models in a table for each task, families together."""
    parts: list[RenderableType] = []
    width = max(len(entry.name) for entry in entries)  # a name that is cut short is of no use
    for tasks in dict.fromkeys(_tasks(entry) for entry in entries):
        rows = [entry for entry in entries if _tasks(entry) == tasks]
        first, *others = tasks
        also = f", also {', '.join(others)}" if others else ""
        parts.append(Text(f"task {first}{also}: {len(rows)} model{'s' if len(rows) > 1 else ''}", style="bold"))
        table = Table(
            Column("family", no_wrap=True), Column("name", min_width=width, no_wrap=True), "what it is", box=None
        )
        for family in dict.fromkeys(family_of(entry) for entry in rows):
            members = [entry for entry in rows if family_of(entry) == family]
            for place, entry in enumerate(members):
                table.add_row(Text("" if place else family, style="dim"), entry.name, Text(entry.summary))
        parts += [table, Text()]
    parts.append(
        Text(
            "Most take another backbone: --set backbone=NAME; `snellen models --backbones` lists them, timm's are "
            "called timm:NAME.",
            style="dim",
        )
    )
    return Group(*parts)


def _tasks(entry: ModelEntry) -> tuple[str, ...]:
    return (*(task_of(kind) for kind in entry.target_types), *(("outline",) if entry.masks else ()))


def backbone_list() -> RenderableType:
    """Return the names of the backbones, a line for each family."""
    table = Table(Column("family", no_wrap=True), "backbones (--set backbone=NAME)", box=None)
    for family, names in backbone_families().items():
        table.add_row(Text(family, style="dim"), Text("  ".join(names)))
    told = "timm:NAME  any network of timm with feature maps (pip install snellen[timm])"
    table.add_row(Text("timm", style="dim"), Text(told))
    return table


def listing_json(entries: Sequence[ModelEntry]) -> dict[str, Any]:
    """Return models and backbones as plain values."""
    return {
        "models": [
            {
                "name": entry.name,
                "family": family_of(entry),
                "tasks": [task_of(kind) for kind in entry.target_types],
                "outlines": entry.masks,
                "summary": entry.summary,
                "backbone": builder_options(entry).get("backbone"),
                "size": list(entry.default_size),
                "paper": entry.paper,
                "licence": entry.licence,
            }
            for entry in entries
        ],
        "backbones": {family: list(names) for family, names in backbone_families().items()},
        "shallow": {
            "features": [kind.name for kind in FEATURES],
            "learners": [row.name for row in LEARNERS],
            "value_learners": [row.name for row in VALUE_LEARNERS],
        },
    }
