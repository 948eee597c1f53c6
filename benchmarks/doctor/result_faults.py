"""How many faults planted in results the doctor finds and names, and how often it is wrong about healthy ones.

    python benchmarks/doctor/result_faults.py --data ../shared/data --scratch doctor-results
    python benchmarks/doctor/result_faults.py --bases blood things --only boxes --again
    python benchmarks/doctor/result_faults.py --runs ../ladder/runs/*

Bases are in `result_bases.py`, faults in `result_operators.py`; what counts is said in `result_faults_head.md`. What
was found is kept in ``--scratch``, one line for each case, so that a second call goes on. Writes
``results/doctor_results.md``.
"""

import argparse
import hashlib
import json
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import class_answers
import numpy as np
import scoring
import torch
from common_answers import cut_to
from measure import told
from result_bases import BASES, Answered, kept
from result_operators import BOXES, FAULTS, Fault
from scoring import half_of, rate

import snellen
from snellen.doctor import CHECKS, Evidence, Stage, diagnose
from snellen.doctor.evidence.catalog import RESULT_SOURCES
from snellen.doctor.evidence.images import facts_of_images
from snellen.structures import Detections

HERE = Path(__file__).resolve().parent
HARM = 0.01  # of the figure
MORE = 1.2  # times the twin's value, from which a finding says more
CUTS = 8  # healthy parts of each base
OWN_DATA = {"bccd": "blood", "pennfudan": "walkers"}  # of kept runs: the base whose faults are planted in them
NOT_IN_KEPT = ("copied", "dark_fail", "tuned_on_validation", "leaked")  # they need the files, or another split
HALVES = (None, *scoring.HALVES)
CHECKED = [check for check in CHECKS if check.stage == Stage.RESULTS]
SOURCES = [source for source in RESULT_SOURCES if source is not facts_of_images]
Row = Mapping[str, Any]


def looked_at(run: Answered) -> list[dict[str, Any]]:
    """Return what the checks of results say of a run, the first cause first."""
    given = [run.run(), run.index, *run.further]
    if run.facts is not None:
        given.append(run.facts)
    kinds = {type(one) for one in given}
    sources = [source for source in SOURCES if source.__annotations__["return"] not in kinds]
    return told(diagnose(Evidence(given, sources), CHECKED))


class Bases:
    """Healthy runs by name, each made once, when it is asked for; those of kept runs are called by their folders."""

    def __init__(self, data: Path, scratch: Path, runs: Sequence[Path]) -> None:
        self.folders = {f"kept {folder.name}": folder for folder in runs}
        class_answers.PLACES = (data, scratch)
        self.places = (data, scratch)
        self.get = cache(self._made)

    def names(self) -> list[str]:
        return [*BASES, *self.folders]

    def _made(self, name: str) -> Answered | None:
        return kept(self.folders[name]) if name in self.folders else BASES[name](*self.places)

    def faults(self, name: str) -> list[Fault]:
        """Return the faults that are planted in a base."""
        if name not in self.folders:
            return [fault for fault in FAULTS if name in fault.bases]
        run = self.get(name)
        like = next((base for word, base in OWN_DATA.items() if word in name), "")
        if run is None or run.kind is not Detections or like not in BOXES:
            return []
        return [fault for fault in FAULTS if like in fault.bases and fault.change.__name__ not in NOT_IN_KEPT]


def cases(bases: Bases, names: Sequence[str]) -> Iterator[tuple[str, str, Fault | None, int]]:
    """Yield every case: its name, the base, the fault or None, and the severity or the number of the cut."""
    for name in names:
        yield f"healthy|{name}|twin|0", name, None, -1
        for number in range(CUTS if name in BASES else 0):
            yield f"healthy|{name}|part|{number}", name, None, number
        for fault in bases.faults(name):
            for severity in range(3):
                yield f"fault|{name}|{fault.name}|{severity}", name, fault, severity


