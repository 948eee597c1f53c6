"""How many planted faults the doctor finds before the first step, which cause it names first, how often it is wrong.

    python benchmarks/doctor/measure.py --data ../shared/data --scratch doctor-cases
    python benchmarks/doctor/measure.py --part setup --report-only

Every case is a copy of a healthy base with one fault at one of three severities; its twin is the base. What was found
is kept in ``--scratch``, so that a second call goes on. A fault counts as found if a check that may be called its cause
says something about the broken copy that it does not say about the twin; as named first if that is what stands first.
A fault that changes nothing in a base (another class where there is but one) is no case. ``--draw 1`` plants the faults
of data sets anew, in other images of other cuts: cases that nobody saw while thresholds were set; give it a folder of
its own. Writes ``results/doctor_faults.md``, for other draws ``results/doctor_faults_draw_1.md``.
"""

import argparse
import hashlib
import json
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bases import BASES, built
from data_faults import FAULTS
from healthy import HEALTHY_DATA, HEALTHY_SETUPS, WHOLE_SETS
from planting import contents
from scoring import LONG, written
from setup_faults import HARMLESS, SETUP_FAULTS
from setups import SETUPS, SetUp

import snellen
from snellen.doctor import Diagnosis, Level, Status
from snellen.errors import SnellenError

HERE = Path(__file__).resolve().parent
HALF = (0.5, 0.5, 0.5)  # mean and spread that the MobileNetV2 weights were trained with
Case = tuple[str, Callable[[], list[dict[str, Any]]]]
Look = Callable[..., list[dict[str, Any]]]


def told(diagnosis: Diagnosis) -> list[dict[str, Any]]:
    """Return what was found, the first cause first."""
    rows = [
        {
            "code": finding.code,
            "level": Level(finding.level).name,
            "message": finding.message,
            "measured": None if finding.measured is None else float(finding.measured),
            "places": finding.num_places,
            "said": diagnosis.check_of(finding).pages["en"].message(finding)[:200],
        }
        for finding in diagnosis.findings
    ]
    broken = [{"code": row.check.code, "level": "CRASHED", "said": row.trace[-600:]}
              for row in diagnosis.with_status(Status.CRASHED)]  # fmt: skip
    return [*rows, *broken]


def looked_at(folder: Path, **options: Any) -> list[dict[str, Any]]:
    try:
        return told(snellen.check(folder, **options))
    except SnellenError as error:  # the data cannot be read at all: that is said, too, and is an error
        return [{"code": "D4", "level": "ERROR", "message": "unreadable", "measured": None, "places": 1,
                 "said": str(error)[:200]}]  # fmt: skip


def examined(setup: SetUp) -> list[dict[str, Any]]:
    diagnosis = snellen.examine(setup.model, setup.batch, setup.loss, setup.optimizer, **setup.options)
    return told(diagnosis)


def weighed(name: str, data: Path, *, deep: bool = False) -> dict[str, Any]:
    """Return the options with which a base is looked at: weights describe images and, with ``deep``, regions."""
    base = BASES[name]
    if not (base.weights or deep):
        return {}
    return {
        "model": "faster_rcnn_mobilenet_v2_fpn" if base.kind == "detection" else "mobilenet_v2",
        "weights": data / "weights" / "mobilenet_v2_imagenet.safetensors",
        "mean": HALF,
        "std": HALF,
        "padding": "same",
        "select": ("D",),
        "deep": deep,
    }


class NothingPlanted(Exception):  # noqa: N818 - not an error
    """A fault that this base cannot have."""


