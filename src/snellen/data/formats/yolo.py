"""YOLO text: ``class cx cy w h``, or ``class x1 y1 x2 y2 x3 y3 …`` for outlines, as shares of the image.

Layouts: a ``data.yaml`` (``path``, ``train``, ``val``, ``test``, ``names``); folders ``images`` and
    ``labels`` with ``classes.txt``
or ``obj.names``; Darknet's ``obj.data``. An empty label file says: nothing on this image. A missing one too,
as trainers of that format hold it, but that is reported.

Source: https://docs.ultralytics.com/datasets/detect/
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from snellen.data.formats.files import (
    image_files,
    read_lines,
    relative,
    split_codes,
    split_name,
    subfolders,
    true_sizes,
)
from snellen.data.formats.options import ReadOptions
from snellen.data.formats.rows import BoxRows, Place
from snellen.data.index import DatasetIndex
from snellen.data.problems import ProblemLog
from snellen.data.sharing import Strings
from snellen.errors import DatasetError

__all__ = ["is_yolo", "read_yolo"]

NAME_FILES = ("classes.txt", "obj.names", "labels.txt", "predefined_classes.txt")
SHARE_TOLERANCE = 1.05  # shares a little above 1 are rounding or a box beyond the edge; more are pixels
LABEL_LIMIT = 2**31  # labels are kept as 32-bit numbers
_SPLIT_KEYS = ("train", "val", "valid", "test")


@dataclass(frozen=True)
class _Plan:
    root: Path
    classes: tuple[str, ...] | None
    images: list[tuple[Path, str]]


def is_yolo(path: Path) -> bool:
    """Return whether it is a data.yaml, or a folder with one, with label texts, or with Darknet's files."""
    if path.is_file():
        return path.suffix.lower() in (".yaml", ".yml") and "names" in _top_level_keys(path)
    if _settings_file(path) is not None:
        return True
    return any(next(folder.glob("**/*.txt"), None) for folder in _label_folders(path))


def read_yolo(path: Path, options: ReadOptions) -> DatasetIndex:
    """Return the index of a YOLO data set.

    Raises:
        DatasetError: If the YAML is broken, or no image can be read.
    """
    log = ProblemLog()
    plan = _plan(path, options, log)
    if not plan.images:
        first = next(iter(log.result()), "")
        message = f"images were expected where the data set says they are; none was found. {first} Check its paths."
        raise DatasetError(message, file=path)
    unique = dict(reversed(plan.images))  # the first mention of an image decides its split
    if len(unique) < len(plan.images):
        count = len(plan.images) - len(unique)
        log.add("image-duplicate", "listed more than once; the first is kept.", file=path, count=count)
    files = sorted(unique)
    sizes, readable = true_sizes(files, log)
    files = [file for file, good in zip(files, readable, strict=True) if good]
    if not files:
        raise DatasetError(f"images were expected, but none can be read. {next(iter(log.result()))}", file=path)
    sizes = sizes[readable]
    rows = BoxRows()
    elsewhere = _label_stems(plan.root) if options.images else {}
    labels = [_label_file(file) or elsewhere.get(file.stem) for file in files]
    most = 0
    for row, (file, label_file) in enumerate(zip(files, labels, strict=True)):
        if label_file is None:
            message = "the image has no label file; taken as one without objects."
            log.add(
                "label-missing",
                message,
                file=file,
                fix="add an empty text file if nothing is to be seen on it",
            )
            continue
        reader = _LabelReader(label_file, (int(sizes[row, 0]), int(sizes[row, 1])), plan.classes, log)
        most = max(most, reader.read(row, rows))
    _report_orphans(labels, log)
    splits, split_names = split_codes([unique[file] for file in files])
    return DatasetIndex(
        root=plan.root,
        format="yolo",
        classes=plan.classes or tuple(f"class_{number}" for number in range(most)),
        paths=Strings.pack([relative(file, plan.root) for file in files]),
        annotations=rows.table(sizes, lambda row, line: Place(str(labels[row]), line or None), log),
        sizes=sizes,
        splits=splits,
        split_names=split_names,
        problems=log.result(),
    )


def _plan(path: Path, options: ReadOptions, log: ProblemLog) -> _Plan:
    settings = path if path.is_file() else _settings_file(path)
    root = path if path.is_dir() else path.parent
    if settings is not None and settings.suffix.lower() in (".yaml", ".yml"):
        return _plan_from_yaml(settings, options, log)
    if settings is not None:
        return _plan_from_darknet(settings, options, log)
    names = next((root / name for name in NAME_FILES if (root / name).is_file()), None)
    names = names or next(
        (folder / "classes.txt" for folder in _label_folders(root) if (folder / "classes.txt").is_file()),
        None,
    )
    classes = options.classes or (_names_from(names) if names else None)
    if classes is None:
        message = "no file names the classes; they are called class_0, class_1, …"
        log.add("classes-unnamed", message, file=root, severity="note", fix="write classes.txt, one name per line")
    home = options.images or (root / "images" if (root / "images").is_dir() else root)
    return _Plan(root, classes, [(file, _split_in_path(file, root)) for file in image_files(home)])


