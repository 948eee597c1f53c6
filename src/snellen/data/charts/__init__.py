"""Built-in data: seeded eye charts, letters of known size, place and class on real photographs.

Everything about a chart is known exactly, so it serves as a first run without a download, as a test whose
answer is known, and, with ``ChartFaults``, as a data set that is broken in a known way.
"""

from snellen.data.charts.drawing import Chart, ChartLetter, draw_chart
from snellen.data.charts.glyphs import ALPHABET, SLOAN_LETTERS, letter_coverage
from snellen.data.charts.spec import ChartFaults, ChartSpec, Split, default_chart_spec
from snellen.data.charts.writing import write_charts

__all__ = [
    "ALPHABET",
    "SLOAN_LETTERS",
    "Chart",
    "ChartFaults",
    "ChartLetter",
    "ChartSpec",
    "Split",
    "default_chart_spec",
    "draw_chart",
    "letter_coverage",
    "write_charts",
]
