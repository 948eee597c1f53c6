import typing

from snellen.evaluation import MERGERS, METRICS, STORES
from snellen.structures import ClassTarget, Detections, Prediction, SegmentationMap, Target


def test_every_kind_has_its_row():
    assert set(METRICS) == set(typing.get_args(Target))
    assert set(STORES) == set(typing.get_args(Prediction))
    assert set(MERGERS) == {Detections, SegmentationMap}  # the others judge an image as a whole


def test_letter_heights_reach_the_metric():
    assert "acuity_px" in METRICS[ClassTarget](("a", "b"), {"letter_height": [3.0, 4.0]}).result().scalars
    assert "acuity_px" not in METRICS[ClassTarget](("a", "b"), {"other": [3.0]}).result().scalars
