"""Light that is spoiled, named, and mended: what each costs and brings back, on real images.

    python benchmarks/light.py --data ../shared/data --out light-runs

The photographs of hymenoptera are darkened, overexposed, paled, flattened and tinted (as JPEG files, so that what is
lost in eight bits is lost). For each kind: what ``snellen check`` says of a set that is spoiled as a whole, and of one
whose test images alone are; accuracy on the test images of a model that was trained on clean images: as they are
spoiled, after ``snellen enhance --auto``, and after the operation that the finding's treatment names; and accuracy of
models that were trained on spoiled images, without and with the treatment (``snellen train --enhance``), which see test
images alike. A detector of blood cells (BCCD) that was trained on clean images is measured likewise. Trainings and
folders are kept in ``--out``, so that a second call goes on. Writes ``results/light.md``.
"""

import argparse
import json
import math
import platform
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import snellen
from snellen.doctor import Finding, Level
from snellen.recipes import Run

HERE = Path(__file__).resolve().parent
LIGHT = ("D18", "D25", "D26", "D27")
VAL_EVERY = 5  # every fifth training image decides which weights are best
QUALITY = 92  # of the JPEG files, as cameras write them
HALF = (0.5, 0.5, 0.5)  # mean and spread that the MobileNetV2 weights were trained with

Spoil = Callable[[np.ndarray], np.ndarray]
SPOILED: Mapping[str, tuple[Spoil, str]] = {
    "dark": (lambda pixels: pixels * 0.12, "an eighth of the light"),
    "overexposed": (lambda pixels: pixels * 3.0, "three times the light, clipped at white"),
    "pale": (lambda pixels: 205 + pixels * 0.18, "haze: the range 0..255 pressed into 205..251"),
    "flat": (lambda pixels: 95 + pixels * 0.2, "low contrast: 95..146"),
    "tinted": (lambda pixels: pixels * np.array([1.0, 0.65, 0.3]), "a lamp: green at 0.65, blue at 0.3"),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """Accuracies of one kind of light on the same test images, and what the doctor said."""

    kind: str
    named: str
    treatment: tuple[str, ...]
    advised: str
    spoiled: float
    auto: float
    treated: float
    trained_spoiled: float
    trained_treated: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", type=Path, required=True, help="folder for images and trainings")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--kinds", nargs="+", default=list(SPOILED), choices=list(SPOILED))
    parser.add_argument("--cell-epochs", type=int, default=6)
    parser.add_argument("--no-cells", action="store_true", help="leave the detector out")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    began = time.process_time()
    clean = written(arguments, "clean", lambda pixels: pixels)
    model = trained(arguments, "clean", clean)
    base = accuracy(model, clean)
    rows = [measured_row(arguments, kind, model, clean) for kind in arguments.kinds]
    report = told(arguments, rows, base)
    if not arguments.no_cells:
        report += cells_told(arguments)
    versions = f"snellen {snellen.__version__}, torch {torch.__version__}, Python {platform.python_version()}"
    minutes = (time.process_time() - began) / 60
    report += f"\n`python benchmarks/light.py --data … --out …`; {versions}; {minutes:.1f} minutes of processor.\n"
    (HERE / "results" / "light.md").write_text(report, encoding="utf-8")
    print(report)


def measured_row(arguments: argparse.Namespace, kind: str, model: Run, clean: Path) -> Row:
    """Spoil, check, mend and measure one kind of light."""
    spoil = SPOILED[kind][0]
    spoiled = written(arguments, kind, spoil)
    mixed = arguments.out / f"{kind}-test"
    if not mixed.exists():
        shutil.copytree(clean, mixed)
        shutil.rmtree(mixed / "test")
        shutil.copytree(spoiled / "test", mixed / "test")
    whole, split = findings(spoiled), findings(mixed)
    treatment = next((treated_by(finding) for finding in (*whole, *split) if treated_by(finding)), ())
    auto = enhanced(arguments, f"{kind}-auto", spoiled, auto=True)
    mended = enhanced(arguments, f"{kind}-treated", spoiled, operations=treatment) if treatment else spoiled
    lines = [json.loads(line) for line in (auto / "enhanced.log").read_text(encoding="utf-8").splitlines()]
    advised = [", ".join(line["operations"]) or "nothing" for line in lines if "/test/" in line["source"]]
    common = max(set(advised), key=advised.count)
    row = Row(
        kind=kind,
        named=f"all: {codes(whole)}; test alone: {codes(split)}",
        treatment=treatment,
        advised=f"{common} ({advised.count(common) / len(advised):.0%})",
        spoiled=accuracy(model, spoiled),
        auto=accuracy(model, auto),
        treated=accuracy(model, mended),
        trained_spoiled=accuracy(trained(arguments, f"{kind}-spoiled", spoiled), spoiled),
        trained_treated=accuracy(trained(arguments, f"{kind}-treated", spoiled, treatment), spoiled),
    )
    print(row, flush=True)
    return row


