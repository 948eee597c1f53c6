"""Runs whose predictions are known, in memory, and a way to make one check of them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from snellen.data import BoxTable, ClassTable, DatasetIndex
from snellen.data.sharing import Strings
from snellen.doctor import CheckResult, Evidence, Finding, diagnose, find_check
from snellen.doctor.evidence.catalog import RESULT_SOURCES
from snellen.doctor.evidence.images import facts_of_images
from snellen.doctor.evidence.results.evaluated import EvaluatedRun, EvaluatedSplit
from snellen.evaluation import ImagePrediction
from snellen.structures import (
    BoxTarget,
    ClassScores,
    ClassTarget,
    Detections,
    MaskTarget,
    Prediction,
    SegmentationMap,
    Target,
)

SIZE = (100, 100)
Box = tuple[float, float, float, float]


def run_of(
    kind: type[Prediction],
    splits: Mapping[str, Sequence[tuple[Prediction, Target]]],
    *,
    classes: Sequence[str] = ("cat", "dog"),
    annotations: Any = None,
    num_train: int = 0,
    root: Path = Path("nowhere"),
    **facts: Any,
) -> EvaluatedRun:
    """Return a run from pairs of prediction and truth by split; ``num_train`` further images were trained on."""
    names = [*splits, *(["train"] if num_train and "train" not in splits else [])]
    counts = [len(pairs) for pairs in splits.values()] + ([num_train] if num_train and "train" not in splits else [])
    total = sum(counts)
    index = DatasetIndex(
        root=root,
        format="test",
        classes=tuple(classes),
        paths=Strings.pack([f"{number}.png" for number in range(total)]),
        annotations=ClassTable(labels=np.zeros(total, np.int32)) if annotations is None else annotations,
        sizes=np.tile(np.array(SIZE, np.int32), (total, 1)),
        splits=np.repeat(np.arange(len(names)), counts).astype(np.int16),
        split_names=tuple(names),
    )
    judged = next(name for name in ("test", "val") if name in splits)
    made = {name: split_of(index, name, pairs) for name, pairs in splits.items()}
    return EvaluatedRun(index=index, kind=kind, splits=made, judged=judged, **facts)


def split_of(
    index: DatasetIndex, name: str, pairs: Sequence[tuple[Prediction, Target]], results=None
) -> EvaluatedSplit:
    part = index.split(name)
    images = [
        ImagePrediction(index=row, source=part.paths[row], size=SIZE, prediction=found)
        for row, (found, _) in enumerate(pairs)
    ]
    return EvaluatedSplit(
        name=name, part=part, predictions=lambda: images, truth=lambda row: pairs[row][1], results=results
    )


def checked(code: str, run: EvaluatedRun, *given: object, images: bool = False) -> CheckResult:
    """Return what one check finds; with ``images`` the files are looked at."""
    kinds = {type(value) for value in given}
    sources = [
        source
        for source in RESULT_SOURCES
        if source.__annotations__["return"] not in kinds and (images or source is not facts_of_images)
    ]
    result = diagnose(Evidence([run, run.index, *given], sources), [find_check(code)]).results[0]
    assert not result.trace, result.trace
    for finding in result.findings:
        for page in result.check.pages.values():
            assert page.message(finding)
            assert page.fix_of(finding)
    return result


def only(result: CheckResult) -> Finding:
    (finding,) = result.findings
    return finding


def told(result: CheckResult) -> str:
    return result.check.pages["en"].message(only(result))


def answer(probs: Sequence[float], label: int) -> tuple[ClassScores, ClassTarget]:
    return (
        ClassScores(probs=torch.tensor(probs, dtype=torch.float32)),
        ClassTarget(probs=torch.nn.functional.one_hot(torch.tensor(label), len(probs)).float()),
    )


def sure(label: int, named: int, *, num_classes: int = 2, confidence: float = 0.9) -> tuple[ClassScores, ClassTarget]:
    """Return an answer that names a class with a confidence."""
    probs = np.full(num_classes, (1 - confidence) / (num_classes - 1))
    probs[named] = confidence
    return answer(probs.tolist(), label)


def boxes(found: Iterable[tuple[Box, float, int]], wanted: Iterable[tuple[Box, int]]) -> tuple[Detections, BoxTarget]:
    rows, truths = sorted(found, key=lambda row: -row[1]), list(wanted)
    return (
        Detections(
            boxes=torch.tensor([box for box, *_ in rows], dtype=torch.float32).reshape(-1, 4),
            scores=torch.tensor([score for _, score, _ in rows], dtype=torch.float32),
            labels=torch.tensor([label for *_, label in rows], dtype=torch.int64),
        ),
        BoxTarget(
            boxes=torch.tensor([box for box, _ in truths], dtype=torch.float32).reshape(-1, 4),
            labels=torch.tensor([label for _, label in truths], dtype=torch.int64),
            valid=torch.ones(len(truths), dtype=torch.bool),
            ignored=torch.zeros(len(truths), dtype=torch.bool),
        ),
    )


def painted(named: np.ndarray, truth: np.ndarray, confidence: float = 0.9) -> tuple[SegmentationMap, MaskTarget]:
    return (
        SegmentationMap(
            labels=torch.from_numpy(named.astype(np.uint8)), confidence=torch.full(named.shape, confidence)
        ),
        MaskTarget(labels=torch.from_numpy(truth.astype(np.uint8))),
    )


def box_table(pairs: Sequence[tuple[Prediction, BoxTarget]], num_train: int = 0, label: int = 0) -> BoxTable:
    """Return the table of the truths of a split, and of ``num_train`` images with a box of one class behind it."""
    rows = [target.boxes.numpy() for _, target in pairs] + [np.array([[0, 0, 9, 9]], np.float32)] * num_train
    labels = [target.labels.numpy() for _, target in pairs] + [np.array([label])] * num_train
    return BoxTable(
        offsets=np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64),
        boxes=np.concatenate(rows).astype(np.float32).reshape(-1, 4),
        labels=np.concatenate(labels).astype(np.int32),
        flags=np.zeros(sum(len(row) for row in rows), np.uint8),
    )
