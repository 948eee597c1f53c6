"""Pascal VOC XML: boxes with ``difficult`` and ``truncated``.

Layouts: VOCdevkit (``Annotations``, ``JPEGImages``, ``ImageSets/Main``); ``annotations`` beside ``images``,
    also beneath split
folders; XML files beside the images.

Corners: the original files count pixels from 1 and include both ends; most tools that write VOC today do
    not. As
torchvision does, the numbers are taken as they are, as continuous edges (`FIRST_PIXEL` is where to change
that).

Source: Everingham et al. 2010, http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError  # types only; files are parsed by defusedxml

import numpy as np
from defusedxml import DefusedXmlException, ElementTree

from snellen.data.formats.files import (
    FileFinder,
    read_lines,
    relative,
    split_codes,
    split_name,
    subfolders,
    true_sizes,
)
from snellen.data.formats.options import ReadOptions
from snellen.data.formats.rows import BoxRows, Place
from snellen.data.images import is_image_name
from snellen.data.index import DatasetIndex
from snellen.data.problems import ProblemLog
from snellen.data.sharing import Strings
from snellen.data.tables import DIFFICULT, TRUNCATED
from snellen.errors import DatasetError

__all__ = ["FIRST_PIXEL", "is_voc", "read_voc"]

FIRST_PIXEL = 0.0  # subtracted from xmin and ymin; 1.0 would read the corners as one-based and inclusive
ANNOTATION_FOLDERS = ("Annotations", "annotations", "xml", "xmls", "labels")
IMAGE_FOLDERS = ("JPEGImages", "images", "Images", "imgs")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class _Object:
    name: str
    box: tuple[float, float, float, float]
    flags: int


@dataclass(frozen=True)
class _Document:
    file: Path
    split: str
    image: Path
    stated: tuple[int, int]
    objects: list[_Object] = field(default_factory=list)


def is_voc(path: Path) -> bool:
    """Return whether a folder holds VOC XML in one of the layouts."""
    if not path.is_dir():
        return False
    folder = _devkit(path)
    return any(_is_annotation(next(iter(sorted(place.glob("*.xml"))), None)) for place, _ in _places(folder))


def read_voc(path: Path, options: ReadOptions) -> DatasetIndex:
    """Return the index of a folder of VOC XML files.

    Raises:
        DatasetError: If there is no such file, or none has a readable image.
    """
    root = _devkit(path)
    log = ProblemLog()
    listed = _listed_splits(root, log)
    documents = [found for place, split in _places(root) for found in _read_place(place, split, root, options, log)]
    _report_unlabelled(documents, log)
    if not documents:
        first = next(iter(log.result()), "")
        message = f"XML annotations with their images were expected; none was found. {first} Check the layout."
        raise DatasetError(message, file=path)
    return _index(documents, listed, root, options, log)


def _devkit(path: Path) -> Path:
    """Return the folder that holds ``Annotations``: itself, or one such as ``VOCdevkit/VOC2012``."""
    for folder in (path, *sorted(path.glob("VOC*")), *sorted(path.glob("VOCdevkit/VOC*"))):
        if (folder / "Annotations").is_dir():
            return folder
    return path


def _places(root: Path) -> list[tuple[Path, str]]:
    """Return the folders that hold XML files, each with the name of its split."""
    homes = [(root, "")] + [
        (folder, split_name(folder.name) or "") for folder in subfolders(root) if split_name(folder.name)
    ]
    places = [(home / name, split) for home, split in homes for name in ("", *ANNOTATION_FOLDERS)]
    inner = [
        (folder, split_name(folder.name) or "")
        for name in ANNOTATION_FOLDERS
        if (root / name).is_dir()
        for folder in subfolders(root / name)
    ]
    seen: dict[Path, tuple[Path, str]] = {}
    for place, split in places + inner:
        if next(place.glob("*.xml"), None) is not None:
            seen.setdefault(place.resolve(), (place, split))  # one folder on file systems that ignore case
    return list(seen.values())


def _is_annotation(file: Path | None) -> bool:
    return file is not None and b"<annotation" in file.read_bytes()[:2000]


def _listed_splits(root: Path, log: ProblemLog) -> Mapping[str, str]:
    """Return the split of each stem, from ``ImageSets/Main``; trainval yields to train and val."""
    folder = root / "ImageSets" / "Main"
    lists = {file.stem: read_lines(file) for file in sorted(folder.glob("*.txt"))} if folder.is_dir() else {}
    splits: dict[str, str] = {}
    for name in sorted(lists, key=lambda name: (name in ("trainval", "all"), name)):
        stems = [line for line in lists[name] if line]
        if any(len(stem.split()) > 1 for stem in stems):
            continue  # lists of one class: "2008_000002 -1"
        for stem in stems:
            known = splits.setdefault(stem, split_name(name) or name)
            if known != (split_name(name) or name) and name not in ("trainval", "all"):
                message = f"{stem} is listed in {known} and in {name}; it stays in {known}."
                log.add("split-overlap", message, file=folder / f"{name}.txt", fix="list every image once")
    return splits


def _read_place(place: Path, split: str, root: Path, options: ReadOptions, log: ProblemLog) -> list[_Document]:
    home = place.parent if place.name in ANNOTATION_FOLDERS else place
    homes = dict.fromkeys((place, home, root))
    folders = (
        [options.images]
        if options.images
        else [
            folder
            for parent in homes
            for folder in (
                parent,
                *(parent / name for name in IMAGE_FOLDERS),
                *(parent / name / place.name for name in IMAGE_FOLDERS),
            )
        ]
    )
    finder = FileFinder(folders)
    stems = _stems(folders)
    documents = []
    for file in sorted(place.glob("*.xml")):
        found = _read_document(file, split, finder, stems, log)
        if found is not None:
            documents.append(found)
    return documents


def _stems(folders: list[Path]) -> dict[str, Path]:
    stems: dict[str, Path] = {}
    for folder in folders:
        if folder.is_dir():
            for entry in folder.iterdir():
                if is_image_name(entry.name):
                    stems.setdefault(entry.stem, entry)
    return stems


def _read_document(
    file: Path, split: str, finder: FileFinder, stems: Mapping[str, Path], log: ProblemLog
) -> _Document | None:
    try:
        tree = ElementTree.fromstring(file.read_bytes())
    except (ParseError, DefusedXmlException, ValueError, OSError) as error:
        line = getattr(error, "position", (None,))[0]
        message = f"an XML annotation was expected, but it cannot be parsed ({error}); left out with its image."
        log.add(
            "annotation-unreadable",
            message,
            file=file,
            line=line,
            severity="error",
            fix="export the file again",
        )
        return None
    if tree.tag != "annotation":
        log.add(
            "annotation-unreadable",
            f"<annotation> was expected; got <{tree.tag}>; left out.",
            file=file,
            severity="error",
        )
        return None
    name = (tree.findtext("filename") or "").strip()
    image = stems.get(file.stem) or (finder.find(name) if name else None)
    if image is None:
        message = f"the image {name or file.stem} was expected beside it; it is not there; left out."
        log.add(
            "image-missing",
            message,
            file=file,
            severity="error",
            fix="put the image there, or delete the XML file",
            subject=name or file.stem,
        )
        return None
    stated = (_whole(tree.findtext("size/height")), _whole(tree.findtext("size/width")))
    objects = [found for node in tree.iter("object") if (found := _read_object(node, file, log)) is not None]
    return _Document(file=file, split=split, image=image, stated=stated, objects=objects)


def _read_object(node: Element, file: Path, log: ProblemLog) -> _Object | None:
    name = (node.findtext("name") or "").strip()
    texts = [(node.findtext(f"bndbox/{corner}") or "").strip() for corner in _CORNERS]
    try:
        left, top, right, bottom = (float(text) for text in texts)
    except ValueError:
        message = f"an object {name!r} must have numbers {', '.join(_CORNERS)} in <bndbox>; got {texts}; left out."
        log.add("annotation-unreadable", message, file=file, severity="error", fix="correct the object")
        return None
    if not name:
        log.add(
            "class-missing",
            "an object must have a <name>; left out.",
            file=file,
            severity="error",
            fix="name it",
        )
        return None
    flags = (DIFFICULT if _whole(node.findtext("difficult")) else 0) | (
        TRUNCATED if _whole(node.findtext("truncated")) else 0
    )
    return _Object(name, (left - FIRST_PIXEL, top - FIRST_PIXEL, right, bottom), flags)


def _whole(text: str | None) -> int:
    try:
        return int(float(text or 0))
    except (ValueError, OverflowError):
        return 0


def _report_unlabelled(documents: list[_Document], log: ProblemLog) -> None:
    labelled = {found.image for found in documents}
    for folder in sorted({found.image.parent for found in documents}):
        for image in sorted(entry for entry in folder.iterdir() if is_image_name(entry.name) and entry not in labelled):
            message = "the image has no XML file; left out, since nobody says that it shows nothing."
            log.add(
                "label-missing",
                message,
                file=image,
                fix="annotate it; an XML file without objects says: nothing here",
            )


def _index(
    documents: list[_Document], listed: Mapping[str, str], root: Path, options: ReadOptions, log: ProblemLog
) -> DatasetIndex:
    sizes, readable = true_sizes([found.image for found in documents], log)
    if not readable.any():
        raise DatasetError(f"images were expected, but none can be read. {next(iter(log.result()))}", file=root)
    kept = [found for found, good in zip(documents, readable, strict=True) if good]
    sizes = sizes[readable]
    names = options.classes or tuple(sorted({entry.name for found in kept for entry in found.objects}))
    label_of = {name: label for label, name in enumerate(names)}
    rows = BoxRows()
    for row, found in enumerate(kept):
        _report_size(found, (int(sizes[row, 0]), int(sizes[row, 1])), log)
        for entry in found.objects:
            if entry.name in label_of:
                rows.add(row, entry.box, label_of[entry.name], flags=entry.flags)
            else:
                message = f"the class {entry.name!r} is none of {', '.join(names)}; left out."
                log.add(
                    "class-unknown",
                    message,
                    file=found.file,
                    severity="error",
                    fix="name the class among the classes",
                )
    splits, split_names = split_codes([listed.get(found.file.stem, found.split) for found in kept])
    columns: dict[str, Any] = {
        "paths": Strings.pack([relative(found.image, root) for found in kept]),
        "annotations": rows.table(sizes, lambda row, _: Place(str(kept[row].file)), log),
    }
    return DatasetIndex(
        root=root,
        format="voc",
        classes=names,
        sizes=np.ascontiguousarray(sizes),
        splits=splits,
        split_names=split_names,
        problems=log.result(),
        **columns,
    )


def _report_size(found: _Document, true: tuple[int, int], log: ProblemLog) -> None:
    if found.stated == true:
        return
    stated = f"{found.stated[1]} x {found.stated[0]}" if any(found.stated) else "no size"
    message = f"the XML states {stated}, the image has {true[1]} x {true[0]} pixels; the image's size is used."
    log.add("size-mismatch", message, file=found.file, fix="check that the boxes fit the image; correct <size>")
