"""Heads that are solved for, not trained by gradients: linear SVMs with hard negatives, ridge regression of boxes."""

from snellen.models.detection.fitting.mining import (
    MiningRound,
    MiningSettings,
    NegativeCache,
    RegionExamples,
    SvmFit,
    fit_linear_svms,
)
from snellen.models.detection.fitting.ridge import BoxExamples, RidgeBoxes, RidgeSettings, fit_ridge_boxes
from snellen.models.detection.fitting.svm import LinearClassifier, LinearSvms, SvmSettings, fit_linear_svm

__all__ = [
    "BoxExamples",
    "LinearClassifier",
    "LinearSvms",
    "MiningRound",
    "MiningSettings",
    "NegativeCache",
    "RegionExamples",
    "RidgeBoxes",
    "RidgeSettings",
    "SvmFit",
    "SvmSettings",
    "fit_linear_svm",
    "fit_linear_svms",
    "fit_ridge_boxes",
]
