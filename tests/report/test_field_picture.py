"""Receptive fields as pictures."""

import re
from dataclasses import replace
from math import inf

import numpy as np
import pytest
from defusedxml.ElementTree import fromstring
from PIL import Image

from snellen.errors import ConfigError
from snellen.models import EffectiveField
from snellen.report.field_picture import field_sentences, write_field_picture
from snellen.report.palette import LIGHT_THEME


@pytest.fixture
def field() -> EffectiveField:
    parts = np.zeros((64, 64), dtype=np.float32)
    parts[24:40, 24:40] = 1.0
    return EffectiveField(
        name="c3", stride=8, theory_px=32, size_px=16.0, reached_px=(16, 16), box_px=(16, 16, 48, 48), parts=parts
    )


def color(name: str) -> tuple[int, ...]:
    return tuple(int(LIGHT_THEME[name][place : place + 2], 16) for place in (1, 3, 5))


def test_png_shows_heat_square_and_circle(field, tmp_path):
    file = write_field_picture(tmp_path / "new" / "a.png", [field, field], title="two <of> them")
    picture = np.asarray(Image.open(file).convert("RGB")).astype(int)
    found = {tuple(pixel) for pixel in picture.reshape(-1, 3)}
    assert {color("heat"), color("s1"), color("s2"), color("page"), color("card")} <= found
    columns = np.flatnonzero((picture == color("s1")).all(axis=2).sum(axis=0) > 100)  # the sides of the two squares
    edges = [group[0] for group in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)]
    assert len(edges) == 4
    assert edges[1] - edges[0] == pytest.approx(140, abs=3)  # 32 of 64 px in a panel of 280


def test_svg_is_xml_with_the_same_marks(field, tmp_path):
    file = write_field_picture(tmp_path / "a.svg", [field], title="one <of> them & more")
    root = fromstring(file.read_text(encoding="utf-8"))
    kinds = [child.tag.rpartition("}")[2] for child in root]
    assert kinds.count("image") == 1
    assert kinds.count("circle") == 1
    outline = [child for child in root if child.get("stroke") == LIGHT_THEME["s1"]]
    assert float(outline[0].get("width")) == pytest.approx(140)
    assert "".join(root.itertext()).startswith("one <of> them & more")


def test_html_holds_the_drawing(field, tmp_path):
    text = write_field_picture(tmp_path / "a.html", [field], title="<b>").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "<b>" not in text
    assert not re.search(r'(src|href)="(?!data:)', text)


@pytest.mark.parametrize(
    ("theory", "told"), [(32, "theory: 32 px"), (inf, "theory: the whole image"), (None, "theory: not followed")]
)
def test_sentences(field, theory, told):
    sentences = field_sentences(replace(field, theory_px=theory))
    assert sentences[1].startswith(told)
    assert sentences[2].startswith("measured: 16 px")


@pytest.mark.parametrize("box", [None, (-8.0, -8.0, 72.0, 72.0)])
def test_a_field_without_edges_has_no_square(field, box, tmp_path):
    whole = replace(field, box_px=box, theory_px=80 if box else None)
    text = write_field_picture(tmp_path / "a.svg", [whole], title="x").read_text(encoding="utf-8")
    assert f'stroke="{LIGHT_THEME["s1"]}"' not in text


def test_other_files_are_refused(field, tmp_path):
    with pytest.raises(ConfigError, match=r"must be a file .png, .svg, .html; got 'a.gif'"):
        write_field_picture(tmp_path / "a.gif", [field], title="x")
