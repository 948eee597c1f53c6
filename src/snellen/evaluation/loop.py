"""A model over a source of batches, into a metric."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn

from snellen.errors import InputError
from snellen.evaluation.stopwatch import Stopwatch
from snellen.structures import Batch, Metric, Model, Prediction, Results, Target

__all__ = ["PrecisionContext", "evaluate", "inspecting", "predicted_batches"]

PrecisionContext = Callable[[], AbstractContextManager[object]]  # entered anew for every batch


@contextmanager
def inspecting(model: Model) -> Iterator[None]:
    """Put a model in evaluation mode without gradients; every part gets its own mode back at the end.

    Raises:
        InputError: If the model is no ``nn.Module``.
    """
    if not isinstance(model, nn.Module):
        raise InputError(
            "model must be an nn.Module with the verbs of snellen.structures.Model; got "
            f"{type(model).__name__}. Subclass nn.Module."
        )
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def predicted_batches(
    model: Model,
    source: Iterable[Batch],
    *,
    device: torch.device | str,
    precision_context: PrecisionContext = nullcontext,
    watch: Stopwatch | None = None,
) -> Iterator[tuple[Batch, list[Prediction]]]:
    """Yield each batch with one prediction for each of its images, on the CPU, in original pixels.

    The model is in evaluation mode while a batch is computed and in its own mode between batches, so that
    whoever takes the predictions may stop at any time.

    Args:
        model: On ``device`` already.
        source: Batches; their targets are not looked at.
        device: Where to compute.
        precision_context: Makes the context in which the forward pass runs, such as autocast.
        watch: Is given a lap for each batch: the way to the device, the network, decoding, and the way back.
    """
    for batch in source:
        with inspecting(model), nullcontext() if watch is None else watch.lap(len(batch)):
            images = batch.images.to(device, non_blocking=True)
            with precision_context():
                output = model(images)
            predictions = [found.to("cpu") for found in model.decode(output, images.original_sizes)]
        if len(predictions) != len(batch):
            raise InputError(
                f"decode must return one prediction for each image; got {len(predictions)} for {len(batch)} "
                f"images from {type(model).__name__}. Correct its decode."
            )
        yield batch, predictions


def evaluate(
    model: Model,
    source: Iterable[Batch],
    truth_of: Callable[[int], Target],
    metric: Metric,
    *,
    device: torch.device | str,
    precision_context: PrecisionContext = nullcontext,
    on_batch: Callable[[Batch, list[Prediction]], None] | None = None,
    watch: Stopwatch | None = None,
) -> Results:
    """Measure a model.

    Args:
        model: On ``device`` already; its modes are left as they were.
        source: Batches; their targets are not looked at.
        truth_of: Target of a row of the data set, in the pixels of the original file.
        metric: Is added to.
        device: Where to compute.
        precision_context: Makes the context in which the forward pass runs, such as autocast.
        on_batch: Is shown each batch with its predictions (progress, writing to disk).
        watch: See ``predicted_batches``.

    Raises:
        InputError: If the source yields nothing.
    """
    empty = True
    judged = predicted_batches(model, source, device=device, precision_context=precision_context, watch=watch)
    for batch, predictions in judged:
        empty = False
        rows = batch.indices.tolist()
        metric.update(predictions, [truth_of(row) for row in rows], rows)
        if on_batch is not None:
            on_batch(batch, predictions)
    if empty:
        raise InputError(
            "expected at least one batch to measure on; the source yielded none. Check that the split has "
            "readable images."
        )
    return metric.result()
