"""Boxes that several tests of the ops use."""

import pytest
import torch


@pytest.fixture
def random_boxes():
    """Return a function that makes ``count`` proper boxes within (height, width)."""

    def make(count, size=(64, 64), seed=0, leading=()):
        generator = torch.Generator().manual_seed(seed)
        limits = torch.tensor([size[1], size[0]], dtype=torch.float32)
        corners = torch.rand(*leading, count, 2, 2, generator=generator) * limits
        low, high = corners.amin(-2), corners.amax(-2)
        return torch.cat([low, torch.maximum(high, low + 0.5)], dim=-1)

    return make
