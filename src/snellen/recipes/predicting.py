"""The verb predict: a run over images, folders, patterns or a video."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from rich.console import Console
from torch import Tensor

from snellen.data import is_image_name, read_image
from snellen.errors import ConfigError, DatasetError, InputError, MissingExtraError
from snellen.evaluation import ImagePrediction, Naming, PredictionWriter
from snellen.imaging import DenseCrfSettings
from snellen.metrics import Decision
from snellen.nn import quick_layout
from snellen.recipes.crf_choice import read_crf
from snellen.recipes.evaluating import PREDICTION_OF
from snellen.recipes.inference import Inference, check_inference, crf_settings, seen_by
from snellen.recipes.operating import applied, read_operating
from snellen.recipes.planning import chosen_device
from snellen.recipes.progress import counted, say
from snellen.recipes.runs import Run, write_json
from snellen.recipes.single_images import ImageJudge
from snellen.report import draw, prediction_words
from snellen.structures import Prediction

__all__ = ["PredictSummary", "image_files", "predict"]

PREDICTED_WITH = "predicted_with.json"
_MOST_TOLD = 10  # predictions that are printed; the files have all of them
VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg"})


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


def _several(sources: Sequence[Path | str] | Path | str) -> Sequence[Path | str]:
    return [sources] if isinstance(sources, (str, Path)) else sources


def _is_readable(file: Path) -> bool:
    return is_image_name(file.name) or file.suffix.lower() in VIDEO_SUFFIXES


def predict(
    run: Run | Path | str,
    sources: Sequence[Path | str] | Path | str,
    *,
    folder: Path | str | None = None,
    which: str = "best",
    tile: int | None = None,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    crf: bool | DenseCrfSettings | Mapping[str, Any] | None = None,
    min_score: float = 0.3,
    drawn: bool = True,
    device: str | None = None,
    console: Console | None = None,
) -> PredictSummary:
    """Predict images, draw the predictions, and write them as JSON lines (detections as COCO results too).

    The first few are told in a line each.

    Thresholds and a temperature that were chosen for the run (see ``evaluate``) decide what is named.

    Args:
        run: Trained, or its folder.
        sources: Images, folders, patterns, video files.
        folder: Where to write; ``predictions`` in the run's folder if None.
        which: ``best`` or ``last`` weights.
        tile: Side in pixels of the tiles into which large images are cut; each is resized as the model is used to.
        scales: Factors of the size at which the model is used to see images; its answers are averaged.
        flip: Whether mirrored images are seen, too.
        crf: Whether labels of pixels are refined by a dense CRF: with what was chosen for the run (see ``evaluate``) or
            the defaults; its settings; or those that differ, by name.
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
    used, files = run if isinstance(run, Run) else Run.open(run), image_files(_several(sources))
    place = torch.device(chosen_device(device or used.record["device"])[0])
    model = used.load(which=which, device=place)
    module: torch.nn.Module = model  # type: ignore[assignment]  # every model is a module
    quick_layout(module)
    chosen = read_crf(used, which)
    settings = crf_settings(None if chosen is None else chosen.settings, wanted=crf)
    inference = Inference(tile=tile, scales=tuple(scales), flip=flip, crf=settings)
    check_inference(used, inference, model.stride)
    operating = read_operating(used, which)
    decision = None if operating is None else operating.decision
    judge = ImageJudge.of(used, applied(seen_by(model, inference), operating), device=place, tile=tile)
    out = Path(folder) if folder is not None else used.folder / "predictions"
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / PREDICTED_WITH, {"run": str(used.folder), "which": which, **inference.record()})
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
                    if len(kept) <= _MOST_TOLD:
                        told = prediction_words(prediction, used.classes, min_score=min_score, decision=decision)
                        say(console, f"{name}: {told}")
            except DatasetError as error:
                skipped[str(file)] = str(error)
        if artist is not None:
            artist.close()
    if not kept:
        reasons = "\n".join(f"  {reason}" for reason in list(skipped.values())[:3])
        raise InputError(f"expected at least one readable image; none of {len(files)} files could be read:\n{reasons}")
    return PredictSummary(folder=out, predictions=tuple(kept), skipped=skipped)


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
