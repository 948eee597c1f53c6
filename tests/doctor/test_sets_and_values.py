"""The doctor on label sets and values: what is judged, not checkable, or contradicts (D12-D15, DX-047)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from snellen.data import DatasetIndex, LabelSetTable, ValueTable
from snellen.data.sharing import Strings
from snellen.doctor import Evidence, Level, Status, diagnose, find_check
from snellen.doctor.evidence.catalog import DATA_SOURCES
from snellen.doctor.evidence.images import ScanSettings
from snellen.doctor.examining import subject_of
from snellen.doctor.wrong_labels import SuspectKind, suspects_of_predictions
from snellen.errors import InputError
from snellen.evaluation import ImagePrediction
from snellen.models import find_model
from snellen.structures import (
    Batch,
    ImageBatch,
    LabelSetScores,
    LabelSetTarget,
    ValueEstimates,
    ValueTarget,
)

CLASSES = ("cat", "dog")


def index_of(home: Path, table, splits=None) -> DatasetIndex:
    number = len(table)
    for row in range(number):
        noise = np.random.default_rng(row // 2).integers(0, 255, (24, 24, 3), dtype=np.uint8)  # twins, two by two
        Image.fromarray(noise).resize((96, 96), Image.Resampling.NEAREST).save(home / f"{row}.png")
    codes = np.full(number, -1) if splits is None else np.asarray(splits)
    return DatasetIndex(
        root=home,
        format="csv",
        classes=CLASSES,
        paths=Strings.pack([f"{row}.png" for row in range(number)]),
        annotations=table,
        sizes=np.full((number, 2), 96, np.int32),
        splits=codes.astype(np.int16),
        split_names=() if splits is None else ("train", "val"),
    )


def sets(shown, known=None):
    shown = np.array(shown, np.bool_)
    return LabelSetTable(shown=shown, known=np.ones_like(shown) if known is None else np.array(known, np.bool_))


def result(index, code):
    settings = ScanSettings(workers=0, cache=index.root / "cache")
    (found,) = diagnose(Evidence([index, settings], DATA_SOURCES), [find_check(code)]).results
    return found


@pytest.mark.parametrize("code", ["D12", "D13", "D14"])
def test_values_have_no_classes_to_count(tmp_path, code):
    found = result(index_of(tmp_path, ValueTable(values=np.arange(8.0).reshape(4, 2)), [0, 0, 0, 1]), code)
    assert found.status == Status.NOT_CHECKABLE
    assert "values, not classes" in found.reason.en


def test_checks_of_one_class_say_that_there_are_several(tmp_path):
    for code in ("D16", "D21", "D24", "D33", "D35"):
        found = result(index_of(tmp_path, sets([[1, 0], [1, 1], [0, 0], [0, 1]])), code)
        assert found.status == Status.NOT_CHECKABLE, code


def test_copies_with_contradicting_label_sets(tmp_path):
    (finding,) = result(index_of(tmp_path, sets([[1, 0], [1, 1], [0, 1], [0, 1]])), "D15").findings
    assert (finding.level, finding.message, finding.numbers["count"]) == (Level.ERROR, "objects", 1)
    half = sets([[1, 0], [1, 0], [0, 1], [0, 1]], [[1, 1], [1, 0], [1, 1], [0, 1]])
    assert not result(index_of(tmp_path, half), "D15").findings  # what is not known contradicts nothing


def test_copies_with_other_values(tmp_path):
    values = np.array([[1.0, 2.0], [1.0, 2.5], [3.0, np.nan], [3.0, 7.0]])
    (finding,) = result(index_of(tmp_path, ValueTable(values=values)), "D15").findings
    assert (finding.level, finding.numbers["count"]) == (Level.WARNING, 1)
    values[1, 1] = 2.0001
    assert not result(index_of(tmp_path, ValueTable(values=values)), "D15").findings


def test_a_class_that_is_never_trained(tmp_path):
    index = index_of(tmp_path, sets([[1, 0], [1, 0], [0, 0], [1, 1]]), [0, 0, 0, 1])
    assert "not_trained" in {finding.message for finding in result(index, "D12").findings}


def test_label_sets_are_imbalanced_by_images(tmp_path):
    shown = np.zeros((60, 2), np.bool_)
    shown[:, 0] = True
    shown[0, 1] = True
    (finding,) = result(index_of(tmp_path, sets(shown)), "D13").findings
    assert finding.numbers["ratio"] == 60


def test_labels_that_a_model_contradicts(tmp_path):
    index = index_of(tmp_path, sets([[1, 0], [0, 0]], [[1, 1], [1, 0]]))
    predictions = [
        ImagePrediction(index=row, source="", size=(96, 96), prediction=LabelSetScores(probs=torch.tensor(probs)))
        for row, probs in enumerate([[0.1, 0.95], [0.2, 0.99]])
    ]
    found = suspects_of_predictions(index, predictions)
    assert [(one.row, one.kind, one.label, one.proposed) for one in found] == [
        (0, SuspectKind.MISSING, -1, 1), (0, SuspectKind.SPURIOUS, 0, -1)
    ]  # fmt: skip
    values = index_of(tmp_path, ValueTable(values=np.ones((2, 2))))
    estimate = ImagePrediction(index=0, source="", size=(96, 96), prediction=ValueEstimates(values=torch.ones(2)))
    with pytest.raises(InputError, match="ValueTarget"):
        suspects_of_predictions(values, [estimate])


def batch_of(targets):
    pixels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    sizes = torch.full((4, 2), 32)
    images = ImageBatch(pixels=pixels, sizes=sizes, original_sizes=sizes)
    return Batch(images=images, targets=targets, indices=torch.arange(4))


@pytest.mark.parametrize(
    ("targets", "task"),
    [
        (LabelSetTarget(shown=torch.eye(4)[:, :3], known=torch.ones(4, 3, dtype=torch.bool)), "multilabel"),
        (ValueTarget(values=torch.randn(4, 3), known=torch.ones(4, 3, dtype=torch.bool)), "regression"),
    ],
)
def test_planned_trainings_are_examined(targets, task):
    """M24 and M25 find no softmax where there is none, even if every image of the batch shows one class."""
    torch.manual_seed(0)
    model = find_model("lenet5_modern", type(targets)).build(3)
    subject = subject_of(model, batch_of(targets), num_classes=3)
    assert subject.task == task
    import snellen

    found = snellen.examine(model, batch_of(targets), select=("M24", "M25", "M1"))
    assert not [finding for finding in found.findings if finding.level > Level.INFO]
