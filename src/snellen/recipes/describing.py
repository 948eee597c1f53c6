"""A data set in words and tables."""

from collections import Counter

from rich.console import Group, RenderableType
from rich.text import Text

from snellen.data import DatasetIndex
from snellen.recipes.reporting import description_tables
from snellen.recipes.target_words import TARGET_WORDS
from snellen.report import table_text

__all__ = ["description_text"]

_MOST_ROWS = 1000  # of a table; whoever asks for a data set wants its classes, and no report has the rest


def description_text(index: DatasetIndex, *, max_problems: int = 5) -> RenderableType:
    """Return what is in a data set and what is wrong with it.

    Args:
        index: The data set.
        max_problems: Problems of each kind that are told one by one.
    """
    told = index.describe()
    words = TARGET_WORDS[told.target_type]
    parts: list[RenderableType] = [
        Text(
            f"{told.format} data set in {told.root}: {told.num_images} image{'s' * (told.num_images != 1)}, "
            f"{len(told.classes)} {words.one if len(told.classes) == 1 else words.learned}"
        )
    ]
    for name, values in (("height", told.image_heights), ("width", told.image_widths)):
        if values:
            parts.append(Text(f"image {name}: {values[0]:.0f} to {values[2]:.0f} px, median {values[1]:.0f}"))
    if told.box_size_px:
        low, _, median, _, high = told.box_size_px
        parts.append(Text(f"object size (root of the area): {low:.0f} to {high:.0f} px, median {median:.0f}"))
    parts += [table_text(table, max_rows=_MOST_ROWS) for table in description_tables(told)]
    seen: Counter[str] = Counter()
    for problem in index.problems:
        seen[problem.code] += 1
        if seen[problem.code] <= max_problems:
            parts.append(Text(str(problem)))
    for code, count in told.problems_per_code.items():
        if seen[code] > max_problems:
            parts.append(Text(f"{code}: {count} in all"))
    parts.append(Text(_problem_count(sum(told.problems_per_code.values()))))
    return Group(*parts)


def _problem_count(count: int) -> str:
    return "no problems" if not count else "1 problem" if count == 1 else f"{count} problems"
