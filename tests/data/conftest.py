"""Builders of small data sets on disk."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


class Maker:
    """Writes images and annotation files beneath one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def image(self, name: str, size: tuple[int, int] = (40, 30), *, seed: int = 0) -> Path:
        """Write noise; ``size`` is width, height."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        return path

    def mask(self, name: str, values: np.ndarray, mode: str | None = None) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(values.astype(np.uint8))
        (picture if mode is None else picture.convert(mode)).save(path)
        return path

    def text(self, name: str, content: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path

    def bytes(self, name: str, content: bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def coco(self, annotations: list, *, images: list | None = None, categories: list | None = None) -> Path:
        self.image("a.jpg")
        self.image("b.jpg", seed=1)
        default = [{"id": n, "file_name": f"{c}.jpg", "width": 40, "height": 30} for n, c in ((1, "a"), (2, "b"))]
        content = {
            "images": default if images is None else images,
            "annotations": annotations,
            "categories": [{"id": 7, "name": "cat"}, {"id": 90, "name": "dog"}] if categories is None else categories,
        }
        return self.text("labels.json", json.dumps(content))

    def voc(self, body: str, *, name: str = "a") -> Path:
        self.image(f"JPEGImages/{name}.jpg")
        size = "<size><width>40</width><height>30</height><depth>3</depth></size>"
        text = f"<annotation><filename>{name}.jpg</filename>{size}{body}</annotation>"
        self.text(f"Annotations/{name}.xml", text)
        return self.root

    def yolo(self, lines: str | None, *, names: str = "[cat, dog]") -> Path:
        self.image("images/train/a.jpg")
        self.image("images/train/b.jpg", seed=1)
        self.text("labels/train/b.txt", "1 0.5 0.5 0.5 0.5\n")
        if lines is not None:
            self.text("labels/train/a.txt", lines)
        self.text("data.yaml", f"path: .\ntrain: images/train\nnames: {names}\n")
        return self.root


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    folder = tmp_path / "data"
    folder.mkdir()
    return Maker(folder)
