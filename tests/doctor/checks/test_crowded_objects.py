"""D37 (DX-089): what suppression of perfect detections deletes."""

import numpy as np
import pytest
import torch
from torchvision.ops import batched_nms

from snellen.data import load
from snellen.doctor import Status
from snellen.doctor.evidence.labels import objects_of
from snellen.doctor.evidence.setup import Setup

PAIR = [(10, 10, 50, 50, 0), (14, 10, 54, 50, 0)]  # IoU 0.82
APART = [(10, 10, 30, 30, 0), (60, 60, 90, 90, 0)]


def deleted(result):
    return sum(finding.num_places for finding in result.findings)


@pytest.mark.parametrize(("pairs", "expected"), [(0, []), (1, ["INFO default"]), (6, ["WARNING default"])])
def test_level_follows_the_share(annotated, judged, messages, pairs, expected):
    index = annotated.boxes([PAIR] * pairs + [APART] * (40 - pairs))
    result = judged("D37", index)
    assert messages(result) == expected
    assert deleted(result) == pairs


def test_other_classes_and_repetitions_do_not_count(annotated, judged):
    twice = [PAIR[0], PAIR[0]]
    other = [PAIR[0], (*PAIR[1][:4], 1)]
    assert judged("D37", annotated.boxes([twice, other])).status == Status.PASSED


def test_planned_threshold(annotated, judged):
    index = annotated.boxes([PAIR] * 3)
    setup = Setup(inside={"proposals.settings.nms_iou": 0.1, "settings.selection.nms_iou": 0.9})
    assert judged("D37", index, setup).status == Status.PASSED
    assert deleted(judged("D37", index, Setup())) == 3


@pytest.mark.parametrize("path", ["settings.selection.suppression", "settings.suppression"])
def test_treatment_names_the_setting_of_the_model_at_hand(annotated, judged, path):
    (finding,) = judged("D37", annotated.boxes([PAIR] * 3), Setup(inside={path: "nms"})).findings
    assert finding.treatment.settings == {"model_options": {path: "soft_gaussian"}}
    (finding,) = judged("D37", annotated.boxes([PAIR] * 3), Setup()).findings
    assert finding.treatment is None


def test_is_what_torchvision_deletes(annotated, judged):
    chance = np.random.default_rng(0)
    corners = chance.uniform(0, 60, (30, 25, 2))
    boxes = np.concatenate([corners, corners + chance.uniform(15, 40, (30, 25, 2))], axis=2)
    rows = [[(*box, int(chance.integers(2))) for box in image.tolist()] for image in boxes]
    index = annotated.boxes(rows)
    objects = objects_of(index)
    kept = batched_nms(torch.from_numpy(objects.boxes), torch.from_numpy(objects.sides.prod(1)),
                       torch.from_numpy(objects.images * 2 + objects.labels), 0.5)  # fmt: skip
    assert deleted(judged("D37", index)) == len(objects) - len(kept) > 50


def test_says_what_is_lost(annotated, judged, said):
    (text,) = said(judged("D37", annotated.boxes([PAIR] * 3)))
    assert text.startswith("3 of 6 objects (50.0 %) overlap a neighbour of their class by more than 0.5")


@pytest.mark.parametrize("name", ["bccd", "pennfudan", "coco"])
def test_no_warning_on_healthy_data(shared_data, judged, messages, name):
    assert "WARNING default" not in messages(judged("D37", load(shared_data / name)))
