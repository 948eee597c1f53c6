"""A scatter plot of the ladder: a figure of merit over what it costs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Cost", "scatter"]

WIDTH, HEIGHT, MARGIN = 900, 460, 60
COLOURS = ("#3566b8", "#c2571a", "#2a8a57", "#8a3f9e")
MARKS = ("circle", "square")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What stands on the horizontal axis: a figure of each row, what it is multiplied by, and its name."""

    key: str
    factor: float
    title: str


TIME = Cost(key="total", factor=1000, title="milliseconds per image")


def scatter(found: Mapping[str, Mapping[str, Mapping[str, float]]], *, cost: Cost = TIME, merit: str = "AP50") -> str:
    """Return an SVG picture: the cost on a logarithmic axis, the merit (0..1) upwards, a colour for each data set."""
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

    def x(ms: float) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * math.log(ms / low) / math.log(high / low)

    def y(score: float) -> float:
        return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * score

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for step in range(6):
        score = step / 5
        parts.append(f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y(score)}" y2="{y(score)}" stroke="#ddd"/>')
        parts.append(f'<text x="{MARGIN - 8}" y="{y(score) + 4}" text-anchor="end">{score:.1f}</text>')
    ms = low
    while ms <= high:
        parts.append(f'<line x1="{x(ms)}" x2="{x(ms)}" y1="{y(0)}" y2="{y(1)}" stroke="#ddd"/>')
        parts.append(f'<text x="{x(ms)}" y="{y(0) + 18}" text-anchor="middle">{ms:g}</text>')
        ms *= 10
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 14}" text-anchor="middle">{cost.title}</text>')
    parts.append(
        f'<text x="16" y="{HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 16 {HEIGHT / 2})">{merit}</text>'
    )
    for place, name in enumerate(found):
        colour = COLOURS[place % len(COLOURS)]
        parts.append(f'<circle cx="{WIDTH - 150}" cy="{20 + 16 * place}" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{WIDTH - 140}" y="{24 + 16 * place}">{name}</text>')
    taken: list[tuple[float, float]] = []
    for place, _name, model, time_ms, score in sorted(points, key=lambda point: point[3]):
        cx, cy = x(time_ms), y(score)
        label_y = cy + 4
        while any(abs(label_y - other_y) < 12 and abs(cx - other_x) < 150 for other_x, other_y in taken):
            label_y += 12
        taken.append((cx, label_y))
        label = model.replace("_mobilenet_v2", "")
        parts.append(f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="5" fill="{COLOURS[place % len(COLOURS)]}"/>')
        parts.append(f'<text x="{cx + 8:.1f}" y="{label_y:.1f}" fill="#333">{label}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
