"""Healthy runs that faults of results are planted in: what they answered for real images, held in memory.

Classifiers are small networks that are trained here within seconds and tempered on validation images. Boxes and maps
are drawn from the true annotations with the errors that detectors and segmenters make (`simulated.py`), or they are
those of runs that somebody kept (``--runs``).
"""

import shutil
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bases import cells, cifar_rows, people, streets
from simulated import drawn_boxes, drawn_map, honest_scores, small_map
from torch import nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own abbreviation
from training_runs import Plan, net_of

from snellen.data import ClassTable, DatasetIndex, ImageDataset, with_splits
from snellen.data.sharing import Strings
from snellen.doctor.evidence.images import ImageFacts, ScanSettings, facts_of_images
from snellen.doctor.evidence.results.evaluated import EvaluatedRun, EvaluatedSplit
from snellen.doctor.evidence.results.figures import FIGURES
from snellen.errors import SnellenError
from snellen.evaluation import ImagePrediction, read_predictions
from snellen.metrics import point_of_best_f1
from snellen.recipes import Run, load
from snellen.recipes.evaluating import recorded_data, recorded_index
from snellen.recipes.results_checking import run_files
from snellen.structures import (
    BoxTarget,
    ClassScores,
    ClassTarget,
    Detections,
    Prediction,
    Results,
    SegmentationMap,
    Target,
)

Pairs = tuple[tuple[Prediction, Target], ...]
RECORD = {"model": "network", "image_size": 224, "augment": 0.5, "settings": {"epochs": 10, "weight_decay": 1e-4}}
SETTINGS = {"selection.nms_iou": 0.5, "selection.suppression": "nms", "selection.max_detections": 100,
            "selection.score_above": 0.05}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A run in memory.

    Attributes:
        kind: Of the predictions.
        index: The data set.
        splits: Prediction and truth of each image, by split.
        written: What an evaluator wrote down, by split; what the predictions give where nothing is said.
        facts: What is known of the image files; None without files.
        options: Settings of the model.
        further: Evidence beside the predictions.
        looked: Split that a fault is planted in; that which is judged if empty.
    """

    kind: type[Prediction]
    index: DatasetIndex
    splits: Mapping[str, Pairs]
    written: Mapping[str, float] = field(default_factory=dict)
    facts: ImageFacts | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    further: tuple[object, ...] = ()
    looked: str = ""

    @property
    def judged(self) -> str:
        return self.looked or ("test" if "test" in self.splits else "val")

    @property
    def pairs(self) -> Pairs:
        """Of the split that is looked at."""
        return self.splits[self.judged]

    def answered(self, pairs: Sequence[tuple[Prediction, Target]], split: str = "") -> "Answered":
        """Return the run with other answers for a split, that which is looked at if none is named."""
        return replace(self, splits={**self.splits, split or self.judged: tuple(pairs)})

    def labelled(self, labels: Sequence[np.ndarray], found: Sequence[Prediction]) -> "Answered":
        """Return the run with other classes for the images or objects that are looked at, in the annotations too.

        Args:
            labels: Of each image: its class, or those of its objects.
            found: What is answered.
        """
        table = self.index.annotations
        named = table.labels.copy()  # type: ignore[union-attr]
        pairs: list[tuple[Prediction, Target]] = []
        rows = self.index.split_rows(self.judged).tolist()
        for row, (_, truth), now, answer in zip(rows, self.pairs, labels, found, strict=True):
            if isinstance(truth, BoxTarget):
                named[table.offsets[row] : table.offsets[row + 1]] = now  # type: ignore[union-attr]
                pairs.append((answer, replace(truth, labels=torch.from_numpy(now))))
            else:
                named[row] = int(now)
                number = len(self.index.classes)
                pairs.append((answer, ClassTarget(probs=F.one_hot(torch.tensor(int(now)), number).float())))
        index = replace(self.index, annotations=replace(table, labels=named))  # type: ignore[type-var]
        return replace(self.answered(pairs), index=index)

    def figure(self, split: str = "") -> float:
        pairs = self.splits[split or self.judged]
        return FIGURES[self.kind](images_of(pairs), self.index.classes, None).value

    def run(self) -> EvaluatedRun:
        made = {}
        for name, pairs in self.splits.items():
            figure = FIGURES[self.kind](images_of(pairs), self.index.classes, None)
            results = Results(headline=figure.name, scalars={figure.name: self.written.get(name, figure.value)})
            made[name] = split_of(self.index, name, pairs, results)
        return EvaluatedRun(
            index=self.index, kind=self.kind, splits=made, judged=self.judged, record=RECORD, options=self.options
        )


def images_of(pairs: Pairs) -> list[tuple[ImagePrediction, Target]]:
    return [(ImagePrediction(index=row, source="", size=(1, 1), prediction=found), truth)
            for row, (found, truth) in enumerate(pairs)]  # fmt: skip


def split_of(index: DatasetIndex, name: str, pairs: Pairs, results: Results) -> EvaluatedSplit:
    part = index.split(name)
    images = [
        ImagePrediction(index=row, source=part.paths[row], size=tuple(part.sizes[row].tolist()), prediction=found)
        for row, (found, _) in enumerate(pairs)
    ]
    return EvaluatedSplit(
        name=name, part=part, predictions=lambda: images, truth=lambda row: pairs[row][1], results=results
    )


def trained_network(net: str, x: np.ndarray, y: np.ndarray, *, epochs: int, classes: int) -> nn.Module:
    """Return a small network that was trained on images ``[n, channels, side, side]``."""
    torch.manual_seed(0)
    model = net_of(Plan(net=net, data="mnist" if x.shape[1] == 1 else "cifar", lr=0))
    images, labels = torch.from_numpy(x), torch.from_numpy(y)
    model(images[:2])
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.05)
    steps = epochs * (len(x) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    random = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=random).split(64):
            if len(rows) == 64:
                batch = images[rows]
                if x.shape[1] == 3:
                    flips = torch.rand(len(rows), 1, 1, 1, generator=random) < 0.5
                    batch = torch.where(flips, batch.flip(3), batch)
                loss = F.cross_entropy(model(batch)[:, :classes], labels[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    return model.eval()


def tempered(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature at which scores of validation images are likeliest (Guo et al. 2017)."""
    grid = np.geomspace(0.3, 5, 60)
    losses = [F.cross_entropy(torch.from_numpy(scores / value), torch.from_numpy(labels)).item() for value in grid]
    return float(grid[int(np.argmin(losses))])


