import pytest
import torch
from torch.nn import functional

from snellen.nn import CeilMaxPool2d


def in_plain_loops(x: torch.Tensor, kernel: int) -> torch.Tensor:
    height, width = x.shape[-2:]
    rows = [x[..., top : top + kernel, :].amax(dim=-2) for top in range(0, height, 2)]
    x = torch.stack(rows, dim=-2)
    return torch.stack([x[..., left : left + kernel].amax(dim=-1) for left in range(0, width, 2)], dim=-1)


@pytest.mark.parametrize("size", [(4, 6), (5, 7), (1, 2), (6, 3)])
@pytest.mark.parametrize("kernel", [2, 3])
def test_windows_begin_at_every_second_cell(kernel, size):
    """SYS-109: the strongest answer of each window."""
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0)) - 5  # a padding of zeros would win
    found = CeilMaxPool2d(kernel)(x)
    assert found.shape[-2:] == ((size[0] + 1) // 2, (size[1] + 1) // 2)
    torch.testing.assert_close(found, in_plain_loops(x, kernel))


def test_on_even_sides_it_is_torchs():
    x = torch.randn(1, 2, 8, 10, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(CeilMaxPool2d(3)(x), functional.max_pool2d(x, 3, 2, ceil_mode=True))
