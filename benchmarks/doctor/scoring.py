"""From what was found to rates with intervals: faults found, causes named first, false alarms."""

import hashlib
import json
import platform
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import torch
from scipy.stats import norm

import snellen

__all__ = ["KNOWN", "LONG", "wilson", "written"]

# What is true of a healthy base, and is therefore no false alarm when it is said: (base, code) and how it is known.
KNOWN: Mapping[tuple[str, str], str] = {
    ("bccd", "D7"): "two boxes have no area, as the data set's own notes say",
    ("fruit", "D4"): "37 files state another size than the image has, as the data set's own notes say",
    ("camvid", "D20"): "its splits are other drives at other times of day",
    ("streets", "D20"): "a cut of CamVid",
    ("charts", "D20"): "the charts of each split are drawn on other photographs, a few for each",
    ("charts", "D14"): "a variant of them has 8 validation examples of a class",
    ("bccd", "D11"): "two of its held-out images are near copies of training images",
    ("inria_crops", "D33"): "every positive window has a mirrored twin, as the data set's own notes say",
    ("coco", "D12"): "128 images of 80 classes: some are never trained",
    ("coco", "D13"): "128 images of 80 classes: many are rare",
    ("coco", "D14"): "128 images of 80 classes: many are rare",
}
OLD_POOL = """Thresholds were set on whole healthy data sets and
with these cases in sight, those of both columns: the columns only show how much such figures scatter. Cases that nobody
saw before are those of another draw (`--draw 1`, `doctor_faults_draw_1.md`)."""
NEW_POOL = """The bases are other
images of the same data sets and the faults fall on others than in `doctor_faults.md`, so far as there are any (the test
images of "people" are the same, and four fifths of "insects"): thresholds were set before."""
HALVES = ("first", "second")
LONG = "looked at long"  # the twin of faults that are looked for with --deep
Row = Mapping[str, Any]


