"""How fast a model is by itself, at its usual size."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import nn

from snellen.errors import ConfigError
from snellen.evaluation import inspecting
from snellen.models import change_settings
from snellen.models.backbones import chosen_backbone
from snellen.models.description import backbone_canvas, blank_images, sized_model
from snellen.nn import quick_layout
from snellen.recipes.planning import chosen_device
from snellen.recipes.preparing import check_builder_options
from snellen.recipes.speed import device_words
from snellen.recipes.zoo import is_backbone_alone, model_entry, refuse_options
from snellen.training import PrecisionName, autocast, best_precision

__all__ = ["ModelSpeed", "TimedBatch", "speed_json", "speed_lines", "time_model"]

BATCHES = (1, 8)  # images: one alone, as they come from a camera, and some, as they come from a folder
_MOST_REPEATS = 9  # whose median is told
_LEAST_REPEATS = 3
_ENOUGH_S = 5.0  # seconds; after so long no more repeats are begun than the least


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedBatch:
    """The median time of one batch of images.

    Attributes:
        images: In the batch.
        median_ms: Of the forward pass and decoding, in milliseconds.
        repeats: Of which it is the median.
    """

    images: int
    median_ms: float
    repeats: int

    @property
    def images_per_s(self) -> float:
        """Images in a second."""
        return 1000 * self.images / self.median_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpeed:
    """How fast a network of random weights is on images of noise.

    Attributes:
        name: Of the model or backbone.
        size: Height and width of the images.
        regions: Proposals from outside in each image; 0 for models that make their own.
        decodes: Whether decoding is in it; a backbone has none.
        device: That computed.
        precision: Of the forward pass.
        threads: Of torch.
        batches: For each size of a batch.
    """

    name: str
    size: tuple[int, int]
    regions: int
    decodes: bool
    device: str
    precision: PrecisionName
    threads: int
    batches: tuple[TimedBatch, ...]


def time_model(
    name: str,
    *,
    num_classes: int = 10,
    size: int | None = None,
    options: Mapping[str, Any] | None = None,
    device: str | None = None,
    batches: tuple[int, ...] = BATCHES,
) -> ModelSpeed:
    """Measure how long a model takes for batches of images, laid out and in the precision as ``predict`` has it.

    The weights are random and the images noise. That tells the time of the network; how many boxes are suppressed in
    decoding is another thing once it is trained.

    Args:
        name: Of a model or a backbone; ``timm:NAME`` is a network of timm as a classifier.
        num_classes: Decides the size of the head.
        size: Side of the images in pixels; the usual one if None.
        options: Keywords of the model's builder, or settings in it by path.
        device: Where to compute; the best one if None.
        batches: Images in each batch that is timed.

    Raises:
        ConfigError: If there is no model or backbone of that name, it has no such option, or it judges nothing before
            it is fitted.
        MissingExtraError: If it is one of timm's and timm is not installed.
    """
    sides = None if size is None else (size, size)
    place = torch.device(chosen_device(device)[0])
    precision = best_precision(place)
    prepare = _backbone if is_backbone_alone(name) else _model
    subject = prepare(name, num_classes, sides, dict(options or {}))
    subject.network.to(place)
    quick_layout(subject.network)
    with inspecting(subject.network):  # type: ignore[arg-type]  # it asks for no more than a module
        timed = tuple(_timed(subject, images, place, precision) for images in batches)
    return ModelSpeed(
        name=name,
        size=subject.size,
        regions=subject.regions,
        decodes=subject.decodes,
        device=device_words(place),
        precision=precision,
        threads=torch.get_num_threads(),
        batches=timed,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """A network, and how images are made for it and judged by it."""

    network: nn.Module
    size: tuple[int, int]
    regions: int
    decodes: bool
    images: Callable[[int], Any]
    decode: Callable[[Any, Any], object]


def _model(name: str, num_classes: int, size: tuple[int, int] | None, options: Mapping[str, Any]) -> _Subject:
    entry = model_entry(name)
    check_builder_options(entry, options)
    building = {key: value for key, value in options.items() if "." not in key}
    model: Any = sized_model(entry, num_classes, size=size, options=building)
    change_settings(model, {key: value for key, value in options.items() if "." in key})
    if getattr(model, "is_fitted", True) is False:
        raise ConfigError(
            f"{name} says nothing of images before it is fitted: there is no time to measure. Train it; snellen eval "
            "RUN says how fast it is."
        )
    blank = blank_images(entry, model.stride, size=size)
    height, width = blank.pixels.shape[-2:]

    def images(count: int) -> Any:
        made = blank_images(entry, model.stride, size=size, count=count)
        return replace(made, pixels=_noise(count, height, width))

    return _Subject(
        network=model,
        size=(height, width),
        regions=0 if blank.regions is None else blank.regions.boxes.shape[1],
        decodes=True,
        images=images,
        decode=lambda output, given: [found.to("cpu") for found in model.decode(output, given.original_sizes)],
    )


def _backbone(name: str, num_classes: int, size: tuple[int, int] | None, options: Mapping[str, Any]) -> _Subject:
    del num_classes
    refuse_options(name, options)
    network = chosen_backbone(name, usual=name)
    height, width = backbone_canvas(network, size)
    return _Subject(
        network=network,
        size=(height, width),
        regions=0,
        decodes=False,
        images=lambda count: _noise(count, height, width).float() / 255,
        decode=lambda _output, _given: None,
    )


def _noise(count: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator)


def _timed(subject: _Subject, count: int, device: torch.device, precision: PrecisionName) -> TimedBatch:
    """Return the median of repeats; the first run is warm-up and not one of them."""
    given = subject.images(count)
    seconds: list[float] = []
    for repeat in range(_MOST_REPEATS + 1):
        start = perf_counter()
        images = given.to(device)
        with autocast(device, precision):
            output = subject.network(images)
        subject.decode(output, images)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if repeat:
            seconds.append(perf_counter() - start)
        if len(seconds) >= _LEAST_REPEATS and sum(seconds) > _ENOUGH_S:
            break
    return TimedBatch(images=count, median_ms=1000 * median(seconds), repeats=len(seconds))


def speed_lines(speed: ModelSpeed) -> str:
    """Return what was timed as plain text."""
    height, width = speed.size
    regions = f" with {speed.regions} regions" if speed.regions else ""
    threads = f"{speed.threads} thread{'s' if speed.threads > 1 else ''}"
    what = "forward pass and decoding" if speed.decodes else "forward pass"
    rows = [
        f"  {batch.images:>3} image{'s' if batch.images > 1 else ' '} {batch.median_ms:10.1f} ms "
        f"{batch.images_per_s:10.1f} images/s   median of {batch.repeats}"
        for batch in speed.batches
    ]
    head = (
        f"time of {what} for images of {height} x {width}{regions}, random weights, on {speed.device}, "
        f"{speed.precision}, {threads}:"
    )
    return "\n".join([head, *rows])


def speed_json(speed: ModelSpeed) -> dict[str, Any]:
    """Return what was timed as plain values."""
    told = asdict(speed)
    for row, batch in zip(told["batches"], speed.batches, strict=True):
        row["images_per_s"] = batch.images_per_s
    return told
