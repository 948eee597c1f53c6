"""R3 (DX-077, DX-088, DX-090, DX-091, DX-093): each kind of error is named where it costs most, with its cure."""

import pytest
from tests.doctor.results import boxes, checked, only, run_of, told

from snellen.doctor import Level, Status
from snellen.structures import Detections

ONE, TWO = (10, 10, 30, 30), (60, 60, 80, 80)
LOOSE = (10, 10, 30, 60)  # IoU 0.4 with ONE
OPTIONS = {
    "settings.selection.nms_iou": 0.5,
    "settings.selection.suppression": "nms",
    "settings.mining": None,
    "settings.box_loss": "smooth_l1",
    "proposals.settings.nms_iou": 0.7,
}


def run(*found, num_images=30, wanted=((ONE, 0), (TWO, 1)), options=OPTIONS):
    pairs = [boxes(found, wanted) for _ in range(num_images)]
    return run_of(Detections, {"test": pairs}, options=options, record={"image_size": 100})


RIGHT = ((ONE, 0.9, 0), (TWO, 0.8, 1))


@pytest.mark.parametrize(
    ("found", "kind", "settings"),
    [
        (((ONE, 0.9, 1), (TWO, 0.8, 1)), "class", {"sampler": "repeat_factor"}),
        (((LOOSE, 0.9, 0), (TWO, 0.8, 1)), "place", {"model_options": {"settings.box_loss": "giou"}}),
        (
            (*RIGHT, ((40, 0, 50, 9), 0.95, 0), ((80, 0, 99, 9), 0.95, 1)),
            "background",
            {"model_options": {"settings.mining": "ohem"}},
        ),
        (((TWO, 0.8, 1),), "missed", {"image_size": 160}),
    ],
)
def test_the_kind_that_costs_most_is_told_with_its_cure(found, kind, settings):
    finding = only(checked("R3", run(*found)))
    assert finding.level == Level.INFO
    assert finding.message == kind
    assert finding.treatment.settings == settings
    assert finding.num_places == 30
    assert finding.places[0].boxes


def test_duplicates_between_two_objects():
    found = [(ONE, 0.95, 0), *(((11, 11, 31, 31), 0.94 - k / 100, 0) for k in range(3)), (TWO, 0.8, 0)]
    finding = only(checked("R3", run(*found, wanted=((ONE, 0), (TWO, 0)))))
    assert finding.message == "duplicate"
    assert finding.treatment.settings == {"model_options": {"settings.selection.nms_iou": 0.4}}
    low = {**OPTIONS, "settings.selection.nms_iou": 0.3}
    assert only(checked("R3", run(*found, wanted=((ONE, 0), (TWO, 0)), options=low))).treatment is None


def test_rounding_pools_are_mended_first():
    finding = only(checked("R3", run((LOOSE, 0.9, 0), (TWO, 0.8, 1), options={"pooling": "roi_pool", **OPTIONS})))
    assert finding.treatment.settings == {"model_options": {"pooling": "roi_align"}}


def test_says_what_the_others_cost():
    text = told(checked("R3", run((TWO, 0.8, 1))))
    assert text.startswith("AP50 is 50.0 (50.0 to 50.0). 30 missed objects cost 50.0 points (50.0 to 50.0).")
    assert "class 0.0" in text


def test_kinds_that_cost_half_as_much_are_told_too():
    """Of the second object 18 of 30 are missed, and 4 found in a bad place."""
    wanted, bad = ((ONE, 0), (TWO, 1)), ((ONE, 0.9, 0), ((60, 60, 80, 110), 0.8, 1))
    pairs = [boxes(RIGHT[:1], wanted)] * 18 + [boxes(bad, wanted)] * 4 + [boxes(RIGHT, wanted)] * 8
    found = checked("R3", run_of(Detections, {"test": pairs})).findings
    assert [finding.message for finding in found] == ["missed", "place"]
    costs = [finding.measured for finding in found]
    assert costs[0] > costs[1] >= costs[0] / 2


def test_a_perfect_detector_has_no_errors():
    assert checked("R3", run(*RIGHT)).status == Status.PASSED


def test_errors_that_only_one_image_has_are_no_finding():
    pairs = [boxes(RIGHT, ((ONE, 0), (TWO, 1))) for _ in range(39)] + [boxes((), ((ONE, 0), (TWO, 1)))]
    assert checked("R3", run_of(Detections, {"test": pairs})).status == Status.PASSED


def test_few_objects_are_not_judged():
    assert checked("R3", run(num_images=5)).status == Status.NOT_CHECKABLE


def test_other_predictions_are_not_judged():
    from tests.doctor.results import sure

    from snellen.structures import ClassScores

    result = checked("R3", run_of(ClassScores, {"test": [sure(0, 0)] * 3}))
    assert result.reason.en == "the model predicts no boxes"
