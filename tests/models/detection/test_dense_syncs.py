"""A training step of RetinaNet and SSD never makes the host wait for an accelerator."""

import importlib.util
from pathlib import Path

import pytest
import torch

from snellen.models.detection.retinanet import RetinaSettings, retinanet_r18_fpn
from snellen.models.detection.ssd import ssd_mobilenet_v2

SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "count_syncs.py"


@pytest.fixture(scope="module")
def counting():
    if not SCRIPT.is_file():
        pytest.skip("the benchmarks are not in this copy")
    spec = importlib.util.spec_from_file_location("count_syncs", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BUILDERS = {
    "focal": lambda: retinanet_r18_fpn(3),
    "alpha_ce": lambda: retinanet_r18_fpn(3, settings=RetinaSettings(classification="alpha_ce")),
    "ssd": lambda: ssd_mobilenet_v2(3, image_size=96),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_waits_do_not_grow_with_the_batch(counting, name):
    torch.manual_seed(0)
    model = BUILDERS[name]()
    with torch.inference_mode():
        model(counting.inputs(2)[0])  # SSD works its default boxes out once for each canvas
    assert [counting.training_waits(model, batch).total() for batch in (2, 8)] == [0, 0]
    waits = [counting.inference_waits(model, batch) for batch in (2, 8)]
    assert waits[0] == waits[1]
    assert waits[0].total() <= 8
