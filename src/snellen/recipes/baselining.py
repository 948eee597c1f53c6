"""The verb baseline: what shallow models reach, before any deep net is trained."""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from time import perf_counter

import torch
from rich.console import Console

from snellen.data import DatasetIndex, ReadOptions
from snellen.errors import ConfigError
from snellen.models import find_model
from snellen.recipes.baseline_guesses import GUESSES, chosen_models
from snellen.recipes.baseline_report import BaselineReport
from snellen.recipes.baseline_work import BaselineWork
from snellen.recipes.datasets import data_place, load, prepared
from snellen.recipes.planning import chosen_device
from snellen.recipes.runs import new_folder

__all__ = ["baseline"]


def baseline(
    data: DatasetIndex | Path | str = "charts-classification",
    *,
    models: Sequence[str] = (),
    limit: int | None = None,
    minutes: float | None = 10.0,
    weights: Path | str | None = None,
    backbone: str = "mobilenet_v2",
    folder: Path | str | None = None,
    format: str | None = None,
    read: ReadOptions | None = None,
    seed: int = 0,
    device: str | None = None,
    console: Console | None = None,
) -> BaselineReport:
    """Return what shallow models reach on a data set: the figures that a deep net has to beat.

    They are fitted to the training images and measured on ``val`` (``test`` where there is none). Ctrl-C ends it with
    what is done; the same call with the same folder goes on.

    Args:
        data: A data set, its path, or the name of built-in charts.
        models: Names such as ``hog_svm``; a choice that takes minutes if empty.
        limit: Images of each split at most, drawn at random; None for all.
        minutes: After which no further model is begun; None for no limit.
        weights: Of ``backbone``, trained on other images; then its features are tried, too.
        backbone: Name of the network that the weights belong to.
        folder: Where ``baseline.json``, ``.md`` and ``.html`` are written; a new one beneath ``runs`` if None.
        format: Of the data set, where recognising it fails.
        read: What the files of the data set leave open.
        seed: Of everything random.
        device: Where a backbone computes.
        console: Where to say what happens.

    Raises:
        ConfigError: If a value is out of range, a model is unknown, or the data are of a kind that shallow models do
            not learn from.
        DatasetError: If the data cannot be read.
        CheckpointError: If the weights do not fit, or a baseline of other data or settings is in the folder.
    """
    for name, value in (("limit", limit), ("minutes", minutes)):
        if value is not None and not (isfinite(value) and value > 0):
            raise ConfigError(f"{name} must be a number above 0; got {value!r}. Leave it out for no limit.")
    source = load(data, format=format, options=read) if isinstance(data, (str, Path)) else data
    index = prepared(source, seed)
    if index.target_type not in GUESSES:
        raise ConfigError(
            f"a baseline is of data whose images have classes, label sets or values; {index.root} has "
            f"{index.target_type.__name__}. The shallow detector is hog_svm: snellen train DATA --model hog_svm."
        )
    place = str(index.root if isinstance(data, DatasetIndex) else data_place(data))
    names = chosen_models(tuple(models), index.target_type, backbone if weights is not None else None)
    entries = [find_model(name, index.target_type) for name in names]  # a name that nothing has is told before any work
    settings = {
        "data": place,
        "fingerprint": index.fingerprint(),
        "limit": limit,
        "weights": None if weights is None else str(weights),
        "backbone": backbone if weights is not None else None,
        "seed": seed,
    }
    out = Path(folder) if folder is not None else new_folder("baseline")
    work = BaselineWork(
        index=index, settings=settings, device=torch.device(chosen_device(device)[0]), console=console, folder=out
    )
    work.go_on()
    return work.run(entries, deadline=None if minutes is None else perf_counter() + 60 * minutes)
