"""How much memory the results of all operations take that a backward pass needs."""

import os
from dataclasses import dataclass

import torch

from snellen.doctor.evidence.network.functions import Kind
from snellen.doctor.evidence.network.trace import NetworkTrace
from snellen.doctor.examining import Subject

__all__ = ["ActivationMemory", "LayerBytes", "activation_memory"]

_MOST_LAYERS = 10  # that are named


@dataclass(frozen=True, kw_only=True)
class LayerBytes:
    """What one operation keeps.

    Attributes:
        layer: Name of the operation.
        per_image: Bytes.
    """

    layer: str
    per_image: float


@dataclass(frozen=True, kw_only=True)
class ActivationMemory:
    """Results of the forward pass that are new memory; in-place operations and views take none.

    Attributes:
        per_image: Bytes for each image of the batch.
        concatenated: Bytes for each image that are copies made by concatenations.
        parameters: Bytes of parameters.
        num_images: Of the batch.
        largest: Operations with the most, the largest first.
        device: Where the model is.
        device_bytes: All memory there; None where it is not known.
    """

    per_image: float
    concatenated: float
    parameters: int
    num_images: int
    largest: tuple[LayerBytes, ...]
    device: str
    device_bytes: int | None


def activation_memory(subject: Subject, trace: NetworkTrace) -> ActivationMemory:
    """Add them up."""
    images = max(1, trace.num_samples)
    counted = [each for each in trace.operations if each.from_images and not each.in_loss]
    ranked = sorted(counted, key=lambda each: -each.result_bytes)[:_MOST_LAYERS]
    parameter = next(subject.model.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    return ActivationMemory(
        per_image=sum(each.result_bytes for each in counted) / images,
        concatenated=sum(each.result_bytes for each in counted if each.kind is Kind.CONCAT) / images,
        parameters=sum(p.numel() * p.element_size() for p in subject.model.parameters()),
        num_images=trace.num_samples,
        largest=tuple(LayerBytes(layer=each.name, per_image=each.result_bytes / images) for each in ranked),
        device=device.type,
        device_bytes=_total(device),
    )


def _total(device: torch.device) -> int | None:
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    if device.type == "cpu" and hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None
