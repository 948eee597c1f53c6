"""Tables of label sets and values from the command line: asked about, described, converted, drawn."""

import csv
import json

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        noise = np.random.default_rng(number).integers(0, 255, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")

    def write(name, *rows):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows([["file", *rows[0]], *([f"{n}.png", *row] for n, row in enumerate(rows[1:]))])
        return folder / name

    return write


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ((["tags"], ["cat dog"], ["dog"], [""], ["cat"]), "--separator"),
        ((["label"], ["cat;dog"], ["dog"], [""], ["cat"]), "--task label_set"),
        ((["age", "height"], [3, 4], [5, 6], [7, 8], [9, 9]), "--columns"),
    ],
)
def test_what_is_ambiguous_names_the_option(call, photos, rows, words):
    table = photos("t.csv", *rows)
    said = call("data", "describe", table)
    assert said.code == 3
    assert words in said.err
    answer = {"--separator": "space", "--task label_set": "label_set", "--columns": "age"}[words]
    answered = call("data", "describe", table, words.split(" ", maxsplit=1)[0], answer)
    assert answered.code == 0


def test_described_in_their_own_words(call, photos):
    sets = call("data", "describe", photos("t.csv", ["labels"], ["cat;dog"], ["dog"], [""], ["?"]))
    assert "2 classes" in sets.out
    assert "showing no class" in sets.out
    values = call("data", "describe", photos("u.csv", ["age [years]"], [3.5], [5], [""], [9]))
    assert "1 value\n" in values.out
    assert "Range of the values" in values.out
    assert "value-missing" in values.out


def test_converted_and_drawn(call, photos, tmp_path):
    table = photos("t.csv", ["cat", "dog"], [1, 0], [1, 1], [0, 0], ["", 1])
    assert call("data", "convert", table, tmp_path / "lines", "--to", "jsonl").code == 0
    lines = [json.loads(line) for line in (tmp_path / "lines" / "labels.jsonl").read_text().splitlines()]
    assert [line["labels"] for line in lines] == [["cat"], ["cat", "dog"], [], ["dog", "?cat"]]
    assert call("data", "convert", tmp_path / "lines", tmp_path / "table", "--to", "csv").code == 0
    assert call("data", "draw", tmp_path / "table", "--out", tmp_path / "sheet.jpg", "--count", 4).code == 0
    said = call("data", "convert", table, tmp_path / "boxes", "--to", "coco")
    assert said.code == 2
    assert "LabelSetTable" in said.err


def test_a_mistyped_task(call, photos):
    said = call("data", "describe", photos("t.csv", ["labels"], ["a"], ["b"], [""], [""]), "--task", "label-set")
    assert said.code == 2
    assert "label_set" in said.err
