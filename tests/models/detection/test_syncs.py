"""The host waits for an accelerator a fixed number of times in a step, however many images there are."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from snellen.models.detection import (
    ProposalSettings,
    RegionSettings,
    faster_rcnn_mobilenet_v2_fpn,
    faster_rcnn_r18_fpn,
    faster_rcnn_r50_c4,
)
from snellen.models.detection.fast_rcnn import fast_rcnn_mobilenet_v2
from snellen.models.detection.mask_rcnn import mask_rcnn_r18_fpn
from snellen.structures import Regions

SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "count_syncs.py"


@pytest.fixture(scope="module")
def counting():
    if not SCRIPT.is_file():
        pytest.skip("the benchmarks are not in this copy")
    spec = importlib.util.spec_from_file_location("count_syncs", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def are_of_one_suppression(waits):
    """Return whether the host waits once for the sizes of the groups, and a few times for the rounds."""
    places = {what.split(" at ")[1].split(":")[0] for what in waits}
    sizes = sum(count for what, count in waits.items() if what.startswith("tolist"))
    return places == {"ops/nms.py"} and sizes == 1 and waits.total() <= 4


def test_the_counter_sees_every_way_to_wait(counting):
    x = torch.rand(6, 4)
    ways = {
        "nonzero": (x > 0.5).nonzero,
        "where": lambda: torch.where(x > 0.5),
        "mask": lambda: x[x[:, 0] > 0.5],
        "item": lambda: x.sum().item(),
        "branch": lambda: bool((x > 0.5).any()),
        "tolist": x[:, 0].tolist,
        "cpu": x.cpu,
        "unique": x.unique,
        "copy": lambda: torch.tensor([1.0, 2.0]),
        "repeat": lambda: torch.arange(6).repeat_interleave(torch.arange(6)),
    }
    for name, way in ways.items():
        assert counting.waits_of(way).total() >= 1, name
    for still in (lambda: x[torch.arange(3)], lambda: x.masked_fill(x > 0.5, 0.0), lambda: x.topk(2)):
        assert counting.waits_of(still).total() == 0


@pytest.mark.parametrize("build", [faster_rcnn_mobilenet_v2_fpn, faster_rcnn_r18_fpn, faster_rcnn_r50_c4])
def test_a_training_step_waits_for_suppression_alone_whatever_the_batch(counting, build):
    torch.manual_seed(0)
    model = build(3)
    model.settings = RegionSettings(slots=4)
    model.proposals.settings = ProposalSettings(before_nms_train=50, after_nms_train=20)
    for batch in (2, 8):
        assert are_of_one_suppression(counting.training_waits(model, batch))


def test_inference_waits_equally_often_whatever_the_batch(counting):
    torch.manual_seed(0)
    model = faster_rcnn_mobilenet_v2_fpn(3)
    model.proposals.settings = ProposalSettings(before_nms_test=50, after_nms_test=20)
    waits = {batch: counting.inference_waits(model, batch) for batch in (2, 8)}
    assert waits[2] == waits[8]
    assert waits[8].total() <= 12


def test_outlines_wait_for_nobody(counting, monkeypatch):
    """The mask branch fills as many slots as there may be, and its targets are cut out of padded masks."""
    monkeypatch.setattr("snellen.models.detection.mask_rcnn._is_on_the_host", lambda tensor: False)
    torch.manual_seed(0)
    model = mask_rcnn_r18_fpn(3).train()
    model.settings = RegionSettings(slots=8)
    model.proposals.settings = ProposalSettings(before_nms_train=50, after_nms_train=20)
    for batch in (2, 8):
        images, target = counting.inputs(batch)
        target = replace(target, masks=torch.ones(batch, 3, 96, 96, dtype=torch.uint8))

        def step(images=images, target=target):
            output = model(images, target)
            assert len(output.mask_rows) == 2 * len(images)
            model.loss(output, target)

        assert are_of_one_suppression(counting.waits_of(step))


@pytest.mark.parametrize("mining", [None, "ohem", "ohem_two_pass"])
def test_regions_from_outside_wait_for_nobody(counting, mining):
    torch.manual_seed(0)
    model = fast_rcnn_mobilenet_v2(3).train()
    model.settings = replace(model.settings, slots=8, mining=mining)
    waits = {}
    for batch in (2, 8):
        images, target = counting.inputs(batch)
        boxes = target.boxes.repeat(1, 5, 1)
        images = replace(images, regions=Regions(boxes=boxes, valid=torch.ones(boxes.shape[:2], dtype=torch.bool)))
        waits[batch] = counting.waits_of(lambda images=images, target=target: model.loss(model(images, target), target))
    for found in waits.values():
        if mining is None:
            assert found.total() == 0
        else:  # the number of groups, and suppression among the hardest
            asked = [what for what in found if "losses/hard_examples.py" in what]
            assert [found.pop(what) for what in asked] == [1]
            assert are_of_one_suppression(found)
