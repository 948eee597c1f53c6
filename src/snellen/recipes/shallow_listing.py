"""Shallow models as something to read: the features and the learners that their names are made of."""

from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from snellen.models.shallow import FEATURES, LEARNERS, VALUE_LEARNERS

__all__ = ["ShallowParts", "shallow_list", "shallow_parts"]

_CLASS_TASKS = ("class", "label_set")
_VALUE_TASKS = ("value",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShallowParts:
    """Parts of names of shallow models: pairs of a name and what it is.

    Attributes:
        features: What comes first.
        learners: What comes behind it, for classes and label sets.
        value_learners: The same for values.
    """

    features: tuple[tuple[str, str], ...]
    learners: tuple[tuple[str, str], ...]
    value_learners: tuple[tuple[str, str], ...]


def shallow_parts(*, task: str | None = None, word: str | None = None) -> ShallowParts | None:
    """Return the parts of the names of shallow models; None if none fits.

    Args:
        task: What is learned, such as ``class``; None for all.
        word: Part of a word in the name or the summary of a feature or a learner; None for all.
    """
    features = tuple((kind.name, kind.summary) for kind in FEATURES)
    features += (("BACKBONE_features", "the last map of any backbone, averaged: give it --weights"),)
    learners = tuple((row.name, row.summary + _needs(row.extra)) for row in LEARNERS)
    values = tuple((row.name, row.summary) for row in VALUE_LEARNERS)
    if task is not None and task not in _CLASS_TASKS:
        learners = ()
    if task is not None and task not in _VALUE_TASKS:
        values = ()
    if not learners and not values:
        return None
    wanted = (word or "").lower()
    parts = [
        tuple(row for row in rows if wanted in f"{row[0]} {row[1]}".lower()) for rows in (features, learners, values)
    ]
    if not any(parts):
        return None
    return ShallowParts(features=parts[0], learners=parts[1], value_learners=parts[2])


def _needs(extra: str) -> str:
    return f" (pip install snellen[{extra}])" if extra else ""


def shallow_list(parts: ShallowParts) -> RenderableType:
    """Return features and learners in tables, and how names are made of them."""
    told: list[RenderableType] = [
        Text("shallow models: FEATURES_LEARNER, such as hog_svm or resnet18_features_logistic", style="bold")
    ]
    for title, rows in (
        ("features", parts.features),
        ("learners", parts.learners),
        ("learners of values", parts.value_learners),
    ):
        if rows:
            table = Table(Column(title, min_width=20, no_wrap=True), "what it is", box=None)
            for name, summary in rows:
                table.add_row(name, Text(summary))
            told += [table, Text()]
    told.append(
        Text(
            "FEATURES_pca_LEARNER learns from principal components; `snellen models hog_knn` lists what can be set.",
            style="dim",
        )
    )
    return Group(*told)
