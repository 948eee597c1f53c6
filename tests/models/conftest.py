"""Makers of small inputs for the tests of models."""

from collections.abc import Callable

import pytest
import torch

from snellen.structures import ImageBatch

MakeImages = Callable[..., ImageBatch]


@pytest.fixture
def make_images() -> MakeImages:
    """Noise of the given sizes (height, width), padded with ``fill`` to a canvas."""

    def make(*sizes: tuple[int, int], canvas: tuple[int, int] | None = None, fill: int = 0) -> ImageBatch:
        height, width = canvas or (max(s[0] for s in sizes), max(s[1] for s in sizes))
        pixels = torch.full((len(sizes), 3, height, width), fill, dtype=torch.uint8)
        for index, (h, w) in enumerate(sizes):
            generator = torch.Generator().manual_seed(index)
            pixels[index, :, :h, :w] = torch.randint(0, 256, (3, h, w), dtype=torch.uint8, generator=generator)
        return ImageBatch(pixels=pixels, sizes=torch.tensor(sizes), original_sizes=torch.tensor(sizes))

    return make
