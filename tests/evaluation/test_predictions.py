import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO

from snellen.errors import DatasetError, InputError
from snellen.evaluation import (
    METRICS,
    ImagePrediction,
    Naming,
    PredictionWriter,
    evaluate,
    evaluate_predictions,
    predicted_batches,
    read_coco_results,
    read_predictions,
)
from snellen.structures import BoxTarget, ClassScores, Detections, SegmentationMap

KINDS = {"BoxTarget": Detections, "ClassTarget": ClassScores, "MaskTarget": SegmentationMap}


@pytest.fixture
def naming(classes):
    return Naming(classes=classes, category_ids=(7, 90, 3), image_ids=[1000 + row for row in range(20)])


@pytest.fixture
def written(tmp_path, model, batches, samples, kind, naming):
    folder = tmp_path / "new" / "predictions"
    sources = {sample.index: sample.source for sample in samples}
    with PredictionWriter(folder, KINDS[kind.__name__], naming) as writer:
        for batch, predictions in predicted_batches(model, batches, device="cpu"):
            rows, sizes = batch.indices.tolist(), batch.images.original_sizes.tolist()
            for row, size, prediction in zip(rows, sizes, predictions, strict=True):
                writer.write(ImagePrediction(index=row, source=sources[row], size=tuple(size), prediction=prediction))
    return folder


def test_an_evaluation_is_repeated_from_disk(written, model, batches, truth_of, kind, classes):
    direct = evaluate(model, batches, truth_of, METRICS[kind](classes), device="cpu")
    stored = read_predictions(written, KINDS[kind.__name__])
    repeated = evaluate_predictions(stored, truth_of, METRICS[kind](classes))
    # nan differs from itself, so the text is compared; only confidences of maps are rounded, to 16 bits.
    assert repr(repeated.scalars) == repr(direct.scalars)
    assert repr((repeated.tables, repeated.curves, repeated.matrices)) == repr(
        (direct.tables, direct.curves, direct.matrices)
    )
    for one, other in zip(repeated.per_image, direct.per_image, strict=True):
        assert (one.index, one.quality) == (other.index, other.quality)
        assert one.uncertainty == pytest.approx(other.uncertainty, abs=1e-5)


def test_heads_come_back(written, kind, samples):
    stored = list(read_predictions(written, KINDS[kind.__name__]))
    assert [(image.index, image.source, image.size) for image in stored] == [
        (sample.index, sample.source, sample.original_size) for sample in samples
    ]


class TestDetections:
    @pytest.mark.parametrize("kind", [BoxTarget], indirect=True)
    def test_coco_results_are_read_by_pycocotools(self, written, naming, samples, capsys):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": 1010 + row, "height": 50, "width": 50} for row in range(4)],
            "categories": [
                {"id": number, "name": name} for number, name in zip((7, 90, 3), naming.classes, strict=True)
            ],
            "annotations": [],
        }
        truth.createIndex()
        found = truth.loadRes(str(written / "predictions.coco.json"))
        assert len(found.anns) == sum(len(sample.target.labels) for sample in samples)
        first = found.loadAnns(found.getAnnIds(imgIds=[1010], catIds=[3]))[0]
        assert first["bbox"] == [20, 5, 10, 20]

    @pytest.mark.parametrize("kind", [BoxTarget], indirect=True)
    def test_coco_results_come_back_bit_for_bit(self, written, naming):
        direct = {image.index: image.prediction for image in read_predictions(written, Detections)}
        back = read_coco_results(written / "predictions.coco.json", naming, list(direct))
        assert list(back) == [10, 11, 12, 13]
        for index, found in back.items():
            for name in ("boxes", "scores", "labels"):
                assert torch.equal(getattr(found, name), getattr(direct[index], name))

    def test_uneven_floats_come_back_bit_for_bit(self, tmp_path, naming):
        boxes = torch.rand(200, 4, generator=torch.Generator().manual_seed(0)) * 3000
        boxes[:, 2:] += boxes[:, :2]
        scores = torch.linspace(1, 0.001, 200)
        found = Detections(boxes=boxes, scores=scores, labels=torch.arange(200) % 3)
        with PredictionWriter(tmp_path, Detections, naming) as writer:
            writer.write(ImagePrediction(index=0, source="x", size=(5, 5), prediction=found))
        (back,) = read_predictions(tmp_path, Detections)
        by_coco = read_coco_results(tmp_path / "predictions.coco.json", naming, [0])[0]
        for other in (back.prediction, by_coco):
            assert torch.equal(other.boxes, boxes)
            assert torch.equal(other.scores, scores)

    @pytest.mark.parametrize("count", [0, 3])
    def test_masks_come_back(self, tmp_path, naming, count):
        masks = (torch.rand(count, 9, 13, generator=torch.Generator().manual_seed(0)) > 0.5).to(torch.uint8)
        found = Detections(
            boxes=torch.zeros(count, 4),
            scores=torch.ones(count),
            labels=torch.zeros(count, dtype=torch.int64),
            masks=masks,
        )
        with PredictionWriter(tmp_path, Detections, naming) as writer:
            writer.write(ImagePrediction(index=0, source="x", size=(9, 13), prediction=found))
        (back,) = read_predictions(tmp_path, Detections)
        assert torch.equal(back.prediction.masks, masks)
        assert all("segmentation" in entry for entry in json.loads((tmp_path / "predictions.coco.json").read_text()))

    def test_nothing_found_is_still_json(self, tmp_path, naming):
        with PredictionWriter(tmp_path, Detections, naming):
            pass
        assert json.loads((tmp_path / "predictions.coco.json").read_text()) == []
        assert list(read_predictions(tmp_path, Detections)) == []

    @pytest.mark.parametrize("kind", [BoxTarget], indirect=True)
    def test_foreign_ids_are_named(self, written, naming):
        with pytest.raises(DatasetError, match=r"at entry 0 \(KeyError: 1010\)"):
            read_coco_results(written / "predictions.coco.json", naming, [11])

    def test_nan_is_refused(self, tmp_path, naming):
        found = Detections(
            boxes=torch.full((1, 4), torch.nan),
            scores=torch.ones(1),
            labels=torch.zeros(1, dtype=torch.int64),
        )
        with (
            PredictionWriter(tmp_path, Detections, naming) as writer,
            pytest.raises(InputError, match="got nan or infinity for 'x'"),
        ):
            writer.write(ImagePrediction(index=0, source="x", size=(5, 5), prediction=found))


