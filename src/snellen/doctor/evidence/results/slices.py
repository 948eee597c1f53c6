"""How good a model is on parts of the images or objects: small, dark, blurred, at the edge; with tests of them all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from jaxtyping import Float64, Int64
from scipy import stats

from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.images import ImageFacts
from snellen.doctor.evidence.results.answers import Answers
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.evidence.results.maps import MapErrors
from snellen.doctor.evidence.results.objects import DetectedObjects, WantedObjects
from snellen.doctor.words import Text
from snellen.metrics import Interval, operating_point, rank

__all__ = ["Outcomes", "Slice", "Slices", "cut", "holm_adjusted", "outcomes", "slices_of"]

LEAST_UNITS = 20  # images or objects of a slice, and as many beside it
LEAST_IMAGES = 10
OBJECT_ATTRIBUTES = ("object size", "aspect ratio", "crowding")
_LEVEL = 0.95


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcomes:
    """How each image, or each object, came out; ``n`` of them.

    Attributes:
        of_objects: Whether they are objects.
        images: Row of the whole data set of each, ``[n]``.
        values: 1 for right (found, named rightly), 0 for wrong, and shares between, ``[n]``.
        attributes: Of each, by name; NaN where not known, ``[n]``.
        boxes: Of objects, ``[n, 4]``; empty for images.
    """

    ABSENT = Text(
        en="the results of single images are not known for this kind of prediction",
        zh="这种预测没有逐图像的结果",
    )

    of_objects: bool
    images: Int64[np.ndarray, " n"]
    values: Float64[np.ndarray, " n"]
    attributes: Mapping[str, Float64[np.ndarray, " n"]]
    boxes: Float64[np.ndarray, "n 4"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice:
    """A third of the images or objects beside the others.

    Attributes:
        attribute: By which they were cut.
        is_low: Whether it is the lowest third; else the highest.
        border: Value of the attribute at which the slice ends.
        members: Positions in ``Outcomes``.
        mean: Of the slice.
        rest: Of the others.
        difference: Slice less the others, with interval; its p-value is corrected for all slices (Holm).
    """

    attribute: str
    is_low: bool
    border: float
    members: Int64[np.ndarray, " m"]
    mean: float
    rest: float
    difference: Interval


@dataclass(frozen=True, kw_only=True, eq=False)
class Slices:
    """All slices that are large enough, the worst first."""

    ABSENT = Outcomes.ABSENT

    rows: tuple[Slice, ...]
    outcomes: Outcomes


def outcomes(
    run: EvaluatedRun,
    facts: ImageFacts | None,
    answers: Answers | None,
    detected: DetectedObjects | None,
    wanted: WantedObjects | None,
    maps: MapErrors | None,
) -> Outcomes:
    """Return how each image or object came out, and what is known of it.

    Raises:
        NotCheckable: If the predictions are of another kind.
    """
    rows = run.index.split_rows(run.judged)
    own: dict[str, np.ndarray] = {}
    boxes = np.zeros((0, 4))
    if answers is not None:
        seen = answers.looked_at
        images, values = rows[seen.rows], seen.right.astype(np.float64)
    elif maps is not None:
        images = rows[maps.rows]
        wrong = maps.pixels.sum(1)
        sizes = run.index.sizes[images].astype(np.float64).prod(1)
        values = 1 - wrong / np.maximum(sizes, 1)
    elif detected is not None and wanted is not None:
        images, boxes = rows[detected.rows[wanted.images]], wanted.boxes
        values = _believed(detected, wanted).astype(np.float64)
        own = _of_boxes(boxes, run.index.sizes[images].astype(np.float64), wanted.neighbour)
    else:
        raise NotCheckable(Outcomes.ABSENT)
    return Outcomes(
        of_objects=bool(own),
        images=images,
        values=values,
        attributes={**own, **_of_images(run, images, facts)},
        boxes=boxes,
    )


def _believed(detected: DetectedObjects, wanted: WantedObjects) -> np.ndarray:
    """Return whether each object is found at the score at which the F1 of its class is highest."""
    point = operating_point(rank(detected.matched, num_classes=detected.num_classes))
    return np.asarray(wanted.found & (wanted.score >= point.thresholds[wanted.labels]))


def _of_boxes(boxes: np.ndarray, sizes: np.ndarray, neighbour: np.ndarray) -> dict[str, np.ndarray]:
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    extent = np.where(sizes > 0, sizes, np.nan)[:, ::-1]  # width, height
    away = np.abs(centre / extent - 0.5).max(1) * 2
    return {
        "object size": np.sqrt(sides.prod(1)),
        "aspect ratio": np.maximum(sides[:, 0] / sides[:, 1], sides[:, 1] / sides[:, 0]),
        "crowding": neighbour,
        "distance from the centre": away,
    }


def _of_images(run: EvaluatedRun, images: np.ndarray, facts: ImageFacts | None) -> dict[str, np.ndarray]:
    sizes = run.index.sizes[images].astype(np.float64).prod(1)
    found = {"image size": np.sqrt(np.where(sizes > 0, sizes, np.nan))}
    if facts is None or len(facts) != len(run.index):
        return found
    known = facts.is_readable[images]
    columns = {
        "brightness": facts.percentile(50)[images].astype(np.float64),
        "contrast": facts.contrast[images].astype(np.float64),
        "sharpness": facts.sharpness[images].astype(np.float64),
        "noise": facts.noise[images].astype(np.float64),
    }
    return {**found, **{name: np.where(known, values, np.nan) for name, values in columns.items()}}


def slices_of(outcomes: Outcomes) -> Slices:
    """Return the lowest and the highest third by every attribute, tested against the others."""
    found = [row for name, values in outcomes.attributes.items() for row in _thirds(outcomes, name, values)]
    adjusted = holm_adjusted([row.difference.p_value for row in found])
    rows = [replace(row, difference=replace(row.difference, p_value=p)) for row, p in zip(found, adjusted, strict=True)]
    return Slices(rows=tuple(sorted(rows, key=lambda row: row.difference.mean)), outcomes=outcomes)


def _thirds(outcomes: Outcomes, name: str, values: np.ndarray) -> Iterator[Slice]:
    known = np.flatnonzero(np.isfinite(values))
    seen = values[known]
    if not len(known) or seen.min() == seen.max():
        return
    low, high = np.quantile(seen, [1 / 3, 2 / 3])
    # Where more than a third are alike, the slice ends, or begins, beside them.
    low = low if low < seen.max() else seen[seen < seen.max()].max()
    high = high if high > seen.min() else seen[seen > seen.min()].min()
    for is_low, border, inside in ((True, low, seen <= low), (False, high, seen >= high)):
        members, others = known[inside], known[~inside]
        enough = min(len(members), len(others)) >= LEAST_UNITS
        if enough and len(np.unique(outcomes.images[members])) >= LEAST_IMAGES:
            yield cut(outcomes, members, others, attribute=name, is_low=is_low, border=float(border))


def cut(
    outcomes: Outcomes,
    members: Int64[np.ndarray, " m"],
    others: Int64[np.ndarray, " o"],
    *,
    attribute: str,
    is_low: bool,
    border: float,
) -> Slice:
    """Return a slice beside the others; objects of one image are not taken for independent of one another.

    Source:
        Variance of a difference of means over clusters: Liang and Zeger 1986, Longitudinal data analysis using
        generalized linear models, eq. 7 (the sandwich); with one object for each image that of Welch 1947.
        Degrees of freedom are those of the side with fewer images, which is on the safe side.
    """
    inside, outside = outcomes.values[members], outcomes.values[others]
    mean, rest = float(inside.mean()), float(outside.mean())
    sides = [len(np.unique(outcomes.images[rows])) for rows in (members, others)]
    # Deviations from a mean that is measured itself are too small, by the number of images behind it.
    spread = [sqrt(side / max(side - 1, 1)) for side in sides]
    influence = np.concatenate([spread[0] * (inside - mean) / len(inside), spread[1] * (rest - outside) / len(outside)])
    _, place = np.unique(outcomes.images[np.concatenate([members, others])], return_inverse=True)
    error = sqrt(float((np.bincount(place, influence) ** 2).sum()))
    freedom = max(min(sides) - 1, 1)
    difference = mean - rest
    if error == 0:
        low, high, p_value = difference, difference, 1.0 if difference == 0 else 0.0
    else:
        half = float(stats.t.ppf((1 + _LEVEL) / 2, freedom)) * error
        low, high = difference - half, difference + half
        p_value = 2 * float(stats.t.sf(abs(difference) / error, freedom))
    return Slice(
        attribute=attribute,
        is_low=is_low,
        border=border,
        members=members,
        mean=mean,
        rest=rest,
        difference=Interval(mean=difference, low=low, high=high, count=len(members), p_value=p_value),
    )


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """Return p-values that hold for all tests together, in the order given.

    Source:
        Holm 1979, A simple sequentially rejective multiple test procedure, https://www.jstor.org/stable/4615733.
    """
    order = np.argsort(p_values)
    adjusted = np.zeros(len(p_values))
    worst = 0.0
    for place, test in enumerate(order.tolist()):
        worst = max(worst, min(1.0, (len(p_values) - place) * p_values[test]))
        adjusted[test] = worst
    return [float(value) for value in adjusted]
