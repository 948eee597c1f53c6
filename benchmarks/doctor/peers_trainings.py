"""The faulty trainings under the doctors that exist: trainproof, torchtest2, torch-audit and TrainCheck.

    python benchmarks/doctor/trainings.py --scratch doctor-trainings --seeds 1
    python -m venv --system-site-packages peers
    peers/bin/pip install trainproof torchtest2 torch-audit traincheck
    peers/bin/python benchmarks/doctor/peers_trainings.py --scratch doctor-trainings

The first call leaves traces and accuracies, which say what did harm and are what trainproof reads. What each tool said
is kept in ``--scratch``, so that a second call goes on. Writes ``results/doctor_peers_trainings.md``.
"""

import argparse
import contextlib
import io
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trainings
from measure import told
from peers import entry, line
from training_faults import BASES, FAULTS, HEALTHY, healthy_plan
from training_runs import Plan, begun, loss_of, one_loss, rate

from snellen.doctor import judged, read_trace

HERE = Path(__file__).resolve().parent
SEVERITY, SEED = 1, 0
OF_TRAINCHECK = ("mlp",)  # the bases that TrainCheck looks at
HEALTHY_OF_TRAINCHECK = ("twin", "constant rate", "third of the rate")  # the same program
TRAINCHECK_STEPS = 12
AUDITED_EVERY = 50  # steps
LOGGED_EVERY = 10  # steps, whose mean is a line of the log
Found = list[dict[str, Any]]


def snellen_says(case: str, _plan: Plan, arguments: argparse.Namespace) -> Found:
    return told(judged(read_trace(trainings.trace_folder(arguments.scratch, case))))


def trainproof(case: str, _plan: Plan, arguments: argparse.Namespace) -> Found:
    from trainproof.epoch import check_records

    trace = read_trace(trainings.trace_folder(arguments.scratch, case))
    gradients = dict(zip(trace.sampled.tolist(), np.sqrt(np.nansum(trace.gradient**2, 1)).tolist(), strict=True))
    validations = {row.step: row.scores["loss"] for row in trace.validations}
    records = []
    for start in range(0, len(trace.steps), LOGGED_EVERY):
        part = slice(start, start + LOGGED_EVERY)
        steps = trace.steps[part].tolist()
        row: dict[str, float] = {
            "step": steps[-1],
            "loss": float(trace.loss[part].mean()),
            "lr": float(trace.rates[part].max()),
            "step_time": float(trace.step_s[part].mean()),
            "loader_time": float(trace.wait_s[part].mean()),
        }
        for name, values in (("grad_norm", gradients), ("eval_loss", validations)):
            known = [values[step] for step in steps if step in values]
            if known:
                row[name] = known[-1]
        records.append(row)
    levels = {"FAIL": "ERROR", "WARN": "WARNING", "INFO": "INFO"}
    found = check_records(records)["findings"]
    return [entry(row["id"], levels[row["level"]], 1) for row in found if row["level"] in levels]


def torchtest2(_case: str, plan: Plan, arguments: argparse.Namespace) -> Found:
    from torchtest2 import check_model

    model, optimizer, source = begun(plan, SEED, arguments.data, arguments.scratch)
    images, labels = next(source)
    report = check_model(
        model, images, labels, loss_fn=lambda scores, truth: loss_of(plan, scores, truth), optimizer=optimizer
    )
    levels = {"FAIL": "ERROR", "WARN": "WARNING"}
    return [entry(row.name, levels[str(row.status)], 1) for row in report.results if str(row.status) in levels]


def torch_audit(_case: str, plan: Plan, arguments: argparse.Namespace) -> Found:
    from torch_audit import autopatch

    model, optimizer, source = begun(plan, SEED, arguments.data, arguments.scratch)
    draws = torch.Generator().manual_seed(SEED)
    with autopatch(model, optimizer=optimizer, every_n_steps=AUDITED_EVERY) as auditor:
        auditor.audit_static()
        auditor.audit_init()
        for step in range(plan.steps):
            optimizer.param_groups[0]["lr"] = plan.lr * rate(plan, step)
            optimizer.zero_grad()
            one_loss(plan, model, *next(source), draws).backward()
            if plan.clip:
                torch.nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
            optimizer.step()
    found = auditor.finish(report=False).findings
    counts = Counter((row.rule_id, str(row.severity.value).upper()) for row in found)
    return [entry(rule, "WARNING" if level == "WARN" else level, count) for (rule, level), count in counts.items()]


def traincheck(case: str, plan: Plan, arguments: argparse.Namespace) -> Found:
    """Return the invariants that broke, of those that hold in a healthy run with another seed."""
    base = case.split("|")[1]
    known = arguments.scratch / "traincheck" / f"{base}.json"
    if not known.is_file():
        reference = collected(BASES[base], SEED + 1, arguments, f"reference-{base}")
        command("infer", "-f", reference, "-o", known)
    folder = collected(plan, SEED, arguments, "target", "--invariants", known)
    results = folder.with_name("results")
    shutil.rmtree(results, ignore_errors=True)
    command("check", "-f", folder, "-i", known, "-o", results, "--no-html-report")
    text = "".join(file.read_text() for file in results.rglob("failed.log"))
    broken = set(re.findall(r'"text_description": "(.*)"', text))
    return [entry(rule, "ERROR", 1) for rule in sorted(broken)]


