"""Receptive fields as a picture: what a cell can depend on, and what it really listens to."""

import base64
import io
from collections.abc import Sequence
from math import isinf
from pathlib import Path

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from snellen.errors import ConfigError
from snellen.models.effective_field import EffectiveField
from snellen.report.fonts import font_for
from snellen.report.palette import LIGHT_THEME

__all__ = ["check_picture_kind", "field_sentences", "write_field_picture"]

_PANEL_PX = 280  # side of the square in which a field is shown
_GAP_PX = 24
_TEXT_PX = 15
_LINES = 3  # of text under a panel
_TITLE_PX = 20
_GAMMA = 0.5  # the root shows faint parts, which the eye would miss on a linear scale
_KINDS = (".png", ".svg", ".html")


def field_sentences(field: EffectiveField) -> tuple[str, ...]:
    """Return what is told of a field: its stride, what it can depend on, and what it listens to."""
    if field.theory_px is None:
        theory = "theory: not followed"
    elif isinf(field.theory_px):
        theory = "theory: the whole image"
    else:
        theory = f"theory: {field.theory_px:.0f} px (square)"
    return (f"{field.name}, stride {field.stride} px", theory, f"measured: {field.size_px:.0f} px (circle)")


def write_field_picture(path: Path | str, fields: Sequence[EffectiveField], *, title: str) -> Path:
    """Draw the fields of a network beside one another, all in the same scale.

    Args:
        path: ``.png``, ``.svg`` or ``.html``.
        fields: Of one network, measured on images of one size.
        title: Above them.

    Raises:
        ConfigError: If the file is of another kind.
    """
    check_picture_kind(path)
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix.lower() == ".png":
        _as_png(fields, title).save(file)
    else:
        drawing = _as_svg(fields, title)
        page = f'<!doctype html><meta charset="utf-8"><title>{escape(title)}</title>{drawing}\n'
        file.write_text(page if file.suffix.lower() == ".html" else f"{drawing}\n", encoding="utf-8")
    return file


def check_picture_kind(path: Path | str) -> None:
    """Check that a picture can be written to a file, before what takes time.

    Raises:
        ConfigError: If the file is of a kind that is not written.
    """
    if Path(path).suffix.lower() not in _KINDS:
        raise ConfigError(f"a picture must be a file {', '.join(_KINDS)}; got {Path(path).name!r}. Rename it.")


def _size(num: int) -> tuple[int, int]:
    width = _GAP_PX + num * (_PANEL_PX + _GAP_PX)
    return width, 3 * _GAP_PX + _TITLE_PX + _PANEL_PX + _LINES * (_TEXT_PX + 6)


def _corner(place: int) -> tuple[int, int]:
    return _GAP_PX + place * (_PANEL_PX + _GAP_PX), 2 * _GAP_PX + _TITLE_PX


def _heat(parts: NDArray[np.float32]) -> Image.Image:
    """Return parts as shades from the page's white to its deepest blue."""
    share = np.clip(parts, 0, 1)[..., None] ** _GAMMA
    low, high = (np.array(_rgb(LIGHT_THEME[name]), dtype=np.float32) for name in ("card", "heat"))
    picture = Image.fromarray(np.uint8(low + (high - low) * share))
    return picture.resize((_PANEL_PX, _PANEL_PX), Image.Resampling.BOX)


def _rgb(text: str) -> tuple[int, int, int]:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _middle(field: EffectiveField) -> tuple[float, float]:
    """Return the middle of what the cell sees, in pixels of the panel."""
    side = len(field.parts)
    if field.box_px is None:
        return _PANEL_PX / 2, _PANEL_PX / 2
    left, top, right, bottom = field.box_px
    return (left + right) / 2 * _PANEL_PX / side, (top + bottom) / 2 * _PANEL_PX / side


def _outline(field: EffectiveField) -> tuple[float, float, float, float] | None:
    """Return the theoretical field within the panel in its pixels; None where it is not known or beyond the image."""
    if field.box_px is None or field.theory_px is None or isinf(field.theory_px):
        return None
    scale = _PANEL_PX / len(field.parts)
    left, top, right, bottom = (edge * scale for edge in field.box_px)
    inside = min(left, top) >= 0 and max(right, bottom) <= _PANEL_PX
    return (left, top, right, bottom) if inside else None


