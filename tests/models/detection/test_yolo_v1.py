"""YOLOv1 against plain loops written from the paper's equations (SYS-028, SYS-029)."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from snellen.errors import ConfigError, ShapeError
from snellen.models.detection.yolo_v1 import (
    LocalConv,
    YoloV1Head,
    YoloV1Output,
    yolo_v1,
    yolo_v1_mobilenet_v2,
    yolo_v1_tiny,
)
from snellen.structures import BoxTarget, FeatureSpec, ImageBatch

SIDE = 112
SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "count_syncs.py"


def batched(*targets: BoxTarget) -> BoxTarget:
    return BoxTarget.stack(list(targets), (SIDE, SIDE))


@pytest.fixture
def head() -> YoloV1Head:
    torch.manual_seed(0)
    return YoloV1Head(FeatureSpec(name="c5", channels=4, stride=16), 3, image_size=SIDE, hidden=(16,))


def noise(head: YoloV1Head, batch: int, seed: int = 0) -> YoloV1Output:
    """Verdicts such that boxes touch objects now and then."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(batch, head.grid**2, *shape, generator=generator, dtype=torch.float64)

    return YoloV1Output(
        classes=draw(head.num_classes),
        confidence=draw(head.per_cell),
        places=draw(head.per_cell, 4) * 0.5 + 0.3,
        sizes=torch.full((batch, 2), SIDE),
    )


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def corners(x, y, w, h):
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def paper_responsible(places, truth: tuple, row: int, column: int, grid: int) -> tuple[float, int]:
    """The overlap and the number of the box that answers: highest IoU, or least root mean square error if none."""
    scored = []
    for px, py, pw, ph in places:
        box = ((column + px) / grid, (row + py) / grid, pw**2, ph**2)
        scored.append((iou(corners(*box), corners(*truth)), math.dist(box, truth)))
    if any(overlap > 0 for overlap, _ in scored):
        best = max(range(len(scored)), key=lambda j: scored[j][0])
    else:
        best = min(range(len(scored)), key=lambda j: scored[j][1])
    return scored[best][0], best


def paper_loss(output: YoloV1Output, objects: list[list[tuple]], grid: int) -> dict[str, float]:
    """Redmon et al. 2016, eq. 3, cell by cell; objects are (x, y, w, h as shares of the image, class)."""
    totals = {"box": 0.0, "object": 0.0, "no_object": 0.0, "class": 0.0}
    for b, here in enumerate(objects):
        classes, confidence, places = (x[b].numpy() for x in (output.classes, output.confidence, output.places))
        in_cell = {}
        for x, y, w, h, label in here:
            cell = (min(int(y * grid), grid - 1), min(int(x * grid), grid - 1))
            in_cell.setdefault(cell, (x, y, w, h, label))  # the first keeps the cell
        for row in range(grid):
            for column in range(grid):
                i = row * grid + column
                responsible = None
                if (row, column) in in_cell:
                    x, y, w, h, label = in_cell[row, column]
                    overlap, responsible = paper_responsible(places[i], (x, y, w, h), row, column, grid)
                    px, py, pw, ph = places[i][responsible]
                    totals["box"] += 5 * ((px - (x * grid - column)) ** 2 + (py - (y * grid - row)) ** 2)
                    totals["box"] += 5 * ((pw - math.sqrt(w)) ** 2 + (ph - math.sqrt(h)) ** 2)
                    totals["object"] += (confidence[i][responsible] - overlap) ** 2
                    for k in range(classes.shape[1]):
                        totals["class"] += (classes[i][k] - (k == label)) ** 2
                for j in range(len(confidence[i])):
                    if j != responsible:
                        totals["no_object"] += 0.5 * confidence[i][j] ** 2
    return {name: value / len(objects) for name, value in totals.items()}


def as_shares(target: BoxTarget) -> list[tuple]:
    rows = []
    for (x1, y1, x2, y2), label in zip((target.boxes.double() / SIDE).tolist(), target.labels.tolist(), strict=True):
        rows.append(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1, label))
    return rows


def random_target(target_of, count: int, seed: int) -> BoxTarget:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, SIDE * 0.7, (count, 2))
    high = np.minimum(low + rng.uniform(4, SIDE * 0.5, (count, 2)), SIDE)
    return target_of(np.concatenate([low, high], axis=1), rng.integers(0, 3, count))


@pytest.mark.parametrize("seed", range(4))
def test_loss_is_equation_3(head, target_of, in_float64, seed):
    """SYS-029: λcoord 5, λnoobj 0.5, roots of the sides, the best box of a cell; SYS-170: confidence is its overlap."""
    targets = [random_target(target_of, count, seed * 3 + count) for count in (5, 1)]
    output = noise(head, 2, seed)
    found = head.loss(output, in_float64(batched(*targets)))
    wanted = paper_loss(output, [as_shares(target) for target in targets], head.grid)
    assert {name: value.item() for name, value in found.items()} == pytest.approx(wanted, rel=1e-5)


