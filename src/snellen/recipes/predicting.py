"""The verb predict: a run over images, folders, patterns or a video."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from rich.console import Console
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2

from snellen.data import ProposalStore, RegionSource, evaluation_transform, is_image_name, read_image
from snellen.errors import ConfigError, DatasetError, InputError, MissingExtraError
from snellen.evaluation import ImagePrediction, Naming, PredictionWriter, predict_tiled, predicted_batches
from snellen.imaging import Enhancement
from snellen.metrics import Decision
from snellen.ops import scale_boxes
from snellen.recipes.evaluating import PREDICTION_OF
from snellen.recipes.loaders import recorded_enhancement
from snellen.recipes.operating import applied, read_operating
from snellen.recipes.planning import chosen_device
from snellen.recipes.progress import counted
from snellen.recipes.proposing import region_source
from snellen.recipes.runs import Run
from snellen.report import draw
from snellen.structures import (
    Batch,
    BoxTarget,
    ClassTarget,
    Detections,
    LabelSetTarget,
    MaskTarget,
    Model,
    Prediction,
    Sample,
    SegmentationMap,
    Target,
    ValueTarget,
)
from snellen.training import autocast

__all__ = ["PredictSummary", "image_files", "predict"]

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg"})
_TILE_OVERLAP = 0.2  # of a tile's side; Akyon et al. 2022 (SAHI)


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictSummary:
    """What a prediction left behind.

    Attributes:
        folder: With the drawn images and the files of results.
        predictions: In the order of the images.
        skipped: Files that could not be read, with the reason.
    """

    folder: Path
    predictions: tuple[ImagePrediction, ...]
    skipped: Mapping[str, str]


def image_files(sources: Sequence[Path | str]) -> list[Path]:
    """Return image and video files for paths, folders (searched through) and patterns such as ``photos/*.jpg``.

    Raises:
        InputError: If a source matches nothing; the message names it.
    """
    found: list[Path] = []
    for source in sources:
        path = Path(source)
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file() and _is_readable(file))
        elif path.exists():
            files = [path]
        else:
            anchor = Path(path.anchor) if path.is_absolute() else Path()
            pattern = str(path.relative_to(anchor)) if path.is_absolute() else str(path)
            files = sorted(anchor.glob(pattern)) if any(sign in pattern for sign in "*?[") else []
        if not files:
            raise InputError(
                f"expected an image, a folder with images, or a pattern that matches some; {str(source)!r} gives none. "
                "Check the path."
            )
        found += files
    return list(dict.fromkeys(found))


def _is_readable(file: Path) -> bool:
    return is_image_name(file.name) or file.suffix.lower() in VIDEO_SUFFIXES


def predict(
    run: Run | Path | str,
    sources: Sequence[Path | str] | Path | str,
    *,
    folder: Path | str | None = None,
    which: str = "best",
    tile: int | None = None,
    min_score: float = 0.3,
    drawn: bool = True,
    device: str | None = None,
    console: Console | None = None,
) -> PredictSummary:
    """Predict images, draw the predictions, and write them as JSON lines (detections as COCO results too).

    Thresholds and a temperature that were chosen for the run (see ``evaluate``) decide what is named.

    Args:
        run: Trained, or its folder.
        sources: Images, folders, patterns, video files.
        folder: Where to write; ``predictions`` in the run's folder if None.
        which: ``best`` or ``last`` weights.
        tile: Side in pixels of the tiles into which large images are cut; each is resized as the model is used to.
        min_score: Detections below it are not drawn; the files have them all.
        drawn: Whether to draw.
        device: Where to compute; that of the run if None.
        console: Where to say what happens.

    Raises:
        InputError: If a source matches nothing, or no file could be read.
        ConfigError: If a value is out of range.
        CheckpointError: If the run has no weights.
    """
    if not 0 <= min_score <= 1:
        raise ConfigError(f"min_score must lie in 0..1; got {min_score}.")
    used = run if isinstance(run, Run) else Run.open(run)
    files = image_files([sources] if isinstance(sources, (str, Path)) else sources)
    place = torch.device(chosen_device(device or used.record["device"])[0])
    model = used.load(which=which, device=place)
    module: torch.nn.Module = model  # type: ignore[assignment]  # every model is a module
    module.to(memory_format=torch.channels_last)
    if tile is not None:
        _check_tile(used, tile, model.stride)
    operating = read_operating(used, which)
    decision = None if operating is None else operating.decision
    judge = _Judge(
        run=used,
        model=applied(model, operating),
        device=place,
        tile=tile,
        regions=region_source(used.record, Path(used.record["data"])),
        enhancement=recorded_enhancement(used.record),
    )
    out = Path(folder) if folder is not None else used.folder / "predictions"
    out.mkdir(parents=True, exist_ok=True)
    skipped: dict[str, str] = {}
    kept: list[ImagePrediction] = []
    naming = Naming(classes=used.classes, decision=decision)
    with PredictionWriter(out, PREDICTION_OF[used.target_type], naming) as writer:
        artist = _Artist(out, used.classes, min_score=min_score, decision=decision) if drawn else None
        for file in counted(files, total=len(files), what="predicting", console=console):
            try:
                for name, image in _frames(file):
                    prediction = judge.predict(image, len(kept), name)
                    entry = ImagePrediction(
                        index=len(kept),
                        source=name,
                        size=(image.shape[-2], image.shape[-1]),
                        prediction=prediction,
                    )
                    writer.write(entry)
                    kept.append(entry)
                    if artist is not None:
                        artist.draw(file, image, prediction)
            except DatasetError as error:
                skipped[str(file)] = str(error)
        if artist is not None:
            artist.close()
    if not kept:
        reasons = "\n".join(f"  {reason}" for reason in list(skipped.values())[:3])
        raise InputError(f"expected at least one readable image; none of {len(files)} files could be read:\n{reasons}")
    return PredictSummary(folder=out, predictions=tuple(kept), skipped=skipped)


def _check_tile(run: Run, tile: int, stride: int) -> None:
    if PREDICTION_OF[run.target_type] not in _RESCALED:
        raise ConfigError(
            f"tile is for models that say where things are; {run.record['model']} judges an image as a whole. "
            "Leave it out."
        )
    if run.record["resize"] == "square":
        raise ConfigError(
            f"tile is for models that take images of any size; {run.record['model']} takes squares of "
            f"{run.record['image_size']} px. Leave it out."
        )
    if run.record["proposals"] is not None:
        raise ConfigError(f"tile is for models that make their own proposals; {run.record['model']} does not.")
    if tile < stride:
        raise ConfigError(f"tile must be at least {stride} px for this model; got {tile}. Take larger tiles.")


def _frames(file: Path) -> Iterator[tuple[str, UInt8[Tensor, "3 height width"]]]:
    if file.suffix.lower() not in VIDEO_SUFFIXES:
        yield str(file), read_image(file)
        return
    for number, frame in enumerate(_video_frames(file)):
        yield f"{file}#{number}", frame


def _cv2(purpose: str) -> Any:
    try:
        import cv2  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("cv2", extra="video", purpose=purpose) from error
    return cv2


def _video_frames(file: Path) -> Iterator[UInt8[Tensor, "3 height width"]]:
    cv2 = _cv2("reading a video")
    video = cv2.VideoCapture(str(file))
    try:
        if not video.isOpened():
            raise DatasetError("expected a video that can be decoded; this one cannot be opened.", file=file)
        count = 0
        while True:
            good, frame = video.read()
            if not good:
                break
            count += 1
            yield torch.from_numpy(np.ascontiguousarray(frame[..., ::-1])).permute(2, 0, 1)  # [3, height, width]
        if not count:
            raise DatasetError("expected a video with frames; not one can be decoded. Convert it to MP4.", file=file)
    finally:
        video.release()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judge:
    """A loaded model with everything one image needs."""

    run: Run
    model: Model
    device: torch.device
    tile: int | None
    regions: RegionSource | None
    enhancement: Enhancement | None

    def predict(self, image: UInt8[Tensor, "3 height width"], index: int, source: str) -> Prediction:
        """Return the prediction for one image, in its pixels."""
        precision = self.run.record["settings"]["precision"]
        regions = self._regions(image, Path(source))
        if self.enhancement is not None:
            image = self.enhancement(image)
        if self.tile is not None and max(image.shape[-2:]) > self.tile:
            return self._tiled(image, precision)
        size = (image.shape[-2], image.shape[-1])
        target = _EMPTY_TARGETS[self.run.target_type](size, len(self.run.classes))
        sample = Sample(image=image, target=target, index=index, source=source, original_size=size, regions=regions)
        change = evaluation_transform(
            self.run.target_type, self.run.record["image_size"], resize=self.run.record["resize"]
        )
        batch = Batch.collate([change(sample, torch.Generator())], stride=self.model.stride)
        _, predictions = next(
            predicted_batches(
                self.model,
                [batch],
                device=self.device,
                precision_context=lambda: autocast(self.device, precision),
            )
        )
        return predictions[0]

    def _regions(self, image: UInt8[Tensor, "3 height width"], file: Path) -> Tensor | None:
        if isinstance(self.regions, ProposalStore) and not file.is_file():  # a frame of a video
            return self.regions.compute(image)
        return None if self.regions is None else self.regions(file, image)

    def _tiled(self, image: UInt8[Tensor, "3 height width"], precision: Any) -> Prediction:
        tile = self.tile or 0
        scale = self.run.record["image_size"] / tile
        size = (image.shape[-2], image.shape[-1])
        scaled = v2.functional.resize(image, [ceil(side * scale) for side in size], antialias=True)
        side = ceil(self.run.record["image_size"] / self.model.stride) * self.model.stride
        found = predict_tiled(
            self.model,
            scaled,
            tile_px=side,
            overlap_px=int(side * _TILE_OVERLAP),
            device=self.device,
            precision_context=lambda: autocast(self.device, precision),
        )
        return _RESCALED[type(found)](found, (scaled.shape[-2], scaled.shape[-1]), size)


def _no_boxes(size: tuple[int, int], num_classes: int) -> BoxTarget:
    del size, num_classes
    nothing = torch.zeros(0, dtype=torch.bool)
    return BoxTarget(boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64), valid=nothing, ignored=nothing)


# What a sample needs to pass through the transforms where nothing is known.
_EMPTY_TARGETS: Mapping[type[Target], Callable[[tuple[int, int], int], Target]] = {
    BoxTarget: _no_boxes,
    ClassTarget: lambda _size, num_classes: ClassTarget(probs=torch.zeros(num_classes)),
    LabelSetTarget: lambda _size, num_classes: LabelSetTarget(
        shown=torch.zeros(num_classes), known=torch.zeros(num_classes, dtype=torch.bool)
    ),
    MaskTarget: lambda size, _num_classes: MaskTarget(labels=torch.zeros(size, dtype=torch.uint8)),
    ValueTarget: lambda _size, num_values: ValueTarget(
        values=torch.zeros(num_values), known=torch.zeros(num_values, dtype=torch.bool)
    ),
}


def _rescaled_boxes(found: Detections, before: tuple[int, int], after: tuple[int, int]) -> Detections:
    boxes = scale_boxes(found.boxes, torch.tensor(before), torch.tensor(after))
    masks = found.masks
    if masks is not None:
        masks = functional.interpolate(masks[:, None].float(), after, mode="nearest-exact")[:, 0].to(torch.uint8)
    return Detections(boxes=boxes, scores=found.scores, labels=found.labels, masks=masks)


def _rescaled_map(found: SegmentationMap, before: tuple[int, int], after: tuple[int, int]) -> SegmentationMap:
    del before
    labels = functional.interpolate(found.labels[None, None].float(), after, mode="nearest-exact")[0, 0]
    confidence = functional.interpolate(found.confidence[None, None], after, mode="bilinear", align_corners=False)
    return SegmentationMap(labels=labels.to(torch.uint8), confidence=confidence[0, 0])


_RESCALED: Mapping[type[Prediction], Callable[[Any, tuple[int, int], tuple[int, int]], Prediction]] = {
    Detections: _rescaled_boxes,
    SegmentationMap: _rescaled_map,
}


class _Artist:
    """Writes drawn images, and drawn frames as a video."""

    def __init__(
        self, folder: Path, classes: tuple[str, ...], *, min_score: float, decision: Decision | None = None
    ) -> None:
        self.folder = folder / "drawn"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.classes = classes
        self.min_score = min_score
        self.decision = decision
        self.used: set[str] = set()
        self.video: Any = None
        self.video_file: Path | None = None

    def draw(self, file: Path, image: UInt8[Tensor, "3 height width"], prediction: Prediction) -> None:
        """Draw one prediction into the file that belongs to ``file``."""
        picture = draw(image, prediction, self.classes, min_score=self.min_score, decision=self.decision)
        if file.suffix.lower() in VIDEO_SUFFIXES:
            self._add_frame(file, np.asarray(picture))
            return
        self.close()
        picture.convert("RGB").save(self._free_name(file.stem, ".jpg"), quality=90)

    def close(self) -> None:
        """Finish the video, if one is being written."""
        if self.video is not None:
            self.video.release()
        self.video, self.video_file = None, None

    def _add_frame(self, file: Path, pixels: UInt8[np.ndarray, "height width 3"]) -> None:
        cv2 = _cv2("writing a video")
        if self.video_file != file:
            self.close()
            reader = cv2.VideoCapture(str(file))
            rate = reader.get(cv2.CAP_PROP_FPS) or 25.0
            reader.release()
            out = self._free_name(file.stem, ".mp4")
            size = (pixels.shape[1], pixels.shape[0])
            self.video = cv2.VideoWriter(str(out), cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
            self.video_file = file
        self.video.write(np.ascontiguousarray(pixels[..., ::-1]))

    def _free_name(self, stem: str, suffix: str) -> Path:
        number, name = 1, stem + suffix
        while name in self.used:
            number += 1
            name = f"{stem}-{number}{suffix}"
        self.used.add(name)
        return self.folder / name
