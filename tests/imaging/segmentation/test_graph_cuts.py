"""Graph cut and GrabCut on scenes with a truth, the latter beside OpenCV's (SYS-064, Q-142)."""

import cv2
import numpy as np
import pytest

from snellen.errors import InputError
from snellen.imaging.segmentation import (
    Hints,
    box_mask,
    contrast_edges,
    grab_cut,
    graph_cut,
    labelling_energy,
    minimum_error_threshold,
    otsu_threshold,
)
from snellen.imaging.segmentation.hints import edge_strip

BOX = (18.0, 12.0, 60.0, 50.0)


def scene(seed=0, noise=18):
    """A thing of two colours on a ground of two colours, one of them close to one of its own."""
    generator = np.random.default_rng(seed)
    rows, columns = np.indices((64, 80))
    truth = ((rows - 30) / 15) ** 2 + ((columns - 38) / 18) ** 2 < 1
    image = np.where((rows > 44)[..., None], (90, 120, 60), (120, 160, 210))
    image = np.where(truth[..., None], np.where((columns > 40)[..., None], (180, 90, 50), (120, 70, 50)), image)
    return np.clip(image + generator.normal(0, noise, image.shape), 0, 255).astype(np.uint8), truth


def iou(found, truth):
    return (found & truth).sum() / (found | truth).sum()


@pytest.mark.parametrize("seed", range(3))
def test_a_box_is_enough(seed):
    image, truth = scene(seed)
    assert iou(grab_cut(image, Hints(box=BOX)) == 1, truth) > 0.95


@pytest.mark.parametrize("seed", range(3))
def test_grab_cut_is_opencvs(seed):
    image, truth = scene(seed)
    x0, y0, x1, y1 = (round(side) for side in BOX)
    mask = np.zeros(truth.shape, dtype=np.uint8)
    cv2.setRNGSeed(0)
    cv2.grabCut(image, mask, (x0, y0, x1 - x0, y1 - y0), np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_RECT)
    assert iou(grab_cut(image, Hints(box=BOX)) == 1, (mask & 1) == 1) > 0.95


def test_marks_are_enough_and_are_kept():
    image, truth = scene()
    seeds = np.zeros(truth.shape, dtype=np.int32)
    seeds[3:6, 5:75] = seeds[58:61, 5:75] = 1
    seeds[28:32, 26:50] = 2
    seeds[10, 2] = 2  # wrong, but the user said so
    found = graph_cut(image, Hints(seeds=seeds))
    assert iou(found == 1, truth) > 0.93
    assert (found[seeds > 0] == seeds[seeds > 0] - 1).all()


def test_outside_of_a_box_is_background():
    image, _ = scene()
    for cut in (graph_cut, grab_cut):
        assert not cut(image, Hints(box=BOX))[~box_mask(BOX, image.shape[:2], margin=0.1)].any()


def test_it_is_better_than_a_threshold_on_a_noisy_scene():
    """Q-142: neighbours help where a pixel alone does not tell."""
    image, truth = scene(noise=30)
    grey = image.mean(axis=-1).astype(np.uint8)
    levels = [
        max(iou(grey > rule(grey), truth), iou(grey <= rule(grey), truth))
        for rule in (otsu_threshold, minimum_error_threshold)
    ]
    assert iou(graph_cut(image, Hints(box=BOX)) == 1, truth) > max(levels) + 0.1
    assert iou(grab_cut(image, Hints(box=BOX)) == 1, truth) > max(levels) + 0.1


def test_marks_within_a_box_hold_too():
    image, truth = scene()
    seeds = np.zeros(truth.shape, dtype=np.int32)
    seeds[30:33, 40:43] = 2
    found = grab_cut(image, Hints(box=BOX, seeds=seeds))
    assert iou(found == 1, truth) > 0.9


def test_three_classes_by_marks():
    image, truth = scene()
    seeds = np.zeros(truth.shape, dtype=np.int32)
    seeds[3:6, 5:75] = 1
    seeds[28:32, 26:50] = 2
    seeds[55:60, 5:75] = 3
    wanted = np.where(truth, 1, np.where(np.indices(truth.shape)[0] > 44, 2, 0))
    assert (graph_cut(image, Hints(seeds=seeds)) == wanted).mean() > 0.95
    assert (grab_cut(image, Hints(seeds=seeds)) == wanted).mean() > 0.95


