"""What the doctor is told of a planned training is what the model and the loader really do."""

import numpy as np
import pytest
import torch

from snellen.models import find_model, map_reaches
from snellen.models.backbones import find_backbone
from snellen.models.description import receptive_fields
from snellen.recipes.options import options_from
from snellen.recipes.preparing import prepare_training
from snellen.recipes.setup_facts import setup_of


def setup(charts, kind, **options):
    return setup_of(prepare_training(charts[kind], options_from({"device": "cpu", "image_size": 64, **options})))


def test_settings_are_those_of_the_plan(charts):
    """Steps are counted by the loader: eight images in batches of three, without the last that is not full."""
    told = setup(
        charts, "classes", model="resnet18", batch_size=3, epochs=5, lr=0.01, optimizer="sgd", sampler="shuffled",
        accumulate=2, mean=(0.5, 0.5, 0.5),
    )  # fmt: skip
    assert (told.model, told.batch_size, told.epochs, told.steps, told.num_train_images) == ("resnet18", 3, 5, 5, 8)
    assert (told.lr, told.optimizer, told.sampler, told.mean) == (0.01, "sgd", "shuffled", (0.5, 0.5, 0.5))
    assert told.pretrained is False
    assert told.weights_matched is None


@pytest.mark.parametrize(
    ("kind", "model", "strides"),
    [
        ("boxes", "retinanet_r18_fpn", [8, 16, 32, 64, 64]),  # a map of one cell is 64 px wide here
        ("boxes", "faster_rcnn_mobilenet_v2_fpn", [8, 16, 32, 64]),
        ("boxes", "yolo_v2_tiny", [32]),
        ("boxes", "hog_svm", []),
        ("classes", "resnet18", [32]),
        ("masks", "unet_resnet18", [1]),
        ("masks", "fcn_32s_mobilenet_v2", [32]),
        ("masks", "fcn_8s_mobilenet_v2", [8]),
        ("masks", "deeplab_v3_mobilenet_v2", [16]),
        ("masks", "deeplab_v3_plus_mobilenet_v2", [4]),
        ("masks", "segnet_mobilenet_v2", [1]),
        ("masks", "unet_paper_small", []),
    ],
)
def test_maps_are_those_that_answers_are_read_from(charts, kind, model, strides):
    assert [made.stride for made in setup(charts, kind, model=model).maps] == strides


def test_grid_of_yolo_v1(charts):
    told = setup(charts, "boxes", model="yolo_v1_tiny", image_size=448)
    assert told.grid == 7
    assert [made.stride for made in told.maps] == [64]


def test_anchors_are_those_of_the_network(charts):
    """Of the RPN: five levels, three shapes; of YOLOv2: five from the data; of SSD: the sides that the network lays."""
    anchors = setup(charts, "boxes", model="faster_rcnn_r18_fpn").anchors
    assert anchors.shape == (15, 2)
    areas = np.sqrt(anchors.prod(1))
    assert areas == pytest.approx(np.repeat([16, 32, 64, 128, 256], 3), rel=0.05)
    assert setup(charts, "boxes", model="yolo_v2_tiny").anchors.shape == (5, 2)
    assert setup(charts, "classes", model="resnet18").anchors is None


def test_default_boxes_are_those_that_ssd_lays(charts):
    ready = prepare_training(charts["boxes"], options_from({"device": "cpu", "model": "ssd_mobilenet_v2"}))
    told = setup_of(ready)
    from snellen.structures import ImageBatch

    side = torch.tensor([[320, 320]])
    blank = ImageBatch(pixels=torch.zeros(1, 3, 320, 320, dtype=torch.uint8), sizes=side, original_sizes=side)
    with torch.no_grad():
        boxes = ready.model.eval()(blank).default_boxes
    laid = {tuple(row) for row in (boxes[:, 2:] - boxes[:, :2]).round(decimals=1).tolist()}
    uncut = {tuple(np.minimum(row, 320).round(1).tolist()) for row in told.anchors}
    assert {(round(w), round(h)) for w, h in laid} == {(round(w), round(h)) for w, h in uncut}


def test_reach_equals_that_of_the_backbone():
    backbone = find_backbone("resnet18")()
    told = {reach.name: reach.receptive_field_px for reach in map_reaches(backbone, None, 128)}
    assert told == receptive_fields(backbone)
    assert backbone.training


def test_weights_are_counted(charts, tmp_path):
    torch.manual_seed(0)
    state = find_model("resnet18").build(2).state_dict()
    some = {name: value for place, (name, value) in enumerate(state.items()) if place % 2}
    torch.save(some, tmp_path / "half.pth")
    told = setup(charts, "classes", model="resnet18", weights=tmp_path / "half.pth")
    names = [name for name in state if name.startswith("backbone.")]
    assert told.pretrained
    assert told.weights_matched == pytest.approx(sum(name in some for name in names) / len(names), abs=0.01)
