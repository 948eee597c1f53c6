"""Other readings of classes of images and of maps."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Int64

from snellen.doctor.evidence.results.evaluated import EvaluatedRun, Pair
from snellen.doctor.evidence.results.readings import (
    ALL,
    NEAR,
    Proposal,
    Reading,
    Renaming,
    chosen_pairs,
    next_images,
    reading_of,
    renamed,
    same_named,
    with_prediction,
)
from snellen.metrics import confusion_counts
from snellen.structures import IGNORE_LABEL, ClassScores, ClassTarget, MaskTarget, SegmentationMap

__all__ = ["reading_of_classes", "reading_of_maps"]

MOST_MAPS = 60
MOST_PX = 400  # of the longer side of a map; of larger ones every second pixel is looked at, or every third, ...
REACH = 0.1  # of the side of a map, by which it may be displaced
LEAST_VOTES = 0.5  # of the maps, that are displaced alike
_PIXELS = 250  # that stand for one case: neighbouring pixels say the same
_TURNS = {"mirrored": (1,), "upside_down": (0,), "half_turn": (0, 1)}


def reading_of_classes(run: EvaluatedRun) -> Reading:
    """Return the other reading of class answers that fits best."""
    pairs = [pair for pair in chosen_pairs(run, ClassScores, ClassTarget) if pair[1].probs.any()]  # type: ignore[union-attr]
    return reading_of(run, pairs, _of_classes(run, pairs))


def _of_classes(run: EvaluatedRun, pairs: Sequence[Pair]) -> Iterator[Proposal]:
    number = len(run.index.classes)
    truth = np.array([int(target.probs.argmax()) for _, target in pairs], np.int64)  # type: ignore[union-attr]
    named = np.array([int(image.prediction.probs.argmax()) for image, _ in pairs], np.int64)  # type: ignore[union-attr]
    halves = [confusion_counts(truth[half::2], named[half::2], num_classes=number) for half in (0, 1)]
    found = renamed(np.array(halves))
    if found is not None:
        yield Proposal(
            name="classes",
            numbers=same_named(run.index.classes, found),
            read=partial(_with_names, renaming=found),
            least=ALL,
        )
    yield from next_images()


def _with_names(pairs: Sequence[Pair], renaming: Renaming) -> list[Pair]:
    order = torch.from_numpy(np.argsort(renaming.means))
    return [
        with_prediction(pair, ClassScores(probs=pair[0].prediction.probs[order]))  # type: ignore[union-attr]
        for pair in pairs
    ]


def reading_of_maps(run: EvaluatedRun) -> Reading:
    """Return the other reading of maps that fits best."""
    first = next(iter(run.looked_at.predictions()), None)
    step = 1 if first is None else -(-max(first.size) // MOST_PX)
    pairs = chosen_pairs(run, SegmentationMap, MaskTarget, most=MOST_MAPS, kept=partial(_reduced, step=step))
    return reading_of(run, pairs, _of_maps(run, pairs, step))


def _reduced(pair: Pair, step: int) -> Pair:
    """Return a pair without confidence, and with every so many pixels of the maps."""
    named, truth = (labels[::step, ::step] for labels in _labels(pair))
    none = torch.zeros(()).expand(*named.shape)
    found = SegmentationMap(labels=torch.from_numpy(np.ascontiguousarray(named)), confidence=none)
    return replace(pair[0], prediction=found), MaskTarget(labels=torch.from_numpy(np.ascontiguousarray(truth)))


def _labels(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    return pair[0].prediction.labels.numpy(), pair[1].labels.numpy()  # type: ignore[union-attr]


def _of_maps(run: EvaluatedRun, pairs: Sequence[Pair], every: int) -> Iterator[Proposal]:
    number = len(run.index.classes)
    halves = np.zeros((2, number, number), np.int64)
    for place, pair in enumerate(pairs):
        named, truth = _labels(pair)
        if named.shape != truth.shape:
            return
        known = truth != IGNORE_LABEL
        halves[place % 2] += confusion_counts(truth[known], named[known], num_classes=number)
    found = renamed(halves // _PIXELS)
    if found is not None:
        table = found.means.astype(np.uint8)
        yield Proposal(
            name="classes",
            numbers=same_named(run.index.classes, found),
            read=lambda given: [_painted(pair, table[_labels(pair)[0]]) for pair in given],
            least=ALL,
        )
    for name, axes in _TURNS.items():
        yield Proposal(name=name, numbers={}, read=partial(_turned, axes=axes))
    step = _displacement(pairs)
    if step is not None:
        yield Proposal(
            name="moved",
            numbers={"right": f"{-every * step[1]:+d}", "down": f"{-every * step[0]:+d}"},
            read=lambda given: [_painted(pair, _shifted(_labels(pair)[0], *step)) for pair in given],
            least=NEAR,
        )
    yield from next_images(lambda one, other: _labels(one)[0].shape == _labels(other)[1].shape)


def _turned(pairs: Sequence[Pair], axes: tuple[int, ...]) -> list[Pair]:
    return [_painted(pair, np.flip(_labels(pair)[0], axes)) for pair in pairs]


def _painted(pair: Pair, labels: Int64[np.ndarray, "height width"]) -> Pair:
    found: SegmentationMap = pair[0].prediction  # type: ignore[assignment]  # chosen by type
    return with_prediction(
        pair, SegmentationMap(labels=torch.from_numpy(np.ascontiguousarray(labels)), confidence=found.confidence)
    )


def _shifted(labels: np.ndarray, down: int, right: int) -> np.ndarray:
    """Return a map moved by whole pixels; what comes in from outside repeats the border."""
    rows = np.clip(np.arange(labels.shape[0]) - down, 0, labels.shape[0] - 1)
    columns = np.clip(np.arange(labels.shape[1]) - right, 0, labels.shape[1] - 1)
    return np.asarray(labels[np.ix_(rows, columns)])


def _displacement(pairs: Sequence[Pair]) -> tuple[int, int] | None:
    """Return by how many pixels down and to the right most maps would have to be moved; None if none is.

    Source:
        Cross-correlation by Fourier transforms, of a phase for each class: the real part counts equal pixels most.
    """
    votes = []
    for pair in pairs:
        named, truth = _labels(pair)
        spectra = [np.fft.fft2(_phases(labels)) for labels in (named, truth)]
        match = np.fft.ifft2(np.conj(spectra[0]) * spectra[1]).real
        height, width = match.shape
        rows, columns = (np.minimum(np.arange(side), side - np.arange(side)) for side in (height, width))
        match[(rows[:, None] > REACH * height) | (columns[None] > REACH * width)] = -np.inf
        down, right = np.unravel_index(int(match.argmax()), match.shape)
        votes.append((int(down) - (down > height / 2) * height, int(right) - (right > width / 2) * width))
    steps, counts = np.unique(np.array(votes), axis=0, return_counts=True)
    most = int(counts.argmax())
    if counts[most] < LEAST_VOTES * len(votes) or not steps[most].any():
        return None
    return int(steps[most, 0]), int(steps[most, 1])


def _phases(labels: np.ndarray) -> np.ndarray:
    known = labels != IGNORE_LABEL
    number = int(labels[known].max(initial=0)) + 1
    turns = np.where(known, labels * (0.618034 if number > 2 else 0.5), 0)  # far apart for neighbouring numbers
    return np.where(known, np.exp(2j * np.pi * turns), 0)
