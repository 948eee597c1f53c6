"""The figures of a network as tables and as JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from math import isinf
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from snellen.models import LayerDescription, ModelDescription

__all__ = ["amount_text", "description_json", "feature_lines", "field_text", "layers_text"]

_COLUMNS = ("module", "output", "params", "mult-adds", "memory", "sees", "stride", "kind")
_STEPS = ((1e9, " G"), (1e6, " M"), (1e3, " k"))
_BYTES = ((2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB"))


def amount_text(count: float, *, is_bytes: bool = False) -> str:
    """Return a count with three digits and its unit: 11.7 M, 1.81 G; bytes in powers of two."""
    for step, unit in _BYTES if is_bytes else _STEPS:
        if count >= step:
            return f"{count / step:.3g}{unit}"
    return f"{count:.0f}{' B' if is_bytes else ''}"


def field_text(field: tuple[float, float] | float | None) -> str:
    """Return what a cell sees in words: 427 px, 7 x 1 px, the whole image; nothing if that is not known."""
    if field is None:
        return ""
    height, width = field if isinstance(field, tuple) else (field, field)
    if isinf(height) or isinf(width):
        return "whole image"
    return f"{height:.0f} px" if height == width else f"{height:.0f} x {width:.0f} px"


def feature_lines(described: ModelDescription) -> tuple[str, ...]:
    """Return a line about each feature of the backbone."""
    lines = []
    for feature in described.features:
        field = field_text(feature.receptive_field_px) or "not followed"
        if feature.receptive_field_px != feature.local_field_px:
            field += f" through gates or norms, {field_text(feature.local_field_px)} without"
        lines.append(f"  {feature.name}: {feature.channels} channels, stride {feature.stride}, receptive field {field}")
    return tuple(lines)


def layers_text(described: ModelDescription, *, depth: int) -> RenderableType:
    """Return a table of the modules down to a depth, each with all that lies in it.

    Args:
        described: The network.
        depth: 0 for the network as a whole, 1 for its parts, and so on.
    """
    height, width = described.size
    title = Text(f"Layers of {described.name} for one image of {height} x {width}", style="bold")
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    rows = [_cells(layer) for layer in described.layers if layer.depth <= depth]
    for place, name in enumerate(_COLUMNS):
        width = max(len(name), *(len(row[place]) for row in rows))
        is_last = place == len(_COLUMNS) - 1  # which gives way where the terminal is narrow
        table.add_column(
            name, no_wrap=True, justify="left" if place == 0 or is_last else "right", min_width=1 if is_last else width
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    note = (
        "A module counts with all that lies in it. Memory: what its operations write, in float32. Sees: the part of "
        "the image that a cell of the output can depend on, in pixels; all: the whole image."
    )
    return Group(table, Text(note, style="dim"))


def _cells(layer: LayerDescription) -> tuple[str, ...]:
    name = layer.path.rpartition(".")[2] or "whole"
    return (
        f"{'  ' * layer.depth}{name}",
        "" if layer.output_shape is None else "x".join(map(str, layer.output_shape[1:])),
        amount_text(layer.num_parameters) if layer.num_parameters else "",
        amount_text(layer.multiply_adds) if layer.multiply_adds else "",
        amount_text(layer.written_bytes, is_bytes=True) if layer.written_bytes else "",
        field_text(layer.receptive_field_px).replace("whole image", "all").removesuffix(" px").replace(" x ", "x"),
        "" if layer.stride is None else f"{layer.stride:g}",
        f"{layer.kind}{f', {layer.calls} times' if layer.calls > 1 else ''}",
    )


def description_json(described: ModelDescription, *, depth: int | None = None) -> dict[str, Any]:
    """Return a description as plain values; an infinite receptive field is ``"image"``, an unknown one ``None``.

    Args:
        described: The network.
        depth: Of the layers that are listed; None for all.
    """
    values = asdict(described)
    values["layers"] = [asdict(layer) for layer in described.layers if depth is None or layer.depth <= depth]
    return _plain(values)  # type: ignore[no-any-return]  # a mapping stays one


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and isinf(value):
        return "image"
    return value
