"""R17 (DX-089) and R15 (DX-088): neighbours that suppression deletes, and duplicates that it leaves."""

from tests.doctor.results import boxes, checked, only, run_of, told

from snellen.doctor import Level, Status
from snellen.structures import Detections

LEFT, RIGHT = (10, 10, 50, 50), (20, 10, 60, 50)  # IoU 0.6
FAR = (70, 70, 90, 90)
SETTINGS = {"settings.selection.nms_iou": 0.5, "settings.selection.suppression": "nms"}


def run(found, wanted, *, num_images=30, options=SETTINGS):
    return run_of(Detections, {"test": [boxes(found, wanted)] * num_images}, options=options)


CROWD = ((LEFT, 0), (RIGHT, 0), (FAR, 0))


def test_neighbours_that_are_deleted_are_told():
    result = checked("R17", run([(LEFT, 0.9, 0), (FAR, 0.9, 0)], CROWD))
    finding = only(result)
    assert finding.level == Level.WARNING
    assert finding.treatment.settings == {"model_options": {"settings.selection.suppression": "soft_gaussian"}}
    assert finding.places[0].boxes == ((20.0, 10.0, 60.0, 50.0),)
    assert told(result) == (
        "30 of 90 objects (33 %) are missed and overlap a found neighbour by more than 0.5, where suppression deletes: "
        "of such objects 100 % are missed, of others 0.0 %."
    )


def test_a_higher_threshold_keeps_them():
    options = {**SETTINGS, "settings.selection.nms_iou": 0.7}
    assert checked("R17", run([(LEFT, 0.9, 0), (FAR, 0.9, 0)], CROWD, options=options)).status == Status.PASSED


def test_soft_suppression_deletes_nobody():
    options = {**SETTINGS, "settings.selection.suppression": "soft_gaussian"}
    assert checked("R17", run([(LEFT, 0.9, 0), (FAR, 0.9, 0)], CROWD, options=options)).status == Status.PASSED


def test_objects_that_are_missed_everywhere_are_not_the_neighbours_fault():
    wanted = (*CROWD, *(((x, 0, x + 8, 8), 0) for x in range(0, 90, 12)))
    assert checked("R17", run([(LEFT, 0.9, 0)], wanted)).status == Status.PASSED


def test_neighbours_of_another_class_delete_nobody():
    wanted = ((LEFT, 0), (RIGHT, 1), (FAR, 0))
    assert checked("R17", run([(LEFT, 0.9, 0), (FAR, 0.9, 0)], wanted)).status == Status.PASSED


def test_duplicates_are_told_with_a_lower_threshold():
    found = [(LEFT, 0.9, 0), ((12, 10, 52, 50), 0.85, 0), ((9, 10, 49, 50), 0.8, 0), (FAR, 0.3, 0)]
    result = checked("R15", run(found, ((LEFT, 0), (FAR, 0))))
    finding = only(result)
    assert finding.level == Level.WARNING
    assert finding.treatment.settings == {"model_options": {"settings.selection.nms_iou": 0.4}}
    assert told(result).startswith("60 boxes lie on objects that were found already (60 are found): that costs ")


def test_duplicates_below_everything_cost_nothing():
    found = [(LEFT, 0.9, 0), (FAR, 0.8, 0), ((12, 10, 52, 50), 0.1, 0)]
    assert checked("R15", run(found, ((LEFT, 0), (FAR, 0)))).status == Status.PASSED


def test_few_objects_are_not_judged():
    for code in ("R15", "R17"):
        assert checked(code, run([], CROWD, num_images=3)).status == Status.NOT_CHECKABLE
