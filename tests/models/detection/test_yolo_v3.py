"""YOLOv3 against darknet's loops, written again in plain Python (SYS-033)."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.ops import complete_box_iou_loss, generalized_box_iou_loss

from snellen.errors import ConfigError
from snellen.models.detection.yolo_parts import GridOutput, grid_output
from snellen.models.detection.yolo_v3 import (
    PRIOR_OBJECTNESS,
    YOLO_V3_ANCHORS,
    YoloV3Head,
    YoloV3Neck,
    YoloV3Settings,
    yolo_v3,
    yolo_v3_mobilenet_v2,
    yolo_v3_tiny,
)
from snellen.structures import BoxTarget, FeatureSpec

SIDE = 64
CLASSES = 3
STRIDES = (16, 32)
ANCHORS = ((8.0, 10.0), (14.0, 9.0), (30.0, 40.0), (50.0, 44.0))
SPECS = tuple(FeatureSpec(name=f"p{n}", channels=4, stride=stride) for n, stride in zip((4, 5), STRIDES, strict=True))
SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "count_syncs.py"


def make_head(classes: int = CLASSES, **settings) -> YoloV3Head:
    torch.manual_seed(0)
    return YoloV3Head(SPECS, classes, anchors=ANCHORS, settings=YoloV3Settings(**settings)).double()


def batched(*targets: BoxTarget) -> BoxTarget:
    stacked = BoxTarget.stack(list(targets), (SIDE, SIDE))
    return stacked.map(lambda x: x.double() if x.is_floating_point() else x)


def raw_maps(batch: int, seed: int = 0, classes: int = CLASSES) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    grids = [SIDE // stride for stride in STRIDES]
    return [torch.randn(batch, 2 * (5 + classes), g, g, generator=generator, dtype=torch.float64) for g in grids]


def output_of(head: YoloV3Head, maps: list[torch.Tensor]) -> GridOutput:
    return grid_output(maps, head.anchors, STRIDES, torch.full((len(maps[0]), 2), SIDE))


def random_target(target_of, count: int, seed: int) -> BoxTarget:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, SIDE * 0.7, (count, 2))
    high = np.minimum(low + rng.uniform(3, SIDE * 0.8, (count, 2)), SIDE)
    return target_of(np.concatenate([low, high], axis=1), rng.integers(0, CLASSES, count))


def as_shares(target: BoxTarget) -> list[tuple]:
    rows = []
    for (x1, y1, x2, y2), label in zip((target.boxes.double() / SIDE).tolist(), target.labels.tolist(), strict=True):
        rows.append(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1, label))
    return rows


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def iou(a, b):
    """Of two boxes x, y, w, h about their centres."""
    width = min(a[0] + a[2] / 2, b[0] + b[2] / 2) - max(a[0] - a[2] / 2, b[0] - b[2] / 2)
    height = min(a[1] + a[3] / 2, b[1] + b[3] / 2) - max(a[1] - a[3] / 2, b[1] - b[3] / 2)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (a[2] * a[3] + b[2] * b[3] - width * height)


def yolo_box(t, anchor, i, j, grid):
    w, h = anchor[0] / SIDE, anchor[1] / SIDE
    return (i + sigmoid(t[0])) / grid, (j + sigmoid(t[1])) / grid, math.exp(t[2]) * w, math.exp(t[3]) * h


def darknet_deltas(x: np.ndarray, level: int, objects: list[tuple], ignore: float) -> np.ndarray:
    """What ``forward_yolo_layer`` leaves for one image and one level (truth_thresh 1): minus the gradient."""
    grid = x.shape[-1]
    x = x.reshape(2, -1, grid, grid)
    delta = np.zeros_like(x)
    for n, j, i in np.ndindex(2, grid, grid):
        box = yolo_box(x[n, :4, j, i], ANCHORS[2 * level + n], i, j, grid)
        if max([iou(box, truth[:4]) for truth in objects], default=0) <= ignore:
            delta[n, 4, j, i] = 0 - sigmoid(x[n, 4, j, i])
    for tx, ty, tw, th, label in objects:
        i, j = min(int(tx * grid), grid - 1), min(int(ty * grid), grid - 1)
        shapes = [iou((0, 0, aw / SIDE, ah / SIDE), (0, 0, tw, th)) for aw, ah in ANCHORS]
        best = shapes.index(max(shapes))
        n = best - 2 * level
        if n not in (0, 1):
            continue
        t = x[n, :, j, i]
        scale = 2 - tw * th
        delta[n, 0, j, i] = scale * (tx * grid - i - sigmoid(t[0]))
        delta[n, 1, j, i] = scale * (ty * grid - j - sigmoid(t[1]))
        delta[n, 2, j, i] = scale * (math.log(tw * SIDE / ANCHORS[best][0]) - t[2])
        delta[n, 3, j, i] = scale * (math.log(th * SIDE / ANCHORS[best][1]) - t[3])
        delta[n, 4, j, i] = 1 - sigmoid(t[4])
        classes = delta[n, 5:, j, i]
        if classes[label]:  # the reference has an object already: add a class
            classes[label] = 1 - sigmoid(t[5 + label])
        else:
            classes[:] = (np.arange(len(classes)) == label) - sigmoid(t[5:])
    return delta.reshape(-1, grid, grid)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("excused_above", [0.5, 0.7])
def test_gradients_are_darknets_deltas(target_of, seed, excused_above):
    """The whole loss at once: who answers on which scale, who is excused, every weight and every slope."""
    head = make_head(excused_above=excused_above)
    maps = [x.requires_grad_() for x in raw_maps(3, seed)]
    boxes = head.boxes(output_of(head, maps)).detach()[0]
    said = boxes[:: seed + 2]
    twice = [[2, 3, 12, 12], [3, 2, 11, 13]]  # two objects in one reference
    targets = [
        target_of(said, [seed % CLASSES] * len(said)),
        random_target(target_of, 7, seed),
        target_of(twice, [2, 0]),
    ]
    sum(head.loss(output_of(head, maps), batched(*targets)).values()).backward()
    for level, x in enumerate(maps):
        for index, target in enumerate(targets):
            wanted = darknet_deltas(x[index].detach().numpy(), level, as_shares(target), excused_above)
            np.testing.assert_allclose(-3 * x.grad[index].numpy(), wanted, rtol=1e-5, atol=1e-7)


def test_classes_do_not_exclude_one_another(target_of):
    """Section 2.2: independent logistic classifiers; a woman is a person too."""
    head = make_head()
    boxes = [[2.0, 3.0, 12.0, 12.0], [2.0, 3.0, 12.0, 12.0]]
    maps = [torch.full_like(x, -20) for x in raw_maps(1)]
    t = maps[0].view(1, 2, 8, 4, 4)
    t[0, 0, :2, 0, 0] = torch.logit(torch.tensor([7 / 16, 7.5 / 16], dtype=torch.float64))
    t[0, 0, 2:4, 0, 0] = torch.tensor([10 / 8, 9 / 10], dtype=torch.float64).log()
    t[0, 0, 4, 0, 0] = t[0, 0, 5, 0, 0] = t[0, 0, 7, 0, 0] = 20.0
    losses = head.loss(output_of(head, maps), batched(target_of(boxes, [2, 0])))
    assert all(value < 1e-6 for value in losses.values())
    found, scores = head.candidates(output_of(head, maps))
    best = scores[0].amax(dim=1).argmax()
    assert found[0, best, 0].tolist() == pytest.approx(boxes[0], abs=1e-4)
    assert (scores[0, best] > 0.99).tolist() == [True, False, True]


@pytest.mark.parametrize(("name", "peer"), [("giou", generalized_box_iou_loss), ("ciou", complete_box_iou_loss)])
def test_box_losses_of_overlap(target_of, name, peer):
    head, target = make_head(box_loss=name), target_of([[2, 3, 12, 12], [20, 20, 60, 60]], [0, 1])
    output = output_of(head, raw_maps(1))
    boxes = head.boxes(output)[0]
    # 10 x 9 about (7, 7.5) and 40 x 40 about (40, 40): anchor 0 of cell 0 on the fine level, anchor 0 of the last cell
    # on the coarse one.
    said = torch.stack([boxes[0], boxes[4 * 4 * 2 + 3 * 2]])
    wanted = peer(said, target.boxes.double(), reduction="sum")
    assert head.loss(output, batched(target))["box"].item() == pytest.approx(wanted.item(), rel=1e-4)


def test_small_anchors_go_to_the_fine_map():
    head = YoloV3Head(SPECS, 2, anchors=ANCHORS[::-1])
    assert head.anchors[0].tolist() == [[8.0, 10.0], [14.0, 9.0]]
    assert head.anchors[1].tolist() == [[30.0, 40.0], [50.0, 44.0]]
    assert "anchors" not in head.state_dict()
    with pytest.raises(ConfigError, match="multiple of the 2 levels"):
        YoloV3Head(SPECS, 2, anchors=ANCHORS[:3])


def test_numbers_of_the_paper():
    """Three scales at 416 px: 3 · (52² + 26² + 13²) = 10647 boxes of 4 + 1 + 80 values."""
    specs = [FeatureSpec(name=f"p{n}", channels=4, stride=2**n) for n in (3, 4, 5)]
    head = YoloV3Head(specs, 80, anchors=YOLO_V3_ANCHORS)
    maps = [torch.zeros(1, 255, 416 // stride, 416 // stride) for stride in (8, 16, 32)]
    boxes, scores = head.candidates(grid_output(maps, head.anchors, head.strides, torch.tensor([[416, 416]])))
    assert boxes.shape == (1, 10647, 1, 4)
    assert scores.shape == (1, 10647, 80)


def test_neck_is_that_of_the_cfg():
    """The finer level sees the coarse set's last output, half as deep and twice as wide, before the backbone's map."""
    torch.manual_seed(0)
    specs = [FeatureSpec(name=f"c{n}", channels=c, stride=2**n) for n, c in ((4, 6), (5, 10))]
    neck = YoloV3Neck(specs, widths=(4, 8), lengths=(3, 5)).eval()
    maps = {"c4": torch.randn(1, 6, 4, 4), "c5": torch.randn(1, 10, 2, 2)}
    found = neck(maps)
    branch = neck.sets[0](maps["c5"])
    lateral = neck.laterals[0](branch).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(found["p5"], neck.outputs[0](branch))
    torch.testing.assert_close(found["p4"], neck.outputs[1](neck.sets[1](torch.cat([lateral, maps["c4"]], dim=1))))
    assert [(spec.name, spec.channels, spec.stride) for spec in neck.features] == [("p4", 8, 16), ("p5", 16, 32)]
    assert [tuple(layer.conv.kernel_size) for layer in neck.sets[0]] == [(1, 1), (3, 3), (1, 1), (3, 3), (1, 1)]


@pytest.mark.parametrize(
    "boxes",
    [
        [],
        [[0, 0, SIDE, SIDE]],
        [[5, 5, 6, 6]],
        [[SIDE - 1, SIDE - 1, SIDE, SIDE]],
        [[SIDE, SIDE, SIDE, SIDE]],
        [[3, 4, 20, 30]] * 1000,
    ],
    ids=["none", "whole image", "one pixel", "corner", "on the edge", "a thousand"],
)
@pytest.mark.parametrize("box_loss", ["offsets", "giou", "ciou"])
def test_degenerate_targets(target_of, boxes, box_loss):
    head = make_head(box_loss=box_loss)
    losses = head.loss(output_of(head, raw_maps(1)), batched(target_of(boxes, [1] * len(boxes))))
    assert all(value.isfinite() for value in losses.values())
    assert (losses["class"] > 0) == bool(boxes)


@pytest.mark.parametrize("classes", [1, 500])
def test_any_number_of_classes(target_of, classes):
    head = make_head(classes)
    output = output_of(head, raw_maps(1, classes=classes))
    losses = head.loss(output, batched(target_of([[3, 4, 20, 30]], [classes - 1])))
    assert all(value.isfinite() and value > 0 for value in losses.values())


def test_ignored_objects_are_neither_wanted_nor_punished(target_of):
    head = make_head()
    maps = [torch.full_like(x, -20) for x in raw_maps(1)]
    maps[0].view(1, 2, 8, 4, 4)[0, 0, :5, 2, 2] = torch.tensor([0.0, 0.0, 0.0, 0.0, 20.0])  # 8 x 10 about (40, 40)
    nothing = head.loss(output_of(head, maps), batched(target_of([], [])))
    assert nothing["objectness"] == pytest.approx(20, rel=1e-3)
    ignored = head.loss(output_of(head, maps), batched(target_of([[10, 10, 60, 62]], [1], ignored=[True])))
    assert all(value < 1e-6 for value in ignored.values())
    elsewhere = head.loss(output_of(head, maps), batched(target_of([[0, 0, 9, 9]], [1], ignored=[True])))
    assert elsewhere["objectness"] == pytest.approx(20, rel=1e-3)


def test_batch_of_two_is_the_mean_of_two_batches_of_one(target_of):
    head, maps = make_head(), raw_maps(2)
    targets = [random_target(target_of, n, n) for n in (3, 5)]
    together = head.loss(output_of(head, maps), batched(*targets))
    alone = [head.loss(output_of(head, [x[i : i + 1] for x in maps]), batched(targets[i])) for i in range(2)]
    for name, value in together.items():
        assert value.item() == pytest.approx((alone[0][name] + alone[1][name]).item() / 2)


def test_objectness_starts_rare_and_boxes_on_their_anchors(batch_of):
    torch.manual_seed(0)
    model, batch = yolo_v3_mobilenet_v2(3), batch_of()
    output = model(batch.images)
    assert output.objectness.sigmoid().mean().item() == pytest.approx(PRIOR_OBJECTNESS, rel=0.2)
    boxes = model.head.boxes(output)
    sides = boxes[0, :, 2:] - boxes[0, :, :2]
    assert (sides / output.priors).log().abs().median() < 0.2


def test_layers_fill_darknets_files_to_the_last_number():
    """yolov3.weights has 248,007,048 bytes and yolov3-tiny.weights 35,434,956, 20 of them a header."""
    for build, size in ((yolo_v3, 248_007_048), (yolo_v3_tiny, 35_434_956)):
        with torch.device("meta"):
            model = build(80)
        layers = model.darknet_layers()
        assert 20 + 4 * sum(layer.num_numbers for layer in layers) == size
        state = model.state_dict()
        assert all(tuple(state[f"{layer.name}.weight"].shape) == layer.shape for layer in layers)
        named = {f"{layer.name}.weight" for layer in layers} | {
            f"{layer.norm}.weight" for layer in layers if layer.norm
        }
        assert {key for key in state if key.endswith(".weight")} == named
    # Filters of yolov3-tiny.cfg from its seventh convolution on: the verdict stands between the levels.
    assert [layer.outputs for layer in layers[6:]] == [1024, 256, 512, 255, 128, 256, 255]
    with torch.device("meta"):
        assert yolo_v3_mobilenet_v2(80).darknet_layers() == []


@pytest.mark.parametrize(
    "build",
    [yolo_v3_mobilenet_v2, pytest.param(yolo_v3_tiny, marks=pytest.mark.slow)],
)
def test_gradient_reaches_every_parameter(batch_of, build):
    torch.manual_seed(0)
    model, batch = build(3, anchors=ANCHORS * 3), batch_of(sizes=[(96, 64), (64, 96)])
    model.train()
    sum(model.loss(model(batch.images, batch.targets), batch.targets).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_bf16_gives_float32_losses(batch_of):
    torch.manual_seed(0)
    model, batch = yolo_v3_mobilenet_v2(3).train(), batch_of()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(batch.images, batch.targets)
    assert output.offsets.dtype == torch.float32
    losses = model.loss(output, batch.targets)
    assert all(value.dtype == torch.float32 and value.isfinite() for value in losses.values())


@pytest.mark.skipif(not SCRIPT.is_file(), reason="the benchmarks are not in this copy")
@pytest.mark.parametrize("box_loss", ["offsets", "ciou"])
def test_a_training_step_never_waits(box_loss):
    spec = importlib.util.spec_from_file_location("count_syncs", SCRIPT)
    counting = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(counting)
    torch.manual_seed(0)
    model = yolo_v3_mobilenet_v2(3, box_loss=box_loss)
    for batch in (2, 8):
        assert not counting.training_waits(model, batch)


@pytest.mark.parametrize("box_loss", ["diou", "GIoU", "iou"])
def test_a_loss_that_is_not_there(box_loss):
    with pytest.raises(ConfigError, match=rf"box_loss must be one of 'offsets', 'giou', 'ciou'; got {box_loss!r}"):
        yolo_v3_mobilenet_v2(3, box_loss=box_loss)
