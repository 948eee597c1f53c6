"""Batch norms: how many values they take their statistics from, and whether those that they keep were ever filled."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from snellen.doctor.evidence.network.frozen import LEARNED, learned_structure
from snellen.doctor.evidence.network.functions import Kind
from snellen.doctor.evidence.network.trace import NetworkTrace
from snellen.doctor.examining import Subject

__all__ = ["BatchNorms", "NormUse", "batch_norms"]


@dataclass(frozen=True, kw_only=True)
class NormUse:
    """One batch norm that takes its statistics from the batch.

    Attributes:
        layer: Path of the module.
        samples: Images, or regions of images, in the batch.
        values: Numbers of each channel that a mean is taken of.
    """

    layer: str
    samples: int
    values: int


@dataclass(frozen=True, kw_only=True)
class BatchNorms:
    """The batch norms of a model in training.

    Attributes:
        live: Those that take their statistics from the batch.
        untouched: Paths of those whose scales and shifts have been trained, as have the matrices of the model, but
            whose running statistics are as they were built.
        untouched_in_use: Whether any of these is held in evaluation mode, so that it uses them.
        num_norms: All batch norms of the model.
        num_samples: Images of the batch.
        is_dense: Whether every image has many answers, as in detection and segmentation.
    """

    live: tuple[NormUse, ...]
    untouched: tuple[str, ...]
    untouched_in_use: bool
    num_norms: int
    num_samples: int
    is_dense: bool = False


def batch_norms(subject: Subject, trace: NetworkTrace) -> BatchNorms:
    """Look at them."""
    kind = nn.modules.batchnorm._BatchNorm  # noqa: SLF001 - the class that all batch norms share
    norms = {name: module for name, module in subject.model.named_modules() if isinstance(module, kind)}
    untouched = [name for name, module in norms.items() if _is_trained(module) and _is_unfilled(module)]
    if untouched and (learned_structure(list(subject.model.parameters())) or 0.0) < LEARNED:
        untouched = []  # drawn, and not loaded
    return BatchNorms(
        live=tuple(
            NormUse(
                layer=each.module,
                samples=each.given_shape[0],
                values=torch.Size(each.given_shape).numel() // max(1, each.given_shape[1]),
            )
            for each in trace.operations
            if each.kind is Kind.BATCH_NORM and each.settings.get("training") and len(each.given_shape) > 1
        ),
        untouched=tuple(untouched),
        untouched_in_use=any(not norms[name].training for name in untouched) and subject.model.training,
        num_norms=len(norms),
        num_samples=trace.num_samples,
        is_dense=subject.task in ("detection", "segmentation"),
    )


def _is_trained(norm: nn.Module) -> bool:
    """Return whether scales and shifts have both left what they are built with; some recipes draw the scales."""
    return all(_varies(getattr(norm, name, None)) for name in ("weight", "bias"))


def _is_unfilled(norm: nn.Module) -> bool:
    mean, var = getattr(norm, "running_mean", None), getattr(norm, "running_var", None)
    if not isinstance(mean, Tensor) or not isinstance(var, Tensor):
        return False
    return bool((mean == 0).all()) and bool((var == 1).all())


def _varies(values: Tensor | None) -> bool:
    return isinstance(values, Tensor) and len(values) > 1 and bool((values != values[0]).any())