def broken_copy(
    base: Path, scratch: Path, change: Callable[[Path], None], look: Look, *, is_fault: bool = True
) -> list[dict[str, Any]]:
    place = scratch / "copy" / base.name
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(base, place)
    change(place)
    if is_fault and contents(place) == contents(base):
        raise NothingPlanted
    try:
        return look(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def data_cases(data: Path, scratch: Path, look: Look = looked_at, draw: int = 0) -> Iterator[Case]:
    """Yield every case of data sets: its name, and the work that looks at it."""
    bases = {name: built(name, data, scratch, draw) for name in BASES}
    for name, variant, change in HEALTHY_DATA:
        quick = partial(look, **weighed(name, data))
        yield (
            f"healthy|{name}|{variant}",
            lambda name=name, change=change, quick=quick: broken_copy(
                bases[name], scratch, change, quick, is_fault=False
            ),
        )
    for name, base in BASES.items():
        if base.kind == "detection":
            long = partial(look, **weighed(name, data, deep=True))
            yield f"healthy|{name}|{LONG}", lambda name=name, long=long: long(bases[name])
    for name, options in WHOLE_SETS.items() if draw == 0 else ():
        yield f"healthy|{name}|whole", lambda name=name, options=options: look(data / name, **options)
    for fault in FAULTS:
        for name, base in BASES.items():
            if base.kind not in fault.kinds:
                continue
            for severity in range(3):
                drawn = f"{fault.name}{name}{severity}{draw or ''}"
                seed = int(hashlib.sha256(drawn.encode()).hexdigest()[:8], 16)
                change = lambda place, fault=fault, severity=severity, seed=seed: fault.change(  # noqa: E731
                    place, severity, np.random.default_rng(seed)
                )
                case = f"fault|{name}|{fault.name}|{severity}"
                chosen = partial(look, **weighed(name, data, deep=fault.is_looked_at_long))
                yield (
                    case,
                    lambda name=name, change=change, chosen=chosen: broken_copy(bases[name], scratch, change, chosen),
                )


def setup_cases(
    data: Path, scratch: Path, examine: Callable[[SetUp], list[dict[str, Any]]] = examined
) -> Iterator[Case]:
    """Yield every case of set-ups: its name, and the work that examines it."""
    bases = {name: built(name, data, scratch) for name in BASES} | {"weights": data / "weights"}
    for name, make in HEALTHY_SETUPS.items():
        yield f"healthy|{name}|set-up", lambda make=make: examine(make(bases))
    for name, make in SETUPS.items():
        yield f"healthy|{name}|twin", lambda make=make: examine(make(bases))
    for fault in (*SETUP_FAULTS, *HARMLESS):
        for name in fault.bases:
            for severity in range(3) if fault.codes else range(1):
                case = f"{'fault' if fault.codes else 'healthy'}|{name}|{fault.name}|{severity}"
                yield (
                    case,
                    lambda fault=fault, name=name, severity=severity: examine(
                        fault.change(SETUPS[name](bases), severity)
                    ),
                )


def run(cases: Sequence[Case], kept: Path) -> None:
    """Run every case that has not been run, one JSON line each."""
    done = set()
    if kept.is_file():
        done = {json.loads(line)["case"] for line in kept.read_text().splitlines()}
    with kept.open("a", encoding="utf-8") as file:
        for name, work in cases:
            if name in done:
                continue
            began = time.perf_counter()
            row: dict[str, Any] = {"case": name}
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    found = work()
            except NothingPlanted:
                found, row["unchanged"] = [], True
            except Exception as error:  # noqa: BLE001 - a crash is a result that is counted
                found = [{"code": "", "level": "CRASHED", "said": repr(error)[:600]}]
            row |= {"seconds": round(time.perf_counter() - began, 2), "found": found}
            file.write(json.dumps(row) + "\n")
            file.flush()
            said = [(entry["code"], entry["level"]) for entry in found]
            print(name, said, f"{row['seconds']:.1f} s", file=sys.stderr, flush=True)


def expected() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Return the codes that may be called the cause of each fault, part by part: both know labels that start at 1."""
    return {
        part: {fault.name: fault.codes for fault in faults}
        for part, faults in (("data", FAULTS), ("setup", SETUP_FAULTS))
    }


def is_chosen(case: str, arguments: argparse.Namespace) -> bool:
    is_of_severity = not case.startswith("fault") or case.rpartition("|")[2] in arguments.severities
    return is_of_severity and any(word in case for word in arguments.only)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[2] / "shared" / "data")
    parser.add_argument("--scratch", type=Path, default=Path("doctor-cases"))
    parser.add_argument("--part", choices=("data", "setup", "all"), default="all")
    parser.add_argument("--only", nargs="+", default=[""], help="cases whose name contains one of these")
    parser.add_argument(
        "--severities", nargs="+", choices=("0", "1", "2"), default=["0", "1", "2"], help="of planted faults"
    )
    parser.add_argument("--draw", type=int, default=0, help="of other images to plant other faults in")
    parser.add_argument("--again", action="store_true", help="forget what was found before")
    parser.add_argument("--report-only", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Callable[..., Iterator[Case]]] = {"data": partial(data_cases, draw=arguments.draw)}
    if not arguments.draw:
        parts["setup"] = setup_cases
    for part, cases in parts.items():
        kept = arguments.scratch / f"{part}.jsonl"
        if arguments.part not in (part, "all"):
            continue
        if arguments.again:
            kept.unlink(missing_ok=True)
        if not arguments.report_only:
            every = list(cases(arguments.data, arguments.scratch))
            run([case for case in every if is_chosen(case[0], arguments)], kept)
    looked_at_long = {fault.name for fault in FAULTS if fault.is_looked_at_long}
    kept = {part: arguments.scratch / f"{part}.jsonl" for part in parts}
    written(kept, expected(), looked_at_long, HERE.parent / "results", arguments.draw)


if __name__ == "__main__":
    main()
