"""Remedies for a rare class, on 1 : 50 of real images, over seeds.

    python benchmarks/imbalance.py --data ../shared/data --out imbalance-runs --seeds 0 1 2

Two classes of CIFAR-10: 50 training images of one for each of the other. Every seed draws other images and other first
weights, the same for all remedies; every training shows about as many images. Each is a call of ``snellen train`` that
is kept in ``--out``, so that a second call goes on. The test images are all of both classes: recalls come from as many
images of the rare one as of the common one; precision and F1 are stated for 1 : 50, from both recalls. Differences are
taken seed by seed; intervals are Student's t at 95 %. Writes ``results/imbalance.md`` and, for each seed, ``.csv``.
"""

import argparse
import csv
import json
import math
import platform
import shutil
import statistics
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import snellen
from ladder_runs import Job, run_all
from snellen.metrics import mean_interval
from snellen.recipes import Run
from snellen.recipes.evaluating import evaluate_run, recorded_index
from snellen.recipes.experiments.ablation_report import interval_text
from snellen.recipes.operating import choose_operating
from snellen.recipes.operating_choices import Goal

HERE = Path(__file__).resolve().parent
VAL_SHARE = 0.2  # of the images of each class that a seed draws


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """One way to train or to decide.

    Attributes:
        name: For the table.
        options: Further words of the command line.
        epoch_images: Images of an epoch from those of the common and the rare class, for as many images in all.
        base: Training that is used; its own if None.
        goal: Of a threshold that is chosen on validation images.
    """

    name: str
    options: tuple[str, ...] = ()
    epoch_images: Callable[[int, int], int] = lambda common, rare: common + rare
    base: str | None = None
    goal: Goal | None = None


REMEDIES = (
    Remedy(name="nothing"),
    Remedy(name="threshold of best F1", base="nothing", goal=Goal(kind="f1")),
    Remedy(name="class-balanced sampling", options=("--sampler", "class_balanced")),
    Remedy(name="square-root sampling", options=("--sampler", "square_root")),
    Remedy(name="oversampling", options=("--sampler", "oversampled"), epoch_images=lambda common, _: 2 * common),
    Remedy(name="undersampling", options=("--sampler", "undersampled"), epoch_images=lambda _, rare: 2 * rare),
    Remedy(name="weights, inverse", options=("--class-weights", "inverse")),
    Remedy(name="weights, inverse root", options=("--class-weights", "inverse_sqrt")),
    Remedy(name="weights, effective number", options=("--class-weights", "effective_number")),
    Remedy(name="focal loss", options=("--loss", "focal")),
    Remedy(name="focal loss, inverse weights", options=("--loss", "focal", "--class-weights", "inverse")),
    Remedy(name="logit adjustment in the loss", options=("--set", "logit_adjustment=loss")),
    Remedy(name="logit adjustment afterwards", options=("--set", "logit_adjustment=post_hoc")),
    Remedy(name="five models on balanced parts", options=("--subsets", "5"),
           epoch_images=lambda _, rare: 2 * 5 * rare),
)  # fmt: skip


