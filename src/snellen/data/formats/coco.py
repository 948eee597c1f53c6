"""COCO JSON: boxes, polygons, run lengths, crowds; sparse category numbers are kept and mapped to labels.

Layouts: one ``.json`` file; ``annotations/instances_train2017.json`` with ``train2017/``;
    ``instances_X.json`` beside ``X/``
or ``images/``; Roboflow's ``train/_annotations.coco.json``. Several files make one index with a split per
file.

Source: https://cocodataset.org/#format-data
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from snellen.data.formats.files import FileFinder, relative, split_codes, split_name, subfolders, true_sizes
from snellen.data.formats.json_lists import decoded_pieces, found_pieces, without_nan
from snellen.data.formats.options import ReadOptions
from snellen.data.formats.rows import BoxRows, Place
from snellen.data.index import DatasetIndex
from snellen.data.problems import ProblemLog
from snellen.data.segments import compressed_runs
from snellen.data.sharing import Strings
from snellen.data.tables import CROWD, DIFFICULT
from snellen.errors import DatasetError

__all__ = ["is_coco", "read_coco"]

PEEK_BYTES = 1 << 20
_KEYS = (b'"images"', b'"annotations"')
Outline = tuple[Sequence[Sequence[float]], tuple[bytes, tuple[int, int]] | None]


class _File(msgspec.Struct):
    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw] = []
    categories: list[msgspec.Raw] = []


class _Image(msgspec.Struct, gc=False):
    id: int | str
    file_name: str
    width: int | None = 0
    height: int | None = 0


class _Category(msgspec.Struct, gc=False):
    id: int
    name: str


class _Runs(msgspec.Struct, gc=False):
    size: tuple[int, int]
    counts: str | list[int]


class _Annotation(msgspec.Struct, gc=False):
    image_id: int | str
    category_id: int
    id: int | str = 0
    bbox: tuple[float, float, float, float] | None = None
    area: float | None = None
    iscrowd: int | bool | None = 0
    ignore: int | bool | None = 0
    segmentation: msgspec.Raw = msgspec.Raw(b"null")


_IMAGE = msgspec.json.Decoder(_Image)
_CATEGORY = msgspec.json.Decoder(_Category)
_ANNOTATION = msgspec.json.Decoder(_Annotation)
_OUTLINE = msgspec.json.Decoder(list[list[float]] | _Runs | None)


def is_coco(path: Path) -> bool:
    """Return whether a file is COCO JSON or a folder holds some, by a look at its beginning and end."""
    return bool(_annotation_files(path))


def read_coco(path: Path, options: ReadOptions) -> DatasetIndex:
    """Return the index of a COCO file or of a folder with such files.

    Raises:
        DatasetError: If a file is no JSON, has no images, or no image can be found.
    """
    files = _annotation_files(path) or ([path] if path.is_file() else [])
    if not files:
        message = (
            "a JSON file with the keys images and annotations was expected; none is there. See the format's layouts."
        )
        raise DatasetError(message, file=path)
    root = path if path.is_dir() else path.parent
    reader = _Reader(root, options)
    for file in files:
        reader.read(file, _split_of(file) if len(files) > 1 or path.is_dir() else "")
    return reader.index()


def _annotation_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == ".json" and _looks_like_coco(path) else []
    folders = [
        path,
        *(folder for folder in subfolders(path) if folder.name == "annotations" or split_name(folder.name)),
    ]
    found = [file for folder in folders for file in sorted(folder.glob("*.json"))]
    useful = [file for file in found if _looks_like_coco(file)]
    instances = [file for file in useful if file.name.startswith("instances")]
    return instances or useful


def _looks_like_coco(path: Path) -> bool:
    with path.open("rb") as file:
        text = file.read(PEEK_BYTES)
        file.seek(max(0, path.stat().st_size - PEEK_BYTES))
        text += file.read(PEEK_BYTES)
    return any(key in text for key in _KEYS) and (
        b'"file_name"' in text or b'"bbox"' in text or b'"categories"' in text
    )


def _split_of(file: Path) -> str:
    folder = split_name(file.parent.name)
    if folder:
        return folder
    words = re.split(r"[_.\-\s]+", file.stem)
    return next((name for name in map(split_name, reversed(words)) if name), "")


class _Reader:
    """Gathers the images and objects of one or several files."""

    def __init__(self, root: Path, options: ReadOptions) -> None:
        self.root = root
        self.options = options
        self.log = ProblemLog()
        self.rows = BoxRows()
        self.paths: list[str] = []
        self.sizes: list[tuple[int, int]] = []
        self.splits: list[str] = []
        self.files: list[str] = []
        self.image_ids: list[int] = []
        self.categories: dict[int, str] = {}
        self._file = ""
        self._seen: dict[str, int] = {}

    def read(self, file: Path, split: str) -> None:
        """Add one file."""
        self._file = str(file)
        content = _content(file)
        if not content.has_images:
            raise DatasetError("a list of images was expected, but it is empty. Export the data set again.", file=file)
        self._read_categories(content.categories)
        row_of = self._read_images(content.images, file, split)
        first = len(self.rows)
        for position, raw in enumerate(content.annotations):
            self._read_annotation(raw, position, row_of)
        self._report_duplicates(first)

    def _report_duplicates(self, first: int) -> None:
        numbers, counts = np.unique(np.array(self.rows.ids[first:], np.int64), return_counts=True)
        for number in numbers[(counts > 1) & (numbers != 0)].tolist():
            message = f"annotation id {number} appears more than once; all are kept."
            self.log.add("annotation-duplicate", message, file=self._file, severity="note", subject=f"id {number}")

    def _read_categories(self, categories: Sequence[msgspec.Raw]) -> None:
        for raw in categories:
            try:
                category = _CATEGORY.decode(raw)
            except msgspec.MsgspecError as error:
                self.log.add("category-unreadable", f"{error}; left out.", file=self._file, severity="error")
                continue
            known = self.categories.setdefault(category.id, category.name)
            if known != category.name:
                message = f"category {category.id} is {known!r} and {category.name!r}; the first name is kept."
                self.log.add("category-conflict", message, file=self._file)

    def _read_images(self, images: Iterable[msgspec.Raw], file: Path, split: str) -> dict[int | str, int]:
        finder = FileFinder(_image_folders(file, self.root, self.options))
        row_of: dict[int | str, int] = {}
        for raw in images:
            try:
                image = _IMAGE.decode(raw)
            except msgspec.MsgspecError as error:
                message = f"an image entry is not as COCO says ({error}): {bytes(raw)[:80]!r}; left out."
                self.log.add("image-entry-unreadable", message, file=self._file, severity="error")
                continue
            self._add_image(image, finder, row_of, split)
        return row_of

    def _add_image(self, image: _Image, finder: FileFinder, row_of: dict[int | str, int], split: str) -> None:
        if image.id in row_of:
            message = f"image id {image.id} appears twice ({image.file_name}); the first is kept."
            self.log.add("image-duplicate", message, file=self._file, fix="give every image its own id")
            return
        found = finder.find(image.file_name)
        row_of[image.id] = -1
        if found is None:
            message = f"the image {image.file_name} is nowhere beneath {self.root}; left out with its objects."
            fix = "put the file there, or take it out of the annotations"
            self.log.add("image-missing", message, file=self._file, severity="error", fix=fix, subject=image.file_name)
            return
        path = relative(found, self.root)
        if path in self._seen and self.splits[self._seen[path]] == split:
            message = f"the image file {image.file_name} is listed under two ids; its objects are put together."
            self.log.add("image-duplicate", message, file=self._file, fix="list every file once")
            row_of[image.id] = self._seen[path]
            return
        row_of[image.id] = self._seen[path] = len(self.paths)
        self.paths.append(path)
        self.sizes.append((max(image.height or 0, 0), max(image.width or 0, 0)))
        self.splits.append(split)
        self.files.append(self._file)
        self.image_ids.append(image.id if isinstance(image.id, int) else 0)

    def _read_annotation(self, raw: msgspec.Raw, position: int, row_of: dict[int | str, int]) -> None:
        try:
            found = _ANNOTATION.decode(raw)
        except msgspec.MsgspecError as error:
            message = f"annotation {position} is not as COCO says ({error}): {bytes(raw)[:80]!r}; left out."
            subject = f"#{position}"
            self.log.add("annotation-unreadable", message, file=self._file, severity="error", subject=subject)
            return
        number = found.id if isinstance(found.id, int) else 0
        row = row_of.get(found.image_id)
        if row is None:
            message = f"annotation {found.id} belongs to image {found.image_id}, which is not listed; left out."
            self.log.add(
                "image-unknown",
                message,
                file=self._file,
                severity="error",
                fix="list the image",
                subject=f"id {found.id}",
            )
        elif found.category_id not in self.categories:
            message = f"annotation {found.id} has category {found.category_id}, which is not listed; left out."
            self.log.add(
                "category-unknown",
                message,
                file=self._file,
                severity="error",
                fix="list the category",
                subject=f"id {found.id}",
            )
        elif row >= 0:
            self._add_object(found, row, number)

    def _add_object(self, found: _Annotation, row: int, number: int) -> None:
        polygons, runs = self._outline(found)
        box = found.bbox
        if box is None and not polygons:
            message = f"annotation {found.id} has neither a box nor polygons; left out."
            self.log.add("annotation-unreadable", message, file=self._file, severity="error")
            return
        corners = _around(polygons) if box is None else (box[0], box[1], box[0] + box[2], box[1] + box[3])
        flags = (CROWD if found.iscrowd else 0) | (DIFFICULT if found.ignore else 0)
        area = float("nan") if found.area is None else found.area
        self.rows.add(
            row,
            corners,
            found.category_id,
            flags=flags,
            area=area,
            number=number,
            polygons=polygons,
            runs=runs,
        )

    def _outline(self, found: _Annotation) -> Outline:
        try:
            outline = _OUTLINE.decode(found.segmentation)
        except msgspec.MsgspecError as error:
            message = f"the outline of annotation {found.id} is not as COCO says ({error}); its box is kept."
            self.log.add("outline-unreadable", message, file=self._file)
            return (), None
        if isinstance(outline, _Runs):
            return (), self._runs(outline, found)
        return outline or (), None

    def _runs(self, outline: _Runs, found: _Annotation) -> tuple[bytes, tuple[int, int]] | None:
        if isinstance(outline.counts, str):
            return outline.counts.encode(), outline.size
        if min(outline.counts, default=0) < 0 or sum(outline.counts) != outline.size[0] * outline.size[1]:
            message = f"the run lengths of annotation {found.id} do not add up to {outline.size}; its box is kept."
            self.log.add("outline-unreadable", message, file=self._file)
            return None
        return compressed_runs(outline.counts, outline.size), outline.size

    def index(self) -> DatasetIndex:
        """Return everything that was read."""
        if not self.paths:
            first = next(iter(self.log.result()), "")
            message = f"images were expected, but no listed image file was found. {first} Give the image folder."
            raise DatasetError(message, file=self._file)
        categories = sorted(self.categories)
        label_of = {number: label for label, number in enumerate(categories)}
        self.rows.labels[:] = type(self.rows.labels)("i", [label_of[number] for number in self.rows.labels])
        sizes = np.array(self.sizes, np.int32)
        unknown = np.flatnonzero((sizes <= 0).any(1))
        if len(unknown):
            sizes[unknown] = true_sizes([self.root / self.paths[row] for row in unknown], self.log)[0]
            self.log.add("size-missing", "width and height are not stated; read from the files.", count=len(unknown))
        table = self.rows.table(sizes, lambda row, _: Place(f"{self.files[row]} ({self.paths[row]})"), self.log)
        splits, split_names = split_codes(self.splits)
        ids = np.array(self.image_ids, np.int64)
        return DatasetIndex(
            root=self.root,
            format="coco",
            classes=tuple(self.categories[number] for number in categories),
            paths=Strings.pack(self.paths),
            annotations=replace(table, category_ids=np.array(categories, np.int64), image_ids=ids),
            sizes=sizes,
            splits=splits,
            split_names=split_names,
            problems=self.log.result(),
        )


@dataclass(frozen=True, kw_only=True)
class _Content:
    categories: Sequence[msgspec.Raw]
    images: Iterable[msgspec.Raw]
    annotations: Iterable[msgspec.Raw]
    has_images: bool


def _content(file: Path) -> _Content:
    """Return what a file holds, in pieces where it is of the usual form."""
    pieces = found_pieces(file, ("images", "annotations"))
    try:
        rest = None if pieces is None else _parsed(pieces.rest)
    except msgspec.MsgspecError:
        rest = None
    if pieces is None or rest is None or rest.images or rest.annotations:
        whole = _decoded(file)
        return _Content(
            categories=whole.categories,
            images=whole.images,
            annotations=whole.annotations,
            has_images=bool(whole.images),
        )
    spans = pieces.spans
    return _Content(
        categories=rest.categories,
        images=_flat(decoded_pieces(file, spans.get("images", ()))),
        annotations=_flat(decoded_pieces(file, spans.get("annotations", ()))),
        has_images=bool(spans.get("images")),
    )


def _flat(pieces: Iterable[list[msgspec.Raw]]) -> Iterator[msgspec.Raw]:
    for piece in pieces:
        yield from piece


def _parsed(content: bytes) -> _File:
    try:
        return msgspec.json.decode(content, type=_File)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        return msgspec.json.decode(without_nan(content), type=_File)


def _decoded(file: Path) -> _File:
    content = file.read_bytes()
    try:
        return msgspec.json.decode(content, type=_File)
    except msgspec.ValidationError as error:
        message = f"COCO JSON with a list of images was expected; {error}. Export the data set again."
        raise DatasetError(message, file=file) from error
    except msgspec.DecodeError as error:
        mended = without_nan(content)
        try:
            return msgspec.json.decode(mended, type=_File)
        except msgspec.MsgspecError:
            message = f"the file is not valid JSON ({error}). Export the data set again."
            raise DatasetError(message, file=file, line=_line(content, str(error))) from error


def _line(content: bytes, message: str) -> int | None:
    place = re.search(r"byte (\d+)", message)
    if place:
        return content.count(b"\n", 0, int(place[1])) + 1
    return content.count(b"\n") + 1 if "truncated" in message else None


def _image_folders(file: Path, root: Path, options: ReadOptions) -> list[Path]:
    if options.images is not None:
        return [options.images]
    parents = [file.parent, root] if file.parent != root else [root]
    if file.parent.name == "annotations":
        parents = [file.parent.parent, *parents]
    words = file.stem.removeprefix("instances_")
    names = [words, split_name(words) or words, "images", f"images/{words}", "data", "JPEGImages"]
    siblings = {"val": ("valid", "validation"), "train": ("training",)}.get(_split_of(file), ())
    return [folder for parent in parents for folder in (parent, *(parent / name for name in (*names, *siblings)))]


def _around(polygons: Sequence[Sequence[float]]) -> tuple[float, float, float, float]:
    points: Any = [value for polygon in polygons for value in polygon]
    return min(points[0::2]), min(points[1::2]), max(points[0::2]), max(points[1::2])
