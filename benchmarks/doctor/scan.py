"""The scan of images against cleanvision's: speed, memory, and what each finds of planted faults.

    python benchmarks/doctor/scan.py --data ../shared/data --peer /path/to/venv/bin/python
    python benchmarks/doctor/scan.py --data ../shared/data --growth-only --sizes 1000 10000 50000

Both look at the same JPEG files (500 x 375, made of real photographs), taking turns, each in a process of its own that
is timed by itself: wall time, and processor time of it and of the processes that it starts. Snellen's time holds the
scan and the search for copies, with nothing remembered; then the second scan of the unchanged files. Planted are faults
of three severities; what is found in the photographs that were left alone is listed as well. Writes
``benchmarks/results/doctor_scan.md``.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

RESULTS = Path(__file__).resolve().parents[1] / "results" / "doctor_scan.md"
SIZE = (500, 375)
SMALL = (200, 150)  # of the many images with which memory is measured: what is kept of an image does not depend on it
GROWTH = "\n## With the number of images\n"
HEALTHY = ("bccd", "fruit", "pennfudan", "camvid", "horses", "isbi_em", "hymenoptera", "inria_crops")
CODES = ("D1", "D2", "D9", "D10", "D11", "D15", "D18", "D23", "D25", "D26", "D27", "D33")
PLANTED = 10  # of each kind and severity
SOURCES = ("coco/*/*.jpg", "voc100/images/*.jpg", "bsds500_val/images/*.jpg", "hymenoptera/*/*/*.jpg",
           "horses/images/*.jpg", "pennfudan/images/*.png")  # fmt: skip
Change = Callable[[Image.Image, np.random.Generator], Image.Image]


def blurred(sigma: float, noise: float = 0.0) -> Change:
    def change(image: Image.Image, chance: np.random.Generator) -> Image.Image:
        soft = image.filter(ImageFilter.GaussianBlur(sigma))
        values = np.asarray(soft) + chance.normal(0, noise, (*image.size[::-1], 3)) if noise else np.asarray(soft)
        return Image.fromarray(values.clip(0, 255).astype(np.uint8))

    return change


def gained(factor: float, ground: int = 0) -> Change:
    return lambda image, _: Image.fromarray(
        (ground + (np.asarray(image).astype(float) - ground) * factor).astype(np.uint8)
    )


def cut(share: float) -> Change:
    def change(image: Image.Image, chance: np.random.Generator) -> Image.Image:
        width, height = (int(side * (1 - share)) for side in image.size)
        x, y = chance.integers(image.width - width + 1), chance.integers(image.height - height + 1)
        return image.crop((x, y, x + width, y + height))

    return change


def recompressed(image: Image.Image, _: np.random.Generator) -> Image.Image:
    buffer = BytesIO()
    image.resize((image.width // 2, image.height // 2)).save(buffer, "JPEG", quality=40)
    return Image.open(BytesIO(buffer.getvalue())).convert("RGB")


def tinted(blue: float) -> Change:
    return lambda image, _: Image.fromarray((np.asarray(image) * [1, (1 + blue) / 2, blue]).astype(np.uint8))


def clipped(share: float, level: int) -> Change:
    def change(image: Image.Image, _: np.random.Generator) -> Image.Image:
        values = np.asarray(image).copy()
        values[:, : int(share * image.width)] = level
        return Image.fromarray(values)

    return change


# Kind, severity, change of a new photograph, finding of Snellen (code and message), issue of cleanvision.
DAMAGED: tuple[tuple[str, str, Change, tuple[str, str], str | None], ...] = (
    ("blurred", "3 px", blurred(3), ("D18", "blurred"), "blurry"),
    ("blurred", "6 px", blurred(6), ("D18", "blurred"), "blurry"),
    ("blurred", "12 px", blurred(12), ("D18", "blurred"), "blurry"),
    ("blurred, then noisy", "6 px, 8 levels", blurred(6, 8), ("D18", "blurred"), "blurry"),
    ("dark", "x 0.2", gained(0.2), ("D18", "dark"), "dark"),
    ("dark", "x 0.1", gained(0.1), ("D18", "dark"), "dark"),
    ("dark", "x 0.05", gained(0.05), ("D18", "dark"), "dark"),
    ("bright", "x 0.2", gained(0.2, 255), ("D18", "bright"), "light"),
    ("bright", "x 0.02", gained(0.02, 255), ("D18", "bright"), "light"),
    ("low contrast", "x 0.2", gained(0.2, 128), ("D26", "default"), None),
    ("low contrast", "x 0.1", gained(0.1, 128), ("D26", "default"), None),
    ("tinted", "blue x 0.4", tinted(0.4), ("D25", "default"), None),
    ("tinted", "blue x 0.25", tinted(0.25), ("D25", "default"), None),
    ("burnt", "a third", clipped(0.35, 255), ("D27", "default"), None),
    ("black", "half", clipped(0.5, 0), ("D27", "default"), None),
    ("one colour", "", lambda image, chance: Image.new("RGB", image.size, tuple(chance.integers(60, 200, 3).tolist())),
     ("D18", "low_information"), "low_information"),
    ("grey", "", lambda image, _: image.convert("L"), ("D9", "grey"), "grayscale"),
)  # fmt: skip
# The same for a copy of a photograph that is already there.
COPIED: tuple[tuple[str, str, Change, tuple[str, str], str | None], ...] = (
    ("near copy", "brighter by 2 %, quality 70", gained(1.0), ("D10", "near"), "near_duplicates"),
    ("near copy", "half the size, quality 40", recompressed, ("D10", "near"), "near_duplicates"),
    ("near copy", "cut by 5 %", cut(0.05), ("D10", "near"), "near_duplicates"),
    ("near copy", "cut by 10 %", cut(0.10), ("D10", "near"), "near_duplicates"),
    ("near copy", "mirrored", lambda image, _: ImageOps.mirror(image), ("D10", "near"), "near_duplicates"),
    ("near copy", "turned by a quarter", lambda image, _: image.transpose(Image.Transpose.ROTATE_90),
     ("D10", "near"), "near_duplicates"),
)  # fmt: skip


def photographs(data: Path) -> list[Path]:
    return [path for pattern in SOURCES for path in sorted(data.glob(pattern))]


def saved(image: Image.Image, path: Path, quality: int) -> None:
    image.save(path, quality=quality)


def planted(data: Path, folder: Path, seed: int = 0) -> tuple[int, dict[str, list[str]], dict[str, str]]:
    """Write the photographs and the planted faults; return their number, the names by fault, and twins by name."""
    chance = np.random.default_rng(seed)
    sources = photographs(data)
    chance.shuffle(sources)  # type: ignore[arg-type]
    kinds: dict[str, list[str]] = {}
    twins: dict[str, str] = {}
    healthy: list[str] = []

    def picture() -> Image.Image:
        with Image.open(sources.pop()) as image:
            return ImageOps.fit(image.convert("RGB"), SIZE)

    def put(image: Image.Image, quality: int | None = None) -> str:
        name = f"{len(healthy) + sum(map(len, kinds.values())):05d}.jpg"
        saved(image, folder / name, quality or int(chance.integers(80, 96)))
        return name

    while len(sources) > PLANTED * len(DAMAGED):
        healthy.append(put(picture()))
    for kind, severity, change, _, _ in DAMAGED:
        for _ in range(PLANTED):
            kinds.setdefault(f"{kind}|{severity}", []).append(put(change(picture(), chance)))
    for kind, severity, change, _, _ in COPIED:
        for _ in range(PLANTED):
            twin = healthy[chance.integers(len(healthy))]
            with Image.open(folder / twin) as image:
                changed = change(image.convert("RGB"), chance)
            if "brighter" in severity:
                changed = ImageEnhance.Brightness(changed).enhance(1.02)
            name = put(changed, 70 if "brighter" in severity else None)
            kinds.setdefault(f"{kind}|{severity}", []).append(name)
            twins[name] = twin
    for _ in range(PLANTED):
        twin = healthy[chance.integers(len(healthy))]
        name = f"{len(healthy) + sum(map(len, kinds.values())):05d}.jpg"
        shutil.copyfile(folder / twin, folder / name)
        kinds.setdefault("exact copy|", []).append(name)
        twins[name] = twin
    return len(healthy) + sum(map(len, kinds.values())), kinds, twins


def multiplied(data: Path, folder: Path, count: int) -> None:
    """Write so many different small JPEG files: parts of photographs, each of which is decoded once."""
    sources = photographs(data)
    for start, source in enumerate(sources[:count]):
        with Image.open(source) as image:
            whole = image.convert("RGB").resize(SIZE)
        for number in range(start, count, len(sources)):
            chance = np.random.default_rng(number)
            share = chance.uniform(0.5, 1)
            x, y = chance.uniform(0, 1 - share, 2) * SIZE
            picture = whole.resize(SMALL, box=(x, y, x + share * SIZE[0], y + share * SIZE[1]))
            place = folder / f"{number // 1000:03d}"
            place.mkdir(exist_ok=True)
            saved(picture, place / f"{number:06d}.jpg", int(chance.integers(80, 96)))


PEER = """
import contextlib, io, json, os, resource, sys, time
import cleanvision
from cleanvision import Imagelab
folder, jobs = sys.argv[1], int(sys.argv[2])
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    began, before = time.perf_counter(), os.times()
    lab = Imagelab(data_path=folder)
    lab.find_issues(n_jobs=jobs, verbose=False)
    wall, after = time.perf_counter() - began, os.times()
