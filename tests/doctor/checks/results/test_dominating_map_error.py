"""R20 (DX-016, DX-107): where wrong pixels are, and what they cost."""

import numpy as np
import pytest
from tests.doctor.results import checked, painted, run_of

from snellen.doctor import Level, Status
from snellen.structures import SegmentationMap

NAMES = ("background", "cat", "dog")


def scene():
    truth = np.zeros((100, 100), int)
    truth[10:50, 10:50] = 1
    truth[60:90, 60:90] = 2
    return truth


def grown(truth):
    named = truth.copy()
    named[8:52, 8:52] = 1
    return named


def lost(truth):
    return np.where(truth == 2, 0, truth)


def renamed(truth):
    return np.where(truth == 2, 1, truth)


def invented(truth):
    named = truth.copy()
    named[60:95, 5:45] = 1
    return named


def run(change, *, num_images=12, names=NAMES):
    truth = scene()
    pairs = [painted(change(truth), truth) for _ in range(num_images)]
    return run_of(SegmentationMap, {"test": pairs}, classes=names, record={"image_size": 100})


@pytest.mark.parametrize(
    ("change", "kind", "settings"),
    [
        (grown, "boundary", {"image_size": 160}),
        (lost, "missed", {"sampler": "repeat_factor"}),
        (renamed, "class", {"sampler": "repeat_factor"}),
        (invented, "invented", None),
    ],
)
def test_the_kind_that_costs_most_is_told_with_its_cure(change, kind, settings):
    finding, *others = checked("R20", run(change)).findings
    assert [other.message for other in others] == (["boundary"] if change is lost else [])
    assert (finding.level, finding.message) == (Level.INFO, kind)
    assert (None if finding.treatment is None else finding.treatment.settings) == settings
    assert finding.num_places == 12


def test_says_where_the_errors_are():
    result = checked("R20", run(lost))
    text = result.check.pages["en"].message(result.findings[0])
    # 900 of 10 000 pixels; the overlap of the background is 7500 / 8400, that of cats 1, that of dogs 0.
    assert text.startswith("Mean IoU is 63.1 (63.1 to 63.1); 9.0 % of the pixels are wrong (")
    assert "Things that are named background cost " in text


def test_costs_by_hand():
    """Within 3 px of a border 900 - 24 * 24 pixels of the dog are named as what is beside it; the rest is missed."""
    first, second = checked("R20", run(lost)).findings
    numbers = first.numbers
    assert first.measured / 2 <= second.measured < first.measured
    assert numbers["percent"] == "64 %"
    mended = (7500 / (8400 - 576) + 1 + 576 / 900) / 3
    plain = (7500 / 8400 + 1 + 0) / 3
    assert float(numbers["cost"]) == pytest.approx(100 * (mended - plain), abs=0.06)


def test_without_a_background_everything_is_a_thing():
    assert checked("R20", run(lost, names=("floor", "cat", "dog"))).findings[0].message == "class"


def test_a_perfect_map_has_no_errors():
    assert checked("R20", run(lambda truth: truth)).status == Status.PASSED


def test_few_images_are_not_judged():
    assert checked("R20", run(lost, num_images=5)).status == Status.NOT_CHECKABLE