def test_an_untouched_object_goes_to_the_nearest_box(head, target_of):
    """detection_layer.c: where no box of the cell overlaps, the root mean square error decides."""
    output = noise(head, 1).map(torch.zeros_like)
    output.places[0, 24, :, :2] = torch.tensor([[9.0, 9.0], [3.0, 3.0]], dtype=torch.float64)  # both far away
    output.places[0, 24, :, 2:] = 0.3
    cell = SIDE / 7
    target = batched(target_of([[3.2 * cell, 3.2 * cell, 3.8 * cell, 3.8 * cell]], [1]))
    places = output.places.clone().requires_grad_()
    head.loss(
        YoloV1Output(classes=output.classes, confidence=output.confidence, places=places, sizes=output.sizes), target
    )["box"].backward()
    assert not places.grad[0, 24, 0].any()
    assert places.grad[0, 24, 1].any()


def test_numbers_of_the_paper():
    """NUM-087, NUM-088, ERR-116, ERR-117: 7·7·(2·5+20) = 1470 values, 98 boxes, and no anchors."""
    with torch.device("meta"):
        model = yolo_v1(20)
        images = torch.empty(1, 3, 448, 448, dtype=torch.uint8)
        sizes = torch.full((1, 2), 448)
        output = model(ImageBatch(pixels=images, sizes=sizes, original_sizes=sizes))
        boxes, scores = model.head.candidates(output)
    assert model.head.layers[-1].out_features == 7 * 7 * (2 * 5 + 20) == 1470
    assert boxes.shape == (1, 98, 1, 4)
    assert scores.shape == (1, 98, 20)
    assert not [name for name, _ in model.named_buffers() if "anchor" in name]


def test_one_cell_knows_one_object(head, target_of):
    """SYS-028, the weakness of close objects: of two centres in one cell only the first is learnt."""
    first, second = [10.0, 10.0, 20.0, 20.0], [8.0, 9.0, 22.0, 21.0]
    output = noise(head, 1)
    both = head.loss(output, batched(target_of([first, second], [0, 2])))
    alone = head.loss(output, batched(target_of([first], [0])))
    swapped = head.loss(output, batched(target_of([second, first], [2, 0])))
    assert {name: value.item() for name, value in both.items()} == {name: value.item() for name, value in alone.items()}
    assert both["class"] != swapped["class"]


def perfect(head: YoloV1Head, target: BoxTarget) -> YoloV1Output:
    """Verdicts that say exactly what ``target`` holds, with box 1 of each cell."""
    output = noise(head, 1).map(torch.zeros_like)
    for x, y, w, h, label in as_shares(target):
        column, row = (min(int(v * head.grid), head.grid - 1) for v in (x, y))
        i = row * head.grid + column
        output.places[0, i, 1] = torch.tensor([x * head.grid - column, y * head.grid - row, w**0.5, h**0.5])
        output.confidence[0, i, 1] = 1.0
        output.classes[0, i, label] = 1.0
    return output.map(lambda x: x if x.dtype == torch.long else x.float())


def test_perfect_verdicts_cost_nothing_and_decode_to_the_truth(head, target_of):
    target = target_of([[10, 20, 40, 70], [60, 60, 100, 90], [90, 90, 112, 112]], [0, 1, 2])
    output = perfect(head, target)
    assert all(value < 1e-9 for value in head.loss(output, batched(target)).values())
    boxes, scores = head.candidates(output)
    best = scores[0].amax(dim=1).topk(3).indices.sort().values
    torch.testing.assert_close(boxes[0, best, 0], target.boxes, atol=1e-3, rtol=0)
    assert scores[0, best].argmax(dim=1).tolist() == [0, 1, 2]


def test_scores_stay_in_range(head):
    output = noise(head, 2).map(lambda x: x * 3)
    _, scores = head.candidates(output)
    assert scores.min() >= 0
    assert scores.max() <= 1
    both_negative = (output.confidence[..., None] < 0) & (output.classes[:, :, None] < 0)
    assert both_negative.any()
    assert not scores.view_as(both_negative)[both_negative].any()


@pytest.mark.parametrize(
    "boxes",
    [
        [],
        [[0, 0, SIDE, SIDE]],
        [[5, 5, 6, 6]],
        [[SIDE - 1, SIDE - 1, SIDE, SIDE]],
        [[SIDE, SIDE, SIDE, SIDE]],  # the centre on the very edge: cell S does not exist
        [[3, 4, 20, 30]] * 1000,
    ],
    ids=["none", "whole image", "one pixel", "corner", "on the edge", "a thousand"],
)
def test_degenerate_targets(head, target_of, boxes):
    target = batched(target_of(boxes, [1] * len(boxes)))
    losses = head.loss(noise(head, 1), target)
    assert all(torch.isfinite(value) for value in losses.values())
    assert (losses["box"] > 0) == bool(boxes)


