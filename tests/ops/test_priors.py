"""Clustered anchors against a plain loop (SYS-032), default boxes against torchvision's (SYS-035)."""

import json

import numpy as np
import pytest
import torch
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList

from snellen.errors import InputError
from snellen.ops import best_possible_recall, box_iou, default_boxes, kmeans_anchors, mean_best_iou, sides_iou
from snellen.ops import priors as module


def some_sides(count=300, seed=0):
    """Three kinds of objects: small and square, tall, and large and wide."""
    generator = torch.Generator().manual_seed(seed)
    kinds = torch.tensor([[20.0, 20], [30, 90], [200, 100]])
    noise = torch.exp(torch.randn(count, 2, generator=generator) * 0.15)
    return kinds[torch.arange(count) % 3] * noise


def plain_iou(first, second):
    shared = min(first[0], second[0]) * min(first[1], second[1])
    return shared / (first[0] * first[1] + second[0] * second[1] - shared)


def plain_lloyd(points, anchors, average):
    """Redmon and Farhadi 2017: nearest by 1 − IoU, then the average of each cluster; every round's outcome."""
    rounds, before = [], None
    while True:
        nearest = [int(np.argmax([plain_iou(point, anchor) for anchor in anchors])) for point in points]
        score = np.mean([plain_iou(point, anchors[index]) for point, index in zip(points, nearest, strict=True)])
        rounds.append((score, anchors))
        if nearest == before:
            return rounds
        before = nearest
        members = [[p for p, index in zip(points, nearest, strict=True) if index == a] for a in range(len(anchors))]
        anchors = [average(np.array(group), axis=0) for group in members]


@pytest.mark.parametrize(("update", "average"), [("median", np.median), ("mean", np.mean)])
@pytest.mark.parametrize("seed", [0, 1])
def test_is_the_plain_loop(update, average, seed):
    points = some_sides(120, seed).double()
    start = points[[0, 1, 2, 30, 61]]
    rounds = plain_lloyd(points.numpy(), list(start.numpy()), average)
    score, anchors = module._lloyd(points, start, update=update)
    best_score, best_anchors = max(rounds, key=lambda item: item[0])
    assert len(rounds) > 2
    assert score == pytest.approx(best_score, rel=1e-12)
    np.testing.assert_allclose(anchors.numpy(), np.array(best_anchors), rtol=1e-12)
    assert score >= max(item[0] for item in rounds) - 1e-12
    assert score > rounds[0][0]


def test_finds_the_kinds_of_objects():
    anchors = kmeans_anchors(some_sides(), 3, seed=0)
    torch.testing.assert_close(anchors, torch.tensor([[20.0, 20], [30, 90], [200, 100]]), rtol=0.06, atol=0)


def test_more_anchors_fit_better():
    """SYS-032: the mean best IoU grows with k."""
    sides = some_sides()
    fits = [float(mean_best_iou(sides, kmeans_anchors(sides, k, seed=0))) for k in (1, 2, 3, 5, 9)]
    assert fits == sorted(fits)
    assert fits[-1] > fits[0] + 0.3


def test_more_restarts_never_fit_worse():
    sides = some_sides(200, seed=3)
    fits = [float(mean_best_iou(sides, kmeans_anchors(sides, 5, seed=1, restarts=n))) for n in (1, 3, 10)]
    assert fits == sorted(fits)


def test_the_seed_decides():
    sides = some_sides()
    first = kmeans_anchors(sides, 7, seed=3, restarts=1)
    torch.rand(5)
    assert torch.equal(first, kmeans_anchors(sides, 7, seed=3, restarts=1))
    assert not torch.equal(first, kmeans_anchors(sides, 7, seed=4, restarts=1))


def test_on_real_boxes_clusters_beat_hand_picked_ones(shared_data):
    """YOLO9000, table 1: five clusters fit COCO's boxes better than five hand-picked ones of equal shape."""
    annotations = json.loads((shared_data / "coco" / "instances_train128.json").read_text())["annotations"]
    sides = torch.tensor([annotation["bbox"][2:] for annotation in annotations])
    sides = sides[(sides > 0).all(dim=1)]
    hand = torch.tensor([32.0, 64, 128, 256, 512])[:, None].expand(5, 2)
    clusters = kmeans_anchors(sides, 5, seed=0)
    assert mean_best_iou(sides, clusters) > mean_best_iou(sides, hand) + 0.04
    assert best_possible_recall(sides, clusters, iou_from=0.5) > best_possible_recall(sides, hand, iou_from=0.5)


