"""The long lists of a large JSON file, in pieces: where they may be cut is found without decoding them.

A list of a million objects decoded at once holds the file, and a Python object for every element, in memory
together. Here a file is looked through block by block; the lists wanted are cut at commas between elements,
each piece is checked to be valid JSON, and only the places of the pieces are kept.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

__all__ = ["Pieces", "decoded_pieces", "found_pieces", "without_nan"]

BLOCK_BYTES = 1 << 20  # looked at together; the memory that is needed is some ten times this
KEY_BYTES = 256  # before a list, in which its key must end
LIST_DEPTH = 2  # of the elements of a list that is a value of the outermost object
Span = tuple[int, int]

_QUOTE, _OPEN, _CLOSE, _COMMA = 1, 2, 3, 4
_KINDS = np.zeros(256, np.uint8)
for _letters, _kind in ((b'"', _QUOTE), (b"[{", _OPEN), (b"]}", _CLOSE), (b",", _COMMA)):
    _KINDS[list(_letters)] = _kind
_STEPS = np.array([0, 0, 1, -1, 0], np.int64)  # of the depth, by kind
_ESCAPES = re.compile(rb"\\.", re.DOTALL)
_KEY = re.compile(rb'"(\w+)"\s*:\s*\Z')
_NOT_JSON_NUMBERS = re.compile(rb"(?<=[\[,:\s])(-?Infinity|NaN)(?=[\],}\s])")
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """Where the elements of some lists of a file are.

    Attributes:
        spans: By key, first byte and end of pieces that hold some elements each, with commas between.
        rest: The file with these lists empty.
    """

    spans: dict[str, list[Span]]
    rest: bytes


@dataclass(kw_only=True)
class _Walk:
    """What is known at the end of a block."""

    keys: frozenset[str]
    spans: dict[str, list[Span]] = field(default_factory=dict)
    rest: bytearray = field(default_factory=bytearray)
    depth: int = 0
    in_string: bool = False
    key: str | None = None  # of the list in which the block ends
    piece: int = 0  # where its next piece begins


def without_nan(content: bytes) -> bytes:
    """Return JSON as Python writes it with null in place of NaN and Infinity, which JSON does not know."""
    return _NOT_JSON_NUMBERS.sub(b"null", content)


def found_pieces(path: Path, keys: Sequence[str]) -> Pieces | None:
    """Return the pieces of the lists under ``keys`` of the outermost object, all of them valid JSON.

    Returns:
        None where the file is not of this form, or not valid: then decode it as a whole, which says why.
    """
    walk = _Walk(keys=frozenset(keys))
    with path.open("rb") as file:
        place = 0
        while block := _block(file):
            if not _look_through(walk, block, place):
                return None
            place += len(block)
        if walk.depth or walk.in_string:
            return None
        try:
            for spans in walk.spans.values():
                for span in spans:
                    if not _elements(file, span):
                        return None  # two commas without an element between
        except msgspec.DecodeError:
            return None
    return Pieces(spans=walk.spans, rest=bytes(walk.rest))


def decoded_pieces(path: Path, spans: Sequence[Span]) -> Iterator[list[msgspec.Raw]]:
    """Yield the elements of one piece after the other."""
    with path.open("rb") as file:
        for span in spans:
            yield _elements(file, span)


def _elements(file: BinaryIO, span: Span) -> list[msgspec.Raw]:
    file.seek(span[0])
    content = b"[" + file.read(span[1] - span[0]) + b"]"
    try:
        return _ELEMENTS.decode(content)
    except msgspec.DecodeError:
        return _ELEMENTS.decode(without_nan(content))


def _block(file: BinaryIO) -> bytes:
    """Return the next block; it never ends between a backslash and what it escapes."""
    block = file.read(BLOCK_BYTES)
    while (len(block) - len(block.rstrip(b"\\"))) % 2:
        more = file.read(1)
        if not more:
            break
        block += more
    return block


def _look_through(walk: _Walk, block: bytes, place: int) -> bool:
    """Take one block into account; return False where a file is not of the form expected."""
    plain = _ESCAPES.sub(b"__", block) if b"\\" in block else block
    kinds = _KINDS[np.frombuffer(plain, np.uint8)]
    places = np.flatnonzero(kinds)
    kinds = kinds[places]
    quotes = kinds == _QUOTE
    in_string = (np.cumsum(quotes) + walk.in_string) & 1 > 0
    outside = ~quotes & ~in_string
    if len(in_string):
        walk.in_string = bool(in_string[-1])
    places, kinds = places[outside], kinds[outside]
    depths = walk.depth + np.cumsum(_STEPS[kinds])
    opens = (kinds == _OPEN) & (depths == LIST_DEPTH)
    edges = np.flatnonzero(opens | ((kinds == _CLOSE) & (depths == LIST_DEPTH - 1)))
    done = 0  # what lies before is in the rest, or in a list
    for edge in edges.tolist():
        at = int(places[edge])
        if opens[edge]:
            key = _key(walk, block, done, at)
            if key is None:
                continue
            if key in walk.spans:
                return False  # the same key twice
            walk.rest += block[done : at + 1]
            walk.spans[key] = []
            walk.key, walk.piece = key, place + at + 1
        elif walk.key is not None:
            _end_list(walk, block, place, at)
            done = at
    if walk.key is None:
        walk.rest += block[done:]
    else:
        commas = places[(kinds == _COMMA) & (depths == LIST_DEPTH)]
        if len(commas) and place + int(commas[-1]) > walk.piece:
            cut = place + int(commas[-1])
            walk.spans[walk.key].append((walk.piece, cut))
            walk.piece = cut + 1
    if len(depths):
        walk.depth = int(depths[-1])
    return True


def _key(walk: _Walk, block: bytes, done: int, at: int) -> str | None:
    """Return the key of the list that opens at a place of the block, if it is one of those wanted."""
    if block[at : at + 1] != b"[":
        return None
    before = bytes(walk.rest[-KEY_BYTES:]) + block[done:at]
    found = _KEY.search(before[-KEY_BYTES:])
    key = None if found is None else found[1].decode("ascii", "replace")
    return key if key in walk.keys else None


def _end_list(walk: _Walk, block: bytes, place: int, at: int) -> None:
    spans = walk.spans[walk.key or ""]
    first = max(walk.piece - place, 0)
    blank = walk.piece >= place and not block[first:at].strip()
    if spans or not blank:
        spans.append((walk.piece, place + at))
    walk.key = None
