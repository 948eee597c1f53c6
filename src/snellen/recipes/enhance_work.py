"""Images to be enhanced, one by one: what goes where, what was done before, and the doing."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from joblib import Parallel, delayed

from snellen.data import is_image_name
from snellen.data.editing import can_hold, editable_image, write_edited
from snellen.doctor import Language
from snellen.doctor.evidence.picture import measured
from snellen.doctor.light import light_advice
from snellen.errors import ConfigError, DatasetError, InputError
from snellen.imaging import Enhancement
from snellen.recipes.predicting import image_files
from snellen.recipes.progress import num_cores

__all__ = ["LOG", "EnhanceLog", "EnhancedImage", "ImageWork", "planned_work", "refuse_overwriting", "worked"]

# In the folder that is written: what was done to each image, in lines of JSON. The name is not that of a table, for the
# folder is read as a data set.
LOG = "enhanced.log"
_WORTH_PROCESSES = 16  # images; starting processes takes seconds
_AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnhancedImage:
    """What was done to one image.

    Attributes:
        source: As it was found.
        file: That was written.
        operations: As they are typed; empty where a healthy image was copied as it is.
        reasons: Of each operation that the doctor advised, and what it can tell of faults that nothing mends.
        notes: Conversions that may surprise, such as ``alpha`` or ``16-bit-colour``.
    """

    source: str
    file: str
    operations: tuple[str, ...]
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageWork:
    """One image to be changed.

    Attributes:
        source: Where it is.
        target: Where it goes.
        plan: What is done; None for what the doctor advises.
        language: Of reasons.
    """

    source: Path
    target: Path
    plan: Enhancement | None
    language: Language

    @property
    def plan_text(self) -> str:
        """What is done, as it is typed."""
        return _AUTO if self.plan is None else str(self.plan)

    @property
    def key(self) -> str:
        """What tells whether it was done before: the file as it is now, and the plan."""
        try:
            state = self.source.stat()
        except OSError:  # it is told when it is its turn
            return f"{self.source.resolve()}|{self.plan_text}"
        return f"{self.source.resolve()}|{state.st_size}|{state.st_mtime_ns}|{self.plan_text}"


def planned_work(
    sources: Sequence[Path | str], folder: Path, plan: Enhancement | None, language: Language
) -> list[ImageWork]:
    """Return the images that sources name, each with the place that it goes to.

    Args:
        sources: Images, folders and patterns; what lies in a folder keeps its place beneath it.
        folder: To write to; what is in it is no source of its own.
        plan: As of `ImageWork`.
        language: As of `ImageWork`.

    Raises:
        InputError: If a source matches nothing.
        ConfigError: If two images would go to one place.
    """
    work: dict[Path, ImageWork] = {}
    taken: dict[Path, Path] = {}
    inside = folder.resolve()
    for source in sources:
        root = Path(source) if Path(source).is_dir() else None
        for file in image_files([source]):
            is_own = root is not None and inside in file.resolve().parents and inside != root.resolve()
            if file in work or is_own or not is_image_name(file.name):
                continue
            target = folder / (file.relative_to(root) if root is not None else file.name)
            target = target if can_hold(target) else target.with_suffix(".png")
            if target in taken:
                raise ConfigError(
                    f"{file} and {taken[target]} would both become {target}. Enhance them into folders of their own."
                )
            taken[target] = file
            work[file] = ImageWork(source=file, target=target, plan=plan, language=language)
    if not work:
        raise InputError(f"expected images; {', '.join(map(str, sources))} gives none beside those in {folder}.")
    return list(work.values())


class EnhanceLog:
    """What was written into a folder, by this call and by earlier ones; a line for each image.

    Args:
        folder: That is written.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / LOG
        self.entries: dict[str, EnhancedImage] = {}
        self.written: dict[Path, str] = {}
        text = self.file.read_text(encoding="utf-8") if self.file.is_file() else ""
        self.is_cut = bool(text) and not text.endswith("\n")  # a killed call left half a line
        for line in text.splitlines():
            try:
                told = json.loads(line)
                lists = {name: tuple(told[name]) for name in ("operations", "reasons", "notes")}
                entry = EnhancedImage(source=told["source"], file=told["file"], **lists)
                self._keep(told["key"], entry)
            except (ValueError, KeyError, TypeError):
                continue

    def find(self, work: ImageWork) -> EnhancedImage | None:
        """Return what was done to an image before, if the file is still there and nothing has changed."""
        entry = self.entries.get(work.key)
        return entry if entry is not None and Path(entry.file).is_file() else None

    def add(self, work: ImageWork, entry: EnhancedImage) -> None:
        """Write a line, so that a killed call loses none."""
        self._keep(work.key, entry)
        with self.file.open("a", encoding="utf-8") as file:
            file.write("\n" if self.is_cut else "")
            self.is_cut = False
            file.write(json.dumps({**asdict(entry), "key": work.key}, ensure_ascii=False) + "\n")

    def _keep(self, key: str, entry: EnhancedImage) -> None:
        place = Path(entry.file).resolve()
        self.entries.pop(self.written.get(place, ""), None)  # what was there before is written over
        self.entries[key] = entry
        self.written[place] = key


