"""What a measurement says, in a form that a report can show without knowing the task."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Curve", "ImageScore", "Matrix", "Results", "Series", "Table"]

Cell = str | float | int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under named columns; ``note`` says how to read it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a curve, or, with ``is_dots``, points that no line joins."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    is_dots: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Lines over one pair of axes."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Counts of row name (truth) against column name (prediction)."""

    title: str
    row_names: tuple[str, ...]
    column_names: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageScore:
    """How well one image went (``quality``, 1 is best) and how unsure the model was (``uncertainty``, 0..1).

    The uncertainty is nan for models that do not tell it.
    """

    index: int
    quality: float
    uncertainty: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Everything that one evaluation measured.

    Attributes:
        headline: Name of the scalar that decides which model is best.
        scalars: Named figures, in the order in which they should be shown.
        tables: Per class, per size and so on.
        curves: Precision over recall and so on.
        matrices: Confusion.
        per_image: One row for each image.
        lower_is_better: Whether the headline is an error, of which less is better.
    """

    headline: str
    scalars: Mapping[str, float]
    tables: tuple[Table, ...] = ()
    curves: tuple[Curve, ...] = ()
    matrices: tuple[Matrix, ...] = ()
    per_image: tuple[ImageScore, ...] = field(default=(), repr=False)
    lower_is_better: bool = False

    @property
    def score(self) -> float:
        """The headline, negated where it is an error, so that higher is better."""
        value = self.scalars[self.headline]
        return -value if self.lower_is_better else value
