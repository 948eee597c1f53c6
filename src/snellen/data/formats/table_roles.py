"""What the columns of a table are: paths, splits, groups, and what is annotated; what is ambiguous is asked for."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from snellen.data.formats.options import ReadOptions, task_of
from snellen.data.formats.table_numbers import are_flags, are_numbers, has_fractions, is_number
from snellen.data.formats.table_rows import Cell, RawTable, are_several_rows
from snellen.errors import DatasetError, did_you_mean
from snellen.structures import ClassTarget, LabelSetTarget, Target, ValueTarget

__all__ = [
    "LABEL_COLUMNS",
    "LABEL_SET_COLUMNS",
    "PATH_COLUMNS",
    "SPLIT_COLUMNS",
    "Roles",
    "plain_name",
    "roles_of",
]

PATH_COLUMNS = (
    *("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "img", "name"),
    *("image_id", "image_name", "image_index"),
)
LABEL_COLUMNS = ("label", "class", "class_name", "category", "target", "y", "diagnosis")
LABEL_SET_COLUMNS = (
    *("labels", "tags", "classes", "class_names", "categories", "targets", "attributes", "findings"),
    *("finding_labels", "keywords"),
)
SPLIT_COLUMNS = ("split", "subset", "set", "fold", "partition")
GROUP_COLUMNS = ("group", "group_id", "patient", "patient_id", "subject", "subject_id", "case", "source")
_OPEN_NAMES = ("label", "target", "y")  # of a column that may hold a class or a value
_HOLDS = (ClassTarget, LabelSetTarget, ValueTarget)
_SEPARATORS = (";", "|")  # that names of classes do not hold by chance
_MANY_NUMBERS = 20  # different whole numbers under an open name, from which they may be values
_MANY_SHARE = 0.25  # of the rows, likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Places of the columns of a table.

    Attributes:
        path: Of the image files.
        split: Of the names of splits, or None.
        group: Of what must stay together, or None.
        annotated: Of labels or values.
        target_type: What they are.
        reason: How that was decided, where the user did not say it; empty where the header does.
    """

    path: int
    split: int | None
    group: int | None
    annotated: tuple[int, ...]
    target_type: type[Target]
    reason: str = ""

    @property
    def all(self) -> frozenset[int]:
        """Every place that has a role."""
        return frozenset(place for place in (self.path, self.split, self.group, *self.annotated) if place is not None)


def plain_name(name: str) -> str:
    """Return the name of a column as the lists here have it."""
    return re.sub(r"[\s\-]+", "_", name.strip().lower())


def roles_of(table: RawTable, options: ReadOptions) -> Roles:
    """Return what each column of a table is.

    Raises:
        DatasetError: If there is no column of paths or of annotations, or they can be read in more than one way.
    """
    wanted = options.target
    if wanted is not None and wanted not in _HOLDS:
        words = ", ".join(task_of(kind) for kind in _HOLDS)
        message = f"a table holds one of the tasks {words}; got the task {options.task!r}. Use a format for it."
        raise DatasetError(message, file=table.file)
    names = [plain_name(name) for name in table.columns] if table.has_header else ["path", "label"]
    path = _first(names, PATH_COLUMNS)
    if path is None or len(names) < 2:
        raise _no_columns(table)
    split, group = _first(names, SPLIT_COLUMNS), _first(names, GROUP_COLUMNS)
    taken = {path, split, group}
    if options.columns is not None:
        annotated = tuple(_named(name, table) for name in options.columns)
        split, group = (None if place in annotated else place for place in (split, group))
        kind, reason = _kind(table, annotated, wanted)
    else:
        free = [place for place in range(len(names)) if place not in taken]
        annotated, kind, reason = _found(table, names, free, wanted)
    return Roles(path=path, split=split, group=group, annotated=annotated, target_type=kind, reason=reason)


def _found(
    table: RawTable, names: Sequence[str], free: Sequence[int], wanted: type[Target] | None
) -> tuple[tuple[int, ...], type[Target], str]:
    """Return the annotated columns where the user named none."""
    if wanted is ValueTarget:
        return _value_columns(table, free), ValueTarget, ""
    # Beside an x, y is the other coordinate.
    labels = [name for name in LABEL_COLUMNS if name != "y" or "x" not in names]
    single, several = (_first(names, known) for known in (labels, LABEL_SET_COLUMNS))
    order = (several, single) if wanted is LabelSetTarget else (single, several)
    place = next((place for place in order if place is not None), None)
    if place is None:
        return _found_by_content(table, free, wanted)
    return (place,), *_kind(table, (place,), wanted)


def _found_by_content(
    table: RawTable, free: Sequence[int], wanted: type[Target] | None
) -> tuple[tuple[int, ...], type[Target], str]:
    """Return the annotated columns where none is called after labels."""
    flags = [place for place in free if are_flags(table.column(place))]
    numbers = [place for place in free if place not in flags and are_numbers(table.column(place))]
    if flags and wanted is LabelSetTarget:
        return tuple(flags), LabelSetTarget, ""
    if len(flags) > 1 and not numbers and wanted is None:
        return tuple(flags), LabelSetTarget, f"{len(flags)} columns hold 0 and 1 alone: one for each class"
    if len(numbers) == 1 and not flags and wanted is None:
        name = table.columns[numbers[0]]
        return tuple(numbers), ValueTarget, f"{name!r} is the only column of numbers, and there are no labels"
    if (flags or numbers) and wanted is None:
        raise _ask(
            table,
            f"no column is called after labels, and {len(flags)} of 0 and 1 and {len(numbers)} of other numbers are "
            f"there ({_listed(table, [*flags, *numbers])})",
            "Name those to learn with columns (--columns a,b), and say what they are with task (--task label_set or "
            "--task value).",
        )
    raise _no_columns(table)


