"""Embeddings, agreement, pairing, drift and shortcuts on small drawn images (D16, D20, D21, D24; DX-013, DX-021)."""

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from PIL import Image
from skimage.draw import disk, rectangle

from snellen.data import ClassTable, DatasetIndex
from snellen.data.sharing import Strings
from snellen.doctor import Evidence, NotCheckable, Status, diagnose, find_check
from snellen.doctor.evidence.agreement import Agreement
from snellen.doctor.evidence.catalog import DATA_SOURCES
from snellen.doctor.evidence.drift import SplitDrift
from snellen.doctor.evidence.embeddings import Embeddings, PretrainedBackbone, pretrained_backbone
from snellen.doctor.evidence.images import ScanSettings
from snellen.doctor.evidence.locality import Locality
from snellen.doctor.evidence.pairing import Pairing
from snellen.doctor.evidence.shortcuts import Shortcuts
from snellen.doctor.wrong_labels import SuspectKind, suspects
from snellen.models.backbones import mobilenet_v2

Kind = TypeVar("Kind")
CLASSES = ("bar", "disc")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bars and discs in turn, 160 of them; the last 60 are the validation images."""
    folder = tmp_path_factory.mktemp("shapes")
    for number in range(160):
        drawn(number).save(folder / f"{number}.png")
    return folder


def drawn(number: int) -> Image.Image:
    chance = np.random.default_rng(number)
    pixels = chance.normal(90, 12, (48, 48, 3))
    row, column = chance.integers(16, 32, 2)
    place = disk((row, column), 11) if number % 2 else rectangle((row - 13, column - 3), (row + 13, column + 3))
    pixels[place] += 90
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def index_of(home: Path, labels: np.ndarray | None = None, count: int = 160) -> DatasetIndex:
    return DatasetIndex(
        root=home,
        format="csv",
        classes=CLASSES,
        paths=Strings.pack([f"{number}.png" for number in range(count)]),
        annotations=ClassTable(labels=(np.arange(count) % 2 if labels is None else labels).astype(np.int32)),
        sizes=np.full((count, 2), 48, np.int32),
        splits=(np.arange(count) >= 100).astype(np.int16),
        split_names=("train", "val"),
    )


def gathered(index: DatasetIndex, kind: type[Kind], cache: Path, *more: Any) -> Kind:
    return Evidence([index, ScanSettings(cache=cache, workers=0), *more], DATA_SOURCES).get(kind)


def test_images_are_named_without_weights_and_recalled(home: Path, tmp_path: Path) -> None:
    first = gathered(index_of(home), Embeddings, tmp_path)
    assert not first.is_pretrained
    assert first.vectors.shape[0] == 160
    (kept,) = (tmp_path / "vectors").iterdir()
    kept.touch()
    np.testing.assert_array_equal(gathered(index_of(home), Embeddings, tmp_path).vectors, first.vectors)
    kept.write_bytes(b"damaged")
    np.testing.assert_allclose(gathered(index_of(home), Embeddings, tmp_path).vectors, first.vectors, atol=1e-4)


def test_unreadable_images_have_no_vector(home: Path, tmp_path: Path) -> None:
    for number in range(30):
        drawn(number).save(tmp_path / f"{number}.png")
    (tmp_path / "7.png").write_bytes(b"no image")
    found = gathered(index_of(tmp_path, count=30), Embeddings, tmp_path / "cache")
    assert np.flatnonzero(~found.is_readable).tolist() == [7]
    assert not found.vectors[7].any()


def test_a_backbone_with_weights_is_used(home: Path, tmp_path: Path) -> None:
    import torch

    file = tmp_path / "weights.pth"
    torch.manual_seed(0)
    torch.save(mobilenet_v2().state_dict(), file)
    backbone = pretrained_backbone("mobilenet_v2", file, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    assert isinstance(backbone, PretrainedBackbone)
    index = index_of(home, count=24)
    found = gathered(index, Embeddings, tmp_path, backbone)
    assert found.origin == "mobilenet_v2"
    assert found.is_pretrained
    assert not np.array_equal(found.vectors[:, :8], gathered(index, Embeddings, tmp_path).vectors[:, :8])


def test_wrong_labels_come_first(home: Path, tmp_path: Path) -> None:
    """SYS-239."""
    labels = np.arange(160) % 2
    wrong = np.array([3, 40, 77, 91, 120, 150])
    labels[wrong] = 1 - labels[wrong]
    index = index_of(home, labels)
    found = gathered(index, Agreement, tmp_path)
    assert found.is_informed
    assert found.skill > 0.7
    ranked = suspects(index, found)
    assert set(wrong) <= {suspect.row for suspect in ranked[:8]}
    assert all(suspect.kind is SuspectKind.WRONG_CLASS for suspect in ranked)
    assert [suspect.score for suspect in ranked] == sorted((suspect.score for suspect in ranked), reverse=True)


def test_a_slipped_list_is_found_and_measured(home: Path, tmp_path: Path) -> None:
    """SYS-240: Bars and discs come in pairs, so that a list that slipped by one file is half right."""
    chance = np.random.default_rng(0)
    order = chance.permutation(100)
    truth = np.arange(160) % 2
    files = [f"{number}.png" for number in [*order, *range(100, 160)]]
    labels = truth[[*order, *range(100, 160)]]
    labels[:100] = np.roll(labels[:100], 1)
    index = replace(index_of(home, labels), paths=Strings.pack(files))
    train, val = gathered(index, Pairing, tmp_path).splits
    assert train.split == "train"
    assert train.recall < 0.7 < val.recall
    assert train.remedy == "shift"
    assert train.shift == -1
    assert train.remedied > 0.8
    evidence = Evidence([index, ScanSettings(cache=tmp_path, workers=0)], DATA_SOURCES)
    (result,) = diagnose(evidence, [find_check("D24")]).results
    assert result.findings[0].message == "shift"


def test_splits_of_one_source_do_not_drift(home: Path, tmp_path: Path) -> None:
    (val,) = gathered(index_of(home), SplitDrift, tmp_path).splits
    assert val.told_apart_low < 0.6
    assert val.class_shift == pytest.approx(0, abs=0.05)
    assert max(part.shift for part in val.properties) < 0.25


def test_darker_validation_images_drift(home: Path, tmp_path: Path) -> None:
    for number in range(160):
        image = drawn(number)
        (image.point(lambda value: value * 0.5) if number >= 100 else image).save(tmp_path / f"{number}.png")
    (val,) = gathered(index_of(tmp_path), SplitDrift, tmp_path / "cache").splits
    brightness = next(part for part in val.properties if part.name == "brightness")
    assert brightness.shift > 0.25
    assert brightness.distance == pytest.approx(1)
    assert val.told_apart_low > 0.9


def test_a_file_format_gives_the_class_away(home: Path, tmp_path: Path) -> None:
    names = [f"{number}.{'png' if number % 2 else 'jpg'}" for number in range(160)]
    for number, name in enumerate(names):
        drawn(number).save(tmp_path / name)
    index = replace(index_of(tmp_path), paths=Strings.pack(names))
    found = {part.name: part for part in gathered(index, Shortcuts, tmp_path / "cache").properties}
    assert found["format"].gain == 1
    assert found["format"].p < 0.02
    healthy = {part.name: part for part in gathered(index_of(home), Shortcuts, tmp_path / "other").properties}
    assert "format" not in healthy


def test_a_black_level_gives_the_class_away(home: Path, tmp_path: Path) -> None:
    """Two cameras, one for each class: levels begin at 0 or at 6, far less than images differ in brightness."""
    for number in range(160):
        pixels = np.asarray(drawn(number).convert("L")).astype(np.float64)
        share = ((pixels - np.percentile(pixels, 3)) / np.ptp(pixels)).clip(0, 1)
        lowest = 6 * (number % 2)
        Image.fromarray((lowest + share * (255 - lowest)).astype(np.uint8)).save(tmp_path / f"{number}.png")
    found = {part.name: part for part in gathered(index_of(tmp_path), Shortcuts, tmp_path / "cache").properties}
    healthy = {part.name: part for part in gathered(index_of(home), Shortcuts, tmp_path / "other").properties}
    assert found["black"].gain > 0.9
    assert found["darkest"].gain > 0.9
    assert max((healthy[name].gain for name in ("darkest", "black") if name in healthy), default=0) < 0.3


def test_permuted_pixels_have_no_neighbours(home: Path, tmp_path: Path) -> None:
    """DX-010, SYS-244."""
    for number in range(20):
        pixels = np.asarray(drawn(number)).reshape(-1, 3)
        Image.fromarray(np.random.default_rng(9).permutation(pixels).reshape(48, 48, 3)).save(
            tmp_path / f"{number}.png"
        )
    sick = gathered(index_of(tmp_path, count=20), Locality, tmp_path / "cache")
    healthy = gathered(index_of(home), Locality, tmp_path / "other")
    assert np.abs(sick.correlation).max() < 0.15
    assert healthy.correlation.min() > 0.5
    assert np.abs(healthy.permuted).max() < 0.1


def test_too_few_images_are_not_compared(home: Path, tmp_path: Path) -> None:
    with pytest.raises(NotCheckable, match="20 readable"):
        gathered(index_of(home, count=10), Embeddings, tmp_path)
    evidence = Evidence([index_of(home, count=10), ScanSettings(cache=tmp_path, workers=0)], DATA_SOURCES)
    assert diagnose(evidence, [find_check("D16")]).results[0].status == Status.NOT_CHECKABLE