def _split_in_path(file: Path, root: Path) -> str:
    parts = Path(relative(file, root)).parts[:-1]
    return next((name for name in map(split_name, parts) if name), "")


def _settings_file(folder: Path) -> Path | None:
    candidates = [
        folder / "data.yaml",
        folder / "dataset.yaml",
        *sorted(folder.glob("*.yaml")),
        *sorted(folder.glob("*.yml")),
    ]
    for file in candidates:
        if file.is_file() and "names" in _top_level_keys(file):
            return file
    darknet = folder / "obj.data"
    return darknet if darknet.is_file() else None


def _top_level_keys(file: Path) -> frozenset[str]:
    """Keys by their look, since a broken file must be recognised too so that its fault can be told."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    return frozenset(line.split(":")[0].strip() for line in lines if ":" in line and line[:1] not in (" ", "#", "-"))


def _label_folders(root: Path) -> list[Path]:
    homes = [root, *(folder for folder in subfolders(root) if split_name(folder.name))]
    return [home / "labels" for home in homes if (home / "labels").is_dir()]


def _plan_from_yaml(file: Path, options: ReadOptions, log: ProblemLog) -> _Plan:
    settings = _settings(file)
    classes = options.classes or _names_in(settings.get("names"), file)
    number = settings.get("nc")
    if isinstance(number, int) and number != len(classes):
        log.add("class-count", f"nc says {number} classes, names has {len(classes)}; names decide.", file=file)
    stated = Path(str(settings.get("path") or ""))
    bases = [file.parent / stated, file.parent, file.parent / "images"]
    images = []
    for key in _SPLIT_KEYS:
        places = settings.get(key) or []
        for place in places if isinstance(places, list) else [places]:
            found = _images_at(str(place), bases)
            if found is None:
                message = f"{key}: {place} was expected beneath {bases[0]}; it is not there; left out."
                log.add("split-missing", message, file=file, severity="error", fix="correct path and the splits")
            images += [(image, split_name(key) or key) for image in found or ()]
    return _Plan(file.parent, classes, images)


def _settings(file: Path) -> Mapping[str, Any]:
    try:
        settings = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        message = f"the file is not valid YAML ({getattr(error, 'problem', error)}). Correct it."
        raise DatasetError(message, file=file, line=None if mark is None else mark.line + 1) from error
    if not isinstance(settings, dict):
        raise DatasetError("keys such as train, val and names were expected. Write them.", file=file)
    return settings


def _names_in(names: Any, file: Path) -> tuple[str, ...]:
    if isinstance(names, dict) and names and all(str(key).isdigit() for key in names):
        ordered = {int(key): str(name) for key, name in names.items()}
        return tuple(ordered.get(number, f"class_{number}") for number in range(max(ordered) + 1))
    if isinstance(names, list) and names:
        return tuple(str(name) for name in names)
    message = f"names must be a list of class names, or numbers with names; got {names!r}. Write names: [cat, dog]."
    raise DatasetError(message, file=file)


def _names_from(file: Path) -> tuple[str, ...]:
    return tuple(line for line in read_lines(file) if line)


def _plan_from_darknet(file: Path, options: ReadOptions, log: ProblemLog) -> _Plan:
    pairs = dict(line.split("=", 1) for line in read_lines(file) if "=" in line)
    settings = {key.strip(): value.strip() for key, value in pairs.items()}
    folder = file.parent
    names = _beside(settings.get("names", "obj.names"), folder)
    images = []
    for key in ("train", "valid", "test"):
        listing = _beside(settings[key], folder) if key in settings else None
        found = _listed_images(listing, [folder, *([options.images] if options.images else [])]) if listing else []
        if key in settings and not found:
            log.add("split-missing", f"{key} = {settings[key]}: no image was found.", file=file, severity="error")
        images += [(image, split_name(key) or key) for image in found]
    return _Plan(folder, options.classes or (_names_from(names) if names else None), images)


def _beside(stated: str, folder: Path) -> Path | None:
    """Return a file whose stated path starts somewhere above the folder, as Darknet writes them."""
    parts = Path(stated).parts
    places = (folder.joinpath(*parts[start:]) for start in range(len(parts)))
    return next((place for place in places if place.is_file()), None)


def _images_at(place: str, bases: Sequence[Path]) -> list[Path] | None:
    # exporters write ../train/images although the folder lies beside data.yaml
    tails = [place, place.removeprefix("../").removeprefix("./")]
    for candidate in (base / tail for tail in dict.fromkeys(tails) for base in bases):
        if candidate.is_dir():
            return image_files(candidate)
        if candidate.is_file() and candidate.suffix == ".txt":
            return _listed_images(candidate, [candidate.parent, *bases])
    return None


def _listed_images(listing: Path, bases: Sequence[Path]) -> list[Path]:
    found = []
    for line in read_lines(listing):
        parts = Path(line).parts
        places = (base.joinpath(*parts[start:]) for base in bases for start in range(len(parts)))
        image = next((place for place in places if place.is_file()), None)
        if image is not None:
            found.append(image)
    return found


def _label_file(image: Path) -> Path | None:
    """Return the label text of an image, beneath ``labels`` in place of ``images``, or beside the image."""
    parts = list(image.parts)
    beside = image.with_suffix(".txt")
    candidates = [beside]
    for position in range(len(parts) - 2, -1, -1):
        if parts[position] in ("images", "JPEGImages"):
            candidates.insert(0, Path(*parts[:position], "labels", *parts[position + 1 :]).with_suffix(".txt"))
            break
    return next((file for file in candidates if file.is_file()), None)


def _label_stems(root: Path) -> dict[str, Path]:
    """Return label texts by name, for images that lie in a folder of their own."""
    return {file.stem: file for file in sorted(root.rglob("*.txt"), reverse=True)}


def _report_orphans(labels: Sequence[Path | None], log: ProblemLog) -> None:
    used = {file for file in labels if file is not None}
    for folder in sorted({file.parent for file in used}):
        for file in sorted(folder.glob("*.txt")):
            if file not in used and file.name not in NAME_FILES:
                message = "the label file has no image that belongs to the data set; left out."
                log.add(
                    "image-missing",
                    message,
                    file=file,
                    severity="error",
                    fix="put the image there, or delete it",
                )


class _LabelReader:
    """Reads the lines of one label file."""

    def __init__(self, file: Path, size: tuple[int, int], classes: tuple[str, ...] | None, log: ProblemLog) -> None:
        self._file = file
        self._height, self._width = size
        self._classes = classes
        self._log = log

    def read(self, row: int, rows: BoxRows) -> int:
        """Add the objects of the file to ``rows``; return one more than the highest class number."""
        most = 0
        seen = set()
        try:
            lines = read_lines(self._file)
        except DatasetError as error:
            self._log.add("annotation-unreadable", f"left out: {error}", file=self._file, severity="error")
            return 0
        for number, line in enumerate(lines, 1):
            if not line:
                continue
            if line in seen:
                self._report("annotation-duplicate", "the same object stands above; the second is left out", number)
                continue
            seen.add(line)
            numbers = self._numbers(line, number)
            if not numbers:
                continue
            label = self._label(numbers, number)
            if label is None:
                self._leave_out(row, rows, numbers, "class-out-of-range")
            elif self._add(row, rows, label, numbers[1:], number):
                most = max(most, label + 1)
        return most

    def _numbers(self, line: str, number: int) -> list[float]:
        try:
            values = [float(word) for word in line.replace(",", " ").split()]
        except ValueError:
            self._report("annotation-unreadable", f"numbers were expected; got {line[:60]!r}; left out", number)
            return []
        if len(values) == 5 or (len(values) >= 7 and len(values) % 2 == 1):
            return values
        message = (
            f"a class with 4 numbers, or with 3 or more corners, was expected; got {len(values)} numbers; left out"
        )
        self._report("annotation-unreadable", message, number)
        return []

    def _label(self, numbers: list[float], number: int) -> int | None:
        label = numbers[0]
        known = math.inf if self._classes is None else len(self._classes)
        if math.isfinite(label) and label == int(label) and 0 <= label < known:
            return int(label)
        message = f"the class number must be a whole one within 0..{known - 1}; got {label:g}; left out"
        self._report("class-out-of-range", message, number)
        return None

    def _add(self, row: int, rows: BoxRows, label: int, numbers: list[float], number: int) -> bool:
        if all(map(math.isfinite, numbers)) and max(numbers) > SHARE_TOLERANCE * 2:
            message = (
                f"numbers must be shares of the image, 0..1; got {max(numbers):g}, which looks like pixels; left out"
            )
            self._report("coordinates-not-normalised", message, number)
            self._leave_out(row, rows, [label, *numbers], "coordinates-not-normalised")
            return False
        width, height = self._width, self._height
        if len(numbers) == 4:
            rows.add(row, self._corners(numbers), label, line=number)
            return True
        outline = [value * (width if place % 2 == 0 else height) for place, value in enumerate(numbers)]
        box = (min(outline[0::2]), min(outline[1::2]), max(outline[0::2]), max(outline[1::2]))
        rows.add(row, box, label, line=number, polygons=[outline])
        return True

    def _corners(self, numbers: Sequence[float]) -> tuple[float, float, float, float]:
        x, y, w, h = numbers
        width, height = self._width, self._height
        return ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)

    def _leave_out(self, row: int, rows: BoxRows, numbers: Sequence[float], code: str) -> None:
        label = numbers[0]
        if len(numbers) == 5 and math.isfinite(label) and abs(label) < LABEL_LIMIT:
            rows.leave_out(row, self._corners(numbers[1:]), int(label), code)

    def _report(self, code: str, message: str, line: int) -> None:
        self._log.add(
            code,
            f"{message}.",
            file=self._file,
            line=line,
            severity="error",
            fix="correct or delete the line",
        )
