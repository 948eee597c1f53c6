"""Linear support vector machines, one against the rest.

Shapes: d features, K classes.
"""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["LinearClassifier", "LinearSvms", "SvmSettings", "fit_linear_svm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SvmSettings:
    """What a linear SVM minimises: ½ (‖w‖² + (b / m)²) + C Σ weight · loss.

    Defaults as in R-CNN's code (rcnn_train.m).

    Attributes:
        cost: C, of a margin that is violated by 1.
        positive_weight: Of the losses of positives; negatives count 1.
        bias_multiplier: m, the constant feature behind the bias. The larger, the less the bias is held back.
        loss: ``"hinge"``: max(0, 1 − y·margin); ``"squared_hinge"``: its square.
        tolerance: At which the solver stops; largest violation of optimality. liblinear's own default is 0.1.
        max_iterations: At which it stops anyway.
    """

    cost: float = 1e-3
    positive_weight: float = 2.0
    bias_multiplier: float = 10.0
    loss: Literal["hinge", "squared_hinge"] = "hinge"
    tolerance: float = 1e-3
    max_iterations: int = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearClassifier:
    """One class against the rest.

    Attributes:
        weight: Direction.
        bias: Added to the product of weight and features.
        is_converged: False if the solver stopped early.
    """

    weight: Float32[np.ndarray, " d"]
    bias: float
    is_converged: bool = True

    def margins(self, features: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, " n"]:
        """Return the signed distances from the boundary, in units in which the margin is 1."""
        margins: np.ndarray = features @ self.weight + np.float32(self.bias)
        return margins


def fit_linear_svm(
    features: Float32[np.ndarray, "n d"],
    is_positive: Bool[np.ndarray, " n"],
    settings: SvmSettings | None = None,
    *,
    seed: int = 0,
) -> LinearClassifier:
    """Return the linear SVM of one class.

    Where all examples are of one kind it says so of everything (weight 0, bias ±1: no loss, no weight).

    Args:
        features: One row for each example.
        is_positive: Whether it is of the class.
        settings: What is minimised.
        seed: Of the order in which the solver visits the examples.

    Source:
        Fan et al. 2008 (liblinear), dual coordinate descent, through scikit-learn's ``LinearSVC``.
    """
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - takes a second to import
    from sklearn.svm import LinearSVC  # noqa: PLC0415 - the same

    settings = settings or SvmSettings()
    if is_positive.all() or not is_positive.any():
        bias = 1.0 if len(is_positive) and is_positive.all() else -1.0
        return LinearClassifier(weight=np.zeros(features.shape[1], np.float32), bias=bias)
    solver = LinearSVC(
        C=settings.cost,
        loss=settings.loss,
        dual=True,
        class_weight={True: settings.positive_weight, False: 1.0},
        intercept_scaling=settings.bias_multiplier,
        tol=settings.tolerance,
        max_iter=settings.max_iterations,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # told by ``is_converged``
        solver.fit(features, is_positive)
    return LinearClassifier(
        weight=solver.coef_[0].astype(np.float32),
        bias=float(solver.intercept_[0]),
        is_converged=bool(np.max(solver.n_iter_) < settings.max_iterations),
    )


class LinearSvms(nn.Module):
    """The SVMs of all classes as one layer; all zero until they are fitted.

    Its margins are signed distances. Their sigmoid orders like a probability and is none: that takes a calibration on
    images that the SVMs have not seen (Platt 1999).

    Args:
        num_classes: K.
        num_features: d.

    Attributes:
        weight: [K, d].
        bias: [K].
        scale: Factor on the features before they are weighted.
        fitted: Whether the buffers hold the result of a fit.
    """

    weight: Float[Tensor, "K d"]
    bias: Float[Tensor, " K"]
    scale: Float[Tensor, ""]
    fitted: Bool[Tensor, ""]

    def __init__(self, num_classes: int, num_features: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(num_classes, num_features))
        self.register_buffer("bias", torch.zeros(num_classes))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("fitted", torch.tensor(False))  # noqa: FBT003 - a tensor's value

    def forward(self, features: Float[Tensor, "n d"]) -> Float[Tensor, "n K"]:
        """Return the margins, in float32 whatever the precision of the features."""
        with torch.autocast(features.device.type, enabled=False):
            return functional.linear(features.to(self.weight.dtype) * self.scale, self.weight, self.bias)

    @torch.no_grad()
    def take(self, classifiers: list[LinearClassifier], *, scale: float = 1.0) -> None:
        """Fill the buffers with one classifier for each class, fitted on features times ``scale``."""
        self.weight.copy_(torch.from_numpy(np.stack([each.weight for each in classifiers])))
        self.bias.copy_(torch.tensor([each.bias for each in classifiers]))
        self.scale.fill_(scale)
        self.fitted.fill_(value=True)