def test_an_empty_cluster_goes_to_the_box_that_is_served_worst():
    points = torch.tensor([[10.0, 10], [11, 11], [12, 12], [100, 5]], dtype=torch.float64)
    start = torch.tensor([[11.0, 11], [1000, 1000]], dtype=torch.float64)
    score, anchors = module._lloyd(points, start, update="median")
    assert anchors.tolist() == [[11, 11], [100, 5]]
    assert score > 0.9


@pytest.mark.parametrize("count", [1, 2, 3])
def test_fewer_sizes_than_anchors(count):
    sides = torch.tensor([[10.0, 20], [30, 5], [8, 8]])[:count].repeat(4, 1)
    anchors = kmeans_anchors(sides, 5, seed=0)
    assert anchors.shape == (5, 2)
    assert mean_best_iou(sides, anchors) == 1
    assert (anchors.prod(1).diff() >= 0).all()


def test_sides_iou_is_that_of_centred_boxes():
    first, second = some_sides(20), some_sides(7, seed=1)
    expected = box_iou(torch.cat([-first, first], 1) / 2, torch.cat([-second, second], 1) / 2)
    torch.testing.assert_close(sides_iou(first, second), expected)


def test_recall_by_hand():
    sides, anchors = torch.tensor([[10.0, 10], [10, 5], [100, 100], [0, 0]]), torch.tensor([[10.0, 10]])
    assert best_possible_recall(sides, anchors, iou_from=0.5) == 0.5
    assert best_possible_recall(sides, anchors, iou_from=0.6) == 0.25
    assert mean_best_iou(sides, anchors).item() == pytest.approx((1 + 0.5 + 0.01) / 4)
    assert mean_best_iou(torch.zeros(0, 2), anchors).isnan()
    assert sides_iou(torch.zeros(0, 2), anchors).shape == (0, 1)


@pytest.mark.parametrize("sides", [torch.zeros(0, 2), torch.tensor([[1.0, 0]]), torch.tensor([[1.0, torch.nan]])])
def test_says_which_boxes_are_wrong(sides):
    with pytest.raises(InputError, match="sides above 0"):
        kmeans_anchors(sides, 3, seed=0)


@pytest.mark.parametrize("options", [{"k": 0}, {"restarts": 0}, {"update": "mode"}])
def test_says_which_option_is_wrong(options):
    with pytest.raises(InputError, match="correct the options"):
        kmeans_anchors(some_sides(9), **{"k": 3, "seed": 0, **options})


SSD300 = {
    "grids": [(38, 38), (19, 19), (10, 10), (5, 5), (3, 3), (1, 1)],
    "scales": [0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05],
    "aspect_ratios": [[2], [2, 3], [2, 3], [2, 3], [2], [2]],
    "steps": [8, 16, 32, 64, 100, 300],
}


def torchvisions(canvas, grids, scales, aspect_ratios, steps=None, clip=True):
    make = DefaultBoxGenerator(aspect_ratios, scales=scales, steps=steps, clip=clip)
    images = ImageList(torch.zeros(1, 3, *canvas), [canvas])
    return make(images, [torch.zeros(1, 1, *grid) for grid in grids])[0]


@pytest.mark.parametrize("clip", [True, False])
def test_default_boxes_of_ssd300_are_torchvisions(clip):
    got = default_boxes(**SSD300, canvas=(300, 300), clip=clip)
    assert got.shape == (8732, 4)
    torch.testing.assert_close(got, torchvisions((300, 300), **SSD300, clip=clip), rtol=1e-5, atol=1e-3)


def test_default_boxes_of_a_canvas_that_is_not_square_are_torchvisions():
    table = {"grids": [(8, 12), (4, 6)], "scales": [0.2, 0.5, 0.9], "aspect_ratios": [[2, 3], []]}
    got = default_boxes(**table, canvas=(256, 384))
    torch.testing.assert_close(got, torchvisions((256, 384), **table), rtol=1e-5, atol=1e-3)


def test_default_boxes_by_hand():
    got = default_boxes([(1, 1)], [0.25, 1.0], [[4]], canvas=(80, 80))
    expected = [[30, 30, 50, 50], [20, 20, 60, 60], [20, 35, 60, 45], [35, 20, 45, 60]]
    torch.testing.assert_close(got, torch.tensor(expected).float())
    assert default_boxes([], [0.5], [], canvas=(80, 80)).shape == (0, 4)


@pytest.mark.parametrize("change", [{"scales": [0.1] * 6}, {"steps": [8]}, {"aspect_ratios": [[2]]}])
def test_says_which_table_does_not_fit(change):
    with pytest.raises(InputError, match="one scale more"):
        default_boxes(**{**SSD300, **change}, canvas=(300, 300))
