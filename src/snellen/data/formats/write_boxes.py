"""Writing boxes: COCO JSON, Pascal VOC XML, YOLO text. Images are copied.

What a format cannot hold is lost: VOC and YOLO have no outlines with holes and no run lengths, YOLO has no
flags.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import yaml

from snellen.data.formats.write_files import copied, empty_folder, file_names, sized, split_of, table_of
from snellen.data.index import DatasetIndex
from snellen.data.segments import Segments
from snellen.data.tables import CROWD, DIFFICULT, TRUNCATED, BoxTable

__all__ = ["write_coco", "write_voc", "write_yolo"]


def write_coco(index: DatasetIndex, folder: Path) -> None:
    """Write ``annotations/instances_<split>.json`` and one folder of images per split.

    Numbers of categories, images and objects are those of the data set where it has any that are unique.

    Raises:
        InputError: If the data set has no boxes, or the folder is not empty.
    """
    table = table_of(index, BoxTable, "coco")
    empty_folder(folder)
    index = sized(index)
    table = table_of(index, BoxTable, "coco")
    category_ids = np.arange(1, len(index.classes) + 1) if table.category_ids is None else table.category_ids
    image_ids = _unique_ids(table.image_ids, len(index))
    object_ids = _unique_ids(table.annotation_ids, len(table.boxes))
    images: dict[str, list[Any]] = defaultdict(list)
    annotations: dict[str, list[Any]] = defaultdict(list)
    for row, name in enumerate(file_names(index)):
        split = split_of(index, row) or "all"
        height, width = index.sizes[row].tolist()
        images[split].append({"id": int(image_ids[row]), "file_name": name, "width": width, "height": height})
        copied(index.path(row), folder / split / name)
        for entry in range(table.offsets[row], table.offsets[row + 1]):
            found = _coco_object(table, entry)
            found |= {
                "id": int(object_ids[entry]),
                "image_id": int(image_ids[row]),
                "category_id": int(category_ids[table.labels[entry]]),
            }
            annotations[split].append(found)
    categories = [{"id": int(number), "name": name} for number, name in zip(category_ids, index.classes, strict=True)]
    (folder / "annotations").mkdir()
    for split, entries in images.items():
        content = {"images": entries, "annotations": annotations[split], "categories": categories}
        (folder / "annotations" / f"instances_{split}.json").write_bytes(msgspec.json.encode(content))


def _unique_ids(stated: Any, count: int) -> Any:
    """Return the stated numbers where each is there and different, else 1, 2, 3, …."""
    if stated is not None and len(np.unique(stated)) == count and (stated > 0).all():
        return stated
    return np.arange(1, count + 1)


def _coco_object(table: BoxTable, entry: int) -> dict[str, Any]:
    left, top, right, bottom = (float(value) for value in table.boxes[entry])
    area = (right - left) * (bottom - top) if table.areas is None else float(table.areas[entry])
    flags = int(table.flags[entry])
    found: dict[str, Any] = {
        "bbox": [left, top, right - left, bottom - top],
        "area": area,
        "iscrowd": int(bool(flags & CROWD)),
        "segmentation": [] if table.segments is None else _coco_outline(table.segments, entry),
    }
    return found | ({"ignore": 1} if flags & DIFFICULT else {})


def _coco_outline(segments: Segments, entry: int) -> Any:
    runs = segments.run_lengths(entry)
    if runs is not None:
        return {"size": runs["size"], "counts": runs["counts"].decode()}
    return [polygon.tolist() for polygon in segments.polygons(entry)]


def write_voc(index: DatasetIndex, folder: Path) -> None:
    """Write ``Annotations``, ``JPEGImages`` and ``ImageSets/Main``; corners are written as they are.

    Raises:
        InputError: If the data set has no boxes, or the folder is not empty.
    """
    table_of(index, BoxTable, "voc")
    empty_folder(folder)
    index = sized(index)
    table = table_of(index, BoxTable, "voc")
    (folder / "Annotations").mkdir()
    stems: dict[str, list[str]] = defaultdict(list)
    for row, name in enumerate(file_names(index)):
        stems[split_of(index, row)].append(Path(name).stem)
        copied(index.path(row), folder / "JPEGImages" / name)
        document = _voc_document(index, table, row, name)
        ET.indent(document)
        ET.ElementTree(document).write(folder / "Annotations" / f"{Path(name).stem}.xml", encoding="utf-8")
    lists = folder / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for split, members in stems.items():
        if split:
            (lists / f"{split}.txt").write_text("\n".join(members) + "\n", encoding="utf-8")


def _voc_document(index: DatasetIndex, table: BoxTable, row: int, name: str) -> ET.Element:
    document = ET.Element("annotation")
    ET.SubElement(document, "filename").text = name
    size = ET.SubElement(document, "size")
    height, width = index.sizes[row].tolist()
    for tag, value in (("width", width), ("height", height), ("depth", 3)):
        ET.SubElement(size, tag).text = str(value)
    for entry in range(table.offsets[row], table.offsets[row + 1]):
        node = ET.SubElement(document, "object")
        ET.SubElement(node, "name").text = index.classes[table.labels[entry]]
        flags = int(table.flags[entry])
        ET.SubElement(node, "truncated").text = str(int(bool(flags & TRUNCATED)))
        ET.SubElement(node, "difficult").text = str(int(bool(flags & DIFFICULT)))
        box = ET.SubElement(node, "bndbox")
        for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), table.boxes[entry].tolist(), strict=True):
            ET.SubElement(box, tag).text = f"{value:.9g}"
    return document


def write_yolo(index: DatasetIndex, folder: Path) -> None:
    """Write ``data.yaml``, ``images/<split>`` and ``labels/<split>``; one polygon is written as outline.

    Raises:
        InputError: If the data set has no boxes, or the folder is not empty.
    """
    table_of(index, BoxTable, "yolo")
    empty_folder(folder)
    index = sized(index)
    table = table_of(index, BoxTable, "yolo")
    splits = set()
    for row, name in enumerate(file_names(index)):
        split = split_of(index, row) or "all"
        splits.add(split)
        copied(index.path(row), folder / "images" / split / name)
        lines = [
            _yolo_line(table, entry, index.sizes[row]) for entry in range(table.offsets[row], table.offsets[row + 1])
        ]
        label_file = folder / "labels" / split / f"{Path(name).stem}.txt"
        label_file.parent.mkdir(parents=True, exist_ok=True)
        label_file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    places = {split if split != "all" else "train": f"images/{split}" for split in sorted(splits)}
    settings = {"path": ".", **places, "names": dict(enumerate(index.classes))}
    (folder / "data.yaml").write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _yolo_line(table: BoxTable, entry: int, size: Any) -> str:
    height, width = (float(side) for side in size)
    polygons = [] if table.segments is None else table.segments.polygons(entry)
    if len(polygons) == 1:
        numbers = [float(v) / (width if place % 2 == 0 else height) for place, v in enumerate(polygons[0])]
    else:
        left, top, right, bottom = (float(value) for value in table.boxes[entry])
        centre = ((left + right) / 2 / width, (top + bottom) / 2 / height)
        numbers = [*centre, (right - left) / width, (bottom - top) / height]
    return " ".join([str(int(table.labels[entry])), *(f"{number:.9g}" for number in numbers)])