def data_set(seed: int, arguments: argparse.Namespace) -> tuple[Path, int, int]:
    """Return a folder of class folders for a seed, and how many training images of each class it has."""
    root = arguments.out / f"data-{arguments.common}-{arguments.rare}-{arguments.ratio}-seed{seed}"
    source = unpacked(arguments)
    rng = np.random.default_rng(seed)
    drawn = {name: rng.permutation(sorted((source / "train" / name).iterdir())) for name in names(arguments)}
    num_val = round(VAL_SHARE * len(drawn[arguments.common]))
    num_train = len(drawn[arguments.common]) - num_val
    counts = {arguments.common: (num_train, num_val)}
    counts[arguments.rare] = (max(num_train // arguments.ratio, 1), max(num_val // arguments.ratio, 2))
    if not (root / "done").exists():
        shutil.rmtree(root, ignore_errors=True)
        for name, (train, val) in counts.items():
            files = drawn[name]
            for split, part in (("train", files[:train]), ("val", files[train : train + val])):
                copied(part, root / split / name)
            copied(sorted((source / "test" / name).iterdir()), root / "test" / name)
        (root / "done").touch()
    return root, counts[arguments.common][0], counts[arguments.rare][0]


def names(arguments: argparse.Namespace) -> tuple[str, str]:
    return arguments.common, arguments.rare


def unpacked(arguments: argparse.Namespace) -> Path:
    """Return the folder with the images of both classes, taken from the archive once."""
    root = arguments.out / "cifar10"
    for name in names(arguments):
        if not (root / f"{name}.done").exists():
            with tarfile.open(arguments.data / "cifar10" / "cifar10_subset.tar.xz") as archive:
                wanted = [item for item in archive if item.isfile() and Path(item.name).parent.name == name]
                archive.extractall(root, members=wanted, filter="data")
            (root / f"{name}.done").touch()
    return root


def copied(files: Sequence[Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for file in files:
        shutil.copy(file, folder / file.name)


def job_of(remedy: Remedy, seed: int, arguments: argparse.Namespace) -> Job:
    """Return the training of a remedy; its epochs show as many images as everybody's."""
    data, common, rare = data_set(seed, arguments)
    epoch = remedy.epoch_images(common, rare)
    epochs = max(1, round(arguments.images / epoch))
    words = ("--epochs", str(epochs), "--validate-every", str(math.ceil(epochs / arguments.validations)),
             "--image-size", "32", "--batch-size", "32", "--seed", str(seed), "--split-seed", "0", "--no-check",
             "--headline", "balanced_accuracy")  # fmt: skip
    slug = remedy.name.replace(",", "").replace(" ", "-")
    name = f"{arguments.common}-{arguments.rare}-{arguments.ratio}-{arguments.model}-{epochs * epoch}-{slug}-seed{seed}"
    return Job(name=name, model=arguments.model, data=data, options=(*remedy.options, *words))


def measured(folder: Path, remedy: Remedy, arguments: argparse.Namespace) -> dict[str, float]:
    """Return recall, and precision and F1 at the ratio of training, of both classes, and the area under the ROC."""
    place = "test"
    if remedy.goal is not None:
        place = f"test-{remedy.goal.kind}"
        if not (folder / "evaluation" / place / "results.json").is_file():
            run = Run.open(folder)
            index = recorded_index(run)
            chosen = choose_operating(run, index, goal=remedy.goal, calibrate=False)
            evaluate_run(run, index=index, split="test", name=place, operating=chosen)
            (folder / "operating.json").unlink()  # the training itself is measured without
    lines = (folder / "evaluation" / place / "predictions.jsonl").read_text().splitlines()
    answers = [(Path(entry["file"]).parent.name, entry["name"]) for entry in map(json.loads, lines)]
    common, rare = names(arguments)
    recall = {
        name: statistics.mean(float(said == true) for true, said in answers if true == name) for name in (common, rare)
    }
    figures = figures_at(arguments.ratio, rare=rare, common=common, recall=recall)
    results = json.loads((folder / "evaluation" / place / "results.json").read_text())
    area = {row[0]: row[6] for row in results["tables"][0]["rows"]}
    return figures | {"ROC area": area[rare]}


def figures_at(ratio: int, *, rare: str, common: str, recall: Mapping[str, float]) -> dict[str, float]:
    """Return balanced accuracy, and recall, precision and F1 of two classes, from their recalls.

    Args:
        ratio: Images of the common class for each of the rare one, where the model will be used.
        rare: Its name.
        common: Its name.
        recall: Of both.
    """
    weight = {common: ratio, rare: 1}
    figures = {"balanced accuracy": statistics.mean([recall[common], recall[rare]])}
    for name, other in ((rare, common), (common, rare)):
        hits, false = weight[name] * recall[name], weight[other] * (1 - recall[other])
        precision = hits / (hits + false) if hits + false else 0.0
        f1 = 2 * precision * recall[name] / (precision + recall[name]) if precision + recall[name] else 0.0
        figures |= {f"recall {name}": recall[name], f"precision {name}": precision, f"F1 {name}": f1}
    return figures


def with_interval(values: Sequence[float]) -> str:
    """Return mean and Student's 95 % interval."""
    return interval_text(mean_interval(values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--out", type=Path, default=Path("imbalance-runs"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--common", default="automobile")
    parser.add_argument("--rare", default="truck")
    parser.add_argument("--ratio", type=int, default=50)
    parser.add_argument("--model", default="cifar_resnet20")
    parser.add_argument("--images", type=int, default=30_000, help="that each training shows")
    parser.add_argument("--validations", type=int, default=15, help="of each training, at most")
    parser.add_argument("--remedies", nargs="+", help="names from the table; all if left out")
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--result", type=Path, default=HERE / "results" / "imbalance.md")
    parser.add_argument("--table-only", action="store_true", help="write the table of what has been trained already")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    remedies = [item for item in REMEDIES if not arguments.remedies or item.name in arguments.remedies]
    by_name = {item.name: item for item in REMEDIES}
    jobs: dict[str, Job] = {}
    for seed in arguments.seeds:  # seed by seed, so that a run that is broken off has compared everything once
        for remedy in remedies:
            job = job_of(by_name[remedy.base or remedy.name], seed, arguments)
            jobs[job.name] = job
    if not arguments.table_only:
        run_all(list(jobs.values()), arguments.out, parallel=arguments.parallel, threads=arguments.threads)
    torch.set_num_threads(arguments.threads)
    write(remedies, by_name, arguments)


def write(remedies: Sequence[Remedy], by_name: Mapping[str, Remedy], arguments: argparse.Namespace) -> None:
    """Write one table, and the figures behind it as a table of values."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    for remedy in remedies:
        for seed in arguments.seeds:
            folder = arguments.out / job_of(by_name[remedy.base or remedy.name], seed, arguments).name
            if (folder / "cost.json").is_file():
                found.setdefault(remedy.name, {})[seed] = measured(folder, remedy, arguments)
    _, common, rare = data_set(arguments.seeds[0], arguments)
    versions = f"Snellen {snellen.__version__}, Python {platform.python_version()}, torch {torch.__version__}"
    text = (HERE / "imbalance_head.md").read_text(encoding="utf-8").format(
        common=arguments.common, rare=arguments.rare, num_common=common, num_rare=rare, ratio=arguments.ratio,
        model=arguments.model, images=f"{arguments.images:,}", seeds=len(arguments.seeds), versions=versions,
    )  # fmt: skip
    columns = ["balanced accuracy", *(f"{kind} {name}" for name in (arguments.rare, arguments.common)
                                      for kind in ("recall", "precision", "F1")), "ROC area"]  # fmt: skip
    base = found.get("nothing", {})
    gain = f"F1 {arguments.rare} − nothing"
    text += f"\n| remedy | seeds | {' | '.join(columns)} | {gain} |\n|{'---|' * (len(columns) + 3)}\n"
    for name, by_seed in found.items():
        cells = [with_interval([figures[column] for figures in by_seed.values()]) for column in columns]
        both = sorted(by_seed.keys() & base.keys())
        key = f"F1 {arguments.rare}"
        change = "base" if name == "nothing" else (
            with_interval([by_seed[seed][key] - base[seed][key] for seed in both]) if both else "–"
        )  # fmt: skip
        text += f"| {name} | {len(by_seed)} | {' | '.join(cells)} | {change} |\n"
    missing = [remedy.name for remedy in remedies if remedy.name not in found]
    text += f"\nNot run yet: {'; '.join(missing)}.\n" if missing else ""
    arguments.result.write_text(text, encoding="utf-8")
    with arguments.result.with_suffix(".csv").open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["remedy", "seed", *columns])
        for name, by_seed in found.items():
            rows.writerows([name, seed, *(figures[column] for column in columns)] for seed, figures in by_seed.items())


if __name__ == "__main__":
    main()
