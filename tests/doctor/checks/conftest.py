"""Small annotated data sets, in memory and on disk, and a way to run one check on them."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snellen.data import BoxTable, DatasetIndex, MaskTable
from snellen.data.sharing import Strings
from snellen.doctor import CheckResult, Evidence, diagnose, find_check
from snellen.doctor.evidence.catalog import DATA_SOURCES
from snellen.doctor.evidence.images import ScanSettings

Rows = Sequence[Sequence[tuple[float, float, float, float, int]]]


class Annotated:
    """Writes and builds data sets whose labels are known."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def boxes(
        self,
        rows: Rows,
        *,
        size: tuple[int, int] = (100, 100),
        classes: Sequence[str] = ("cat", "dog"),
        splits: Mapping[str, int] | None = None,
    ) -> DatasetIndex:
        """Return an index from the boxes (xyxy, label) of each image; ``splits`` says how many images each has."""
        flat = [box for row in rows for box in row]
        names = tuple(splits or ())
        codes = np.repeat(np.arange(len(names)), list(splits.values())) if splits else np.full(len(rows), -1)
        return DatasetIndex(
            root=self.root,
            format="coco",
            classes=tuple(classes),
            paths=Strings.pack([f"{number}.jpg" for number in range(len(rows))]),
            annotations=BoxTable(
                offsets=np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64),
                boxes=np.array([box[:4] for box in flat], np.float32).reshape(-1, 4),
                labels=np.array([box[4] for box in flat], np.int32),
                flags=np.zeros(len(flat), np.uint8),
            ),
            sizes=np.tile(np.array(size, np.int32), (len(rows), 1)),
            splits=codes.astype(np.int16),
            split_names=names,
        )

    def coco(
        self,
        split: str,
        boxes: Sequence[Sequence[Sequence[float]]],
        *,
        size: tuple[int, int] = (40, 60),
        **changes: object,
    ) -> Path:
        """Write noise and ``instances_<split>.json`` with the ``bbox`` of each object of each image."""
        (self.root / "annotations").mkdir(exist_ok=True)
        images, objects = [], []
        for number, row in enumerate(boxes, 1):
            name = f"{split}/{number}.png"
            self.image(name, size, seed=number)
            images.append({"id": number, "file_name": name, "height": size[0], "width": size[1]})
            objects += [
                {"id": 100 * number + place, "image_id": number, "category_id": 1, "bbox": list(box)}
                for place, box in enumerate(row)
            ]
        content = {"images": images, "annotations": objects, "categories": [{"id": 1, "name": "cat"}], **changes}
        (self.root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
        return self.root

    def yolo(self, lines: Sequence[str | None], *, names: str = "[cat, dog]") -> Path:
        """Write an image for each label text; None leaves out the file."""
        for number, text in enumerate(lines):
            self.image(f"images/{number}.png", (40, 60), seed=number)
            if text is not None:
                place = self.root / "labels" / f"{number}.txt"
                place.parent.mkdir(exist_ok=True)
                place.write_text(text)
        (self.root / "data.yaml").write_text(f"train: images\nnames: {names}\n")
        return self.root

    def image(self, name: str, size: tuple[int, int], seed: int = 0) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)

    def masks(self, masks: Sequence[np.ndarray], *, names: Sequence[str] = ()) -> Path:
        """Write label images with images of the same size."""
        for number, values in enumerate(masks):
            self.image(f"images/{number}.png", values.shape[:2], seed=number)
            path = self.root / "masks" / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(values.astype(np.uint8)).save(path)
        if names:
            (self.root / "classes.txt").write_text("\n".join(names))
        return self.root

    def without_boxes(self) -> DatasetIndex:
        """Return an index of label images that nobody has looked at."""
        return DatasetIndex(
            root=self.root,
            format="masks",
            classes=("a", "b"),
            paths=Strings.pack([]),
            annotations=MaskTable(paths=Strings.pack([]), values=np.zeros(0, np.int32), labels=np.zeros(0, np.uint8)),
            sizes=np.zeros((0, 2), np.int32),
            splits=np.zeros(0, np.int16),
        )


@pytest.fixture
def annotated(tmp_path: Path) -> Annotated:
    folder = tmp_path / "data"
    folder.mkdir()
    return Annotated(folder)


@pytest.fixture
def judged(tmp_path: Path) -> Callable[..., CheckResult]:
    """Run one check on what is given, with everything that can be measured of data."""

    def run(code: str, *given: object) -> CheckResult:
        evidence = Evidence([ScanSettings(workers=1, cache=tmp_path / "cache"), *given], DATA_SOURCES)
        (result,) = diagnose(evidence, [find_check(code)]).results
        assert not result.trace, result.trace
        return result

    return run


@pytest.fixture
def said() -> Callable[[CheckResult], list[str]]:
    """Return what a check says in English."""
    return lambda result: [result.check.pages["en"].message(finding) for finding in result.findings]
