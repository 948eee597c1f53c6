"""What a row of the table of learners says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from snellen.models.shallow.examples import Examples, Predictor
from snellen.models.shallow.fitted import Arrays
from snellen.models.shallow.preparation import Scaling

__all__ = ["STANDARD", "Learner"]

STANDARD: tuple[Scaling, ...] = ("standard",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learner:
    """A row of the table of learners.

    Attributes:
        name: What the user types behind the features' name.
        summary: A few words.
        paper: Address.
        settings: Record of what can be set.
        fit: From examples and settings to arrays.
        predictor: How classes are told from the arrays.
        grid: Values that are tried for a setting that is left open, by its name.
        scales: Scalings of features that are tried where none is given.
        pca: Components of the features that it learns from where nothing is said; 0 for the features themselves.
        most_images: That it is fitted to where nothing is said.
        tried_images: That settings are tried on at most.
        only: Names of the features that it is made for; empty for all.
        counts: Whether histograms are wanted as they are, without roots.
        keeps_images: Whether it holds all training images, so that one for each of many classes would fill the disk.
        extra: Of snellen, that brings the package it needs; empty where none is needed.
    """

    name: str
    summary: str
    paper: str
    settings: type[Any]
    fit: Callable[[Examples, Any], Arrays]
    predictor: Predictor
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    scales: tuple[Scaling, ...] = STANDARD
    pca: float = 0
    most_images: int = 50_000
    tried_images: int = 2000
    only: tuple[str, ...] = ()
    counts: bool = False
    keeps_images: bool = False
    extra: str = ""
