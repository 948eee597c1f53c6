"""Class folders: an image's folder is its class; ``train``, ``val`` and ``test`` above that are splits."""

from pathlib import Path

import numpy as np

from snellen.data.formats.files import image_files, relative, split_codes, split_name, subfolders
from snellen.data.formats.options import ReadOptions
from snellen.data.images import is_image_name
from snellen.data.index import DatasetIndex
from snellen.data.problems import ProblemLog
from snellen.data.sharing import Strings
from snellen.data.tables import ClassTable
from snellen.errors import DatasetError

__all__ = ["is_folders", "read_folders"]

NOT_CLASSES = frozenset(
    ("images", "image", "labels", "label", "masks", "mask", "annotations", "jpegimages", "imagesets")
)


def is_folders(path: Path) -> bool:
    """Return whether a folder holds folders of images whose names can be classes."""
    if not path.is_dir():
        return False
    return any(_has_images(folder) for _, folder in _class_folders(path))


def read_folders(path: Path, options: ReadOptions) -> DatasetIndex:
    """Return the index of a tree of class folders. Classes are the union over splits, by name.

    Raises:
        DatasetError: If no folder holds images.
    """
    log = ProblemLog()
    folders = _class_folders(path)
    names = options.classes or tuple(sorted({folder.name for _, folder in folders}))
    files: list[tuple[Path, str, int]] = []
    for split, folder in folders:
        found = image_files(folder)
        if not found:
            log.add(
                "class-empty",
                "the class folder holds no image.",
                file=folder,
                fix="add images or delete the folder",
            )
        if folder.name not in names:
            message = f"the folder is none of the classes {', '.join(names)}; left out."
            log.add("class-unknown", message, file=folder, severity="error")
            continue
        files += [(file, split, names.index(folder.name)) for file in found]
        _report_others(folder, log)
    if not files:
        message = "folders named after classes with images in them were expected; no image was found. Check the path."
        raise DatasetError(message, file=path)
    _report_uneven(files, names, path, log)
    splits, split_names = split_codes([split for _, split, _ in files])
    return DatasetIndex(
        root=path,
        format="folders",
        classes=names,
        paths=Strings.pack([relative(file, path) for file, _, _ in files]),
        annotations=ClassTable(labels=np.array([label for _, _, label in files], np.int32)),
        sizes=np.zeros((len(files), 2), np.int32),
        splits=splits,
        split_names=split_names,
        problems=log.result(),
    )


def _class_folders(path: Path) -> list[tuple[str, Path]]:
    homes = [(split_name(folder.name) or "", folder) for folder in subfolders(path) if split_name(folder.name)]
    homes = [(split, folder) for split, folder in homes if subfolders(folder)] or [("", path)]
    return [
        (split, folder)
        for split, home in homes
        for folder in subfolders(home)
        if folder.name.lower() not in NOT_CLASSES and not folder.name.lower().endswith(("masks", "annot"))
    ]


def _has_images(folder: Path) -> bool:
    return any(is_image_name(entry.name) for entry in folder.iterdir())


def _report_others(folder: Path, log: ProblemLog) -> None:
    for entry in sorted(folder.iterdir()):
        if (
            entry.is_file()
            and not is_image_name(entry.name)
            and not entry.name.startswith((".", "Thumbs.db", "desktop.ini"))
        ):
            log.add(
                "file-ignored",
                "no image by its name; left out.",
                file=entry,
                severity="note",
                fix="move it away",
            )


def _report_uneven(files: list[tuple[Path, str, int]], names: tuple[str, ...], path: Path, log: ProblemLog) -> None:
    for split in sorted({split for _, split, _ in files}):
        held = {label for _, of, label in files if of == split}
        for label, name in enumerate(names):
            if label not in held:
                message = f"the split {split or 'of all images'} has no image of the class {name!r}."
                log.add("class-absent", message, file=path, fix="check the names of the class folders")
