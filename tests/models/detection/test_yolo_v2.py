"""YOLOv2 against darknet's loops, written again in plain Python (SYS-030, SYS-032)."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from snellen.models.detection.yolo_parts import GridOutput, grid_output, is_excused, shape_iou, winners
from snellen.models.detection.yolo_v2 import (
    HAND_MADE_ANCHORS,
    START_OBJECTNESS,
    YOLO_V2_ANCHORS,
    Reorg,
    YoloV2Head,
    yolo_v2,
    yolo_v2_mobilenet_v2,
    yolo_v2_tiny,
)
from snellen.structures import BoxTarget, FeatureSpec

GRID = 4
SIDE = GRID * 32
CLASSES = 3
ANCHORS = ((20.0, 24.0), (60.0, 40.0), (90.0, 100.0))
SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "count_syncs.py"


def make_head(**options) -> YoloV2Head:
    torch.manual_seed(0)
    feature = FeatureSpec(name="c5", channels=4, stride=32)
    return YoloV2Head(feature, None, options.pop("classes", CLASSES), anchors=ANCHORS, width=8, **options).double()


def batched(*targets: BoxTarget) -> BoxTarget:
    stacked = BoxTarget.stack(list(targets), (SIDE, SIDE))
    return stacked.map(lambda x: x.double() if x.is_floating_point() else x)


def raw_map(batch: int, seed: int = 0, classes: int = CLASSES) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    channels = len(ANCHORS) * (5 + classes)
    return torch.randn(batch, channels, GRID, GRID, generator=generator, dtype=torch.float64)


def output_of(head: YoloV2Head, x: torch.Tensor) -> GridOutput:
    return grid_output([x], head.anchors, [32], torch.full((len(x), 2), SIDE))


def random_target(target_of, count: int, seed: int) -> BoxTarget:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, SIDE * 0.7, (count, 2))
    high = np.minimum(low + rng.uniform(4, SIDE * 0.8, (count, 2)), SIDE)
    return target_of(np.concatenate([low, high], axis=1), rng.integers(0, CLASSES, count))


def as_shares(target: BoxTarget) -> list[tuple]:
    rows = []
    for (x1, y1, x2, y2), label in zip((target.boxes.double() / SIDE).tolist(), target.labels.tolist(), strict=True):
        rows.append(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1, label))
    return rows


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def iou(a, b):
    """Of two boxes x, y, w, h about their centres."""
    width = min(a[0] + a[2] / 2, b[0] + b[2] / 2) - max(a[0] - a[2] / 2, b[0] - b[2] / 2)
    height = min(a[1] + a[3] / 2, b[1] + b[3] / 2) - max(a[1] - a[3] / 2, b[1] - b[3] / 2)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (a[2] * a[3] + b[2] * b[3] - width * height)


def region_box(t, n, i, j):
    w, h = (side / SIDE for side in ANCHORS[n])
    return (i + sigmoid(t[0])) / GRID, (j + sigmoid(t[1])) / GRID, math.exp(t[2]) * w, math.exp(t[3]) * h


def darknet_deltas(x: np.ndarray, objects: list[tuple]) -> np.ndarray:
    """What ``forward_region_layer`` leaves for one image, with the slope of the logistic: minus the gradient."""
    x = x.reshape(len(ANCHORS), -1, GRID, GRID)
    delta = np.zeros_like(x)
    for n, j, i in np.ndindex(len(ANCHORS), GRID, GRID):
        box = region_box(x[n, :4, j, i], n, i, j)
        c = sigmoid(x[n, 4, j, i])
        if max([iou(box, truth[:4]) for truth in objects], default=0) <= 0.6:
            delta[n, 4, j, i] = 1.0 * (0 - c) * c * (1 - c)
    for tx, ty, tw, th, label in objects:
        i, j = min(int(tx * GRID), GRID - 1), min(int(ty * GRID), GRID - 1)
        shapes = [iou((0, 0, aw / SIDE, ah / SIDE), (0, 0, tw, th)) for aw, ah in ANCHORS]
        n = shapes.index(max(shapes))
        t = x[n, :, j, i]
        scale = 1.0 * (2 - tw * th)
        for axis, place in ((0, tx * GRID - i), (1, ty * GRID - j)):
            s = sigmoid(t[axis])
            delta[n, axis, j, i] = scale * (place - s) * s * (1 - s)
        delta[n, 2, j, i] = scale * (math.log(tw * SIDE / ANCHORS[n][0]) - t[2])
        delta[n, 3, j, i] = scale * (math.log(th * SIDE / ANCHORS[n][1]) - t[3])
        c = sigmoid(t[4])
        overlap = iou(region_box(t, n, i, j), (tx, ty, tw, th))
        delta[n, 4, j, i] = 5.0 * (overlap - c) * c * (1 - c)
        p = np.exp(t[5:] - t[5:].max())
        delta[n, 5:, j, i] = (np.arange(len(p)) == label) - p / p.sum()
    return delta.reshape(-1, GRID, GRID)


@pytest.mark.parametrize("seed", range(4))
def test_gradients_are_darknets_deltas(target_of, seed):
    """The whole loss at once: who answers, who is excused, every weight and every slope."""
    head = make_head()
    x = raw_map(3, seed).requires_grad_()
    boxes = head.boxes(output_of(head, x)).detach()[0]
    said = boxes[:: seed + 3]
    # What the network says already, so that many references are excused; then anything; then nothing.
    targets = [target_of(said, [seed % CLASSES] * len(said)), random_target(target_of, 6, seed), target_of([], [])]
    sum(head.loss(output_of(head, x), batched(*targets)).values()).backward()
    for index, target in enumerate(targets):
        wanted = darknet_deltas(x[index].detach().numpy(), as_shares(target))
        np.testing.assert_allclose(-3 * x.grad[index].numpy(), wanted, rtol=1e-5, atol=1e-7)


def test_reorg_is_darknets_loop():
    """``reorg_cpu`` over flat memory with forward 0: not the usual space-to-depth."""
    channels, height, width = 8, 4, 6
    x = torch.arange(2 * channels * height * width, dtype=torch.float32).view(2, channels, height, width)
    flat, out = x.flatten().numpy(), np.empty(x.numel(), np.float32)
    for b, k, j, i in np.ndindex(2, channels, height, width):
        c2, offset = k % (channels // 4), k // (channels // 4)
        w2, h2 = i * 2 + offset % 2, j * 2 + offset // 2
        source = w2 + width * 2 * (h2 + height * 2 * (c2 + channels // 4 * b))
        out[i + width * (j + height * (k + channels * b))] = flat[source]
    found = Reorg()(x)
    assert found.shape == (2, channels * 4, height // 2, width // 2)
    assert np.array_equal(found.flatten().numpy(), out)
    assert not torch.equal(found, torch.nn.functional.pixel_unshuffle(x, 2))


def test_boxes_stay_in_their_cell_and_decode_to_the_truth(target_of):
    head = make_head()
    truth = target_of([[10, 12, 33, 35], [40, 60, 110, 100], [90, 90, 128, 128]], [0, 1, 2])
    x = torch.full_like(raw_map(1), -20).view(1, 3, 8, GRID, GRID)
    for cx, cy, w, h, label in as_shares(truth):
        i, j = int(cx * GRID), int(cy * GRID)
        n = int(shape_iou(torch.tensor([w, h]) * SIDE, torch.tensor(ANCHORS)).argmax())
        place = torch.tensor([cx * GRID - i, cy * GRID - j], dtype=torch.float64)
        x[0, n, :2, j, i] = torch.logit(place)
        x[0, n, 2:4, j, i] = torch.tensor([w * SIDE / ANCHORS[n][0], h * SIDE / ANCHORS[n][1]]).double().log()
        x[0, n, 4, j, i] = x[0, n, 5 + label, j, i] = 20.0
    output = output_of(head, x.flatten(1, 2))
    boxes, scores = head.candidates(output)
    best = scores[0].amax(dim=1).topk(3).indices.sort().values
    torch.testing.assert_close(boxes[0, best, 0], truth.boxes.double(), atol=1e-4, rtol=0)
    assert scores[0, best].argmax(dim=1).tolist() == [0, 1, 2]
    assert all(value < 1e-6 for value in head.loss(output, batched(truth)).values())
    wild, _ = head.candidates(output_of(head, raw_map(1) * 50))
    centers = (wild[0, :, 0, :2] + wild[0, :, 0, 2:]) / 2
    low = output.corners
    assert ((centers >= low - 1e-6) & (centers <= low + 32 + 1e-6)).all()
    assert wild.isfinite().all()


def test_offsets_reach_anywhere_as_region_proposals_do(target_of):
    head = make_head(location="offset")
    truth = target_of([[10, 12, 50, 40]], [1])
    x = raw_map(1).requires_grad_()
    loss = head.loss(output_of(head, x), batched(truth))["box"]
    n, (i, j) = 1, (0, 0)  # its centre is (30, 26) and its shape nearest to 60 x 40
    t = x.view(1, 3, 8, GRID, GRID)[0, n, :4, j, i]
    wanted = [(30 - 16) / 60, (26 - 16) / 40, math.log(40 / 60), math.log(28 / 40)]
    by_hand = 0.5 * sum((a - b) ** 2 for a, b in zip(t.tolist(), wanted, strict=True)) * (2 - 40 * 28 / SIDE**2)
    assert loss.item() == pytest.approx(by_hand)
    far = torch.zeros(1, 24, GRID, GRID, dtype=torch.float64)
    far[:, 0] = 3.0  # three anchors to the right
    boxes, _ = head.candidates(output_of(head, far))
    assert boxes[0, 0, 0].tolist() == pytest.approx([16 + 60 - 10, 16 - 12, 16 + 60 + 10, 16 + 12])


def test_shape_overlap_and_winners():
    sides = torch.tensor([[20.0, 10.0], [5.0, 5.0]])
    anchors = torch.tensor([[20.0, 10.0], [10.0, 20.0]])
    assert shape_iou(sides, anchors).tolist() == [[1.0, pytest.approx(100 / 300)], [0.125, 0.125]]
    slot = torch.tensor([[2, 0, 2, 2], [1, 1, 1, 0]])
    wanted = torch.tensor([[True, True, True, False], [True, True, True, False]])
    assert winners(slot, wanted, 3).tolist() == [[1, -1, 2], [-1, 2, -1]]
    assert winners(slot, wanted, 3, first=True).tolist() == [[1, -1, 0], [-1, 0, -1]]


def test_numbers_of_the_paper():
    """NUM-089, ERR-119: nine hand-made anchors give 13·13·9 = 1521 boxes at 416 px, the five clusters 845."""
    for anchors, count in ((HAND_MADE_ANCHORS, 1521), (YOLO_V2_ANCHORS, 845)):
        head = YoloV2Head(FeatureSpec(name="c5", channels=4, stride=32), None, 20, anchors=anchors, width=8)
        x = torch.zeros(1, len(anchors) * 25, 13, 13)
        boxes, scores = head.candidates(grid_output([x], head.anchors, [32], torch.tensor([[416, 416]])))
        assert boxes.shape == (1, count, 1, 4)
        assert scores.shape == (1, count, 20)


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
@pytest.mark.parametrize("location", ["direct", "offset"])
def test_degenerate_targets(target_of, boxes, location):
    head = make_head(location=location)
    losses = head.loss(output_of(head, raw_map(1)), batched(target_of(boxes, [1] * len(boxes))))
    assert all(value.isfinite() for value in losses.values())
    assert (losses["class"] > 0) == bool(boxes)


@pytest.mark.parametrize("classes", [1, 500])
def test_any_number_of_classes(target_of, classes):
    head = make_head(classes=classes)
    losses = head.loss(
        output_of(head, raw_map(1, classes=classes)), batched(target_of([[3, 4, 20, 30]], [classes - 1]))
    )
    assert all(value.isfinite() for value in losses.values())
    assert (losses["class"] > 1e-9) == (classes > 1)


def test_the_last_of_two_objects_in_one_place_is_learnt(target_of):
    head, x = make_head(), raw_map(1)
    first, second = [4.0, 4.0, 24.0, 28.0], [5.0, 5.0, 25.0, 27.0]
    both = head.loss(output_of(head, x), batched(target_of([first, second], [0, 1])))
    last = head.loss(output_of(head, x), batched(target_of([second], [1])))
    assert both["box"] == last["box"]
    assert both["class"] == last["class"]


def test_ignored_objects_are_neither_wanted_nor_punished(target_of):
    head = make_head()
    box = [30.0, 30.0, 110.0, 120.0]
    x = torch.full_like(raw_map(1), -20)
    x.view(1, 3, 8, GRID, GRID)[0, 0, :5, 2, 2] = torch.tensor([0.0, 0.0, 0.0, 0.0, 20.0])  # 20 x 24 about (80, 80)
    nothing = head.loss(output_of(head, x), batched(target_of([], [])))
    assert nothing["no_object"] == pytest.approx(0.5)
    ignored = head.loss(output_of(head, x), batched(target_of([box], [1], ignored=[True])))
    assert all(value < 1e-6 for value in ignored.values())
    elsewhere = head.loss(output_of(head, x), batched(target_of([[0, 0, 20, 20]], [1], ignored=[True])))
    assert elsewhere["no_object"] == pytest.approx(0.5)


def test_excuses_do_not_depend_on_how_many_objects_are_looked_at_at_once(target_of):
    """More objects than one part holds, and an excuse that comes from the last."""
    far = [[0.0, 0.0, 4.0, 4.0]] * 70
    predicted = torch.tensor([[[50.0, 50.0, 90.0, 90.0], [0.0, 60.0, 30.0, 90.0]]])
    target = BoxTarget.stack([target_of([*far, [52, 50, 92, 90]], [0] * 71)], (SIDE, SIDE))
    assert is_excused(predicted, target, iou_above=0.6).tolist() == [[True, False]]


def test_batch_of_two_is_the_mean_of_two_batches_of_one(target_of):
    head, x = make_head(), raw_map(2)
    targets = [random_target(target_of, n, n) for n in (3, 5)]
    together = head.loss(output_of(head, x), batched(*targets))
    alone = [head.loss(output_of(head, x[i : i + 1]), batched(targets[i])) for i in range(2)]
    for name, value in together.items():
        assert value.item() == pytest.approx((alone[0][name] + alone[1][name]).item() / 2)


def test_objectness_starts_low_and_boxes_on_their_anchors(batch_of):
    torch.manual_seed(0)
    model, batch = yolo_v2_mobilenet_v2(3), batch_of()
    output = model(batch.images)
    assert output.objectness.sigmoid().mean().item() == pytest.approx(START_OBJECTNESS, rel=0.2)
    boxes = model.head.boxes(output)
    assert ((boxes[0, :, 2:] - boxes[0, :, :2]) / output.priors).log().abs().median() < 0.2


def test_layers_fill_darknets_files_to_the_last_number():
    """yolov2.weights (80 classes) has 203,934,260 bytes, tiny-yolo-voc.weights 63,471,556, 16 of them a header."""
    for build, classes, size in ((yolo_v2, 80, 203_934_260), (yolo_v2_tiny, 20, 63_471_556)):
        with torch.device("meta"):
            model = build(classes)
        layers = [*model.backbone.darknet_layers(), *model.head.darknet_layers()]
        assert 16 + 4 * sum(layer.num_numbers for layer in layers) == size
    with torch.device("meta"):
        layers = yolo_v2(20).head.darknet_layers()
    assert [layer.outputs for layer in layers] == [1024, 1024, 64, 1024, 125]  # yolov2-voc.cfg


@pytest.mark.parametrize("options", [{}, {"passthrough": False, "location": "offset", "anchors": HAND_MADE_ANCHORS}])
def test_gradient_reaches_every_parameter(batch_of, options):
    torch.manual_seed(0)
    model, batch = yolo_v2_mobilenet_v2(3, **options).train(), batch_of(sizes=[(96, 64), (64, 96)])
    sum(model.loss(model(batch.images, batch.targets), batch.targets).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_bf16_gives_float32_losses(batch_of):
    torch.manual_seed(0)
    model, batch = yolo_v2_mobilenet_v2(3).train(), batch_of()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(batch.images, batch.targets)
    assert output.offsets.dtype == torch.float32
    losses = model.loss(output, batch.targets)
    assert all(value.dtype == torch.float32 and value.isfinite() for value in losses.values())


@pytest.mark.skipif(not SCRIPT.is_file(), reason="the benchmarks are not in this copy")
def test_a_training_step_never_waits():
    spec = importlib.util.spec_from_file_location("count_syncs", SCRIPT)
    counting = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(counting)
    torch.manual_seed(0)
    model = yolo_v2_mobilenet_v2(3)
    for batch in (2, 8):
        assert not counting.training_waits(model, batch)
