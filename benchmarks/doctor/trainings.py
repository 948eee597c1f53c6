"""How many faults planted in trainings the doctor names, and how often it is wrong about healthy ones.

    python benchmarks/doctor/trainings.py --data ../shared/data --scratch doctor-trainings --seeds 5
    python benchmarks/doctor/trainings.py --bases mlp cnn --severities 1 --seeds 2 --minutes 10
    python benchmarks/doctor/trainings.py --only healthy --stale
    python benchmarks/doctor/trainings.py --judge-again

Every case is a small training with one fault at one of three severities; its twins are the same trainings without it,
from the same seeds. A fault counts only if it does harm: the accuracy on test images is below the twin's for every
seed, and by two points in the mean (``is_harm_elsewhere`` marks faults that cost time instead). It counts as found if
a check that may be called its cause says something that it does not say of the twin, as first (among the first three)
if that stands there. Traces and accuracies are kept in ``--scratch``: a second call goes on, and ``--judge-again``
judges the traces anew without training; ``--stale`` trains those anew whose traces lack facts of today. Writes
``results/doctor_trainings.md``.
"""

import argparse
import json
import platform
import random
import shutil
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import told
from scoring import news, rate
from training_faults import BASES, FAULTS, FURTHER, HEALTHY, healthy_plan
from training_runs import Plan, trained

import snellen
from snellen.doctor import Level
from snellen.doctor.watching import Trace, read_trace
from snellen.doctor.watching.telling import judged

HERE = Path(__file__).resolve().parent
HARM = 0.02  # of accuracy, in the mean over seeds
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # of the steps, at which a training is judged while it goes on
STEP_COLUMNS = ("steps", "rates", "wait_s", "step_s", "images", "memory")
SAMPLE_COLUMNS = (
    "sampled", "gradient", "weight", "update", "agreement", "rms", "largest", "zeros", "dead", "saturated", "gap",
    "apart", "varied", "named",
)  # fmt: skip
NETS: Mapping[str, Plan] = {**BASES, **FURTHER}
HALVES = (None, "set", "reported")
REPORTED = ("cnn with norms", "resnet8", *FURTHER)  # nets and data that thresholds were not set on
FINE = 0.75  # of the twin's accuracy, that an odd training must reach to be called fine
Row = Mapping[str, Any]


def cases(bases: Sequence[str], severities: Sequence[int], seeds: int) -> Iterator[tuple[str, Plan, int]]:
    """Yield the name, plan and seed of every case: healthy ones first, then faults."""
    for name in bases:
        for variant in HEALTHY:
            for seed in range(seeds if variant == "twin" else 1):
                yield f"healthy|{name}|{variant}|0|{seed}", healthy_plan(NETS[name], variant), seed
    for fault in FAULTS:
        for name in bases:
            for severity in severities:
                if name in fault.bases and severity < len(fault.change):
                    for seed in range(seeds):
                        case = f"fault|{name}|{fault.name}|{severity}|{seed}"
                        yield case, fault.plan(NETS[name], severity), seed


def lacks_facts(scratch: Path, case: str) -> bool:
    """Return whether the trace of a case is gone, or was written before layers were asked how they vary."""
    folder = trace_folder(scratch, case)
    if not folder.is_dir():
        return True
    trace = read_trace(folder)
    return len(trace.sampled) > 0 and not np.isfinite(trace.varied).any()


def forget_stale(every: Sequence[tuple[str, Plan, int]], scratch: Path) -> None:
    """Forget those of the cases whose traces lack facts, so that they are trained anew."""
    kept = scratch / "trainings.jsonl"
    chosen = {case for case, _, _ in every}
    left = [row for row in rows_of(kept) if row["case"] not in chosen or not lacks_facts(scratch, row["case"])]
    kept.write_text("".join(json.dumps(row) + "\n" for row in left))


