"""Results as JSON and back, without loss."""

import json
import math
from collections.abc import Sequence
from typing import Any

from snellen.errors import InputError
from snellen.structures import Curve, ImageScore, Matrix, Results, Series, Table

__all__ = ["from_json", "to_json"]

VERSION = 1  # of the layout; raised when an old reader could not read a new file


def to_json(results: Results) -> str:
    """Write results as one JSON object.

    JSON has no nan and no infinity. Where only a number can stand, nan is written as null. In the cells of
    tables, where null means "nothing", and for infinities everywhere, ``{"float": "nan"}``, ``{"float":
    "inf"}`` and ``{"float": "-inf"}`` are written.
    """
    content = {
        "version": VERSION,
        "headline": results.headline,
        "lower_is_better": results.lower_is_better,
        "scalars": {name: _number(value) for name, value in results.scalars.items()},
        "tables": [
            {
                "title": table.title,
                "columns": list(table.columns),
                "rows": [[_cell(cell) for cell in row] for row in table.rows],
                "note": table.note,
            }
            for table in results.tables
        ],
        "curves": [_curve(curve) for curve in results.curves],
        "matrices": [
            {
                "title": matrix.title,
                "row_names": list(matrix.row_names),
                "column_names": list(matrix.column_names),
                "values": [_numbers(row) for row in matrix.values],
                "note": matrix.note,
            }
            for matrix in results.matrices
        ],
        "per_image": [[score.index, _number(score.quality), _number(score.uncertainty)] for score in results.per_image],
    }
    return json.dumps(content, allow_nan=False, ensure_ascii=False, indent=1)


def from_json(text: str | bytes) -> Results:
    """Read what ``to_json`` wrote.

    Raises:
        InputError: If the text is no JSON, of another version, or lacks a part.
    """
    try:
        content = json.loads(text)
        version = content["version"]
        if version == VERSION:
            return _results(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"expected results written by to_json; got text that does not fit ({type(error).__name__}: "
            f"{error}). Evaluate again to write them anew."
        ) from error
    raise InputError(
        f"expected results of version {VERSION}; got version {version}. Read them with the release of "
        "snellen that wrote them, or evaluate again."
    )


def _number(value: float) -> float | dict[str, str] | None:
    if math.isnan(value):
        return None
    return {"float": str(value)} if math.isinf(value) else value


def _numbers(values: Sequence[float]) -> list[float | dict[str, str] | None]:
    return [_number(value) for value in values]


def _cell(cell: str | float | int | None) -> str | float | int | dict[str, str] | None:
    if isinstance(cell, float) and not math.isfinite(cell):
        return {"float": str(cell)}
    return cell


def _curve(curve: Curve) -> dict[str, Any]:
    return {
        "title": curve.title,
        "x_label": curve.x_label,
        "y_label": curve.y_label,
        "series": [_series(line) for line in curve.series],
        "note": curve.note,
    }


def _series(series: Series) -> dict[str, Any]:
    dots = {"is_dots": True} if series.is_dots else {}
    return {"name": series.name, "x": _numbers(series.x), "y": _numbers(series.y), **dots}


def _read_cell(cell: Any) -> Any:
    return float(cell["float"]) if isinstance(cell, dict) else cell


def _read_number(value: Any) -> float:
    return math.nan if value is None else float(_read_cell(value))


def _results(content: dict[str, Any]) -> Results:
    return Results(
        headline=content["headline"],
        scalars={name: _read_number(value) for name, value in content["scalars"].items()},
        tables=tuple(
            Table(
                title=table["title"],
                columns=tuple(table["columns"]),
                rows=tuple(tuple(map(_read_cell, row)) for row in table["rows"]),
                note=table["note"],
            )
            for table in content["tables"]
        ),
        curves=tuple(_read_curve(curve) for curve in content["curves"]),
        matrices=tuple(
            Matrix(
                title=matrix["title"],
                row_names=tuple(matrix["row_names"]),
                column_names=tuple(matrix["column_names"]),
                values=tuple(tuple(map(_read_number, row)) for row in matrix["values"]),
                note=matrix["note"],
            )
            for matrix in content["matrices"]
        ),
        per_image=tuple(
            ImageScore(index=index, quality=_read_number(quality), uncertainty=_read_number(uncertainty))
            for index, quality, uncertainty in content["per_image"]
        ),
        lower_is_better=content.get("lower_is_better", False),
    )


def _read_curve(curve: dict[str, Any]) -> Curve:
    return Curve(
        title=curve["title"],
        x_label=curve["x_label"],
        y_label=curve["y_label"],
        series=tuple(
            Series(
                name=line["name"],
                x=tuple(map(_read_number, line["x"])),
                y=tuple(map(_read_number, line["y"])),
                is_dots=line.get("is_dots", False),
            )
            for line in curve["series"]
        ),
        note=curve["note"],
    )
