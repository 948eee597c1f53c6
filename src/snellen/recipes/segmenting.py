"""Segmenting without a training: classical segmenters on images, guided by a box or by marks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int32, UInt8
from PIL import Image
from rich.console import Console
from torch import Tensor

from snellen.data import is_image_name, read_image
from snellen.data.seeds import read_seeds
from snellen.errors import ConfigError, DatasetError, InputError
from snellen.evaluation import ImagePrediction, Naming, PredictionWriter
from snellen.imaging import resize_bilinear, resize_nearest
from snellen.imaging.segmentation import Hints
from snellen.models import change_settings
from snellen.models.segmentation.classical import ClassicalSegmenter, find_method
from snellen.recipes.predicting import PredictSummary, image_files
from snellen.recipes.progress import counted, say
from snellen.recipes.runs import new_folder
from snellen.report import draw
from snellen.report.region_drawing import draw_regions
from snellen.structures import SegmentationMap

__all__ = ["Segmented", "segment", "segment_files"]

Box = tuple[float, float, float, float]

_FOLDER = Path("predictions")
_MOST_REGIONS = 2**16  # that a PNG of 16 bits tells apart
_CLASSES = ("background", "foreground")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segmented:
    """One image, cut.

    Attributes:
        regions: Number of each pixel's region, 0..R-1.
        map: Class of each pixel; its confidence is no probability, for nothing was fitted.
        classes: Names, in label order.
        is_plain: Whether the method only cuts, so that foreground is no more than what lies rather inside than at the
            frame of the image.
        reduced_to: Height and width at which the image was cut; None for its own.
    """

    regions: Int32[np.ndarray, "height width"]
    map: SegmentationMap
    classes: tuple[str, ...]
    is_plain: bool
    reduced_to: tuple[int, int] | None = None


def segment(
    image: UInt8[Tensor, "3 height width"] | UInt8[np.ndarray, "height width 3"] | Path | str,
    method: str = "watershed",
    *,
    box: Sequence[float] | None = None,
    seeds: Int32[np.ndarray, "height width"] | Path | str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Segmented:
    """Cut one image by a classical segmenter, as it is, without a training.

    Args:
        image: RGB, or its file.
        method: Such as ``otsu``, ``canny``, ``watershed``, ``slic``, ``graph_cut`` or ``grabcut``; ``snellen models
            --task mask`` lists them.
        box: x0, y0, x1, y1 in pixels around the one thing that is wanted; for methods that take it.
        seeds: 0 where nothing is known, 1 for background, 2 for foreground, …; or a file, see ``read_seeds``.
        settings: Changes by name, such as ``{"smoothness": 20}``; ``snellen models NAME`` lists them.

    Raises:
        ConfigError: If there is no such method or setting.
        InputError: If the method cannot be told that, or it does not fit the image.
        DatasetError: If a file cannot be read.
    """
    model = _model(method, settings)
    pixels = _pixels(image)
    marks = read_seeds(Path(seeds), pixels.shape[:2]) if isinstance(seeds, (str, Path)) else seeds
    return _segmented(model, pixels, _hints(model, box, marks))


def segment_files(
    sources: Sequence[Path | str] | Path | str,
    method: str,
    *,
    box: Sequence[float] | None = None,
    seeds: Path | str | None = None,
    settings: Mapping[str, Any] | None = None,
    folder: Path | str | None = None,
    drawn: bool = True,
    console: Console | None = None,
) -> PredictSummary:
    """Cut images by a classical segmenter, draw them, and write maps, regions and JSON lines as ``predict`` does.

    Args:
        sources: Images, folders, patterns.
        method: See ``segment``.
        box: See ``segment``; the same for all images.
        seeds: A file of marks for a single image, or a folder with a file for each, of the same name but for its end.
        settings: See ``segment``.
        folder: Where to write; ``predictions/METHOD`` if None.
        drawn: Whether to draw.
        console: Where to say what happens.

    Raises:
        ConfigError: If there is no such method or setting.
        InputError: If a source matches nothing, or no file could be cut.
    """
    model = _model(method, settings)
    # Refused before any image is read; the marks themselves are read with each image.
    _hints(model, box, None if seeds is None else np.zeros((1, 1), dtype=np.int32))
    given = image_files([sources] if isinstance(sources, (str, Path)) else sources)
    files = [file for file in given if is_image_name(file.name)]
    videos = [file for file in given if file not in set(files)]
    skipped = {str(file): f"{file}: expected an image; a video has to be cut into frames." for file in videos}
    marks = _seed_files(files, None if seeds is None else Path(seeds))
    out = Path(folder) if folder is not None else new_folder(method, _FOLDER)
    kept: list[ImagePrediction] = []
    names = _Names(out, drawn=drawn)
    with PredictionWriter(out, SegmentationMap, Naming(classes=_CLASSES)) as writer:
        for file in counted(files, total=len(files), what="segmenting", console=console):
            try:
                pixels = _pixels(file)
                told = None if file not in marks else read_seeds(marks[file], pixels.shape[:2])
                found = _segmented(model, pixels, _hints(model, box, told))
                names.write(file, pixels, found)
            except (DatasetError, InputError) as error:
                skipped[str(file)] = str(error) if isinstance(error, DatasetError) else f"{file}: {error}"
                continue
            size = (pixels.shape[0], pixels.shape[1])
            entry = ImagePrediction(index=len(kept), source=str(file), size=size, prediction=found.map)
            writer.write(entry)
            kept.append(entry)
            if found.reduced_to is not None:
                height, width = found.reduced_to
                say(console, f"{file}: cut at {width} × {height} px, for {method} takes long; borders are enlarged")
    if not kept:
        reasons = "\n".join(f"  {reason}" for reason in list(skipped.values())[:3])
        raise InputError(f"expected at least one image that can be cut; none of {len(given)} files was:\n{reasons}")
    return PredictSummary(folder=out, predictions=tuple(kept), skipped=skipped)


def _model(method: str, settings: Mapping[str, Any] | None) -> ClassicalSegmenter:
    try:
        find_method(method)
    except ConfigError as error:
        raise ConfigError(f"{error} Other models are trained first, and predict by the folder of their run.") from error
    model = ClassicalSegmenter(len(_CLASSES), method=method)
    by_path = {name if "." in name else f"settings.{name}": value for name, value in (settings or {}).items()}
    change_settings(model, by_path)
    return model


def _pixels(
    image: UInt8[Tensor, "3 height width"] | UInt8[np.ndarray, "height width 3"] | Path | str,
) -> UInt8[np.ndarray, "height width 3"]:
    if isinstance(image, (str, Path)):
        image = read_image(Path(image))
    pixels = image.permute(1, 2, 0).cpu().numpy() if isinstance(image, Tensor) else image
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise InputError(
            f"an image must be uint8 RGB, [3, height, width] as a tensor or [height, width, 3] as an array; got "
            f"{pixels.dtype} {list(image.shape)}."
        )
    return np.ascontiguousarray(pixels)


def _hints(model: ClassicalSegmenter, box: Sequence[float] | None, seeds: Int32[np.ndarray, "h w"] | None) -> Hints:
    if box is not None and len(box) != 4:
        raise InputError(f"a box must be x0,y0,x1,y1; got {len(box)} numbers.")
    edges: Box | None = None if box is None else (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
    hints = Hints(box=edges, seeds=None if seeds is None else seeds.astype(np.int32))
    model.check_told(hints)
    return hints


def _segmented(model: ClassicalSegmenter, pixels: UInt8[np.ndarray, "h w 3"], hints: Hints) -> Segmented:
    height, width = pixels.shape[:2]
    scale = min(1.0, sqrt(model.method.most_pixels / (height * width)))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    image, told = (pixels, hints) if size == (height, width) else _reduced(pixels, hints, size)
    found = model.cut(image, told)
    labels = torch.from_numpy(found.labels.astype(np.uint8))
    confidence = torch.from_numpy(found.probs.max(axis=0).astype(np.float32))
    regions = torch.from_numpy(found.partition.labels)
    if size != (height, width):
        labels = resize_nearest(labels[None], height=height, width=width)[0]
        confidence = resize_nearest(confidence[None], height=height, width=width)[0]
        # float32 holds region numbers up to 2**24, and there are no more of them than pixels.
        regions = resize_nearest(regions[None].float(), height=height, width=width)[0].to(torch.int32)
    return Segmented(
        regions=regions.numpy(),
        map=SegmentationMap(labels=labels, confidence=confidence),
        classes=_class_names(len(found.probs)),
        is_plain=found.partition.sides is None,
        reduced_to=None if size == (height, width) else size,
    )


def _reduced(
    pixels: UInt8[np.ndarray, "h w 3"], hints: Hints, size: tuple[int, int]
) -> tuple[UInt8[np.ndarray, "h w 3"], Hints]:
    """Return an image, and what is told of it, at a smaller size; a mark stays where any pixel has it."""
    height, width = pixels.shape[:2]
    down, across = size[0] / height, size[1] / width
    small = resize_bilinear(torch.from_numpy(pixels).permute(2, 0, 1), height=size[0], width=size[1])
    box = hints.box
    if box is not None:
        box = (box[0] * across, box[1] * down, box[2] * across, box[3] * down)
    seeds = hints.seeds
    if seeds is not None:
        rows, columns = np.nonzero(seeds)
        fewer = np.zeros(size, dtype=np.int32)
        fewer[(rows * down).astype(int), (columns * across).astype(int)] = seeds[rows, columns]
        seeds = fewer
    return small.permute(1, 2, 0).contiguous().numpy(), Hints(box=box, seeds=seeds)


def _seed_files(files: Sequence[Path], seeds: Path | None) -> Mapping[Path, Path]:
    """Return the file of marks of each image that has one."""
    if seeds is None:
        return {}
    if seeds.is_dir():
        by_stem = {path.stem: path for path in sorted(seeds.iterdir()) if path.is_file()}
        missing = [file for file in files if file.stem not in by_stem]
        if missing:
            raise InputError(
                f"expected a file of marks in {seeds} for each image; there is none for {missing[0].name} and "
                f"{len(missing) - 1} others. Name marks as their images are named."
            )
        return {file: by_stem[file.stem] for file in files}
    if len(files) != 1:
        raise InputError(
            f"a file of marks is for one image; got {len(files)} images. Give a folder with a file for each."
        )
    return {files[0]: seeds}


def _class_names(number: int) -> tuple[str, ...]:
    return (*_CLASSES, *(f"class {label}" for label in range(len(_CLASSES), number)))


class _Names:
    """Writes what was cut into a folder, under names that are not taken."""

    def __init__(self, folder: Path, *, drawn: bool) -> None:
        self.folder = folder
        self.drawn = drawn
        self.used: set[str] = set()
        for part in ("regions", *(("drawn",) if drawn else ())):
            (folder / part).mkdir(parents=True, exist_ok=True)

    def write(self, file: Path, pixels: UInt8[np.ndarray, "h w 3"], found: Segmented) -> None:
        """Write the regions of an image, and the image with them drawn on it."""
        if found.regions.max() >= _MOST_REGIONS:
            raise InputError(
                f"expected at most {_MOST_REGIONS} regions; got {found.regions.max() + 1}. Choose coarser settings."
            )
        number, stem = 1, file.stem
        while stem in self.used:
            number += 1
            stem = f"{file.stem}-{number}"
        self.used.add(stem)
        Image.fromarray(found.regions.astype(np.uint16)).save(self.folder / "regions" / f"{stem}.png")
        if self.drawn:
            self._picture(pixels, found).convert("RGB").save(self.folder / "drawn" / f"{stem}.jpg", quality=90)

    @staticmethod
    def _picture(pixels: UInt8[np.ndarray, "h w 3"], found: Segmented) -> Image.Image:
        if found.is_plain:
            return draw_regions(pixels, found.regions)
        return draw(torch.from_numpy(pixels).permute(2, 0, 1), found.map, found.classes)
