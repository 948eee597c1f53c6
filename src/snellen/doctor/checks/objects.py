"""What the checks of objects share: places with the boxes at fault, and places in annotation files."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex, Problem
from snellen.doctor.checks.images import MAX_PLACES
from snellen.doctor.evidence.labels import Objects
from snellen.doctor.finding import Place

__all__ = ["class_places", "object_places", "problem_places", "rounded", "written_place"]


def object_places(
    index: DatasetIndex,
    objects: Objects,
    rows: NDArray[np.int64],
    scores: NDArray[np.floating] | None = None,
    note: Callable[[int], str] = lambda place: "",  # noqa: ARG005 - nothing to note
) -> tuple[Place, ...]:
    """Return the images with some objects, each with the boxes of these, the worst first.

    Args:
        index: They belong to.
        objects: All of them.
        rows: Of the objects at fault.
        scores: How bad each is; the number of objects of an image without.
        note: What is wrong with the first object of an image, by its position in ``rows``.
    """
    values = np.ones(len(rows)) if scores is None else np.asarray(scores, np.float64)
    by_image: dict[int, list[int]] = defaultdict(list)
    for place in np.argsort(-values, kind="stable").tolist():
        by_image[int(objects.images[rows[place]])].append(place)
    worst = {
        image: len(members) if scores is None else float(values[members[0]]) for image, members in by_image.items()
    }
    chosen = sorted(by_image, key=lambda image: -worst[image])[:MAX_PLACES]
    return tuple(
        Place(
            kind="image",
            name=index.paths[image],
            boxes=tuple(rounded(objects.boxes[rows[place]]) for place in by_image[image][:MAX_PLACES]),
            note=note(by_image[image][0]),
            score=float(worst[image]),
        )
        for image in chosen
    )


def rounded(box: NDArray[np.floating]) -> tuple[float, float, float, float]:
    """Return a box as numbers that can be written."""
    left, top, right, bottom = (round(float(value), 1) for value in box)
    return left, top, right, bottom


def problem_places(index: DatasetIndex, problems: Iterable[Problem]) -> tuple[Place, ...]:
    """Return the files and lines of problems, relative to the root where they lie beneath it."""
    listed = tuple(problems)[:MAX_PLACES]
    return tuple(
        Place(
            kind="file",
            name=_relative(problem.file, index.root) if problem.file else str(index.root),
            line=problem.line,
            note=problem.subject or problem.code,
        )
        for problem in listed
    )


def written_place(places: tuple[Place, ...]) -> str:
    """Return the file and line of the first place; empty without any."""
    if not places:
        return ""
    first = places[0]
    return first.name if first.line is None else f"{first.name}:{first.line}"


def class_places(index: DatasetIndex, counts: Iterable[tuple[int, float]]) -> tuple[Place, ...]:
    """Return classes as places, from pairs of a label and a number; the smallest number is the worst."""
    ordered = sorted(counts, key=lambda pair: (pair[1], pair[0]))[:MAX_PLACES]
    return tuple(
        Place(kind="class", name=index.classes[label], note=f"{number:g}", score=-number) for label, number in ordered
    )


def _relative(file: str, root: Path) -> str:
    start = f"{root}/"
    return file.removeprefix(start)
