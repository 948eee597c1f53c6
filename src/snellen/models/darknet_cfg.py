"""Darknet's ``.cfg``: the layers of a network, one section each. Their numbers are in ``darknet_files.py``."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from snellen.errors import CheckpointError, did_you_mean

__all__ = ["WEIGHTED_SECTIONS", "CfgSection", "read_darknet_cfg"]

WEIGHTED_SECTIONS = ("convolutional", "connected", "local")  # those whose numbers stand in the weights, of what we read

_PLAIN_SECTIONS = (
    "net",
    "maxpool",
    "avgpool",
    "route",
    "reorg",
    "shortcut",
    "upsample",
    "region",
    "yolo",
    "detection",
    "dropout",
    "softmax",
    "crop",
    "cost",
    "lrn",
    "activation",
)
_SHORT_NAMES = {  # string_to_layer_type in darknet's parser.c
    "network": "net",
    "conv": "convolutional",
    "conn": "connected",
    "max": "maxpool",
    "avg": "avgpool",
    "soft": "softmax",
    "normalization": "lrn",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CfgSection:
    """One section of a ``.cfg``.

    Attributes:
        kind: Its name in full, such as ``"convolutional"``.
        file: Where it stands.
        line: Of its name, counted from 1.
        options: What it sets, as text without blanks; of a key that is set twice the first counts.
        lines: Where each of them is set.
    """

    kind: str
    file: Path
    line: int
    options: Mapping[str, str]
    lines: Mapping[str, int]

    def number(self, key: str, default: int) -> int:
        """Return a whole number, or ``default`` where the key is not set.

        Raises:
            CheckpointError: If it is not a whole number.
        """
        text = self.options.get(key)
        if text is None:
            return default
        try:
            return int(text)
        except ValueError as error:
            raise CheckpointError(
                f"{self.place(key)}: expected a whole number for {key!r} in [{self.kind}]; got {text!r}. "
                "Correct the line."
            ) from error

    def place(self, key: str = "") -> str:
        """Return the file with the line of a key, or of the section."""
        return f"{self.file}:{self.lines.get(key, self.line)}"


def read_darknet_cfg(file: Path | str) -> tuple[CfgSection, ...]:
    """Read the sections of a ``.cfg`` in order.

    Blanks do not count, also inside a value; a line that starts with ``#`` or ``;`` is a comment; sections of
    the same name are layers of the same kind.

    Raises:
        CheckpointError: If the file is absent, a line is neither a section, an option nor a comment, a section
            is unknown, or the first one is not ``[net]``.

    Source:
        ``read_cfg`` and ``option_find`` of https://github.com/pjreddie/darknet (src/parser.c, option_list.c).
    """
    path = Path(file)
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise CheckpointError(
            f"{path}: expected a .cfg of darknet; it cannot be read ({error.strerror}). Check the path."
        ) from error
    sections: list[CfgSection] = []
    options: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = "".join(raw.split())
        if not line or line[0] in "#;":
            continue
        if line[0] == "[":
            options, lines = {}, {}
            kind = _kind(path, number, line)
            sections.append(CfgSection(kind=kind, file=path, line=number, options=options, lines=lines))
            continue
        key, equals, value = line.partition("=")
        if not equals or not key or not sections:
            raise CheckpointError(
                f"{path}:{number}: expected [section] or key=value{'' if sections else ' after a [net]'}; "
                f"got {raw.strip()!r}. Correct the line."
            )
        if key not in options:
            options[key], lines[key] = value, number
    _check_start(path, sections)
    return tuple(sections)


def _kind(path: Path, number: int, line: str) -> str:
    if not line.endswith("]"):
        raise CheckpointError(f"{path}:{number}: expected [section]; got {line!r}. Close the bracket.")
    name = line[1:-1]
    kind = _SHORT_NAMES.get(name, name)
    known = (*WEIGHTED_SECTIONS, *_PLAIN_SECTIONS)
    if kind not in known:
        raise CheckpointError(
            f"{path}:{number}: expected a section that is understood here; got [{name}]."
            f"{did_you_mean(name, known)} The weights of other layers cannot be placed: take a network without it."
        )
    return kind


def _check_start(path: Path, sections: list[CfgSection]) -> None:
    if not sections or sections[0].kind != "net":
        place, got = (f"{path}", "nothing") if not sections else (sections[0].place(), f"[{sections[0].kind}]")
        raise CheckpointError(f"{place}: expected [net] as the first section; got {got}. Is it a .cfg of darknet?")