def wilson(hits: int, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's interval of a share (Wilson 1927)."""
    if not count:
        return 0.0, 1.0
    z = float(norm.ppf(0.5 + confidence / 2))
    share, spread = hits / count, z * z / count
    centre = (share + spread / 2) / (1 + spread)
    half = z * ((share * (1 - share) + spread / 4) / count) ** 0.5 / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def half_of(case: str) -> str:
    """Return which half a case belongs to, by a hash of its name."""
    return HALVES[int(hashlib.sha256(case.encode()).hexdigest(), 16) % 2]


def is_new(entry: Row, twin: Sequence[Row]) -> bool:
    """Return whether a finding says more than was said of the twin."""
    for other in twin:
        if (other["code"], other.get("message"), other["level"]) == (
            entry["code"],
            entry.get("message"),
            entry["level"],
        ):
            more_places = entry.get("places", 0) > other.get("places", 0)
            larger = entry.get("measured") != other.get("measured")
            return more_places or larger
    return True


def news(found: Sequence[Row], twin: Sequence[Row]) -> list[Row]:
    return [entry for entry in found if entry["level"] != "CRASHED" and is_new(entry, twin)]


def rate(hits: int, count: int) -> str:
    low, high = wilson(hits, count)
    share = f"{hits / count:.1%}" if count else "–"
    return f"{share} ({hits} of {count}; {low:.1%} … {high:.1%})"


def written(
    kept: Mapping[str, Path],
    expected: Mapping[str, Mapping[str, Sequence[str]]],
    looked_at_long: Set[str],
    results: Path,
    draw: int = 0,
) -> None:
    """Write the table of all parts that were run."""
    versions = f"Snellen {snellen.__version__}, Python {platform.python_version()}, torch {torch.__version__}"
    head = Path(__file__).with_name("faults_head.md").read_text(encoding="utf-8")
    options, pool = (f" --draw {draw}", NEW_POOL) if draw else ("", OLD_POOL)
    text = head.format(versions=versions, options=options, pool=pool)
    for part, path in kept.items():
        if path.is_file():
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            text += section(part, rows, expected[part], looked_at_long)
    name = f"doctor_faults_draw_{draw}.md" if draw else "doctor_faults.md"
    (results / name).write_text(text, encoding="utf-8")


def section(part: str, rows: Sequence[Row], expected: Mapping[str, Sequence[str]], looked_at_long: Set[str]) -> str:
    healthy_cases = {row["case"]: row["found"] for row in rows if row["case"].startswith("healthy")}
    outcome = {}
    for row in rows:
        kind, base, fault, *_ = row["case"].split("|")
        if kind == "fault" and not row.get("unchanged"):
            names = (LONG,) if fault in looked_at_long else ("as it is", "twin")
            twins = [healthy_cases[case] for name in names if (case := f"healthy|{base}|{name}") in healthy_cases]
            outcome[row["case"]] = judged(row, twins[0] if twins else [], expected)
    healthy = [row for row in rows if row["case"].startswith("healthy")]
    text = rates(part, outcome, healthy)
    text += "\n| fault | found | first | missed |\n|---|---|---|---|\n"
    by_fault: dict[str, list[tuple[str, tuple[bool, bool]]]] = defaultdict(list)
    for case, value in outcome.items():
        by_fault[case.split("|")[2]].append((case, value))
    for name, values in by_fault.items():
        missed = ", ".join(f"{case.split('|')[1]} {case.split('|')[3]}" for case, value in values if not value[0])
        text += (f"| {name} | {sum(v[0] for _, v in values)} of {len(values)} | {sum(v[1] for _, v in values)} "
                 f"| {missed} |\n")  # fmt: skip
    loud = [(row["case"], entry) for row in healthy for level in ("ERROR", "WARNING", "CRASHED")
            for entry in alarms(row, level)]  # fmt: skip
    if loud:
        text += "\n| healthy case | said | |\n|---|---|---|\n"
        text += "".join(
            f"| {case} | {entry['code']} {entry['level']} | {first_line(entry)} |\n" for case, entry in loud
        )
    unchanged = [row["case"] for row in rows if row.get("unchanged")]
    if unchanged:
        names = dict.fromkeys("{2} on {1}".format(*case.split("|")) for case in unchanged)
        text += f"\nNo fault, for it changes nothing: {', '.join(names)}.\n"
    seconds = sorted(row["seconds"] for row in rows)
    text += f"\nMedian {seconds[len(seconds) // 2]:.1f} s a case, longest {seconds[-1]:.1f} s.\n"
    return text


def rates(part: str, outcome: Mapping[str, tuple[bool, bool]], healthy: Sequence[Row]) -> str:
    """Return the table of shares of a part: all cases, and two halves of them."""
    titles = {"data": "Data sets", "setup": "Set-ups"}
    text = f"\n## {titles[part]}\n\n| | all | one half of the cases | other half |\n|---|---|---|---|\n"
    for place, name in ((0, "faults found"), (1, "right cause first")):
        cells = []
        for half in (None, *HALVES):
            of_half = [value[place] for case, value in outcome.items() if half in (None, half_of(case))]
            cells.append(rate(sum(of_half), len(of_half)))
        text += f"| {name} | {' | '.join(cells)} |\n"
    for level in ("ERROR", "WARNING", "CRASHED"):
        cells = []
        for half in (None, *HALVES):
            of_half = [alarms(row, level) for row in healthy if half in (None, half_of(row["case"]))]
            cells.append(rate(sum(bool(found) for found in of_half), len(of_half)))
        text += f"| healthy with a false {level.lower()} | {' | '.join(cells)} |\n"
    return text


def first_line(entry: Row) -> str:
    return str(entry["said"]).strip().splitlines()[-1].replace("|", "/") if entry["said"] else ""


def judged(row: Row, twin: Sequence[Row], expected: Mapping[str, Sequence[str]]) -> tuple[bool, bool]:
    """Return whether the fault was found, and whether a right cause stands first."""
    found = news(row["found"], twin)
    codes = expected[row["case"].split("|")[2]]
    is_found = any(entry["code"] in codes for entry in found)
    return is_found, is_found and found[0]["code"] in codes


def alarms(row: Row, level: str) -> list[Row]:
    base = row["case"].split("|")[1]
    return [entry for entry in row["found"] if entry["level"] == level and (base, entry["code"]) not in KNOWN]
