"""From probabilities to one class, where another rule than "the most probable" was chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from snellen.errors import InputError

__all__ = ["Decision", "decided_labels"]

_LEAST = 1e-6  # of a threshold that is divided by


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Thresholds of classes, and how they decide.

    Attributes:
        thresholds: Of the probability of each class, in label order.
        found: Label of a class that is named as soon as its probability reaches its threshold; where it does not, the
            most probable of the others is. None: the class is named whose probability is the greatest multiple of its
            threshold.

    Raises:
        InputError: If a number is out of range.

    Source:
        Multiples of thresholds: Zhou and Liu 2006, "Training cost-sensitive neural networks with methods addressing the
        class imbalance problem", section 2.3 (threshold-moving), where the costs are 1 over the thresholds.
    """

    thresholds: tuple[float, ...]
    found: int | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not all(0 <= value <= 1 for value in self.thresholds):
            raise InputError(f"thresholds must lie in 0..1; got {self.thresholds}.")
        if self.found is not None and not 0 <= self.found < len(self.thresholds):
            raise InputError(f"found must be a label, 0..{len(self.thresholds) - 1}; got {self.found}.")


def decided_labels(
    probs: Float[np.ndarray, "n num_classes"], decision: Decision | None, *, classes: Sequence[str] = ()
) -> Int64[np.ndarray, " n"]:
    """Return the class that is named for each row of probabilities.

    Args:
        probs: Of each class.
        decision: How; None names the most probable.
        classes: Names, for the error.

    Raises:
        InputError: If there is not one threshold for each class.
    """
    if decision is None:
        return np.asarray(probs.argmax(axis=1), np.int64)
    if len(decision.thresholds) != probs.shape[1]:
        raise InputError(
            f"thresholds must be {probs.shape[1]} numbers, one for each class{f' ({classes})' if classes else ''}; got "
            f"{len(decision.thresholds)}. Choose them again for these classes."
        )
    limits = np.array(decision.thresholds, np.float64)
    if decision.found is None:
        return np.asarray((probs / np.maximum(limits, _LEAST)).argmax(axis=1), np.int64)
    others = np.delete(np.arange(probs.shape[1]), decision.found)
    if not len(others):
        return np.zeros(len(probs), np.int64)
    rest = others[probs[:, others].argmax(axis=1)]
    return np.asarray(np.where(probs[:, decision.found] >= limits[decision.found], decision.found, rest), np.int64)
