"""Pictures that look a little like photographs, in files, and the data set that they make."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from snellen.data import ClassTable, DatasetIndex
from snellen.data.sharing import Strings
from snellen.doctor import CheckResult, Evidence, diagnose, find_check
from snellen.doctor.evidence.catalog import DATA_SOURCES
from snellen.doctor.evidence.images import ScanSettings

SPLITS = ("train", "val")


def photo(seed: int, size: tuple[int, int] = (200, 150)) -> Image.Image:
    """Coloured clouds of all sizes with some bright and dark things before them."""
    chance = np.random.default_rng(seed)
    width, height = size
    total = np.zeros((height, width, 3))
    for octave in range(1, 7):
        side = 2**octave
        clouds = Image.fromarray(chance.integers(0, 256, (side, side, 3)).astype(np.uint8))
        total += np.asarray(clouds.resize(size, Image.Resampling.BICUBIC), np.float64) / side**0.25
    total = 40 + 175 * (total - total.min()) / np.ptp(total)
    for _ in range(8):
        x, y = chance.integers(0, width), chance.integers(0, height)
        total[y : y + chance.integers(8, 30), x : x + chance.integers(8, 30)] = chance.integers(20, 236, 3)
    return Image.fromarray(total.astype(np.uint8))


@dataclass
class Gallery:
    """Files of a data set for classification, in the order in which they were added."""

    root: Path
    rows: list[tuple[str, str, int]] = field(default_factory=list)
    photo = staticmethod(photo)

    @staticmethod
    def photos(count: int, first: int = 0) -> list[Image.Image]:
        return [photo(first + number) for number in range(count)]

    def add(self, content: Image.Image | bytes, name: str = "", *, split: str = "train", label: int = 0, **options):
        name = name or f"{len(self.rows):04d}.jpg"
        path = self.root / split / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            content.save(path, **({"quality": 92} if path.suffix == ".jpg" else {}), **options)
        self.rows.append((f"{split}/{name}", split, label))
        return path

    def add_all(self, pictures, **options):
        for picture in pictures:
            self.add(picture, **options)

    def index(self, annotations=None, sizes=None, groups=None) -> DatasetIndex:
        count = len(self.rows)
        names = [split for split in SPLITS if any(row[1] == split for row in self.rows)]
        return DatasetIndex(
            root=self.root,
            format="folders",
            classes=("cat", "dog", "owl"),
            paths=Strings.pack([row[0] for row in self.rows]),
            annotations=annotations or ClassTable(labels=np.array([row[2] for row in self.rows], np.int32)),
            sizes=np.zeros((count, 2), np.int32) if sizes is None else np.asarray(sizes, np.int32),
            splits=np.array([names.index(row[1]) for row in self.rows], np.int16),
            split_names=tuple(names),
            groups=groups,
        )

    def evidence(self, index: DatasetIndex | None = None) -> Evidence:
        settings = ScanSettings(workers=0, cache=self.root.parent / "cache")
        return Evidence([index or self.index(), settings], DATA_SOURCES)

    def result(self, code: str, index: DatasetIndex | None = None) -> CheckResult:
        (result,) = diagnose(self.evidence(index), [find_check(code)]).results
        return result

    def said(self, code: str, index: DatasetIndex | None = None) -> list[str]:
        result = self.result(code, index)
        assert not result.trace, result.trace
        return [result.check.pages["en"].message(finding) for finding in result.findings]
