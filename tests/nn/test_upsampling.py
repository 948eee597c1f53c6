"""Ways to a finer map (SYS-101, SYS-127, Q-093, DX-105, DX-106, ERR-072, ERR-074)."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from snellen.doctor.checks.setup.checkerboard import overlaps
from snellen.errors import ConfigError
from snellen.nn import BilinearTransposed, Enlargement, bilinear_kernel, enlarged, pooled_places, unpooled


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_ramp_of_four_cells_on_eight_pixels():
    """ERR-074: the numbers of both grids."""
    ramp = torch.arange(4.0)[None, None, None]
    apart = enlarged(ramp, (2, 8), stride=2)[0, 0, 0]
    on = enlarged(ramp, (2, 8), stride=2, align_corners=True)[0, 0, 0]
    torch.testing.assert_close(apart, torch.tensor([0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]))
    torch.testing.assert_close(on, torch.arange(8) * 3 / 7)


@pytest.mark.parametrize("size", [(33, 65), (17, 49)])
def test_aligned_corners_put_cells_back_on_sides_of_a_multiple_plus_one(size):
    """A chain of 3 × 3 convolutions of stride 2 has its cells at the pixels 0, 16, 32 …; only then it fits."""
    coarse = torch.arange(-(-size[0] // 16) * -(-size[1] // 16)).float().view(1, 1, -(-size[0] // 16), -1)
    fine = enlarged(coarse, size, stride=16, align_corners=True)
    torch.testing.assert_close(fine[:, :, ::16, ::16], coarse)


def test_borders_on_borders_keep_the_scale_on_any_size():
    coarse = noise(1, 2, 3, 4)
    fine = enlarged(coarse, (37, 51), stride=16)
    assert fine.shape == (1, 2, 37, 51)
    torch.testing.assert_close(fine, functional.interpolate(coarse, scale_factor=16, mode="bilinear")[:, :, :37, :51])


def test_a_map_of_the_size_stays_as_it_is():
    x = noise(1, 1, 5, 5)
    assert enlarged(x, (5, 5), stride=1) is x


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_a_transposed_convolution_begins_as_bilinear_interpolation(factor):
    x = noise(2, 3, 5, 7)
    wanted = functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    torch.testing.assert_close(BilinearTransposed(3, factor)(x), wanted, atol=1e-5, rtol=1e-5)


def test_the_bilinear_kernel_of_caffes_filler():
    torch.testing.assert_close(
        bilinear_kernel(2)[0] / bilinear_kernel(2)[0].sum() * 4, torch.tensor([0.5, 1.5, 1.5, 0.5])
    )
    assert bilinear_kernel(3).shape == (5, 5)
    assert bilinear_kernel(16).shape == (32, 32)


@pytest.mark.parametrize("kind", ["nearest", "bilinear", "transposed"])
@pytest.mark.parametrize("size", [(10, 14), (9, 13)])
def test_a_step_comes_to_the_size_that_is_wanted(kind, size):
    assert Enlargement(4, kind)(noise(1, 4, 5, 7), size).shape == (1, 4, *size)


def written(kernel: int) -> torch.Tensor:
    """How often each pixel is written, away from the border."""
    step = Enlargement(1, "transposed", kernel=kernel)
    nn.init.ones_(step.up.weight)
    nn.init.zeros_(step.up.bias)
    return step(torch.ones(1, 1, 8, 8), (16, 16))[0, 0, 5:11, 5:11]


@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
def test_a_kernel_that_is_no_multiple_of_the_stride_draws_a_checkerboard(kernel):
    """ERR-072: what the map shows is what the check of the doctor counts."""
    counts = overlaps(kernel, 2)
    is_even = written(kernel).unique().numel() == 1
    assert is_even == (min(counts) == max(counts)) == (kernel % 2 == 0)


@pytest.mark.parametrize("kind", ["nearest", "bilinear"])
def test_interpolation_draws_none(kind):
    assert torch.equal(Enlargement(1, kind)(torch.ones(1, 1, 4, 4), (8, 8)), torch.ones(1, 1, 8, 8))


@pytest.mark.parametrize(
    ("options", "message"), [({"kind": "cubic"}, "upsampling must be"), ({"kernel": 1}, "2 or more")]
)
def test_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Enlargement(2, **options)


@pytest.mark.parametrize("size", [(6, 8), (5, 7), (1, 2)])
def test_unpooling_is_torchs(size):
    x = noise(2, 3, *size)
    maxima, places = pooled_places(x)
    wanted_maxima, wanted_places = functional.max_pool2d(x, 2, 2, ceil_mode=True, return_indices=True)
    assert torch.equal(maxima, wanted_maxima)
    assert torch.equal(places, wanted_places)
    told = noise(*maxima.shape)
    assert torch.equal(unpooled(told, places, size), nn.MaxUnpool2d(2)(told, places, output_size=size))


def test_unpooling_in_half_precision_and_backwards():
    x = noise(1, 2, 4, 4).bfloat16()
    maxima, places = pooled_places(x)
    assert unpooled(maxima, places, (4, 4)).dtype == torch.bfloat16
    told = noise(1, 2, 2, 2).requires_grad_()
    unpooled(told, places, (4, 4)).square().sum().backward()
    torch.testing.assert_close(told.grad, 2 * told)
