"""Colours that people with a colour-vision deficiency can tell apart, for charts and for drawings."""

import colorsys

__all__ = ["CHART_COLORS_DARK", "CHART_COLORS_LIGHT", "class_color", "contrast_ratio", "ink_on", "luminance"]

Color = tuple[int, int, int]

# Hues of Okabe and Ito (2008), https://jfly.uni-koeln.de/color/, darkened or lightened until every one reaches the
# contrast of 3:1 that WCAG 2.2 (1.4.11) asks of lines against the page of its theme.
CHART_COLORS_LIGHT = ("#0072b2", "#c84e00", "#008561", "#a8478a", "#8f6a00", "#3f3da8", "#5a6b1f", "#b3324a")
CHART_COLORS_DARK = ("#56b4e9", "#ff8f4d", "#2cc79a", "#e59bc8", "#f0c44c", "#a9a7ff", "#b5cf6b", "#ff9aa8")

# For boxes and masks on photographs: Okabe and Ito, brightened; black and yellow are left out or moved.
_CLASS_COLORS: tuple[Color, ...] = (
    (86, 180, 233),
    (255, 140, 50),
    (0, 200, 140),
    (235, 130, 200),
    (250, 215, 60),
    (120, 130, 255),
    (190, 230, 90),
    (255, 100, 100),
    (60, 225, 230),
    (205, 160, 110),
)
_GOLDEN_TURN = 0.61803398875  # fraction of the colour circle between neighbours that never repeats soon


def class_color(label: int) -> Color:
    """Return the colour of class ``label``, the same in every drawing."""
    if label < len(_CLASS_COLORS):
        return _CLASS_COLORS[label]
    red, green, blue = colorsys.hls_to_rgb(label * _GOLDEN_TURN % 1.0, 0.62, 0.8)
    return round(red * 255), round(green * 255), round(blue * 255)


def luminance(color: Color) -> float:
    """Return the relative luminance, 0..1.

    Source:
        WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
    """
    linear = [c / 12.92 if (c := part / 255) <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for part in color]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast_ratio(first: Color, second: Color) -> float:
    """Return how well two colours can be told apart: 1 (not at all) to 21.

    Source:
        WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
    """
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def ink_on(color: Color) -> Color:
    """Return black or white, whichever is read better on ``color``."""
    black, white = (0, 0, 0), (255, 255, 255)
    return black if contrast_ratio(black, color) >= contrast_ratio(white, color) else white
