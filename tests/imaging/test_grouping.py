"""Grouping and region features beside plain loops from the paper's formulas (SYS-007)."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from snellen.imaging import grouping
from snellen.imaging.grouping import Similarity, group_regions
from snellen.imaging.region_features import neighbour_pairs, region_features, texture_codes

ALL = Similarity(colour=True, texture=True, size=True, fill=True)
SETS = (
    ALL,
    Similarity(texture=True, size=True, fill=True),
    Similarity(fill=True),
    Similarity(size=True),
    Similarity(colour=True),
    Similarity(texture=True),
)


def picture(seed=0, height=24, width=30, channels=3):
    return np.random.default_rng(seed).integers(0, 256, (channels, height, width), dtype=np.uint8)


def patches(seed=0, height=24, width=30, count=9):
    """Labels of the nearest of some random points."""
    points = np.random.default_rng(seed).random((count, 2)) * (height, width)
    grid = np.stack(np.mgrid[:height, :width], axis=-1)[:, :, None]
    nearest = np.square(grid - points).sum(axis=-1).argmin(axis=-1)
    return np.unique(nearest, return_inverse=True)[1].reshape(height, width)


def features_of(labels, channels):
    return region_features(labels, channels, texture_codes(channels))


def colour_histogram(channels, mask):
    """Section 3.2: 25 bins for each channel, L1-normalised."""
    parts = [np.histogram(channel[mask], bins=25, range=(0, 256))[0] for channel in channels]
    return np.concatenate(parts) / np.concatenate(parts).sum()


def texture_histogram(channels, mask):
    """Section 3.2: Gaussian derivatives in eight orientations, sigma 1, 10 bins for each channel and orientation."""
    strongest = 255 / np.sqrt(2 * np.pi)
    parts = []
    for channel in channels.astype(np.float64):
        down = gaussian_filter(channel, 1, order=(1, 0))
        across = gaussian_filter(channel, 1, order=(0, 1))
        for angle in np.arange(8) * np.pi / 4:
            response = np.clip(np.cos(angle) * across + np.sin(angle) * down, 0, strongest * (1 - 1e-9))
            parts.append(np.histogram(response[mask], bins=10, range=(0, strongest))[0])
    return np.concatenate(parts) / np.concatenate(parts).sum()


def similarity(channels, first, second, wanted, histograms):
    """Equations 2 to 7, on masks."""
    area = first.size
    rows, columns = np.nonzero(first | second)
    box = (rows.max() + 1 - rows.min()) * (columns.max() + 1 - columns.min())
    total = 0.0
    if wanted.colour:
        total += np.minimum(*(histograms["colour"][mask.tobytes()] for mask in (first, second))).sum()
    if wanted.texture:
        total += np.minimum(*(histograms["texture"][mask.tobytes()] for mask in (first, second))).sum()
    if wanted.size:
        total += 1 - (first.sum() + second.sum()) / area
    if wanted.fill:
        total += 1 - (box - first.sum() - second.sum()) / area
    return total


def touches(first, second):
    grown = np.zeros(np.add(first.shape, 2), bool)
    for down in range(3):
        for across in range(3):
            grown[down : down + first.shape[0], across : across + first.shape[1]] |= first
    return bool((grown[1:-1, 1:-1] & second).any())


def plain_grouping(labels, channels, wanted):
    """Algorithm 1, word for word: masks in a list, every similarity from its pixels."""
    histograms = {"colour": {}, "texture": {}}

    def remember(mask):
        histograms["colour"][mask.tobytes()] = colour_histogram(channels, mask)
        histograms["texture"][mask.tobytes()] = texture_histogram(channels, mask)

    regions = [labels == label for label in range(labels.max() + 1)]
    for mask in regions:
        remember(mask)
    scores = {
        (one, other): similarity(channels, regions[one], regions[other], wanted, histograms)
        for one in range(len(regions))
        for other in range(one + 1, len(regions))
        if touches(regions[one], regions[other])
    }
    children = []
    while scores:
        pair = max(scores, key=scores.get)
        new = len(regions)
        regions.append(regions[pair[0]] | regions[pair[1]])
        remember(regions[new])
        around = {number for key in scores if set(key) & set(pair) for number in key} - set(pair)
        scores = {key: value for key, value in scores.items() if not set(key) & set(pair)}
        for other in around:
            scores[other, new] = similarity(channels, regions[other], regions[new], wanted, histograms)
        children.append(sorted(pair))
    return children


def test_sizes_boxes_and_neighbours_of_a_hand_made_map():
    labels = np.array([[0, 0, 1, 1], [0, 2, 2, 1], [3, 3, 2, 1]])
    found = features_of(labels, picture(height=3, width=4))
    assert found.sizes.tolist() == [3, 4, 3, 2]
    assert found.boxes.tolist() == [[0, 0, 2, 2], [2, 0, 4, 3], [1, 1, 3, 3], [0, 2, 2, 3]]
    assert found.pairs.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [2, 3]]
    assert found.area == 12
    assert len(found) == 4


def test_regions_touch_at_corners():
    assert neighbour_pairs(np.array([[0, 1], [2, 3]])).tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    assert neighbour_pairs(np.zeros((3, 3), np.int64)).shape == (0, 2)


@pytest.mark.parametrize("channels", [1, 3])
def test_histograms_are_the_papers(channels):
    image, labels = picture(channels=channels), patches()
    found = features_of(labels, image)
    assert found.colour.shape[1] == 25 * channels
    assert found.texture.shape[1] == 80 * channels
    for label in range(len(found)):
        mask = labels == label
        np.testing.assert_allclose(found.colour[label], colour_histogram(image, mask), atol=1e-6)
        ours = found.texture[label].reshape(channels, 4, 2, 10)  # direction, its opposite
        theirs = texture_histogram(image, mask).reshape(channels, 8, 10)
        for direction in range(4):
            for opposite in range(2):
                np.testing.assert_allclose(
                    ours[:, direction, opposite], theirs[:, direction + 4 * opposite], atol=1.5 / mask.sum() / 8
                )


@pytest.mark.parametrize(
    "wanted",
    SETS,
    ids=lambda wanted: "".join(n[0] for n in ("colour", "texture", "size", "fill") if getattr(wanted, n)),
)
def test_similarity_of_a_hand_made_pair(wanted):
    """Two regions are merged; what is left of the formulas is their similarity, equations 2 to 7."""
    labels = np.zeros((12, 10), dtype=np.int64)
    labels[4:, 6:] = 1
    image = picture(1, 12, 10)
    forest = grouping._Forest([(features_of(labels, image), wanted)])
    masks = [labels == 0, labels == 1]
    histograms = {
        "colour": {mask.tobytes(): colour_histogram(image, mask) for mask in masks},
        "texture": {mask.tobytes(): texture_histogram(image, mask) for mask in masks},
    }
    expected = similarity(image, *masks, wanted, histograms)
    assert -forest.heaps[0][0][0] == pytest.approx(expected, abs=2e-3 if wanted.texture else 1e-6)


@pytest.mark.parametrize("wanted", SETS)
@pytest.mark.parametrize("seed", range(3))
def test_order_of_merging_is_that_of_the_plain_algorithm(wanted, seed):
    """Histograms of merged regions are propagated (equation 3), which equals counting their pixels again."""
    labels, image = patches(seed), picture(seed)
    [hierarchy] = group_regions([(features_of(labels, image), wanted)])
    assert np.sort(hierarchy.children, axis=1).tolist() == plain_grouping(labels, image, wanted)


def test_hierarchies_in_step_equal_each_alone(monkeypatch):
    tasks = [
        (features_of(patches(seed, count=4 + 5 * seed), picture(seed, channels=3 if seed % 2 else 1)), wanted)
        for seed, wanted in enumerate(SETS)
    ]
    together = group_regions(tasks)
    alone = [group_regions([task])[0] for task in tasks]
    monkeypatch.setattr(grouping, "REGIONS_AT_ONCE", 40)
    in_turns = group_regions(tasks)
    for one, other, third in zip(together, alone, in_turns, strict=True):
        for field in ("boxes", "sizes", "children"):
            assert np.array_equal(getattr(one, field), getattr(other, field))
            assert np.array_equal(getattr(one, field), getattr(third, field))


def test_a_single_region():
    [hierarchy] = group_regions([(features_of(np.zeros((3, 4), np.int64), picture(0, 3, 4)), ALL)])
    assert hierarchy.boxes.tolist() == [[0, 0, 4, 3]]
    assert hierarchy.children.shape == (0, 2)


def test_no_tasks():
    assert group_regions([]) == []
