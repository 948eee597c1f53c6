"""Writing classes and masks: class folders, CSV, pairs of image and label image. Images are copied."""

import csv
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from snellen.data.formats.write_files import copied, empty_folder, file_names, sized, split_of, table_of
from snellen.data.index import DatasetIndex
from snellen.data.tables import ClassTable, MaskTable
from snellen.errors import InputError
from snellen.structures import IGNORE_LABEL, MaskTarget

__all__ = ["write_csv", "write_folders", "write_masks"]


def write_folders(index: DatasetIndex, folder: Path) -> None:
    """Write ``<split>/<class>/<image>``; images of unknown class have no place there and are left out.

    Raises:
        InputError: If the data set has no classes of images, a class name cannot name a folder, or the
            folder is not empty.
    """
    table = table_of(index, ClassTable, "folders")
    for name in index.classes:
        if name in ("", ".", "..") or "/" in name or "\\" in name:
            raise InputError(f"a class name that can name a folder was expected; got {name!r}. Use the format csv.")
    empty_folder(folder)
    for row, name in enumerate(file_names(index)):
        if table.labels[row] >= 0:
            copied(index.path(row), folder / split_of(index, row) / index.classes[table.labels[row]] / name)


def write_csv(index: DatasetIndex, folder: Path) -> None:
    """Write ``labels.csv`` (path, label, split, group) and ``images``.

    Raises:
        InputError: If the data set has no classes of images, or the folder is not empty.
    """
    table = table_of(index, ClassTable, "csv")
    empty_folder(folder)
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split", "group", *index.attributes])
        for row, name in enumerate(file_names(index)):
            copied(index.path(row), folder / "images" / name)
            label = "" if table.labels[row] < 0 else index.classes[table.labels[row]]
            group = "" if index.groups is None else int(index.groups[row])
            others = [values[row] for values in index.attributes.values()]
            writer.writerow([f"images/{name}", label, split_of(index, row), group, *others])


def write_masks(index: DatasetIndex, folder: Path) -> None:
    """Write ``<split>/images``, ``<split>/masks`` (index PNG, 255 is ignored) and ``snellen.yaml``.

    Raises:
        InputError: If the data set has no masks, or the folder is not empty.
    """
    table_of(index, MaskTable, "masks")
    empty_folder(folder)
    index = sized(index)
    for row, name in enumerate(file_names(index)):
        home = folder / split_of(index, row)
        copied(index.path(row), home / "images" / name)
        target = index.target(row, (int(index.sizes[row, 0]), int(index.sizes[row, 1])))
        if isinstance(target, MaskTarget):
            (home / "masks").mkdir(exist_ok=True)
            labels = np.asarray(target.labels.numpy())
            Image.fromarray(labels).save(home / "masks" / f"{Path(name).stem}.png")
    settings = {"classes": list(index.classes), "ignore_index": IGNORE_LABEL}
    (folder / "snellen.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
