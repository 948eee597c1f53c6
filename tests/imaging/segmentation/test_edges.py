"""Regions closed from edges (SYS-060, SYS-259, ERR-083)."""

import numpy as np
import pytest
from scipy.ndimage import label

from snellen.imaging.edges import EdgeOperator, canny
from snellen.imaging.segmentation import canny_edges, closed_regions, gradient_edges, gradient_strength, laplace_edges

OPERATORS = EdgeOperator.__args__


def disk(side=48, radius=15, *, low=60, high=180):
    rows, columns = np.indices((side, side)) - (side - 1) / 2
    inside = np.hypot(rows, columns) < radius
    return np.where(inside, high, low).astype(np.uint8), inside


def ring(side=48, radius=15, gap=0):
    """One pixel thin, with a gap in the middle of its right side."""
    rows, columns = np.indices((side, side)) - (side - 1) / 2
    edges = np.abs(np.hypot(rows, columns) - radius) < 0.75
    edges[np.abs(rows) < gap / 2] &= columns[np.abs(rows) < gap / 2] < 0
    return edges, np.hypot(rows, columns) < radius


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_ramp_rises_by_its_slope(operator):
    channel = np.tile((4 * np.arange(20)).astype(np.uint8), (20, 1))
    strength = gradient_strength(channel, operator, sigma_px=0)
    np.testing.assert_allclose(strength[2:-2, 2:-2], 4, rtol=1e-5)


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_outline_of_a_disk_encloses_it(operator):
    channel, inside = disk()
    strength = gradient_strength(channel, operator, sigma_px=1.0)
    regions = closed_regions(gradient_edges(strength, least_share=0.3), strength, gap_px=2, least_px=20)
    assert len(np.unique(regions)) == 2
    assert ((regions == regions[24, 24]) == inside).mean() > 0.97


@pytest.mark.parametrize("operator", ["laplacian", "log"])
def test_zero_crossings_enclose_a_disk(operator):
    channel, inside = disk()
    edges = laplace_edges(channel, operator, sigma_px=1.5, least_share=0.3)
    strength = gradient_strength(channel, "sobel", sigma_px=1.5)
    regions = closed_regions(edges, strength, gap_px=2, least_px=20)
    assert ((regions == regions[24, 24]) == inside).mean() > 0.97


def test_canny_by_quantiles_is_canny_by_levels():
    import torch

    channel, inside = disk()
    noisy = np.clip(channel + np.random.default_rng(0).normal(0, 6, channel.shape), 0, 255).astype(np.uint8)
    strength = gradient_strength(noisy, "sobel", sigma_px=1.5)
    low, high = np.quantile(strength, (0.7, 0.9))
    wanted = canny(torch.from_numpy(noisy)[None], sigma_px=1.5, low=float(low), high=float(high))[0].numpy()
    found = canny_edges(noisy, sigma_px=1.5, low_share=0.7, high_share=0.9)
    np.testing.assert_array_equal(found, wanted)
    regions = closed_regions(found, strength, gap_px=4, least_px=100)
    assert ((regions == regions[24, 24]) == inside).mean() > 0.95


@pytest.mark.parametrize("operator", [*OPERATORS, "canny"])
def test_less_noise_gives_more_of_the_true_edge(operator):
    """Q-176: each operator's edges beside the true ones, within 2 px; noise costs all of them."""
    channel, inside = disk(96, 30)
    true = np.zeros(inside.shape, dtype=bool)
    true[1:] |= inside[1:] != inside[:-1]
    true[:, 1:] |= inside[:, 1:] != inside[:, :-1]
    scores = []
    for noise in (0, 60, 120):
        generator = np.random.default_rng(1)
        noisy = np.clip(channel + generator.normal(0, noise, channel.shape), 0, 255).astype(np.uint8)
        scores.append(max(edge_f(found, true) for found in candidates(noisy, operator)))
    assert scores[0] > 0.95
    assert scores[0] >= scores[1] > scores[2] + 0.01


def candidates(channel, operator):
    if operator == "canny":
        return [canny_edges(channel, sigma_px=1.5, low_share=q - 0.1, high_share=q) for q in (0.8, 0.9, 0.95)]
    strength = gradient_strength(channel, operator, sigma_px=1.0)
    return [gradient_edges(strength, least_share=share) for share in (0.1, 0.3, 0.5, 0.7)]


def edge_f(found, true):
    from scipy.ndimage import distance_transform_edt

    if not found.any():
        return 0.0
    precision = (distance_transform_edt(~true)[found] <= 2).mean()
    recall = (distance_transform_edt(~found)[true] <= 2).mean()
    return 2 * precision * recall / max(precision + recall, 1e-9)


@pytest.mark.parametrize(("gap", "closing", "regions"), [(0, 0, 2), (4, 0, 1), (4, 7, 2), (10, 4, 1), (10, 13, 2)])
def test_gaps_are_closed_up_to_their_length(gap, closing, regions):
    edges, inside = ring(gap=gap)
    found = closed_regions(edges, edges.astype(np.float32), gap_px=closing, least_px=10)
    assert len(np.unique(found)) == regions
    if regions == 2:
        assert ((found == found[24, 24]) == inside).mean() > 0.9


def test_every_pixel_gets_a_connected_region():
    generator = np.random.default_rng(0)
    edges = generator.random((40, 40)) < 0.3
    found = closed_regions(edges, generator.random((40, 40)).astype(np.float32), gap_px=0, least_px=6)
    assert found.min() >= 1
    for number in np.unique(found):
        assert label(found == number)[1] == 1
    assert np.bincount(found.ravel())[np.unique(found)].min() >= 6


def test_without_a_region_all_is_one():
    edges = np.ones((6, 6), dtype=bool)
    assert not closed_regions(edges, edges.astype(np.float32), gap_px=0, least_px=1).any()


@pytest.mark.parametrize(("closing", "regions"), [(3, 1), (8, 2)])
def test_a_gap_at_the_frame_is_closed_likewise(closing, regions):
    edges = np.zeros((20, 20), dtype=bool)
    edges[3:, 10] = True
    found = closed_regions(edges, edges.astype(np.float32), gap_px=closing, least_px=1)
    assert len(np.unique(found)) == regions


def test_what_is_too_narrow_for_the_disk_stays_a_region():
    edges = np.zeros((20, 30), dtype=bool)
    edges[:, (10, 13)] = True  # two lines with a strip of two pixels between
    found = closed_regions(edges, edges.astype(np.float32), gap_px=6, least_px=1)
    assert len(np.unique(found)) == 3
    assert (found[:, 11:13] == found[0, 11]).all()


def test_without_edges_all_is_one():
    edges = np.zeros((5, 6), dtype=bool)
    assert (closed_regions(edges, edges.astype(np.float32), gap_px=4, least_px=1) == 1).all()