issues = lab.issues
found = {name[3:-6]: sorted(os.path.basename(row) for row in issues.index[issues[name]])
         for name in issues.columns if name.startswith("is_") and name.endswith("_issue")}
sets = [sorted(os.path.basename(path) for path in members) for members in lab.info["near_duplicates"]["sets"]]
memory = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
print(json.dumps({"wall": wall, "cpu": sum(after[:4]) - sum(before[:4]), "images": len(issues), "found": found,
                  "sets": sets, "memory": memory, "version": cleanvision.__version__}))
"""

OURS = """
import json, os, resource, sys, threading, time
from pathlib import Path
import numpy as np
from snellen.data import ClassTable, DatasetIndex
from snellen.data.sharing import Strings
from snellen.doctor import Evidence, diagnose, selected, CHECKS
from snellen.doctor.evidence.catalog import DATA_SOURCES
from snellen.doctor.evidence.copies import ImageCopies
from snellen.doctor.evidence.images import ImageFacts, ScanSettings
folder, workers, cache = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.jpg"))
index = DatasetIndex(root=folder, format="folders", classes=("photo",), paths=Strings.pack(names),
                     annotations=ClassTable(labels=np.zeros(len(names), np.int32)),
                     sizes=np.zeros((len(names), 2), np.int32), splits=np.full(len(names), -1, np.int16))
idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
helpers = {}
def watch():  # the peak of a child as the system tells it holds the parent's pages from before it became a program
    while True:
        lists = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
        for child in " ".join(lists).split():
            try:
                if "picture.py" in Path(f"/proc/{child}/cmdline").read_text():
                    status = Path(f"/proc/{child}/status").read_text()
                    helpers[child] = int(status.split("VmHWM:")[1].split()[0]) / 1024
            except (OSError, IndexError):
                pass
        time.sleep(0.05)
threading.Thread(target=watch, daemon=True).start()
told = {}
def timed(kind, evidence):
    began, before = time.perf_counter(), os.times()
    evidence.get(kind)
    wall, after = time.perf_counter() - began, os.times()
    told[kind.__name__] = (wall, sum(after[:4]) - sum(before[:4]))
evidence = Evidence([index, ScanSettings(workers=workers, cache=cache)], DATA_SOURCES)
timed(ImageFacts, evidence)
timed(ImageCopies, evidence)
again = Evidence([index, ScanSettings(workers=workers, cache=cache)], DATA_SOURCES)
began = time.perf_counter(); again.get(ImageFacts); second = time.perf_counter() - began
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
found = {}
checks = selected(CHECKS, ("D9", "D10", "D18", "D25", "D26", "D27"))
import snellen.doctor.checks.images as places
places.MAX_PLACES = len(names)
for finding in diagnose(evidence, checks).all_findings:
    found[f"{finding.code} {finding.message}"] = sorted(place.name for place in finding.places)
