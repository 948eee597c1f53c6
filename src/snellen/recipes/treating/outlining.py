"""What a treatment would do: found, planned and counted before anything is trained."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from snellen.data import DatasetIndex
from snellen.doctor import Finding, Level
from snellen.errors import CheckpointError, ConfigError
from snellen.recipes.datasets import prepared
from snellen.recipes.evaluating import recorded_data
from snellen.recipes.experiments.study import seeds_from
from snellen.recipes.options import TrainOptions
from snellen.recipes.options_file import decoded
from snellen.recipes.runs import Run
from snellen.recipes.treating.findings import findings_of_run
from snellen.recipes.treating.plan import Plan, planned
from snellen.recipes.treating.search import FINALISTS, planned_epochs, rungs
from snellen.recipes.treating.situation import situation_of

__all__ = ["TreatmentOutline", "outline"]

_WIDER = 2  # times the seeds, where these do not tell whether something helps


@dataclass(frozen=True, slots=True, kw_only=True)
class TreatmentOutline:
    """What a treatment would do.

    Attributes:
        run: That is treated.
        base: Its options, with what is mended first.
        index: Its data set with splits.
        findings: In order.
        plan: What is tried.
        shares: Of the epochs, one rung after the other.
        seeds: Of every configuration.
        most_seeds: Of whole trainings of what may help, where ``seeds`` do not tell.
    """

    run: Run
    base: TrainOptions
    index: DatasetIndex
    findings: tuple[Finding, ...]
    plan: Plan
    shares: tuple[float, ...]
    seeds: tuple[int, ...]
    most_seeds: int

    @property
    def most_trainings(self) -> int:
        """Trainings at most: fewer where treatments drop out early."""
        alive, count = len(self.plan.tries), 0
        for share in self.shares:
            if share < 1 and alive > FINALISTS:
                count += alive + 1
                alive = max(FINALISTS, -(-alive // 2))
        alive = min(alive, FINALISTS)
        whole = alive + 1 + (alive > 1)
        return count * len(self.seeds) + whole * self.most_seeds if alive else 0

    def lines(self) -> tuple[str, ...]:
        """Return the plan in lines."""
        said = [*self.plan.first]
        for one in self.plan.tries:
            codes = ", ".join(dict.fromkeys(finding.code for finding in one.findings))
            changes = {**one.arm.options, **one.arm.switches}
            said.append(f"{one.name} (for {codes}; {one.source}): {', '.join(changes)}")
        said += [f"not tried, for the number is limited: {', '.join(self.plan.left_out)}"] * bool(self.plan.left_out)
        said += dict.fromkeys(f"left to people: {one.code} {one.name}: {one.fix}" for one in self.plan.for_people)
        shares = ", ".join(f"{share:.0%}" for share in self.shares)
        seeds = ", ".join(map(str, self.seeds))
        more = f" ({self.most_seeds} where these do not tell)" if self.most_seeds > len(self.seeds) else ""
        said.append(f"at {shares} of the epochs, seeds {seeds}{more}: {self.most_trainings} trainings at most")
        return tuple(said)


def outline(
    run: Run | Path | str,
    *,
    seeds: int | Sequence[int] = 3,
    most_seeds: int | None = None,
    most: int = 8,
    info: bool = False,
    only: Sequence[str] = (),
    console: Console | None = None,
) -> TreatmentOutline:
    """Return what `treat` would do; nothing is trained.

    Args:
        run: Trained, or its folder.
        seeds: See `treat`.
        most_seeds: See `treat`.
        most: See `treat`.
        info: See `treat`.
        only: See `treat`.
        console: See `treat`.

    Raises:
        ConfigError: If a number is out of range, or a run of that kind cannot be treated.
        CheckpointError: If there is no run, or it does not tell its options.
        DatasetError: If its data set is gone.
    """
    used = run if isinstance(run, Run) else Run.open(run)
    if most < 1:
        raise ConfigError(f"most must be 1 or more; got {most}.")
    if most_seeds is not None and most_seeds < 1:
        raise ConfigError(f"most_seeds must be 1 or more; got {most_seeds}.")
    if "options" not in used.record:
        raise CheckpointError(
            f"{used.folder}: expected the options of the run in its record; it is an ensemble, or of an earlier "
            "version. Treat its members, or train again."
        )
    given = TrainOptions(**decoded(used.record["options"]))
    given = replace(given, split_seed=used.record["split_seed"], model=used.record["model"], folder=None)
    index = prepared(recorded_data(used), used.record["split_seed"])
    situation = situation_of(used, given, index)
    found = findings_of_run(used, least=Level.INFO if info else Level.WARNING, console=console)
    wanted = {code.upper() for code in only}
    findings = [one for one in found if not wanted or one.code in wanted]
    plan = planned(situation, findings, most=most)
    base = replace(given, repairs=plan.repairs or None)
    first = seeds_from(seeds, given.seed)
    return TreatmentOutline(
        run=used,
        base=base,
        index=index,
        findings=tuple(findings),
        plan=plan,
        shares=rungs(planned_epochs(index, base), descends=situation.descends),
        seeds=first,
        most_seeds=max(len(first), _WIDER * len(first) if most_seeds is None else most_seeds),
    )