def _value_columns(table: RawTable, free: Sequence[int]) -> tuple[int, ...]:
    numbers = [place for place in free if are_numbers(table.column(place)) or are_flags(table.column(place))]
    plain = [plain_name(name) for name in table.columns]
    telling = {*_OPEN_NAMES, "value", "values"} - ({"y"} if "x" in plain else set())
    open_ones = [place for place in numbers if plain[place] in telling]
    if len(open_ones) == 1:
        return tuple(open_ones)
    if not numbers:
        raise DatasetError(
            f"a column of numbers was expected; got {list(table.columns)}. Name it with columns (--columns).",
            file=table.file,
        )
    if len(numbers) > 1 and len(numbers) < len(free):
        raise _ask(
            table,
            f"the columns {_listed(table, numbers)} hold numbers, among others that do not",
            "Name those to learn with columns (--columns a,b).",
        )
    return tuple(numbers)


def _kind(table: RawTable, places: tuple[int, ...], wanted: type[Target] | None) -> tuple[type[Target], str]:
    """Return what some columns hold, and how that was decided."""
    if wanted is ClassTarget and len(places) > 1:
        raise DatasetError(f"one column of classes was expected; got {_listed(table, places)}.", file=table.file)
    if wanted is not None:
        return wanted, ""
    if len(places) > 1:
        return _kind_of_several(table, places)
    cells = table.column(places[0])
    name = table.columns[places[0]] if table.has_header else "2"
    is_open = plain_name(name) in _OPEN_NAMES or plain_name(name) not in LABEL_COLUMNS
    if plain_name(name) in LABEL_SET_COLUMNS or any(isinstance(cell, tuple) for cell in cells):
        return LabelSetTarget, ""
    texts = [str(cell) for cell in cells if cell]
    if any(sign in text for text in texts for sign in _SEPARATORS):
        raise _ask(
            table,
            f"cells of the column {name!r} hold ; or |, as names of classes seldom do",
            "Say task label_set (--task label_set) if several labels stand in a cell, else task class.",
        )
    if is_open and are_numbers(cells) and has_fractions(texts):
        return ValueTarget, f"the column {name!r} holds numbers with fractions"
    whole = {text for text in texts if is_number(text)}
    if is_open and len(whole) > max(_MANY_NUMBERS, _MANY_SHARE * len(texts)):
        raise _ask(
            table,
            f"the column {name!r} holds {len(whole)} different whole numbers on {len(texts)} rows, which may be "
            "classes or values",
            "Say task class (--task class) or task value.",
        )
    _refuse_several_rows(table, places[0])
    return ClassTarget, ""


def _kind_of_several(table: RawTable, places: tuple[int, ...]) -> tuple[type[Target], str]:
    if all(are_flags(table.column(place)) for place in places):
        return LabelSetTarget, f"{len(places)} columns hold 0 and 1 alone: one for each class"
    if all(are_flags(table.column(place)) or are_numbers(table.column(place)) for place in places):
        return ValueTarget, f"{len(places)} columns hold numbers"
    raise _ask(
        table,
        f"the columns {_listed(table, places)} hold neither 0 and 1 alone nor numbers alone",
        "Name columns of one kind, or say what they are with task (--task label_set or --task value).",
    )


def _refuse_several_rows(table: RawTable, place: int) -> None:
    """Raise where so many files are listed more than once with different labels that it can be no mistake."""
    names = [plain_name(name) for name in table.columns] if table.has_header else ["path"]
    path = _first(names, PATH_COLUMNS) or 0
    labels: dict[Cell, set[Cell]] = defaultdict(set)
    for file, label in zip(table.column(path), table.column(place), strict=True):
        labels[file].add(label)
    several = sum(len(found) > 1 for found in labels.values())
    if are_several_rows(several, len(labels)):
        raise _ask(
            table,
            f"{several} of {len(labels)} images are listed more than once with different labels",
            "Say task label_set (--task label_set) if an image can show several classes. With task class the first "
            "label of each is kept and the others are told.",
        )


def _first(names: Sequence[str], known: Sequence[str]) -> int | None:
    return next((names.index(name) for name in known if name in names), None)


def _named(name: str, table: RawTable) -> int:
    if name in table.columns:
        return table.columns.index(name)
    plain = [plain_name(column) for column in table.columns]
    if plain_name(name) in plain:
        return plain.index(plain_name(name))
    message = f"a column {name!r} was expected; got {list(table.columns)}.{did_you_mean(name, table.columns)}"
    raise DatasetError(message, file=table.file, line=1)


def _listed(table: RawTable, places: Sequence[int]) -> str:
    names = [repr(table.columns[place]) for place in places]
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _ask(table: RawTable, finding: str, answer: str) -> DatasetError:
    return DatasetError(f"the table can be read in more than one way: {finding}. {answer}", file=table.file)


def _no_columns(table: RawTable) -> DatasetError:
    first = list(table.columns) or [str(cell) for row in table.rows[:1] for cell in row.cells]
    return DatasetError(
        f"a header with a column of paths ({', '.join(PATH_COLUMNS[:4])}, …) and one of labels "
        f"({', '.join(LABEL_COLUMNS[:4])}, {', '.join(LABEL_SET_COLUMNS[:2])}, …), or columns of 0 and 1 or of "
        f"numbers, was expected; got {first}. "
        "Rename the columns, or name those to learn with columns (--columns).",
        file=table.file,
        line=1,
    )
