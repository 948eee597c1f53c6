"""D16, D24, D35 (DX-011, DX-013): labels against what images look like, on facts written by hand."""

from pathlib import Path

import numpy as np

from snellen.data import ClassTable, DatasetIndex
from snellen.data.sharing import Strings
from snellen.doctor import CheckResult, Evidence, Level, Status, diagnose, find_check
from snellen.doctor.evidence.agreement import Agreement
from snellen.doctor.evidence.pairing import Pairing, SplitPairing

CLASSES = ("cat", "dog")


def classified(labels: np.ndarray) -> DatasetIndex:
    return DatasetIndex(
        root=Path("photos"),
        format="folders",
        classes=CLASSES,
        paths=Strings.pack([f"{row}.jpg" for row in range(len(labels))]),
        annotations=ClassTable(labels=labels.astype(np.int32)),
        sizes=np.full((len(labels), 2), 32, np.int32),
        splits=np.full(len(labels), -1, np.int16),
    )


def agreement(
    *, wrong: int, count: int = 200, sureness: float = 0.97, origin: str = "net", p: float = 0.01
) -> Agreement:
    """Half cats, half dogs as they look; the first ``wrong`` cats are called dogs."""
    looks = np.repeat([0, 1], count // 2)
    labels = looks.copy()
    labels[:wrong] = 1
    probs = np.where(looks[:, None] == np.arange(2), sureness, 1 - sureness).astype(np.float32)
    return Agreement(rows=np.arange(count), labels=labels, probs=probs, neighbour_shares=probs, recall=0.9, chance=0.5,
                     chance_p=p, origin=origin)  # fmt: skip


def result(code: str, evidence: Agreement | Pairing) -> CheckResult:
    labels = evidence.labels if isinstance(evidence, Agreement) else np.repeat([0, 1], 100)
    return diagnose(Evidence([classified(labels), evidence]), [find_check(code)]).results[0]


def test_wrong_labels_are_named_from_the_worst() -> None:
    found = result("D16", agreement(wrong=20))
    (finding,) = found.findings
    assert finding.level == Level.WARNING
    assert finding.num_places == 20
    assert {place.name for place in finding.places} == {f"{row}.jpg" for row in range(20)}
    assert finding.places[0].note == "dog → cat"
    assert finding.treatment is not None
    assert set(finding.treatment.drop_images) == {f"{row}.jpg" for row in range(20)}
    assert "20 of 200 labels are contradicted" in found.check.pages["en"].message(finding)


def test_few_wrong_labels_are_information() -> None:
    (finding,) = result("D16", agreement(wrong=3)).findings
    assert finding.level == Level.INFO


def test_right_labels_pass() -> None:
    assert result("D16", agreement(wrong=0)).status == Status.PASSED


def test_features_that_know_nothing_prove_nothing() -> None:
    assert result("D16", agreement(wrong=20, p=0.5)).status == Status.NOT_CHECKABLE
    assert result("D35", agreement(wrong=20, p=0.5)).status == Status.NOT_CHECKABLE


def test_features_without_weights_must_show_more() -> None:
    assert result("D35", agreement(wrong=20)).status == Status.FOUND
    assert result("D35", agreement(wrong=20, origin="")).status == Status.PASSED
    assert result("D35", agreement(wrong=40, origin="")).status == Status.FOUND


def test_a_share_of_wrong_labels_is_estimated() -> None:
    (finding,) = result("D35", agreement(wrong=40)).findings
    assert finding.numbers["share"] == 20.0
    assert finding.measured is not None
    assert 0.14 < finding.measured < 0.2  # Wilson's lower end of 40 in 200


def split(name: str, recall: float, *, images: int = 300, remedied: float = 0.0) -> SplitPairing:
    return SplitPairing(split=name, num_images=images, recall=recall, chance=0.5, spread=0.02, remedied=remedied,
                        remedy="shifted" if remedied else "", shift=1 if remedied else 0)  # fmt: skip


def test_labels_that_slipped_by_one_file_are_proven() -> None:
    (finding,) = result("D24", Pairing(splits=(split("train", 0.51, remedied=0.9),), origin="")).findings
    assert finding.level == Level.ERROR


def test_a_split_that_works_is_the_witness_against_one_that_does_not() -> None:
    pairing = Pairing(splits=(split("train", 0.51), split("test", 0.9, images=200)), origin="")
    (finding,) = result("D24", pairing).findings
    assert finding.level == Level.ERROR
    assert finding.numbers["split"] == "train"


def test_labels_that_say_nothing_warn_only_with_pretrained_features() -> None:
    lost = (split("train", 0.51),)
    assert result("D24", Pairing(splits=lost, origin="net")).findings[0].level == Level.WARNING
    assert result("D24", Pairing(splits=lost, origin="")).status == Status.NOT_CHECKABLE


def test_labels_that_go_with_looks_pass() -> None:
    assert result("D24", Pairing(splits=(split("train", 0.9),), origin="")).status == Status.PASSED
