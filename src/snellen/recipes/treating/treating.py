"""The verb treat: the findings of a run, tried as changes of its configuration, and what measurably helps."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from snellen.errors import CheckpointError
from snellen.metrics import resampled_interval
from snellen.recipes.experiments.arms import Arm, changed
from snellen.recipes.experiments.comparing import image_differences
from snellen.recipes.experiments.study import ArmOutcomes
from snellen.recipes.experiments.trials import read_outcome
from snellen.recipes.options_file import write_config
from snellen.recipes.progress import say
from snellen.recipes.runs import Run, write_json
from snellen.recipes.treating.findings import After, after_training, after_treatment, told
from snellen.recipes.treating.outlining import TreatmentOutline, outline
from snellen.recipes.treating.plan import Try
from snellen.recipes.treating.pooling import pooled
from snellen.recipes.treating.search import (
    JOIN,
    Judged,
    Search,
    combined,
    gain_of,
)
from snellen.recipes.treating.treatment_report import TreatmentReport
from snellen.recipes.treating.treatment_rows import Proof, TriedRow

__all__ = ["treat"]

CONFIG = "treated.yaml"
GREAT = 0.1  # gain from which what is mended may have hidden what the others do
MOST_AGAIN = 3  # of the others that are tried once more then
_CLAIM = "treatment-of.json"


def treat(
    run: Run | Path | str,
    *,
    seeds: int | Sequence[int] = 3,
    most_seeds: int | None = None,
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
        most_seeds: Of whole trainings of what may help where ``seeds`` do not tell; twice as many if None.
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
    plan = outline(run, seeds=seeds, most_seeds=most_seeds, most=most, info=info, only=only, console=console)
    out = Path(folder) if folder is not None else plan.run.folder.with_name(f"{plan.run.folder.name}-treated")
    _claim(out, plan)
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


def _claim(out: Path, plan: TreatmentOutline) -> None:
    """Write whose treatment a folder holds, or check that it is this one, on the same data."""
    own = {"run": str(plan.run.folder.resolve()), "fingerprint": plan.index.fingerprint()}
    file = out / _CLAIM
    if not file.is_file():
        write_json(file, own)
        return
    there = json.loads(file.read_text(encoding="utf-8"))
    if there.get("run") != own["run"]:
        raise CheckpointError(f"{out}: the treatment of {there.get('run')} is there. Choose another folder.")
    if there != own:
        raise CheckpointError(f"{out}: the data set has changed since. Restore it, or choose another folder.")


def _treated(
    plan: TreatmentOutline, report: TreatmentReport, out: Path, processes: int, console: Console | None
) -> TreatmentReport:
    search = Search(data=str(plan.run.record["data"]), index=plan.index, base=plan.base, seeds=plan.seeds, folder=out,
                    processes=processes, console=console)  # fmt: skip
    finalists, judged = search.halved(plan.plan.tries, [share for share in plan.shares if share < 1])
    wider, whole = search.settled([one.arm for one in finalists], plan.most_seeds)
    judged |= whole
    kept = [(one, judged[one.name]) for one in finalists if judged[one.name].helps]
    full = {one.name: judged[one.name] for one in finalists}
    together, left_out = combined(kept)
    if together is not None:
        longer, of_all = search.settled([together], plan.most_seeds)
        wider = max(wider, longer, key=lambda one: len(one.seeds))
        full |= of_all
    winner = _winner(full)
    arms = [arm for arm in (*(one.arm for one in finalists), together) if arm is not None]
    again = _tried_again(plan, judged, full, winner)
    if again:
        used = wider if len(full[winner].folders) > len(search.seeds) else search
        more = used.added(next(arm for arm in arms if arm.name == winner), again)
        if more is not None:
            arms.append(more)
            full |= used.in_full([more])
            winner = more.name
    tried = tuple(
        _row(one, judged[one.name], plan, _verdict(one.name, judged[one.name], winner, left_out))
        for one in plan.plan.tries
    )
    report = replace(report, tried=tried, full={name: one.gain for name, one in full.items()})
    if winner:
        arm = next(arm for arm in arms if arm.name == winner)
        used = wider if len(full[winner].folders) > len(search.seeds) else search
        report = _proven(plan, report, used, arm, out, console)
    outcomes = [outcome for place in (out / "trials").iterdir() if (outcome := read_outcome(place)) is not None]
    return replace(report, trainings=len(outcomes), seconds=round(sum(one.seconds for one in outcomes), 1))


def _winner(full: Mapping[str, Judged]) -> str:
    """Return what measurably helps most in full; empty if nothing does."""
    helping = [one for one in full.values() if one.helps]
    return max(helping, key=lambda one: one.gain.mean).name if helping else ""


def _tried_again(
    plan: TreatmentOutline, judged: Mapping[str, Judged], full: Mapping[str, Judged], winner: str
) -> list[Try]:
    """Return what is tried once more beside a treatment that mends a great fault: of other jobs, and not harmful."""
    if not winner or full[winner].gain.mean < GREAT:
        return []
    names = set(winner.split(JOIN))
    jobs = frozenset().union(*(one.jobs for one in plan.plan.tries if one.name in names))
    rest = [one for one in plan.plan.tries if one.name not in names and not one.jobs & jobs]
    return [one for one in rest if not (judged[one.name].failures or judged[one.name].helps)][:MOST_AGAIN]


def _proven(
    plan: TreatmentOutline,
    report: TreatmentReport,
    search: Search,
    arm: Arm,
    out: Path,
    console: Console | None,
) -> TreatmentReport:
    """Look at the test images, write the configuration, and try the trainings of all seeds as one."""
    changes = {**arm.options, **arm.switches}
    options = changed(plan.base, changes)
    config = write_config(out / CONFIG, search.data, options, heading=f"{plan.run.folder.name}, treated: {arm.name}")
    splits = (
        ("val", "test") if len(plan.index.split_rows("test") if "test" in plan.index.split_names else ()) else ("val",)
    )
    untreated, treated = search.at([arm], 1.0, measure=splits)
    is_pooled = plan.plan.wants_ensemble and len(plan.seeds) > 1 and not arm.switches
    return replace(
        report,
        chosen=arm.name,
        changes=changes,
        proof=_proof(treated, untreated),
        ensemble=pooled(treated, out / "ensemble", console=console) if is_pooled else {},
        config=str(config),
        treated_run=str(treated.folders[0]),
    )


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
        measured = None if finding.measured is None else float(finding.measured)
        before = After(found=1, judged=1, measured=measured)
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


def _verdict(name: str, judged: Judged, winner: str, left_out: Sequence[str]) -> str:
    if name in winner.split(JOIN) and not judged.helps:
        return "kept: helps once the others are there"
    if judged.failures:
        return f"failed: {judged.failures[0]}"
    if judged.gain.is_below_zero:
        return "hurts"
    if judged.share < 1:
        return f"dropped at {judged.share:.0%} of the epochs"
    if judged.gives_up:
        return f"gives up a class: the worst one loses {-judged.worst.mean:.3f}"
    return _verdict_of_whole(name, judged, winner, left_out)


def _verdict_of_whole(name: str, judged: Judged, winner: str, left_out: Sequence[str]) -> str:
    if not judged.helps:
        return "no measurable gain"
    if name in winner.split(JOIN):
        return "kept"
    return "helps, but another does the same better" if name in left_out else "helps, but another helps more"


def _headline(run: Run) -> str:
    results = run.results
    return next((one.headline for split in ("val", "test") if (one := results.get(split)) is not None), "score")
