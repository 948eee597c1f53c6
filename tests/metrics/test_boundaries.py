"""Boundary IoU and the F-score of contours against definitions that are computed one by one (SYS-164, SYS-165)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion
from scipy.spatial.distance import cdist

from snellen.metrics import band_counts, band_width_px, boundary_scores, tolerance_px
from snellen.structures import IGNORE_LABEL


def random_map(stream, size, num_classes, *, block=4):
    coarse = stream.integers(0, num_classes, (size[0] // block + 1, size[1] // block + 1))
    return np.kron(coarse, np.ones((block, block), int))[: size[0], : size[1]].astype(np.uint8)


def two_maps(seed, num_classes=3):
    stream = np.random.default_rng(seed)
    size = tuple(stream.integers(8, 24, 2))
    truth = random_map(stream, size, num_classes)
    guess = np.where(stream.random(size) < 0.8, np.roll(truth, 1, axis=1), random_map(stream, size, num_classes))
    return truth, guess.astype(np.uint8)


def slow_band(mask, width):
    return mask & ~binary_erosion(mask, np.ones((3, 3)), iterations=width, border_value=0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_boundary_iou_is_that_of_eroded_masks(seed, width):
    """Cheng et al. 2021, equation 1, class by class as its program does: a mask less what erosion leaves of it."""
    truth, guess = two_maps(seed)
    counts = band_counts(truth, guess, num_classes=3, width_px=width)
    for label in range(3):
        wanted, found = slow_band(truth == label, width), slow_band(guess == label, width)
        assert counts.both[label] == (wanted & found).sum()
        assert counts.either[label] == (wanted | found).sum()


def contour(labels, label):
    rows, columns = labels.shape
    points = []
    for row in range(rows):
        for column in range(columns):
            around = labels[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
            if labels[row, column] == label and ((around != label) & (around != IGNORE_LABEL)).any():
                points.append((row, column))
    return np.array(points).reshape(-1, 2)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 1.5, 3.0]))
def test_contours_against_all_distances(seed, tolerance):
    truth, guess = two_maps(seed)
    truth[np.random.default_rng(seed).random(truth.shape) < 0.05] = IGNORE_LABEL
    scores = boundary_scores(truth, guess, num_classes=3, tolerance=tolerance)
    guess = np.where(truth == IGNORE_LABEL, IGNORE_LABEL, guess)
    for label in range(3):
        wanted, found = contour(truth, label), contour(guess, label)
        if not len(wanted) and not len(found):
            assert np.isnan(scores[label])
        elif not len(wanted) or not len(found):
            assert scores[label] == 0
        else:
            distances = cdist(wanted, found)
            recall, precision = (distances.min(1) <= tolerance).mean(), (distances.min(0) <= tolerance).mean()
            expected = 2 * recall * precision / (recall + precision) if recall + precision else 0
            assert scores[label] == pytest.approx(expected)


def test_widths_follow_the_diagonal():
    """600 pixels of diagonal: bands of 12 (2 %), a tolerance of 4.5 (0.75 %); never below one pixel."""
    assert band_width_px((360, 480)) == 12
    assert tolerance_px((360, 480)) == pytest.approx(4.5)
    assert band_width_px((8, 8)) == 1
    assert tolerance_px((8, 8)) == 1


def test_a_shift_costs_the_border_more_than_the_area():
    """What Boundary IoU is for: a large square that is three pixels off overlaps by 0.94, its border by 0.5."""
    truth, guess = np.zeros((2, 200, 200), np.uint8)
    truth[20:180, 20:180] = guess[20:180, 23:183] = 1
    counts = band_counts(truth, guess, num_classes=2)
    inside = ((truth == 1) & (guess == 1)).sum() / ((truth == 1) | (guess == 1)).sum()
    assert inside == pytest.approx(0.963, abs=0.01)
    assert counts.both[1] / counts.either[1] < 0.7


def test_what_nobody_knows_makes_no_border():
    truth = np.zeros((20, 20), np.uint8)
    truth[:, 10:] = IGNORE_LABEL
    guess = np.zeros((20, 20), np.uint8)
    guess[:, 10:] = 1
    counts = band_counts(truth, guess, num_classes=2, width_px=2)
    assert counts.either.tolist() == [2 * 10 + 2 * 10 + 2 * 16, 0]  # the image's own edges
    assert np.isnan(boundary_scores(truth, guess, num_classes=2)).all()