def written(arguments: argparse.Namespace, name: str, spoil: Spoil) -> Path:
    """Return a folder of class folders in three splits; their validation images are our test images."""
    root = arguments.out / "data" / name
    if root.exists():
        return root
    partial = root.with_name(f"{name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for split in ("train", "val"):
        for folder in sorted((arguments.data / "hymenoptera" / split).iterdir()):
            files = sorted(file for file in folder.iterdir() if file.suffix.lower() in (".jpg", ".jpeg"))
            for number, file in enumerate(files):
                part = "test" if split == "val" else "val" if number % VAL_EVERY == 0 else "train"
                target = partial / part / folder.name / f"{file.stem}.jpg"
                target.parent.mkdir(parents=True, exist_ok=True)
                with Image.open(file) as image:
                    image.thumbnail((256, 256))
                    pixels = spoil(np.asarray(image.convert("RGB")).astype(float))
                Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8)).save(target, quality=QUALITY)
    partial.rename(root)
    return root


def enhanced(arguments: argparse.Namespace, name: str, source: Path, **options: object) -> Path:
    root = arguments.out / "data" / name
    snellen.enhance(source, folder=root, workers=0, language="en", sheet=root.with_suffix(".png"), **options)
    return root


def done_or_resumed(folder: Path) -> Run | None:
    """Return the run of a folder, finished if it was broken off; None if there is none."""
    if (folder / "report.html").exists():
        return Run.open(folder)
    return snellen.resume(folder) if (folder / "run.json").exists() else None


def trained(arguments: argparse.Namespace, name: str, data: Path, operations: tuple[str, ...] = ()) -> Run:
    folder = arguments.out / "runs" / name
    if (run := done_or_resumed(folder)) is not None:
        return run
    weights = arguments.data / "weights" / "mobilenet_v2_imagenet.safetensors"
    return snellen.train(
        data, model="mobilenet_v2", weights=weights, mean=HALF, std=HALF, padding="same", finetune="head",
        epochs=arguments.epochs, image_size=arguments.image_size, batch_size=16, lr=0.01, augment=0.0, seed=0,
        folder=folder, enhance=operations or None, check=False, tensorboard=False, workers=0, device="cpu",
    )  # fmt: skip


def accuracy(run: Run, data: Path) -> float:
    return snellen.evaluate(run, data, split="test").scalars["accuracy"]


def findings(data: Path) -> list[Finding]:
    """Return what the checks of light find, the gravest first."""
    found = snellen.check(data, select=LIGHT).findings
    return sorted(found, key=lambda finding: -finding.level)


def treated_by(finding: Finding) -> tuple[str, ...]:
    if finding.treatment is None or finding.level < Level.WARNING:
        return ()
    return tuple(finding.treatment.settings.get("enhance", ()))


def codes(found: list[Finding]) -> str:
    told = [f"{finding.code} {finding.message}" for finding in found if finding.level >= Level.WARNING]
    return ", ".join(told) or "nothing"


def told(arguments: argparse.Namespace, rows: list[Row], base: float) -> str:
    count = sum(1 for _ in (arguments.out / "data" / "clean" / "test").rglob("*.jpg"))
    error = math.sqrt(base * (1 - base) / count)
    lines = [
        "# Light: spoiled, named, mended",
        "",
        f"Hymenoptera (ants and bees), MobileNetV2 with given weights of which the head is trained, {arguments.epochs} "
        f"epochs at {arguments.image_size} px, seed 0; accuracy on {count} test images, whose standard error is "
        f"{error:.3f} at the clean accuracy of **{base:.3f}**. Differences below two of these are chance. JPEG files "
        f"of quality {QUALITY}.",
        "",
        "| light | clean model, spoiled test | after enhance --auto | after the treatment | trained on spoiled | "
        "trained on spoiled with the treatment |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.kind}: {SPOILED[row.kind][1]} | {row.spoiled:.3f} | {row.auto:.3f} | {row.treated:.3f} | "
        f"{row.trained_spoiled:.3f} | {row.trained_treated:.3f} |"
        for row in rows
    ]
    lines += [
        "",
        "| light | `snellen check` names (from warnings on) | treatment | `--auto` mostly does |",
        "|---|---|---|---|",
    ]
    lines += [f"| {row.kind} | {row.named} | `{','.join(row.treatment) or 'none'}` | {row.advised} |" for row in rows]
    lines += [
        "",
        "What is dark, pale or flat comes back nearly whole, for nothing but the range is lost; what is clipped does "
        "not, and `exposure` only evens out what is left beside it. A model that is trained on one tint learns under "
        "it; the treatment is for use under another.",
        "",
    ]
    return "\n".join(lines)


