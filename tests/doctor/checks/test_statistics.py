"""D20, D21, D22, D28, D29, D34 (DX-008, 010, 014, 021, 023, 024, 025, 031, 082, 084): statistics of the whole set."""

from pathlib import Path

import numpy as np
import pytest

from snellen.data import ClassTable, DatasetIndex
from snellen.data.sharing import Strings
from snellen.doctor import CheckResult, Evidence, Level, Setup, Status, diagnose, find_check
from snellen.doctor.evidence.drift import PropertyShift, SplitDrift, SplitShift
from snellen.doctor.evidence.locality import Locality
from snellen.doctor.evidence.origins import Origins
from snellen.doctor.evidence.shortcuts import Shortcut, Shortcuts


def classified(labels: list[int], splits: list[int] | None = None) -> DatasetIndex:
    return DatasetIndex(
        root=Path("photos"),
        format="folders",
        classes=("cat", "dog"),
        paths=Strings.pack([f"{row}.jpg" for row in range(len(labels))]),
        annotations=ClassTable(labels=np.array(labels, np.int32)),
        sizes=np.full((len(labels), 2), 32, np.int32),
        splits=np.array(splits or [0] * len(labels), np.int16),
        split_names=("train", "val"),
    )


INDEX = classified([0, 1] * 50)


def result(code: str, *given: object) -> CheckResult:
    return diagnose(Evidence(given), [find_check(code)]).results[0]


def drift(*, shift: float = 0.0, told_apart: float = 0.5, class_shift: float = 0.0) -> SplitDrift:
    moved = PropertyShift(name="brightness", before=120.0, after=60.0, shift=shift, distance=shift, p=1e-6)
    return SplitDrift(splits=(
        SplitShift(split="val", properties=(moved,), class_shift=class_shift, class_p=1e-6,
                   shifted_class=("cat", 0.5, 0.9), told_apart=told_apart + 0.05, told_apart_low=told_apart),
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "message", "level"),
    [
        (drift(shift=0.6), "property", Level.WARNING),
        (drift(shift=0.6, told_apart=0.9), "looks", Level.WARNING),
        (drift(told_apart=0.9), "looks", Level.INFO),
        (drift(class_shift=0.4), "classes", Level.WARNING),
    ],
)
def test_drift_is_told_by_what_moved(facts: SplitDrift, message: str, level: Level) -> None:
    (finding,) = result("D20", INDEX, facts).findings
    assert (finding.message, finding.level) == (message, level)


def test_like_splits_pass() -> None:
    assert result("D20", INDEX, drift(shift=0.1, told_apart=0.6, class_shift=0.1)).status == Status.PASSED


def test_a_property_of_the_file_that_tells_the_class_is_a_warning() -> None:
    facts = Shortcuts(properties=(
        Shortcut(name="aspect", gain=0.8, p=0.01, class_="cat", rows=(1, 2)),
        Shortcut(name="brightness", gain=0.6, p=0.01, class_="dog", rows=(3,)),
        Shortcut(name="contrast", gain=0.4, p=0.01, class_="dog", rows=(3,)),
        Shortcut(name="darkest", gain=0.4, p=0.01, class_="dog", rows=(3,)),
    ))  # fmt: skip
    found = result("D21", INDEX, facts).findings
    assert [(finding.numbers["property"], finding.level) for finding in found] == [
        ("aspect", Level.WARNING), ("brightness", Level.INFO), ("darkest", Level.INFO),
    ]  # fmt: skip


def test_chance_gains_nothing() -> None:
    facts = Shortcuts(properties=(Shortcut(name="aspect", gain=0.8, p=0.2, class_="cat", rows=()),))
    assert result("D21", INDEX, facts).status == Status.PASSED


def test_sorted_classes_without_shuffling_are_an_error() -> None:
    """SYS-195."""
    in_order = classified([0] * 50 + [1] * 50)
    (finding,) = result("D22", in_order, Setup(sampler="sequential")).findings
    assert finding.level == Level.ERROR
    assert finding.treatment is not None
    assert finding.treatment.settings == {"sampler": "shuffled"}
    assert result("D22", in_order, Setup(sampler="shuffled")).status == Status.PASSED
    assert result("D22", in_order, Setup()).status == Status.NOT_CHECKABLE


def test_a_fixed_random_order_is_a_warning() -> None:
    labels = np.random.default_rng(0).integers(0, 2, 100).tolist()
    (finding,) = result("D22", classified(labels), Setup(sampler="sequential")).findings
    assert finding.level == Level.WARNING


def locality(correlation: float) -> Locality:
    rows = np.arange(20)
    return Locality(rows=rows, correlation=np.full(20, correlation, np.float32), permuted=np.zeros(20, np.float32))


def test_pixels_without_neighbours_warn() -> None:
    found = result("D28", INDEX, locality(0.02))
    assert found.findings[0].level == Level.WARNING
    assert found.check.pages["en"].message(found.findings[0]).startswith("Neighbouring pixels correlate by 0.02")
    assert result("D28", INDEX, locality(0.7)).status == Status.PASSED
    assert result("D28", INDEX, locality(-0.9)).status == Status.PASSED  # a checkerboard is local, too


@pytest.mark.parametrize(("images", "level"), [(10, Level.WARNING), (60, Level.INFO), (120, None)])
def test_too_little_to_learn_from_scratch(images: int, level: Level | None) -> None:
    """SYS-241."""
    found = result("D29", classified([0, 1] * images), Setup(pretrained=False, num_parameters=11_000_000))
    assert ([finding.level for finding in found.findings] or [None]) == [level]


def test_it_must_be_known_whether_there_are_weights() -> None:
    assert result("D29", INDEX, Setup()).status == Status.NOT_CHECKABLE


def test_one_source_decides_the_score() -> None:
    """SYS-232."""
    splits = [0] * 60 + [1] * 40
    index = classified([0, 1] * 50, splits)
    mixed = Origins(names=("web", "phone"), sources=np.array([0, 1] * 50), signs=("folder",))
    assert result("D34", index, mixed).status == Status.PASSED
    pooled = Origins(names=("web", "phone"), sources=np.array([0, 1] * 30 + [0] * 39 + [1]), signs=("folder",))
    (finding,) = result("D34", index, pooled).findings
    assert finding.numbers["share"] == 97.5
    assert finding.numbers["small"] == "phone"