def _radius(field: EffectiveField) -> float:
    """Return the radius of a circle with as many pixels as the cell listens to, in pixels of the panel."""
    return float(field.size_px / np.sqrt(np.pi) * _PANEL_PX / len(field.parts))


def _as_png(fields: Sequence[EffectiveField], title: str) -> Image.Image:
    canvas = Image.new("RGB", _size(len(fields)), LIGHT_THEME["page"])
    draw = ImageDraw.Draw(canvas)
    draw.text((_GAP_PX, _GAP_PX), title, fill=LIGHT_THEME["ink"], font=font_for(title, _TITLE_PX))
    for place, field in enumerate(fields):
        left, top = _corner(place)
        panel = _heat(field.parts)
        ink = ImageDraw.Draw(panel)
        box = _outline(field)
        if box is not None:
            ink.rectangle(box, outline=LIGHT_THEME["s1"], width=2)
        (x, y), radius = _middle(field), _radius(field)
        ink.ellipse((x - radius, y - radius, x + radius, y + radius), outline=LIGHT_THEME["s2"], width=2)
        canvas.paste(panel, (left, top))
        draw.rectangle((left - 1, top - 1, left + _PANEL_PX, top + _PANEL_PX), outline=LIGHT_THEME["rule"])
        for line, text in enumerate(field_sentences(field)):
            spot = (left, top + _PANEL_PX + 8 + line * (_TEXT_PX + 6))
            color = LIGHT_THEME[("ink", "s1", "s2")[line]]
            draw.text(spot, text, fill=color, font=font_for(text, _TEXT_PX))
    return canvas


def _as_svg(fields: Sequence[EffectiveField], title: str) -> Markup:
    width, height = _size(len(fields))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" role="img" aria-label="{escape(title)}">',
        f'<rect width="{width}" height="{height}" fill="{LIGHT_THEME["page"]}"/>',
        f'<text x="{_GAP_PX}" y="{_GAP_PX + _TITLE_PX}" font-size="{_TITLE_PX}" fill="{LIGHT_THEME["ink"]}">'
        f"{escape(title)}</text>",
    ]
    for place, field in enumerate(fields):
        parts += _svg_panel(field, *_corner(place))
    return Markup("".join([*parts, "</svg>"]))


def _svg_panel(field: EffectiveField, left: int, top: int) -> list[str]:
    (x, y), radius = _middle(field), _radius(field)
    parts = [
        f'<image x="{left}" y="{top}" width="{_PANEL_PX}" height="{_PANEL_PX}" href="{_data_address(field)}"/>',
        f'<rect x="{left}" y="{top}" width="{_PANEL_PX}" height="{_PANEL_PX}" fill="none" '
        f'stroke="{LIGHT_THEME["rule"]}"/>',
    ]
    box = _outline(field)
    if box is not None:
        parts.append(
            f'<rect x="{left + box[0]:.1f}" y="{top + box[1]:.1f}" width="{box[2] - box[0]:.1f}" '
            f'height="{box[3] - box[1]:.1f}" fill="none" stroke="{LIGHT_THEME["s1"]}" stroke-width="2"/>'
        )
    parts.append(
        f'<circle cx="{left + x:.1f}" cy="{top + y:.1f}" r="{radius:.1f}" fill="none" '
        f'stroke="{LIGHT_THEME["s2"]}" stroke-width="2"/>'
    )
    for line, text in enumerate(field_sentences(field)):
        color = LIGHT_THEME[("ink", "s1", "s2")[line]]
        parts.append(
            f'<text x="{left}" y="{top + _PANEL_PX + 20 + line * (_TEXT_PX + 6)}" font-size="{_TEXT_PX}" '
            f'fill="{color}">{escape(text)}</text>'
        )
    return parts


def _data_address(field: EffectiveField) -> str:
    stream = io.BytesIO()
    _heat(field.parts).save(stream, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
