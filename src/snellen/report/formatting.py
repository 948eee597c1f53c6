"""Numbers and names as people read them, the same in HTML, terminal and Markdown."""

import math
import unicodedata

__all__ = ["MISSING", "cell_text", "number_text", "plain_text", "shortened", "text_width_em", "tick_text"]

MISSING = "–"  # what stands where nothing was measured

_NARROW_EM = 0.56  # mean advance of a Latin letter in common sans-serif faces
_MOST_DECIMALS = 12  # a double has about 16 digits; an axis needs fewer
_WIDE_EM = 1.0  # East Asian full-width glyphs fill their square


def number_text(value: float | int | None) -> str:
    """Return a number with as many digits as a reader needs; what is missing or NaN becomes a dash."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return _float_text(value)


def _float_text(value: float) -> str:
    size = abs(value)
    if size != 0 and (size < 1e-4 or size >= 1e7):
        return f"{value:.2e}"
    if 0 < size < 1e-2:
        return f"{value:.3g}"
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 2 else f"{value:.3f}"


def cell_text(value: str | float | int | None) -> str:
    """Return what stands in the cell of a table."""
    return value if isinstance(value, str) else number_text(value)


def tick_text(value: float, step: float) -> str:
    """Return the label of a tick with just the decimals that ``step`` needs."""
    if value == 0:
        return "0"
    if abs(value) >= 1e12 or abs(value) < 1e-4:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    if abs(value) >= 1e6:
        return f"{value / 1e6:.10g}M"
    if abs(value) >= 1e4:
        return f"{value / 1000:.10g}k"
    fitting = (count for count in range(_MOST_DECIMALS) if math.isclose(step, round(step, count), rel_tol=1e-6))
    decimals = next(fitting, _MOST_DECIMALS)
    return f"{value:.{decimals}f}"


def plain_text(text: str) -> str:
    """Return ``text`` without control characters, so that a name cannot steer a terminal or break a row."""
    return "".join(" " if unicodedata.category(letter) in {"Cc", "Zl", "Zp"} else letter for letter in text)


def text_width_em(text: str) -> float:
    """Return the estimated width of a text in units of its font size."""
    wide = sum(unicodedata.east_asian_width(letter) in {"W", "F"} for letter in text)
    return wide * _WIDE_EM + (len(text) - wide) * _NARROW_EM


def shortened(text: str, width_em: float | int) -> str:
    """Return ``text`` cut at its end, with an ellipsis, to an estimated width."""
    if text_width_em(text) <= width_em:
        return text
    kept = text
    while kept and text_width_em(kept) + _WIDE_EM > width_em:
        kept = kept[:-1]
    return kept.rstrip() + "…"