def test_ignored_objects_are_neither_wanted_nor_punished(head, target_of):
    box = [30.0, 30.0, 90.0, 90.0]
    output = perfect(head, target_of([box], [1]))
    ignored = head.loss(output, batched(target_of([box], [1], ignored=[True])))
    assert all(value == 0 for value in ignored.values())  # its own box lies within it, and the others say nothing
    assert head.loss(output, batched(target_of([], [])))["no_object"] == pytest.approx(0.5)
    elsewhere = head.loss(output, batched(target_of([[0, 0, 20, 20]], [1], ignored=[True])))
    assert elsewhere["no_object"] == pytest.approx(0.5)


def test_padding_rows_change_nothing(head, target_of):
    target = target_of([[10, 20, 40, 70]], [2])
    output = noise(head, 1)
    short = head.loss(output, batched(target))
    padded = head.loss(output, batched(target, random_target(target_of, 6, 0))[:1])
    assert {k: v.item() for k, v in short.items()} == {k: v.item() for k, v in padded.items()}


def test_batch_of_two_is_the_mean_of_two_batches_of_one(head, target_of):
    output, target = noise(head, 2), batched(*(random_target(target_of, n, n) for n in (3, 5)))
    together = head.loss(output, target)
    alone = [head.loss(output.map(lambda x, i=i: x[i : i + 1]), target[i : i + 1]) for i in range(2)]
    for name, value in together.items():
        assert value.item() == pytest.approx((alone[0][name] + alone[1][name]).item() / 2)


def test_local_convolution_is_a_convolution_with_other_weights_everywhere():
    """SYS-091, SYS-093, SYS-104, SYS-106: unfolded windows, as window by window; shared weights: a convolution."""
    torch.manual_seed(0)
    layer = LocalConv(3, 5, 4)
    x = torch.randn(2, 3, 4, 4)
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1))
    y = layer(x)
    for row in range(4):
        for column in range(4):
            place = row * 4 + column
            window = padded[:, :, row : row + 3, column : column + 3]
            wanted = (window[:, None] * layer.weight[place]).sum(dim=(2, 3, 4)) + layer.bias[:, place]
            torch.testing.assert_close(y[:, :, row, column], wanted, atol=1e-5, rtol=1e-4)
    same = LocalConv(3, 5, 4)
    same.weight.data[:] = layer.weight.data[:1]
    same.bias.data[:] = layer.bias.data[:, :1]
    shared = torch.nn.functional.conv2d(x, layer.weight[0], layer.bias[:, 0], padding=1)
    torch.testing.assert_close(same(x), shared, atol=1e-5, rtol=1e-4)


def test_layers_fill_darknets_files_to_the_last_number():
    """yolov1.weights has 789,312,988 bytes, 16 of them a header."""
    with torch.device("meta"):
        model = yolo_v1(20, head="local", per_cell=3)
    layers = [*model.backbone.darknet_layers(), *model.head.darknet_layers()]
    assert 16 + 4 * sum(layer.num_numbers for layer in layers) == 789_312_988
    assert [layer.kind for layer in layers[-2:]] == ["local", "connected"]
    with torch.device("meta"):
        tiny = yolo_v1_tiny(20, head="output")
    layers = [*tiny.backbone.darknet_layers(), *tiny.head.darknet_layers()]
    assert [layer.outputs for layer in layers] == [16, 32, 64, 128, 256, 512, 1024, 256, 1470]  # yolov1-tiny.cfg


def test_another_canvas_is_refused(make_images):
    model = yolo_v1_mobilenet_v2(3, image_size=64)
    with pytest.raises(ShapeError, match="64 x 64 pixels; got 96 x 64"):
        model(make_images((96, 64)))
    assert model.stride == 64


def test_unknown_head_is_refused():
    with pytest.raises(ConfigError, match="'local'"):
        yolo_v1(3, head="locl")


@pytest.mark.parametrize("num_classes", [1, 500])
def test_gradient_reaches_every_parameter(batch_of, num_classes):
    torch.manual_seed(0)
    model = yolo_v1_mobilenet_v2(num_classes, image_size=96).train()
    batch = batch_of(num_classes=num_classes)
    sum(model.loss(model(batch.images, batch.targets), batch.targets).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_without_batch_norm_there_are_biases_and_the_head_never_has_one():
    bare = yolo_v1_tiny(3, image_size=64, norm=None)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in bare.modules())
    assert all(m.bias is not None for m in bare.modules() if isinstance(m, torch.nn.Conv2d))
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in yolo_v1_mobilenet_v2(3, image_size=64).head.modules())


def test_bf16_gives_float32_losses(batch_of):
    torch.manual_seed(0)
    model, batch = yolo_v1_mobilenet_v2(3, image_size=96).train(), batch_of()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(batch.images, batch.targets)
    assert output.places.dtype == torch.float32
    losses = model.loss(output, batch.targets)
    assert all(value.dtype == torch.float32 and value.isfinite() for value in losses.values())


@pytest.mark.skipif(not SCRIPT.is_file(), reason="the benchmarks are not in this copy")
def test_a_training_step_never_waits():
    spec = importlib.util.spec_from_file_location("count_syncs", SCRIPT)
    counting = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(counting)
    torch.manual_seed(0)
    model = yolo_v1_mobilenet_v2(3, image_size=96)
    for batch in (2, 8):
        assert not counting.training_waits(model, batch)
