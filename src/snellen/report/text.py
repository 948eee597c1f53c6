"""Results as text: tables for the terminal (rich) and Markdown."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from snellen.report.formatting import cell_text, plain_text
from snellen.structures import Results, Table

__all__ = ["results_markdown", "results_text", "table_markdown", "table_text"]

Cell = str | float | int | None


def results_text(results: Mapping[str, Results], *, max_rows: int = 30) -> RenderableType:
    """Return what was measured as something that ``rich`` prints.

    Args:
        results: By the name of the split.
        max_rows: Rows of each table to print; how many were left out is said.
    """
    parts: list[RenderableType] = [table_text(_scalar_table(results), max_rows=max_rows)] if results else []
    for split, result in results.items():
        for table in result.tables:
            parts.append(Text())
            parts.append(table_text(table, max_rows=max_rows, prefix=f"{split}: " if len(results) > 1 else ""))
    return Group(*parts)


def table_text(table: Table, *, max_rows: int = 30, prefix: str = "") -> RenderableType:
    """Return one table as something that ``rich`` prints; names are never read as markup."""
    title = Text(plain_text(prefix + table.title), style="bold")
    shown = RichTable(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for column in range(len(table.columns)):
        is_number = _is_number_column(table, column)
        justify = "right" if is_number else "left"
        shown.add_column(Text(plain_text(table.columns[column])), justify=justify, no_wrap=is_number)  # type: ignore[arg-type]
    for row in table.rows[:max_rows]:
        shown.add_row(*(Text(plain_text(cell_text(cell))) for cell in row))
    notes = [table.note] if table.note else []
    if len(table.rows) > max_rows:
        notes.append(f"{len(table.rows) - max_rows:,} more rows are in the report.")
    return Group(shown, *(Text(plain_text(note), style="dim") for note in notes))


def results_markdown(results: Mapping[str, Results], *, max_rows: int = 1000) -> str:
    """Return what was measured as Markdown."""
    parts = [table_markdown(_scalar_table(results), max_rows=max_rows)] if results else []
    for split, result in results.items():
        prefix = f"{split}: " if len(results) > 1 else ""
        parts.extend(table_markdown(table, max_rows=max_rows, prefix=prefix) for table in result.tables)
    return "\n".join(parts)


def table_markdown(table: Table, *, max_rows: int = 1000, prefix: str = "") -> str:
    """Return one table as Markdown (GitHub's dialect); names cannot break out of their cell."""
    rule = ["---:" if _is_number_column(table, column) else "---" for column in range(len(table.columns))]
    lines = [f"### {_escaped(prefix + table.title)}", "", _row(table.columns), f"| {' | '.join(rule)} |"]
    lines.extend(_row([cell_text(cell) for cell in row]) for row in table.rows[:max_rows])
    if len(table.rows) > max_rows:
        lines.extend(("", f"{len(table.rows) - max_rows:,} more rows are left out."))
    if table.note:
        lines.extend(("", _escaped(table.note)))
    return "\n".join((*lines, ""))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_escaped(cell) for cell in cells)} |"


def _escaped(text: str) -> str:
    escaped = plain_text(text)
    for letter in "\\`*_[]|~#":
        escaped = escaped.replace(letter, f"\\{letter}")
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _scalar_table(results: Mapping[str, Results]) -> Table:
    names = list(dict.fromkeys(name for result in results.values() for name in result.scalars))
    headlines = {result.headline for result in results.values()}
    rows: list[tuple[Cell, ...]] = [
        (
            f"{name} (headline)" if name in headlines else name,
            *(_scalar(result, name) for result in results.values()),
        )
        for name in names
    ]
    return Table(title="Results", columns=("figure", *results), rows=tuple(rows))


def _scalar(result: Results, name: str) -> float | None:
    return result.scalars.get(name)


def _is_number_column(table: Table, column: int) -> bool:
    return any(isinstance(row[column], (int, float)) for row in table.rows)
