"""A learning-rate range test as a chart, and as text."""

from collections.abc import Mapping, Sequence
from math import isfinite, log10, nan

from markupsafe import Markup
from rich.console import Group, RenderableType
from rich.text import Text

from snellen.doctor.range_test import Ending, RangeTest
from snellen.report.palette import DARK_THEME, LIGHT_THEME
from snellen.report.svg import Mark, line_chart
from snellen.structures import Curve, Series

__all__ = ["range_chart", "range_svg", "range_text", "range_verdict", "rate_text"]

_BLOCKS = "▁▂▃▄▅▆▇█"
_MOST_COLUMNS = 72  # of a sparkline; a terminal has eighty

_ENDINGS: Mapping[Ending, str] = {
    "swept": "the sweep reached its last rate",
    "diverged": "stopped: the loss ran away",
    "interrupted": "stopped by you",
    "out of batches": "stopped: there were no more batches",
}


def rate_text(rate: float) -> str:
    """Return a rate with two digits, as people write it: 0.0031, 2.4e-06."""
    return f"{rate:.1e}" if rate < 1e-4 else f"{float(f'{rate:.2g}'):g}"


def range_verdict(test: RangeTest) -> tuple[str, ...]:
    """Return what a test says, in sentences."""
    ending = f"{len(test.rates)} steps; {_ENDINGS[test.ended]}."
    if test.verdict == "still falling":
        return (ending, "No suggestion: the loss had not reached its lowest point. Let the test go on to higher rates.")
    if test.suggestion is None or test.low is None or test.high is None or test.steepest is None:
        return (
            ending,
            "No suggestion: the loss did not fall beyond its noise at any rate. Look at the model, the loss and the "
            "labels first (snellen check), or give the test more steps.",
        )
    return (
        ending,
        f"Suggested rate: {rate_text(test.suggestion)}; anything from {rate_text(test.low)} to {rate_text(test.high)} "
        "makes the loss fall fast.",
        f"It falls fastest at {rate_text(test.steepest)} and is lowest at {rate_text(test.high)}: stay below that.",
    )


def range_chart(test: RangeTest) -> Markup:
    """Return loss over learning rate, with the range and the suggestion behind it."""
    marks = []
    if test.low is not None and test.high is not None:
        text = f"the loss falls fast: {rate_text(test.low)} to {rate_text(test.high)}"
        marks.append(Mark(low=test.low, high=test.high, text=text))
    if test.suggestion is not None:
        marks.append(Mark(low=test.suggestion, high=test.suggestion, text=f"suggested: {rate_text(test.suggestion)}"))
    top = _top(test)
    curve = Curve(
        title="Learning-rate range test",
        x_label="learning rate",
        y_label="loss",
        series=(
            Series(name="smoothed", x=test.rates, y=_below(test.smoothed, top)),
            Series(name="each step", x=test.rates, y=_below(test.losses, top)),
        ),
    )
    return line_chart(curve, is_log_x=True, marks=marks)


def range_svg(test: RangeTest) -> str:
    """Return the chart as a file of its own, light or dark as the viewer is."""
    chart = str(range_chart(test)).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" width="960" ', 1)
    opening, _, rest = chart.partition(">")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{opening}><style>{_style()}</style>{rest}\n'


def range_text(test: RangeTest) -> RenderableType:
    """Return the course of the loss as a line of blocks with rates beneath, and the verdict."""
    parts: list[RenderableType] = []
    if len(test.rates) > 1:
        spark, scale = _spark(test)
        parts += [Text(spark, no_wrap=True), Text(scale, style="dim", no_wrap=True)]
    parts += [Text(line) for line in range_verdict(test)]
    return Group(*parts)


def _below(values: Sequence[float], top: float) -> tuple[float, ...]:
    return tuple(value if value <= top else nan for value in values)


def _top(test: RangeTest) -> float:
    """Return the highest loss that is shown: what flies off hides the fall."""
    finite = [value for value in test.smoothed if isfinite(value)]
    if not finite:
        return 1.0
    start, best = finite[0], min(finite)
    return start + max(start - best, 0.1 * abs(start))


def _spark(test: RangeTest) -> tuple[str, str]:
    columns = min(_MOST_COLUMNS, len(test.rates))
    places = [place * (len(test.rates) - 1) // max(columns - 1, 1) for place in range(columns)]
    best = min(test.smoothed)
    top = min(_top(test), max(test.smoothed))
    span = max(top - best, 1e-12)
    heights = [min(1.0, max(0.0, (test.smoothed[place] - best) / span)) for place in places]
    spark = "".join(_BLOCKS[min(len(_BLOCKS) - 1, int(height * len(_BLOCKS)))] for height in heights)
    return spark, _scale([test.rates[place] for place in places])


def _scale(rates: Sequence[float]) -> str:
    """Return powers of ten beneath the columns where they are reached."""
    line = [" "] * (len(rates) + 6)
    free = 0
    for column, rate in enumerate(rates):
        power = round(log10(rate))
        reached = column == 0 or log10(rates[column - 1]) < power - 1e-9
        if column >= free and reached and log10(rate) >= power - 1e-9:
            label = f"1e{power}"
            line[column : column + len(label)] = label
            free = column + len(label) + 2
    return "".join(line).rstrip()


def _style() -> str:
    def variables(theme: Mapping[str, str]) -> str:
        return "".join(f"--{name}:{value};" for name, value in theme.items())

    return (
        f"svg{{{variables(LIGHT_THEME)}background:var(--card);font-family:system-ui,sans-serif}}"
        f"@media(prefers-color-scheme:dark){{svg{{{variables(DARK_THEME)}}}}}"
        "text{fill:var(--soft);font-size:12px}.grid{stroke:var(--rule)}.axis{stroke:var(--soft);fill:none}"
        ".line{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round}.dot{fill:currentColor}"
        ".s0{color:var(--s0)}.s1{color:var(--s1)}.s1 .line{stroke-width:1;opacity:.55}"
        ".band{fill:currentColor;fill-opacity:.16}.range{fill:var(--tint)}"
        ".mark{stroke:var(--accent);stroke-width:2;stroke-dasharray:5 3}.cross{visibility:hidden}"
    )
