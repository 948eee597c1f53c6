"""What is tried for a baseline: guesses that look at no image, and shallow models."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch

from snellen.structures import (
    ClassScores,
    ClassTarget,
    LabelSetScores,
    LabelSetTarget,
    Prediction,
    Target,
    ValueEstimates,
    ValueTarget,
)

__all__ = ["DEFAULT_MODELS", "GUESSES", "chosen_models"]

Guess = Callable[[Sequence[Any]], Prediction]  # from the targets of all training images to what is said of any image


def _prior(targets: Sequence[ClassTarget]) -> ClassScores:
    """Say how often each class occurs in training."""
    return ClassScores(probs=torch.stack([target.probs for target in targets]).mean(dim=0))


def _majority(targets: Sequence[ClassTarget]) -> ClassScores:
    """Say the most frequent class, and be sure of it."""
    prior = _prior(targets).probs
    return ClassScores(probs=torch.nn.functional.one_hot(prior.argmax(), len(prior)).float())


def _shares(targets: Sequence[LabelSetTarget]) -> LabelSetScores:
    """Say of each class how many training images show it, of those of which it is known."""
    shown = torch.stack([target.shown * target.known for target in targets]).sum(dim=0)
    known = torch.stack([target.known for target in targets]).sum(dim=0)
    return LabelSetScores(probs=shown / known.clamp(min=1))


def _mean(targets: Sequence[ValueTarget]) -> ValueEstimates:
    """Say the mean of each value."""
    values = torch.stack([target.values * target.known for target in targets]).sum(dim=0)
    known = torch.stack([target.known for target in targets]).sum(dim=0)
    return ValueEstimates(values=values / known.clamp(min=1))


def _median(targets: Sequence[ValueTarget]) -> ValueEstimates:
    """Say the median of each value."""
    values = torch.stack([target.values for target in targets])
    known = torch.stack([target.known for target in targets])
    columns = [column[is_known] for column, is_known in zip(values.T, known.T, strict=True)]
    return ValueEstimates(
        values=torch.stack([column.median() if len(column) else column.new_zeros(()) for column in columns])
    )


GUESSES: Mapping[type[Target], Mapping[str, Guess]] = MappingProxyType(
    {
        ClassTarget: {"majority class": _majority, "class prior": _prior},
        LabelSetTarget: {"shares of the classes": _shares},
        ValueTarget: {"mean": _mean, "median": _median},
    }
)

# Of each kind of features a learner that adds up and one that does not, the quick ones first.
DEFAULT_MODELS: Mapping[type[Target], tuple[str, ...]] = MappingProxyType(
    {
        ClassTarget: (
            "colour_knn", "colour_softmax", "colour_forest",
            "pixels_knn", "pixels_softmax", "pixels_forest",
            "lbp_softmax", "lbp_forest",
            "hog_knn", "hog_softmax", "hog_rbf_svm",
            "sift_softmax", "sift_multinomial_bayes",
        ),
        LabelSetTarget: (
            "colour_softmax", "colour_forest", "pixels_softmax", "pixels_forest", "lbp_softmax", "hog_softmax",
            "hog_rbf_svm", "sift_softmax",
        ),
        ValueTarget: (
            "colour_ridge", "colour_svr", "pixels_ridge", "pixels_svr", "lbp_ridge", "lbp_svr", "hog_ridge", "hog_svr",
            "sift_ridge", "sift_svr",
        ),
    }
)  # fmt: skip
_ON_NETWORKS: Mapping[type[Target], tuple[str, ...]] = MappingProxyType(
    {
        ClassTarget: ("knn", "softmax", "rbf_svm"),
        LabelSetTarget: ("softmax", "rbf_svm"),
        ValueTarget: ("ridge", "svr"),
    }
)


def chosen_models(given: tuple[str, ...], target_type: type[Target], backbone: str | None) -> tuple[str, ...]:
    """Return the models to try: those that were named, or a choice that takes minutes.

    Args:
        given: Names; empty for the choice.
        target_type: Of the data.
        backbone: Whose weights were given; its features come first then. None without weights.
    """
    if given:
        return tuple(dict.fromkeys(given))
    first = () if backbone is None else tuple(f"{backbone}_features_{name}" for name in _ON_NETWORKS[target_type])
    return (*first, *DEFAULT_MODELS[target_type])
