"""One question put to features, such as which class an image shows: how it is fitted and answered.

Shapes: n images, d features, K classes of the data set, P classes that occur in training.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float32, Float64, Int64
from torch import nn

from snellen.metrics import IMBALANCED_FROM
from snellen.models.shallow.calibration import calibrated_probs, fit_sigmoids
from snellen.models.shallow.choosing import Choice, Progress, candidates, chosen, fitted_answer
from snellen.models.shallow.examples import Examples
from snellen.models.shallow.fitted import Arrays, FittedArrays, Schema, Sizes, check_arrays
from snellen.models.shallow.folds import stratified_rows
from snellen.models.shallow.learners.catalog import find_learner
from snellen.models.shallow.learners.rows import Learner
from snellen.models.shallow.preparation import PREPARATION, FittingSettings, prepared_features
from snellen.structures import Fact

__all__ = ["ClassQuestion", "settled"]


def _faults(arrays: Arrays, sizes: Sizes) -> str:
    classes = arrays["classes"]
    if not len(classes) or classes.min() < 0 or classes.max() >= sizes["K"] or (np.diff(classes) <= 0).any():
        return f"classes must rise from 0 to at most {sizes['K'] - 1}."
    return "" if ("slope" in arrays) == ("offset" in arrays) else "slope and offset must come together."


_OUTCOME = Schema(
    arrays={"classes": ("i", ("P",)), "slope": ("f", ("P",)), "offset": ("f", ("P",))},
    optional=frozenset({"slope", "offset"}),
    faults=_faults,
)


def settled(fitting: FittingSettings, learner: Learner) -> FittingSettings:
    """Return settings of fitting with what suits the learner where nothing was said."""
    return replace(
        fitting,
        pca=learner.pca if fitting.pca is None else fitting.pca,
        tried_images=min(fitting.tried_images, learner.tried_images),
        most_images=learner.most_images if fitting.most_images is None else fitting.most_images,
    )


class ClassQuestion(nn.Module):
    """Which of several classes an image shows.

    Args:
        learner: Its name.
        num_classes: K.
    """

    def __init__(self, learner: str, num_classes: int) -> None:
        super().__init__()
        self.learner_name = learner  # the row holds functions, and is no part of what is copied or set
        self.num_classes = num_classes
        self.preparation = FittedArrays()
        self.learned = FittedArrays()
        self.outcome = FittedArrays()

    @property
    def learner(self) -> Learner:
        """Its row."""
        return find_learner(self.learner_name)

    @property
    def is_fitted(self) -> bool:
        """Whether there is something to answer by."""
        return bool(self.outcome.numbers)

    def probs(self, features: Float32[np.ndarray, "n d"]) -> Float64[np.ndarray, "n K"]:
        """Return the probability of each class; all alike before a fit."""
        found = np.full((len(features), self.num_classes), 1 / self.num_classes)
        outcome = self.outcome.arrays()
        if not outcome:
            return found
        found[:] = 0
        classes = outcome["classes"]
        if len(classes) == 1:
            found[:, classes] = 1
            return found
        margins = self.margins(features)
        to_probs = self.learner.predictor.probs
        if to_probs is None:
            found[:, classes] = calibrated_probs(margins, outcome["slope"], outcome["offset"])
        else:
            found[:, classes] = to_probs(margins)
        return found

    def margins(self, features: Float32[np.ndarray, "n d"]) -> Float64[np.ndarray, "n P"]:
        """Return what the learner says of each class that it has met, before any calibration."""
        rows = prepared_features(self.preparation.arrays(), features)
        return self.learner.predictor.margins(self.learned.arrays(), rows)

    def check(self, num_features: int | None) -> None:
        """Refuse what no fit leaves behind.

        Args:
            num_features: d, where that is known.

        Raises:
            CheckpointError: If something has a wrong size or a value out of range.
        """
        outcome = self.outcome.arrays()
        if not outcome:
            return
        check_arrays(outcome, _OUTCOME, {"K": self.num_classes})
        classes = outcome["classes"]
        if len(classes) == 1:
            return
        preparation = self.preparation.arrays()
        check_arrays(preparation, PREPARATION, {} if num_features is None else {"D": num_features})
        seen = len(preparation["axes"]) if "axes" in preparation else len(preparation["mean"])
        check_arrays(self.learned.arrays(), self.learner.predictor.schema, {"d": seen, "P": len(classes)})

    def fit(
        self,
        features: Float32[np.ndarray, "n d"],
        labels: Int64[np.ndarray, " n"],
        settings: object,
        fitting: FittingSettings,
        *,
        groups: Int64[np.ndarray, " n"] | None,
        seed: int,
        progress: Progress,
    ) -> dict[str, Fact]:
        """Choose what is left open, fit the learner, calibrate it if it needs that, and return what to report."""
        fitting = settled(fitting, self.learner)
        counts = np.bincount(labels, minlength=self.num_classes)
        classes = np.flatnonzero(counts)
        facts: dict[str, Fact] = {"images": len(labels), "features": features.shape[1]}
        if len(classes) < 2:
            self._take({}, {}, {"classes": classes})
            return {**facts, "classes": "only one occurs, and every image is taken for it"}
        examples = Examples(
            features=features,
            labels=np.searchsorted(classes, labels),
            num_classes=len(classes),
            seed=seed,
            is_balanced=_is_balanced(counts[classes], wanted=fitting.balance),
        )
        choice = self._choice(examples, settings, fitting, groups, progress)
        rows = stratified_rows(examples.labels, fitting.most_images or len(labels), seed=seed)
        used = replace(examples, features=features[rows], labels=examples.labels[rows])
        progress("fitting", 0, 1)
        fitted = fitted_answer(used, choice.candidate, self.learner.fit, fitting)
        progress("fitting", 1, 1)
        outcome = {"classes": classes.astype(np.int64)}
        if self.learner.predictor.probs is None:
            outcome["slope"], outcome["offset"] = _sigmoids(choice, examples)
        self._take(fitted.preparation, fitted.answer, outcome)
        return {**facts, **self._facts(choice, examples, fitting, len(rows))}

    def _choice(
        self,
        examples: Examples,
        settings: object,
        fitting: FittingSettings,
        groups: Int64[np.ndarray, " n"] | None,
        progress: Progress,
    ) -> Choice:
        return chosen(
            examples,
            candidates(settings, self.learner.grid, self.learner.scales, fitting.scale),
            self.learner.fit,
            self.learner.predictor.margins,
            fitting,
            groups=groups,
            needs_margins=self.learner.predictor.probs is None,
            progress=progress,
        )

    def _facts(self, choice: Choice, examples: Examples, fitting: FittingSettings, num_used: int) -> dict[str, Fact]:
        facts: dict[str, Fact] = {}
        if num_used < len(examples):
            facts["images that it was fitted to"] = num_used
        missing = self.num_classes - examples.num_classes
        if missing:
            facts["classes without an image, which are never told"] = missing
        if examples.is_balanced:
            facts["weights"] = "every class the same"
        if "axes" in self.preparation.numbers:
            facts["principal components"] = len(self.preparation.numbers["axes"])
        if choice.candidate.words:
            facts["chosen"] = choice.candidate.words
        if choice.scores:
            measure = "mean recall" if examples.is_balanced else "accuracy"
            tried = [f"{words or 'as set'}: {score:.3f}" for words, score in choice.scores.items()]
            facts[f"tried on {len(choice.rows)} images in {fitting.folds} parts ({measure})"] = "; ".join(tried)
        elif choice.candidate.words:
            facts["tried"] = "nothing, for there are too few images"
        return facts

    def _take(self, preparation: Arrays, learned: Arrays, outcome: Arrays) -> None:
        for place, arrays in ((self.preparation, preparation), (self.learned, learned), (self.outcome, outcome)):
            place.take(arrays)


def _is_balanced(counts: Int64[np.ndarray, " P"], *, wanted: bool | None) -> bool:
    return bool(counts.max() >= IMBALANCED_FROM * counts.min()) if wanted is None else wanted


def _sigmoids(choice: Choice, examples: Examples) -> tuple[Float64[np.ndarray, " P"], Float64[np.ndarray, " P"]]:
    if choice.margins is None:  # too few images to set some aside: margins as they are
        return np.ones(examples.num_classes), np.zeros(examples.num_classes)
    return fit_sigmoids(choice.margins, examples.labels[choice.rows])
