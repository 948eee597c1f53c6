"""What the doctor is told of a planned training: its settings, and what the built model looks at."""

from collections.abc import Iterator, Mapping
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from snellen.doctor.evidence.setup import FeatureMap, Setup
from snellen.models import MapReach, WeightsReport, count_parameters, map_reaches, settings_of, weights_settings
from snellen.recipes.augmenting import SHARES
from snellen.recipes.loaders import training_loader
from snellen.recipes.preparing import Preparation
from snellen.structures import BoxTarget

__all__ = ["setup_of"]

_TRACED_PX = 320  # side of the image that is traced through a network; its reach does not depend on it
_BACKBONE = "backbone."


def setup_of(ready: Preparation) -> Setup:
    """Return the facts of a training that is about to begin."""
    record, plan = ready.record, ready.plan
    settings = plan.settings
    module: nn.Module = ready.model  # type: ignore[assignment]  # every model is a module
    batches = len(training_loader(ready.index, record, ready.model.stride))
    told = {} if record["weights"] is None else weights_settings(record["weights"])
    normalize = getattr(module, "normalize", None)
    return Setup(
        model=plan.model.name,
        image_size=plan.image_size,
        resize=plan.model.resize,
        maps=tuple(_maps(module, plan.image_size, ready)),
        anchors=_anchors(module, plan.image_size),
        grid=getattr(getattr(module, "head", None), "grid", None),
        num_parameters=count_parameters(module),
        batch_size=plan.batch_size,
        accumulate=settings.accumulate,
        epochs=settings.epochs,
        steps=settings.epochs * ceil(batches / settings.accumulate),
        num_train_images=len(ready.index.split_rows("train")),
        optimizer=settings.optimizer,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup_steps,
        sampler=plan.sampler,
        augment=plan.augment,
        flip=plan.flip,
        frozen_norm=plan.frozen_norm,
        precision=settings.precision,
        pretrained=record["weights"] is not None,
        weights_matched=_matched(module, ready.weights),
        mean=getattr(normalize, "mean", None),
        std=getattr(normalize, "std", None),
        weights_mean=told.get("mean"),
        weights_std=told.get("std"),
        options=_options(record),
        inside=settings_of(module),
    )


def _options(record: Mapping[str, Any]) -> dict[str, Any]:
    names = (*SHARES, "noise", "multi_scale", "proposals", "workers", "device", "model_options")
    others = ("schedule", "milestones", "clip_norm", "clip_value", "ema_decay", "patience", "validate_every", "seed",
              "momentum")  # fmt: skip
    settings = record["settings"]
    return {**{name: record[name] for name in names}, **{name: settings.get(name) for name in others}}


def _maps(module: nn.Module, image_size: int, ready: Preparation) -> Iterator[FeatureMap]:
    """Yield the maps that answers are read from."""
    backbone, head = getattr(module, "backbone", None), getattr(module, "head", None)
    if backbone is None or ready.plan.model.regions:
        return  # windows or regions from outside are looked at one by one
    side = image_size if ready.plan.model.sized else min(image_size, _TRACED_PX)
    reaches = map_reaches(backbone, getattr(module, "neck", None), _rounded_up(side, ready.model.stride))
    grid = getattr(head, "grid", None)
    if grid is not None:  # full layers: every cell of the grid sees the whole image
        yield FeatureMap(name="grid", stride=max(1, image_size // grid), receptive_field_px=image_size)
        return
    fields = [_seen(reach, image_size) for reach in reaches]
    deepest = None if None in fields else max(field for field in fields if field is not None)
    if ready.plan.model.target_type is not BoxTarget:
        stride = getattr(module, "answer_stride", max(reach.stride for reach in reaches))
        yield FeatureMap(name="output", stride=stride, receptive_field_px=deepest)
        return
    wanted = getattr(head, "names", None) or getattr(getattr(module, "proposals", None), "names", None)
    read = [reach for reach in reaches if wanted is None or reach.name in wanted]
    for reach in read if wanted else read[-1:]:
        yield FeatureMap(name=reach.name, stride=reach.stride, receptive_field_px=_seen(reach, image_size))


def _seen(reach: MapReach, image_size: int) -> int | None:
    """Return how many pixels a cell sees along a side of the image; None if that could not be followed."""
    return None if reach.receptive_field_px is None else int(min(image_size, reach.receptive_field_px))


def _anchors(module: nn.Module, image_size: int) -> NDArray[np.float32] | None:
    """Return width and height of all anchors in pixels of the resized image, ``[num_anchors, 2]``; None without any."""
    found = []
    for name, buffer in module.named_buffers():
        word = name.rpartition(".")[2]
        if word.startswith("base_") and buffer.shape[-1] == 4:
            found.append((buffer[..., 2:] - buffer[..., :2]).reshape(-1, 2).cpu().numpy())
        elif word == "anchors" and buffer.shape[-1] == 2:
            found.append(buffer.reshape(-1, 2).cpu().numpy())
    table = getattr(getattr(module, "head", None), "boxes", None)
    if hasattr(table, "scales"):
        found.append(np.array([*_default_sides(table)]) * image_size)
    return np.concatenate(found).astype(np.float32) if found else None


def _default_sides(table: Any) -> Iterator[tuple[float, float]]:
    """Yield width and height of SSD's default boxes as shares of the canvas; Liu et al. 2016, section 2.2."""
    for (scale, following), ratios in zip(table.scales, table.aspect_ratios, strict=True):
        yield scale, scale
        yield sqrt(scale * following), sqrt(scale * following)
        for ratio in ratios:
            yield scale * sqrt(ratio), scale / sqrt(ratio)
            yield scale / sqrt(ratio), scale * sqrt(ratio)


def _matched(module: nn.Module, report: WeightsReport | None) -> float | None:
    """Return the share of the backbone's tensors that the weights filled; of all tensors where there is no backbone."""
    if report is None:
        return None
    keys = list(module.state_dict())
    names = [key for key in keys if key.startswith(_BACKBONE)] or keys
    loaded = set(report.loaded)
    return sum(name in loaded for name in names) / len(names)


def _rounded_up(side: int, stride: int) -> int:
    return -(-side // stride) * stride