def test_table_of_scores(tmp_path, naming):
    with PredictionWriter(tmp_path, ClassScores, naming) as writer:
        probs = torch.tensor([0.1, 0.7, 0.2])
        writer.write(ImagePrediction(index=0, source='a,"b.png', size=(1, 1), prediction=ClassScores(probs=probs)))
    with (tmp_path / "predictions.csv").open(encoding="utf-8", newline="") as file:
        head, row = csv.reader(file)
    assert head == ["file", "class", "probability", "p(red)", "p(green)", "p(blue)"]
    assert row[:2] == ['a,"b.png', "green"]
    assert torch.equal(torch.tensor([float(cell) for cell in row[3:]]), probs)


def test_map_is_an_index_png(tmp_path, naming):
    labels = torch.arange(6, dtype=torch.uint8).reshape(2, 3)
    confidence = torch.linspace(0, 1, 6).reshape(2, 3)
    with PredictionWriter(tmp_path, SegmentationMap, naming) as writer:
        found = SegmentationMap(labels=labels, confidence=confidence)
        writer.write(ImagePrediction(index=12, source="x", size=(2, 3), prediction=found))
    with Image.open(tmp_path / "maps" / "00000012.png") as image:
        assert image.mode == "L"
        np.testing.assert_array_equal(np.array(image), labels)
    (back,) = read_predictions(tmp_path, SegmentationMap)
    assert torch.equal(back.prediction.labels, labels)
    assert torch.allclose(back.prediction.confidence, confidence, atol=0.51 / 65535)


def test_wrong_files_are_named(tmp_path, naming):
    with pytest.raises(DatasetError, match=r"predictions.jsonl: expected the lines"):
        next(read_predictions(tmp_path, ClassScores))
    (tmp_path / "predictions.jsonl").write_text(
        '{"index": 0, "file": "x", "height": 1, "width": 1, "probs": [1]}\n{"a"\n'
    )
    lines = read_predictions(tmp_path, ClassScores)
    next(lines)
    with pytest.raises(DatasetError, match=r"predictions.jsonl:2: .*JSONDecodeError"):
        next(lines)
    with pytest.raises(DatasetError, match=r"predictions.jsonl:1: .*KeyError: 'boxes'"):
        next(read_predictions(tmp_path, Detections))


class Another(ClassScores):
    pass


def test_wrong_use_of_the_writer_is_named(tmp_path, naming):
    image = ImagePrediction(index=0, source="x", size=(1, 1), prediction=ClassScores(probs=torch.ones(1)))
    writer = PredictionWriter(tmp_path, Detections, naming)
    with pytest.raises(InputError, match="outside its with-statement"):
        writer.write(image)
    with writer, pytest.raises(InputError, match="expected Detections; got ClassScores for 'x'"):
        writer.write(image)
    with pytest.raises(InputError, match="got Another"):
        PredictionWriter(tmp_path, Another, naming)
