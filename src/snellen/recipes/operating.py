"""Thresholds and a temperature for a trained model, chosen on its validation images and kept in ``operating.json``.

Never on test images: a threshold that was chosen on the images that measure it flatters the model.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from snellen.data import DatasetIndex, ImageDataset
from snellen.errors import CheckpointError, ConfigError, InputError
from snellen.evaluation import Calibrated, predicted_batches
from snellen.metrics import MOST_TEMPERATURE, Decision, ThresholdPoint
from snellen.recipes.loaders import evaluation_loader
from snellen.recipes.operating_choices import CHOICES, Goal
from snellen.recipes.planning import chosen_device
from snellen.recipes.progress import counted, say
from snellen.recipes.runs import Run, write_json
from snellen.structures import Model
from snellen.training import autocast

__all__ = [
    "OPERATING",
    "Operating",
    "applied",
    "choose_operating",
    "operating_lines",
    "read_operating",
    "weights_digest",
]

OPERATING = "operating.json"
_VERSION = 1
_SPLIT = "val"
_NEARLY = 0.999  # of the most that is tried; the fit ends a rounding error below it


@dataclass(frozen=True, slots=True, kw_only=True)
class Operating:
    """What was chosen for one set of weights.

    Attributes:
        weights: Digest of the checkpoint it was chosen for; it says nothing about others.
        num_images: Validation images it was chosen on.
        goal: What the thresholds aim at; None if only a temperature was fitted.
        decision: The thresholds, and how they decide.
        points: What happens at the threshold of each class, by class, on those images.
        temperature: By which logits are divided; None to leave them.
        calibration: Negative log-likelihood and calibration error ``before`` and ``after``, on those images.
    """

    weights: str
    num_images: int
    goal: Goal | None = None
    decision: Decision | None = None
    points: Mapping[str, ThresholdPoint] = field(default_factory=dict)
    temperature: float | None = None
    calibration: Mapping[str, float] = field(default_factory=dict)


def read_operating(run: Run, which: str = "best") -> Operating | None:
    """Return what was chosen for the weights of a run; None if nothing was, or for others.

    Raises:
        CheckpointError: If the file cannot be read, or nothing was trained yet.
    """
    file = run.folder / OPERATING
    if not file.is_file():
        return None
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        found = _decoded(told) if told["version"] == _VERSION else None
    except (ValueError, KeyError, TypeError, InputError, ConfigError) as error:
        raise CheckpointError(
            f"{file}: expected what `snellen eval --best-f1` wrote; got {type(error).__name__}: {error}. Remove the "
            "file, or choose again."
        ) from error
    return found if found is not None and found.weights == weights_digest(run.weights_file(which)) else None


def applied(model: Model, operating: Operating | None) -> Model:
    """Return a model at the temperature that was fitted for it, if one was."""
    if operating is None or operating.temperature is None:
        return model
    return Calibrated(model, operating.temperature).eval()


def choose_operating(
    run: Run,
    index: DatasetIndex,
    *,
    goal: Goal | None,
    calibrate: bool,
    which: str = "best",
    device: str | None = None,
    console: Console | None = None,
) -> Operating:
    """Choose thresholds, fit a temperature, and keep both in the folder of the run.

    What was chosen before for the same weights stays where it is not chosen anew; thresholds follow a new temperature.

    Args:
        run: Trained.
        index: Its data set, divided as it was then.
        goal: What the thresholds aim at; None for what was wanted before, if anything.
        calibrate: Whether to fit a temperature.
        which: ``best`` or ``last`` weights.
        device: Where to compute; that of the run if None.
        console: Where to say what happens.

    Raises:
        ConfigError: If the goal cannot be reached, the data have no validation images, or the run predicts nothing that
            a threshold or a temperature could be for.
    """
    choices = CHOICES.get(run.target_type)
    if choices is None:
        known = " and ".join(kind.__name__ for kind in CHOICES)
        raise ConfigError(
            f"thresholds and temperatures are for {known}; the run learned from {run.target_type.__name__}. Leave "
            "them out."
        )
    if _SPLIT not in index.split_names or not len(index.split_rows(_SPLIT)):
        raise ConfigError(
            f"thresholds and temperatures are chosen on the images of the split {_SPLIT!r}; {index.root} has none. "
            "Put some of the training images into it; test images only measure."
        )
    earlier = read_operating(run, which)
    wanted = goal if goal is not None or earlier is None else earlier.goal
    answers = choices.gather(*_predicted(run, index, which=which, device=device, console=console))
    temperature = None if earlier is None else earlier.temperature
    calibration: Mapping[str, float] = {} if earlier is None else earlier.calibration
    if calibrate:
        temperature = choices.temperature(answers)
    if temperature is not None:
        before = answers
        answers = choices.tempered(answers, temperature)
        if calibrate:
            calibration = {
                **{f"{name}_before": value for name, value in choices.trust(before).items()},
                **{f"{name}_after": value for name, value in choices.trust(answers).items()},
            }
    decision: Decision | None = None
    points: Mapping[str, ThresholdPoint] = {}
    if wanted is not None:
        counts = index.split("train").annotations.class_counts(len(run.classes)).sum(axis=0)
        decision, points = choices.decide(answers, wanted, run.classes, counts)
    chosen = Operating(
        weights=weights_digest(run.weights_file(which)),
        num_images=len(answers.probs),
        goal=wanted,
        decision=decision,
        points=points,
        temperature=temperature,
        calibration=calibration,
    )
    write_json(run.folder / OPERATING, {"version": _VERSION, "chosen_on": _SPLIT, **asdict(chosen)})
    for line in operating_lines(chosen):
        say(console, line)
    return chosen


def operating_lines(operating: Operating) -> list[str]:
    """Return what was chosen, in a line each."""
    lines = []
    if operating.temperature is not None:
        told = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in operating.calibration.items())
        told += "; no more was tried" if operating.temperature > _NEARLY * MOST_TEMPERATURE else ""
        lines.append(
            f"temperature {operating.temperature:.4g}, fitted on {operating.num_images} {_SPLIT} images: {told}"
        )
    if operating.goal is not None and operating.decision is None:
        lines.append(f"no thresholds are better than the most probable class on {operating.num_images} {_SPLIT} images")
    for name, point in operating.points.items():
        lines.append(
            f"{name} from {point.threshold:.3g} on: precision {point.precision:.3g}, recall {point.recall:.3g}, F1 "
            f"{point.f1:.3g} on {operating.num_images} {_SPLIT} images"
        )
    return lines


def _predicted(
    run: Run, index: DatasetIndex, *, which: str, device: str | None, console: Console | None
) -> tuple[list[Any], list[Any]]:
    """Return the predictions of the validation images, and their truths."""
    part = index.split(_SPLIT)
    place = torch.device(chosen_device(device or run.record["device"])[0])
    model = run.load(which=which, device=place)
    loader = evaluation_loader(part, run.record, model.stride)
    dataset = ImageDataset(part, masks=run.record["masks"])
    predictions: list[Any] = []
    truths: list[Any] = []
    batches = counted(loader.epoch(0), total=len(loader), what="choosing on the validation images", console=console)
    for batch, found in predicted_batches(
        model,
        batches,
        device=place,
        precision_context=lambda: autocast(place, run.record["settings"]["precision"]),
    ):
        predictions += found
        truths += [dataset.truth(row) for row in batch.indices.tolist()]
    return predictions, truths


def weights_digest(file: Path) -> str:
    """Return what tells the weights of a checkpoint from others."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def _decoded(told: Mapping[str, Any]) -> Operating:
    decision = told["decision"]
    return Operating(
        weights=told["weights"],
        num_images=told["num_images"],
        goal=None if told["goal"] is None else Goal(**told["goal"]),
        decision=None
        if decision is None
        else Decision(thresholds=tuple(decision["thresholds"]), found=decision["found"]),
        points={name: ThresholdPoint(**point) for name, point in told["points"].items()},
        temperature=told["temperature"],
        calibration=told["calibration"],
    )