def run(every: Sequence[tuple[str, Plan, int]], arguments: argparse.Namespace) -> None:
    """Train every case that has not been trained, until the time is over; one JSON line each."""
    kept = arguments.scratch / "trainings.jsonl"
    done = {row["case"] for row in rows_of(kept)}
    ends = time.process_time() + 60 * arguments.minutes
    with kept.open("a", encoding="utf-8") as file:
        for case, plan, seed in every:
            if case in done:
                continue
            if time.process_time() > ends:
                break
            began = time.process_time()
            folder = trace_folder(arguments.scratch, case)
            shutil.rmtree(folder, ignore_errors=True)  # of a call that was killed
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                doctor, accuracy = trained(plan, seed, arguments.data, arguments.scratch, folder)
            row = {
                "case": case,
                "accuracy": round(accuracy, 4),
                "seconds": round(time.process_time() - began, 2),
                "found": told(doctor.diagnosis),
                "under_way": under_way(doctor.trace),
            }
            file.write(json.dumps(row) + "\n")
            file.flush()
            said = [(entry["code"], entry.get("message"), entry["level"]) for entry in row["found"]]
            print(case, row["accuracy"], said, f"{row['seconds']:.1f} s", file=sys.stderr, flush=True)


def under_way(trace: Trace) -> dict[str, list[str]]:
    """Return the warnings and errors that were there while the training went on, by the share of its steps."""
    found = {}
    for share in SHARES:
        diagnosis = judged(until(trace, int(share * len(trace.steps))))
        found[str(share)] = [finding.code for finding in diagnosis.findings if finding.level >= Level.WARNING]
    return found


def until(trace: Trace, step: int) -> Trace:
    """Return what was seen up to a step."""
    count, sampled = int((trace.steps <= step).sum()), int((trace.sampled <= step).sum())
    columns = {name: getattr(trace, name)[:count] for name in STEP_COLUMNS}
    columns |= {name: getattr(trace, name)[:sampled] for name in SAMPLE_COLUMNS}
    return replace(
        trace,
        **columns,
        losses={name: values[:count] for name, values in trace.losses.items()},
        validations=tuple(row for row in trace.validations if row.step <= step),
        happenings=tuple(row for row in trace.happenings if row.step <= step),
        is_over=False,
    )


def half_of(base: str) -> str:
    return "reported" if base in REPORTED else "set"


def trace_folder(scratch: Path, case: str) -> Path:
    return scratch / "traces" / case.replace("|", "_").replace(" ", "-").replace(":", "-")


def rows_of(kept: Path) -> list[Row]:
    return [json.loads(line) for line in kept.read_text().splitlines()] if kept.is_file() else []


def judge_again(scratch: Path) -> None:
    kept = scratch / "trainings.jsonl"
    rows = []
    for row in rows_of(kept):
        trace = read_trace(trace_folder(scratch, row["case"]))
        rows.append({**row, "found": told(judged(trace)), "under_way": under_way(trace)})
    kept.write_text("".join(json.dumps(row) + "\n" for row in rows))


def harm_of(fault: str, by_seed: Mapping[int, Row], twins: Mapping[int, Row]) -> bool:
    """Return whether a fault did harm: worse for every seed, and by two points in the mean."""
    if next(one for one in FAULTS if one.name == fault).is_harm_elsewhere:
        return True
    losses = [twins[seed]["accuracy"] - row["accuracy"] for seed, row in by_seed.items() if seed in twins]
    return bool(losses) and min(losses) > 0 and sum(losses) / len(losses) >= HARM


def is_fine(row: Row, twins: Mapping[str, Mapping[int, Row]]) -> bool:
    """Return whether an odd training is fine: as good as its twin, or nearly so; short ones may be worse."""
    _, base, name, _, _ = row["case"].split("|")
    best = max((twin["accuracy"] for twin in twins[base].values()), default=0.0)
    return "short" in name or row["accuracy"] >= FINE * best


def written(rows: Sequence[Row]) -> str:
    """Return the tables of all that was run."""
    twins: dict[str, dict[int, Row]] = defaultdict(dict)
    faults: dict[tuple[str, str, str], dict[int, Row]] = defaultdict(dict)
    for row in rows:
        kind, base, name, severity, seed = row["case"].split("|")
        if kind == "healthy" and name == "twin":
            twins[base][int(seed)] = row
        elif kind == "fault":
            faults[base, name, severity][int(seed)] = row
    outcomes: dict[str, tuple[bool, bool, bool]] = {}
    harmless: list[Row] = []
    for (base, name, severity), by_seed in faults.items():
        if not harm_of(name, by_seed, twins[base]):
            harmless += by_seed.values()
            continue
        codes = next(one for one in FAULTS if one.name == name).codes
        for seed, row in by_seed.items():
            new = [{entry["code"], f"{entry['code']} {entry['message']}"}
                   for entry in news(row["found"], twins[base].get(seed, {"found": []})["found"])]  # fmt: skip
            outcomes[f"{base}|{name}|{severity}|{seed}"] = tuple(  # type: ignore[assignment]
                any(names & {*codes} for names in new[:first]) for first in (len(new), 1, 3)
            )
    healthy = [row for row in rows if row["case"].startswith("healthy") and is_fine(row, twins)]
    return text_of(outcomes, healthy, harmless, len(rows), sum(row["seconds"] for row in rows))


