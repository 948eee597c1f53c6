"""Anchors, exactly as torchvision lays them (SYS-024)."""

import pytest
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from snellen.ops import base_anchors, grid_anchors


@pytest.mark.parametrize(
    ("canvas", "grids"),
    [
        ((128, 96), [(32, 24), (16, 12), (8, 6)]),
        ((100, 131), [(25, 33), (13, 17), (7, 9)]),
        ((8, 8), [(1, 1)]),
    ],
)
@pytest.mark.parametrize("ratios", [(0.5, 1.0, 2.0), (0.1, 7.3)])
def test_anchors_are_torchvisions(canvas, grids, ratios):
    sizes = [(32, 45.5)] * len(grids)
    theirs = AnchorGenerator(tuple(sizes), (ratios,) * len(grids))
    maps = [torch.zeros(1, 2, *grid) for grid in grids]
    expected = theirs(ImageList(torch.zeros(1, 3, *canvas), [canvas]), maps)[0]
    got = [
        grid_anchors(base_anchors(row, ratios), grid, (canvas[0] // grid[0], canvas[1] // grid[1]))
        for row, grid in zip(sizes, grids, strict=True)
    ]
    assert torch.equal(torch.cat(got), expected)


def test_no_cells_no_anchors():
    assert grid_anchors(base_anchors((32,), (1.0,)), (0, 5), (8, 8)).shape == (0, 4)
    assert base_anchors((), (1.0,)).shape == (0, 4)


def test_dtype_follows_the_base():
    assert grid_anchors(base_anchors((32,), (1.0,)).double(), (2, 2), (8, 8)).dtype == torch.float64
