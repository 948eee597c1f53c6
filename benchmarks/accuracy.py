"""Train with Snellen on real data at the budgets that the peers' scripts had, and print the held-out score.

    python benchmarks/accuracy.py bccd --data ../shared/data --seeds 0 1 2

One JSON line per seed. Where a data set has a validation split of its own (bccd), the best weights on it are measured
on the test split, as a user would; elsewhere the last weights are measured, as the peers' scripts do. Precision,
layout, averaging of weights and augmentation are Snellen's defaults unless an option says otherwise; model, starting
weights, image size, batch, epochs, learning rate, schedule, weight decay and clipping are the peers'.
"""

import argparse
import json
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

import snellen
from accuracy_settings import BUDGETS, Budget
from snellen.data import DatasetIndex, with_splits
from snellen.recipes import prepared


def held_out(index: DatasetIndex, test: np.ndarray) -> DatasetIndex:
    """Return the index with the marked rows as val and all others as train."""
    return with_splits(index, {"train": np.flatnonzero(~test), "val": np.flatnonzero(test)})


def every_fifth(index: DatasetIndex) -> DatasetIndex:
    """Return the split that the peers' script makes: every fifth image, sorted by name, is held out."""
    names = sorted(range(len(index)), key=lambda row: index.paths[row])
    test = np.zeros(len(index), bool)
    test[names[4::5]] = True
    return held_out(index, test)


def hymenoptera(data: Path, _scratch: Path) -> DatasetIndex:
    return snellen.load(data / "hymenoptera")


def camvid(data: Path, _scratch: Path) -> DatasetIndex:
    from snellen.data import ReadOptions

    index = snellen.load(data / "camvid", options=ReadOptions(ignore_index=11))
    return held_out(index.select(index.splits != index.split_names.index("val")), index.splits[
        index.splits != index.split_names.index("val")] == index.split_names.index("test"))  # fmt: skip


def horses(data: Path, _scratch: Path) -> DatasetIndex:
    return every_fifth(snellen.load(data / "horses"))


def isbi_em(data: Path, _scratch: Path) -> DatasetIndex:
    return every_fifth(snellen.load(data / "isbi_em"))


def cifar10(data: Path, scratch: Path) -> DatasetIndex:
    with tarfile.open(data / "cifar10" / "cifar10_subset.tar.xz") as archive:
        archive.extractall(scratch, filter="data")
    index = snellen.load(scratch, format="folders")
    return held_out(index, index.splits == index.split_names.index("test"))


def mnist(data: Path, scratch: Path) -> DatasetIndex:
    arrays = np.load(data / "mnist" / "mnist_subset.npz")
    for split in ("train", "test"):
        for row, (image, label) in enumerate(zip(arrays[f"{split}_x"], arrays[f"{split}_y"], strict=True)):
            folder = scratch / split / str(label)
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / f"{row:05}.png")
    index = snellen.load(scratch, format="folders")
    return held_out(index, index.splits == index.split_names.index("test"))


READERS = {"hymenoptera": hymenoptera, "camvid": camvid, "horses": horses, "isbi_em": isbi_em, "cifar10": cifar10,
           "mnist": mnist}  # fmt: skip
MEASURES = {"detection": ("AP", "AP50"), "classification": ("accuracy",), "segmentation": ("mIoU",)}


def options_of(name: str, budget: Budget, data: Path) -> dict[str, object]:
    options: dict[str, object] = {
        "model": budget.network,
        "image_size": budget.size,
        "batch_size": budget.batch,
        "epochs": budget.epochs,
        "lr": budget.lr,
        "optimizer": "sgd",
        "schedule": "cosine",
        "warmup_steps": budget.warmup,
        "weight_decay": budget.weight_decay,
        "clip_norm": budget.clip,
        "flip": budget.flip,
        "validate_every": 2 if name == "bccd" else budget.epochs,
        "tensorboard": False,
    }
    if "mobilenet" in budget.network:
        half = (0.5, 0.5, 0.5)
        options |= {"weights": data / "weights" / "mobilenet_v2_imagenet.safetensors", "mean": half, "std": half}
        options |= {"finetune": "all"}  # as the peers' scripts do
    return options


def measure(name: str, data: Path, seed: int, extra: dict[str, object]) -> dict[str, object]:
    budget = BUDGETS[name]
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        index = snellen.load(data / "bccd") if name == "bccd" else READERS[name](data, Path(scratch) / "images")
        options = options_of(name, budget, data) | extra
        folder = Path(scratch) / "run"
        run = snellen.train(index, console=Console(stderr=True), seed=seed, folder=folder, **options)
        seconds = time.perf_counter() - start
        if name == "bccd":
            results = run.results["test"]
        else:
            results = snellen.recipes.evaluate_run(run, index=prepared(index, seed), split="val", which="last")
        scores = {key: round(results.scalars[key], 4) for key in MEASURES[budget.kind]}
        return {"set": name, "who": "snellen", "seed": seed, **scores, "seconds": round(seconds), "extra": extra}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=sorted(BUDGETS), help="data sets; all if left out")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--extra", type=json.loads, default={}, help="further options of snellen.train, as JSON")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in BUDGETS:
            sys.exit(f"unknown data set {name!r}; known: {', '.join(sorted(BUDGETS))}")
        for seed in arguments.seeds:
            print(json.dumps(measure(name, arguments.data, seed, arguments.extra)), flush=True)


if __name__ == "__main__":
    main()