def answers_of(scores: np.ndarray, labels: np.ndarray) -> Pairs:
    probs = torch.softmax(torch.from_numpy(scores).double(), 1).float()
    truths = F.one_hot(torch.from_numpy(labels), probs.shape[1]).float()
    return tuple((ClassScores(probs=p), ClassTarget(probs=t)) for p, t in zip(probs, truths, strict=True))


def classified(
    parts: Mapping[str, tuple[np.ndarray, np.ndarray]], index: DatasetIndex, *, net: str, epochs: int
) -> tuple[Answered, nn.Module]:
    """Return what a network answers that is trained on the split ``train`` of these images."""
    classes = len(index.classes)
    model = trained_network(net, *parts["train"], epochs=epochs, classes=classes)
    with torch.no_grad():
        scores = {name: model(torch.from_numpy(x))[:, :classes].numpy() for name, (x, _) in parts.items()}
    heat = tempered(scores["val"], parts["val"][1])
    splits = {name: answers_of(scores[name] / heat, parts[name][1]) for name in parts}
    return Answered(kind=ClassScores, index=index, splits=splits), model


def digits(data: Path, scratch: Path) -> Answered:
    """MNIST: a perceptron that learned from 3,000 digits, 500 to validate and 600 to test."""
    del scratch
    found = np.load(data / "mnist" / "mnist_subset.npz")
    order = [np.random.default_rng(7).permutation(len(found[name])) for name in ("train_y", "test_y")]
    rows = {"train": (0, slice(0, 3000)), "val": (0, slice(3000, 3500)), "test": (1, slice(0, 600))}
    parts = {}
    for name, (place, part) in rows.items():
        x = found[("train_x", "test_x")[place]][order[place]][part]
        y = found[("train_y", "test_y")[place]][order[place]][part].astype(np.int64)
        parts[name] = ((x[:, None].astype(np.float32) / 255 - 0.45) / 0.28, y)
    index = index_of({name: y for name, (_, y) in parts.items()}, tuple("0123456789"))
    return classified(parts, index, net="mlp2", epochs=12)[0]


