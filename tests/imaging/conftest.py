"""A photograph that scikit-image brings along, in the forms that operations take."""

import numpy as np
import pytest
import torch
from skimage import data


@pytest.fixture(scope="session")
def photograph() -> np.ndarray:
    """Part of a colour photograph, 64 x 70, sides that no tile divides."""
    return np.ascontiguousarray(data.astronaut()[:64, 60:130])


@pytest.fixture
def colour(photograph) -> torch.Tensor:
    """The photograph as a tensor [3, 64, 70] of bytes."""
    return torch.from_numpy(photograph.copy()).permute(2, 0, 1).contiguous()


@pytest.fixture
def grey(colour) -> torch.Tensor:
    """Its green channel as float64 [1, 64, 70]."""
    return colour[1:2].double()
