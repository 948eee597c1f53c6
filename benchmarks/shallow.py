"""Accuracy, time and size of shallow models on real data, beside what can be said without looking.

    python benchmarks/shallow.py --data ../shared/data --out runs/shallow
    python benchmarks/shallow.py --data ../shared/data --out runs/shallow --sets inria --limit 100 --models hog_svm

Every model of the table below is fitted to the training images and measured on the test images: MNIST and CIFAR-10
(the subsets of 10,000 training images each), hymenoptera (244 photographs, 153 to test) and INRIA's windows (64 × 128,
squeezed; mirrored twins on one side of the split, every fifth group of images to test). Each set goes on where it was
broken off. The tables go to results/shallow.md, the figures to results/shallow.json.
"""

import argparse
import json
import os
import re
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

import snellen
from snellen.data import DatasetIndex, with_splits

RESULTS = Path(__file__).parent / "results"
FEATURES = ("colour", "pixels", "lbp", "hog", "sift")
# On every kind of features, the quick ones first; the others are measured on the features that suit them.
EVERYWHERE = ("knn", "naive_bayes", "softmax", "svm", "forest", "rbf_svm")
FURTHER = (
    "pixels_lda", "pixels_perceptron", "pixels_logistic", "pixels_tree", "pixels_kmeans", "pixels_mixture",
    "pixels_pca_knn", "pixels_bernoulli_bayes", "pixels_boosting", "pixels_adaboost", "pixels_tangent_knn",
    "hog_lda", "hog_logistic", "hog_binned_logistic", "hog_crossed_logistic", "hog_boosting", "hog_mixture",
    "colour_multinomial_bayes", "lbp_multinomial_bayes", "sift_multinomial_bayes",
)  # fmt: skip
ON_NETWORK = ("knn", "softmax", "svm", "rbf_svm", "forest")
BACKBONE = "mobilenet_v2"
WEIGHTS = Path("weights") / "mobilenet_v2_imagenet.safetensors"


def mnist(data: Path, scratch: Path) -> DatasetIndex:
    root = scratch / "mnist"
    if not (root / ".complete").exists():
        arrays = np.load(data / "mnist" / "mnist_subset.npz")
        for split in ("train", "test"):
            for row, (image, label) in enumerate(zip(arrays[f"{split}_x"], arrays[f"{split}_y"], strict=True)):
                folder = root / split / str(label)
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(folder / f"{row}.png", compress_level=1)
        (root / ".complete").touch()
    return as_val(snellen.load(root), "test")


def cifar10(data: Path, scratch: Path) -> DatasetIndex:
    root = scratch / "cifar10"
    if not (root / ".complete").exists():
        with tarfile.open(data / "cifar10" / "cifar10_subset.tar.xz") as archive:
            archive.extractall(root, filter="data")
        (root / ".complete").touch()
    return as_val(snellen.load(root), "test")


def hymenoptera(data: Path, scratch: Path) -> DatasetIndex:
    del scratch
    return snellen.load(data / "hymenoptera")


def inria(data: Path, scratch: Path) -> DatasetIndex:
    del scratch
    index = snellen.load(data / "inria_crops")
    # crop001001a.jpg and its twins differ in the letter alone.
    names = [re.sub(r"[a-z]\.jpg$", "", index.paths[row]) for row in range(len(index))]
    _, groups = np.unique(names, return_inverse=True)
    return with_splits(index, {"train": np.flatnonzero(groups % 5), "val": np.flatnonzero(groups % 5 == 0)})


SETS = {"hymenoptera": hymenoptera, "inria": inria, "mnist": mnist, "cifar10": cifar10}


def as_val(index: DatasetIndex, name: str) -> DatasetIndex:
    """Return the index with the images of one split as those that are measured, and all others to train."""
    chosen = index.splits == index.split_names.index(name)
    return with_splits(index, {"train": np.flatnonzero(~chosen), "val": np.flatnonzero(chosen)})


def names(given: str | None) -> tuple[str, ...]:
    if given:
        return tuple(given.split(","))
    hand_made = [f"{kind}_{learner}" for kind in FEATURES for learner in EVERYWHERE]
    return (*hand_made, *FURTHER, *(f"{BACKBONE}_features_{learner}" for learner in ON_NETWORK))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", type=Path, required=True, help="folder of what is in progress")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--models", help="names with commas between; all if left out")
    parser.add_argument("--limit", type=int, help="images of each split at most")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of shallow.md and shallow.json")
    given = parser.parse_args()
    lines = [
        "# Shallow models on real data",
        "",
        f"`python benchmarks/shallow.py` on {os.cpu_count()} cores. Settings are chosen by cross-validation on the",
        "training images. Times to fit hold that choice, and the features that were not known from before.",
        "",
    ]
    figures = {}
    for name in given.sets:
        index = SETS[name](given.data, given.out / "data")
        report = snellen.baseline(
            index,
            models=names(given.models),
            limit=given.limit,
            minutes=None,
            weights=given.data / WEIGHTS,
            backbone=BACKBONE,
            folder=given.out / f"{name}-{given.limit or 'all'}",
            console=Console(stderr=True, width=140),
        )
        lines += [f"## {name}", "", f"{report.num_train} training images.", "", report.markdown(), ""]
        figures[name] = {
            row.model: {
                report.headline: row.score, "low": row.low, "high": row.high, "fit_s": row.fit_s + row.features_s,
                "image_ms": row.image_ms, "bytes": row.num_bytes,
            }
            for row in report.rows
        }  # fmt: skip
    given.results.mkdir(parents=True, exist_ok=True)
    (given.results / "shallow.md").write_text("\n".join(lines), encoding="utf-8")
    (given.results / "shallow.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