def cells_told(arguments: argparse.Namespace) -> str:
    """Return what a detector that was trained on clean images reaches on spoiled and on mended test images."""
    clean = cells(arguments, "clean", lambda pixels: pixels)
    run = detector(arguments, clean)
    lines = [
        "## Blood cells",
        "",
        f"BCCD, Faster R-CNN with MobileNetV2, {arguments.cell_epochs} epochs at 224 px on clean images; average "
        f"precision (COCO's, and at an overlap of 0.5) on the 72 test images, clean: **{precision(run, clean)}**.",
        "",
        "| light | `snellen check` names | treatment | spoiled test | after enhance --auto | after the treatment |",
        "|---|---|---|---|---|---|",
    ]
    for kind in arguments.kinds:
        spoiled = cells(arguments, kind, SPOILED[kind][0])
        found = findings(spoiled)
        treatment = next((treated_by(finding) for finding in found if treated_by(finding)), ())
        auto = mended_cells(arguments, kind, "auto", spoiled, auto=True)
        treated = mended_cells(arguments, kind, "treated", spoiled, operations=treatment) if treatment else spoiled
        lines.append(
            f"| {kind} | {codes(found)} | `{','.join(treatment) or 'none'}` | {precision(run, spoiled)} | "
            f"{precision(run, auto)} | {precision(run, treated)} |"
        )
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def cells(arguments: argparse.Namespace, name: str, spoil: Spoil) -> Path:
    """Return a copy of the data set whose images are spoiled."""
    source, root = arguments.data / "bccd", arguments.out / "cells" / name
    if root.exists():
        return root
    partial = root.with_name(f"{name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    annotated(source, partial)
    (partial / "JPEGImages").mkdir()
    for file in sorted((source / "JPEGImages").glob("*.jpg")):
        with Image.open(file) as image:
            pixels = spoil(np.asarray(image.convert("RGB")).astype(float))
        Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8)).save(
            partial / "JPEGImages" / file.name, quality=QUALITY
        )
    partial.rename(root)
    return root


def annotated(source: Path, target: Path) -> None:
    for folder in ("Annotations", "ImageSets"):
        shutil.copytree(source / folder, target / folder, dirs_exist_ok=True, copy_function=shutil.copyfile)


def mended_cells(arguments: argparse.Namespace, kind: str, how: str, source: Path, **options: object) -> Path:
    root = arguments.out / "cells" / f"{kind}-{how}"
    snellen.enhance(
        source / "JPEGImages", folder=root / "JPEGImages", workers=0, language="en",
        sheet=root.with_suffix(".png"), **options,
    )  # fmt: skip
    annotated(source, root)
    return root


def detector(arguments: argparse.Namespace, data: Path) -> Run:
    folder = arguments.out / "runs" / "cells"
    if (run := done_or_resumed(folder)) is not None:
        return run
    weights = arguments.data / "weights" / "mobilenet_v2_imagenet.safetensors"
    return snellen.train(
        data, model="faster_rcnn_mobilenet_v2_fpn", weights=weights, mean=HALF, std=HALF, padding="same",
        finetune="all", epochs=arguments.cell_epochs, image_size=224, batch_size=4, lr=0.01, augment=0.2, seed=0,
        folder=folder, validate_every=arguments.cell_epochs, check=False, tensorboard=False, workers=0, device="cpu",
    )  # fmt: skip


def precision(run: Run, data: Path) -> str:
    scalars = snellen.evaluate(run, data, split="test").scalars
    return f"{scalars['AP']:.3f}, {scalars['AP50']:.3f}"


if __name__ == "__main__":
    main()
