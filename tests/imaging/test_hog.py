"""Histograms of oriented gradients against scikit-image and against the paper's sums, pixel by pixel (SYS-004)."""

import math

import numpy as np
import pytest
import torch
from skimage import data
from skimage.feature import hog as skimage_hog

from snellen.errors import ConfigError, ShapeError
from snellen.imaging import HogSpec, hog, hog_blocks, hog_cells, hog_votes

PLAIN = {"orientation_voting": "nearest", "spatial_voting": "nearest"}


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return data.astronaut()[100:228, 180:276].astype(np.float64) / 255


def as_batch(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.atleast_3d(image)).permute(2, 0, 1)[None].contiguous()


@pytest.mark.parametrize("norm", ["L2-Hys", "L2", "L1", "L1-sqrt"])
@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize("root", [True, False])
def test_equals_scikit_image(photo, norm, grey, root):
    image = photo[..., 1] if grey else photo
    wanted = skimage_hog(
        image,
        cells_per_block=(2, 2),
        block_norm=norm,
        transform_sqrt=root,
        channel_axis=None if grey else 2,
    )
    found = hog(as_batch(image), HogSpec(norm=norm, sqrt_gamma=root, **PLAIN))
    np.testing.assert_allclose(found[0].numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize(("cell", "block", "bins"), [(6, 3, 9), (8, 1, 12), (5, 2, 7)])
def test_equals_scikit_image_for_other_cells_in_float32(photo, cell, block, bins):
    image = (photo[:100, :91] * 255).round().astype(np.float32)  # no multiple of a cell; whole numbers tie alike
    wanted = skimage_hog(
        image,
        orientations=bins,
        pixels_per_cell=(cell, cell),
        cells_per_block=(block, block),
        block_norm="L2-Hys",
        channel_axis=2,
    )
    spec = HogSpec(cell_px=cell, block_cells=block, bins=bins, sqrt_gamma=False, **PLAIN)
    np.testing.assert_allclose(hog(as_batch(image), spec)[0].numpy(), wanted, atol=1e-5)


def loop_over_pixels(image: np.ndarray, spec: HogSpec, *, top: int, left: int) -> np.ndarray:
    """The block whose corner is at (top, left), from section 6 of the paper, one pixel after another."""
    side, cells = spec.cell_px, spec.block_cells
    height, width = image.shape
    histogram = np.zeros((cells, cells, spec.bins))
    for y in range(top, top + cells * side):
        for x in range(left, left + cells * side):
            down = image[y + 1, x] - image[y - 1, x] if 0 < y < height - 1 else 0.0
            right = image[y, x + 1] - image[y, x - 1] if 0 < x < width - 1 else 0.0
            turn = 2 * math.pi if spec.signed else math.pi
            place = (math.atan2(down, right) % turn) / turn * spec.bins - 0.5
            v, u = y + 0.5 - top, x + 0.5 - left
            middle, sigma = cells * side / 2, 0.5 * cells * side
            weight = math.exp(-((v - middle) ** 2 + (u - middle) ** 2) / (2 * sigma**2))
            for i in range(cells):
                for j in range(cells):
                    near = max(0, 1 - abs(v / side - 0.5 - i)) * max(0, 1 - abs(u / side - 0.5 - j))
                    for bin_ in range(math.floor(place), math.floor(place) + 2):
                        share = 1 - abs(place - bin_)
                        vote = math.hypot(down, right) * share * near * weight
                        histogram[i, j, bin_ % spec.bins] += vote / side**2
    histogram /= math.sqrt((histogram**2).sum() + spec.epsilon**2)
    histogram = histogram.clip(max=0.2)
    return histogram / math.sqrt((histogram**2).sum() + spec.epsilon**2)


@pytest.mark.parametrize("spec", [HogSpec(sqrt_gamma=False), HogSpec(sqrt_gamma=False, signed=True, bins=18)])
@pytest.mark.parametrize("corner", [(0, 0), (8, 16), (24, 8)])
def test_block_equals_the_papers_sum(photo, spec, corner):
    image = photo[:40, :48, 1]
    found = hog_blocks(as_batch(image), spec)[0, :, corner[0] // 8, corner[1] // 8]
    wanted = loop_over_pixels(image, spec, top=corner[0], left=corner[1])
    np.testing.assert_allclose(found.numpy(), wanted.ravel(), atol=1e-9)


@pytest.mark.parametrize("side", [8, 5])
def test_bilinear_cells_share_every_vote(photo, side):
    """Away from the edges the cells together hold what the pixels voted: sharing loses and makes nothing."""
    spec = HogSpec(spatial_voting="bilinear", cell_px=side)
    image = as_batch(photo[: 8 * side, : 8 * side])
    inner = torch.zeros_like(image[:, :1])
    inner[..., side:-side, side:-side] = 1
    votes = (hog_votes(image, spec) * inner).sum(dim=(2, 3))
    one = torch.zeros(1, 1, 8 * side, 8 * side, dtype=torch.float64)
    one[..., 3 * side + 1, 4 * side + 3] = 1  # a bright point: its votes reach four cells at most
    assert (hog_cells(one, spec).sum(dim=1) > 0).sum() <= 9
    assert (votes > 0).all()
    whole = hog_cells(one, spec).sum() * side**2
    torch.testing.assert_close(whole, hog_votes(one, spec).sum())


def test_a_bilinear_vote_is_shared_by_distance():
    """A vertical edge 2 px right of the middle of a cell gives that cell 3/4 and the next one 1/4 of its votes."""
    image = torch.zeros(1, 1, 40, 40, dtype=torch.float64)
    image[..., 22:] = 1  # the centred difference is 1 at columns 21 and 22: on average at x = 22, 2 px from 20
    cells = hog_cells(image, HogSpec(spatial_voting="bilinear"))[0, :, 2].sum(dim=0)
    torch.testing.assert_close(cells[3] / cells[2], torch.tensor(0.25 / 0.75, dtype=torch.float64))


def test_orientation_of_an_edge():
    """A gradient at 30 degrees lies in the middle of the second bin and votes for no other."""
    y, x = np.mgrid[:32, :32]
    image = x * math.cos(math.radians(30)) + y * math.sin(math.radians(30))
    cells = hog_cells(as_batch(image), HogSpec(spatial_voting="nearest", sqrt_gamma=False))[0, :, 1, 1]
    torch.testing.assert_close(cells / cells.sum(), torch.eye(9, dtype=torch.float64)[1], atol=1e-6, rtol=0)


def test_light_does_not_matter(photo):
    image = as_batch(photo[..., 1])
    spec = HogSpec(sqrt_gamma=False)
    torch.testing.assert_close(hog(image * 0.4 + 0.3, spec), hog(image, spec), atol=1e-3, rtol=0)


def test_a_batch_is_its_images(photo):
    pair = torch.cat([as_batch(photo), as_batch(photo[::-1].copy())])
    torch.testing.assert_close(hog(pair)[1:], hog(pair[1:]))


def test_blocks_that_do_not_overlap_are_some_of_those_that_do(photo):
    dense = hog_blocks(as_batch(photo))
    torch.testing.assert_close(hog_blocks(as_batch(photo), HogSpec(block_step=2)), dense[..., ::2, ::2])


def test_bad_input(photo):
    with pytest.raises(ShapeError, match="at least 16 px"):
        hog(torch.zeros(1, 1, 15, 40))
    with pytest.raises(ConfigError, match="hog_blocks"):
        hog_cells(as_batch(photo), HogSpec())
    with pytest.raises(ConfigError, match="positive"):
        HogSpec(bins=0)
