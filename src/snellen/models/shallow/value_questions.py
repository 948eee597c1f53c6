"""One number asked of features: how it is fitted and estimated.

Shapes: n images, d features.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float32, Float64, Int64
from torch import nn

from snellen.models.shallow.choosing import Candidate, Progress, candidates
from snellen.models.shallow.fitted import FittedArrays, Schema, check_arrays
from snellen.models.shallow.folds import fold_of_each
from snellen.models.shallow.learners.catalog import find_value_learner
from snellen.models.shallow.learners.values import ValueExamples, ValueLearner
from snellen.models.shallow.preparation import PREPARATION, FittingSettings, fit_preparation, prepared_features
from snellen.structures import Fact

__all__ = ["ValueQuestion"]

_OUTCOME = Schema(
    arrays={"mean": ("f", (1,)), "spread": ("f", (1,))},
    faults=lambda arrays, _: "" if arrays["spread"][0] > 0 else "spread must be above 0.",
)


class ValueQuestion(nn.Module):
    """A number that belongs to an image, in the units of the data; learned in standard units.

    Args:
        learner: Its name.
    """

    def __init__(self, learner: str) -> None:
        super().__init__()
        self.learner_name = learner  # the row holds functions, and is no part of what is copied or set
        self.preparation = FittedArrays()
        self.learned = FittedArrays()
        self.outcome = FittedArrays()

    @property
    def learner(self) -> ValueLearner:
        """Its row."""
        return find_value_learner(self.learner_name)

    @property
    def spread(self) -> float:
        """Standard deviation of the training values; 1 before a fit and where they do not vary."""
        return float(self.outcome.arrays()["spread"][0]) if self.outcome.numbers else 1.0

    def values(self, features: Float32[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
        """Return the number of each image; 0 before a fit, the mean where nothing could be learned."""
        outcome = self.outcome.arrays()
        if not outcome:
            return np.zeros(len(features))
        if not self.learned.numbers:
            return np.full(len(features), outcome["mean"][0])
        rows = prepared_features(self.preparation.arrays(), features)
        estimate = self.learner.estimate(self.learned.arrays(), rows)
        return np.asarray(estimate * outcome["spread"][0] + outcome["mean"][0])

    def check(self, num_features: int | None) -> None:
        """Refuse what no fit leaves behind.

        Args:
            num_features: d, where that is known.

        Raises:
            CheckpointError: If something has a wrong size or a value out of range.
        """
        if not self.outcome.numbers:
            return
        check_arrays(self.outcome.arrays(), _OUTCOME, {})
        if not self.learned.numbers:
            return
        preparation = self.preparation.arrays()
        check_arrays(preparation, PREPARATION, {} if num_features is None else {"D": num_features})
        seen = len(preparation["axes"]) if "axes" in preparation else len(preparation["mean"])
        check_arrays(self.learned.arrays(), self.learner.schema, {"d": seen})

    def fit(
        self,
        features: Float32[np.ndarray, "n d"],
        values: Float64[np.ndarray, " n"],
        settings: object,
        fitting: FittingSettings,
        *,
        groups: Int64[np.ndarray, " n"] | None,
        seed: int,
        progress: Progress,
    ) -> dict[str, Fact]:
        """Choose what is left open, fit the learner, and return what to report."""
        mean = float(values.mean()) if len(values) else 0.0
        spread = float(values.std()) if len(values) else 0.0
        self.outcome.take({"mean": np.array([mean]), "spread": np.array([spread if spread > 0 else 1.0])})
        if len(values) < 2 or not spread:
            self.preparation.take({})
            self.learned.take({})
            return {"values": "nothing to learn from, and every image is given the mean"}
        examples = ValueExamples(features=features, values=(values - mean) / spread, seed=seed)
        options = candidates(settings, self.learner.grid, ("standard",), fitting.scale)
        drawn = np.random.default_rng(seed).permutation(len(values))
        tried = np.sort(drawn[: min(fitting.tried_images, self.learner.tried_images)])
        errors = _errors(self.learner, _rows(examples, tried), options, fitting, _picked(groups, tried), progress)
        best = options[int(np.argmin(errors))] if errors else options[0]
        used = np.sort(drawn[: fitting.most_images or self.learner.most_images])
        progress("fitting", 0, 1)
        self._fit_one(_rows(examples, used), best, fitting)
        progress("fitting", 1, 1)
        facts: dict[str, Fact] = {"images": len(values), "features": features.shape[1]}
        if len(used) < len(values):
            facts["images that it was fitted to"] = len(used)
        if best.words:
            facts["chosen"] = best.words
        if errors:
            told = [f"{option.words}: {error:.3f}" for option, error in zip(options, errors, strict=True)]
            measure = "squared error, 1 is the mean's"
            facts[f"tried on {len(tried)} images in {fitting.folds} parts ({measure})"] = "; ".join(told)
        return facts

    def _fit_one(self, examples: ValueExamples, candidate: Candidate, fitting: FittingSettings) -> None:
        preparation = fit_preparation(
            examples.features, scale=candidate.scale, pca=fitting.pca or 0, whiten=fitting.whiten, seed=examples.seed
        )
        self.preparation.take(preparation)
        rows = replace(examples, features=prepared_features(preparation, examples.features))
        self.learned.take(self.learner.fit(rows, candidate.settings))


def _errors(
    learner: ValueLearner,
    examples: ValueExamples,
    options: list[Candidate],
    fitting: FittingSettings,
    groups: Int64[np.ndarray, " n"] | None,
    progress: Progress,
) -> list[float]:
    """Return the mean squared error of each option on images set aside; none where there is nothing to compare."""
    number = len(examples.values)
    fold = fold_of_each(np.zeros(number, np.int64), groups, folds=min(fitting.folds, number), seed=examples.seed)
    if len(options) < 2 or len(np.unique(fold)) < 2:
        return []
    squares = np.zeros((len(options), number))
    for done, part in enumerate(np.unique(fold)):
        kept, aside = np.flatnonzero(fold != part), np.flatnonzero(fold == part)
        preparation = fit_preparation(
            examples.features[kept],
            scale=options[0].scale,
            pca=fitting.pca or 0,
            whiten=fitting.whiten,
            seed=examples.seed,
        )
        known = _rows(examples, kept)
        known = replace(known, features=prepared_features(preparation, known.features))
        others = prepared_features(preparation, examples.features[aside])
        for place, option in enumerate(options):
            estimate = learner.estimate(learner.fit(known, option.settings), others)
            squares[place, aside] = np.square(estimate - examples.values[aside])
            progress("trying settings", done * len(options) + place + 1, len(options) * (fold.max() + 1))
    return [float(error) for error in squares.mean(axis=1)]


def _rows(examples: ValueExamples, rows: Int64[np.ndarray, " m"]) -> ValueExamples:
    return replace(examples, features=examples.features[rows], values=examples.values[rows])


def _picked(groups: Int64[np.ndarray, " n"] | None, rows: Int64[np.ndarray, " m"]) -> Int64[np.ndarray, " m"] | None:
    return None if groups is None else groups[rows]
