"""Histograms of colours and of local binary patterns."""

import numpy as np
import pytest
from PIL import Image
from skimage.feature import local_binary_pattern

from snellen.errors import ConfigError
from snellen.imaging.binary_patterns import NUM_PATTERNS, PatternSpec, pattern_histogram
from snellen.imaging.colour_histograms import ColourSpec, colour_histogram


def noise(height=20, width=30, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("space", ["hsv", "lab"])
def test_colours_equal_numpys_histogram(space):
    image = noise()
    spec = ColourSpec(space=space, bins=(8, 4, 2), levels=1)
    found = colour_histogram(image, spec)
    if space == "hsv":
        points = np.asarray(Image.fromarray(image).convert("HSV")).reshape(-1, 3)
    else:
        cv2 = pytest.importorskip("cv2")
        points = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    edges = [np.linspace(0, 256, bins + 1) for bins in spec.bins]
    wanted = np.histogramdd(points.astype(float), bins=edges)[0].ravel() / len(points)
    # OpenCV rounds its table of Lab by one code here and there, which moves a few pixels across an edge.
    np.testing.assert_allclose(found, wanted, atol=1e-6 if space == "hsv" else 0.01)


def test_colours_of_the_parts():
    image = np.zeros((8, 8, 3), np.uint8)
    image[:4, :4] = (255, 0, 0)
    spec = ColourSpec(bins=(4, 2, 2), levels=2)
    parts = colour_histogram(image, spec).reshape(spec.num_parts, -1)
    assert spec.num_parts == 5
    np.testing.assert_allclose(parts.sum(axis=1), 1)
    assert (parts[0] > 0).sum() == 2
    assert [int((part > 0).sum()) for part in parts[1:]] == [1, 1, 1, 1]
    assert not np.array_equal(parts[1], parts[2])
    assert np.array_equal(parts[2], parts[4])


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 3)])
def test_images_of_a_pixel(size):
    image = noise(*size)
    assert np.isfinite(colour_histogram(image, ColourSpec(levels=3))).all()
    found = pattern_histogram(image[..., 0])
    assert found.shape == (16 * NUM_PATTERNS,)
    assert np.isfinite(found).all()


def test_patterns_equal_a_plain_count():
    grey = noise(32, 24)[..., 0]
    codes = local_binary_pattern(np.pad(grey, 4, mode="edge"), 8, 1, "nri_uniform").astype(int)[4:-4, 4:-4]
    found = pattern_histogram(grey, PatternSpec(grid=2)).reshape(2, 2, NUM_PATTERNS)
    for row in range(2):
        for column in range(2):
            part = codes[16 * row : 16 * row + 16, 12 * column : 12 * column + 12]
            wanted = np.bincount(part.ravel(), minlength=NUM_PATTERNS) / part.size
            np.testing.assert_allclose(found[row, column], wanted, atol=1e-6)


def test_patterns_do_not_depend_on_brightness():
    grey = noise()[..., 0] // 2
    np.testing.assert_array_equal(pattern_histogram(grey), pattern_histogram(grey + 100))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ColourSpec(space="rgb"),
        lambda: ColourSpec(bins=(8, 4)),
        lambda: ColourSpec(bins=(8, 4, 0)),
        lambda: ColourSpec(levels=0),
        lambda: PatternSpec(grid=0),
        lambda: PatternSpec(radius=0),
        lambda: PatternSpec(grid=True),
    ],
)
def test_impossible_settings(make):
    with pytest.raises(ConfigError, match="got"):
        make()
