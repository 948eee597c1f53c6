"""Contours on scenes whose borders are known."""

import numpy as np
import pytest
from skimage.segmentation import chan_vese

from snellen.imaging.segmentation import chan_vese_sides, ellipse_in, snake, snake_mask


def disk(noise=0.0, *, low=60, high=170, radius=14):
    rows, columns = np.indices((50, 60)) - np.array([25, 30])[:, None, None]
    inside = np.hypot(rows, columns) < radius
    values = np.where(inside, high, low) + np.random.default_rng(0).normal(0, noise, inside.shape)
    return np.clip(values, 0, 255).round().astype(np.uint8), inside


def iou(found, truth):
    return (found & truth).sum() / (found | truth).sum()


@pytest.mark.parametrize(("low", "high"), [(60, 170), (170, 60)])
def test_two_sides_the_brighter_one_second(low, high):
    channel, inside = disk(20, low=low, high=high)
    found = chan_vese_sides(channel, smoothness=0.1) == 1
    assert iou(found, inside if high > low else ~inside) > 0.95


def test_the_border_is_shorter_with_more_smoothness():
    channel, _ = disk(60)
    lengths = [
        np.abs(np.diff(chan_vese_sides(channel, smoothness=smoothness), axis=1)).sum() for smoothness in (0.02, 0.5)
    ]
    assert lengths[1] < 0.8 * lengths[0]


def test_sides_are_scikit_images():
    channel, _ = disk(20)
    values = (channel - channel.min()) / np.ptp(channel).astype(np.float64)
    theirs = chan_vese(values, mu=0.25, max_num_iter=200, tol=1e-3, init_level_set="checkerboard")
    found = chan_vese_sides(channel) == 1
    assert max((found == theirs).mean(), (found != theirs).mean()) > 0.999


@pytest.mark.parametrize("value", [0, 77])
def test_an_even_image_is_one_side(value):
    assert not chan_vese_sides(np.full((8, 9), value, dtype=np.uint8)).any()


def test_a_snake_is_drawn_to_the_edge():
    channel, inside = disk(5)
    start = ellipse_in((10.0, 5.0, 50.0, 45.0))
    before = iou(snake_mask(start, channel.shape), inside)
    found = snake(channel, start, elasticity=0.02, sigma_px=3.0)
    assert before < 0.55
    assert iou(snake_mask(found, channel.shape), inside) > 0.85


def test_an_ellipse_fills_its_box():
    points = ellipse_in((10.0, 20.0, 30.0, 24.0), 400)
    assert points.min(axis=0).tolist() == pytest.approx([19.5, 9.5])
    assert points.max(axis=0).tolist() == pytest.approx([23.5, 29.5])
    mask = snake_mask(points, (40, 50))
    assert mask.sum() == pytest.approx(np.pi * 10 * 2, rel=0.1)
