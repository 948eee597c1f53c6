"""Whether probabilities mean what they say."""

import numpy as np
from jaxtyping import Float64, Int64

from snellen.structures import Curve, Series

__all__ = [
    "MOST_TEMPERATURE",
    "NUM_CONFIDENCE_BINS",
    "expected_calibration_error",
    "fitted_temperature",
    "negative_log_likelihood",
    "reliability",
]

MOST_TEMPERATURE = 100.0  # and its inverse the least; images that are all told right would ask for 0, without end
_TEMPERATURE_STEP = 1e-9  # of the logarithm of the temperature
NUM_CONFIDENCE_BINS = 15  # equal widths; Guo et al. 2017, section 5


def negative_log_likelihood(
    probs: Float64[np.ndarray, "n num_classes"], wanted: Float64[np.ndarray, "n num_classes"]
) -> float:
    """Mean of −Σ wanted · ln(probs), in nats; nan without images.

    Probabilities are held at 1e-15 at least, so that one certain error does not make the mean infinite.

    Source:
        Hastie, Tibshirani and Friedman 2009, eq. 7.8; the floor is that of earlier
        ``sklearn.metrics.log_loss``.
    """
    if len(probs) == 0:
        return float("nan")
    return float(-(wanted * np.log(np.clip(probs, 1e-15, None))).sum(axis=1).mean())


def _bins(
    probs: np.ndarray, true_labels: np.ndarray
) -> tuple[Float64[np.ndarray, " bins"], Float64[np.ndarray, " bins"], Int64[np.ndarray, " bins"]]:
    confidence = probs.max(axis=1)
    right = probs.argmax(axis=1) == true_labels
    # Bins are open below and closed above, as in the paper.
    place = np.clip(np.ceil(confidence * NUM_CONFIDENCE_BINS).astype(np.int64) - 1, 0, NUM_CONFIDENCE_BINS - 1)
    count = np.bincount(place, minlength=NUM_CONFIDENCE_BINS)
    filled = np.maximum(count, 1)
    mean_confidence = np.bincount(place, confidence, minlength=NUM_CONFIDENCE_BINS) / filled
    accuracy = np.bincount(place, right, minlength=NUM_CONFIDENCE_BINS) / filled
    return mean_confidence, accuracy, count


def expected_calibration_error(
    probs: Float64[np.ndarray, "n num_classes"], true_labels: Int64[np.ndarray, " n"]
) -> float:
    """Mean distance between confidence and accuracy over 15 bins of confidence, weighted by their images.

    0 is best; nan without images.

    Source:
        Guo et al. 2017, eq. 3, https://arxiv.org/abs/1706.04599.
    """
    if len(probs) == 0:
        return float("nan")
    confidence, accuracy, count = _bins(probs, true_labels)
    return float((np.abs(confidence - accuracy) * count).sum() / count.sum())


def reliability(probs: Float64[np.ndarray, "n num_classes"], true_labels: Int64[np.ndarray, " n"]) -> Curve:
    """Accuracy over confidence, one point for each bin that has images.

    Source:
        Guo et al. 2017, figure 1.
    """
    series = [Series(name="perfect", x=(0.0, 1.0), y=(0.0, 1.0))]
    if len(probs):
        confidence, accuracy, count = _bins(probs, true_labels)
        filled = count > 0
        series.append(Series(name="model", x=tuple(confidence[filled].tolist()), y=tuple(accuracy[filled].tolist())))
    return Curve(
        title="Reliability",
        x_label="Confidence",
        y_label="Accuracy",
        series=tuple(series),
        note="Below the diagonal the model is too sure of itself.",
    )


def fitted_temperature(
    logits: Float64[np.ndarray, "n num_classes"], wanted: Float64[np.ndarray, "n num_classes"]
) -> float:
    """Return the number by which logits are divided so that their softmax is the likeliest.

    Above 1 the model was too sure of itself; the class that is named stays the same.

    Args:
        logits: Raw scores, or logarithms of probabilities; of images that the model has not learned from.
        wanted: Share of each class, sums to 1.

    Returns:
        Within 0.01..100; 1 without images.

    Source:
        Guo et al. 2017, section 4.2, eq. 9, https://arxiv.org/abs/1706.04599. The likelihood is concave in 1/T: its
        slope is halved down to a relative 1e-9.
    """
    if not len(logits):
        return 1.0
    centred = logits - logits.max(axis=1, keepdims=True)

    def slope(inverse: float) -> float:
        weights = np.exp(inverse * centred)
        probs = weights / weights.sum(axis=1, keepdims=True)
        return float(((wanted.sum(axis=1, keepdims=True) * probs - wanted) * centred).sum())

    low, high = np.log(1 / MOST_TEMPERATURE), np.log(MOST_TEMPERATURE)
    while high - low > _TEMPERATURE_STEP:
        middle = (low + high) / 2
        low, high = (low, middle) if slope(float(np.exp(middle))) > 0 else (middle, high)
    return float(np.exp(-(low + high) / 2))