def run(bases: Bases, arguments: argparse.Namespace) -> None:
    """Judge every case that has not been judged; one JSON line each."""
    file = arguments.scratch / "results.jsonl"
    if arguments.again and file.is_file():
        left = [line for line in file.read_text().splitlines() if not is_chosen(json.loads(line)["case"], arguments)]
        file.write_text("".join(f"{line}\n" for line in left))
    done = {row["case"] for row in rows_of(file)}
    with file.open("a", encoding="utf-8") as out:
        for case, name, fault, number in cases(bases, arguments.bases or bases.names()):
            if case in done or not is_chosen(case, arguments):
                continue
            base = bases.get(name)
            if base is None:
                continue
            row = judged_case(case, base, fault, number)
            out.write(json.dumps(row) + "\n")
            out.flush()
            said = [(entry["code"], entry.get("message"), entry["level"]) for entry in row["found"]]
            print(case, f"{row['figure']:.3f}", said, f"{row['seconds']:.1f} s", file=sys.stderr, flush=True)


def is_chosen(case: str, arguments: argparse.Namespace) -> bool:
    base = case.split("|")[1]
    return (not arguments.bases or base in arguments.bases) and any(word in case for word in arguments.only)


def judged_case(case: str, base: Answered, fault: Fault | None, number: int) -> dict[str, Any]:
    began = time.process_time()
    seed = int(hashlib.sha256(case.encode()).hexdigest()[:8], 16)
    if fault is not None:
        broken = planted(base, fault, number, seed)
    else:
        broken = base if number < 0 else cut_to(base, 0.7, np.random.default_rng(seed))
    found = looked_at(broken)
    return {
        "case": case,
        "figure": round(broken.figure(), 4),
        "seconds": round(time.process_time() - began, 2),
        "found": found,
    }


def planted(base: Answered, fault: Fault, severity: int, seed: int) -> Answered:
    """Return a run with a fault in the answers for every split, or for that which is judged."""
    for split in base.splits if fault.everywhere else ("",):
        base = fault.change(replace(base, looked=split), severity, np.random.default_rng(seed))
    return replace(base, looked="")


def news(found: Sequence[Row], twin: Sequence[Row]) -> list[Row]:
    """Return what is not said of the twin, or at a higher level, or with a measured value that is a fifth larger."""
    known = {(entry["code"], entry["message"]): entry for entry in twin if entry["level"] != "CRASHED"}
    return [
        entry
        for entry in found
        if entry["level"] != "CRASHED" and is_more(entry, known.get((entry["code"], entry["message"])))
    ]


def is_more(entry: Row, other: Row | None) -> bool:
    if other is None or entry["level"] != other["level"]:
        return True
    own, there = entry["measured"], other["measured"]
    return own is not None and there is not None and abs(own) > MORE * abs(there)


def rows_of(file: Path) -> list[Row]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def outcome_of(row: Row, twin: Row) -> tuple[bool, bool, bool] | None:
    """Return whether a fault was found, named first, and among the first three; None if it does no harm."""
    fault = next(one for one in FAULTS if one.name == row["case"].split("|")[2])
    if fault.harm == "figure" and not twin["figure"] - row["figure"] >= HARM:
        return None
    new = [{entry["code"], f"{entry['code']} {entry['message']}"} for entry in news(row["found"], twin["found"])]
    return tuple(any(names & {*fault.codes} for names in new[:first]) for first in (len(new), 1, 3))  # type: ignore[return-value]


def group_of(case: str) -> str:
    base = case.split("|")[1]
    return "kept" if base.startswith("kept ") else "trained" if base in ("digits", "objects", "two kinds") else "drawn"


