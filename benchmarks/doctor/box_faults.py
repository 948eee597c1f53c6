"""Faults of boxes, in COCO's tables and in YOLO's texts."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from planting import Chance, Change, coco, files, some, write_coco


def boxes_changed(
    change: Callable[[dict[str, Any], dict[str, Any], Chance], None], shares: tuple[float, ...]
) -> Change:
    """Return an operator that changes a share of the training boxes: ``change(box, its image, chance)``."""

    def changed(folder: Path, severity: int, chance: Chance) -> None:
        table = coco(folder, "train")
        images = {entry["id"]: entry for entry in table["images"]}
        for box in some(table["annotations"], shares[severity], chance):
            change(box, images[box["image_id"]], chance)
        write_coco(folder, "train", table)

    return changed


def no_area(box: dict[str, Any], image: dict[str, Any], chance: Chance) -> None:
    del image
    box["bbox"][2 + int(chance.integers(2))] = 0


def outside(box: dict[str, Any], image: dict[str, Any], chance: Chance) -> None:
    del chance
    box["bbox"][0] += image["width"]


def shifted(box: dict[str, Any], image: dict[str, Any], chance: Chance) -> None:
    left, top, width, height = box["bbox"]
    sign = chance.choice([-1, 1], 2)
    left = min(max(0.0, left + sign[0] * 0.5 * width), image["width"] - width)
    top = min(max(0.0, top + sign[1] * 0.5 * height), image["height"] - height)
    box["bbox"] = [left, top, width, height]


def not_a_number(box: dict[str, Any], image: dict[str, Any], chance: Chance) -> None:
    del image
    box["bbox"][int(chance.integers(4))] = float("nan")


def as_corners(box: dict[str, Any], image: dict[str, Any], chance: Chance) -> None:
    del image, chance
    left, top, width, height = box["bbox"]
    box["bbox"] = [left, top, left + width, top + height]


def as_centres(box: dict[str, Any], image: dict[str, Any], chance: Chance) -> None:
    del image, chance
    left, top, width, height = box["bbox"]
    box["bbox"] = [left + width / 2, top + height / 2, width, height]


def as_shares(box: dict[str, Any], image: dict[str, Any], chance: Chance) -> None:
    del chance
    sides = (image["width"], image["height"]) * 2
    box["bbox"] = [value / side for value, side in zip(box["bbox"], sides, strict=True)]


def strange_class(box: dict[str, Any], image: dict[str, Any], chance: Chance) -> None:
    del image, chance
    box["category_id"] += 1000


def twice(folder: Path, severity: int, chance: Chance) -> None:
    table = coco(folder, "train")
    most = max(box["id"] for box in table["annotations"])
    again = some(table["annotations"], (0.05, 0.2, 0.5)[severity], chance)
    table["annotations"] += [{**box, "id": most + 1 + number} for number, box in enumerate(again)]
    write_coco(folder, "train", table)


def other_class(folder: Path, severity: int, chance: Chance) -> None:
    table = coco(folder, "train")
    numbers = [entry["id"] for entry in table["categories"]]
    for box in some(table["annotations"], (0.1, 0.2, 0.4)[severity], chance):
        others = [number for number in numbers if number != box["category_id"]]
        box["category_id"] = others[chance.integers(len(others))] if others else box["category_id"]
    write_coco(folder, "train", table)


def missing(folder: Path, severity: int, chance: Chance) -> None:
    table = coco(folder, "train")
    gone = {box["id"] for box in some(table["annotations"], (0.1, 0.2, 0.5)[severity], chance)}
    table["annotations"] = [box for box in table["annotations"] if box["id"] not in gone]
    write_coco(folder, "train", table)


def spurious(folder: Path, severity: int, chance: Chance) -> None:
    table = coco(folder, "train")
    images = {entry["id"]: entry for entry in table["images"]}
    most = max(box["id"] for box in table["annotations"])
    for number, box in enumerate(some(table["annotations"], (0.1, 0.2, 0.5)[severity], chance)):
        image = images[box["image_id"]]
        width, height = box["bbox"][2:]
        left = chance.uniform(0, max(1.0, image["width"] - width))
        top = chance.uniform(0, max(1.0, image["height"] - height))
        extra = {**box, "id": most + 1 + number, "bbox": [left, top, width, height], "segmentation": []}
        table["annotations"].append(extra)
    write_coco(folder, "train", table)


def class_lost(folder: Path, severity: int, chance: Chance) -> None:
    """Classes without a single object in the validation split."""
    table = coco(folder, "val")
    numbers = sorted({box["category_id"] for box in table["annotations"]})
    lost = set(chance.permutation(numbers)[: min((1, 2, 3)[severity], max(1, len(numbers) - 1))].tolist())
    table["annotations"] = [box for box in table["annotations"] if box["category_id"] not in lost]
    write_coco(folder, "val", table)


def rare_class(folder: Path, severity: int, chance: Chance) -> None:
    table = coco(folder, "train")
    numbers, counts = np.unique([box["category_id"] for box in table["annotations"]], return_counts=True)
    rare = int(numbers[counts.argmin()])
    left = max(1, int(counts.max() / (12, 60, 200)[severity]))
    own = [box["id"] for box in table["annotations"] if box["category_id"] == rare]
    gone = set(chance.permutation(own)[left:].tolist())
    table["annotations"] = [box for box in table["annotations"] if box["id"] not in gone]
    write_coco(folder, "train", table)


def truncated_labels(folder: Path, severity: int, chance: Chance) -> None:
    del chance
    path = folder / "annotations" / "instances_train.json"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * (0.95, 0.6, 0.3)[severity])])


def lost_images(folder: Path, severity: int, chance: Chance) -> None:
    for path in some(files(folder, "train"), (0.05, 0.3, 0.8)[severity], chance):
        path.rename(path.with_name(f" {path.name.upper()}"))


def from_one(folder: Path, severity: int, chance: Chance) -> None:
    """Labels of a YOLO set that start at 1."""
    del severity, chance
    as_yolo(folder)
    for path in folder.rglob("*.txt"):
        if path.parent.parent.name == "labels":
            rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
            path.write_text("".join(f"{int(row[0]) + 1} {' '.join(row[1:])}\n" for row in rows))


def labels_misnamed(folder: Path, severity: int, chance: Chance) -> None:
    as_yolo(folder)
    found = sorted(path for path in folder.rglob("*.txt") if path.parent.parent.name == "labels")
    for path in some(found, (0.05, 0.3, 0.8)[severity], chance):
        path.rename(path.with_name(f"{path.stem} (1).txt"))


def yolo_corners(folder: Path, severity: int, chance: Chance) -> None:
    """YOLO texts with corners instead of centre and size."""
    del severity, chance
    as_yolo(folder)
    for path in folder.rglob("*.txt"):
        if path.parent.parent.name == "labels":
            rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
            lines = []
            for label, x, y, width, height in ([row[0], *map(float, row[1:5])] for row in rows):
                lines.append(
                    f"{label} {x - width / 2:.6f} {y - height / 2:.6f} {x + width / 2:.6f} {y + height / 2:.6f}\n"
                )
            path.write_text("".join(lines))


def as_yolo(folder: Path) -> None:
    """Write the folder anew as a YOLO set."""
    from snellen.recipes import convert, load

    old = folder.with_name(f"{folder.name}-coco")
    folder.rename(old)
    convert(load(old), folder, "yolo")
    shutil.rmtree(old)


def boxes_swapped(folder: Path, severity: int, chance: Chance) -> None:
    """Boxes that went to other images of the split, sizes of images kept."""
    table = coco(folder, "train")
    chosen = some([entry["id"] for entry in table["images"]], (0.7, 0.9, 1.0)[severity], chance)
    goes_to = dict(zip(chosen, (chosen[place] for place in chance.permutation(len(chosen))), strict=True))
    sides = {entry["id"]: (entry["width"], entry["height"]) for entry in table["images"]}
    for box in table["annotations"]:
        old, new = box["image_id"], goes_to.get(box["image_id"], box["image_id"])
        scale = [a / b for a, b in zip(sides[new] * 2, sides[old] * 2, strict=True)]
        box["image_id"], box["bbox"] = new, [value * part for value, part in zip(box["bbox"], scale, strict=True)]
    write_coco(folder, "train", table)
