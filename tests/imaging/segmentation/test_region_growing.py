"""Seeded region growing beside the paper's loop, word for word (SYS-061)."""

import numpy as np
import pytest

from snellen.errors import InputError
from snellen.imaging.segmentation import seeded_region_growing


def around(place, size):
    """The 8 neighbours of a pixel within the image."""
    places = [(place[0] + down, place[1] + across) for down in (-1, 0, 1) for across in (-1, 0, 1)]
    return [one for one in places if one != place and 0 <= one[0] < size[0] and 0 <= one[1] < size[1]]


def plain_growing(pixels, seeds):
    """Adams and Bischof, section II: a list sorted by the difference at entry; the first entry is served."""
    labels = seeds.copy()
    members = {int(label): [pixels[place] for place in zip(*np.nonzero(seeds == label), strict=True)]
               for label in np.unique(seeds[seeds > 0])}  # fmt: skip

    def difference(place, label):
        return np.sum((pixels[place] - np.mean(members[label], axis=0)) ** 2)

    listed, waiting = set(), []

    def touch(place, label):
        for near in around(place, seeds.shape):
            if labels[near] == 0 and near not in listed:
                listed.add(near)
                waiting.append((difference(near, label), len(listed), near))

    for place in np.ndindex(seeds.shape):
        if seeds[place]:
            touch(place, int(seeds[place]))
    while waiting:
        waiting.sort()
        _, _, place = waiting.pop(0)
        near = sorted({int(labels[one]) for one in around(place, seeds.shape)} - {0})
        label = min(near, key=lambda one: difference(place, one))
        labels[place] = label
        members[label].append(pixels[place])
        touch(place, label)
    return labels


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_equals_the_papers_loop(seed, channels):
    generator = np.random.default_rng(seed)
    pixels = generator.random((11, 13, channels)).astype(np.float32).astype(np.float64)
    seeds = np.zeros((11, 13), dtype=np.int32)
    for label in (1, 2, 3):
        seeds[generator.integers(11), generator.integers(13)] = label
    seeds[0, 0] = 1  # a class may be marked in several places
    np.testing.assert_array_equal(seeded_region_growing(pixels, seeds), plain_growing(pixels, seeds))


def test_regions_end_where_the_image_changes():
    truth = np.zeros((30, 30), dtype=np.int32)
    truth[8:20, 5:25] = 1
    pixels = (100 + 60 * truth + np.random.default_rng(0).normal(0, 5, truth.shape)).astype(np.float32)[..., None]
    seeds = np.zeros_like(truth)
    seeds[1, 1], seeds[12, 12] = 1, 2
    assert (seeded_region_growing(pixels, seeds) - 1 == truth).mean() > 0.99


def test_one_seed_takes_all_and_none_is_refused():
    pixels = np.random.default_rng(0).random((4, 5, 3)).astype(np.float32)
    seeds = np.zeros((4, 5), dtype=np.int32)
    with pytest.raises(InputError, match="seeds must mark at least one pixel"):
        seeded_region_growing(pixels, seeds)
    seeds[2, 2] = 7
    assert (seeded_region_growing(pixels, seeds) == 7).all()
