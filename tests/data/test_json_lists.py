"""Cutting long lists of JSON files, against decoding them as a whole."""

import json
import random

import msgspec
import pytest

from snellen.data import load
from snellen.data.formats import json_lists
from snellen.data.formats.json_lists import decoded_pieces, found_pieces

KEYS = ("images", "annotations")
TEXTS = ['a"b', "\\", '\\\\"', "],[{", "é☃", ",", "", "NaN"]
DAMAGE = [b"", b",", b'"', b"]", b"\\", b"{", b"}"]


def value(chance: random.Random, depth: int = 0):
    kind = chance.randrange(7 if depth < 3 else 4)
    if kind >= 4:
        inner = [value(chance, depth + 1) for _ in range(chance.randrange(4))]
        return inner if kind < 6 else {chance.choice([*KEYS, 'x"', "y\\"]): entry for entry in inner}
    return (chance.random(), chance.choice(TEXTS), None, chance.randrange(9))[kind]


def content(chance: random.Random) -> bytes:
    keys = chance.sample([*KEYS, "info", "categories"], chance.randrange(5))
    whole = {key: [value(chance) for _ in range(chance.randrange(7))] for key in keys}
    if keys and chance.random() < 0.2:
        whole[keys[0]] = value(chance)
    text = json.dumps(whole, ensure_ascii=chance.random() < 0.5, indent=chance.choice([None, 2])).encode()
    if chance.random() < 0.3:
        place = chance.randrange(len(text))
        text = text[:place] + chance.choice(DAMAGE) + text[place + 1 :]
    return text


def put_together(path, pieces):
    whole = msgspec.json.decode(pieces.rest)
    for key, spans in pieces.spans.items():
        assert whole[key] == []
        whole[key] = [msgspec.json.decode(raw) for piece in decoded_pieces(path, spans) for raw in piece]
    return whole


@pytest.mark.parametrize("block_bytes", [1, 2, 3, 7, 40, 1000])
def test_pieces_equal_the_whole(tmp_path, monkeypatch, block_bytes):
    monkeypatch.setattr(json_lists, "BLOCK_BYTES", block_bytes)
    chance = random.Random(block_bytes)
    path = tmp_path / "a.json"
    num_cut = num_refused = 0
    for _ in range(250):
        text = content(chance)
        path.write_bytes(text)
        try:
            expected = msgspec.json.decode(text.decode("utf-8", "replace"))
        except msgspec.DecodeError:
            expected = None
        pieces = found_pieces(path, KEYS)
        if expected is None:
            num_refused += 1
            if pieces is not None:
                with pytest.raises(msgspec.DecodeError):
                    msgspec.json.decode(pieces.rest)
        elif pieces is not None and text.decode("utf-8", "replace").encode() == text:
            num_cut += bool(pieces.spans)
            assert put_together(path, pieces) == expected
    assert num_cut > 50
    assert num_refused > 10


def test_pieces_hold_some_elements_each(tmp_path, monkeypatch):
    monkeypatch.setattr(json_lists, "BLOCK_BYTES", 256)
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"annotations": [{"id": number} for number in range(200)], "images": []}))
    pieces = found_pieces(path, KEYS)
    assert len(pieces.spans["annotations"]) > 5
    assert pieces.spans["images"] == []
    assert len(pieces.rest) < 64
    assert put_together(path, pieces)["annotations"][199] == {"id": 199}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[1, 2",
        '{"images": [1,]}',
        '{"images": [1, , 2]}',
        '{"images": [1], "images": [2]}',
        '{"images": [1}]',
    ],
)
def test_what_cannot_be_cut_is_left_to_the_whole(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    pieces = found_pieces(path, KEYS)
    if pieces is not None and pieces.spans:
        with pytest.raises(msgspec.DecodeError):
            msgspec.json.decode(pieces.rest)


def test_an_index_is_the_same_however_it_is_cut(make, monkeypatch):
    chance = random.Random(0)
    annotations = [
        {"id": number, "image_id": chance.choice((1, 2)), "category_id": 7, "bbox": [1 + number % 20, 2, 5, 6],
         "area": float("nan"), "segmentation": [[1, 1, 9, 1, 9, 9]]}
        for number in range(1, 60)
    ]  # fmt: skip
    path = make.coco([*annotations, None, {"id": "no"}])
    whole = load(path)
    assert len(whole.annotations.boxes) == 59
    for block_bytes in (50, 333):
        monkeypatch.setattr(json_lists, "BLOCK_BYTES", block_bytes)
        cut = load(path)
        assert cut.fingerprint() == whole.fingerprint()
        assert [str(problem) for problem in cut.problems] == [str(problem) for problem in whole.problems]


def test_real_files_however_they_are_cut(shared_data, monkeypatch):
    whole = load(shared_data / "coco")
    monkeypatch.setattr(json_lists, "BLOCK_BYTES", 4096)
    assert load(shared_data / "coco").fingerprint() == whole.fingerprint()
