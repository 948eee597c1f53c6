"""Anchors from the data: SYS-032."""

import numpy as np
import pytest

import snellen
from snellen.errors import ConfigError


def test_a_run_takes_its_anchors_from_the_boxes(charts, tiny, tmp_path):
    run = snellen.train(charts["boxes"], model="yolo_v2_mobilenet_v2", folder=tmp_path / "run", **tiny | {"epochs": 1})
    anchors = np.array(run.record["model_options"]["anchors"])
    assert anchors.shape == (5, 2)
    index = snellen.load(charts["boxes"]).split("train")
    sides = index.annotations.boxes[:, 2:] - index.annotations.boxes[:, :2]  # the images are not resized
    assert (anchors >= sides.min(axis=0) - 0.1).all()
    assert (anchors <= sides.max(axis=0) + 0.1).all()
    assert "mean best IoU" in run.record["reasons"]["anchors"]
    assert "best possible recall" in run.record["reasons"]["anchors"]


def test_given_anchors_win(charts, tiny, tmp_path):
    given = [[10, 12], [20, 22], [30, 31], [40, 44], [50, 50]]
    options = tiny | {"epochs": 1, "model": "yolo_v2_mobilenet_v2", "model_options": {"anchors": given}}
    run = snellen.train(charts["boxes"], folder=tmp_path / "run", **options)
    assert run.record["model_options"]["anchors"] == given


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ancors": 3}, "no option 'ancors'"),
        ({"passthrough": 3}, "must be like its default True"),
        ({"location": "sideways"}, "must be one of 'direct', 'offset'"),
        ({"settings.nms_io": 0.5}, "no setting 'settings.nms_io'"),
        ({"settings.nms_iou": "high"}, "must be like its value"),
    ],
)
def test_wrong_options_of_a_model(charts, tiny, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        snellen.train(
            charts["boxes"], model="yolo_v2_mobilenet_v2", folder=tmp_path / "run", model_options=options, **tiny
        )
    assert not (tmp_path / "run").exists()
