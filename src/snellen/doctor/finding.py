"""What a check found: the fault, how it was measured, where it is and what mends it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

from snellen.doctor.words import Text
from snellen.structures import Curve

__all__ = ["Finding", "Level", "Limit", "Number", "Place", "PlaceKind", "Treatment"]

Number = int | float | str
PlaceKind = Literal["image", "file", "class", "split", "layer", "parameter", "setting"]


class Level(IntEnum):
    """How sure and how grave; a larger number is graver."""

    INFO = 1  # worth knowing
    WARNING = 2  # a statistic beyond what healthy data and runs show
    ERROR = 3  # proven: an exact fault or a contradiction


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What the measured value was held against.

    Attributes:
        value: The threshold, in the unit of the measured value.
        unit: Such as ``px`` or ``share``; empty for pure numbers.
        source: Where the threshold comes from: a paper, a tool, or the calibration on healthy data.
        level: From which findings are of this level, where there is a lower one for what stays below; None: from which
            there is a finding at all.
    """

    value: float
    unit: str = ""
    source: str
    level: Level | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a fault is.

    Attributes:
        kind: What the name names.
        name: Path of an image or file, name of a class, split, layer, parameter or setting.
        line: Line of the file, from 1.
        boxes: Of the objects at fault, xyxy in pixels of the file.
        note: What is wrong just here, free of language: numbers, names.
        score: How bad it is here; places are listed from the worst.
        twin: The other image of a pair.
    """

    kind: PlaceKind
    name: str
    line: int | None = None
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    note: str = ""
    score: float = 0.0
    twin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """A change that a machine can apply.

    Attributes:
        settings: Options of ``snellen train`` by name, with their new values.
        drop_images: Images to leave out, relative to the root of the data set.
        data: What `Repairs` holds besides: ``labels``, the class by image, and ``objects``, with image, box and class
            (None takes the object away). Where images could also be left out, it is one or the other.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    drop_images: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fault.

    A judge leaves ``code`` empty; it is filled in when the check is run.

    Attributes:
        code: Of the check.
        level: How grave.
        message: Which of the page's messages says it.
        numbers: What the message is filled with.
        measured: The value that decided.
        limit: What it was held against; None where the fault is exact and has no threshold.
        places: Where, the worst first; may be cut to a number that people can look at.
        num_places: How many places there are in all.
        treatment: A change that mends it, or None.
        unchecked: What could not be looked at while this was found.
        explained_by: Code of the finding of which this one is a consequence.
        curves: That show it; no part of what is written as JSON, for they are drawn anew from the trace.
    """

    code: str = ""
    level: Level
    message: str = "default"
    numbers: Mapping[str, Number] = field(default_factory=dict)
    measured: float | None = None
    limit: Limit | None = None
    places: tuple[Place, ...] = ()
    num_places: int = 0
    treatment: Treatment | None = None
    unchecked: Text | None = None
    explained_by: str = ""
    curves: tuple[Curve, ...] = ()