def test_costs_of_a_fit_take_the_place_of_marks():
    image, truth = scene()
    costs = np.where(truth, np.array([2.0, 0.1])[:, None, None], np.array([0.1, 2.0])[:, None, None])
    found = graph_cut(image, Hints(costs=costs), smoothness=1.0)
    assert iou(found == 1, truth) > 0.97
    edges = contrast_edges(image, smoothness=1.0)
    assert labelling_energy(found, costs, edges) <= labelling_energy(truth.astype(int), costs, edges) + 1e-6


def test_a_class_without_a_mark_is_told():
    image, truth = scene()
    seeds = np.zeros(truth.shape, dtype=np.int32)
    seeds[30, 40] = 2
    with pytest.raises(InputError, match=r"seeds must mark every class.* there is no mark 1"):
        graph_cut(image, Hints(seeds=seeds))


@pytest.mark.parametrize(
    ("box", "what"), [((0, 0, 80, 64), "every pixel"), ((5, 5, 5, 9), "no pixel"), ((90, 9, 99, 20), "no pixel")]
)
def test_a_box_must_hold_something_and_leave_something(box, what):
    image, _ = scene()
    with pytest.raises(InputError, match=rf"x0,y0,x1,y1 must hold some pixels .* holds {what} of 80 × 64"):
        grab_cut(image, Hints(box=box))


def test_a_box_holds_the_pixels_whose_centres_it_holds():
    mask = box_mask((1.0, 0.6, 3.4, 2.0), (3, 5), margin=0.1)
    assert mask.astype(int).tolist() == [[0, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]]
    assert box_mask(None, (10, 10), margin=0.1)[1:9, 1:9].all()


def test_a_thing_that_fills_the_image_leaves_its_corners_to_learn_from():
    """Outside of such a box is a line of pixels of one colour, within it a ground of another that it never saw."""
    image, truth = (part[12:49, 17:60] for part in scene())
    height, width = truth.shape
    rows, columns = np.indices(truth.shape)
    on_the_line = (rows == 0) | (rows == height - 1) | (columns == 0) | (columns == width - 1)
    image = np.where((truth | on_the_line)[..., None], image, np.uint8([40, 200, 90])).astype(np.uint8)
    box = Hints(box=(1.0, 1.0, width - 1.0, height - 1.0))
    assert iou(grab_cut(image, box, margin=0.0) == 1, truth) < 0.9  # without a strip
    assert iou(grab_cut(image, box, margin=0.08) == 1, truth) > 0.9


@pytest.mark.parametrize("noise", [18, 30])
def test_a_strip_that_holds_the_thing_itself_does_not_make_it_background(noise):
    image, truth = (part[14:47, 19:58] for part in scene(noise=noise))
    box = (1.0, 1.0, truth.shape[1] - 1.0, truth.shape[0] - 1.0)
    assert iou(grab_cut(image, Hints(box=box)) == 1, truth) > 0.93


def test_a_strip_at_the_edge_of_the_image_is_not_held():
    """A thing that runs out of the image keeps its pixels there."""
    image, truth = (part[:, 30:] for part in scene())
    found = grab_cut(image, Hints(box=(0.0, 12.0, 30.0, 50.0))) == 1
    assert iou(found, truth) > 0.93
    assert (found[:, 0] & truth[:, 0]).sum() > 0.9 * truth[:, 0].sum()


def test_a_strip_lies_along_the_sides_that_are_at_the_edge():
    strip = edge_strip((0, 20, 40, 100), (100, 200), margin=0.05)
    rows, columns = np.nonzero(strip)
    assert strip[50, 0]
    assert strip[50, 1]
    assert not strip[50, 2]  # 5 % of 40 pixels
    assert strip[97, 20]
    assert not strip[95, 20]  # 5 % of 80
    assert not strip[20, 20]  # the upper and the right side are not at the edge
    assert not strip[50, 39]
    assert rows.min() == 20
    assert columns.max() == 39
    assert not edge_strip((50, 20, 150, 80), (100, 200), margin=0.05).any()
    assert not edge_strip((0, 0, 1, 1), (100, 200), margin=1.0).any()  # it would be the whole box
