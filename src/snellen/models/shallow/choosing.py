"""Settings that were left open: tried on parts of the training images that were set aside.

Shapes: n images, d features, P classes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from snellen.models.shallow.examples import Examples, patient
from snellen.models.shallow.fitted import Arrays
from snellen.models.shallow.folds import fold_of_each, stratified_rows
from snellen.models.shallow.preparation import FittingSettings, Scaling, fit_preparation, prepared_features

__all__ = ["Candidate", "Choice", "Fitted", "candidates", "chosen", "fitted_answer", "share_right"]

Progress = Callable[[str, int, int], None]
_TRYING = "trying settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One combination of what was left open.

    Attributes:
        scale: Of the features.
        settings: Of the learner.
        words: What was left open, with its value here.
    """

    scale: Scaling
    settings: Any
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A preparation of features and what a learner made of them."""

    preparation: Arrays
    answer: Arrays


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The combination that did best.

    Attributes:
        candidate: It.
        scores: Of all, by words; empty where nothing was compared.
        rows: Of the images that were set aside once each.
        margins: Of those images, from learners that had not seen them; None where there were too few.
    """

    candidate: Candidate
    scores: Mapping[str, float]
    rows: Int64[np.ndarray, " m"]
    margins: Float64[np.ndarray, "m P"] | None


def candidates(
    settings: Any, grid: Mapping[str, Sequence[Any]], scales: Sequence[Scaling], wanted: Scaling | None
) -> list[Candidate]:
    """Return the combinations of all that was left open, the first values first."""
    open_fields = [name for name in grid if getattr(settings, name) is None]
    found = []
    for scale in (wanted,) if wanted is not None else scales:
        for values in product(*(grid[name] for name in open_fields)):
            words = [f"{name} = {value:g}" for name, value in zip(open_fields, values, strict=True)]
            words += [f"scale = {scale}"] if wanted is None and len(scales) > 1 else []
            settled = replace(settings, **dict(zip(open_fields, values, strict=True)))
            found.append(Candidate(scale=scale, settings=settled, words=", ".join(words)))
    return found


def fitted_answer(
    examples: Examples, candidate: Candidate, fit: Callable[[Examples, Any], Arrays], fitting: FittingSettings
) -> Fitted:
    """Fit preparation and learner to examples."""
    preparation = fit_preparation(
        examples.features, scale=candidate.scale, pca=fitting.pca or 0, whiten=fitting.whiten, seed=examples.seed
    )
    rows = replace(examples, features=prepared_features(preparation, examples.features))
    with patient():
        return Fitted(preparation=preparation, answer=fit(rows, candidate.settings))


def chosen(
    examples: Examples,
    options: Sequence[Candidate],
    fit: Callable[[Examples, Any], Arrays],
    margins_of: Callable[[Arrays, Any], Float64[np.ndarray, "n P"]],
    fitting: FittingSettings,
    *,
    groups: Int64[np.ndarray, " n"] | None,
    needs_margins: bool,
    progress: Progress,
) -> Choice:
    """Return the option that does best on images that were set aside; the first where nothing can be compared.

    Args:
        examples: Of all classes.
        options: At least one; of equally good ones the first is taken.
        fit: Of the learner.
        margins_of: Of the learner, from arrays and features.
        fitting: See there; ``pca`` is settled.
        groups: See ``fold_of_each``.
        needs_margins: Whether margins are wanted even if there is one option only.
        progress: Is told how many fits are done.
    """
    rows = stratified_rows(examples.labels, fitting.tried_images, seed=examples.seed)
    labels = examples.labels[rows]
    fold = fold_of_each(
        labels, None if groups is None else groups[rows], folds=min(fitting.folds, len(rows)), seed=examples.seed
    )
    parts = [(fold != number, fold == number) for number in range(fold.max(initial=-1) + 1)]
    # A part can be learned from if it holds two classes.
    parts = [(kept, aside) for kept, aside in parts if aside.any() and len(np.unique(labels[kept])) > 1]
    if (len(options) < 2 and not needs_margins) or not parts:
        return Choice(candidate=options[0], scores={}, rows=rows, margins=None)
    judged = np.any([aside for _, aside in parts], axis=0)
    margins = np.full((len(options), len(rows), examples.num_classes), -np.inf)
    done = 0
    progress(_TRYING, done, len(options) * len(parts))
    for kept, aside in parts:
        for number, found in _margins(examples, options, fit, margins_of, fitting, rows[kept], rows[aside]):
            margins[number, aside] = found
            done += 1
            progress(_TRYING, done, len(options) * len(parts))
    scores = [
        share_right(labels[judged], found[judged].argmax(axis=1), is_balanced=examples.is_balanced) for found in margins
    ]
    best = int(np.argmax(scores))
    return Choice(
        candidate=options[best],
        scores=dict(zip([option.words for option in options], scores, strict=True)),
        rows=rows[judged],
        margins=_finite(margins[best, judged]),
    )


def _margins(
    examples: Examples,
    options: Sequence[Candidate],
    fit: Callable[[Examples, Any], Arrays],
    margins_of: Callable[[Arrays, Any], Any],
    fitting: FittingSettings,
    kept: Int64[np.ndarray, " k"],
    aside: Int64[np.ndarray, " a"],
) -> Iterator[tuple[int, Float64[np.ndarray, "a P"]]]:
    """Yield the number of each option with the margins of the images set aside; −inf for classes not learned."""
    for scale in dict.fromkeys(option.scale for option in options):
        preparation = fit_preparation(
            examples.features[kept], scale=scale, pca=fitting.pca or 0, whiten=fitting.whiten, seed=examples.seed
        )
        known, labels = np.unique(examples.labels[kept], return_inverse=True)
        part = replace(
            examples,
            features=prepared_features(preparation, examples.features[kept]),
            labels=labels,
            num_classes=len(known),
        )
        others = prepared_features(preparation, examples.features[aside])
        for number, option in enumerate(options):
            if option.scale == scale:
                margins = np.full((len(aside), examples.num_classes), -np.inf)
                with patient():
                    margins[:, known] = margins_of(fit(part, option.settings), others)
                yield number, margins


def share_right(labels: Int64[np.ndarray, " n"], guesses: Int64[np.ndarray, " n"], *, is_balanced: bool) -> float:
    """Return the share of images told rightly, or its mean over the classes."""
    right = labels == guesses
    if not is_balanced:
        return float(right.mean())
    counts = np.bincount(labels)
    shares = np.bincount(labels, weights=right) / np.maximum(counts, 1)
    return float(shares[counts > 0].mean())


def _finite(margins: Float64[np.ndarray, "m P"]) -> Float64[np.ndarray, "m P"]:
    """Return margins with the least of each image in place of −inf, for a class that was not there to be learned."""
    least = np.where(np.isfinite(margins), margins, np.inf).min(axis=1, keepdims=True)
    return np.where(np.isfinite(margins), margins, np.where(np.isfinite(least), least, 0.0))
