"""A scatter plot of the ladder: a figure of merit over what it costs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Cost", "scatter"]

WIDTH, HEIGHT, MARGIN = 900, 460, 60
COLOURS = ("#3566b8", "#c2571a", "#2a8a57", "#8a3f9e")
LETTER, LINE = 6.1, 13.0  # about how wide a letter and how high a line is
NEAR = 8.0  # from a dot to its label
MANY = 1000  # from here on numbers are written out


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What stands on the horizontal axis: a figure of each row, what it is multiplied by, and its name."""

    key: str
    factor: float
    title: str


TIME = Cost(key="total", factor=1000, title="milliseconds per image")


def scatter(found: Mapping[str, Mapping[str, Mapping[str, float]]], *, cost: Cost = TIME, merit: str = "AP50") -> str:
    """Return an SVG picture: the cost on a logarithmic axis, the merit (a share) upwards, a colour for each set."""
    points = [
        (place, name, model, cost.factor * row[cost.key], row[merit])
        for place, (name, rows) in enumerate(found.items())
        for model, row in rows.items()
        if row.get(cost.key) and row.get(merit) is not None
    ]
    if not points:
        return f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}"/>'
    low = 10 ** math.floor(math.log10(min(point[3] for point in points)))
    high = 10 ** math.ceil(math.log10(max(point[3] for point in points)))
    bottom = math.floor(10 * min(point[4] for point in points)) / 10
    top = max(math.ceil(10 * max(point[4] for point in points)) / 10, bottom + 0.1)

    def x(ms: float) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * math.log(ms / low) / math.log(high / low)

    def y(score: float) -> float:
        return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (score - bottom) / (top - bottom)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for step in range(round(10 * (top - bottom)) + 1):
        score = bottom + step / 10
        parts.append(f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y(score)}" y2="{y(score)}" stroke="#ddd"/>')
        parts.append(f'<text x="{MARGIN - 8}" y="{y(score) + 4}" text-anchor="end">{score:.1f}</text>')
    ms = low
    while ms <= high * 1.001:
        parts.append(f'<line x1="{x(ms)}" x2="{x(ms)}" y1="{y(bottom)}" y2="{y(top)}" stroke="#ddd"/>')
        parts.append(f'<text x="{x(ms)}" y="{y(bottom) + 18}" text-anchor="middle">{_number(ms)}</text>')
        ms *= 10
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 14}" text-anchor="middle">{cost.title}</text>')
    parts.append(
        f'<text x="16" y="{HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 16 {HEIGHT / 2})">{merit}</text>'
    )
    for place, name in enumerate(found):
        colour = COLOURS[place % len(COLOURS)]
        parts.append(f'<circle cx="{WIDTH - 150}" cy="{20 + 16 * place}" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{WIDTH - 140}" y="{24 + 16 * place}">{name}</text>')
    dots = [(x(point[3]), y(point[4])) for point in points]
    taken = [(cx - 6, cy - 6, cx + 6, cy + 6) for cx, cy in dots]
    for (place, _name, model, _cost, _score), (cx, cy) in sorted(zip(points, dots, strict=True), key=lambda p: p[1]):
        label = model.replace("_mobilenet_v2", "")
        box, radius = _free_place(cx, cy, LETTER * len(label), taken)
        taken.append(box)
        if radius > NEAR:
            nearest = (min(max(cx, box[0]), box[2]), (box[1] + box[3]) / 2)
            parts.append(
                f'<line x1="{cx:.1f}" y1="{cy:.1f}" x2="{nearest[0]:.1f}" y2="{nearest[1]:.1f}" stroke="#aaa"/>'
            )
        parts.append(f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="5" fill="{COLOURS[place % len(COLOURS)]}"/>')
        parts.append(f'<text x="{box[0]:.1f}" y="{box[3] - 2:.1f}" fill="#333">{label}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _number(value: float) -> str:
    return f"{value:g}" if value < MANY else f"{value:,.0f}"


def _free_place(
    cx: float, cy: float, width: float, taken: Sequence[tuple[float, float, float, float]]
) -> tuple[tuple[float, float, float, float], float]:
    """Return where a label beside a dot covers no other one and no dot, the nearest place first, and how far it is."""
    best = (cx + NEAR, cy - LINE / 2, cx + NEAR + width, cy + LINE / 2), NEAR
    for radius in (NEAR, 16.0, 26.0, 38.0, 52.0, 68.0, 86.0):
        for down in (0.0, -0.5, 0.5, -1.0, 1.0):
            for is_left in (False, True):
                across = radius * math.cos(math.asin(down)) if abs(down) < 1 else 0.0
                left = cx - across - width if is_left else cx + across
                middle = cy + radius * down + (LINE / 2 * down if abs(down) == 1 else 0.0)
                box = (left, middle - LINE / 2, left + width, middle + LINE / 2)
                is_inside = box[0] >= MARGIN - 20 and box[2] <= WIDTH and box[1] >= 0 and box[3] <= HEIGHT - MARGIN
                if is_inside and not any(_overlap(box, other) for other in taken):
                    return box, radius
    return best


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
