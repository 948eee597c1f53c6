"""Tables as the pages show them: sorted by number where there are numbers, with bars behind shares."""

import math
from dataclasses import dataclass

from snellen.report.formatting import cell_text
from snellen.structures import Table

__all__ = ["MAX_ROWS", "Cell", "TableView", "table_view"]

MAX_ROWS = 2000  # of one table; a browser sorts and searches that many without a pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell: its text, what it sorts by, and the length of the bar behind it."""

    text: str
    sort: str = ""
    is_number: bool = False
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """A table as the template shows it; columns have a name and whether they hold numbers."""

    title: str
    columns: tuple[tuple[str, bool], ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


def table_view(table: Table, *, has_bars: bool = True) -> TableView:
    """Return a table as the template shows it; shares get a bar behind them unless told otherwise."""
    kinds = [_column_kind(table, column) for column in range(len(table.columns))]
    if not has_bars:
        kinds = [(is_number, False) for is_number, _ in kinds]
    note = table.note
    if len(table.rows) > MAX_ROWS:
        note = f"{note} {len(table.rows) - MAX_ROWS:,} more rows are not shown.".strip()
    return TableView(
        title=table.title,
        columns=tuple((name, is_number) for name, (is_number, _) in zip(table.columns, kinds, strict=True)),
        rows=tuple(
            tuple(_cell(value, kind) for value, kind in zip(row, kinds, strict=True)) for row in table.rows[:MAX_ROWS]
        ),
        note=note,
    )


def _column_kind(table: Table, column: int) -> tuple[bool, bool]:
    """Return whether a column holds numbers, and whether they are shares, which get a bar behind them."""
    values = [row[column] for row in table.rows if row[column] is not None]
    is_number = bool(values) and all(isinstance(value, (int, float)) for value in values)
    measured = [value for value in values if isinstance(value, float) and math.isfinite(value)]
    is_share = is_number and bool(measured) and all(0 <= value <= 1 for value in measured)
    return is_number, is_share and len(measured) == sum(
        isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)) for value in values
    )


def _cell(value: str | float | int | None, kind: tuple[bool, bool]) -> Cell:
    is_number, is_share = kind
    if not is_number:
        return Cell(text=cell_text(value))
    if not isinstance(value, (int, float)) or math.isnan(value):
        return Cell(text=cell_text(value), is_number=True)
    return Cell(
        text=cell_text(value),
        sort=f"{value:.9g}".replace("inf", "Infinity"),
        is_number=True,
        share=round(value, 3) if is_share and math.isfinite(value) else None,
    )
