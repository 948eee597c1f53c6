"""How fast a model was in a measurement that took place anyway."""

from dataclasses import replace

import torch

from snellen.evaluation import Stopwatch
from snellen.structures import Results, Table
from snellen.training import PrecisionName

__all__ = ["device_words", "with_speed"]

_TITLE = "Speed"
_IN_BATCHES = "The network and its decoding, from images in memory to predictions; reading and resizing do not count."
_IN_TILES = "Image by image: cut into tiles, resized, judged, put together; reading files does not count."
_WARM = "The first batch is warm-up and not counted."
_COLD = "The warm-up is in it, for there was but one batch."


def with_speed(
    results: Results,
    watch: Stopwatch,
    *,
    batch_size: int,
    device: torch.device,
    precision: PrecisionName,
    in_tiles: bool = False,
) -> Results:
    """Return results with a table of how fast they came; scalars, which are compared and ranked by, stay as they are.

    Args:
        results: Of a measurement.
        watch: That ran with it; without laps nothing is added.
        batch_size: Images at a time.
        device: That computed.
        precision: Of the forward pass.
        in_tiles: Whether images were judged one by one, in tiles.
    """
    seconds = watch.seconds_per_image
    if not seconds:
        return results
    counted = watch.counted
    row = (
        1 / seconds,
        1000 * seconds,
        sum(lap.images for lap in counted),
        batch_size,
        device_words(device),
        precision,
        torch.get_num_threads(),
    )
    table = Table(
        title=_TITLE,
        columns=("Images per second", "ms per image", "Images", "Batch size", "Device", "Precision", "Threads"),
        rows=(row,),
        note=f"{_IN_TILES if in_tiles else _IN_BATCHES} {_WARM if len(watch.laps) > 1 else _COLD}",
    )
    return replace(results, tables=(*results.tables, table))


def device_words(device: torch.device) -> str:
    """Return what computes: ``cpu``, or a GPU with its name."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
