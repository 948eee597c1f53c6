import io

import pytest
from rich.console import Console

from snellen.report import results_markdown, results_text, table_markdown
from snellen.report.formatting import number_text, plain_text, shortened, text_width_em
from snellen.structures import Results, Table


def _results(names):
    table = Table(
        title="Per class",
        columns=("class", "AP", "objects"),
        rows=tuple((name, None if place else 0.5, 1234) for place, name in enumerate(names)),
        note="how to read it",
    )
    return {"test": Results(headline="AP", scalars={"AP": 0.5, "AP75": float("nan")}, tables=(table,))}


def _printed(renderable, width=100):
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=False).print(renderable)
    return stream.getvalue()


def test_terminal_shows_figures_tables_and_notes():
    lines = [line.split() for line in _printed(results_text(_results(["cat", "dog"]))).splitlines()]
    assert ["AP", "(headline)", "0.500"] in lines
    assert ["AP75", "–"] in lines
    assert ["cat", "0.500", "1,234"] in lines
    assert ["dog", "–", "1,234"] in lines
    assert ["how", "to", "read", "it"] in lines


def test_terminal_names_are_neither_markup_nor_control():
    printed = _printed(results_text(_results(["[red]x[/red]", "a\x1b[2Jb", "[/]"])))
    assert "[red]x[/red]" in printed
    assert "[/]" in printed
    assert "\x1b" not in printed


def test_terminal_says_how_much_was_left_out():
    printed = _printed(results_text(_results([f"c{n}" for n in range(1000)]), max_rows=10))
    assert "990 more rows" in printed
    assert len(printed.splitlines()) < 30


def test_markdown_is_a_table_and_names_stay_in_their_cell():
    text = results_markdown(_results(["a|b", "<img>", "x\ny", "`*_"]))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert "| a\\|b | 0.500 | 1,234 |" in rows
    assert "| &lt;img&gt; | – | 1,234 |" in rows
    assert "| x y | – | 1,234 |" in rows
    assert "| \\`\\*\\_ | – | 1,234 |" in rows
    assert "| --- | ---: | ---: |" in rows


def test_markdown_says_how_much_was_left_out():
    table = Table(title="t", columns=("a",), rows=tuple((n,) for n in range(20)))
    assert "15 more rows are left out." in table_markdown(table, max_rows=5)


def test_no_results_print_nothing():
    assert _printed(results_text({})).strip() == ""
    assert results_markdown({}) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (float("nan"), "–"), (float("inf"), "∞"), (-float("inf"), "−∞"), (0, "0"),
        (0.0, "0.000"),
        (1234567, "1,234,567"), (0.87654, "0.877"), (1.0, "1.000"), (0.00123, "0.00123"), (1e-6, "1.00e-06"),
        (12.345, "12.3"), (2.345, "2.35"), (12345.6, "12,346"), (3e9, "3.00e+09"), (True, "yes"),
        (-0.5, "-0.500"),
    ],
)  # fmt: skip
def test_numbers_have_the_digits_a_reader_needs(value, text):
    assert number_text(value) == text


def test_names_are_cut_to_a_width():
    assert shortened("short", 10) == "short"
    cut = shortened("a very long name indeed", 8)
    assert cut.endswith("…")
    assert text_width_em(cut) <= 8
    assert len(shortened("中" * 20, 8)) < len(shortened("l" * 20, 8))
    assert plain_text("a\nb\x1b\x00c\u2028") == "a b  c "
