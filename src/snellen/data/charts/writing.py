"""Charts as files, in the formats that people use, with the faults asked for."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image

from snellen.data.charts.drawing import SPLIT_CODES, Chart, ChartLetter, draw_chart
from snellen.data.charts.spec import ChartSpec, Split, default_chart_spec
from snellen.errors import InputError
from snellen.structures import BoxTarget, ClassTarget, MaskTarget, Target

__all__ = ["write_charts"]

_JPEG_QUALITY = 92  # as cameras store; artefacts stay below the noise that is drawn in
_EXIF_ORIENTATION = 0x0112  # tag of EXIF 2.3
_EXIF_TURN_CLOCKWISE = 6  # its value for "turn by 90 degrees clockwise to show"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """One chart on its way to a file; ``source`` names the chart it shows (another one's, if leaked)."""

    chart: Chart
    labels: tuple[int, ...]
    split: Split
    source: tuple[Split, int]
    path: Path
    rng: np.random.Generator


def write_charts(
    folder: Path | str,
    *,
    task: type[Target],
    num_train: int,
    num_val: int,
    num_test: int,
    spec: ChartSpec | None = None,
) -> Path:
    """Write a data set of eye charts in the format usual for its task.

    Detection gives COCO JSON (``annotations/instances_train.json``, images in ``train/``, likewise for
    ``val`` and ``test``, with masks as run lengths); classification gives ``labels.csv`` with the columns
    ``path,label,split,letter_height``; segmentation gives ``train/images``, ``train/masks`` (index PNG, 0 is
    background) and ``classes.txt``.

    Args:
        folder: Made if it does not exist.
        task: ``BoxTarget``, ``ClassTarget`` or ``MaskTarget``.
        num_train: Images to learn from.
        num_val: Images to choose by.
        num_test: Images to measure with.
        spec: How the charts look; ``default_chart_spec(task)`` if not given.

    Returns:
        The folder.

    Raises:
        InputError: If a number is negative or there is nothing to train on.
    """
    if num_train < 1 or min(num_val, num_test) < 0:
        raise InputError(
            "write_charts needs num_train of 1 or more and no negative number; "
            f"got {num_train}, {num_val} and {num_test}."
        )
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    counts: dict[Split, int] = {"train": num_train, "val": num_val, "test": num_test}
    _WRITERS[task](root, spec or default_chart_spec(task), {split: n for split, n in counts.items() if n})
    return root


def _pages(folder: Path, spec: ChartSpec, split: Split, count: int, num_train: int) -> Iterator[_Page]:
    """Draw the charts of one split, save their pictures, and hand them on for annotation."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        rng = np.random.default_rng([spec.seed, SPLIT_CODES[split], index, 1])  # 1: faults, apart from the drawing
        source: tuple[Split, int] = (split, index)
        if rng.random() < spec.faults.leak and split == "test":
            source = ("train", index % num_train)
        chart = draw_chart(spec, source[1], split=source[0])
        path = folder / f"{index:06d}.jpg"
        path.write_bytes(_file_bytes(chart, spec, split, rng))
        labels = tuple(_written_label(letter, spec, split, rng) for letter in chart.letters)
        yield _Page(chart=chart, labels=labels, split=split, source=source, path=path, rng=rng)


def _file_bytes(chart: Chart, spec: ChartSpec, split: Split, rng: np.random.Generator) -> bytes:
    is_turned = rng.random() < spec.faults.exif_rotated and split == "train"
    is_corrupt = rng.random() < spec.faults.corrupt and split == "train"
    picture = Image.fromarray(chart.image)
    exif = Image.Exif()
    if is_turned:
        picture = picture.transpose(Image.Transpose.ROTATE_90)
        exif[_EXIF_ORIENTATION] = _EXIF_TURN_CLOCKWISE
    memory = io.BytesIO()
    picture.save(memory, format="JPEG", quality=_JPEG_QUALITY, exif=exif)
    content = memory.getvalue()
    return content[: len(content) // 3] if is_corrupt else content


def _written_label(letter: ChartLetter, spec: ChartSpec, split: Split, rng: np.random.Generator) -> int:
    is_noisy, other = rng.random() < spec.faults.label_noise, int(rng.integers(1, len(spec.letters)))
    if split != "train":
        return letter.label
    return (letter.label + spec.faults.label_offset + (other if is_noisy else 0)) % len(spec.letters)


def _write_detection(root: Path, spec: ChartSpec, counts: Mapping[Split, int]) -> None:
    (root / "annotations").mkdir(exist_ok=True)
    height, width = spec.size
    categories = [{"id": number, "name": text} for number, text in enumerate(spec.letters, start=1)]
    for split, count in counts.items():
        images: list[dict[str, object]] = []
        annotations: list[dict[str, object]] = []
        for number, page in enumerate(_pages(root / split, spec, split, count, counts["train"]), start=1):
            text = "".join(letter.text for letter in page.chart.letters)
            images.append({"id": number, "file_name": page.path.name, "width": width, "height": height, "text": text})
            for annotation in _annotations(page, spec):
                annotations.append({"id": len(annotations) + 1, "image_id": number, **annotation})
        content = {"images": images, "annotations": annotations, "categories": categories}
        file = root / "annotations" / f"instances_{split}.json"
        file.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")


def _annotations(page: _Page, spec: ChartSpec) -> Iterator[dict[str, object]]:
    faults = spec.faults
    for letter, label in zip(page.chart.letters, page.labels, strict=True):
        is_missing, wobble = page.rng.random() < faults.missing_boxes, page.rng.standard_normal(4)
        corners = np.array(letter.box, dtype=np.float64)
        if page.split == "train":
            if is_missing:
                continue
            sides = np.tile(corners[2:] - corners[:2], 2)
            moved = corners + faults.box_shift_px + wobble * faults.box_jitter * sides
            corners = np.concatenate([np.minimum(moved[:2], moved[2:]), np.maximum(moved[:2], moved[2:])])
        x1, y1, x2, y2 = (round(float(value), 2) for value in corners)
        yield {
            "category_id": label + 1,
            "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
            "area": int(letter.mask.sum()),
            "iscrowd": 0,
            "segmentation": {"size": list(spec.size), "counts": _run_lengths(letter, spec.size)},
            "letter_height": round(letter.height, 2),
        }


def _run_lengths(letter: ChartLetter, size: tuple[int, int]) -> list[int]:
    """Return COCO's uncompressed run lengths: down the columns, beginning with a run of zeros."""
    x1, y1, x2, y2 = letter.box
    full = np.zeros((size[1], size[0]), dtype=bool)  # columns first
    full[x1:x2, y1:y2] = letter.mask.T
    flat = full.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate([[0], changes, [flat.size]]))
    return [int(run) for run in ([0, *runs] if flat[0] else runs)]


