"""The verb treat: the findings of a run, tried as changes of its configuration, and what measurably helps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from snellen.data import DatasetIndex
from snellen.doctor import Finding, Level
from snellen.errors import CheckpointError, ConfigError
from snellen.metrics import resampled_interval
from snellen.recipes.datasets import prepared
from snellen.recipes.evaluating import recorded_data
from snellen.recipes.experiments.arms import Arm, changed
from snellen.recipes.experiments.comparing import image_differences
from snellen.recipes.experiments.study import ArmOutcomes, seeds_from
from snellen.recipes.experiments.trials import read_outcome
from snellen.recipes.options import TrainOptions
from snellen.recipes.options_file import decoded, write_config
from snellen.recipes.progress import say
from snellen.recipes.runs import Run
from snellen.recipes.treating.findings import After, after_training, after_treatment, findings_of_run, told
from snellen.recipes.treating.plan import Plan, Try, planned
from snellen.recipes.treating.pooling import pooled
from snellen.recipes.treating.search import (
    JOIN,
    Judged,
    Search,
    combined,
    gain_of,
    judged_beside,
    planned_epochs,
    rungs,
)
from snellen.recipes.treating.situation import situation_of
from snellen.recipes.treating.treatment_report import Proof, TreatmentReport, TriedRow

__all__ = ["TreatmentOutline", "outline", "treat"]

CONFIG = "treated.yaml"


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
    """

    run: Run
    base: TrainOptions
    index: DatasetIndex
    findings: tuple[Finding, ...]
    plan: Plan
    shares: tuple[float, ...]
    seeds: tuple[int, ...]

    @property
    def most_trainings(self) -> int:
        """Trainings at most: fewer where treatments drop out early."""
        alive, count = len(self.plan.tries), 0
        for share in self.shares:
            if share == 1:
                break
            count += alive + 1
            alive = -(-alive // 2)
        return (count + min(alive, 2) + 1) * len(self.seeds) if alive else 0

    def lines(self) -> tuple[str, ...]:
        """Return the plan in lines."""
        said = [*self.plan.first]
        for one in self.plan.tries:
            codes = ", ".join(dict.fromkeys(finding.code for finding in one.findings))
            changes = {**one.arm.options, **one.arm.switches}
            said.append(f"{one.name} (for {codes}; {one.source}): {', '.join(changes)}")
        said += [f"not tried, for the number is limited: {', '.join(self.plan.left_out)}"] * bool(self.plan.left_out)
        said += [f"left to people: {one.code} {one.name}: {one.fix}" for one in self.plan.for_people]
        shares = ", ".join(f"{share:.0%}" for share in self.shares)
        seeds = ", ".join(map(str, self.seeds))
        said.append(f"at {shares} of the epochs, seeds {seeds}: {self.most_trainings} trainings at most")
        return tuple(said)


def outline(
    run: Run | Path | str,
    *,
    seeds: int | Sequence[int] = 3,
    most: int = 8,
    info: bool = False,
    only: Sequence[str] = (),
    console: Console | None = None,
) -> TreatmentOutline:
    """Return what `treat` would do; nothing is trained.

    Args:
        run: Trained, or its folder.
        seeds: See `treat`.
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
    if "options" not in used.record:
        raise CheckpointError(
            f"{used.folder}: expected the options of the run in its record; it is an ensemble, or of an earlier "
            "version. Treat its members, or train again."
        )
    given = TrainOptions(**decoded(used.record["options"]))
    given = replace(given, split_seed=used.record["split_seed"], model=used.record["model"], folder=None)
    index = prepared(recorded_data(used), used.record["split_seed"])
    situation = situation_of(used, given, len(index.split_rows("train")))
    found = findings_of_run(used, least=Level.INFO if info else Level.WARNING, console=console)
    wanted = {code.upper() for code in only}
    findings = [one for one in found if not wanted or one.code in wanted]
    plan = planned(situation, findings, most=most)
    base = replace(given, repairs=plan.repairs or None)
    return TreatmentOutline(
        run=used,
        base=base,
        index=index,
        findings=tuple(findings),
        plan=plan,
        shares=rungs(planned_epochs(index, base), descends=situation.descends),
        seeds=seeds_from(seeds, given.seed),
    )


def treat(
    run: Run | Path | str,
    *,
    seeds: int | Sequence[int] = 3,
    most: int = 8,
    info: bool = False,
    only: Sequence[str] = (),
    processes: int = 1,
    folder: Path | str | None = None,
    console: Console | None = None,
) -> TreatmentReport:
    """Try the treatments of a run's findings, keep what measurably helps, and prove it on the test images, once.

    Each treatment is a change of the run's configuration. Treated and untreated are trained from the same seeds:
    shortly first, and the better half goes on. What helps is put together and trained in full beside no treatment and
    the best single one; the validation images choose, the test images are looked at when all is chosen.

    Args:
        run: Trained, or its folder.
        seeds: Trainings of every configuration, from the run's seed on, or which seeds.
        most: Treatments that are tried at most.
        info: Whether findings that are only worth knowing are treated, too.
        only: Codes of findings; all if empty.
        processes: Trainings at once; they share the cores.
        folder: Of everything; ``RUN-treated`` if None. The same call goes on there.
        console: Where to say what happens.

    Returns:
        What was tried, and what came of it. Beside it in the folder: ``treated.yaml`` for ``snellen train --config``.

    Raises:
        ConfigError: See `outline`.
        CheckpointError: See `outline`.
        DatasetError: See `outline`.
        Interrupted: If it was broken off; the same call goes on.
    """
    plan = outline(run, seeds=seeds, most=most, info=info, only=only, console=console)
    out = Path(folder) if folder is not None else plan.run.folder.with_name(f"{plan.run.folder.name}-treated")
    for line in plan.lines():
        say(console, f"  {line}")
    report = TreatmentReport(
        run=str(plan.run.folder),
        data=str(plan.run.record["data"]),
        seeds=plan.seeds,
        headline=_headline(plan.run),
        findings=tuple(told(one) for one in plan.findings),
        first=plan.plan.first,
        for_people=plan.plan.for_people,
        left_out=plan.plan.left_out,
    )
    if plan.plan.tries:
        report = _treated(plan, report, out, processes, console)
    report.write(out)
    say(console, f"written: {out / 'treatment.html'} (.md, .csv, .json)")
    return report


def _treated(
    plan: TreatmentOutline, report: TreatmentReport, out: Path, processes: int, console: Console | None
) -> TreatmentReport:
    search = Search(data=str(plan.run.record["data"]), index=plan.index, base=plan.base, seeds=plan.seeds, folder=out,
                    processes=processes, console=console)  # fmt: skip
    short = tuple(share for share in plan.shares if share < 1) or plan.shares
    judged = search.halved(plan.plan.tries, short)
    kept = [(one, judged[one.name]) for one in plan.plan.tries if judged[one.name].helps]
    together, left_out = combined(kept)
    full, rows = _in_full(search, kept, together)
    winner = _winner(full)
    chosen = next((row for row in rows if row.arm.name == winner), None)
    tried = tuple(
        _row(one, judged[one.name], plan, _verdict(one.name, judged[one.name], short[-1], winner, left_out))
        for one in plan.plan.tries
    )
    report = replace(report, tried=tried, full={name: one.gain for name, one in full.items()})
    if chosen is not None:
        report = _proven(plan, report, search, chosen, out, console)
    outcomes = [outcome for place in (out / "trials").iterdir() if (outcome := read_outcome(place)) is not None]
    return replace(report, trainings=len(outcomes), seconds=round(sum(one.seconds for one in outcomes), 1))


def _in_full(
    search: Search, kept: Sequence[tuple[Try, Judged]], together: Arm | None
) -> tuple[dict[str, Judged], tuple[ArmOutcomes, ...]]:
    """Train in full what helps: the best treatment, and all of them together."""
    if not kept:
        return {}, ()
    best = max(kept, key=lambda pair: pair[1].gain.mean)[0].arm
    single = Arm(name=best.name, options={**best.options, **best.switches})
    rows = search.at([single, *([] if together is None else [together])], 1.0)
    return {row.arm.name: judged_beside(row, rows[0], rows, 1.0) for row in rows[1:]}, rows


def _winner(full: Mapping[str, Judged]) -> str:
    """Return what measurably helps most in full; empty if nothing does."""
    helping = [one for one in full.values() if one.helps]
    return max(helping, key=lambda one: one.gain.mean).name if helping else ""


def _proven(
    plan: TreatmentOutline,
    report: TreatmentReport,
    search: Search,
    chosen: ArmOutcomes,
    out: Path,
    console: Console | None,
) -> TreatmentReport:
    """Look at the test images, write the configuration, and try the trainings of all seeds as one."""
    arm = chosen.arm
    options = changed(plan.base, arm.options)
    config = write_config(out / CONFIG, search.data, options, heading=f"{plan.run.folder.name}, treated: {arm.name}")
    proof = None
    if "test" in plan.index.split_names and len(plan.index.split_rows("test")):
        untreated, treated = search.at([arm], 1.0, measure=("val", "test"))
        proof = _proof(treated, untreated)
    facts = (
        pooled(chosen, out / "ensemble", console=console) if plan.plan.wants_ensemble and len(plan.seeds) > 1 else {}
    )
    return replace(
        report, chosen=arm.name, changes=dict(arm.options), proof=proof, ensemble=facts, config=str(config),
        treated_run=str(chosen.folders[0]),
    )  # fmt: skip


def _proof(treated: ArmOutcomes, untreated: ArmOutcomes) -> Proof | None:
    measured = [one for one in (*treated.measured("test"), *untreated.measured("test")) if one is not None]
    if not measured:
        return None
    name, lower = measured[0].headline, measured[0].lower_is_better
    values = [
        tuple(float("nan") if one is None else one.scalars.get(name, float("nan")) for one in row.measured("test"))
        for row in (treated, untreated)
    ]
    differences = image_differences(treated.folders, untreated.folders, "test")
    return Proof(
        headline=name,
        treated=values[0],
        untreated=values[1],
        difference=gain_of(treated, untreated, (treated, untreated), "test"),
        per_image=None if differences is None else resampled_interval(differences),
        lower_is_better=lower,
    )


def _row(one: Try, judged: Judged, plan: TreatmentOutline, verdict: str) -> TriedRow:
    finding = one.findings[0]
    changes = {**one.arm.options, **one.arm.switches}
    before, after = after_training(finding, judged.control), after_training(finding, judged.folders)
    if before is None:
        before = After(found=1, judged=1, measured=finding.measured)
        after = after_treatment(finding, plan.index, changed(plan.base, changes))
    return TriedRow(
        name=one.name,
        codes=tuple(dict.fromkeys(each.code for each in one.findings)),
        changes=changes,
        verdict=verdict,
        gain=judged.gain,
        share=judged.share,
        seconds=judged.seconds,
        before=before,
        after=after,
        source=one.source,
        failures=judged.failures,
    )


def _verdict(name: str, judged: Judged, longest: float, winner: str, left_out: Sequence[str]) -> str:
    if judged.failures:
        return f"failed: {judged.failures[0]}"
    if judged.gain.is_below_zero:
        return "hurts"
    if not judged.helps:
        return "no measurable gain" if judged.share == longest else f"dropped at {judged.share:.0%} of the epochs"
    if name in winner.split(JOIN):
        return "kept"
    if not winner:
        return "helps in short trainings, not in full"
    return "helps, but another does the same better" if name in left_out else "helps, but no more beside the others"


def _headline(run: Run) -> str:
    results = run.results
    return next((one.headline for split in ("val", "test") if (one := results.get(split)) is not None), "score")