def written(rows: Sequence[Row]) -> str:
    """Return the tables of all that was judged."""
    by_case = {row["case"]: row for row in rows}
    outcomes: dict[str, tuple[bool, bool, bool]] = {}
    harmless = 0
    for case, row in by_case.items():
        twin = by_case.get(f"healthy|{case.split('|')[1]}|twin|0")
        if case.startswith("fault") and twin is not None:
            outcome = outcome_of(row, twin)
            harmless += outcome is None
            if outcome is not None:
                outcomes[case] = outcome
    healthy = [row for row in rows if row["case"].startswith("healthy")]
    num_kept = len({row["case"].split("|")[1] for row in rows if group_of(row["case"]) == "kept"})
    versions = f"Snellen {snellen.__version__}, Python {platform.python_version()}, torch {torch.__version__}"
    text = (HERE / "result_faults_head.md").read_text(encoding="utf-8").format(
        versions=versions, kept=f"Here {num_kept}." if num_kept else "None were given here."
    )  # fmt: skip
    seconds = sum(row["seconds"] for row in rows)
    text += f"\n{len(rows)} cases, {seconds / 60:.1f} minutes of one core; {harmless} harmless faults are left out.\n"
    return text + rates(outcomes, healthy) + by_fault(outcomes) + alarms(healthy)


def rates(outcomes: Mapping[str, tuple[bool, bool, bool]], healthy: Sequence[Row]) -> str:
    text = "\n| | all | half that thresholds were set on | other half |\n|---|---|---|---|\n"
    for place, name in enumerate(("faults found", "right cause first", "among the first three")):
        cells = []
        for half in HALVES:
            chosen = [value[place] for case, value in outcomes.items() if half in (None, half_of(case))]
            cells.append(rate(sum(chosen), len(chosen)))
        text += f"| {name} | {' | '.join(cells)} |\n"
    for level in ("ERROR", "WARNING", "CRASHED"):
        cells = []
        for half in HALVES:
            rows = [row for row in healthy if half in (None, half_of(row["case"]))]
            loud = [any(entry["level"] == level for entry in row["found"]) for row in rows]
            cells.append(rate(sum(loud), len(loud)))
        text += f"| healthy with a false {level.lower()} | {' | '.join(cells)} |\n"
    text += "\n| answers | faults | found | first | first three |\n|---|---|---|---|---|\n"
    for group in ("trained", "drawn", "kept"):
        values = [value for case, value in outcomes.items() if group_of(case) == group]
        if values:
            cells = [rate(sum(value[place] for value in values), len(values)) for place in range(3)]
            text += f"| {group} | {len(values)} | {' | '.join(cells)} |\n"
    return text


def by_fault(outcomes: Mapping[str, tuple[bool, bool, bool]]) -> str:
    text = "\n| fault | counted | found | first | first three | missed |\n|---|---|---|---|---|---|\n"
    found: dict[str, list[tuple[str, tuple[bool, bool, bool]]]] = defaultdict(list)
    for case, value in outcomes.items():
        found[case.split("|")[2]].append((case, value))
    for name, values in found.items():
        missed = ", ".join(f"{case.split('|')[1]} {case.split('|')[3]}" for case, value in values if not value[0])
        sums = " | ".join(str(sum(value[place] for _, value in values)) for place in range(3))
        text += f"| {name} | {len(values)} | {sums} | {missed} |\n"
    return text


def alarms(healthy: Sequence[Row]) -> str:
    loud = [(row["case"], entry) for row in healthy for entry in row["found"] if entry["level"] != "INFO"]
    if not loud:
        return ""
    text = "\n| healthy case | said | |\n|---|---|---|\n"
    for case, entry in loud:
        said = str(entry["said"]).strip().splitlines()[-1].replace("|", "/")
        text += f"| {case.replace('|', ' ')} | {entry['code']} {entry['level']} | {said} |\n"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[2] / "shared" / "data")
    parser.add_argument("--scratch", type=Path, default=Path("doctor-results"))
    parser.add_argument("--bases", nargs="+", default=[], help="names of bases; all if left out")
    parser.add_argument("--runs", nargs="+", type=Path, default=[], help="folders of kept runs, further bases")
    parser.add_argument("--only", nargs="+", default=[""], help="cases whose name contains one of these")
    parser.add_argument("--again", action="store_true", help="judge the chosen cases anew")
    parser.add_argument("--report-only", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    folders = [folder for folder in arguments.runs if (folder / "run.json").is_file()]
    if not arguments.report_only:
        run(Bases(arguments.data, arguments.scratch, folders), arguments)
    text = written(rows_of(arguments.scratch / "results.jsonl"))
    (HERE.parent / "results" / "doctor_results.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
