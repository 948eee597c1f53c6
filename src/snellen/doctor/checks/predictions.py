"""What the checks of results share: figures in words, places among the images looked at, settings to change."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.doctor.check import NotCheckable
from snellen.doctor.checks.images import MAX_PLACES
from snellen.doctor.checks.objects import rounded
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.finding import Place, Treatment
from snellen.doctor.words import Text

__all__ = ["changed", "judged_places", "larger_images", "need", "points", "share"]

_MULTIPLE = 32  # pixels: the coarsest stride of most networks
_LARGER = 1.5


def points(value: float) -> str:
    """Return a share in hundredths, as average precision is told."""
    return f"{100 * value:.1f}"


def share(value: float) -> str:
    """Return a share in per cent."""
    return f"{100 * value:.0f} %" if abs(value) >= 0.1 else f"{100 * value:.1f} %"


def need(number: int, least: int, en: str, zh: str) -> None:
    """Raise ``NotCheckable`` where there are fewer than the least number of something."""
    if number < least:
        raise NotCheckable(
            Text(
                en=f"{number} {en} are too few; {least} are the least", zh=f"只有 {number} {zh}，太少；至少需要 {least}"
            )
        )


def judged_places(
    run: EvaluatedRun,
    rows: NDArray[np.integer] | Sequence[int],
    *,
    scores: NDArray[np.floating] | Sequence[float] | None = None,
    boxes: NDArray[np.floating] | None = None,
    notes: Sequence[str] | None = None,
) -> tuple[tuple[Place, ...], int]:
    """Return the images of rows of the part that is looked at as places, the worst first, and how many there are.

    Args:
        run: They were predicted by.
        rows: Of the part; an image may come several times, with a box each.
        scores: How bad each is; equal without.
        boxes: At fault, one for each row.
        notes: What is wrong, one for each row; that of the worst is told.
    """
    part = run.looked_at.part
    values = np.ones(len(rows)) if scores is None else np.asarray(scores, np.float64)
    members: dict[int, list[int]] = defaultdict(list)
    for place in np.argsort(-values, kind="stable").tolist():
        members[int(rows[place])].append(place)
    worst = {
        row: len(own) if scores is None and boxes is not None else float(values[own[0]]) for row, own in members.items()
    }
    chosen = sorted(members, key=lambda row: -worst[row])
    return (
        tuple(
            Place(
                kind="image",
                name=part.paths[row],
                boxes=() if boxes is None else tuple(rounded(boxes[place]) for place in members[row][:MAX_PLACES]),
                note="" if notes is None else notes[members[row][0]],
                score=float(worst[row]),
            )
            for row in chosen[:MAX_PLACES]
        ),
        len(chosen),
    )


def changed(run: EvaluatedRun, ending: str, value: Any, **others: Any) -> Treatment | None:
    """Return the treatment that sets a setting of the model; None if it has none of that name, or has the value.

    Args:
        run: Of the model.
        ending: Of the name of the setting, such as ``nms_iou``.
        value: To set.
        others: Further settings of the model by the ends of their names; those that it lacks are left out.
    """
    found = run.option(ending)
    if found is None or found[1] == value:
        return None
    settings: dict[str, Any] = {found[0]: value}
    for name, wanted in others.items():
        further = run.option(name)
        if further is not None and further[1] != wanted:
            settings[further[0]] = wanted
    return Treatment(settings={"model_options": settings})


def larger_images(run: EvaluatedRun, factor: float = _LARGER, **more: Any) -> Treatment | None:
    """Return the treatment that trains on larger images; None where their size is not known."""
    size = run.record.get("image_size")
    if not isinstance(size, int | float):
        return None
    larger = int(np.ceil(size * factor / _MULTIPLE) * _MULTIPLE)
    settings: Mapping[str, Any] = {"image_size": larger, **more}
    return Treatment(settings=settings)
