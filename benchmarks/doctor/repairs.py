"""Whether `snellen treat` repairs what it finds: planted faults that can be treated, before, after, and their twins.

    python benchmarks/doctor/repairs.py --data ../shared/data --scratch doctor-repairs
    python benchmarks/doctor/repairs.py --only rate --minutes 5
    python benchmarks/doctor/repairs.py --report-only

What counts is said in `repairs_head.md`. Every training is kept in ``--scratch`` and done once, a treatment that was
broken off goes on, and ``--minutes`` limits the processor time of a call. Writes ``results/doctor_repairs.md``.
"""

import argparse
import json
import platform
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance
from result_bases import thumbs_home
from scoring import rate, wilson

import snellen
from snellen.errors import SnellenError
from snellen.recipes.treating.outlining import outline
from snellen.recipes.treating.treatment_report import TreatmentReport

HERE = Path(__file__).resolve().parent
SEEDS = 3
MOST = 5  # treatments of a run
HARM = 0.02  # of the figure: less is no harm
WORSE = 0.01
COUNTS = {"train": 300, "val": 150, "test": 400}
HEALTHY: Mapping[str, Any] = {
    "model": "lenet5_modern", "image_size": 32, "batch_size": 16, "epochs": 6, "augment": 0.0, "flip": False,
    "workers": 0, "device": "cpu", "precision": "fp32", "tensorboard": False,
}  # fmt: skip
Change = Callable[[Path, np.random.Generator], None]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault that can be treated.

    Attributes:
        name: Of it.
        options: Of the training, in the place of the healthy ones.
        change: What is done to the data, if anything.
        base: Data that it is planted in.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    change: Change | None = None
    base: str = "digits"


def images(folder: Path, split: str) -> list[Path]:
    return sorted((folder / split).glob("*/*.png"))


def rare(folder: Path, _chance: np.random.Generator, *, classes: Sequence[str], share: float) -> None:
    """Leave few training images of some classes."""
    for name in classes:
        own = sorted((folder / "train" / name).iterdir())
        for file in own[max(3, round(share * len(own))) :]:
            file.unlink()


def wrong(folder: Path, chance: np.random.Generator, *, share: float) -> None:
    """Put training images into the folders of other classes."""
    names = sorted(place.name for place in (folder / "train").iterdir())
    for file in images(folder, "train"):
        if chance.random() < share:
            other = chance.choice([name for name in names if name != file.parent.name])
            file.rename(folder / "train" / other / f"moved-{file.parent.name}-{file.name}")


def few(folder: Path, _chance: np.random.Generator, *, each: int) -> None:
    for place in (folder / "train").iterdir():
        for file in sorted(place.iterdir())[each:]:
            file.unlink()


def lit(folder: Path, _chance: np.random.Generator, *, factor: float, splits: Sequence[str]) -> None:
    """Darken the images of some splits."""
    for split in splits:
        for file in images(folder, split):
            with Image.open(file) as image:
                changed = ImageEnhance.Brightness(image.convert("RGB")).enhance(factor)
            changed.save(file)


def tinted(folder: Path, _chance: np.random.Generator, *, splits: Sequence[str]) -> None:
    """Give the images of some splits warm light."""
    for split in splits:
        for file in images(folder, split):
            with Image.open(file) as image:
                pixels = np.asarray(image.convert("RGB")) * np.array([1.0, 0.7, 0.3])
            Image.fromarray(pixels.astype(np.uint8)).save(file)


def leaked(folder: Path, _chance: np.random.Generator) -> None:
    """Learn from copies of half of the validation images."""
    for file in images(folder, "val")[::2]:
        shutil.copy(file, folder / "train" / file.parent.name / f"copy-{file.name}")


FAULTS: tuple[Fault, ...] = (
    Fault(name="rate far too low", options={"lr": 1e-6}),
    Fault(name="rate too low", options={"lr": 2e-5}),
    Fault(name="rate too high", options={"lr": 0.05}),
    Fault(name="rate far too high", options={"lr": 1.0}),
    Fault(name="SGD without a rate that fits", options={"optimizer": "sgd", "lr": 1e-5}),
    Fault(name="weight decay too strong", options={"weight_decay": 10.0}),
    Fault(name="gradients clipped to nothing", options={"optimizer": "sgd", "lr": 0.01, "clip_norm": 1e-4}),
    Fault(name="warm-up that never ends", options={"warmup_steps": 100_000}),
    Fault(name="one epoch", options={"epochs": 1}),
    Fault(name="stopped at once", options={"patience": 1, "epochs": 20, "lr": 1e-4}),
    Fault(name="saturating activations", options={"activation": "sigmoid"}),
    Fault(name="one image a step, rate of many", options={"batch_size": 1, "lr": 0.01}),
    Fault(name="a batch of everything", options={"batch_size": 400}),
    Fault(name="labels smoothed away", options={"model_options": {"label_smoothing": 0.95}}),
    Fault(name="augmented beyond recognition", options={"randaugment": (8, 30), "augment": 1.0, "erase": 1.0}),
    Fault(name="seven rare classes", change=partial(rare, classes="3456789", share=0.1)),
    Fault(name="a rare class of two", base="planes and ships", change=partial(rare, classes=("ship",), share=0.05)),
    Fault(name="a third of wrong labels", change=partial(wrong, share=0.33)),
    Fault(name="few images, learned by heart", options={"epochs": 40, "augment": 0.0}, change=partial(few, each=4)),
    Fault(name="dark images in use", change=partial(lit, factor=0.2, splits=("val", "test"))),
    Fault(name="warm light in use", base="planes and ships", change=partial(tinted, splits=("val", "test"))),
    Fault(name="validation images learned", options={"epochs": 20}, change=leaked),
)  # fmt: skip


