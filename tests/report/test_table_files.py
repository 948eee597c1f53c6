"""Tables as LaTeX and CSV, and charts of intervals."""

import csv
from io import StringIO

from snellen.report import IntervalRow, Intervals, Report, report_html, table_csv, table_latex
from snellen.report.interval_chart import interval_chart
from snellen.structures import Table

TABLE = Table(
    title="What 5 % & more_less bought",
    columns=("variant", "accuracy", "gain"),
    rows=(('a, "b"', 0.123456789, "+0.1 ± 0.2"), ("{x}^2", None, "−1")),
    note="Over 3 seeds.",
)


def test_csv_keeps_numbers_and_commas():
    rows = list(csv.reader(StringIO(table_csv(TABLE))))
    assert rows[0] == ["variant", "accuracy", "gain"]
    assert rows[1] == ['a, "b"', "0.123456789", "+0.1 ± 0.2"]
    assert rows[2][1] == ""


def test_latex_escapes_what_latex_reads():
    text = table_latex(TABLE)
    assert r"What 5 \% \& more\_less bought" in text
    assert r"\{x\}\textasciicircum{}2" in text
    assert r"+0.1 $\pm$ 0.2" in text
    assert r"\begin{tabular}{lrl}" in text
    assert text.count("\\\\") == 3  # rows and nothing else end one


def test_chart_of_intervals_stands_in_the_report():
    rows = (
        IntervalRow(name="base <b>", mean=0.5, low=0.4, high=0.6, values=(0.45, 0.55)),
        IntervalRow(name="failed", mean=float("nan")),
    )
    chart = interval_chart(Intervals(title="gain", label="accuracy", rows=rows, zero=0.0))
    assert "base &lt;b&gt;" in chart
    assert chart.count("<circle") == 3
    assert "nan" not in chart
    page = report_html(Report(title="t", intervals=(Intervals(title="gains", label="accuracy", rows=rows),)))
    assert "gains" in page
    assert interval_chart(Intervals(title="none", label="", rows=(rows[1],))).count("<circle") == 0
