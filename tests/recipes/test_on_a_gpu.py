"""Whole trainings on a CUDA device: one of each family learns, is measured, predicts and is watched there."""

import copy
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

import snellen
from snellen.data import ChartSpec, write_charts
from snellen.models import find_model
from snellen.structures import BoxTarget, ClassTarget, ImageBatch, MaskTarget

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

OPTIONS = {"epochs": 2, "image_size": 96, "batch_size": 4, "workers": 0, "device": "cuda", "ema": 0}
MODELS = {
    "resnet18": ClassTarget, "mobilenet_v2": ClassTarget, "seresnet18": ClassTarget,
    "faster_rcnn_r18_fpn": BoxTarget, "mask_rcnn_mobilenet_v2_fpn": BoxTarget, "rcnn_mobilenet_v2": BoxTarget,
    "fast_rcnn_mobilenet_v2": BoxTarget, "sppnet_mobilenet_v2": BoxTarget, "retinanet_mobilenet_v2_fpn": BoxTarget,
    "ssd_mobilenet_v2": BoxTarget, "yolo_v1_mobilenet_v2": BoxTarget, "yolo_v2_mobilenet_v2": BoxTarget,
    "yolo_v3_mobilenet_v2": BoxTarget, "fcn_8s_mobilenet_v2": MaskTarget, "segnet_mobilenet_v2": MaskTarget,
    "unet_resnet18": MaskTarget, "deeplab_v3_plus_mobilenet_v2": MaskTarget, "pspnet_mobilenet_v2": MaskTarget,
}  # fmt: skip
HEADLINE = {ClassTarget: "accuracy", BoxTarget: "AP50", MaskTarget: "mIoU"}


@pytest.fixture(scope="module")
def charts(tmp_path_factory):
    root, made = tmp_path_factory.mktemp("charts"), {}

    def get(task):
        if task not in made:
            spec = ChartSpec(letters="CO", size=(96, 96), num_letters=(1, 1) if task is ClassTarget else (1, 2),
                             letter_height=(30.0, 60.0), difficulty=0.0)  # fmt: skip
            made[task] = write_charts(root / task.__name__, task=task, num_train=16, num_val=4, num_test=8, spec=spec)
        return made[task]

    return get


@pytest.mark.parametrize("model", MODELS)
def test_it_learns_measures_and_predicts_there(model, charts, tmp_path):
    task = MODELS[model]
    run = snellen.train(charts(task), model=model, folder=tmp_path / "run", **OPTIONS)
    assert run.record["device"].startswith("cuda")
    there = snellen.evaluate(run.folder, split="test", device="cuda").scalars[HEADLINE[task]]
    here = snellen.evaluate(run.folder, split="test", device="cpu").scalars[HEADLINE[task]]
    assert there == pytest.approx(here, abs=0.15)  # half precision there, eight images
    found = snellen.predict(run.folder, snellen.load(charts(task)).split("test").path(0), device="cuda")
    assert len(found.predictions) == 1
    assert not found.skipped


def test_watching_changes_no_bit(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4)).cuda()
    images, labels = torch.randn(8, 3, 12, 12, device="cuda"), torch.randint(0, 4, (8,), device="cuda")
    net(images)
    watched = copy.deepcopy(net)

    def train(model, optimizer, observe):
        for _ in range(12):
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            observe(loss)

    train(net, torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9), lambda _: None)
    optimizer = torch.optim.SGD(watched.parameters(), lr=0.1, momentum=0.9)
    with snellen.watch(watched, optimizer, folder=tmp_path, every=3) as doctor:
        train(watched, optimizer, doctor.observe)
    assert len(doctor.trace.losses["loss"]) == 12
    for name, value in net.state_dict().items():
        assert torch.equal(value, watched.state_dict()[name]), name


def test_watching_makes_the_host_wait_for_nothing(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(800, 4)).cuda()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    images, labels = torch.randn(8, 3, 12, 12, device="cuda"), torch.randint(0, 4, (8,), device="cuda")
    with snellen.watch(net, optimizer, folder=tmp_path, every=4, on_finding=lambda *_: None) as doctor:
        for step in range(12):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it is a prototype
                torch.cuda.set_sync_debug_mode("error" if step > 1 else "default")
            try:
                loss = nn.functional.cross_entropy(net(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                doctor.observe(loss)
            finally:
                torch.cuda.set_sync_debug_mode("default")
    assert len(doctor.trace.sampled) >= 4


def test_a_loss_that_is_not_finite_is_named_there(tmp_path):
    net = nn.Linear(4, 2).cuda()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with snellen.watch(net, optimizer, folder=tmp_path, on_finding=lambda *_: None) as doctor:
        for step in range(6):
            loss = net(torch.randn(3, 4, device="cuda")).sum() * (float("nan") if step == 3 else 1.0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            doctor.observe(loss)
    assert "T1" in {finding.code for finding in doctor.diagnosis.findings}


def test_the_host_waits_for_suppression_alone_in_a_step_of_faster_rcnn():
    torch.manual_seed(0)
    model = find_model("faster_rcnn_mobilenet_v2_fpn").build(3).cuda().train()
    sizes = torch.tensor([[128, 128]] * 2)
    pixels = torch.randint(0, 256, (2, 3, 128, 128), dtype=torch.uint8)
    images = ImageBatch(pixels=pixels.cuda(), sizes=sizes.cuda(), original_sizes=sizes.cuda())
    corners = torch.rand(2, 3, 2) * 60
    target = BoxTarget(
        boxes=torch.cat([corners, corners + 50], 2).cuda(), labels=torch.randint(0, 3, (2, 3)).cuda(),
        valid=torch.ones(2, 3, dtype=torch.bool).cuda(), ignored=torch.zeros(2, 3, dtype=torch.bool).cuda(),
    )  # fmt: skip

    def step():
        output = model(images, target)
        sum(model.loss(output, target).values()).backward()

    step()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")  # which warns that it is a prototype
        try:
            step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    waits = [
        f"{Path(each.filename).name}:{each.lineno}" for each in seen if "called a synchronizing" in str(each.message)
    ]
    assert all(wait.startswith("nms.py") for wait in waits), waits
    assert len(waits) <= 6
