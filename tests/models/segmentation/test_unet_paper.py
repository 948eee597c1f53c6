"""U-Net as published (SYS-049)."""

import pytest
import torch

from snellen.errors import ConfigError
from snellen.models import find_model
from snellen.models.segmentation import UNetPaper
from snellen.models.segmentation.unet_paper import mirrored


def test_sizes_of_figure_1():
    """572 × 572 pixels in, 388 × 388 answers out."""
    with torch.device("meta"):
        model = UNetPaper(2).eval()
        assert model.features(torch.zeros(1, 3, 572, 572)).shape == (1, 64, 388, 388)


def test_parameters():
    """Twenty-three convolutions: 31.0 M numbers with one colour, 1,152 more with three."""
    with torch.device("meta"):
        model = UNetPaper(2)
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.ConvTranspose2d)]
    assert len(layers) == 23
    assert sum(p.numel() for p in model.parameters()) == 31_030_658 + 2 * 9 * 64


@pytest.mark.parametrize("size", [(64, 64), (37, 51), (4, 4), (20, 101)])
def test_any_canvas_is_answered(size, make_images):
    model = UNetPaper(3, width=2).eval()
    with torch.no_grad():
        assert model(make_images(size)).logits.shape == (1, 3, *size)


def test_mirrored_is_numpys_reflection():
    import numpy as np

    x = torch.arange(5 * 7).float().view(1, 1, 5, 7)
    found = mirrored(x, torch.tensor([[5, 7]]), (5, 7), margin=11)
    assert torch.equal(found[0, 0], torch.from_numpy(np.pad(x[0, 0].numpy(), 11, mode="reflect")))


def test_mirrored_replaces_padding():
    x = torch.arange(8 * 8).float().view(1, 1, 8, 8)
    small = mirrored(x[:, :, :5, :4], torch.tensor([[5, 4]]), (8, 8), margin=3)
    assert torch.equal(mirrored(x, torch.tensor([[5, 4]]), (8, 8), margin=3), small)


def test_an_image_of_one_pixel():
    assert mirrored(torch.ones(1, 1, 1, 1), torch.tensor([[1, 1]]), (2, 3), margin=2).shape == (1, 1, 6, 7)


def test_moving_the_image_moves_the_answer(make_images):
    """SYS-139, ERR-059: overlap tiles: within the 92 px that an answer needs, a tile answers as the whole image."""
    torch.manual_seed(0)
    model = UNetPaper(2, width=2).eval()
    x = torch.randn(1, 3, 252, 252)
    with torch.no_grad():
        whole = model.features(x)
        tile = model.features(x[:, :, 32:220, 48:236])
    torch.testing.assert_close(tile, whole[:, :, 32:36, 48:52], atol=1e-5, rtol=1e-4)


def test_it_has_no_norms():
    with pytest.raises(ConfigError, match="no norm layers"):
        find_model("unet_paper_small").build(2, norm=torch.nn.BatchNorm2d)
    with pytest.raises(ConfigError, match="width must be"):
        UNetPaper(2, width=0)
