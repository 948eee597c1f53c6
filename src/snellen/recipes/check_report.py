"""What a check returns: a diagnosis that knows what it is about, and can be shown and written."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.text import Text as RichText

from snellen import __version__
from snellen.data import DatasetIndex, Problem
from snellen.doctor import Diagnosis, Language, chosen_language, write_baseline
from snellen.report import diagnosis_html, diagnosis_json, diagnosis_sarif, diagnosis_text, labelled, phrase, write_page

__all__ = ["CheckReport", "untold_problems", "write_text"]

# Problems that reading tolerates and a check tells of, by the check.
TOLD_BY: Mapping[str, tuple[str, ...]] = {
    "D1": ("image-unreadable",),
    "D2": ("boxes-turned", "image-turned"),
    "D3": ("image-missing", "label-missing", "mask-missing"),
    "D4": (
        "annotation-duplicate", "annotation-unreadable", "box-not-finite", "category-unknown", "category-unreadable",
        "class-missing", "image-duplicate", "image-entry-unreadable", "image-unknown", "mask-unreadable",
        "outline-unreadable", "row-short", "size-mismatch", "split-missing", "split-overlap", "value-not-finite",
    ),
    "D5": ("category-conflict", "class-count", "class-out-of-range", "class-unknown"),
    "D7": ("annotation-duplicate", "box-degenerate", "box-outside"),
    "D8": ("mask-lossy", "mask-scaled", "mask-shape", "mask-value-unknown"),
}  # fmt: skip
_TEXT_COLUMNS = 100  # of ``CheckReport.text``, which knows no terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport(Diagnosis):
    """A diagnosis with what it was made of, so that it can be shown and written.

    Attributes:
        name: Of the data set, as it was given.
        index: The data set as it was read.
        model: Name of the model whose set-up was checked; empty if none was.
    """

    name: str
    index: DatasetIndex
    model: str = ""

    def text(self, language: str | None = None, *, max_places: int = 5) -> str:
        """Return everything as plain text; in the language of the system if none is given."""
        screen = Console(file=StringIO(), width=_TEXT_COLUMNS, record=True)
        screen.print(self.renderable(chosen_language(language), max_places=max_places))
        return screen.export_text()

    def renderable(self, language: Language, *, max_places: int = 5) -> RenderableType:
        """Return everything as something that ``rich`` prints."""
        told = diagnosis_text(self, language, max_places=max_places)
        kinds: Counter[str] = Counter()
        for problem in untold_problems(self.index.problems, self):
            kinds[problem.code] += problem.count
        if not kinds:
            return told
        noticed = ", ".join(f"{code} ({count})" for code, count in kinds.items())
        return Group(RichText(labelled("noticed", noticed, language), style="dim"), told)

    def write_html(self, path: Path | str, language: str | None = None) -> Path:
        """Write one page with pictures of the places at fault."""
        spoken = chosen_language(language)
        page = diagnosis_html(self, index=self.index, name=self.name, subtitle=self._subtitle(spoken), language=spoken)
        return write_page(path, page)

    def write_json(self, path: Path | str) -> Path:
        """Write everything for other programs."""
        return write_text(path, self.json())

    def json(self) -> str:
        """Return everything for other programs."""
        return diagnosis_json(self, data=self.name, model=self.model)

    def write_sarif(self, path: Path | str, language: str | None = None, *, base: Path | None = None) -> Path:
        """Write everything for code hosts, with addresses relative to ``base``, or to the current folder."""
        return write_text(path, self.sarif(language, base=base))

    def sarif(self, language: str | None = None, *, base: Path | None = None) -> str:
        """Return everything for code hosts."""
        return diagnosis_sarif(
            self, root=self.index.root, version=__version__, language=chosen_language(language), base=base
        )

    def write_baseline(self, path: Path | str) -> None:
        """Write a file that accepts what was found."""
        write_baseline(path, self)

    def _subtitle(self, language: Language) -> str:
        parts = [
            self.index.format,
            phrase("images", language, count=f"{len(self.index):,}"),
            phrase("classes", language, count=len(self.index.classes)),
            *([self.model] if self.model else []),
            f"snellen {__version__}",
        ]
        return " · ".join(parts)


def untold_problems(problems: Sequence[Problem], diagnosis: Diagnosis | None) -> tuple[Problem, ...]:
    """Return what was tolerated while reading and is in no finding."""
    found = set() if diagnosis is None else {finding.code for finding in diagnosis.all_findings}
    told = {name for code in found for name in TOLD_BY.get(code, ())}
    return tuple(problem for problem in problems if problem.code not in told)


def write_text(path: Path | str, text: str) -> Path:
    """Write a text and return its path; missing folders are made."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{text}\n", encoding="utf-8")
    return file