copies = evidence.get(ImageCopies)
sets = [[names[row] for row in group] for group in copies.near_groups]
print(json.dumps({"scan": told["ImageFacts"], "copies": told["ImageCopies"], "second": second, "images": len(names),
                  "found": found, "sets": sets, "memory": memory, "idle": idle,
                  "helpers": sum(helpers.values())}))
"""


def run(python: str, program: str, *arguments: object) -> dict[str, Any]:
    command = [python, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def speed_table(ours: list[dict[str, Any]], peer: list[dict[str, Any]], jobs: int) -> str:
    count = ours[0]["images"]
    walls = [row["scan"][0] + row["copies"][0] for row in ours]
    cpus = [row["scan"][1] + row["copies"][1] for row in ours]
    rows = [
        ("cleanvision", [row["wall"] for row in peer], [row["cpu"] for row in peer], peer[0]["memory"]),
        ("Snellen, first scan with copies", walls, cpus, ours[0]["memory"] + ours[0]["helpers"]),
        ("Snellen, first scan alone", [row["scan"][0] for row in ours], [row["scan"][1] for row in ours], None),
        ("Snellen, second scan", [row["second"] for row in ours], None, None),
    ]
    text = f"| {count:,} images, {jobs} processes | images/s | ms of processor an image | peak memory, MB |\n"
    text += "|---|---|---|---|\n"
    for name, wall, cpu, memory in rows:
        used = f"{1e3 * statistics.median(cpu) / count:.2f}" if cpu else "–"
        text += (
            f"| {name} | {count / statistics.median(wall):,.0f} | {used} | {f'{memory:,.0f}' if memory else '–'} |\n"
        )
    ratios = [theirs["wall"] / mine for theirs, mine in zip(peer, walls, strict=True)]
    spent = [theirs["cpu"] / mine for theirs, mine in zip(peer, cpus, strict=True)]
    again = [(row["scan"][0]) / row["second"] for row in ours]
    return text + (
        f"\nMedian of the ratios of runs side by side: **{statistics.median(ratios):.1f} times** as fast by the clock "
        f"({min(ratios):.1f} to {max(ratios):.1f}), {statistics.median(spent):.1f} times by processor time; the second "
        f"scan is {statistics.median(again):.0f} times as fast as the first.\n"
    )


def caught(row: tuple[str, str, Change, tuple[str, str], str | None], kinds: dict[str, list[str]],
           twins: dict[str, str], ours: dict[str, Any], peer: dict[str, Any]) -> str:  # fmt: skip
    kind, severity, _, (code, message), issue = row
    names = kinds[f"{kind}|{severity}"]
    if names[0] in twins:
        mine = sum(any(name in group and twins[name] in group for group in ours["sets"]) for name in names)
        theirs: int | str = sum(any(name in group and twins[name] in group for group in peer["sets"]) for name in names)
    else:
        mine = len(set(names) & set(ours["found"].get(f"{code} {message}", ())))
        theirs = len(set(names) & set(peer["found"][issue])) if issue else "–"
    return f"| {kind} | {severity} | {mine} | {theirs} |\n"


def found_table(kinds: dict[str, list[str]], twins: dict[str, str], ours: dict[str, Any], peer: dict[str, Any]) -> str:
    text = f"\n| planted ({PLANTED} each) | severity | Snellen | cleanvision |\n|---|---|---|---|\n"
    for row in (*DAMAGED, *COPIED):
        text += caught(row, kinds, twins, ours, peer)
    exact = kinds["exact copy|"]
    text += f"| exact copy | | {sum(any(name in group for group in ours['sets']) for name in exact)} | "
    text += f"{len(set(exact) & set(peer['found']['exact_duplicates']))} |\n"
    touched = {name for names in kinds.values() for name in names} | set(twins.values())
    untouched = ours["images"] - len(touched)
    text += f"\n| of {untouched} photographs left alone | Snellen | cleanvision |\n|---|---|---|\n"
    for title, key, issue in (
        ("blurred", "D18 blurred", "blurry"), ("dark", "D18 dark", "dark"), ("bright", "D18 bright", "light"),
        ("no information", "D18 low_information", "low_information"), ("grey", "D9 grey", "grayscale"),
        ("low contrast", "D26 default", None), ("colour cast", "D25 default", None), ("clipped", "D27 default", None),
    ):  # fmt: skip
        theirs = len(set(peer["found"][issue]) - touched) if issue else "–"
        text += f"| {title} | {len(set(ours['found'].get(key, ())) - touched)} | {theirs} |\n"
    strangers = [sum(len(set(group) - touched) > 1 for group in which["sets"]) for which in (ours, peer)]
    return text + f"| sets of near copies | {strangers[0]} | {strangers[1]} |\n"


def growth_table(data: Path, scratch: Path, sizes: list[int], jobs: int) -> str:
    text = (
        f"{GROWTH}\nJPEG files of {SMALL[0]} x {SMALL[1]} pixels, {jobs} processes.\n"
        "\n| images | first scan, s | ms of processor an image | copies, s | ms of processor an image | second scan, s "
        "| memory of the processes, MB | added to the main one, MB | bytes an image |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
    )
    for count in sizes:
        folder = scratch / f"many{count}"
        if not folder.is_dir():
            folder.mkdir(parents=True)
            multiplied(data, folder, count)
        cache = scratch / f"cache{count}"
        shutil.rmtree(cache, ignore_errors=True)
        row = run(sys.executable, OURS, folder, jobs, cache)
        added = row["memory"] - row["idle"]
        text += (
            f"| {count:,} | {row['scan'][0]:.1f} | {1e3 * row['scan'][1] / count:.2f} | {row['copies'][0]:.1f} | "
            f"{1e3 * row['copies'][1] / count:.2f} | {row['second']:.2f} | {row['helpers']:.0f} | "
            f"{added:.0f} | {added * 2**20 / count:,.0f} |\n"
        )
        shutil.rmtree(cache, ignore_errors=True)
    return text


def healthy_table(data: Path) -> str:
    """Return what is said of whole data sets as they are."""
    import snellen

    text = "\n| data set as it is | images | said (share of the images, of the split with most) |\n|---|---|---|\n"
    for name in HEALTHY:
        report = snellen.check(data / name, select=CODES)
        count = len(report.index)
        said = [
            f"{finding.code} {finding.message} {finding.level.name.lower()} "
            + (f"({finding.num_places})" if finding.measured is None else f"({finding.measured:.1%})")
            for finding in report.all_findings
        ]
        text += f"| {name} | {count} | {', '.join(said) or 'nothing'} |\n"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peer", help="a Python that has cleanvision")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "doctor_scan")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1000, 10_000, 50_000])
    parser.add_argument("--growth-only", action="store_true", help="keep the other tables as they were written")
    given = parser.parse_args()
    if given.growth_only:
        growth = growth_table(given.data, given.scratch, given.sizes, given.jobs)
        kept = RESULTS.read_text(encoding="utf-8").partition(GROWTH)[0]
        RESULTS.write_text(kept + growth, encoding="utf-8")
        print(growth)
        return
    if given.peer is None:
        parser.error("--peer is needed for all but --growth-only")
    folder = given.scratch / "planted"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _, kinds, twins = planted(given.data, folder)
    ours, peer = [], []
    for turn in range(given.rounds):
        peer.append(run(given.peer, PEER, folder, given.jobs))
        ours.append(run(sys.executable, OURS, folder, given.jobs, given.scratch / f"cache-{os.getpid()}-{turn}"))
    load = os.getloadavg()[1]
    text = (
        "# The scan of images beside cleanvision\n\n"
        f"`python benchmarks/doctor/scan.py`; Python {platform.python_version()}, Pillow {PIL.__version__}, "
        f"cleanvision {peer[0]['version']}; {os.cpu_count()} cores with a load of {load:.0f} by other programs, so "
        "that times by the clock say less than those of the processor. JPEG files of "
        f"{SIZE[0]} x {SIZE[1]} pixels made of real photographs, {given.rounds} rounds in turns, medians.\n\n"
    )
    text += speed_table(ours, peer, given.jobs)
    text += found_table(kinds, twins, ours[0], peer[0])
    text += healthy_table(given.data)
    text += growth_table(given.data, given.scratch, given.sizes, given.jobs)
    RESULTS.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
