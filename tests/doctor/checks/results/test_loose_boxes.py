"""R6 (DX-090, DX-097): boxes that are near enough for 0.5 and not for 0.75."""

from tests.doctor.results import boxes, checked, only, run_of, told

from snellen.doctor import Level, Status
from snellen.structures import Detections

TRUTH = (10, 10, 30, 30)
LOOSE = (10, 10, 30, 40)  # IoU 2/3
TIGHT = (10, 10, 30, 31)


def run(box, *, num_images=60, options=None):
    return run_of(Detections, {"test": [boxes([(box, 0.9, 0)], [(TRUTH, 0)])] * num_images}, options=options or {})


def test_loose_boxes_are_told():
    """SYS-167, SYS-168, ERR-124: at 0.5 all is right, at 0.75 nothing."""
    result = checked("R6", run(LOOSE, options={"settings.box_loss": "smooth_l1"}))
    finding = only(result)
    assert (finding.level, finding.message) == (Level.INFO, "default")
    assert finding.treatment.settings == {"model_options": {"settings.box_loss": "giou"}}
    assert told(result) == (
        "AP50 is 100.0 and AP75 0.0: 100 % is lost (100 % to 100 %). Boxes overlap what they find by 0.67 in the "
        "median, small objects by 0.67."
    )


def test_pooling_that_rounds_is_named():
    finding = only(checked("R6", run(LOOSE, options={"pooling": "roi_pool"})))
    assert finding.message == "rounded"
    assert finding.treatment.settings == {"model_options": {"pooling": "roi_align"}}


def test_without_either_boxes_vote():
    finding = only(checked("R6", run(LOOSE, options={"settings.voting_iou": None})))
    assert finding.treatment.settings == {"model_options": {"settings.voting_iou": 0.5}}


def test_tight_boxes_are_no_finding():
    assert checked("R6", run(TIGHT)).status == Status.PASSED


def test_detectors_that_find_nothing_are_another_matter():
    assert checked("R6", run((50, 50, 60, 60))).status == Status.PASSED


def test_few_objects_are_not_judged():
    assert checked("R6", run(LOOSE, num_images=10)).status == Status.NOT_CHECKABLE
