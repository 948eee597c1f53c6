"""Probabilities at another temperature, and a model that tells them."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from snellen.errors import InputError
from snellen.evaluation.wrapping import Wrapped
from snellen.structures import ClassScores, LabelSetScores, Model, Prediction

__all__ = ["Calibrated", "tempered"]

_LEAST = 1e-30  # of a probability whose logarithm is taken; float32 has smaller ones, but hardly any digits there


class Calibrated(Wrapped):
    """A model whose predictions are at another temperature.

    Args:
        model: Predicts probabilities.
        temperature: See ``tempered``.
    """

    def __init__(self, model: Model, temperature: float) -> None:
        super().__init__(model)
        self.temperature = temperature

    def decode(self, output: Any, sizes: Int64[Tensor, "batch 2"]) -> Sequence[Prediction]:
        """Return the predictions at the temperature."""
        return [tempered(one, self.temperature) for one in super().decode(output, sizes)]


def tempered(prediction: Prediction, temperature: float) -> Prediction:
    """Return a prediction with the probabilities that its logits, divided by a temperature, would have given.

    Args:
        prediction: With probabilities of one class for each image, or of each class by itself.
        temperature: Above 1 for less sure probabilities.

    Raises:
        InputError: If the prediction is of another type.

    Source:
        Guo et al. 2017, section 4.2, https://arxiv.org/abs/1706.04599. A softmax forgets what is added to all logits,
        so that logarithms of probabilities do as well as logits.
    """
    change = _TEMPERED.get(type(prediction))
    if change is None:
        known = " and ".join(kind.__name__ for kind in _TEMPERED)
        raise InputError(f"a temperature is for {known}; got {type(prediction).__name__}. Leave it out.")
    return change(prediction, temperature)


def _class_scores(found: ClassScores, temperature: float) -> ClassScores:
    return ClassScores(probs=(_log(found.probs) / temperature).softmax(dim=-1))


def _label_sets(found: LabelSetScores, temperature: float) -> LabelSetScores:
    return LabelSetScores(probs=((_log(found.probs) - _log(1 - found.probs)) / temperature).sigmoid())


def _log(probs: Tensor) -> Tensor:
    return torch.log(probs.float().clamp(min=_LEAST))


_TEMPERED: Mapping[type[Prediction], Callable[[Any, float], Prediction]] = MappingProxyType(
    {ClassScores: _class_scores, LabelSetScores: _label_sets}
)