def text_of(
    outcomes: Mapping[str, tuple[bool, bool, bool]],
    healthy: Sequence[Row],
    harmless: Sequence[Row],
    count: int,
    seconds: float,
) -> str:
    versions = f"Snellen {snellen.__version__}, Python {platform.python_version()}, torch {torch.__version__}"
    text = (HERE / "trainings_head.md").read_text(encoding="utf-8").format(
        versions=versions, count=count, minutes=f"{seconds / 60:.1f}", harmful=len(outcomes), harmless=len(harmless)
    )  # fmt: skip
    text += "\n| | all | nets that thresholds were set on | other nets and data |\n|---|---|---|---|\n"
    for place, name in enumerate(("faults found", "right cause first", "among the first three")):
        cells = []
        for half in HALVES:
            chosen = [value[place] for case, value in outcomes.items() if half in (None, half_of(case.split("|")[0]))]
            cells.append(rate(sum(chosen), len(chosen)))
        text += f"| {name} | {' | '.join(cells)} |\n"
    for level in ("ERROR", "WARNING", "CRASHED"):
        cells = []
        for half in HALVES:
            rows = [row for row in healthy if half in (None, half_of(row["case"].split("|")[1]))]
            loud = [any(entry["level"] == level for entry in row["found"]) for row in rows]
            cells.append(rate(sum(loud), len(loud)))
        text += f"| healthy with a false {level.lower()} | {' | '.join(cells)} |\n"
    cells = []
    for half in HALVES:
        rows = [row for row in healthy if half in (None, half_of(row["case"].split("|")[1]))]
        cells.append(rate(sum(any(row.get("under_way", {}).values()) for row in rows), len(rows)))
    text += f"| healthy with a false warning while it went on | {' | '.join(cells)} |\n"
    text += "\n| fault | harmful | found | first | first three | missed |\n|---|---|---|---|---|---|\n"
    by_fault: dict[str, list[tuple[str, tuple[bool, bool, bool]]]] = defaultdict(list)
    for case, value in outcomes.items():
        by_fault[case.split("|")[1]].append((case, value))
    for name, values in by_fault.items():
        missed = ", ".join(dict.fromkeys(f"{c.split('|')[0]} {c.split('|')[2]}" for c, v in values if not v[0]))
        sums = " | ".join(str(sum(value[place] for _, value in values)) for place in range(3))
        text += f"| {name} | {len(values)} | {sums} | {missed} |\n"
    loud_rows = [
        (row["case"], entry) for row in (*healthy, *harmless) for entry in row["found"] if entry["level"] != "INFO"
    ]
    if loud_rows:
        text += "\n| healthy or harmless case | said | |\n|---|---|---|\n"
        text += "".join(f"| {case.replace('|', ' ')} | {entry['code']} {entry['level']} | {entry['said']} |\n"
                        for case, entry in loud_rows)  # fmt: skip
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[2] / "shared" / "data")
    parser.add_argument("--scratch", type=Path, default=Path("doctor-trainings"))
    parser.add_argument("--bases", nargs="+", default=list(NETS), choices=list(NETS))
    parser.add_argument("--severities", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=[""], help="cases whose name contains one of these")
    parser.add_argument("--minutes", type=float, default=1e9, help="of processor time, after which this call stops")
    parser.add_argument(
        "--scattered", action="store_true", help="in a random order, so that a part shows something of all"
    )
    parser.add_argument("--stale", action="store_true", help="train anew what was traced without facts of today")
    parser.add_argument("--judge-again", action="store_true")
    parser.add_argument("--report-only", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    if arguments.judge_again:
        judge_again(arguments.scratch)
    elif not arguments.report_only:
        every = [case for case in cases(arguments.bases, arguments.severities, arguments.seeds)
                 if any(word in case[0] for word in arguments.only)]  # fmt: skip
        if arguments.stale:
            forget_stale(every, arguments.scratch)
        if arguments.scattered:
            random.Random(0).shuffle(every)
        run(every, arguments)
    text = written(rows_of(arguments.scratch / "trainings.jsonl"))
    (HERE.parent / "results" / "doctor_trainings.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