def collected(plan: Plan, seed: int, arguments: argparse.Namespace, name: str, *more: object) -> Path:
    """Return the folder with what TrainCheck wrote down of a run."""
    folder = (arguments.scratch / "traincheck" / name).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    given = {
        "plan": asdict(plan),
        "seed": seed,
        "steps": min(plan.steps, TRAINCHECK_STEPS),
        "data": str(arguments.data.resolve()),
        "scratch": str(arguments.scratch.resolve()),
    }
    os.environ |= {"PEERS_PLAN": json.dumps(given), "PEERS_CODE": str(HERE)}
    command(
        "collect", "--pyscript", HERE / "peers_loop.py", "--models-to-track", "model", "--output-dir", folder, *more
    )
    return folder


def command(verb: str, *words: object) -> None:
    program = Path(sys.executable).with_name(f"traincheck-{verb}")
    with contextlib.chdir(program.parents[1]):  # where it leaves its logs
        subprocess.run([program, *map(str, words)], check=True, capture_output=True)


TOOLS: dict[str, tuple[str, Callable[..., Found]]] = {
    "snellen": ("reads the trace", snellen_says),
    "trainproof": ("reads the log", trainproof),
    "torchtest2": ("before the first step", torchtest2),
    "torch-audit": ("in the loop", torch_audit),
    "traincheck": ("in the loop, after a healthy run", traincheck),
}


def harmful(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Plan]]:
    """Yield the cases that did harm, and the healthy ones that are fine."""
    twins: dict[str, dict[int, Any]] = defaultdict(dict)
    faults: dict[tuple[str, str], dict[int, Any]] = defaultdict(dict)
    for row in rows:
        kind, base, name, severity, seed = row["case"].split("|")
        if kind == "healthy" and name == "twin":
            twins[base][int(seed)] = row
        elif kind == "fault" and int(severity) == SEVERITY:
            faults[base, name][int(seed)] = row
    for row in rows:
        kind, base, name, _, seed = row["case"].split("|")
        is_chosen = kind == "healthy" and int(seed) == SEED and (name == "twin" or trainings.is_fine(row, twins))
        if is_chosen and name in HEALTHY:
            yield row["case"], healthy_plan(BASES[base], name)
    for (base, name), by_seed in faults.items():
        fault = next((one for one in FAULTS if one.name == name), None)
        if fault is not None and SEED in by_seed and trainings.harm_of(name, by_seed, twins[base]):
            yield by_seed[SEED]["case"], fault.plan(BASES[base], SEVERITY)


def run(tool: str, cases: Sequence[tuple[str, Plan]], arguments: argparse.Namespace, kept: Path) -> None:
    """Let a tool look at every case that it has not seen; one JSON line each."""
    done = {json.loads(text)["case"] for text in kept.read_text().splitlines()} if kept.is_file() else set()
    ends = spent_s() + 60 * arguments.minutes
    with kept.open("a", encoding="utf-8") as file:
        for case, plan in cases:
            if case in done or spent_s() > ends:
                continue
            began = time.perf_counter()
            said = io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    found = TOOLS[tool][1](case, plan, arguments)
                except Exception as error:  # noqa: BLE001 - a crash is an outcome of the tool
                    found = [{**entry(type(error).__name__, "CRASHED", 0), "said": str(error)[-300:]}]
            row = {"case": case, "found": found, "seconds": round(time.perf_counter() - began, 2)}
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(tool, case, [(one["code"], one["level"]) for one in found][:6], file=sys.stderr, flush=True)


def spent_s() -> float:
    """Return the processor time of this program and of those that it started."""
    return sum(os.times()[:4])


def is_looked_at(tool: str, case: str) -> bool:
    kind, base, name, _, _ = case.split("|")
    if tool != "traincheck":
        return True
    return base in OF_TRAINCHECK and (kind == "fault" or name in HEALTHY_OF_TRAINCHECK)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[2] / "shared" / "data")
    parser.add_argument("--scratch", type=Path, default=Path("doctor-trainings"))
    parser.add_argument("--tools", nargs="+", choices=sorted(TOOLS), default=list(TOOLS))
    parser.add_argument("--bases", nargs="+", choices=list(BASES), default=list(BASES))
    parser.add_argument("--minutes", type=float, default=math.inf, help="of processor time for each tool")
    parser.add_argument("--report-only", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cases = [(case, plan) for case, plan in harmful(trainings.rows_of(arguments.scratch / "trainings.jsonl"))
             if case.split("|")[1] in arguments.bases]  # fmt: skip
    text = (HERE / "peers_trainings_head.md").read_text(encoding="utf-8")
    text = text.format(cases=len(cases), steps=TRAINCHECK_STEPS)
    text += "\n| tool | how it looks | says something new of a harmful fault | healthy with an error "
    text += "| healthy with a warning | crashed | median s |\n|---|---|---|---|---|---|---|\n"
    for tool, (how, _) in TOOLS.items():
        kept = arguments.scratch / f"peer-{tool}.jsonl"
        if tool in arguments.tools and not arguments.report_only:
            run(tool, [one for one in cases if is_looked_at(tool, one[0])], arguments, kept)
        if kept.is_file():
            rows = [json.loads(row) for row in kept.read_text().splitlines()]
            cells = line(tool, [row for row in rows if row["case"] in dict(cases)])
            text += cells.replace(" | ", f" | {how} | ", 1)
    (HERE.parent / "results" / "doctor_peers_trainings.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
