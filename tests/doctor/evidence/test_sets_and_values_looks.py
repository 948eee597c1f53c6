"""Sets of labels and values against what images look like (D21, D24, D42, D43; DX-011, DX-013), on drawn images."""

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from PIL import Image
from skimage.draw import disk

from snellen.data import DatasetIndex, LabelSetTable, ValueTable
from snellen.data.sharing import Strings
from snellen.doctor import Evidence, Level, NotCheckable, Status, diagnose, find_check
from snellen.doctor.check import Check
from snellen.doctor.evidence.catalog import DATA_SOURCES
from snellen.doctor.evidence.foretelling import foretold
from snellen.doctor.evidence.images import ScanSettings
from snellen.doctor.evidence.knowing import permuted_shares, share_told
from snellen.doctor.evidence.pairing import Pairing
from snellen.doctor.evidence.set_agreement import SetAgreement
from snellen.doctor.evidence.shortcuts import Shortcuts
from snellen.doctor.evidence.value_agreement import ValueAgreement
from snellen.doctor.wrong_labels import SuspectKind, suspects

Kind = TypeVar("Kind")
NUMBER = 300
CLASSES = ("red", "blue")


def truth() -> np.ndarray:
    """Which of two discs each image shows, 40 % and 40 %."""
    return np.random.default_rng(7).random((NUMBER, 2)) < 0.4


