"""The healthy data sets that faults are planted in: small cuts of real ones, written in plain formats."""

import csv
import shutil
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from snellen.data import DatasetIndex, ReadOptions, default_chart_spec, with_splits, write, write_charts
from snellen.recipes import load
from snellen.structures import BoxTarget

__all__ = ["BASES", "Base", "Kind", "built"]

Kind = Literal["classification", "detection", "segmentation"]


@dataclass(frozen=True, kw_only=True)
class Base:
    """A healthy data set.

    Attributes:
        kind: Of its labels.
        format: That it is written in: class folders, COCO JSON, or images beside index masks.
        read: From the folder of the real data sets, a scratch folder and the number of a draw to an index with splits.
        weights: Whether embeddings of pretrained weights are meant to help here.
    """

    kind: Kind
    format: Literal["folders", "coco", "masks"]
    read: Callable[[Path, Path, int], DatasetIndex]
    weights: bool = False


def cut(index: DatasetIndex, sizes: Mapping[str, int], seed: int = 0) -> DatasetIndex:
    """Return at most so many images of each split, chosen by the seed."""
    chance = np.random.default_rng(seed)
    rows = []
    for name, most in sizes.items():
        of_split = index.split_rows(name)
        rows.append(np.sort(chance.permutation(of_split)[:most]))
    return index.select(np.concatenate(rows))


def cells(data: Path, scratch: Path, draw: int) -> DatasetIndex:
    del scratch
    return cut(load(data / "bccd"), {"train": 100, "val": 50, "test": 40}, draw)


def people(data: Path, scratch: Path, draw: int) -> DatasetIndex:
    del scratch
    index = load(data / "pennfudan")
    train = index.split_rows("train")
    first, second = draw % 2, (draw + 1) % 2
    rows = {"train": train[first::2], "val": train[second::4], "test": index.split_rows("test")}
    return with_splits(index, rows).select(np.sort(np.concatenate(list(rows.values()))))


def insects(data: Path, scratch: Path, draw: int) -> DatasetIndex:
    del scratch
    index = load(data / "hymenoptera")
    keep = np.array([row for row in range(len(index)) if not index.paths[row].endswith(".gif")])
    if draw:
        keep = np.sort(np.random.default_rng(draw).permutation(keep)[: int(0.8 * len(keep))])
    return index.select(keep)


def thumbs(data: Path, scratch: Path, draw: int) -> DatasetIndex:
    """CIFAR-10: 60 training, 20 validation and 20 test images of each class, none of them known twins."""
    home = scratch / "thumbs-source"
    if not home.is_dir():
        with tarfile.open(data / "cifar10" / "cifar10_subset.tar.xz") as archive:
            archive.extractall(scratch / "cifar10", filter="data")
        counts: dict[tuple[str, str], int] = {}
        limits = {"train": 60, "val": 20, "test": 20}
        rows = cifar_rows(data, scratch / "cifar10")
        order = np.random.default_rng(draw).permutation(len(rows)) if draw else np.arange(len(rows))
        for entry in (rows[number] for number in order):
            is_full = counts.get(("train", entry[2]), 0) >= limits["train"]
            part = "test" if entry[1] == "test" else "val" if is_full else "train"
            key = (part, entry[2])
            if counts.get(key, 0) >= limits[part]:
                continue
            counts[key] = counts.get(key, 0) + 1
            place = home / part / entry[2] / entry[0].name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(entry[0], place)
    return load(home)


def cifar_rows(data: Path, folder: Path) -> list[tuple[Path, str, str]]:
    """Return file, split and class of the CIFAR-10 images, without test images that have a twin in the training set."""
    with (data / "cifar10" / "cifair_duplicates.csv").open(encoding="utf-8") as file:
        twins = {row["TestID"] for row in csv.DictReader(file)}
    with (data / "cifar10" / "index.csv").open(encoding="utf-8") as file:
        return [
            (folder / row["path"], row["split"], row["label"])
            for row in csv.DictReader(file)
            if row["split"] == "train" or row["dataset_index"] not in twins
        ]


def streets(data: Path, scratch: Path, draw: int) -> DatasetIndex:
    del scratch
    return cut(load(data / "camvid", options=ReadOptions(ignore_index=11)), {"train": 80, "val": 40, "test": 40}, draw)


def charts(data: Path, scratch: Path, draw: int) -> DatasetIndex:
    del data
    home = scratch / "charts-source"
    if not home.is_dir():
        spec = replace(default_chart_spec(BoxTarget), seed=draw)
        write_charts(home, task=BoxTarget, num_train=100, num_val=40, num_test=40, spec=spec)
    return load(home)


BASES: Mapping[str, Base] = {
    "cells": Base(kind="detection", format="coco", read=cells),
    "people": Base(kind="detection", format="coco", read=people),
    "charts": Base(kind="detection", format="coco", read=charts),
    "insects": Base(kind="classification", format="folders", read=insects, weights=True),
    "thumbs": Base(kind="classification", format="folders", read=thumbs),
    "streets": Base(kind="segmentation", format="masks", read=streets),
}


def built(name: str, data: Path, scratch: Path, draw: int = 0) -> Path:
    """Return the folder of a base, written when it is not there yet; draws hold other images, as far as there are."""
    folder = scratch / "bases" / name
    if not folder.is_dir():
        index = BASES[name].read(data, scratch, draw)
        write(replace(index, problems=()), folder, format=BASES[name].format)
    return folder
