"""Options that say how a trained model looks at images: the same for every command that uses one."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from snellen.cli.choices import assignments, number_list

__all__ = ["Crf", "CrfSet", "Flip", "Scales", "Tile", "wanted_crf", "wanted_scales"]

Tile = Annotated[int | None, typer.Option(help="Cut larger images into tiles of this side, in pixels.")]
Scales = Annotated[
    str | None, typer.Option(help="Factors of the usual size, with commas between, whose answers are averaged.")
]
Flip = Annotated[bool, typer.Option("--flip", help="See mirrored images, too, and average the answers.")]
Crf = Annotated[
    bool, typer.Option("--crf", help="Refine masks by a dense CRF: as chosen by --tune-crf, or its defaults.")
]
CrfSet = Annotated[
    list[str] | None,
    typer.Option("--crf-set", help="NAME=VALUE of the dense CRF, such as appearance_px=40; may be repeated."),
]


def wanted_scales(scales: str | None) -> tuple[float, ...]:
    """Return the factors that were typed, 1 for none."""
    return number_list(scales, "--scales") or (1.0,)


def wanted_crf(settings: Sequence[str] | None, *, crf: bool) -> bool | Mapping[str, Any] | None:
    """Return what was typed of a dense CRF; None for nothing. Settings imply that one is wanted."""
    told = assignments(settings, "--crf-set")
    return told or crf or None
