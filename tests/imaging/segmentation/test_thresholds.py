"""Levels beside an exhaustive search of what they are to make best (SYS-056 to SYS-059, ERR-081)."""

import numpy as np
import pytest
from scipy.stats import norm

from snellen.errors import InputError
from snellen.imaging.segmentation import (
    adaptive_mask,
    minimum_error_criterion,
    minimum_error_threshold,
    multi_otsu_thresholds,
    otsu_threshold,
    sides_by_levels,
    triangle_threshold,
)


def two_sides(seed, *, shares=(0.5, 0.5), means=(80, 160), spreads=(12, 12), side=64):
    """Pixels of two Gaussians in a random order, and which of the two each is of."""
    generator = np.random.default_rng(seed)
    second = generator.random((side, side)) < shares[1]
    values = np.where(second, generator.normal(means[1], spreads[1], (side, side)), 0)
    values = np.where(second, values, generator.normal(means[0], spreads[0], (side, side)))
    return np.clip(values.round(), 0, 255).astype(np.uint8), second


def within_variance(channel, level):
    low, high = channel[channel <= level].astype(float), channel[channel > level].astype(float)
    if not len(low) or not len(high):
        return np.inf
    return (len(low) * low.var() + len(high) * high.var()) / channel.size


def error_criterion(channel, level):
    """Equation 15 of Kittler and Illingworth from the pixels themselves, with the variance of rounding."""
    low, high = channel[channel <= level].astype(float), channel[channel > level].astype(float)
    if not len(low) or not len(high):
        return np.inf
    total = 1.0
    for side in (low, high):
        share = len(side) / channel.size
        total += 2 * share * np.log(np.sqrt(side.var() + 1 / 12)) - 2 * share * np.log(share)
    return total


@pytest.mark.parametrize("seed", range(3))
def test_otsu_leaves_the_least_variance_within(seed):
    """SYS-057."""
    channel, _ = two_sides(seed)
    level = otsu_threshold(channel)
    least = min(within_variance(channel, candidate) for candidate in range(256))
    assert within_variance(channel, level) == pytest.approx(least)


@pytest.mark.parametrize("seed", range(3))
def test_the_criterion_is_the_papers(seed):
    channel, _ = two_sides(seed, shares=(0.8, 0.2), spreads=(20, 6))
    found = minimum_error_criterion(np.bincount(channel.ravel(), minlength=256))
    wanted = [error_criterion(channel, level) for level in range(256)]
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_the_level_is_the_lowest_inner_minimum(seed):
    channel, _ = two_sides(seed, shares=(0.7, 0.3))
    values = np.array([error_criterion(channel, level) for level in range(256)])
    inner = [
        level for level in range(1, 255)
        if np.isfinite(values[level - 1 : level + 2]).all()
        and values[level] <= values[level - 1]
        and values[level] < values[level + 1]
    ]  # fmt: skip
    assert minimum_error_threshold(channel) == min(inner, key=lambda level: values[level])


def test_unequal_sides_are_told_apart_better_than_by_otsu():
    """SYS-058: a rare narrow side beside a wide one, where Otsu's level moves into the wide side."""
    channel, truth = two_sides(0, shares=(0.95, 0.05), means=(90, 170), spreads=(25, 5), side=128)
    wrong = {rule: ((channel > rule(channel)) != truth).mean() for rule in (otsu_threshold, minimum_error_threshold)}
    best = min(((channel > level) != truth).mean() for level in range(256))
    assert wrong[minimum_error_threshold] < 0.25 * wrong[otsu_threshold]
    assert wrong[minimum_error_threshold] <= best + 0.005


def test_equal_sides_give_about_the_middle_by_both_rules():
    channel, _ = two_sides(0, side=128)
    assert otsu_threshold(channel) == pytest.approx(120, abs=3)
    assert minimum_error_threshold(channel) == pytest.approx(120, abs=3)


def test_the_least_error_of_two_known_gaussians():
    """Where the weighted densities cross, which is where no other level has fewer wrong pixels."""
    channel, _ = two_sides(1, shares=(0.6, 0.4), means=(70, 150), spreads=(10, 20), side=256)
    levels = np.linspace(70, 150, 2000)
    crossing = levels[np.argmin(np.abs(0.6 * norm.pdf(levels, 70, 10) - 0.4 * norm.pdf(levels, 150, 20)))]
    assert minimum_error_threshold(channel) == pytest.approx(crossing, abs=3)


@pytest.mark.parametrize("rule", [otsu_threshold, triangle_threshold, minimum_error_threshold])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_an_even_image_is_one_side(rule, value):
    channel = np.full((5, 7), value, dtype=np.uint8)
    assert not (channel > rule(channel)).any()


@pytest.mark.parametrize("rule", [otsu_threshold, triangle_threshold, minimum_error_threshold])
def test_two_values_are_two_sides(rule):
    channel = np.repeat(np.array([[40, 200]], dtype=np.uint8), 8, axis=0)
    assert ((channel > rule(channel)) == (channel == 200)).all()


def test_triangle_finds_small_things_on_a_wide_ground():
    channel, truth = two_sides(0, shares=(0.98, 0.02), means=(60, 180), spreads=(8, 20), side=128)
    assert ((channel > triangle_threshold(channel)) == truth).mean() > 0.98


def test_three_sides():
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 3, (64, 64))
    channel = np.clip(generator.normal(np.array([50, 120, 200])[truth], 10), 0, 255).round().astype(np.uint8)
    levels = multi_otsu_thresholds(channel, 3)
    assert (sides_by_levels(channel, levels) == truth).mean() > 0.99


def test_fewer_values_than_sides():
    channel = np.array([[3, 3, 9]], dtype=np.uint8)
    assert multi_otsu_thresholds(channel, 4).tolist() == [3]
    assert sides_by_levels(channel, multi_otsu_thresholds(channel, 4)).tolist() == [[0, 0, 1]]
    with pytest.raises(InputError, match="classes must be 2 or more; got 1"):
        multi_otsu_thresholds(channel, 1)


def test_a_pixel_on_a_level_is_below_it():
    assert sides_by_levels(np.array([[5, 6]], dtype=np.uint8), (5.0,)).tolist() == [[0, 1]]


def test_a_level_for_each_place_stands_uneven_light():
    """SYS-059: dots under light that falls from left to right; no single level parts them."""
    rows, columns = np.mgrid[:96, :96]
    truth = (rows % 12 < 4) & (columns % 12 < 4)
    channel = (60 + 1.5 * columns + 35 * truth).clip(0, 255).astype(np.uint8)
    local = adaptive_mask(channel, rule="mean", window_px=25, offset=5)
    assert (local == truth).mean() > 0.97
    assert max(((channel > level) == truth).mean() for level in range(256)) < 0.92


def test_means_and_sauvola_are_their_formulas():
    channel = np.random.default_rng(0).integers(0, 256, (12, 14)).astype(np.uint8)
    padded = np.pad(channel.astype(float), 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5))
    mean, deviation = windows.mean(axis=(2, 3)), windows.std(axis=(2, 3))
    inner = np.s_[2:-2, 2:-2]  # windows at the frame go on differently
    found = adaptive_mask(channel, rule="mean", window_px=5, offset=3)
    np.testing.assert_array_equal(found[inner], (channel > mean + 3)[inner])
    sauvola = mean * (1 + 0.3 * (deviation / 128 - 1))
    found = adaptive_mask(channel, rule="sauvola", window_px=4, deviation_share=0.3)
    np.testing.assert_array_equal(found[inner], (channel > sauvola)[inner])
