"""Range tests as charts and text."""

import xml.etree.ElementTree as ET
from io import StringIO
from math import nan

import numpy as np
import pytest
from rich.console import Console

from snellen.doctor.range_test import RangeTest, range_test
from snellen.report.rates import range_chart, range_svg, range_text, range_verdict, rate_text
from snellen.report.svg import Mark, line_chart
from snellen.structures import Curve, Series


def swept() -> RangeTest:
    return range_test(lambda rate: (2.0 - 1.0 / (1 + (1e-3 / rate) ** 2) + 30 * max(0.0, rate - 0.1), 2.0))


def said(test: RangeTest) -> str:
    console = Console(width=100, record=True, file=StringIO())
    console.print(range_text(test))
    return console.export_text()


def test_text_names_the_range() -> None:
    test = swept()
    assert test.suggestion is not None
    text = said(test)
    assert f"Suggested rate: {rate_text(test.suggestion)}" in text
    assert "█" in text
    assert "1e-5" in text


def test_text_says_why_there_is_no_suggestion() -> None:
    flat = range_test(lambda rate: (2.0, 2.0))
    assert "did not fall beyond its noise" in " ".join(range_verdict(flat))
    falling = range_test(lambda rate: (2.0 - np.log10(rate / 1e-7), 2.0))
    assert "had not reached its lowest point" in " ".join(range_verdict(falling))


def test_nothing_measured_is_still_a_text() -> None:
    test = range_test(lambda rate: (nan, 2.0))
    assert test.rates == ()
    assert "0 steps; stopped: the loss ran away." in said(test)
    assert "No finite values" in str(range_chart(test))


def test_svg_stands_alone_and_marks_the_range() -> None:
    root = ET.fromstring(range_svg(swept()))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    titles = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any(title.startswith("the loss falls fast: ") for title in titles)
    assert any(title.startswith("suggested: ") for title in titles)


@pytest.mark.parametrize(("rate", "text"), [(0.01, "0.01"), (0.00312, "0.0031"), (2.44e-6, "2.4e-06"), (1.0, "1")])
def test_rates_as_people_write_them(rate: float, text: str) -> None:
    assert rate_text(rate) == text


def test_logarithmic_axis_and_marks_of_a_line_chart() -> None:
    curve = Curve(
        title="t", x_label="x", y_label="y", series=(Series(name="a", x=(1e-4, 1e-2, 1.0), y=(1.0, 2.0, 3.0)),)
    )
    svg = str(line_chart(curve, is_log_x=True, marks=(Mark(low=1e-3, high=1e-1, text="<range>"),)))
    assert ' log"' in svg
    root = ET.fromstring(svg)
    rect = next(element for element in root.iter("rect") if element.get("class") == "range")
    left, right, *_ = (float(word) for word in (root.get("data-x") or "").split()[:2])
    assert float(rect.get("x") or 0) == pytest.approx(left + (right - left) / 4, abs=0.2)
    assert float(rect.get("width") or 0) == pytest.approx((right - left) / 2, abs=0.2)
    assert rect[0].text == "<range>"
