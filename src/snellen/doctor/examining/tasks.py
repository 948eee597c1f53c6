"""What a model is for, as far as targets and output show it."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor

from snellen.doctor.examining.subject import Task
from snellen.structures import BoxTarget, ClassTarget, LabelSetTarget, MaskTarget, ValueTarget

__all__ = ["guessed_task"]

_SUM_TOLERANCE = 1e-4  # of shares that should sum to 1 in float32

_OF_SNELLEN: tuple[tuple[type, Task], ...] = (
    (BoxTarget, "detection"),
    (MaskTarget, "segmentation"),
    (ClassTarget, "classification"),
    (LabelSetTarget, "multilabel"),
    (ValueTarget, "regression"),
)


def guessed_task(targets: Any, logits: Tensor | None) -> Task:
    """Return the task."""
    for kind, task in _OF_SNELLEN:
        if isinstance(targets, kind):
            return task
    if _has_boxes(targets):
        return "detection"
    if not isinstance(targets, Tensor) or logits is None:
        return "unknown"
    if logits.ndim == 4:
        return "segmentation" if targets.ndim in (3, 4) else "unknown"
    return _task_of_vectors(targets, logits)


def _task_of_vectors(targets: Tensor, logits: Tensor) -> Task:
    """Return the task of outputs with one row for each sample."""
    columns = logits.shape[1] if logits.ndim == 2 else 1
    if columns > 1 and targets.shape == logits.shape:
        return _task_of_rows(targets.double())
    if columns > 1 and targets.ndim == 1 and not targets.is_floating_point():
        return "classification"
    if columns == 1 and targets.numel() == logits.numel():
        return "classification" if bool(((targets == 0) | (targets == 1)).all()) else "regression"
    return "unknown"


def _task_of_rows(rows: Float[Tensor, "batch columns"]) -> Task:
    """Return what targets with one column for each output are for."""
    if not bool(((rows >= 0) & (rows <= 1)).all()):
        return "regression"
    return "classification" if bool(((rows.sum(1) - 1).abs() < _SUM_TOLERANCE).all()) else "multilabel"


def _has_boxes(targets: Any) -> bool:
    if isinstance(targets, Mapping):
        return "boxes" in targets or "bboxes" in targets
    return isinstance(targets, list | tuple) and len(targets) > 0 and all(_has_boxes(part) for part in targets)
