"""How what is said of whole images lies on disk: its line of JSON, and a table with a row for each image."""

import csv
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from snellen.evaluation.storing import ImagePrediction, Naming, Store, prediction_of
from snellen.metrics import DEFAULT_THRESHOLD, decided_labels
from snellen.structures import ClassScores, LabelSetScores, ValueEstimates

__all__ = ["CLASS_SCORES", "LABEL_SETS", "VALUES"]

CSV_NAME = "predictions.csv"
SEPARATOR = ";"  # between the names of a label set, as the reader of tables knows it


def _score_line(image: ImagePrediction, naming: Naming, folder: Path) -> dict[str, Any]:
    del folder
    probs = prediction_of(image, ClassScores).probs.float()
    return {"probs": probs.tolist(), "name": naming.classes[_named(probs, naming)]}


def _read_scores(line: dict[str, Any], folder: Path) -> ClassScores:
    del folder
    return ClassScores(probs=torch.tensor(line["probs"], dtype=torch.float32))


def _named(probs: Tensor, naming: Naming) -> int:
    return int(decided_labels(probs[None].double().numpy(), naming.decision, classes=naming.classes)[0])


class _ScoreTable:
    """Probabilities as a table: one row for each image, one column for each class."""

    def __init__(self, folder: Path, naming: Naming) -> None:
        self._naming = naming
        self._file = (folder / CSV_NAME).open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow(["file", "class", "probability", *(f"p({name})" for name in naming.classes)])

    def write(self, image: ImagePrediction) -> None:
        probs = prediction_of(image, ClassScores).probs.float()
        best = _named(probs, self._naming)
        values = _written(probs)
        self._rows.writerow([image.source, self._naming.classes[best], values[best], *values])

    def close(self) -> None:
        self._file.close()


def _chosen_names(probs: Tensor, naming: Naming) -> list[str]:
    least = (DEFAULT_THRESHOLD,) * len(naming.classes) if naming.decision is None else naming.decision.thresholds
    return [name for name, prob, limit in zip(naming.classes, probs.tolist(), least, strict=True) if prob >= limit]


def _label_set_line(image: ImagePrediction, naming: Naming, folder: Path) -> dict[str, Any]:
    del folder
    probs = prediction_of(image, LabelSetScores).probs.float()
    return {"probs": probs.tolist(), "names": _chosen_names(probs, naming)}


def _read_label_set(line: dict[str, Any], folder: Path) -> LabelSetScores:
    del folder
    return LabelSetScores(probs=torch.tensor(line["probs"], dtype=torch.float32))


class _LabelSetTable:
    """The names that are chosen, and the probability of each class."""

    def __init__(self, folder: Path, naming: Naming) -> None:
        self._naming = naming
        self._file = (folder / CSV_NAME).open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow(["file", "labels", *(f"p({name})" for name in naming.classes)])

    def write(self, image: ImagePrediction) -> None:
        probs = prediction_of(image, LabelSetScores).probs.float()
        names = SEPARATOR.join(_chosen_names(probs, self._naming))
        self._rows.writerow([image.source, names, *_written(probs)])

    def close(self) -> None:
        self._file.close()


def _value_line(image: ImagePrediction, naming: Naming, folder: Path) -> dict[str, Any]:
    del folder
    values = prediction_of(image, ValueEstimates).values.float().tolist()
    return {"values": dict(zip(naming.classes, values, strict=True))}


def _read_values(line: dict[str, Any], folder: Path) -> ValueEstimates:
    del folder
    return ValueEstimates(values=torch.tensor(list(line["values"].values()), dtype=torch.float32))


class _ValueTable:
    """One column for each value, in its own unit."""

    def __init__(self, folder: Path, naming: Naming) -> None:
        self._file = (folder / CSV_NAME).open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow(["file", *naming.classes])

    def write(self, image: ImagePrediction) -> None:
        values = prediction_of(image, ValueEstimates).values.float()
        self._rows.writerow([image.source, *_written(values)])

    def close(self) -> None:
        self._file.close()


def _written(numbers: Tensor) -> list[str]:
    return [f"{value:.9g}" for value in numbers.tolist()]  # nine digits tell all float32 numbers apart


CLASS_SCORES = Store(_score_line, _read_scores, _ScoreTable)
LABEL_SETS = Store(_label_set_line, _read_label_set, _LabelSetTable)
VALUES = Store(_value_line, _read_values, _ValueTable)
