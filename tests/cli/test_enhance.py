"""snellen enhance, from outside."""

import json

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(2):
        noise = np.random.default_rng(number).integers(30, 220, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((80, 60)).save(folder / f"{number}.png")
    return folder


def test_operations_and_a_sheet(call, photos, tmp_path):
    out = tmp_path / "out"
    said = call("enhance", photos, "--operations", "clahe:clip_limit=3,median", "--out", out, "--sheet")
    assert said.code == 0
    assert said.out == f"{out}\n"
    assert "2  clahe:clip_limit=3, median" in said.err
    assert sorted(file.name for file in out.iterdir()) == ["0.png", "1.png", "enhanced.log"]
    assert (tmp_path / "out-sheet.png").is_file()


def test_auto_as_json(call, photos, tmp_path):
    dark = Image.open(photos / "0.png").point(lambda level: level // 6)
    dark.save(photos / "0.png")
    (photos / "2.png").write_bytes(b"nothing")
    said = call("enhance", photos, "--auto", "--json", "--lang", "en", "--out", tmp_path / "out")
    told = json.loads(said.out)
    assert [image["operations"] for image in told["images"]] == [["stretch"], []]
    assert "99th percentile" in told["images"][0]["reasons"][0]
    assert list(told["skipped"]) == [str(photos / "2.png")]


def test_the_list(call):
    said = call("enhance", "--list")
    assert said.code == 0
    assert "clahe" in said.out
    assert "clip_limit=2.0:tiles=8" in said.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "expected images"),
        (("photos",), "Give one of them"),
        (("photos", "--operations", "clahee"), "Did you mean 'clahe'"),
        (("photos", "--operations", "median:size=4"), "odd number"),
        (("nowhere", "--auto"), "gives none"),
    ],
)
def test_what_cannot_be_done(call, photos, monkeypatch, words, says):
    monkeypatch.chdir(photos.parent)
    said = call("enhance", *words)
    assert said.code == 2
    assert says in said.err
    assert not (photos.parent / "enhanced").exists()
