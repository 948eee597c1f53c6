"""Proposals from outside: where a run gets them from."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from snellen.data import DatasetIndex, FileProposals, ProposalStore, RegionSource
from snellen.errors import ConfigError, did_you_mean
from snellen.imaging import SEARCH_STRATEGIES, selective_search
from snellen.recipes.progress import counting, num_cores, say

__all__ = ["check_proposals", "prepare_proposals", "region_source", "tell_faults"]


def check_proposals(given: str) -> str:
    """Return a strategy as it is, or the path of a file of proposals made absolute.

    Raises:
        ConfigError: If it is neither.
    """
    if given in SEARCH_STRATEGIES:
        return given
    if not Path(given).is_file():
        raise ConfigError(
            f"proposals must be {', '.join(SEARCH_STRATEGIES)} or a file of proposals; got {given!r}, which is neither."
            f"{did_you_mean(given, SEARCH_STRATEGIES)}"
        )
    return str(Path(given).resolve())


def region_source(record: Mapping[str, Any], root: Path) -> RegionSource | None:
    """Return where the proposals of a run on the data in ``root`` come from; None for models that make their own."""
    given = record["proposals"]
    if given is None:
        return None
    if given in SEARCH_STRATEGIES:
        return ProposalStore(partial(selective_search, strategy=given), key=f"selective-search-{given}-v1")
    return FileProposals(Path(given), root=root if root.is_dir() else root.parent)


def prepare_proposals(index: DatasetIndex, record: Mapping[str, Any], console: Console | None) -> None:
    """Search all images of a data set before training, on every core; what was searched before is kept.

    Proposals from a file are looked through instead, and what is mended in them is told.
    """
    source = region_source(record, index.root)
    if isinstance(source, FileProposals):
        tell_faults(source, index, console)
    if not isinstance(source, ProposalStore):
        return
    paths = [index.path(row) for row in range(len(index))]
    with counting(total=len(paths), what="searching for regions", console=console) as advance:
        skipped = source.prepare(paths, workers=num_cores(), on_progress=advance)
    for path, reason in skipped.items():
        say(console, f"no proposals for {path}: {reason}", style="yellow")


def tell_faults(source: RegionSource | None, index: DatasetIndex, console: Console | None) -> None:
    """Say how many proposals of a file reach out of the images of a data set or are no boxes; nothing if all fit."""
    if not isinstance(source, FileProposals):
        return
    sizes = ((index.path(row), index.size(row)) for row in range(len(index)))
    found = source.faults((path, size) for path, size in sizes if size is not None)
    if found["clipped"] or found["dropped"]:
        text = (
            f"{source.file}: of {found['all']:,} proposals {found['clipped']:,} reach out of their image and are "
            f"clipped, {found['dropped']:,} are no boxes or lie outside and are dropped"
        )
        say(console, text, style="yellow")
