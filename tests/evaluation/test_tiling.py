from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snellen.errors import InputError
from snellen.evaluation import predict_tiled, tiles_of
from snellen.structures import BoxTarget, ClassTarget, MaskTarget

OBJECTS = (
    (3, 4, 14, 15, 0),
    (40, 10, 52, 24, 1),
    (28, 30, 36, 44, 2),
    (60, 60, 75, 70, 0),
    (90, 2, 100, 12, 2),
)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(20, 90), st.integers(0, 90))
def test_tiles_cover_the_image_and_overlap(height, width, tile_px, percent):
    overlap_px = tile_px * percent // 100
    tiles = tiles_of((height, width), tile_px=tile_px, overlap_px=overlap_px)
    covered = torch.zeros(height, width, dtype=torch.int64)
    for tile in tiles:
        assert tile.bottom - tile.top == min(tile_px, height)
        assert tile.right - tile.left == min(tile_px, width)
        assert 0 <= tile.top < tile.bottom <= height
        assert 0 <= tile.left < tile.right <= width
        covered[tile.top : tile.bottom, tile.left : tile.right] += 1
    assert covered.min() >= 1
    lefts = sorted({tile.left for tile in tiles})
    assert all(left + tile_px - following >= overlap_px for left, following in pairwise(lefts))


@pytest.mark.parametrize("batch_size", [1, 3])
def test_objects_on_the_seams_are_found_once(make_model, paint, batch_size):
    image = paint(OBJECTS, (80, 110))
    found = predict_tiled(make_model(BoxTarget), image, tile_px=40, overlap_px=18, batch_size=batch_size)
    got = [(*box, label) for box, label in zip(found.boxes.int().tolist(), found.labels.tolist(), strict=True)]
    assert sorted(got) == sorted(OBJECTS)
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)


def test_an_object_larger_than_the_overlap_is_not_lost(make_model, paint):
    found = predict_tiled(make_model(BoxTarget), paint(((5, 5, 75, 15, 1),), (40, 80)), tile_px=40, overlap_px=10)
    assert found.labels.unique().tolist() == [1]
    assert (found.boxes[:, 0].min(), found.boxes[:, 2].max()) == (5, 75)


def test_boxes_of_two_classes_do_not_push_each_other_out(make_model, paint):
    model = make_model(BoxTarget)
    whole = model.decode

    def both(output, sizes):
        return [
            type(part)(
                boxes=part.boxes.repeat(2, 1),
                scores=part.scores.repeat(2),
                labels=torch.cat([part.labels, (part.labels + 1) % 3]),
            )
            for part in whole(output, sizes)
        ]

    model.decode = both
    found = predict_tiled(model, paint(OBJECTS, (80, 110)), tile_px=40, overlap_px=18)
    assert len(found.labels) == 2 * len(OBJECTS)


def test_masks_are_put_in_place(make_model, paint):
    model = make_model(BoxTarget)
    whole = model.decode

    def with_masks(output, sizes):
        parts = []
        for part, size in zip(whole(output, sizes), sizes.tolist(), strict=True):
            masks = torch.zeros(len(part.labels), *size, dtype=torch.uint8)
            for mask, (x1, y1, x2, y2) in zip(masks, part.boxes.int().tolist(), strict=True):
                mask[y1:y2, x1:x2] = 1
            parts.append(type(part)(boxes=part.boxes, scores=part.scores, labels=part.labels, masks=masks))
        return parts

    model.decode = with_masks
    found = predict_tiled(model, paint(OBJECTS, (80, 110)), tile_px=40, overlap_px=18)
    assert len(found.labels) == len(OBJECTS)
    for mask, (x1, y1, x2, y2) in zip(found.masks, found.boxes.int().tolist(), strict=True):
        assert mask.shape == (80, 110)
        assert mask.sum() == (x2 - x1) * (y2 - y1) == mask[y1:y2, x1:x2].sum()


@pytest.mark.parametrize("size", [(30, 30), (80, 110), (41, 200)])
def test_a_map_made_of_tiles_equals_the_whole(make_model, paint, size):
    # The model sees one pixel at a time, so that tiles cannot change its answer.
    image = torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole = predict_tiled(make_model(MaskTarget), image, tile_px=400, overlap_px=0)
    tiled = predict_tiled(make_model(MaskTarget), image, tile_px=40, overlap_px=10)
    assert torch.equal(tiled.labels, whole.labels)
    assert torch.equal(tiled.confidence, whole.confidence)


def test_each_pixel_takes_the_tile_in_which_it_lies_deepest(make_model):
    model = make_model(MaskTarget)
    whole, calls = model.decode, []

    def numbered(output, sizes):
        parts = whole(output, sizes)
        calls.extend(parts)
        start = len(calls) - len(parts)
        return [
            type(part)(labels=torch.full_like(part.labels, start + row), confidence=part.confidence)
            for row, part in enumerate(parts)
        ]

    model.decode = numbered
    image = torch.zeros(3, 20, 60, dtype=torch.uint8)
    found = predict_tiled(model, image, tile_px=40, overlap_px=20)  # tiles at 0..40 and 20..60
    assert found.labels[0].tolist() == [0] * 30 + [1] * 30


def test_a_class_cannot_be_put_together(make_model, paint):
    with pytest.raises(InputError, match="predict without tiles"):
        predict_tiled(make_model(ClassTarget), paint(OBJECTS, (80, 110)), tile_px=40, overlap_px=10)


@pytest.mark.parametrize(("tile", "overlap", "size"), [(40, 40, (50, 50)), (40, -1, (50, 50)), (40, 10, (0, 50))])
def test_impossible_tiles_are_named(tile, overlap, size):
    with pytest.raises(InputError, match="larger than their overlap"):
        tiles_of(size, tile_px=tile, overlap_px=overlap)
