"""Tables as other programs read them: LaTeX and CSV."""

import csv
from io import StringIO

from snellen.report.formatting import cell_text, plain_text
from snellen.structures import Table

__all__ = ["table_csv", "table_latex"]

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "−": "$-$", "–": "--", "×": r"$\times$",
    "→": r"$\rightarrow$", "…": r"\dots{}", "≥": r"$\geq$", "≤": r"$\leq$", "<": r"$<$", ">": r"$>$", "|": r"$|$",
}  # fmt: skip


def table_csv(table: Table) -> str:
    """Return a table as CSV (RFC 4180 with line feeds): a header, then the rows; numbers in full, nothing for none."""
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(table.columns)
    for row in table.rows:
        writer.writerow(["" if cell is None or cell != cell else cell for cell in row])  # noqa: PLR0124 - nan
    return stream.getvalue()


def table_latex(table: Table) -> str:
    """Return a table as LaTeX, for a document with the package booktabs; no name can break out of its cell."""
    sides = "".join("l" if any(isinstance(row[place], str) for row in table.rows) else "r"
                    for place in range(len(table.columns)))  # fmt: skip
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_latex(table.title)}}}",
        rf"\begin{{tabular}}{{{sides}}}",
        r"\toprule",
        _row(table.columns),
        r"\midrule",
        *(_row(tuple(cell_text(cell) for cell in row)) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if table.note:
        lines.append(rf"\par\smallskip\footnotesize {_latex(table.note)}")
    return "\n".join([*lines, r"\end{table}", ""])


def _row(cells: tuple[str, ...]) -> str:
    return " & ".join(_latex(cell) for cell in cells) + r" \\"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in plain_text(text))
