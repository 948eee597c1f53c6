"""What was wrong with a data set and tolerated: named, counted, with a way to mend it."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

__all__ = ["Problem", "ProblemLog", "Severity"]

Severity = Literal["note", "warning", "error"]
NAMED_PER_CODE = 100  # problems of one kind that are named one by one; the rest is only counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault that did not stop the reading.

    Attributes:
        code: Name of the kind of fault, such as ``box-clipped``.
        message: What was expected, what arrived, and what was done about it.
        file: The file at fault, or empty.
        line: Its line, counted from 1, or None.
        count: How many faults this stands for.
        fix: What the owner of the data can do.
        severity: ``note`` (harmless), ``warning`` (something was changed), ``error`` (something was left
            out).
        subject: What is missing or at fault where that is not the whole file: the image that a label names, an
            object by its number.
    """

    code: str
    message: str
    file: str = ""
    line: int | None = None
    count: int = 1
    fix: str = ""
    severity: Severity = "warning"
    subject: str = ""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        fix = f" To mend it: {self.fix}" if self.fix else ""
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.code}{times}: {place + ': ' if place else ''}{self.message}{fix}"


class ProblemLog:
    """Collects problems while a data set is read; of each kind the first hundred are named, all counted."""

    def __init__(self, problems: tuple[Problem, ...] = ()) -> None:
        self._named: list[Problem] = []
        self._counts: Counter[str] = Counter()
        self._rest: dict[str, tuple[int, Problem]] = {}
        for problem in problems:
            self._put(problem)

    def add(  # mirrors the fields of Problem
        self,
        code: str,
        message: str,
        *,
        file: object = "",
        line: int | None = None,
        count: int = 1,
        fix: str = "",
        severity: Severity = "warning",
        subject: str = "",
    ) -> None:
        """Record one fault; the arguments are the fields of `Problem`."""
        self._put(
            Problem(
                code=code,
                message=message,
                file=str(file),
                line=line,
                count=count,
                fix=fix,
                severity=severity,
                subject=subject,
            )
        )

    def _put(self, problem: Problem) -> None:
        self._counts[problem.code] += 1
        if self._counts[problem.code] <= NAMED_PER_CODE:
            self._named.append(problem)
            return
        before, _ = self._rest.get(problem.code, (0, problem))
        self._rest[problem.code] = (before + problem.count, problem)

    def __len__(self) -> int:
        return sum(problem.count for problem in self.result())

    def result(self) -> tuple[Problem, ...]:
        """Return what was recorded, in the order in which it was found."""
        rest = (
            Problem(
                code=code,
                message=f"and {count} more of the same kind, the last in {last.file or 'the data set'}.",
                count=count,
                fix=last.fix,
                severity=last.severity,
            )
            for code, (count, last) in self._rest.items()
        )
        return (*self._named, *rest)
