"""Label sets and values on disk: there and back bit for bit, and tables for other tools."""

import csv

import pytest
import torch

from snellen.errors import DatasetError, InputError
from snellen.evaluation import (
    METRICS,
    ImagePrediction,
    Naming,
    PredictionWriter,
    evaluate_predictions,
    from_json,
    read_predictions,
    to_json,
)
from snellen.metrics import Decision
from snellen.structures import LabelSetScores, LabelSetTarget, ValueEstimates, ValueTarget

CLASSES = ("red", "dark blue", "green")
PREDICTIONS = {
    LabelSetScores: [LabelSetScores(probs=torch.tensor(row)) for row in ([0.1, 1 / 3, 0.9], [0.6, 0.5, 0.49])],
    ValueEstimates: [ValueEstimates(values=torch.tensor(row)) for row in ([1e-8, -5.0, 1 / 3], [1e7, 0.0, 2.5])],
}


def written(folder, kind, naming=None):
    with PredictionWriter(folder, kind, naming or Naming(classes=CLASSES)) as writer:
        for index, prediction in enumerate(PREDICTIONS[kind]):
            writer.write(ImagePrediction(index=index, source=f"{index}.png", size=(4, 6), prediction=prediction))
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", [LabelSetScores, ValueEstimates])
def test_there_and_back(tmp_path, kind):
    written(tmp_path, kind)
    again = list(read_predictions(tmp_path, kind))
    for image, wanted in zip(again, PREDICTIONS[kind], strict=True):
        (name,) = wanted.__dataclass_fields__
        assert torch.equal(getattr(image.prediction, name), getattr(wanted, name))
    with pytest.raises(DatasetError, match=r"predictions\.jsonl:1"):
        list(read_predictions(tmp_path, {LabelSetScores: ValueEstimates, ValueEstimates: LabelSetScores}[kind]))


def test_names_are_those_above_the_threshold(tmp_path):
    plain, chosen = tmp_path / "plain", tmp_path / "chosen"
    assert [row["labels"] for row in written(plain, LabelSetScores)] == ["green", "red;dark blue"]
    naming = Naming(classes=CLASSES, decision=Decision(thresholds=(0.05, 0.55, 0.95)))
    rows = written(chosen, LabelSetScores, naming)
    assert [row["labels"] for row in rows] == ["red", "red"]
    assert float(rows[0]["p(dark blue)"]) == pytest.approx(1 / 3)


def test_values_stand_under_their_names(tmp_path):
    rows = written(tmp_path, ValueEstimates)
    assert list(rows[0]) == ["file", *CLASSES]
    assert [float(rows[0][name]) for name in CLASSES] == pytest.approx([1e-8, -5, 1 / 3])


def test_what_is_not_finite_is_refused(tmp_path):
    nan = ValueEstimates(values=torch.tensor([float("nan")]))
    with (
        pytest.raises(InputError, match="diverged"),
        PredictionWriter(tmp_path, ValueEstimates, Naming(classes=("a",))) as writer,
    ):
        writer.write(ImagePrediction(index=0, source="a", size=(1, 1), prediction=nan))


def test_measured_again_without_the_model(tmp_path):
    known = torch.ones(3, dtype=torch.bool)
    truths = {
        LabelSetScores: (LabelSetTarget, LabelSetTarget(shown=torch.tensor([1.0, 0.0, 1.0]), known=known)),
        ValueEstimates: (ValueTarget, ValueTarget(values=torch.tensor([1.0, 2.0, 3.0]), known=known)),
    }
    for kind, (target_type, truth) in truths.items():
        folder = tmp_path / kind.__name__
        written(folder, kind)
        found = evaluate_predictions(
            read_predictions(folder, kind), lambda _, truth=truth: truth, METRICS[target_type](CLASSES)
        )
        again = from_json(to_json(found))
        assert (again.headline, again.lower_is_better) == (found.headline, found.lower_is_better)
        assert again.curves == found.curves  # dots stay dots
        assert again.tables == found.tables


def test_results_of_before_are_read(tmp_path):
    """Files without the newer entries: higher is better, and every series a line."""
    results = METRICS[LabelSetTarget](("a", "b")).result()
    text = to_json(results).replace('"lower_is_better": false,', "")
    assert "lower_is_better" not in text
    assert not from_json(text).lower_is_better