def index_of(labels: Mapping[str, np.ndarray], classes: tuple[str, ...]) -> DatasetIndex:
    """Return the index of images that are in no files of their own."""
    counts = [len(values) for values in labels.values()]
    return DatasetIndex(
        root=Path("nowhere"), format="arrays", classes=classes,
        paths=Strings.pack([f"{name}/{row}.png" for name, values in labels.items() for row in range(len(values))]),
        annotations=ClassTable(labels=np.concatenate(list(labels.values())).astype(np.int32)),
        sizes=np.full((sum(counts), 2), 28, np.int32),
        splits=np.repeat(np.arange(len(counts)), counts).astype(np.int16), split_names=tuple(labels),
    )  # fmt: skip


def thumbs_home(data: Path, scratch: Path, wanted: Sequence[str], counts: Mapping[str, Sequence[int]]) -> Path:
    """Return a folder of CIFAR-10's images by split and class, without the known twins; ``counts`` by split."""
    home = scratch / f"thumbs-{'-'.join(wanted)}"
    if home.is_dir():
        return home
    if not (scratch / "cifar10").is_dir():
        with tarfile.open(data / "cifar10" / "cifar10_subset.tar.xz") as archive:
            archive.extractall(scratch / "cifar10", filter="data")
    had: dict[tuple[str, str], int] = {}
    made = home.with_suffix(".part")
    shutil.rmtree(made, ignore_errors=True)
    for file, split, label in cifar_rows(data, scratch / "cifar10"):
        if label not in wanted:
            continue
        for part in ("test",) if split == "test" else ("train", "val"):
            if had.get((part, label), 0) < counts[part][list(wanted).index(label)]:
                had[part, label] = had.get((part, label), 0) + 1
                place = made / part / label / file.name
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, place)
                break
    made.rename(home)
    return home


def thumbs_of(home: Path, *, epochs: int, scratch: Path) -> tuple[Answered, nn.Module, dict[str, np.ndarray]]:
    index = load(home)
    source = ImageDataset(index)
    images = np.stack([source[row].image.numpy() for row in range(len(index))]).astype(np.float32)
    labels = index.annotations.labels.astype(np.int64)
    scaled = (images / 255 - 0.45) / 0.28
    rows = {name: index.split_rows(name) for name in ("train", "val", "test")}
    parts = {name: (scaled[chosen], labels[chosen]) for name, chosen in rows.items()}
    made, model = classified(parts, index, net="cnn_bn", epochs=epochs)
    facts = facts_of_images(index, ScanSettings(workers=1, cache=scratch / "scan"))
    sized = replace(index, sizes=np.full((len(index), 2), images.shape[-1], np.int32))
    return replace(made, index=sized, facts=facts), model, {name: x for name, (x, _) in parts.items()}


TEN = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@cache
def thumbs(data: Path, scratch: Path) -> tuple[Answered, nn.Module, dict[str, np.ndarray]]:
    home = thumbs_home(data, scratch, TEN, {"train": [400] * 10, "val": [50] * 10, "test": [100] * 10})
    return thumbs_of(home, epochs=8, scratch=scratch)


def objects(data: Path, scratch: Path) -> Answered:
    """CIFAR-10: a small convolutional network that learned from 4,000 images, 500 to validate and 1,000 to test."""
    return thumbs(data, scratch)[0]


def two_kinds(data: Path, scratch: Path) -> Answered:
    """Ships among aeroplanes, 1 to 4: a small convolutional network whose threshold was chosen on validation images."""
    home = thumbs_home(data, scratch, ("airplane", "ship"), {"train": [640, 160], "val": [240, 60], "test": [480, 120]})
    made = thumbs_of(home, epochs=10, scratch=scratch)[0]
    probs = np.array([float(found.probs[1]) for found, _ in made.splits["val"]])  # type: ignore[union-attr]
    wanted = np.array([bool(truth.probs[1]) for _, truth in made.splits["val"]])  # type: ignore[union-attr]
    best = point_of_best_f1(probs, wanted)
    offset = 0.0 if best is None else float(np.log(1 / best.threshold - 1))
    return replace(made, splits={name: tuple((favoured(found, 1, offset), truth) for found, truth in pairs)
                                 for name, pairs in made.splits.items()})  # fmt: skip


def sure_of(label: int, num_classes: int, confidence: float) -> ClassScores:
    probs = torch.full((num_classes,), (1 - confidence) / (num_classes - 1))
    probs[label] = confidence
    return ClassScores(probs=probs)


def favoured(found: Prediction, label: int, offset: float) -> ClassScores:
    """Return class scores with a constant added to the logarithm of one class's probability."""
    logits = found.probs.double().log()  # type: ignore[union-attr]
    logits[label] += offset
    return ClassScores(probs=torch.softmax(logits, 0).float())