def refuse_overwriting(work: Sequence[ImageWork], log: EnhanceLog) -> None:
    """Raise ConfigError if an original, or a file that is not of an earlier call, would be written over."""
    originals = {each.source.resolve() for each in work}
    for each in work:
        place = each.target.resolve()
        if place in originals:
            raise ConfigError(
                f"{each.source} would be written over by its enhancement. Say another folder (--out), for originals "
                "are never touched."
            )
        if each.target.exists() and place not in log.written:
            raise ConfigError(f"{each.target} is there, and was not written by enhance. Say another folder (--out).")


def worked(work: Sequence[ImageWork], workers: int | None) -> Iterator[tuple[ImageWork, EnhancedImage | None, str]]:
    """Change images and yield each as it is done; without an entry it could not be read, for the reason beside.

    Args:
        work: The images.
        workers: Processes; as many as cores if None, 0 for none.
    """
    wanted = num_cores() if workers is None else workers
    if wanted < 2 or len(work) < _WORTH_PROCESSES:
        yield from map(_enhanced, work)
        return
    # joblib's processes neither fork one that has threads nor run the user's script again, as spawned ones would.
    results: Iterator[tuple[ImageWork, EnhancedImage | None, str]] = Parallel(wanted, return_as="generator_unordered")(
        delayed(_enhanced)(each) for each in work
    )
    yield from results


def _enhanced(work: ImageWork) -> tuple[ImageWork, EnhancedImage | None, str]:
    try:
        image = editable_image(work.source)
        plan, reasons = _advised(work) if work.plan is None else (work.plan, ())
    except DatasetError as error:
        return work, None, str(error)
    target = work.target
    if not can_hold(target, is_deep=image.is_deep):
        target = target.with_name(f"{target.name}.png")
    if plan is None and target.suffix.lower() == work.source.suffix.lower():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(work.source.read_bytes())
    else:
        write_edited(target, image.pixels if plan is None else plan(image.pixels), image)
    entry = EnhancedImage(
        source=str(work.source),
        file=str(target),
        operations=() if plan is None else tuple(plan.texts()),
        reasons=reasons,
        notes=image.notes,
    )
    return work, entry, ""


def _advised(work: ImageWork) -> tuple[Enhancement | None, tuple[str, ...]]:
    """Return what the doctor advises for an image, and why; None for one that is healthy or beyond help."""
    records, errors = measured([work.source.read_bytes()])
    if errors[0]:
        raise DatasetError(errors[0], file=work.source)
    advice = light_advice(records[0])
    names = [each.operation for each in advice if each.operation]
    told: Mapping[str, None] = dict.fromkeys(f"{each.check}: {each.reason(work.language)}" for each in advice)
    return (Enhancement.read(names) if names else None), tuple(told)
