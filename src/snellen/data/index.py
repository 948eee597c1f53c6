"""A data set as arrays: where its images are, what is annotated, which split each belongs to."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from snellen.data.outlines import OutlineTable
from snellen.data.problems import Problem
from snellen.data.sharing import SharedRecord, Strings
from snellen.data.tables import AnnotationTable, BoxTable, ValueTable
from snellen.errors import InputError, did_you_mean
from snellen.structures import Target

__all__ = ["NO_SPLIT", "DataDescription", "DatasetIndex"]

NO_SPLIT = -1
_SPREAD_SHARES = (0, 0.05, 0.5, 0.95, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDescription:
    """Counts and sizes of a data set, for people.

    Attributes:
        num_images: All images.
        images_per_split: By name of split; those in none under an empty name.
        objects_per_class: Objects (detection), images (classification), images with the class (label sets,
            segmentation) or images with a number (values), per split and class.
        images_without_objects: Per split; images on which nothing is annotated, or which show none of the classes.
        box_size_px: Square root of the box area: smallest, 5 %, median, 95 %, largest; empty without boxes.
        value_ranges: Of each value that is learned: smallest, 5 %, median, 95 %, largest; empty without values.
        image_heights: Smallest, median, largest of those known; empty where none is known.
        image_widths: The same.
        problems_per_code: How many faults of each kind were tolerated.
    """

    format: str
    root: str
    classes: tuple[str, ...]
    target_type: str
    num_images: int
    images_per_split: Mapping[str, int]
    objects_per_class: Mapping[str, Mapping[str, int]]
    images_without_objects: Mapping[str, int]
    box_size_px: tuple[float, ...]
    image_heights: tuple[float, ...]
    image_widths: tuple[float, ...]
    problems_per_code: Mapping[str, int]
    value_ranges: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class DatasetIndex(SharedRecord):
    """Images and annotations as arrays; worker processes share them.

    Attributes:
        root: Folder to which paths are relative.
        format: Name of the format it was read from.
        classes: Names in label order; of values, their names.
        paths: Image files, relative to the root where they lie beneath it.
        annotations: The one table of annotations.
        sizes: Height and width of each image, EXIF applied; 0 where nobody has looked yet. ``[num_images,
            2]``.
        splits: Position in ``split_names``, or -1; ``[num_images]``.
        split_names: Names of the splits.
        groups: Images with equal numbers must not be torn apart by a split; None where no groups are known.
        attributes: Further facts, one value per image.
        problems: Faults that were tolerated while reading.
    """

    root: Path
    format: str
    classes: tuple[str, ...]
    paths: Strings
    annotations: AnnotationTable | OutlineTable
    sizes: NDArray[np.int32]
    splits: NDArray[np.int16]
    split_names: tuple[str, ...] = ()
    groups: NDArray[np.int32] | None = None
    attributes: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        lengths = {
            "paths": len(self.paths),
            "annotations": len(self.annotations),
            "sizes": len(self.sizes),
            "splits": len(self.splits),
            **{name: len(values) for name, values in self.attributes.items()},
        }
        if self.groups is not None:
            lengths["groups"] = len(self.groups)
        if len(set(lengths.values())) > 1:
            message = f"all columns of an index must be equally long; got {lengths}. Build them from the same images."
            raise InputError(message)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    @property
    def target_type(self) -> type[Target]:
        """What kind of target its images have."""
        return self.annotations.target_type

    def path(self, image: int) -> Path:
        """Return where an image file is."""
        return self.root / self.paths[image]

    def size(self, image: int) -> tuple[int, int] | None:
        """Return height and width of an image, or None where nobody has looked."""
        height, width = self.sizes[image].tolist()
        return (height, width) if height and width else None

    def target(self, image: int, size: tuple[int, int]) -> Target:
        """Return what is annotated on an image, in pixels of ``size`` (height, width)."""
        return self.annotations.target(image, size, self.root, len(self.classes))

    def select(self, rows: Sequence[int] | NDArray[Any]) -> Self:
        """Return the chosen images, in the order given; a Boolean mask over all images is possible too."""
        chosen = np.asarray(rows)
        chosen = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen.astype(np.int64)
        if len(chosen) and (chosen.min() < 0 or chosen.max() >= len(self)):
            message = f"rows must be within 0..{len(self) - 1}; got {chosen.min()}..{chosen.max()}."
            raise InputError(message)
        return replace(
            self,
            paths=self.paths.take(chosen),
            annotations=self.annotations.take(chosen),
            sizes=self.sizes[chosen],
            splits=self.splits[chosen],
            groups=None if self.groups is None else self.groups[chosen],
            attributes={name: values[chosen] for name, values in self.attributes.items()},
        )

    def split_rows(self, name: str) -> NDArray[np.int64]:
        """Return which images are in a split.

        Raises:
            InputError: If there is no such split.
        """
        if name not in self.split_names:
            known = did_you_mean(name, self.split_names)
            raise InputError(f"split must be one of those that {self.root} has; got {name!r}.{known}")
        return np.flatnonzero(self.splits == self.split_names.index(name))

    def split(self, name: str) -> Self:
        """Return the images of one split; see `split_rows`."""
        return self.select(self.split_rows(name))

    def describe(self) -> DataDescription:
        """Return counts and sizes."""
        known = self.sizes[(self.sizes > 0).all(1)]
        boxes = self.annotations.boxes if isinstance(self.annotations, BoxTable) else np.zeros((0, 4), np.float32)
        extent = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
        counts = self.annotations.class_counts(len(self.classes))
        names = ("", *self.split_names) if (self.splits == NO_SPLIT).any() else self.split_names
        member = {name: self.splits == (self.split_names.index(name) if name else NO_SPLIT) for name in names}
        problems: Counter[str] = Counter()
        for problem in self.problems:
            problems[problem.code] += problem.count
        return DataDescription(
            format=self.format,
            root=str(self.root),
            classes=self.classes,
            target_type=self.target_type.__name__,
            num_images=len(self),
            images_per_split={name: int(rows.sum()) for name, rows in member.items()},
            objects_per_class={
                name: dict(zip(self.classes, counts[rows].sum(0).tolist(), strict=True))
                for name, rows in member.items()
            },
            images_without_objects={name: int((counts[rows].sum(1) == 0).sum()) for name, rows in member.items()},
            box_size_px=_quantiles(extent, _SPREAD_SHARES),
            image_heights=_quantiles(known[:, 0], (0, 0.5, 1)),
            image_widths=_quantiles(known[:, 1], (0, 0.5, 1)),
            problems_per_code=dict(problems),
            value_ranges=_ranges(self.annotations, self.classes),
        )

    def fingerprint(self) -> str:
        """Return a hash of the names, sizes, splits and annotations; it does not read image files."""
        digest = hashlib.sha256(repr((self.classes, self.split_names)).encode())
        _hash_arrays(self, digest)
        return digest.hexdigest()[:16]


def _quantiles(values: NDArray[Any], shares: Iterable[float]) -> tuple[float, ...]:
    if not len(values):
        return ()
    return tuple(round(float(value), 2) for value in np.quantile(values, list(shares)))


def _ranges(table: AnnotationTable | OutlineTable, names: Sequence[str]) -> dict[str, tuple[float, ...]]:
    if not isinstance(table, ValueTable):
        return {}
    columns = zip(names, table.values.T, strict=True)
    return {
        name: tuple(float(f"{value:.6g}") for value in np.quantile(column[np.isfinite(column)], _SPREAD_SHARES))
        for name, column in columns
        if np.isfinite(column).any()
    }


def _hash_arrays(record: Any, digest: Any) -> None:
    for entry in fields(record):
        value = getattr(record, entry.name)
        if isinstance(value, np.ndarray):
            digest.update(f"{entry.name}{value.dtype}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).tobytes())
        elif isinstance(value, SharedRecord):
            _hash_arrays(value, digest)