def detected(index: DatasetIndex, names: Sequence[str], scratch: Path) -> Answered:
    """Return boxes as a detector might have put them, for each of the splits."""
    source = ImageDataset(index)
    chance = np.random.default_rng(3)
    splits: dict[str, Pairs] = {}
    sizes = np.zeros((len(index), 2), np.int32)
    for name in names:
        rows = index.split_rows(name).tolist()
        truths = [source.truth(row) for row in rows]
        for row in rows:
            sizes[row] = source[row].image.shape[-2:]
        raw = [drawn_boxes(truth, tuple(sizes[row]), len(index.classes), chance)
               for row, truth in zip(rows, truths, strict=True)]  # fmt: skip
        splits[name] = tuple(zip(honest_scores(raw, truths, len(index.classes)), truths, strict=True))
    facts = facts_of_images(index, ScanSettings(workers=1, cache=scratch / "scan"))
    sized = replace(index, sizes=np.where(sizes > 0, sizes, np.stack([facts.height, facts.width], 1)))
    return Answered(kind=Detections, index=sized, splits=splits, facts=facts, options=SETTINGS)


def blood(data: Path, scratch: Path) -> Answered:
    """BCCD: crowded cells of three unequal classes, drawn boxes."""
    return detected(cells(data, scratch, 0), ("val", "test"), scratch)


def walkers(data: Path, scratch: Path) -> Answered:
    """Penn-Fudan: one class, images of many sizes, drawn boxes."""
    return detected(people(data, scratch, 0), ("val", "test"), scratch)


def things(data: Path, scratch: Path) -> Answered:
    """COCO: 80 validation images of 80 classes, drawn boxes."""
    return detected(load(data / "coco"), ("val",), scratch)


def painted(index: DatasetIndex, names: Sequence[str], scratch: Path, *, reduce: int) -> Answered:
    """Return maps as a segmenter might have painted them, for each of the splits, at a part of the size."""
    source = ImageDataset(index)
    chance = np.random.default_rng(3)
    splits = {}
    for name in names:
        pairs = []
        for row in index.split_rows(name).tolist():
            truth = small_map(source.truth(row), reduce)
            pairs.append((drawn_map(truth, len(index.classes), chance), truth))
        splits[name] = tuple(pairs)
    facts = facts_of_images(index, ScanSettings(workers=1, cache=scratch / "scan"))
    sizes = np.stack([-(-facts.height // reduce), -(-facts.width // reduce)], 1).astype(np.int32)
    return Answered(kind=SegmentationMap, index=replace(index, sizes=sizes), splits=splits, facts=facts)


def roads(data: Path, scratch: Path) -> Answered:
    """CamVid at half size: 11 classes and void, drawn maps."""
    return painted(streets(data, scratch, 0), ("val", "test"), scratch, reduce=2)


def horses(data: Path, scratch: Path) -> Answered:
    """Horses and background, drawn maps."""
    index = load(data / "horses")
    rows = np.random.default_rng(0).permutation(len(index))
    chosen = with_splits(index, {"train": rows[:100], "test": np.sort(rows[100:150])}).select(np.sort(rows[:150]))
    return painted(chosen, ("test",), scratch, reduce=2)


def kept(folder: Path) -> Answered | None:
    """Return what a kept run answered for its held-out images; None if that is not there, or its data are gone."""
    try:
        run = Run.open(folder)
        read = recorded_data(run)
        files = run_files(run, recorded_index(run, source=read), read)
    except SnellenError:
        return None
    splits = {}
    for name in ("val", "test"):
        there = files.folder / "evaluation" / name / "predictions.jsonl"
        if there.is_file() and files.kind in FIGURES:
            source = ImageDataset(files.index.split(name), masks=bool(files.record.get("masks", False)))
            found = sorted(read_predictions(files.folder / "evaluation" / name, files.kind), key=lambda one: one.index)
            splits[name] = tuple((one.prediction, source.truth(one.index)) for one in found)
    if not splits:
        return None
    return Answered(kind=files.kind, index=files.index, splits=splits, options=files.options)


BASES: Mapping[str, Callable[[Path, Path], Answered]] = {
    "digits": digits,
    "objects": objects,
    "two kinds": two_kinds,
    "blood": blood,
    "walkers": walkers,
    "things": things,
    "roads": roads,
    "horses": horses,
}
