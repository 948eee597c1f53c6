"""Writing class folders, and pairs of image and label image. Images are copied."""

from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from snellen.data.formats.write_files import copied, empty_folder, file_names, sized, split_of, table_of
from snellen.data.index import DatasetIndex
from snellen.data.outlines import OutlineTable
from snellen.data.tables import ClassTable, MaskTable
from snellen.errors import InputError
from snellen.structures import IGNORE_LABEL, MaskTarget

__all__ = ["write_folders", "write_masks"]


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


def write_masks(index: DatasetIndex, folder: Path) -> None:
    """Write ``<split>/images``, ``<split>/masks`` (index PNG, 255 is ignored) and ``snellen.yaml``.

    Raises:
        InputError: If the data set has no masks, or the folder is not empty.
    """
    if not isinstance(index.annotations, OutlineTable):  # what is drawn can be written, too
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