def digits(data: Path, scratch: Path) -> Path:
    """Return a folder of MNIST's digits by split and class."""
    home = scratch / "digits"
    if home.is_dir():
        return home
    archive = np.load(data / "mnist" / "mnist_subset.npz")
    found = {name: archive[name] for name in archive.files}  # an archive unpacks anew at every access
    chance = np.random.default_rng(7)
    order = {name: chance.permutation(len(found[f"{name}_y"])) for name in ("train", "test")}
    first = COUNTS["train"]
    rows = {"train": order["train"][:first], "val": order["train"][first : first + COUNTS["val"]],
            "test": order["test"][: COUNTS["test"]]}  # fmt: skip
    made = home.with_suffix(".part")
    shutil.rmtree(made, ignore_errors=True)
    for split, chosen in rows.items():
        source = "test" if split == "test" else "train"
        for row in chosen.tolist():
            place = made / split / str(found[f"{source}_y"][row])
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(found[f"{source}_x"][row]).convert("RGB").save(place / f"{row}.png")
    made.rename(home)
    return home


def planes(data: Path, scratch: Path) -> Path:
    """Return a folder of CIFAR-10's aeroplanes and ships."""
    return thumbs_home(data, scratch, ("airplane", "ship"), {name: [n // 2] * 2 for name, n in COUNTS.items()})


BASES: Mapping[str, Callable[[Path, Path], Path]] = {"digits": digits, "planes and ships": planes}


def accuracy_of(run: snellen.Run) -> tuple[float, float]:
    """Return the figure on test images, and that of the class that comes out worst."""
    results = run.results["test"]
    table = next(one for one in results.tables if "Recall" in one.columns)
    place = table.columns.index("Recall")
    return results.scalars["balanced_accuracy"], min(float(row[place]) for row in table.rows if row[place] is not None)


def trained(data: Path, folder: Path, *, check: bool = False, **options: Any) -> snellen.Run:
    """Return a run, trained if it is not there."""
    if (folder / "evaluation" / "test" / "results.json").is_file():
        return snellen.Run.open(folder)
    shutil.rmtree(folder, ignore_errors=True)
    return snellen.train(data, folder=folder, check=check, force=True, **{**HEALTHY, **options})


def planted(fault: Fault, base: Path, scratch: Path) -> Path:
    if fault.change is None:
        return base
    home = scratch / "data" / fault.name.replace(" ", "-").replace(",", "")
    if not home.is_dir():
        made = home.with_suffix(".part")
        shutil.rmtree(made, ignore_errors=True)
        shutil.copytree(base, made)
        fault.change(made, np.random.default_rng(0))
        made.rename(home)
    return home


def repaired(fault: Fault, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of the twin, of the sick run and of what became of it."""
    began = time.process_time()
    base = BASES[fault.base](arguments.data, arguments.scratch)
    twins = [trained(base, arguments.scratch / "twins" / fault.base.replace(" ", "-") / str(seed), seed=seed)
             for seed in range(arguments.seeds)]  # fmt: skip
    data = planted(fault, base, arguments.scratch)
    home = arguments.scratch / "sick" / fault.name.replace(" ", "-").replace(",", "")
    sick = [
        trained(data, home / str(seed), check=seed == 0, seed=seed, **fault.options) for seed in range(arguments.seeds)
    ]
    row: dict[str, Any] = {
        "case": fault.name,
        "twin": [accuracy_of(run) for run in twins],
        "sick": [accuracy_of(run) for run in sick],
    }
    is_quiet = not outline(sick[0], seeds=arguments.seeds, most=arguments.most).plan.tries
    report = snellen.treat(sick[0], seeds=arguments.seeds, most=arguments.most, info=is_quiet, folder=home / "treated")
    treated = row["sick"]
    if report.chosen:
        treated = [accuracy_of(snellen.Run.open(place)) for place in treated_runs(report)]
    return {
        **row,
        "treated": treated,
        "found": list(dict.fromkeys(one.code for one in report.findings)),
        "tried": [(one.name, one.verdict) for one in report.tried],
        "chosen": report.chosen,
        "proven": None if report.proof is None else report.proof.is_proven,
        "below": report.proof is not None and report.proof.difference.is_below_zero,
        "trainings": report.trainings,
        "seeds": arguments.seeds,
        "most": arguments.most,
        "info": is_quiet,
        "seconds": round(time.process_time() - began, 1),
    }


def treated_runs(report: TreatmentReport) -> list[Path]:
    """Return the folders of the trainings of what was chosen that were measured on test images."""
    trials = Path(report.treated_run).parents[1]
    name = Path(report.treated_run).parent.name.rpartition("_seed-")[0]
    return sorted(
        place / "run" for place in trials.glob(f"{name}_seed-*")
        if (place / "run" / "evaluation" / "test" / "results.json").is_file()
    )  # fmt: skip


def rows_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def run(arguments: argparse.Namespace) -> None:
    """Treat every fault that has not been treated, until the time is over; one JSON line each."""
    file = arguments.scratch / "repairs.jsonl"
    done = {row["case"] for row in rows_of(file)}
    ends = time.process_time() + 60 * arguments.minutes
    with file.open("a", encoding="utf-8") as out:
        for fault in FAULTS:
            if fault.name in done or not any(word in fault.name for word in arguments.only):
                continue
            if time.process_time() > ends:
                break
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    row = repaired(fault, arguments)
            except SnellenError as error:
                row = {"case": fault.name, "failed": str(error)[:400]}
            out.write(json.dumps(row) + "\n")
            out.flush()
            print(json.dumps(row), file=sys.stderr, flush=True)


def figure(values: Sequence[Sequence[float]], place: int = 0) -> float:
    return fmean(one[place] for one in values)


def written(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the tables of all that was treated."""
    whole = [row for row in rows if "failed" not in row]
    versions = f"Snellen {snellen.__version__}, Python {platform.python_version()}, torch {torch.__version__}"
    text = (HERE / "repairs_head.md").read_text(encoding="utf-8").format(
        versions=versions, most=MOST, seeds=whole[0]["seeds"] if whole else SEEDS,
        trainings=sum(row["trainings"] for row in whole),
        minutes=f"{sum(row['seconds'] for row in whole) / 60:.0f}",
    )  # fmt: skip
    lines, counted = [], []
    for row in whole:
        twin, sick, treated = (figure(row[name]) for name in ("twin", "sick", "treated"))
        low, high = wilson(round(twin * COUNTS["test"]), COUNTS["test"])
        is_harmful, is_found = twin - sick >= HARM, bool(row["tried"])
        is_repaired, is_worse = treated >= low, treated < sick - WORSE
        if is_harmful:
            counted.append((is_found, is_repaired, is_worse))
        verdict = "worse" if is_worse else "repaired" if is_repaired else "better" if treated > sick + WORSE else "no"
        worst = f"{figure(row['sick'], 1):.2f} → {figure(row['treated'], 1):.2f}"
        lines.append(
            f"| {row['case']} | {twin:.3f} ({low:.3f} … {high:.3f}) | {sick:.3f} | {treated:.3f} | {worst} "
            f"| {verdict if is_harmful else 'harmless'} | {', '.join(row['found'])}{' (info)' * row['info']} "
            f"| {row['chosen'] or '–'} | {row['trainings']} |"
        )
    found = [one for one in counted if one[0]]
    text += f"\n| | |\n|---|---|\n| harmful faults for which something was tried | {rate(len(found), len(counted))} |\n"
    text += f"| of these repaired | {rate(sum(one[1] for one in found), len(found))} |\n"
    text += f"| made worse | {rate(sum(one[2] for one in counted), len(counted))} |\n"
    text += (
        "\n| fault | twin | sick | treated | worst class | | found | chosen | trainings |\n"
        "|---|---|---|---|---|---|---|---|---|\n" + "\n".join(lines) + "\n"
    )
    failed = [f"- {row['case']}: {row['failed']}" for row in rows if "failed" in row]
    waiting = [fault.name for fault in FAULTS if fault.name not in {row["case"] for row in rows}]
    text += f"\nNot treated yet: {', '.join(waiting)}.\n" if waiting else ""
    return text + ("\nNot run:\n\n" + "\n".join(failed) + "\n" if failed else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[2] / "shared" / "data")
    parser.add_argument("--scratch", type=Path, default=Path("doctor-repairs"))
    parser.add_argument("--only", nargs="+", default=[""], help="faults whose name contains one of these")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--most", type=int, default=MOST, help="treatments of a run")
    parser.add_argument("--minutes", type=float, default=1e9, help="of processor time, after which this call stops")
    parser.add_argument("--report-only", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    if not arguments.report_only:
        run(arguments)
    text = written(rows_of(arguments.scratch / "repairs.jsonl"))
    (HERE.parent / "results" / "doctor_repairs.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