def _write_classification(root: Path, spec: ChartSpec, counts: Mapping[Split, int]) -> None:
    if spec.num_letters != (1, 1):
        raise InputError(
            f"charts to be classified show one letter each; ChartSpec.num_letters is {spec.num_letters}. "
            "Set it to (1, 1)."
        )
    with (root / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["path", "label", "split", "letter_height"])
        for split, count in counts.items():
            for page in _pages(root / split, spec, split, count, counts["train"]):
                letter = page.chart.letters[0]
                path = page.path.relative_to(root).as_posix()
                table.writerow([path, spec.letters[page.labels[0]], split, f"{letter.height:.2f}"])


def _write_segmentation(root: Path, spec: ChartSpec, counts: Mapping[Split, int]) -> None:
    (root / "classes.txt").write_text("\n".join(["background", *spec.letters]) + "\n", encoding="utf-8")
    for split, count in counts.items():
        masks = root / split / "masks"
        masks.mkdir(parents=True, exist_ok=True)
        for page in _pages(root / split / "images", spec, split, count, counts["train"]):
            labels = np.zeros(spec.size, dtype=np.uint8)
            for letter, label in zip(page.chart.letters, page.labels, strict=True):
                x1, y1, x2, y2 = letter.box
                labels[y1:y2, x1:x2][letter.mask] = label + 1
            Image.fromarray(labels).save(masks / f"{page.path.stem}.png", compress_level=1)


_WRITERS: Mapping[type[Target], Callable[[Path, ChartSpec, Mapping[Split, int]], None]] = MappingProxyType(
    {BoxTarget: _write_detection, ClassTarget: _write_classification, MaskTarget: _write_segmentation}
)
