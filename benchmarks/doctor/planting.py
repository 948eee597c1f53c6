"""What operators that break a data set share: its files, its COCO tables, copies with their labels."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Chance = np.random.Generator
Change = Callable[[Path, int, Chance], None]


def contents(folder: Path) -> Mapping[str, object]:
    """Return what stands in every file, by name: tables as what they say, however they are written."""
    return {str(path.relative_to(folder)): _content(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def _content(path: Path) -> object:
    data = path.read_bytes()
    if path.suffix == ".json":
        try:
            return json.loads(data)
        except ValueError:  # cut off, which is a fault of its own
            pass
    return hashlib.sha256(data).digest()


def files(folder: Path, split: str) -> list[Path]:
    """Return the image files of a split, whatever the layout."""
    home = folder / split
    home = home / "images" if (home / "images").is_dir() else home
    return sorted(path for path in home.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".bmp"))


def some(items: list[Any], share: float, chance: Chance) -> list[Any]:
    """Return a share of a list, at least one."""
    count = max(1, round(share * len(items)))
    return [items[place] for place in sorted(chance.permutation(len(items))[:count])]


def redrawn(path: Path, change: Callable[[Image.Image], Image.Image], **options: Any) -> None:
    with Image.open(path) as image:
        changed = change(image.convert("RGB"))
    save(changed, path, **options)


def save(image: Image.Image, path: Path, **options: Any) -> None:
    if path.suffix.lower() in (".jpg", ".jpeg"):
        options = {"quality": 92, **options}
    image.save(path, **options)


def coco(folder: Path, split: str) -> dict[str, Any]:
    return json.loads((folder / "annotations" / f"instances_{split}.json").read_text())


def write_coco(folder: Path, split: str, table: dict[str, Any]) -> None:
    (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(table))


def same(image: Image.Image) -> Image.Image:
    return image


def splits(folder: Path) -> list[str]:
    return [name for name in ("train", "val", "test") if (folder / name).is_dir()]


def held_out(folder: Path) -> str:
    return splits(folder)[-1]


def duplicate(folder: Path, path: Path, split: str, change: Callable[[Image.Image], Image.Image]) -> None:
    """Put a changed copy of a training image, with its labels, into a split."""
    name = f"copy-{path.name}"
    place = folder / split / path.parent.relative_to(folder / "train") / name
    place.parent.mkdir(parents=True, exist_ok=True)
    if change is same:
        shutil.copy(path, place)
    else:
        with Image.open(path) as image:
            save(change(image.convert("RGB")), place)
    if (folder / "annotations").is_dir():
        source = coco(folder, "train")
        target = source if split == "train" else coco(folder, split)
        entry = next(entry for entry in source["images"] if entry["file_name"] == path.name)
        number = max(image["id"] for image in target["images"]) + 1_000_000
        boxes = [box for box in source["annotations"] if box["image_id"] == entry["id"]]
        first = max((box["id"] for box in target["annotations"]), default=0) + 1_000_000
        target["images"].append({**entry, "id": number, "file_name": name})
        target["annotations"] += [{**box, "id": first + at, "image_id": number} for at, box in enumerate(boxes)]
        write_coco(folder, split, target)
    elif (folder / "train" / "masks").is_dir():
        mask = folder / "train" / "masks" / f"{path.stem}.png"
        shutil.copy(mask, folder / split / "masks" / f"copy-{mask.name}")
