"""The formats that exist: one row each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from snellen.data.formats.coco import is_coco, read_coco
from snellen.data.formats.folders import is_folders, read_folders
from snellen.data.formats.masks import is_masks, read_masks
from snellen.data.formats.options import ReadOptions
from snellen.data.formats.table import is_csv, is_json_lines, read_csv, read_json_lines
from snellen.data.formats.voc import is_voc, read_voc
from snellen.data.formats.write_boxes import write_coco, write_voc, write_yolo
from snellen.data.formats.write_images import write_folders, write_masks
from snellen.data.formats.write_tables import write_csv, write_json_lines
from snellen.data.formats.yolo import is_yolo, read_yolo
from snellen.data.index import DatasetIndex

__all__ = ["FORMATS", "Format"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A way in which data sets lie on disk.

    Attributes:
        name: What ``--format`` calls it.
        looks_for: What makes it recognisable, for messages.
        recognise: Whether a path looks like it.
        read: From a path to an index.
        write: From an index into a folder.
        yields_to: Formats that win where both are recognised.
    """

    name: str
    looks_for: str
    recognise: Callable[[Path], bool]
    read: Callable[[Path, ReadOptions], DatasetIndex]
    write: Callable[[DatasetIndex, Path], None]
    yields_to: tuple[str, ...] = ()


FORMATS = (
    Format(
        name="coco",
        looks_for="a .json file with the keys images and annotations",
        recognise=is_coco,
        read=read_coco,
        write=write_coco,
    ),
    Format(
        name="yolo",
        looks_for="a data.yaml with names, an obj.data, or a folder labels with .txt files",
        recognise=is_yolo,
        read=read_yolo,
        write=write_yolo,
    ),
    Format(
        name="voc",
        looks_for="<annotation> .xml files in Annotations, or beside the images",
        recognise=is_voc,
        read=read_voc,
        write=write_voc,
    ),
    Format(
        name="masks",
        looks_for="folders images and masks (or train and trainannot) with equal file names",
        recognise=is_masks,
        read=read_masks,
        write=write_masks,
        yields_to=("coco", "yolo", "voc"),
    ),
    Format(
        name="csv",
        looks_for="a .csv or .tsv file with columns of image paths and of labels or values",
        recognise=is_csv,
        read=read_csv,
        write=write_csv,
        yields_to=("coco", "yolo", "voc", "masks"),
    ),
    Format(
        name="jsonl",
        looks_for='a .jsonl file with an object for each image, such as {"file": …, "labels": […]}',
        recognise=is_json_lines,
        read=read_json_lines,
        write=write_json_lines,
        yields_to=("coco", "yolo", "voc", "masks", "csv"),
    ),
    Format(
        name="folders",
        looks_for="a folder of images for each class, perhaps beneath train, val and test",
        recognise=is_folders,
        read=read_folders,
        write=write_folders,
        yields_to=("coco", "yolo", "voc", "masks", "csv", "jsonl"),
    ),
)
