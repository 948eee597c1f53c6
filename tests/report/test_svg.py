import math
import re
import xml.etree.ElementTree as ET

import pytest

from snellen.report.palette import DARK_THEME, LIGHT_THEME, class_color, contrast_ratio, ink_on
from snellen.report.svg import bar_chart, heat_ink, heat_map, line_chart
from snellen.structures import Curve, Matrix, Series

NAN = float("nan")


def _curve(*lines, y_label="score"):
    series = tuple(Series(name=name, x=tuple(map(float, x)), y=tuple(map(float, y))) for name, x, y in lines)
    return Curve(title="t", x_label="step", y_label=y_label, series=series)


def _parsed(svg):
    return ET.fromstring(str(svg))


def _texts(svg, kind):
    return [node.text for node in _parsed(svg).iter("text") if kind in node.get("class")]


def test_axes_have_round_ticks_and_labels():
    svg = line_chart(_curve(("loss", range(1, 48), [3.7 / step for step in range(1, 48)])))
    assert _texts(svg, "tick") == ["0", "1", "2", "3", "4", "10", "20", "30", "40"]
    assert _texts(svg, "label") == ["step", "score"]


def test_points_lie_where_the_axes_say():
    svg = line_chart(_curve(("a", [0, 0.5, 1], [1, 0.5, 0])))
    root = _parsed(svg)
    left, right, *_ = map(float, root.get("data-x").split()[:4])
    bottom, top, *_ = map(float, root.get("data-y").split()[:4])
    path = next(node.get("d") for node in root.iter("path") if node.get("class") == "line")
    points = [tuple(map(float, pair.split())) for pair in path[1:].split("L")]
    expected = [(left, top), ((left + right) / 2, (top + bottom) / 2), (right, bottom)]
    assert points == [pytest.approx(point, abs=0.051) for point in expected]


def test_nan_leaves_a_gap_and_a_lonely_value_is_a_dot():
    root = _parsed(line_chart(_curve(("a", range(7), [1, 2, NAN, 3, math.inf, 4, 5]))))
    lines = [node.get("d").count("L") + 1 for node in root.iter("path") if node.get("class") == "line"]
    assert lines == [2, 2]
    assert sum(node.tag == "circle" for node in root.iter()) == 1
    assert "nan" not in str(line_chart(_curve(("a", range(3), [1, NAN, 2])))).lower().replace('data-name="nan"', "")


def test_spikes_survive_thinning():
    values = [1.0] * 10_000
    values[5_000] = 9.0
    root = _parsed(line_chart(_curve(("a", range(10_000), values))))
    line = next(node.get("d") for node in root.iter("path") if node.get("class") == "line")
    band = next(node.get("d") for node in root.iter("path") if node.get("class") == "band")
    assert line.count("L") < 300
    bottom, top, low, high = map(float, root.get("data-y").split()[:4])
    place = bottom + (9.0 - low) / (high - low) * (top - bottom)
    assert min(float(pair.split()[1]) for pair in re.split("[ML]", band.rstrip("Z"))[1:]) == pytest.approx(
        place, abs=0.1
    )


def test_wide_losses_get_a_logarithmic_axis():
    wide = _curve(("loss", range(5), [1000, 100, 10, 1, 0.1]), y_label="loss")
    assert _parsed(line_chart(wide)).get("data-y").endswith("log")
    assert _parsed(line_chart(_curve(("a", range(5), [1000, 100, 10, 1, 0.1])))).get("data-y").endswith("linear")


@pytest.mark.parametrize("lines", [(), (("a", [], []),), (("a", [1, 2], [NAN, NAN]),)])
def test_nothing_to_draw_is_said(lines):
    assert _texts(line_chart(_curve(*lines)), "label") == ["No finite values"]


def test_one_point_and_constant_lines_have_axes():
    for curve in (_curve(("a", [3], [7])), _curve(("a", [1, 2], [0, 0])), _curve(("a", [1, 2], [-5, -5]))):
        assert len(_texts(line_chart(curve), "tick")) >= 4


def test_names_are_escaped():
    name = '"><script>&'
    for svg in (
        line_chart(_curve((name, [0, 1], [0, 1]))),
        bar_chart(name, [name], [1.0]),
        heat_map(Matrix(title=name, row_names=(name,), column_names=(name,), values=((1.0,),))),
    ):
        assert "<script>" not in svg
        assert any(name in (node.text or "") for node in _parsed(svg).iter())


def test_heat_is_the_share_of_the_row():
    matrix = Matrix(
        title="m",
        row_names=("a", "b", "c"),
        column_names=("a", "b"),
        values=((30.0, 10.0), (0.0, 0.0), (1.0, NAN)),
    )
    cells = [float(node.get("fill-opacity")) for node in _parsed(heat_map(matrix)).iter("rect")]
    assert cells == [0.75, 0.25, 0, 0, 1, 0]
    titles = [node.text for node in _parsed(heat_map(matrix)).iter("title")]
    assert "a → b: 10 (25.0%)" in titles


def test_bars_are_proportional():
    root = _parsed(bar_chart("t", ["a", "b", "c"], [200.0, 100.0, NAN]))
    widths = [float(node.get("width")) for node in root.iter("rect")]
    assert widths[1] == pytest.approx(widths[0] / 2, abs=0.1)
    assert _texts(root_svg := bar_chart("t", ["a"], [200.0]), "tick") == ["a", "200"], root_svg


def _rgb(text):
    return tuple(bytes.fromhex(text.lstrip("#")))


@pytest.mark.parametrize("theme", [LIGHT_THEME, DARK_THEME], ids=["light", "dark"])
class TestContrast:
    def test_texts(self, theme):
        for ink in ("ink", "soft", "accent", "good", "warn", "bad"):
            for ground in ("page", "card"):
                assert contrast_ratio(_rgb(theme[ink]), _rgb(theme[ground])) >= 4.5, (ink, ground)
        for ground in ("fill", "tint"):
            assert contrast_ratio(_rgb(theme["ink"]), _rgb(theme[ground])) >= 4.5

    def test_lines(self, theme):
        for place in range(8):
            assert contrast_ratio(_rgb(theme[f"s{place}"]), _rgb(theme["card"])) >= 3, place

    def test_counts_on_heat(self, theme):
        letters = {"weak": theme["ink"], "middle": theme["heat-middle"], "strong": theme["heat-ink"]}
        for share in (number / 100 for number in range(101)):
            cell = tuple(
                round(share * hot + (1 - share) * cold)
                for hot, cold in zip(_rgb(theme["heat"]), _rgb(theme["card"]), strict=True)
            )
            assert contrast_ratio(_rgb(letters[heat_ink(share)]), cell) >= 3.7, share


def test_contrast_ratio_is_that_of_wcag():
    assert contrast_ratio((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast_ratio((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.005)  # WebAIM's example


def test_class_colors_differ_and_carry_letters():
    colors = [class_color(label) for label in range(30)]
    assert len(set(colors)) == 30
    assert all(contrast_ratio(color, ink_on(color)) >= 4.5 for color in colors)
