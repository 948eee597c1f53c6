"""What of a large confusion matrix is worth showing."""

import math

from snellen.structures import Matrix, Table

__all__ = ["confused_pairs", "most_confused"]


def most_confused(matrix: Matrix, limit: int) -> Matrix:
    """Return ``matrix`` cut to the ``limit`` rows with the most confusions; the note says what was left out.

    Columns without a row of the same name (such as a background) stay.
    """
    if len(matrix.row_names) <= limit:
        return matrix
    amounts = [0.0] * len(matrix.row_names)
    row_of = {name: place for place, name in enumerate(matrix.row_names)}
    for row, column, value in _errors(matrix):
        amounts[row] += value
        other = row_of.get(matrix.column_names[column])
        if other is not None:
            amounts[other] += value
    rows = sorted(sorted(range(len(amounts)), key=lambda row: -amounts[row])[:limit])
    kept = {matrix.row_names[row] for row in rows}
    columns = [column for column, name in enumerate(matrix.column_names) if name in kept or name not in row_of]
    cut = f"The {limit} most confused of {len(matrix.row_names):,} classes are shown."
    return Matrix(
        title=matrix.title,
        row_names=tuple(matrix.row_names[row] for row in rows),
        column_names=tuple(matrix.column_names[column] for column in columns),
        values=tuple(tuple(matrix.values[row][column] for column in columns) for row in rows),
        note=f"{matrix.note} {cut}".strip(),
    )


def confused_pairs(matrix: Matrix, limit: int) -> Table:
    """Return the ``limit`` most frequent mistakes, the most frequent first."""
    errors = sorted(_errors(matrix), key=lambda error: -error[2])[:limit]
    rows = []
    for row, column, value in errors:
        total = sum(count for count in matrix.values[row] if math.isfinite(count))
        count = int(value) if float(value).is_integer() else value
        rows.append((matrix.row_names[row], matrix.column_names[column], count, value / total))
    return Table(
        title="Most frequent confusions",
        columns=("truth", "predicted as", "count", "share of the truth"),
        rows=tuple(rows),
    )


def _errors(matrix: Matrix) -> list[tuple[int, int, float]]:
    return [
        (row, column, value)
        for row, values in enumerate(matrix.values)
        for column, value in enumerate(values)
        if value > 0 and math.isfinite(value) and matrix.row_names[row] != matrix.column_names[column]
    ]
