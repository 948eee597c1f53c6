"""The verb enhance: images with their light, colours, noise or size changed, in a folder of their own."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from snellen.data.editing import editable_image
from snellen.doctor import chosen_language
from snellen.errors import ConfigError, InputError
from snellen.imaging import OPERATIONS, Enhancement, array_of
from snellen.recipes.enhance_work import (
    LOG,
    EnhancedImage,
    EnhanceLog,
    planned_work,
    refuse_overwriting,
    worked,
)
from snellen.recipes.progress import counted, say, skip_line
from snellen.report.light_sheet import LightCard, light_sheet

__all__ = ["EnhanceSummary", "EnhancedImage", "enhance", "operation_list"]

FOLDER = Path("enhanced")
_SHEET_CARDS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class EnhanceSummary:
    """What an enhancement left behind.

    Attributes:
        folder: With the new images, and ``enhanced.log``, a line of JSON for each.
        images: In the order of the sources, those that were there from before included.
        skipped: Files that could not be read, with the reason.
        sheet: Images before and after; None if none was asked for.
    """

    folder: Path
    images: tuple[EnhancedImage, ...]
    skipped: Mapping[str, str]
    sheet: Path | None


def enhance(
    sources: Sequence[Path | str] | Path | str,
    *,
    operations: str | Sequence[str] | Enhancement | None = None,
    auto: bool = False,
    folder: Path | str | None = None,
    sheet: Path | str | bool = False,
    workers: int | None = None,
    language: str | None = None,
    console: Console | None = None,
) -> EnhanceSummary:
    """Write images anew with operations applied; originals are never touched.

    Names, formats and the folders beneath a source stay as they are, so that annotations still fit. Files are upright,
    and keep their EXIF data and colour profile; grey of 16 bits keeps 16 bits. What was written before with the same
    operations is not done again.

    Args:
        sources: Images, folders, patterns.
        operations: Such as ``clahe:clip_limit=3,grey_world``; see `snellen.imaging.OPERATIONS`.
        auto: Do to each image what the doctor advises for its light, and copy healthy ones; instead of operations.
        folder: Where to write; ``enhanced`` if None.
        sheet: A file for images before and after; True for one beside the folder, such as ``enhanced-sheet.png``.
        workers: Processes; as many as cores if None, 0 for none.
        language: Of reasons, ``en`` or ``zh``; that of the system if None.
        console: Where to say what happens.

    Raises:
        ConfigError: If an operation is unknown, or the folder holds originals or files that are not of this function.
        InputError: If a source matches nothing, or no file could be read.
    """
    if auto == (operations is not None):
        raise ConfigError("enhance needs operations such as 'clahe', or auto; got both or none. Give one of them.")
    plan = None if operations is None else Enhancement.read(operations)
    place = FOLDER if folder is None else Path(folder)
    given = [sources] if isinstance(sources, (str, Path)) else sources
    work = planned_work(given, place, plan, chosen_language(language))
    log = EnhanceLog(place)
    refuse_overwriting(work, log)
    picture = _sheet_place(place, [each.target for each in work], sheet=sheet)
    place.mkdir(parents=True, exist_ok=True)
    open_ = [each for each in work if log.find(each) is None]
    skipped: dict[str, str] = {}
    for each, entry, reason in counted(worked(open_, workers), total=len(open_), what="enhancing", console=console):
        if entry is None:
            skipped[str(each.source)] = reason
        else:
            log.add(each, entry)
    images = tuple(entry for each in work if (entry := log.find(each)) is not None)
    if not images:
        reasons = "\n".join(f"  {reason}" for reason in list(skipped.values())[:3])
        raise InputError(f"expected at least one readable image; none of {len(work)} files could be read:\n{reasons}")
    if picture is not None:
        _write_sheet(picture, images)
    summary = EnhanceSummary(folder=place, images=images, skipped=skipped, sheet=picture)
    _tell(console, summary, num_before=len(work) - len(open_))
    return summary


def operation_list() -> Table:
    """Return all operations by what they are for, with their options."""
    table = Table(Column("for", no_wrap=True), Column("operation", no_wrap=True), "what it does", "options", box=None)
    kinds = list(dict.fromkeys(row.kind for row in OPERATIONS.values()))
    for kind in kinds:
        for number, (name, row) in enumerate((n, r) for n, r in OPERATIONS.items() if r.kind == kind):
            options = ":".join(f"{key}={'' if value is None else value}" for key, value in row.options.items())
            table.add_row(Text("" if number else kind, style="dim"), name, Text(row.helps), Text(options, style="dim"))
    return table


def _sheet_place(folder: Path, targets: Sequence[Path], *, sheet: Path | str | bool) -> Path | None:
    """Return where the sheet goes; None for none."""
    if sheet is False:
        return None
    file = folder.with_name(f"{folder.name}-sheet.png") if sheet is True else Path(sheet)
    if file.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise ConfigError(f"a sheet is a .png, .jpg or .webp file; got {str(file)!r}.")
    if file.resolve() in {target.resolve() for target in targets}:
        raise ConfigError(f"the sheet {file} would be written over an image of that name. Say another file.")
    return file


def _write_sheet(file: Path, images: Sequence[EnhancedImage]) -> None:
    """Draw images that were changed, evenly from all of them, before and after."""
    changed = [image for image in images if image.operations] or list(images)
    chosen = np.linspace(0, len(changed) - 1, min(_SHEET_CARDS, len(changed))).round().astype(int)
    cards = [_light_card(changed[place]) for place in dict.fromkeys(chosen.tolist())]
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.stem}.partial{file.suffix}")
    light_sheet(cards).save(partial)
    partial.replace(file)


def _light_card(image: EnhancedImage) -> LightCard:
    told = ", ".join(image.operations) or "as it is"
    return LightCard(
        caption=Path(image.source).name,
        told=f"{told} · {'; '.join(image.reasons)}" if image.reasons else told,
        before=_bytes(Path(image.source)),
        after=_bytes(Path(image.file)),
    )


def _bytes(file: Path) -> NDArray[np.uint8]:
    pixels = array_of(editable_image(file).pixels)
    return pixels if pixels.dtype == np.uint8 else np.rint(pixels).astype(np.uint8)


def _tell(console: Console | None, summary: EnhanceSummary, *, num_before: int) -> None:
    counts = Counter(", ".join(image.operations) or "healthy, copied" for image in summary.images)
    for operations, count in counts.most_common():
        say(console, f"{count:>6,}  {operations}")
    for note, count in Counter(note for image in summary.images for note in image.notes).items():
        say(console, f"{count:>6,}  read with a conversion: {note}", style="dim")
    if num_before:
        say(console, f"{num_before:,} of these were there from before")
    for path, reason in summary.skipped.items():
        say(console, skip_line(path, reason), style="yellow")
    say(console, f"{len(summary.images):,} images in {summary.folder}; what was done to each: {summary.folder / LOG}")
    if summary.sheet is not None:
        say(console, f"before and after: {summary.sheet}")
