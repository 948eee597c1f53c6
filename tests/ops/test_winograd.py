"""Winograd's convolution against torch's direct one, in values and in all gradients."""

import pytest
import torch
from torch.nn import functional

from snellen.ops import num_tiles, winograd_conv, winograd_kernels

SHAPES = [  # images, channels in and out, rows, columns, padding
    (1, 1, 1, 3, 3, 0),  # one cell of one tile
    (1, 2, 3, 1, 1, 1),
    (2, 3, 4, 5, 7, 1),  # tiles cut off on both sides
    (3, 2, 2, 9, 4, 1),
    (2, 2, 2, 8, 8, 2),
    (1, 4, 2, 16, 12, 1),  # whole tiles only
]


def drawn(images, channels, out_channels, height, width, dtype=torch.float64):
    generator = torch.Generator().manual_seed(height * 100 + width)
    x = torch.randn(images, channels, height, width, dtype=dtype, generator=generator)
    weight = torch.randn(out_channels, channels, 3, 3, dtype=dtype, generator=generator) / (9 * channels) ** 0.5
    bias = torch.randn(out_channels, dtype=dtype, generator=generator)
    return x.to(memory_format=torch.channels_last), weight, bias


@pytest.mark.parametrize(("images", "channels", "out_channels", "height", "width", "padding"), SHAPES)
def test_is_the_direct_convolution_in_values_and_gradients(images, channels, out_channels, height, width, padding):
    inputs = [tensor.requires_grad_() for tensor in drawn(images, channels, out_channels, height, width)]
    expected = functional.conv2d(*inputs, padding=padding)
    got = winograd_conv(*inputs, padding=padding)
    assert got.shape == expected.shape
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)
    coming = torch.randn(expected.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for ours, torchs in zip(
        torch.autograd.grad(got, inputs, coming), torch.autograd.grad(expected, inputs, coming), strict=True
    ):
        torch.testing.assert_close(ours, torchs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("needed", range(3))
def test_gives_each_gradient_alone(needed):
    inputs = list(drawn(2, 3, 4, 6, 9))
    inputs[needed].requires_grad_()
    (ours,) = torch.autograd.grad(winograd_conv(*inputs, padding=1).square().sum(), inputs[needed])
    (torchs,) = torch.autograd.grad(functional.conv2d(*inputs, padding=1).square().sum(), inputs[needed])
    torch.testing.assert_close(ours, torchs, rtol=0, atol=1e-10)


def test_works_in_blocks_as_in_one_piece(monkeypatch):
    inputs = [tensor.requires_grad_() for tensor in drawn(3, 4, 6, 21, 18)]

    def both():
        output = winograd_conv(*inputs, padding=1)
        return [output, *torch.autograd.grad(output.square().sum(), inputs)]

    whole = both()
    for block in (6 * 36 * 6, 12 * 36 * 6, 60 * 36 * 6):  # a row of tiles at a time, two rows, two images
        monkeypatch.setattr("snellen.ops.winograd.BLOCK", block)
        for ours, expected in zip(both(), whole, strict=True):
            torch.testing.assert_close(ours, expected, rtol=0, atol=1e-9)


def test_errs_in_float32_by_a_millionth_of_the_outputs_spread():
    x, weight, bias = drawn(2, 256, 256, 20, 20, dtype=torch.float64)
    exact = functional.conv2d(x, weight, bias, padding=1)
    got = winograd_conv(x.float(), weight.float(), bias.float(), padding=1)
    direct = functional.conv2d(x.float(), weight.float(), bias.float(), padding=1)
    error = float((got - exact).std() / exact.std())
    assert error < 2e-6
    assert error < 20 * float((direct - exact).std() / exact.std())


def test_takes_kernels_that_were_made_before():
    x, weight, bias = drawn(1, 3, 4, 8, 8)
    assert torch.equal(winograd_conv(x, weight, bias, kernels=winograd_kernels(weight)), winograd_conv(x, weight, bias))


def test_output_can_be_changed_in_place_as_that_of_a_convolution():
    x, weight, bias = drawn(1, 3, 4, 7, 7)
    weight.requires_grad_()
    output = winograd_conv(x, weight, bias, padding=1)
    assert output.is_contiguous(memory_format=torch.channels_last)
    torch.relu_(output).sum().backward()
    ours, weight.grad = weight.grad, None
    torch.relu(functional.conv2d(x, weight, bias, padding=1)).sum().backward()
    torch.testing.assert_close(ours, weight.grad, rtol=0, atol=1e-12)


def test_made_first_in_inference_it_still_learns():
    x, weight, bias = drawn(1, 3, 4, 7, 7, dtype=torch.float32)
    with torch.inference_mode():
        winograd_conv(x, weight, bias)
    weight.requires_grad_()
    winograd_conv(x, weight, bias).sum().backward()
    assert weight.grad is not None


def test_counts_tiles():
    assert [num_tiles(1, 1), num_tiles(4, 8), num_tiles(5, 9)] == [1, 2, 6]
