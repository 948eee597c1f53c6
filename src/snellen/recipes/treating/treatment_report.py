"""What a treatment says: what was tried, what it did, what it cost, and the proof on images that nobody chose by."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.text import Text

from snellen.errors import CheckpointError
from snellen.metrics import Interval
from snellen.recipes.experiments.ablation_report import difference_text
from snellen.recipes.runs import write_json
from snellen.recipes.treating.findings import Told
from snellen.recipes.treating.treatment_rows import Proof, TriedRow, after_text, changes_text, mean_text
from snellen.report import Figure, IntervalRow, Intervals, Report, table_csv, table_markdown, table_text, write_report
from snellen.structures import Table

__all__ = ["TREATMENT", "TreatmentReport"]

TREATMENT = "treatment.json"
_VERSION = 1
_COLUMNS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class TreatmentReport:
    """From the findings of a run to what helped.

    Attributes:
        run: That was treated.
        data: Its data set.
        seeds: Of every configuration.
        headline: Name of the figure that decides.
        findings: That treatments were looked for.
        first: What was changed in everything that was compared, with reasons.
        tried: Treatments, in order.
        full: Those that were trained in full: names with their gains on the validation images.
        chosen: Name of what was chosen; empty if nothing measurably helps.
        changes: Options that the chosen treatment changes.
        proof: On the test images; None if nothing was chosen, or there are none.
        ensemble: What the trainings of all seeds reach as one, beside the mean of them; empty if that was not tried.
        for_people: Findings that are left to people.
        left_out: Treatments beyond the number that was tried.
        config: File of the treated configuration; empty if nothing was chosen.
        treated_run: Folder of the treated run; empty if nothing was chosen.
        trainings: How many there were.
        seconds: That they took, all together.
    """

    run: str
    data: str
    seeds: tuple[int, ...]
    headline: str
    findings: tuple[Told, ...]
    first: tuple[str, ...] = ()
    tried: tuple[TriedRow, ...] = ()
    full: Mapping[str, Interval] = field(default_factory=dict)
    chosen: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    proof: Proof | None = None
    ensemble: Mapping[str, Any] = field(default_factory=dict)
    for_people: tuple[Told, ...] = ()
    left_out: tuple[str, ...] = ()
    config: str = ""
    treated_run: str = ""
    trainings: int = 0
    seconds: float = 0.0

    def table(self) -> Table:
        """Return what was tried, a row each."""
        return Table(
            title=f"What was tried: {self.headline} on the validation images, treated less untreated",
            columns=("treatment", "for", "changes", "gain", "epochs", "finding", "seconds", "verdict"),
            rows=tuple(
                (
                    row.name,
                    ", ".join(row.codes),
                    changes_text(row.changes),
                    difference_text(row.gain),
                    f"{row.share:.0%}",
                    after_text(row.before, row.after),
                    round(row.seconds, 1) if isfinite(row.seconds) else None,
                    row.verdict,
                )
                for row in self.tried
            ),
            note=f"Gains are means of {len(self.seeds)} seeds, of more where those did not tell, ± half of Student's "
            "95 % interval, paired by seed; more is better. “Finding”: in how many trainings it was found, untreated → "
            "treated, and the deciding value.",
        )

    def full_table(self) -> Table:
        """Return what was trained in full."""
        return Table(
            title="Trained in full, on the validation images",
            columns=("configuration", "gain"),
            rows=tuple((name, difference_text(gain)) for name, gain in self.full.items()),
        )

    def people_table(self) -> Table:
        """Return what is left to people."""
        return Table(
            title="Left to people",
            columns=("finding", "what was found", "what mends it"),
            rows=tuple((f"{one.code} {one.name}", one.message, one.fix) for one in self.for_people),
        )

    def conclusion(self) -> tuple[str, ...]:
        """Return what it comes to, in sentences."""
        said = [*self.first]
        if not self.tried:
            said.append("No finding has a treatment that a machine can apply here.")
        elif not self.chosen:
            said.append("Nothing that was tried measurably helps; the configuration stays as it is.")
        else:
            gain = self.full.get(self.chosen)
            said.append(f"Chosen by the validation images: {self.chosen} ({difference_text(gain)}).")
        if self.proof is not None:
            proof = self.proof
            outcome = "beyond chance" if proof.is_proven else "which may be chance"
            if proof.difference.is_below_zero:
                outcome = "it is worse there: do not use it"
            said.append(
                f"On the test images, looked at once: {proof.headline} {mean_text(proof.untreated)} untreated, "
                f"{mean_text(proof.treated)} treated ({difference_text(proof.difference)}, {outcome})."
            )
        elif self.chosen:
            said.append("There are no test images: nothing proves the choice on images that it was not made by.")
        if self.ensemble:
            said.append(str(self.ensemble["told"]))
        if self.left_out:
            said.append(f"Not tried, for the number was limited: {', '.join(self.left_out)}.")
        said.append(f"{self.trainings} trainings, {self.seconds / 60:.1f} minutes.")
        return tuple(said)

    def renderable(self) -> RenderableType:
        """Return everything as something that ``rich`` prints."""
        parts: list[RenderableType] = [
            table_text(table, max_rows=100)
            for table in (self.table(), self.full_table(), self.people_table())
            if table.rows
        ]
        parts += [Text(line) for line in self.conclusion()]
        if self.config:
            parts.append(Text(f"repeat it: snellen train --config {self.config}", style="bold"))
        return Group(*parts)

    def text(self) -> str:
        """Return everything as plain text."""
        screen = Console(file=StringIO(), width=_COLUMNS, record=True)
        screen.print(self.renderable())
        return screen.export_text()

    def markdown(self) -> str:
        """Return everything as Markdown."""
        tables = [table_markdown(one) for one in (self.table(), self.full_table(), self.people_table()) if one.rows]
        return "\n".join([*(f"- {line}" for line in self.conclusion()), "", *tables])

    def write(self, folder: Path) -> None:
        """Write ``treatment.json``, ``.md``, ``.csv`` and ``.html``."""
        write_json(folder / TREATMENT, {"version": _VERSION, **asdict(self)})
        (folder / "treatment.md").write_text(self.markdown(), encoding="utf-8")
        (folder / "treatment.csv").write_text(table_csv(self.table()), encoding="utf-8")
        write_report(folder / "treatment.html", self._page())

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return what was written to a folder.

        Raises:
            CheckpointError: If it cannot be read.
        """
        file = folder / TREATMENT
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
            if told.pop("version") != _VERSION:
                raise ValueError("another version")
            proof = told.pop("proof")
            lists = {name: tuple(told[name]) for name in ("seeds", "first", "left_out")}
            told_of = {name: tuple(Told(**one) for one in told[name]) for name in ("findings", "for_people")}
            return cls(
                **{
                    **told,
                    **lists,
                    **told_of,
                    "tried": tuple(TriedRow.from_record(one) for one in told["tried"]),
                    "full": {name: Interval(**one) for name, one in told["full"].items()},
                    "proof": None if proof is None else Proof.from_record(proof),
                }
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{file}: expected a treatment of this version; {error}. Treat again.") from error

    def _page(self) -> Report:
        gains = tuple(
            IntervalRow(name=row.name, mean=row.gain.mean, low=row.gain.low, high=row.gain.high) for row in self.tried
        )
        charts = (
            Intervals(
                title="Gain of each treatment",
                label=f"difference of {self.headline}, more is better",
                rows=gains,
                zero=0.0,
                note="At the share of the epochs that each reached; an interval that crosses the line may be chance.",
            ),
        )
        return Report(
            title="Treatment",
            subtitle=f"{self.run} · {self.data} · seeds {', '.join(map(str, self.seeds))}",
            summary=(
                Figure(name="chosen", value=self.chosen or "nothing", explanation=difference_text(
                    self.full.get(self.chosen))),
                Figure(name="tried", value=len(self.tried)),
                Figure(name="trainings", value=self.trainings),
            ),
            training=tuple(table for table in (self.full_table(), self.table(), self.people_table()) if table.rows),
            intervals=charts if gains else (),
            notes=self.conclusion(),
            commands=(f"snellen train --config {self.config}",) if self.config else (),
        )  # fmt: skip
