"""What heads read of an image, and not of the padding beside it."""

import pytest
import torch
from torch.nn import functional

from snellen.nn import (
    content_cells,
    content_grid,
    content_max,
    content_mean,
    content_windows,
    spread_over_content,
)
from snellen.structures import ImageBatch


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def canvas_of(*sizes: tuple[int, int]) -> ImageBatch:
    """Blank images on a canvas of the first size."""
    pixels = torch.zeros(len(sizes), 3, *sizes[0], dtype=torch.uint8)
    return ImageBatch(pixels=pixels, sizes=torch.tensor(sizes), original_sizes=torch.tensor(sizes))


def whole(num: int, rows: int, columns: int) -> torch.Tensor:
    return torch.tensor([[rows, columns]] * num)


@pytest.mark.parametrize("size", [(7, 7), (13, 9), (3, 5), (1, 1), (14, 28)])
@pytest.mark.parametrize("side", [1, 4, 6, 7])
def test_grid_is_torchs_adaptive_pool(side, size):
    x = noise(2, 3, *size)
    torch.testing.assert_close(content_grid(x, whole(2, *size), side), functional.adaptive_avg_pool2d(x, side))


@pytest.mark.parametrize(("cells", "side"), [(14, 4), (17, 5)])
def test_windows_are_an_average_pool_of_5_with_a_step_of_3(cells, side):
    """SYS-110: the maps of GoogLeNet at 224 px and of Inception v3 at 299 px."""
    x = noise(2, 3, cells, cells)
    found = content_windows(x, whole(2, cells, cells), side, window=5)
    torch.testing.assert_close(found, functional.avg_pool2d(x, 5, 3))


@pytest.mark.parametrize(
    "pool", [content_mean, content_max, lambda *x: content_grid(*x, 3), lambda *x: content_windows(*x, 3, window=2)]
)
def test_what_stands_in_the_padding_does_not_matter(pool):
    small, wide = noise(1, 2, 4, 5), noise(1, 2, 6, 8)
    canvas = torch.full((2, 2, 6, 8), 1e6)
    canvas[0, :, :4, :5], canvas[1] = small[0], wide[0]
    together = pool(canvas, torch.tensor([[4, 5], [6, 8]]))
    torch.testing.assert_close(together[:1], pool(small, whole(1, 4, 5)))
    torch.testing.assert_close(together[1:], pool(wide, whole(1, 6, 8)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_maximum_is_torchs_global_pool(dtype):
    """SYS-112: over whole maps, of negative values too, which a mask of zeros would hide."""
    x = (noise(2, 3, 5, 7) - 10).to(dtype)
    found = content_max(x, whole(2, 5, 7))
    assert torch.equal(found, functional.adaptive_max_pool2d(x, 1)[..., 0, 0].float())
    assert (found < 0).all()


def test_windows_shrink_on_small_maps():
    found = content_windows(torch.arange(2.0).expand(1, 1, 2, 2), whole(1, 2, 2), 3, window=5)
    torch.testing.assert_close(found, torch.full((1, 1, 3, 3), 0.5))


@pytest.mark.parametrize(("cells", "wanted"), [((5, 7), [[5, 7], [2, 4]]), ((4, 6), [[4, 6], [1, 3]])])
def test_cells_of_an_image_smaller_than_the_canvas(cells, wanted):
    """Canvas 40 × 56 with stride 8: 5 × 7 cells, or one less along each axis where a network pads nothing."""
    images = canvas_of((40, 56), (10, 30))
    assert content_cells(torch.zeros(2, 1, *cells), images, 8).tolist() == wanted


def test_at_least_one_cell():
    images = canvas_of((299, 299), (20, 20))
    assert content_cells(torch.zeros(2, 1, 8, 8), images, 32).tolist() == [[8, 8], [1, 1]]


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("side", [1, 2, 6])
@pytest.mark.parametrize("size", [(9, 13), (6, 6), (1, 4)])
def test_spreading_is_torchs_interpolation(size, side, align_corners):
    grid = noise(2, 3, side, side)
    found = spread_over_content(grid, whole(2, *size), size, align_corners=align_corners)
    wanted = functional.interpolate(grid, size, mode="bilinear", align_corners=align_corners)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_spreading_covers_each_images_own_cells():
    grid = noise(2, 3, 2, 2)
    found = spread_over_content(grid, torch.tensor([[4, 6], [8, 10]]), (8, 10))
    torch.testing.assert_close(found[:1, :, :4, :6], functional.interpolate(grid[:1], (4, 6), mode="bilinear"))
    torch.testing.assert_close(found[1:], functional.interpolate(grid[1:], (8, 10), mode="bilinear"))
    assert torch.equal(found[0, :, 4:, :6], found[0, :, 3:4, :6].expand(-1, 4, -1))
