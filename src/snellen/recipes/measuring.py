"""A run's model over a part of a data set, into a metric and onto the disk."""

from collections.abc import Mapping
from typing import Any

import torch
from rich.console import Console

from snellen.data import DatasetIndex, ImageDataset, read_image
from snellen.errors import DatasetError, InputError
from snellen.evaluation import ImagePrediction, PredictionWriter, Stopwatch
from snellen.evaluation import evaluate as measured
from snellen.recipes.loaders import evaluation_loader
from snellen.recipes.progress import counted
from snellen.recipes.runs import Run
from snellen.recipes.single_images import ImageJudge
from snellen.recipes.speed import with_speed
from snellen.structures import Batch, Metric, Model, Prediction, Results
from snellen.training import autocast

__all__ = ["measured_in_batches", "measured_in_tiles"]


def measured_in_batches(
    run: Run,
    model: Model,
    part: DatasetIndex,
    metric: Metric,
    writer: PredictionWriter,
    *,
    device: torch.device,
    console: Console | None,
) -> tuple[Results, Mapping[str, str]]:
    """Return results of images that are resized as the model is used to, and files that could not be read."""
    loader = evaluation_loader(part, run.record, model.stride)
    dataset = ImageDataset(part, masks=run.record["masks"])

    def keep(batch: Batch, predictions: list[Prediction]) -> None:
        rows = batch.indices.tolist()
        sizes = batch.images.original_sizes.tolist()
        for row, size, prediction in zip(rows, sizes, predictions, strict=True):
            writer.write(
                ImagePrediction(index=row, source=part.paths[row], size=(size[0], size[1]), prediction=prediction)
            )

    precision, watch = run.record["settings"]["precision"], Stopwatch()
    results = measured(
        model,
        counted(loader.epoch(0), total=len(loader), what="measuring", console=console),
        dataset.truth,
        metric,
        device=device,
        precision_context=lambda: autocast(device, precision),
        on_batch=keep,
        watch=watch,
    )
    batch_size = run.record["batch_size"]
    return with_speed(results, watch, batch_size=batch_size, device=device, precision=precision), loader.skipped


def measured_in_tiles(
    run: Run,
    model: Model,
    part: DatasetIndex,
    metric: Metric,
    writer: PredictionWriter,
    *,
    tile: int,
    device: torch.device,
    console: Console | None,
) -> tuple[Results, Mapping[str, str]]:
    """Return results of images that are cut into tiles, and files that could not be read.

    Raises:
        InputError: If no image can be read.
    """
    judge = ImageJudge.of(run, model, device=device, tile=tile)
    dataset = ImageDataset(part, masks=run.record["masks"])
    skipped: dict[str, str] = {}
    watch = Stopwatch()
    rows = counted(range(len(part)), total=len(part), what="measuring", console=console)
    for row in rows:
        path = part.path(row)
        try:
            image = read_image(path)
            truth: Any = dataset.truth(row)
        except DatasetError as error:
            skipped[str(path)] = str(error)
            continue
        with watch.lap(1):
            prediction = judge.predict(image, row, str(path))
        metric.update([prediction], [truth], [row])
        size = (image.shape[-2], image.shape[-1])
        writer.write(ImagePrediction(index=row, source=part.paths[row], size=size, prediction=prediction))
    if len(skipped) == len(part):
        raise InputError("expected at least one image to measure on; none can be read. Check the paths.")
    precision = run.record["settings"]["precision"]
    results = with_speed(metric.result(), watch, batch_size=1, device=device, precision=precision, in_tiles=True)
    return results, skipped
