"""Whether two forms of a model (checkpoint and export, one batch size and another) give the same numbers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snellen.doctor.words import Text
from snellen.structures import ClassScores, Detections, LabelSetScores, Prediction, SegmentationMap, ValueEstimates

__all__ = ["Parity", "RepeatedPredictions", "parity_of", "prediction_gap"]

_TINY = 1e-12
_SEEN_FROM = 0.1  # score of a detection that is compared; lower ones come and go with the last bit


@dataclass(frozen=True, kw_only=True, eq=False)
class Parity:
    """How far the outputs of two callables are apart, tensor by tensor.

    Attributes:
        differences: Largest difference of each tensor over the spread (the root mean square) of the first's, by its
            place in the output.
        shapes: Where they differ: place, shape of the first, shape of the second.
        agreement: Share of rows whose largest entry is the same, over tensors of scores ``[batch, classes]``; None
            without any.
        num_batches: That were given to both.
    """

    ABSENT = Text(
        en="there is no second form of the model; snellen.check_parity(first, second, batches) compares two",
        zh="没有模型的另一种形式；snellen.check_parity(first, second, batches) 可比较两者",
    )

    differences: Mapping[str, float]
    shapes: tuple[tuple[str, str, str], ...]
    agreement: float | None
    num_batches: int


@dataclass(frozen=True, kw_only=True, eq=False)
class RepeatedPredictions:
    """Predictions that lie on disk beside those that the model makes now, image by image, in another order.

    Attributes:
        differences: Largest relative difference of each image, by its path.
        num_images: That were predicted anew.
    """

    ABSENT = Text(
        en="nothing was predicted anew; `snellen check RUN --deep` does it for some images",
        zh="没有重新预测；`snellen check 运行 --deep` 会对部分图像重新预测",
    )

    differences: Mapping[str, float]
    num_images: int


def parity_of(first: Callable[..., Any], second: Callable[..., Any], batches: Iterable[Any]) -> Parity:
    """Give the same batches to two callables and compare what they return.

    Args:
        first: The model as it was trained, or any callable.
        second: Its other form: exported, compiled, on another device, in another precision.
        batches: Inputs of both; a tuple is given as several arguments.

    Returns:
        Outputs may be tensors, arrays, or records, tuples, lists and mappings of them; what is no number is left out.
    """
    differences: dict[str, float] = {}
    shapes: list[tuple[str, str, str]] = []
    same: list[float] = []
    number = 0
    with torch.no_grad():
        for batch in batches:
            given = batch if isinstance(batch, tuple) else (batch,)
            one, other = dict(_leaves(first(*given))), dict(_leaves(second(*given)))
            number += 1
            if one.keys() != other.keys() and len(one) == len(other):
                other = dict(zip(one, other.values(), strict=True))  # exports have no names: tensors in their order
            for place in sorted(one.keys() | other.keys()):
                _compare(place, one.get(place), other.get(place), differences, shapes, same)
    agreement = float(np.mean(same)) if same else None
    return Parity(differences=differences, shapes=tuple(shapes), agreement=agreement, num_batches=number)


def _compare(
    place: str,
    one: np.ndarray | None,
    other: np.ndarray | None,
    differences: dict[str, float],
    shapes: list[tuple[str, str, str]],
    same: list[float],
) -> None:
    if one is None or other is None or one.shape != other.shape:
        shapes.append((place, "—" if one is None else str(one.shape), "—" if other is None else str(other.shape)))
        return
    if not one.size:
        return
    scale = max(float(np.sqrt(np.mean(np.square(one)))), _TINY)
    gap = np.abs(one - other)
    gap = np.where(np.isnan(one) & np.isnan(other), 0.0, gap)
    largest = float(np.nan_to_num(gap, nan=np.inf).max()) / scale
    differences[place] = max(differences.get(place, 0.0), largest)
    if one.ndim == 2 and one.shape[1] > 1:
        same += (one.argmax(1) == other.argmax(1)).astype(float).tolist()


def _leaves(output: Any, place: str = "output") -> Iterable[tuple[str, np.ndarray]]:
    """Yield every tensor and array within an output, with its place."""
    if isinstance(output, Tensor):
        yield place, output.detach().double().cpu().numpy()
    elif isinstance(output, np.ndarray | np.generic | int | float) and not isinstance(output, bool):
        array = np.asarray(output)
        if np.issubdtype(array.dtype, np.number):
            yield place, array.astype(np.float64)
    elif is_dataclass(output) and not isinstance(output, type):
        for entry in fields(output):
            yield from _leaves(getattr(output, entry.name), f"{place}.{entry.name}")
    elif isinstance(output, Mapping):
        for name, value in output.items():
            yield from _leaves(value, f"{place}[{name!r}]")
    elif isinstance(output, Sequence) and not isinstance(output, str | bytes):
        for number, value in enumerate(output):
            yield from _leaves(value, f"{place}[{number}]")


def prediction_gap(one: Prediction, other: Prediction) -> float:
    """Return how far two predictions of one image are apart, as a share of what they say; 1 for different types.

    Probabilities by their largest difference, boxes by that of their ranked scores, maps by the share of their pixels
    that are named differently, values by their largest difference over the largest value.
    """
    measure = _GAPS.get(type(one))
    return 1.0 if measure is None or type(one) is not type(other) else measure(one, other)


def _of_scores(one: Any, other: Any) -> float:
    return float((one.probs.double() - other.probs.double()).abs().max())


def _of_boxes(one: Detections, other: Detections) -> float:
    ranked = [np.sort(found.scores.double().numpy())[::-1] for found in (one, other)]
    number = max(int((scores >= _SEEN_FROM).sum()) for scores in ranked)
    first, second = (np.pad(scores[:number], (0, max(0, number - len(scores)))) for scores in ranked)
    return float(np.abs(first - second).max(initial=0.0))


def _of_maps(one: SegmentationMap, other: SegmentationMap) -> float:
    if one.labels.shape != other.labels.shape:
        return 1.0
    return float((one.labels != other.labels).double().mean())


def _of_values(one: ValueEstimates, other: ValueEstimates) -> float:
    first, second = one.values.double(), other.values.double()
    return float((first - second).abs().max() / first.abs().max().clamp(min=_TINY))


_GAPS: Mapping[type[Prediction], Callable[[Any, Any], float]] = {
    ClassScores: _of_scores,
    LabelSetScores: _of_scores,
    Detections: _of_boxes,
    SegmentationMap: _of_maps,
    ValueEstimates: _of_values,
}
