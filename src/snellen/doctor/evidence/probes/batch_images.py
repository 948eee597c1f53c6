"""The images of a batch as numbers: their range, and which normalisation they have been through."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from snellen.doctor.evidence.probes.learning_parameters import looks_trained
from snellen.doctor.examining import Subject
from snellen.nn import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["NORMALISATIONS", "BatchImages", "Normalisation", "batch_images"]


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """Values are ``(byte / 255 - mean) / std``.

    Attributes:
        name: As people call it.
        mean: Of R, G, B.
        std: Of R, G, B.
    """

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


# What published weights were trained with: https://docs.pytorch.org/vision/stable/models.html (ImageNet), timm's
# constants.py (Inception, CLIP).
IMAGENET = Normalisation(name="ImageNet", mean=IMAGENET_MEAN, std=IMAGENET_STD)
UNIT = Normalisation(name="0..1", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
BYTES = Normalisation(name="0..255", mean=(0.0, 0.0, 0.0), std=(1 / 255, 1 / 255, 1 / 255))
HALF = Normalisation(name="-1..1", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
CLIP = Normalisation(name="CLIP", mean=(0.48145466, 0.4578275, 0.40821073), std=(0.26862954, 0.26130258, 0.27577711))


def _twice(once: Normalisation) -> Normalisation:
    """Return what is left of pixels that were normalised, and then once more."""
    pairs = list(zip(once.mean, once.std, strict=True))
    return Normalisation(
        name=f"{once.name}, twice", mean=tuple(m + m * s for m, s in pairs), std=tuple(s * s for _, s in pairs)
    )


def _turned(once: Normalisation) -> Normalisation:
    """Return the normalisation with its constants from blue to red."""
    return Normalisation(name=f"{once.name}, BGR", mean=once.mean[::-1], std=once.std[::-1])


NORMALISATIONS = (UNIT, BYTES, IMAGENET, HALF, CLIP, _twice(IMAGENET), _twice(HALF), _turned(IMAGENET), _turned(CLIP))

_ON_LATTICE = 0.98  # share of values that must be whole bytes again; of other floats 1 in 25 are by chance
_BYTE_TOLERANCE = 0.02  # of a byte: float32 keeps 1e-4 of one, half precision 0.1
_MOST_VALUES = 20_000  # of each channel that are looked at


@dataclass(frozen=True, kw_only=True)
class BatchImages:
    """What the images of the batch are, as numbers.

    Attributes:
        shape: Of the tensor of images.
        dtype: Such as ``float32``.
        low: Smallest value.
        high: Largest value.
        mean: Of all values.
        is_finite: Whether all of them are.
        all_equal: Whether several images are there and all are the same.
        normalisation: Which one gives whole bytes back when it is undone, or None: exact, where images were not resized
            after it.
        declared: What the model says its weights were trained with, or None.
        expects_unit: Whether the model normalises by itself and says that it wants 0..1.
        looks_trained: Whether the weights have been trained; None if they do not show it.
    """

    shape: tuple[int, ...]
    dtype: str
    low: float
    high: float
    mean: float
    is_finite: bool
    all_equal: bool
    normalisation: Normalisation | None
    declared: Normalisation | None
    expects_unit: bool
    looks_trained: bool | None


def batch_images(subject: Subject) -> BatchImages:
    """Measure them."""
    images = subject.images(subject.batch).detach()
    values = images.float()
    return BatchImages(
        shape=tuple(images.shape),
        dtype=str(images.dtype).removeprefix("torch."),
        low=float(values.min()),
        high=float(values.max()),
        mean=float(values.mean()),
        is_finite=bool(torch.isfinite(values).all()),
        all_equal=len(values) > 1 and bool((values == values[:1]).all()),
        normalisation=_normalisation(values) if images.is_floating_point() else None,
        declared=_declared(subject.model),
        expects_unit=_expects_unit(subject.model),
        looks_trained=looks_trained(subject.model),
    )


def _normalisation(images: Tensor) -> Normalisation | None:
    """Return the normalisation whose undoing gives whole bytes between 0 and 255."""
    if images.ndim != 4 or images.shape[1] != 3 or images.dtype == torch.float16:
        return None
    channels = images.movedim(1, 0).flatten(1)  # 3 values
    channels = channels[:, :: max(1, channels.shape[1] // _MOST_VALUES)]
    if int(torch.unique(channels).numel()) < 8:
        return None  # drawings in a few colours fit anything
    return next((each for each in NORMALISATIONS if _fits(channels, each)), None)


def _fits(channels: Tensor, normalisation: Normalisation) -> bool:
    mean, std = (torch.tensor(part, dtype=torch.float64)[:, None] for part in (normalisation.mean, normalisation.std))
    restored = (channels.double().cpu() * std + mean) * 255
    is_byte = ((restored - restored.round()).abs() < _BYTE_TOLERANCE) & (restored > -0.5) & (restored < 255.5)
    return bool((is_byte.double().mean(1) >= _ON_LATTICE).all())


def _declared(model: nn.Module) -> Normalisation | None:
    """Return what timm writes into its models."""
    settings: Any = getattr(model, "pretrained_cfg", None)
    if not isinstance(settings, dict):
        return None
    mean, std = settings.get("mean"), settings.get("std")
    if not isinstance(mean, Sequence) or not isinstance(std, Sequence) or len(mean) != 3:
        return None
    return Normalisation(name="", mean=tuple(map(float, mean)), std=tuple(map(float, std)))


def _expects_unit(model: nn.Module) -> bool:
    """Return whether a detector of torchvision normalises what it gets: its documentation asks for 0..1."""
    for module in model.modules():
        mean, std = getattr(module, "image_mean", None), getattr(module, "image_std", None)
        if isinstance(mean, Sequence) and isinstance(std, Sequence):
            return any(value != 0 for value in mean) and all(value <= 1 for value in (*mean, *std))
    return False
