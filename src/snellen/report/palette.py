"""Colours that people with a colour-vision deficiency can tell apart, for charts and for drawings."""

import colorsys

__all__ = ["DARK_THEME", "LIGHT_THEME", "class_color", "contrast_ratio", "ink_on", "luminance"]

Color = tuple[int, int, int]

# The page's colours by role; s0 to s7 are the lines of charts. The hues of lines are those of Okabe and Ito
# (2008), https://jfly.uni-koeln.de/color/, darkened or lightened until each reaches the contrast of 3:1 on
# its page that WCAG 2.2 (1.4.11) asks of graphics; texts reach 4.5:1 (1.4.3).
LIGHT_THEME = {
    "page": "#f7f7f5",
    "card": "#ffffff",
    "ink": "#1b1f24",
    "soft": "#57606a",
    "rule": "#e1e3e6",
    "fill": "#eff1f3",
    "accent": "#0a5ea8",
    "tint": "#d9e9f7",
    "good": "#1a7044",
    "warn": "#8a5200",
    "bad": "#b3261e",
    "heat": "#063a70",
    "heat-middle": "#1b1f24",  # where the shares of svg.heat_ink meet
    "heat-ink": "#ffffff",
    "s0": "#0072b2",
    "s1": "#c84e00",
    "s2": "#008561",
    "s3": "#a8478a",
    "s4": "#8f6a00",
    "s5": "#3f3da8",
    "s6": "#5a6b1f",
    "s7": "#b3324a",
}
DARK_THEME = {
    "page": "#0f1216",
    "card": "#171b21",
    "ink": "#e8eaed",
    "soft": "#a3acb8",
    "rule": "#2b313a",
    "fill": "#20262e",
    "accent": "#6bb6ff",
    "tint": "#1d3a56",
    "good": "#5fd39a",
    "warn": "#f0b45a",
    "bad": "#ff8b83",
    "heat": "#6bb6ff",
    "heat-middle": "#0b1118",
    "heat-ink": "#0b1118",
    "s0": "#56b4e9",
    "s1": "#ff8f4d",
    "s2": "#2cc79a",
    "s3": "#e59bc8",
    "s4": "#f0c44c",
    "s5": "#a9a7ff",
    "s6": "#b5cf6b",
    "s7": "#ff9aa8",
}

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
_LIGHTNESS = (0.42, 0.76)  # darker and lighter than the ten above, so that a like hue can be told apart
_GOLDEN_TURN = 0.61803398875  # fraction of the colour circle between neighbours that never repeats soon


def class_color(label: int) -> Color:
    """Return the colour of class ``label``, the same in every drawing."""
    if label < len(_CLASS_COLORS):
        return _CLASS_COLORS[label]
    lightness = _LIGHTNESS[label % len(_LIGHTNESS)]
    red, green, blue = colorsys.hls_to_rgb(label * _GOLDEN_TURN % 1.0, lightness, 0.8)
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
