"""Wrong labels, ranked (D17, DX-011): by models of vectors, and by predictions that are given."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.draw import disk

from snellen.data import BoxTable, ClassTable, DatasetIndex, MaskTable
from snellen.data.sharing import Strings
from snellen.doctor import Evidence, Level, NotCheckable, Status, diagnose, find_check
from snellen.doctor.evidence.agreement import Agreement
from snellen.doctor.evidence.catalog import DATA_SOURCES
from snellen.doctor.evidence.images import ScanSettings
from snellen.doctor.evidence.loop_parts import Deep
from snellen.doctor.evidence.object_agreement import ObjectAgreement
from snellen.doctor.wrong_labels import Suspect, SuspectKind, object_scores, suspects, suspects_of_predictions
from snellen.errors import InputError
from snellen.evaluation import ImagePrediction
from snellen.structures import ClassScores, Detections, SegmentationMap

CLASSES = ("red", "blue")
SIDE = 96
IMAGES = 36


def boxes_of(number: int) -> np.ndarray:
    """Four discs in the corners of an image, somewhat moved."""
    chance = np.random.default_rng(number)
    corners = np.array([[4, 4], [52, 4], [4, 52], [52, 52]]) + chance.integers(0, 12, (4, 2))
    return np.concatenate([corners, corners + 28], axis=1).astype(np.float32)


def draw(number: int, file: Path) -> None:
    chance = np.random.default_rng(1000 + number)
    pixels = chance.normal(120, 14, (SIDE, SIDE, 3))
    for place, (left, top, right, bottom) in enumerate(boxes_of(number).astype(int)):
        circle = disk(((top + bottom) / 2, (left + right) / 2), 14, shape=(SIDE, SIDE))
        pixels[circle] = (210, 50, 50) if place % 2 == 0 else (40, 60, 210)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file)


def index_of(home: Path, rows: list[tuple[int, np.ndarray, int]]) -> DatasetIndex:
    """Rows are image, box and label, by image."""
    images = np.array([image for image, _, _ in rows])
    return DatasetIndex(
        root=home,
        format="coco",
        classes=CLASSES,
        paths=Strings.pack([f"{number}.png" for number in range(IMAGES)]),
        annotations=BoxTable(
            offsets=np.concatenate([[0], np.cumsum(np.bincount(images, minlength=IMAGES))]).astype(np.int64),
            boxes=np.stack([box for _, box, _ in rows]).astype(np.float32),
            labels=np.array([label for _, _, label in rows], np.int32),
            flags=np.zeros(len(rows), np.uint8),
        ),
        sizes=np.full((IMAGES, 2), SIDE, np.int32),
        splits=np.full(IMAGES, -1, np.int16),
    )


def healthy() -> list[tuple[int, np.ndarray, int]]:
    return [(image, box, place % 2) for image in range(IMAGES) for place, box in enumerate(boxes_of(image))]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("discs")
    for number in range(IMAGES):
        draw(number, folder / f"{number}.png")
    return folder


def gathered(index: DatasetIndex, cache: Path) -> ObjectAgreement:
    return Evidence([index, Deep(), ScanSettings(cache=cache, workers=0)], DATA_SOURCES).get(ObjectAgreement)


@pytest.fixture(scope="module")
def sick(home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[DatasetIndex, ObjectAgreement]:
    """One fault of each kind, in images 2, 9, 17 and 30."""
    rows = healthy()
    rows[2 * 4] = (2, rows[2 * 4][1], 1)  # a red disc that is called blue
    rows[17 * 4] = (17, rows[17 * 4][1] + np.float32([11, 9, 11, 9]), 0)
    rows.insert(30 * 4, (30, np.float32([36, 34, 62, 60]), 0))
    del rows[9 * 4 + 3]
    index = index_of(home, rows)
    return index, gathered(index, tmp_path_factory.mktemp("cache"))


def test_each_kind_comes_first_in_its_list(sick: tuple[DatasetIndex, ObjectAgreement]) -> None:
    index, found = sick
    scores = object_scores(index.annotations, found)  # type: ignore[arg-type]  # it has boxes
    image = np.repeat(np.arange(IMAGES), np.diff(index.annotations.offsets))  # type: ignore[union-attr]
    assert found.told_from_background > 0.95
    assert image[scores.wrong_class.argmax()] == 2
    assert image[scores.shifted.argsort()[-3:]].tolist().count(17) == 1
    assert image[scores.spurious.argmax()] == 30
    assert found.images[scores.missing.argmax()] == 9


def test_a_detection_at_the_label_speaks_for_it(sick: tuple[DatasetIndex, ObjectAgreement]) -> None:
    """Where regression moves a right box away, a window that came to it from elsewhere shows that it was right."""
    index, found = sick
    table = index.annotations
    misled = replace(found, fitted=found.fitted + np.float32(12))
    blind = replace(misled, boxes=found.boxes[:0], scores=found.scores[:0], images=found.images[:0])
    image = np.repeat(np.arange(IMAGES), np.diff(table.offsets))  # type: ignore[union-attr]
    healthy_boxes = ~np.isin(image, (2, 9, 17, 30))
    with_them, without = (object_scores(table, given).shifted[healthy_boxes] for given in (misled, blind))  # type: ignore[arg-type]
    assert np.quantile(with_them, 0.9) < 0.5
    assert np.median(without) > 0.5


def test_suspects_say_what_and_where(sick: tuple[DatasetIndex, ObjectAgreement]) -> None:
    index, found = sick
    ranked = suspects(index, found, least=0.0)
    wrong = next(suspect for suspect in ranked if suspect.kind is SuspectKind.WRONG_CLASS)
    assert (wrong.row, wrong.label, wrong.proposed) == (2, 1, 0)
    missing = next(suspect for suspect in ranked if suspect.kind is SuspectKind.MISSING)
    assert missing.row == 9
    assert missing.proposed == 1
    assert missing.box == pytest.approx(boxes_of(9)[3], abs=9)
    assert [suspect.score for suspect in ranked] == sorted((suspect.score for suspect in ranked), reverse=True)


def test_the_check_names_boxes(sick: tuple[DatasetIndex, ObjectAgreement]) -> None:
    (result,) = diagnose(Evidence(sick), [find_check("D17")]).results
    found = {finding.message: finding for finding in result.findings}
    page = result.check.pages["en"]
    assert "wrong_class" in found
    assert found["wrong_class"].places[0].note == "blue → red"
    assert page.message(found["wrong_class"]) == (
        "1 of 144 boxes look like another class. First: blue in 2.png, which looks like red."
    )
    assert result.status == Status.FOUND
    assert all(finding.level == Level.INFO for finding in result.findings)


def test_healthy_boxes_are_no_warning(home: Path, tmp_path: Path) -> None:
    index = index_of(home, healthy())
    (result,) = diagnose(Evidence([index, gathered(index, tmp_path)]), [find_check("D17")]).results
    assert all(finding.level == Level.INFO for finding in result.findings)
    assert "wrong_class" not in {finding.message for finding in result.findings}


def test_weak_models_judge_nothing(sick: tuple[DatasetIndex, ObjectAgreement]) -> None:
    index, found = sick
    (result,) = diagnose(Evidence([index, replace(found, told_from_background=0.6)]), [find_check("D17")]).results
    assert result.status == Status.NOT_CHECKABLE


def test_models_that_know_no_classes_judge_none(sick: tuple[DatasetIndex, ObjectAgreement]) -> None:
    index, found = sick
    always_red = np.tile(np.float32([0.9, 0.1, 0.0]), (len(found.probs), 1))
    weak = replace(found, probs=always_red, fitted_probs=always_red)
    (result,) = diagnose(Evidence([index, weak]), [find_check("D17")]).results
    assert "wrong_class" not in {finding.message for finding in result.findings}
    assert all("classes" in finding.unchecked.en for finding in result.findings if finding.unchecked)


def test_too_few_objects_are_not_judged(home: Path, tmp_path: Path) -> None:
    with pytest.raises(NotCheckable, match="60 objects"):
        gathered(index_of(home, healthy()[:20]), tmp_path)


def prediction(row: int, boxes: np.ndarray, labels: list[int], scores: list[float]) -> ImagePrediction:
    found = Detections(
        boxes=torch.from_numpy(boxes), scores=torch.tensor(scores), labels=torch.tensor(labels, dtype=torch.int64)
    )
    return ImagePrediction(index=row, source=f"{row}.png", size=(SIDE, SIDE), prediction=found)


def test_predictions_contradict_boxes(home: Path) -> None:
    rows = [(0, boxes_of(0)[0], 1), (0, boxes_of(0)[1] + np.float32(9), 1), (0, np.float32([30, 30, 40, 40]), 0)]
    index = index_of(home, rows)
    boxes = boxes_of(0)[[0, 1, 3]]
    found = suspects_of_predictions(index, [prediction(0, boxes, [0, 1, 1], [0.99, 0.98, 0.97])], least=0.3)
    kinds = {suspect.object_row: suspect for suspect in found}
    assert kinds[0].kind is SuspectKind.WRONG_CLASS
    assert kinds[0].proposed == 0
    assert kinds[1].kind is SuspectKind.SHIFTED
    assert kinds[1].better_box == pytest.approx(boxes_of(0)[1])
    assert kinds[2].kind is SuspectKind.SPURIOUS
    assert kinds[-1].kind is SuspectKind.MISSING
    assert kinds[-1].box == pytest.approx(boxes_of(0)[3])


def test_predictions_contradict_classes() -> None:
    index = DatasetIndex(
        root=Path("photos"),
        format="folders",
        classes=CLASSES,
        paths=Strings.pack(["a.jpg", "b.jpg", "c.jpg"]),
        annotations=ClassTable(labels=np.array([0, 1, -1], np.int32)),
        sizes=np.full((3, 2), 32, np.int32),
        splits=np.full(3, -1, np.int16),
    )
    predictions = [
        ImagePrediction(index=row, source="", size=(32, 32), prediction=ClassScores(probs=torch.tensor(probs)))
        for row, probs in enumerate(([0.1, 0.9], [0.2, 0.8], [0.5, 0.5]))
    ]
    (found,) = suspects_of_predictions(index, predictions)
    assert found == Suspect(
        row=0,
        kind=SuspectKind.WRONG_CLASS,
        score=pytest.approx(0.9),
        label=0,
        proposed=1,  # type: ignore[arg-type]
    )


def test_evidence_of_other_data_is_refused(sick: tuple[DatasetIndex, ObjectAgreement]) -> None:
    index = replace(sick[0], annotations=ClassTable(labels=np.zeros(IMAGES, np.int32)))
    with pytest.raises(InputError, match="boxes"):
        suspects(index, sick[1])
    assert not suspects(index, _nothing())


def _nothing() -> Agreement:
    shares = np.tile(np.float32([1, 0]), (3, 1))
    return Agreement(rows=np.arange(3), labels=np.zeros(3, np.int64), probs=shares, neighbour_shares=shares, recall=1.0,
                     chance=0.5, chance_p=0.01, origin="")  # fmt: skip


def test_predictions_contradict_masks(tmp_path: Path) -> None:
    """The mask whose pixels a model surely names otherwise comes before the one that it doubts a little."""
    labels = np.zeros((8, 8), np.uint8)
    for name in ("a", "b"):
        Image.fromarray(labels).save(tmp_path / f"{name}.png")
    index = DatasetIndex(
        root=tmp_path,
        format="masks",
        classes=CLASSES,
        paths=Strings.pack(["a.jpg", "b.jpg"]),
        annotations=MaskTable(
            paths=Strings.pack(["a.png", "b.png"]), values=np.array([0, 1], np.int32), labels=np.array([0, 1], np.uint8)
        ),
        sizes=np.full((2, 2), 8, np.int32),
        splits=np.full(2, -1, np.int16),
    )
    wrong = np.zeros((8, 8), np.uint8)
    wrong[:4] = 1
    maps = [(wrong, 0.95), (labels, 0.7)]
    predictions = [
        ImagePrediction(
            index=row,
            source="",
            size=(8, 8),
            prediction=SegmentationMap(labels=torch.from_numpy(named), confidence=torch.full((8, 8), sure)),
        )
        for row, (named, sure) in enumerate(maps)
    ]
    first, second = suspects_of_predictions(index, predictions, least=0.0)
    assert (first.row, first.kind) == (0, SuspectKind.WRONG_MASK)
    assert first.score > 0.9
    assert second.score == pytest.approx(0.3, abs=1e-6)
