"""Kernels of a dense CRF for a trained model, chosen on its validation images and kept in ``crf.json``.

Never on test images: settings that were chosen on the images that measure them flatter the model.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from snellen.data import DatasetIndex, ImageDataset
from snellen.errors import CheckpointError, ConfigError
from snellen.evaluation import has_pixel_scores, inspecting, pixel_probs, said_anew
from snellen.imaging import DenseCrfSettings, dense_crf
from snellen.metrics import confusion_counts, overlap_figures
from snellen.models.ensemble import Ensemble
from snellen.recipes.inference import Inference, check_inference, seen_by
from snellen.recipes.loaders import evaluation_loader
from snellen.recipes.operating import weights_digest
from snellen.recipes.planning import chosen_device
from snellen.recipes.progress import counted, say
from snellen.recipes.runs import Run, write_json
from snellen.structures import IGNORE_LABEL, Model
from snellen.training import autocast

__all__ = ["CRF", "CrfChoice", "choose_crf", "read_crf"]

CRF = "crf.json"
_VERSION = 1
_SPLIT = "val"
_MOST_IMAGES = 20  # to choose on; Chen et al. 2015, section 4.1, take 100 of 1449
_MOST_PROBS = 2**28  # kept at once, 0.5 GB of float16
_USUAL_DIAGONAL_PX = 625.0  # of Pascal VOC's images, for which the widths are meant
# One after another, each from the best before; about the ranges of Chen et al. 2015, section 4.1.
_SEARCH: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("appearance_levels", (3.0, 5.0, 8.0, 13.0)),
    ("appearance_px", (15.0, 30.0, 60.0, 100.0)),
    ("appearance_weight", (1.0, 2.0, 4.0, 8.0)),
    ("smoothness_weight", (0.0, 1.0, 3.0, 6.0)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrfChoice:
    """What was chosen for one set of weights.

    Attributes:
        weights: Digest of the checkpoint it was chosen for; it says nothing about others.
        num_images: Validation images it was chosen on.
        settings: The best that was tried.
        before: Mean IoU of those images without the field.
        after: Mean IoU with it.
    """

    weights: str
    num_images: int
    settings: DenseCrfSettings
    before: float
    after: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Seen:
    """What a network says of one image: probabilities at the size at which it sees it."""

    probs: Tensor
    pixels: Tensor
    truth: np.ndarray
    output: Any


def read_crf(run: Run, which: str = "best") -> CrfChoice | None:
    """Return what was chosen for the weights of a run; None if nothing was, or for others.

    Raises:
        CheckpointError: If the file cannot be read, or nothing was trained yet.
    """
    file = run.folder / CRF
    if not file.is_file():
        return None
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        if told.pop("version") != _VERSION:
            return None
        told.pop("chosen_on")
        found = CrfChoice(**{**told, "settings": DenseCrfSettings(**told["settings"])})
    except (ValueError, KeyError, TypeError, ConfigError) as error:
        raise CheckpointError(
            f"{file}: expected what `snellen eval --tune-crf` wrote; got {type(error).__name__}: {error}. Remove the "
            "file, or choose again."
        ) from error
    return found if found.weights == weights_digest(run.weights_file(which)) else None


def choose_crf(
    run: Run,
    index: DatasetIndex,
    *,
    inference: Inference,
    which: str = "best",
    device: str | None = None,
    console: Console | None = None,
) -> CrfChoice:
    """Choose the kernels of the highest mean IoU on validation images, and keep them in the folder of the run.

    Colours, places and weights are tried one after another, each from the best before, on at most 20 images that lie
    evenly over the split.

    Args:
        run: Trained.
        index: Its data set, divided as it was then.
        inference: Views that are taken before the field.
        which: ``best`` or ``last`` weights.
        device: Where to compute; that of the run if None.
        console: Where to say what happens.

    Raises:
        ConfigError: If the data have no validation images, or the run does not give every pixel a class.
    """
    if _SPLIT not in index.split_names or not len(index.split_rows(_SPLIT)):
        raise ConfigError(
            f"a dense CRF is chosen on the images of the split {_SPLIT!r}; {index.root} has none. Put some of the "
            "training images into it; test images only measure."
        )
    place = torch.device(chosen_device(device or run.record["device"])[0])
    model = run.load(which=which, device=place)
    check_inference(run, replace(inference, crf=DenseCrfSettings()), model.stride)
    if isinstance(model, Ensemble):
        raise ConfigError("a dense CRF is chosen for one network; this run is an ensemble. Give its settings.")
    model = seen_by(model, replace(inference, tile=None, crf=None))
    part = index.split(_SPLIT)
    size = run.record["image_size"]
    most = min(_MOST_IMAGES, max(1, _MOST_PROBS // (len(run.classes) * 2 * size * size)))
    rows = np.unique(np.linspace(0, len(part) - 1, min(len(part), most)).astype(int))
    seen = [*_seen_images(run, model, part.select(rows), place, console)]
    before = _score(model, seen, None, len(run.classes))
    settings, after = _best(model, seen, len(run.classes), console)
    chosen = CrfChoice(
        weights=weights_digest(run.weights_file(which)),
        num_images=len(seen),
        settings=settings,
        before=before,
        after=after,
    )
    write_json(run.folder / CRF, {"version": _VERSION, "chosen_on": _SPLIT, **asdict(chosen)})
    told = ", ".join(f"{name} {value:g}" for name, value in asdict(settings).items())
    verdict = "" if after > before else "; it does not help this network"
    say(
        console,
        f"dense CRF chosen on {len(seen)} {_SPLIT} images: mIoU {before:.4g} without, {after:.4g} with {told}{verdict}",
    )
    return chosen


def _seen_images(
    run: Run, model: Model, part: DatasetIndex, place: torch.device, console: Console | None
) -> Iterator[_Seen]:
    loader = evaluation_loader(part, run.record, model.stride)
    dataset = ImageDataset(part, masks=run.record["masks"])
    for batch in counted(loader.epoch(0), total=len(loader), what="seeing validation images", console=console):
        images = batch.images.to(place)
        with inspecting(model), autocast(place, run.record["settings"]["precision"]):
            output = model(images)
        if not has_pixel_scores(output):
            raise ConfigError(
                f"a dense CRF needs scores of every pixel; {run.record['model']} tells none. Leave it out."
            )
        for row, probs, pixels in zip(batch.indices.tolist(), pixel_probs(output), images.pixels, strict=True):
            truth: Any = dataset.truth(row)
            content = pixels[:, : probs.shape[1], : probs.shape[2]]
            yield _Seen(probs=probs.half(), pixels=content, truth=truth.labels.numpy(), output=output)


def _best(
    model: Model, seen: Sequence[_Seen], num_classes: int, console: Console | None
) -> tuple[DenseCrfSettings, float]:
    diagonals = [float(np.hypot(*image.probs.shape[1:])) for image in seen]
    scale = float(np.median(diagonals)) / _USUAL_DIAGONAL_PX
    best = DenseCrfSettings(appearance_px=_pixels(60.0, scale))
    score = _score(model, seen, best, num_classes)
    tries = [(name, value) for name, values in _SEARCH for value in values]
    for name, value in counted(tries, total=len(tries), what="trying kernels", console=console):
        change: Any = {name: _pixels(value, scale) if name.endswith("_px") else value}
        other = replace(best, **change)
        if other == best:
            continue
        found = _score(model, seen, other, num_classes)
        if found > score:
            best, score = other, found
    return best, score


def _pixels(usual: float, scale: float) -> float:
    return float(max(1, round(usual * scale)))


def _score(model: Model, seen: Sequence[_Seen], settings: DenseCrfSettings | None, num_classes: int) -> float:
    """Return the mean IoU in the pixels of the files."""
    confusion = np.zeros((num_classes, num_classes), np.int64)
    with inspecting(model):
        for image in seen:
            probs = image.probs.float()
            if settings is not None:
                probs = dense_crf(probs, image.pixels, settings)
            said = said_anew(image.output, [probs], (probs.shape[1], probs.shape[2]))
            found: Any = model.decode(said, torch.tensor([image.truth.shape]))[0]
            known = image.truth != IGNORE_LABEL
            labels = found.labels.cpu().numpy()
            confusion += confusion_counts(image.truth[known], labels[known], num_classes=num_classes)
    ious = overlap_figures(confusion).iou
    return float(np.nanmean(ious)) if (~np.isnan(ious)).any() else 0.0
