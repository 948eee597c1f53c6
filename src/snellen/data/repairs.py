"""Annotations that are mended, and images that are left out, before anything is learned from them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from snellen.data.image_tables import ClassTable
from snellen.data.index import DatasetIndex
from snellen.data.outlines import OutlineTable
from snellen.data.problems import Problem
from snellen.data.tables import AnnotationTable, BoxTable
from snellen.errors import ConfigError, did_you_mean

__all__ = ["ObjectRepair", "Repairs", "repaired"]

_SAME_BOX_PX = 0.51  # between corners of one box that was written with whole pixels and one that was not


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRepair:
    """One object that gets another class, or goes.

    Attributes:
        image: As the data set names it.
        box: The annotated box, xyxy in pixels of the file.
        label: Name of its class; None takes the object away.
    """

    image: str
    box: tuple[float, float, float, float]
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Repairs:
    """What is changed in the training images; others are never touched, or figures would be measured on other truths.

    Attributes:
        drop: Images to leave out, as the data set names them.
        labels: Classes of whole images, by name.
        objects: Changes of single objects.
    """

    drop: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    objects: tuple[ObjectRepair, ...] = ()

    @classmethod
    def from_record(cls, told: Mapping[str, Any]) -> Self:
        """Return repairs from what JSON or YAML holds: ``drop``, ``labels`` and ``objects``.

        Raises:
            ConfigError: If it is something else.
        """
        known = ("drop", "labels", "objects")
        for name in told:
            if name not in known:
                raise ConfigError(f"repairs have drop, labels and objects; got {name!r}.{did_you_mean(name, known)}")
        try:
            objects = tuple(
                ObjectRepair(image=str(one["image"]), box=_box(one["box"]), label=one.get("label"))
                for one in told.get("objects", ())
            )
            labels = {str(image): str(name) for image, name in dict(told.get("labels", {})).items()}
            return cls(drop=tuple(map(str, told.get("drop", ()))), labels=labels, objects=objects)
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                "repairs must be like {drop: [a.jpg], labels: {b.jpg: cat}, objects: [{image: c.jpg, box: [0, 0, 9, 9],"
                f" label: cat}}]}}; got something else ({type(error).__name__}: {error})."
            ) from error

    def record(self) -> dict[str, Any]:
        """Return what ``from_record`` reads, without what is empty."""
        objects = [{"image": one.image, "box": list(one.box), "label": one.label} for one in self.objects]
        told = {"drop": list(self.drop), "labels": dict(self.labels), "objects": objects}
        return {name: value for name, value in told.items() if value}

    def __bool__(self) -> bool:
        return bool(self.drop or self.labels or self.objects)


def repaired(index: DatasetIndex, repairs: Repairs) -> DatasetIndex:
    """Return a data set with splits whose training images are mended; a note in ``problems`` counts what was done.

    Raises:
        ConfigError: If an image, a class or a box is not there, or annotations are of another kind.
    """
    if not repairs:
        return index
    names = {index.paths[row]: row for row in range(len(index))}
    wanted = [*repairs.drop, *repairs.labels, *(one.image for one in repairs.objects)]
    strange = [name for name in wanted if name not in names]
    if strange:
        raise ConfigError(
            f"repairs name {len(strange)} images that the data set does not have, such as {strange[0]!r}."
            f"{did_you_mean(strange[0], names)} Name them as `snellen check` does, relative to {index.root}."
        )
    training = set(index.split_rows("train").tolist())
    counts: Counter[str] = Counter(held_out=sum(names[name] not in training for name in wanted))
    rows = {name: row for name, row in names.items() if row in training}
    table = index.annotations
    for kind, change in (("labels", _relabelled), ("objects", _with_objects)):
        if getattr(repairs, kind):
            table, number = change(index, table, repairs, rows)
            counts[kind] = number
    dropped = np.array(sorted({rows[name] for name in repairs.drop if name in rows}), np.int64)
    kept = np.setdiff1d(np.arange(len(index)), dropped)
    counts["drop"] = len(dropped)
    return _noted(replace(index, annotations=table).select(kept), counts)


def _noted(index: DatasetIndex, counts: Mapping[str, int]) -> DatasetIndex:
    words = {"drop": "left out", "labels": "relabelled", "objects": "of their objects changed",
             "held_out": "not touched, for they are no training images"}  # fmt: skip
    told = ", ".join(f"{counts[name]:,} {word}" for name, word in words.items() if counts[name])
    note = Problem(
        code="repaired",
        message=f"training images were mended as the repairs say: {told}.",
        fix="mend the data set itself, so that everybody has what was mended",
        severity="note",
    )
    return replace(index, problems=(*index.problems, note))


def _relabelled(
    index: DatasetIndex, table: AnnotationTable | OutlineTable, repairs: Repairs, rows: Mapping[str, int]
) -> tuple[AnnotationTable | OutlineTable, int]:
    if not isinstance(table, ClassTable):
        raise ConfigError(
            f"repairs.labels are of images with one class; {index.root} has {table.target_type.__name__}. Leave them "
            "out, or use objects."
        )
    labels = table.labels.copy()
    changed = {rows[name]: _label(index, label) for name, label in repairs.labels.items() if name in rows}
    labels[list(changed)] = list(changed.values())
    return replace(table, labels=labels), len(changed)


def _with_objects(
    index: DatasetIndex, table: AnnotationTable | OutlineTable, repairs: Repairs, rows: Mapping[str, int]
) -> tuple[AnnotationTable | OutlineTable, int]:
    if not isinstance(table, BoxTable):
        raise ConfigError(
            f"repairs.objects are of images with boxes; {index.root} has {table.target_type.__name__}. Leave them out, "
            "or use labels."
        )
    labels = table.labels.copy()
    kept = np.ones(len(labels), np.bool_)
    inside = [one for one in repairs.objects if one.image in rows]
    for one in inside:
        place = _object_row(table, rows[one.image], one)
        if one.label is None:
            kept[place] = False
        else:
            labels[place] = _label(index, one.label)
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])
    mended = replace(table, labels=labels).take_objects(np.flatnonzero(kept))
    return replace(mended, offsets=ends[table.offsets]), len(inside)


def _object_row(table: BoxTable, image: int, repair: ObjectRepair) -> int:
    part = table.rows(image)
    distance = np.abs(table.boxes[part] - np.array(repair.box, np.float32)).max(axis=1, initial=0.0)
    if not len(distance) or distance.min() > _SAME_BOX_PX:
        raise ConfigError(
            f"repairs name the box {list(repair.box)} of {repair.image!r}, which has none there. Give corners (xyxy) "
            "in pixels of the file, as `snellen check --json` does."
        )
    return int(part.start) + int(distance.argmin())


def _label(index: DatasetIndex, name: str) -> int:
    if name not in index.classes:
        raise ConfigError(
            f"repairs name the class {name!r}, which the data set does not have.{did_you_mean(name, index.classes)}"
        )
    return index.classes.index(name)


def _box(values: Any) -> tuple[float, float, float, float]:
    left, top, right, bottom = map(float, values)
    return left, top, right, bottom
