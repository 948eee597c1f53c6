"""The comparisons that the field teaches, measured: each a table of paired differences over seeds.

    python benchmarks/comparisons.py --data ../shared/data --out comparison-runs --seeds 3
    python benchmarks/comparisons.py --out comparison-runs --questions "Batch norm" Optimizers       two of them
    python benchmarks/comparisons.py --out comparison-runs --table-only                             what is there so far

Each row of ``COMPARISONS`` (``comparison_questions.py``) is one call of ``snellen.ablate`` on real images; what has
been trained is kept in ``--out``, so that a second call goes on. Writes ``results/comparisons.md``. All of it takes
about an hour of one core.
"""

import argparse
import io
import json
import platform
import shutil
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from rich.console import Console

import snellen
from comparison_questions import COMPARISONS, DATA_SETS, SHARED, WEIGHTS, ZEROS, DataSet, Question
from imbalance import figures_at
from snellen.metrics import mean_interval
from snellen.models import find_model
from snellen.recipes.experiments.ablation_report import AblationReport, interval_text

HERE = Path(__file__).resolve().parent
IMAGES = (".jpg", ".png", ".jpeg")
PNG = b"\x89PNG"  # the beginning of such a file
HEAD = """# What the field teaches, measured

`python benchmarks/comparisons.py`; {versions}. Small images and short trainings on one core: what is shown is the
direction at this budget, and whether it is beyond the spread of the seeds. Images are drawn once; seeds decide first
weights and the order of the images. Unless said otherwise: SGD with momentum, rate 0.05, cosine, batches of 32, no
augmentation.
"""


def mnist(data: Path) -> Iterator[tuple[str, str, bytes]]:
    """Yield split, class and file content of every image."""
    arrays = np.load(data / "mnist" / "mnist_subset.npz")
    for split in ("train", "test"):
        for image, label in zip(arrays[f"{split}_x"], arrays[f"{split}_y"], strict=True):
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, format="png")
            yield split, str(label), buffer.getvalue()


def cifar10(data: Path) -> Iterator[tuple[str, str, bytes]]:
    """Yield split, class and file content of every image."""
    with tarfile.open(data / "cifar10" / "cifar10_subset.tar.xz") as archive:
        for member in archive:
            parts = member.name.removeprefix("./").split("/")
            split = next((part for part in parts if part in ("train", "test")), None)
            if member.isfile() and split is not None and member.name.endswith(IMAGES):
                yield split, parts[-2], archive.extractfile(member).read()  # type: ignore[union-attr]  # it is a file


def hymenoptera(data: Path) -> Iterator[tuple[str, str, bytes]]:
    """Yield split, class and file content of every image; what is held out is the test here."""
    for split, name in (("train", "train"), ("val", "test")):
        for file in sorted((data / "hymenoptera" / split).rglob("*")):
            if file.suffix in IMAGES:
                yield name, file.parent.name, file.read_bytes()


READERS = {"mnist": mnist, "cifar10": cifar10, "hymenoptera": hymenoptera}


def images(name: str, data: Path, out: Path) -> Path:
    """Return a folder of class folders, drawn by a generator that is seeded with 0."""
    root = out / "data" / name.replace(" ", "-")
    if (root / "done").is_file():
        return root
    shutil.rmtree(root, ignore_errors=True)
    wanted = DATA_SETS[name]
    found: dict[tuple[str, str], list[bytes]] = {}
    for split, label, content in READERS[wanted.source](data):
        found.setdefault((split, label), []).append(content)
    chance = np.random.default_rng(0)
    for split, label in sorted(found):
        contents = [found[split, label][place] for place in chance.permutation(len(found[split, label])).tolist()]
        for part, start, stop in _parts(wanted, split, label):
            folder = root / part / label
            for number, content in enumerate(contents[start:stop]):
                folder.mkdir(parents=True, exist_ok=True)
                ending = "png" if content.startswith(PNG) else "jpg"
                (folder / f"{number:04}.{ending}").write_bytes(content)
    (root / "done").touch()
    return root


def _parts(wanted: DataSet, split: str, label: str) -> Iterator[tuple[str, int, int]]:
    num_train, num_val = (
        count.get(label, 0) if isinstance(count, Mapping) else count for count in (wanted.train, wanted.val)
    )
    if split == "train":
        yield "train", 0, num_train
        yield "val", num_train, num_train + num_val
    elif num_train:
        yield "test", 0, wanted.test


