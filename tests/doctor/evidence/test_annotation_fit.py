"""Annotations of one image tried on others: marked shapes, the same shapes marked elsewhere (D41; DX-013)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snellen.data import BoxTable, DatasetIndex, load
from snellen.data.sharing import Strings
from snellen.doctor import Evidence, Level, NotCheckable, Status, diagnose, find_check
from snellen.doctor.evidence.annotation_fit import OTHERS, AnnotationFit, fit_of_annotations
from snellen.doctor.evidence.images import ScanSettings, facts_of_images

COUNT = 60  # 30 to train, 30 to validate
SIDE = 64


def corner(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(4, 40, 2)


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright squares of 20 px on noise, and label images of them."""
    folder = tmp_path_factory.mktemp("squares")
    for number in range(COUNT):
        top, left = corner(number)
        split = "train" if number < 30 else "val"
        pixels = np.random.default_rng(100 + number).normal(90, 20, (SIDE, SIDE, 3))
        labels = np.zeros((SIDE, SIDE), np.uint8)
        pixels[top : top + 20, left : left + 20] += 60
        labels[top : top + 20, left : left + 20] = 1
        for kind, values in (("images", pixels.clip(0, 255).astype(np.uint8)), ("masks", labels)):
            (folder / split / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(folder / split / kind / f"{number:02}.png")
    return folder


@pytest.fixture
def boxes(masks: Path) -> Callable[[np.ndarray], DatasetIndex]:
    """The same squares as boxes; ``order`` says whose box each image is given."""

    def given(order: np.ndarray) -> DatasetIndex:
        corners = np.stack([corner(number)[::-1] for number in order]).astype(np.float32)
        names = [f"{'train' if number < 30 else 'val'}/images/{number:02}.png" for number in range(COUNT)]
        return DatasetIndex(
            root=masks,
            format="csv",
            classes=("square",),
            paths=Strings.pack(names),
            annotations=BoxTable(
                offsets=np.arange(COUNT + 1),
                boxes=np.concatenate([corners, corners + 20], axis=1),
                labels=np.zeros(COUNT, np.int32),
                flags=np.zeros(COUNT, np.uint8),
            ),
            sizes=np.full((COUNT, 2), SIDE, np.int32),
            splits=(np.arange(COUNT) >= 30).astype(np.int16),
            split_names=("train", "val"),
        )

    return given


def shuffled(first: int, last: int) -> np.ndarray:
    """Nobody keeps a box of his own between two images."""
    order = np.arange(COUNT)
    order[first:last] = np.roll(order[first:last], 7)
    return order


def gathered(index: DatasetIndex, folder: Path) -> AnnotationFit:
    settings = ScanSettings(cache=folder / "cache", workers=1)
    return fit_of_annotations(index, facts_of_images(index, settings), settings)


def judged(index: DatasetIndex, fit: AnnotationFit):
    (result,) = diagnose(Evidence([index, fit]), [find_check("D41")]).results
    return result


def test_boxes_of_their_own_images_fit(boxes, tmp_path):
    index = boxes(np.arange(COUNT))
    fit = gathered(index, tmp_path)
    assert fit.rows.tolist() == list(range(COUNT))
    assert fit.fit.mean() > 0.97
    assert judged(index, fit).status == Status.PASSED


def test_boxes_that_moved_between_images_of_one_split(boxes, tmp_path):
    index = boxes(shuffled(0, 30))
    fit = gathered(index, tmp_path)
    assert abs(fit.fit[:30].mean() - 0.5) < 2 / (12 * 30) ** 0.5
    assert fit.fit[30:].mean() > 0.97
    (finding,) = judged(index, fit).findings
    assert finding.level == Level.ERROR  # the other split shows that annotations of this kind can fit
    assert finding.numbers["split"] == "train"
    said = find_check("D41").pages["en"].message(finding)
    assert said.startswith("In split train what is marked fits the 30 images that were looked at no better than what")


def test_boxes_that_moved_everywhere_are_a_warning(boxes, tmp_path):
    order = np.concatenate([shuffled(0, 30)[:30], shuffled(30, 60)[30:]])
    index = boxes(order)
    found = judged(index, gathered(index, tmp_path)).findings
    assert [finding.level for finding in found] == [Level.WARNING, Level.WARNING]


def test_some_boxes_that_moved_between_images_of_one_split(boxes, tmp_path):
    """DX-013: the other split shows how well boxes of this kind fit, so that a part of them can be missed."""
    index = boxes(shuffled(0, 16))
    (finding,) = judged(index, gathered(index, tmp_path)).findings
    assert (finding.level, finding.message, finding.numbers["split"]) == (Level.WARNING, "less", "train")
    assert 35 <= finding.numbers["share"] <= 75  # 16 of 30
    assert {place.name for place in finding.places} <= {f"train/images/{number:02}.png" for number in range(16)}


@pytest.mark.parametrize(("low", "is_told"), [(0.1, True), (0.55, False)])
def test_a_split_of_other_scenes_is_not_a_lost_one(boxes, low, is_told):
    """Where objects stand out less, all fit somewhat worse; where lists slipped, some do not fit at all."""
    fit = np.ones(COUNT, np.float32)
    fit[:15] = low
    given = AnnotationFit(rows=np.arange(COUNT), fit=fit)
    assert bool(judged(boxes(np.arange(COUNT)), given).findings) == is_told


def test_label_images_that_were_swapped_are_named(masks, tmp_path):
    index = load(masks)
    assert judged(index, gathered(index, tmp_path)).status == Status.PASSED
    swapped = tmp_path / "swapped"
    for path in sorted(masks.rglob("*.png")):
        place = swapped / path.relative_to(masks)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
    names = [f"{number:02}.png" for number in range(0, 30, 3)]
    contents = [(masks / "train" / "masks" / name).read_bytes() for name in names]
    for name, content in zip(names, contents[1:] + contents[:1], strict=True):
        (swapped / "train" / "masks" / name).write_bytes(content)
    index = load(swapped)
    (finding,) = judged(index, gathered(index, tmp_path)).findings
    assert (finding.level, finding.message, finding.numbers["split"]) == (Level.WARNING, "some", "train")
    assert {place.name for place in finding.places} <= {f"train/images/{name}" for name in names}
    assert 3 <= finding.num_places <= 10


def test_is_remembered_until_an_annotation_changes(boxes, tmp_path):
    calls = []
    index = boxes(np.arange(COUNT))
    facts = facts_of_images(index, ScanSettings(cache=tmp_path, workers=1))
    settings = ScanSettings(cache=tmp_path, workers=1, on_progress=lambda done, of: calls.append((done, of)))
    first = fit_of_annotations(index, facts, settings)
    assert calls == [(30, 60), (60, 60)]
    assert np.array_equal(fit_of_annotations(index, facts, settings).fit, first.fit)
    assert len(calls) == 2
    assert not np.array_equal(fit_of_annotations(boxes(shuffled(0, 30)), facts, settings).fit, first.fit)


def test_too_few_or_nothing_marked_is_not_checkable(boxes, tmp_path):
    index = boxes(np.arange(COUNT))
    few = index.select(np.arange(OTHERS - 1))
    with pytest.raises(NotCheckable, match="20 images"):
        gathered(few, tmp_path)