def radii() -> np.ndarray:
    return np.random.default_rng(8).uniform(4, 20, NUMBER)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red and blue discs on grey, and (``v…``) a green one whose radius is the value."""
    folder = tmp_path_factory.mktemp("discs")
    for number, (shown, radius) in enumerate(zip(truth(), radii(), strict=True)):
        chance = np.random.default_rng(number)
        pixels = chance.normal(120, 8, (48, 48, 3))
        for place, colour in enumerate([(220, 40, 40), (40, 60, 220)]):
            if shown[place]:
                row, column = chance.integers(12, 36), 12 + 24 * place
                pixels[disk((row, column), 10, shape=(48, 48))] = colour
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")
        pixels = chance.normal(120, 8, (48, 48, 3))
        pixels[disk((24, 24), radius, shape=(48, 48))] = (40, 200, 60)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"v{number}.png")
    return folder


def index_of(home: Path, table: LabelSetTable | ValueTable, classes: tuple[str, ...] = CLASSES) -> DatasetIndex:
    prefix = "v" if isinstance(table, ValueTable) else ""
    return DatasetIndex(
        root=home,
        format="csv",
        classes=classes,
        paths=Strings.pack([f"{prefix}{number}.png" for number in range(NUMBER)]),
        annotations=table,
        sizes=np.full((NUMBER, 2), 48, np.int32),
        splits=(np.arange(NUMBER) >= 130).astype(np.int16),
        split_names=("train", "val"),
    )


def sets(shown: np.ndarray, known: np.ndarray | None = None) -> LabelSetTable:
    return LabelSetTable(shown=shown, known=np.ones_like(shown) if known is None else known)


def values(column: np.ndarray) -> ValueTable:
    return ValueTable(values=column[:, None].astype(np.float64))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def gathered(index: DatasetIndex, kind: type[Kind], cache: Path) -> Kind:
    return Evidence([index, ScanSettings(cache=cache, workers=0)], DATA_SOURCES).get(kind)


def result(index: DatasetIndex, code: str, cache: Path) -> Any:
    return diagnose(Evidence([index, ScanSettings(cache=cache, workers=0)], DATA_SOURCES), [find_check(code)]).results[
        0
    ]


def told(check: Check, finding: Any) -> str:
    return check.pages["en"].message(finding)


def test_missing_and_spurious_labels_come_first(home: Path, cache: Path) -> None:
    """D42: four labels of what is there are left out, and four are written where nothing is."""
    shown = truth()
    missing = np.flatnonzero(shown[:, 0])[:4]
    spurious = np.flatnonzero(~shown[:, 1])[:4]
    shown[missing, 0], shown[spurious, 1] = False, True
    index = index_of(home, sets(shown))
    found = gathered(index, SetAgreement, cache)
    assert (found.skills > 0.7).all()
    worst = np.argsort(found.own_probs, axis=None)[:8]
    places = {tuple(map(int, np.unravel_index(place, found.own_probs.shape))) for place in worst}
    planted = {(int(row), 0) for row in missing} | {(int(row), 1) for row in spurious}
    assert len(places & planted) >= 7
    ranked = suspects(index, found)
    kinds = {(one.row, max(one.label, one.proposed)): one.kind for one in ranked[:10]}
    assert sum(kinds.get((int(row), 0)) is SuspectKind.MISSING for row in missing) >= 3
    assert sum(kinds.get((int(row), 1)) is SuspectKind.SPURIOUS for row in spurious) >= 3
    outcome = result(index, "D42", cache)
    (finding,) = outcome.findings
    notes = {(place.name, place.note) for place in finding.places}
    assert sum((f"{row}.png", "+ red") in notes for row in missing) >= 3
    assert sum((f"{row}.png", "− blue") in notes for row in spurious) >= 3
    assert "Judged: 2 of 2 classes" in told(outcome.check, finding)


def test_right_sets_are_no_warning(home: Path, cache: Path) -> None:
    outcome = result(index_of(home, sets(truth())), "D42", cache)
    assert all(finding.level == Level.INFO and finding.num_places <= 3 for finding in outcome.findings)


def test_many_missing_labels_are_a_warning(home: Path, cache: Path) -> None:
    """D42: a third of what is there is not labelled, as where people name only what they look for."""
    shown = truth() & (np.random.default_rng(1).random((NUMBER, 2)) > 0.33)
    index = index_of(home, sets(shown))
    found = gathered(index, SetAgreement, cache)
    sure, wrong = found.sure_answers()
    assert 0.1 < wrong.sum() / sure.sum() < 0.4
    assert all(finding.level == Level.INFO for finding in result(index, "D42", cache).findings)  # plain features: 10 %
    evidence = Evidence([index, replace(found, origin="net")])
    (finding,) = diagnose(evidence, [find_check("D42")]).results[0].findings
    assert finding.level == Level.WARNING
    assert finding.numbers["missing"] > 5 * finding.numbers["spurious"]
    assert finding.treatment is not None


def test_what_is_not_known_contradicts_nothing(home: Path, cache: Path) -> None:
    shown, known = truth(), np.ones((NUMBER, 2), np.bool_)
    hidden = np.flatnonzero(shown[:, 0])[:20]
    shown[hidden, 0] = known[hidden, 0] = False
    found = gathered(index_of(home, sets(shown, known)), SetAgreement, cache)
    assert (found.own_probs[hidden, 0] == 1).all()


def test_labels_without_looks_prove_nothing(home: Path, cache: Path) -> None:
    noise = np.random.default_rng(3).random((NUMBER, 2)) < 0.4
    outcome = result(index_of(home, sets(noise)), "D42", cache)
    assert outcome.status == Status.NOT_CHECKABLE
    with pytest.raises(NotCheckable, match="50 images"):
        gathered(index_of(home, sets(np.zeros((NUMBER, 2), np.bool_))), SetAgreement, cache)


def test_values_that_slipped_a_decimal_point(home: Path, cache: Path) -> None:
    """D43: three radii ten times too large, of 300."""
    column = radii()
    wrong = [11, 60, 150]
    column[wrong] *= 10
    index = index_of(home, values(column), ("radius",))
    assert gathered(index, ValueAgreement, cache).skills[0] > 0.5
    outcome = result(index, "D43", cache)
    (finding,) = outcome.findings
    assert {place.name for place in finding.places[:3]} == {f"v{row}.png" for row in wrong}
    assert "radius of v" in told(outcome.check, finding)


def test_right_values_pass(home: Path, cache: Path) -> None:
    outcome = result(index_of(home, values(radii()), ("radius",)), "D43", cache)
    assert outcome.status == Status.PASSED
    noise = np.random.default_rng(3).normal(size=NUMBER)
    assert result(index_of(home, values(noise), ("noise",)), "D43", cache).status == Status.NOT_CHECKABLE


@pytest.mark.parametrize("kind", ["sets", "values"])
def test_lists_that_slipped_are_found(home: Path, cache: Path, kind: str) -> None:
    """D24: the training labels slipped by one file, those of validation did not."""
    given = truth().astype(np.float64) if kind == "sets" else radii()
    moved = given.copy()
    moved[:130] = np.roll(given[:130], 1, axis=0)

    def index(numbers: np.ndarray) -> DatasetIndex:
        table = sets(numbers > 0.5) if kind == "sets" else values(numbers)
        return index_of(home, table, CLASSES if kind == "sets" else ("radius",))

    healthy = gathered(index(given), Pairing, cache)
    assert all(part.surprise > 6 for part in healthy.splits)
    assert result(index(given), "D24", cache).status == Status.PASSED
    train, val = gathered(index(moved), Pairing, cache).splits
    assert (train.remedy, train.shift) == ("shift", -1)
    assert val.recall > 0.7 > train.recall
    (finding,) = result(index(moved), "D24", cache).findings
    assert (finding.level, finding.message) == (Level.ERROR, "shift")


@pytest.mark.parametrize("kind", ["sets", "values"])
def test_shortcuts_of_the_picture(home: Path, cache: Path, tmp_path: Path, kind: str) -> None:
    """D21 (DX-021): brightness goes with one class, or with the value."""
    shown, column = truth(), radii()
    for number in range(NUMBER):
        level = 70 + 100 * shown[number, 1] if kind == "sets" else 40 + 8 * column[number]
        noise = np.random.default_rng(number).normal(level, 6, (48, 48, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{'' if kind == 'sets' else 'v'}{number}.png")
    table = sets(shown) if kind == "sets" else values(column)
    names = CLASSES if kind == "sets" else ("radius",)
    first = gathered(index_of(tmp_path, table, names), Shortcuts, tmp_path / "cache").properties[0]
    assert first.gain > 0.8
    assert first.class_ == ("blue" if kind == "sets" else "radius")
    outcome = result(index_of(tmp_path, table, names), "D21", tmp_path / "cache")
    assert any(finding.numbers["property"] == "brightness" for finding in outcome.findings)
    assert all(told(outcome.check, finding) for finding in outcome.findings)
    healthy = result(index_of(home, table, names), "D21", cache)
    assert all(finding.level < Level.WARNING for finding in healthy.findings)


def test_nothing_foretells_noise() -> None:
    chance = np.random.default_rng(0)
    kinds, folds = chance.integers(0, 20, 400), chance.integers(0, 5, 400)
    for table, numbers in (
        (LabelSetTable, (chance.random((400, 3)) < 0.3).astype(np.float64)),
        (ValueTable, chance.normal(size=(400, 2))),
    ):
        found = foretold(table, kinds, numbers, folds)
        assert found.gain < 0.2
        assert found.p > 0.01
        sure = foretold(table, (numbers[:, 1] * 10).astype(np.int64) + 50, numbers, folds)
        assert (sure.column, sure.p) == (1, pytest.approx(1 / 101))
        assert sure.gain > 0.9


def test_shares_are_a_half_by_chance() -> None:
    """By hand: of values it is (1 + Kendall's tau) / 2; of sets the mean of two recalls."""
    chance = np.random.default_rng(0)
    near = chance.integers(0, 300, (300, 10))
    numbers = chance.normal(size=(300, 1))
    assert permuted_shares(ValueTable, near, numbers).mean() == pytest.approx(0.5, abs=0.01)
    shown = (numbers > 0.3).astype(np.float64)
    assert permuted_shares(LabelSetTable, near, shown).mean() == pytest.approx(0.5, abs=0.02)
    order = numbers[:, 0].argsort()
    beside = np.empty((300, 1), np.int64)
    beside[order, 0] = np.roll(order, 1)  # the next smaller one; the smallest has the largest
    assert share_told(ValueTable, beside, numbers) == pytest.approx(1, abs=0.01)
    assert np.isnan(share_told(LabelSetTable, near, np.zeros((300, 1))))