def options_of(question: Question, data: Path, place: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the options of all configurations, and those of each, with files in the place of their names."""
    files = {WEIGHTS: str(data / "weights" / "mobilenet_v2_imagenet.safetensors"), ZEROS: ""}
    shared = {**SHARED, **question.shared}
    if any(ZEROS in arm.values() for arm in question.arms.values()):
        files[ZEROS] = str(_zeros(shared["model"], len(list((place / "train").iterdir())), place.parent))
    filled = [
        {name: files.get(value, value) if isinstance(value, str) else value for name, value in options.items()}
        for options in (shared, *question.arms.values())
    ]
    return filled[0], dict(zip(question.arms, filled[1:], strict=True))


def _zeros(model: str, num_classes: int, folder: Path) -> Path:
    file = folder / f"{model}-zeros.pth"
    if not file.is_file():
        state = find_model(model).build(num_classes).state_dict()  # type: ignore[attr-defined]  # every model is a module
        torch.save({name: torch.zeros_like(value) for name, value in state.items()}, file)
    return file


def classes_table(question: Question, folder: Path) -> str:
    """Return precision, recall and F1 of the rare and the common class of each configuration."""
    rare, ratio = question.rare or ("", 0)
    report = AblationReport.read(folder)
    columns: Sequence[str] = ()
    lines = []
    for row in report.rows:
        figures = []
        for run in row.runs:
            told = json.loads((Path(run) / "evaluation" / "test" / "results.json").read_text(encoding="utf-8"))
            recalls = {entry[0]: entry[3] for entry in told["tables"][0]["rows"]}
            common = next(name for name in recalls if name != rare)
            figures.append(figures_at(ratio, rare=rare, common=common, recall=recalls))
        columns = tuple(figures[0])
        cells = [interval_text(mean_interval([one[column] for one in figures])) for column in columns]
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    head = [f"| variant | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    return "\n".join(
        [*head, *lines, "", f"Precision and F1 are those at 1 : {ratio}, from the recalls of both classes."]
    )


def folder_of(question: Question, out: Path) -> Path:
    return out / "".join(letter if letter.isalnum() else "-" for letter in question.name.lower())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--out", type=Path, default=Path("comparison-runs"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--questions", nargs="+", help="beginnings of names; all if left out")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--result", type=Path, default=HERE / "results" / "comparisons.md")
    parser.add_argument("--table-only", action="store_true", help="write what has been measured already")
    given = parser.parse_args()
    if not given.table_only and not given.data.is_dir():
        sys.exit(f"{given.data}: expected the folder of the real data sets. Name it with --data.")
    console = Console(stderr=True)
    for question in COMPARISONS:
        wanted = not given.questions or question.name.startswith(tuple(given.questions))
        if wanted and not given.table_only:
            place = images(question.data, given.data, given.out)
            shared, arms = options_of(question, given.data, place)
            snellen.ablate(place, arms=arms, seeds=given.seeds, split="test", folder=folder_of(question, given.out),
                           figures=question.figures, check=False, processes=given.processes, console=console,
                           **shared)  # fmt: skip
            given.result.write_text(page(given.out), encoding="utf-8")
    given.result.write_text(page(given.out), encoding="utf-8")


def page(out: Path) -> str:
    """Return everything that has been measured, as Markdown."""
    parts, missing = [], []
    for question in COMPARISONS:
        table = folder_of(question, out) / "ablation.md"
        if not table.is_file():
            missing.append(question.name)
            continue
        parts += [f"## {question.name}", "", f"Published: {question.published}", ""]
        parts += [f"Here: {described(question)}.", "", table.read_text(encoding="utf-8")]
        if question.rare is not None:
            parts += [classes_table(question, folder_of(question, out)), ""]
    versions = (
        f"Snellen {snellen.__version__}, Python {platform.python_version()}, torch {torch.__version__}, torchvision "
        f"{torchvision.__version__}"
    )
    tail = [f"Not measured yet: {', '.join(missing)}."] if missing else []
    return "\n".join([HEAD.format(versions=versions), *parts, *tail]) + "\n"


def described(question: Question) -> str:
    """Return the images of a question in words."""
    drawn, options = DATA_SETS[question.data], {**SHARED, **question.shared}
    if isinstance(drawn.train, Mapping):
        counts = " and ".join(f"{count} of {name}" for name, count in drawn.train.items())
    else:
        counts = f"{drawn.train} of each class"
    model = f", {options['model']}" if "model" in options else ""
    return (
        f"{drawn.source} at {options['image_size']} px, {counts} to train and at most {drawn.test} of each to test"
        f"{model}, {options['epochs']} epochs unless a row says otherwise"
    )


if __name__ == "__main__":
    main()
