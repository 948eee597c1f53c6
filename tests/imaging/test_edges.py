"""Derivatives and edges beside scikit-image's, SciPy's and OpenCV's."""

import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage import feature, filters

from snellen.errors import ConfigError
from snellen.imaging.edges import (
    DERIVATIVES,
    canny,
    derivatives,
    gradient_magnitude,
    laplacian,
    laplacian_of_gaussian,
    zero_crossings,
)

INNER = np.s_[2:-2, 2:-2]  # scikit-image goes on otherwise beyond the edge


@pytest.mark.parametrize(
    ("name", "factor"), [("roberts", 1.0), ("prewitt", 2**0.5), ("sobel", 2**0.5), ("scharr", 2**0.5)]
)
def test_equals_scikit_image(grey, name, factor):
    """SYS-256, SYS-257, SYS-258: scikit-image's magnitudes of the 3 x 3 operators are √2 times ours."""
    ours = gradient_magnitude(grey, name)[0].numpy() * factor
    theirs = getattr(filters, name)(grey[0].numpy())
    assert np.abs(ours - theirs)[INNER].max() < 1e-9


def test_sobel_equals_opencv(grey):
    """Sums of 1 + 2 + 1 over two pixels: OpenCV's are eight times as large."""
    across, down = derivatives(grey, "sobel")
    for ours, order in ((across, (1, 0)), (down, (0, 1))):
        theirs = cv2.Sobel(grey[0].numpy(), cv2.CV_64F, *order, borderType=cv2.BORDER_REPLICATE)
        assert np.abs(8 * ours[0].numpy() - theirs).max() < 1e-9


@pytest.mark.parametrize("name", DERIVATIVES)
def test_a_ramp_has_its_slope(name):
    rows, columns = torch.meshgrid(torch.arange(20.0), torch.arange(20.0), indexing="ij")
    ramp = (3 * columns + 4 * rows)[None]
    assert torch.allclose(gradient_magnitude(ramp, name)[0, 3:-3, 3:-3], torch.tensor(5.0))


def test_laplacian_equals_opencv(grey):
    """SYS-255."""
    theirs = cv2.Laplacian(grey[0].numpy(), cv2.CV_64F, borderType=cv2.BORDER_REPLICATE)
    assert np.abs(laplacian(grey)[0].numpy() - theirs).max() < 1e-9
    kernel = np.array([[1, 1, 1], [1, -8, 1], [1, 1, 1]])
    theirs = ndimage.correlate(grey[0].numpy(), kernel, mode="nearest")
    assert np.abs(laplacian(grey, diagonals=True)[0].numpy() - theirs).max() < 1e-9


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.5])
def test_laplacian_of_gaussian_equals_scipy(grey, sigma):
    theirs = ndimage.gaussian_laplace(grey[0].numpy(), sigma, mode="nearest")
    assert np.abs(laplacian_of_gaussian(grey, sigma_px=sigma)[0].numpy() - theirs).max() < 0.5 / sigma**2


def test_laplacian_of_gaussian_of_plain_ground_is_zero():
    """Where SciPy's, whose kernel does not add up to 0, is not."""
    plain = torch.full((1, 30, 30), 200.0, dtype=torch.float64)
    assert laplacian_of_gaussian(plain, sigma_px=0.6).abs().max() < 1e-10
    assert abs(ndimage.gaussian_laplace(plain[0].numpy(), 0.6, mode="nearest")).max() > 1


def test_zero_crossings_stand_at_steps():
    step = torch.zeros(1, 20, 30)
    step[..., 12:] = 100.0
    edges = zero_crossings(laplacian_of_gaussian(step, sigma_px=1.5), contrast=1.0)[0]
    assert edges.sum(dim=1).tolist() == [1] * 20
    assert set(edges.nonzero()[:, 1].tolist()) <= {11, 12}


@pytest.mark.parametrize("sigma", [0.0, 1.0, 2.0])
def test_canny_equals_scikit_image(grey, sigma):
    """SYS-259: our thresholds are in levels per pixel, scikit-image's in sums of Sobel's kernel, eight times that."""
    theirs = feature.canny(grey[0].numpy(), sigma=sigma, low_threshold=40, high_threshold=120, mode="nearest")
    assert np.array_equal(canny(grey, sigma_px=sigma, low=5, high=15)[0].numpy(), theirs)


def test_canny_is_more_than_a_derivative():
    """ERR-083: a weak line is kept where it hangs on a strong one, and nowhere else."""
    image = torch.zeros(1, 40, 60)
    image[:, 20:] = torch.linspace(100, 30, 60)
    weak_alone = torch.zeros(1, 40, 60)
    weak_alone[:, 20:] = 30.0
    assert canny(image, low=5, high=20)[0, 18:22, 2:-2].any(dim=0).all()
    assert not canny(weak_alone, low=5, high=20).any()


def test_colours_count_by_their_luma(colour):
    grey = (colour.float() * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0, keepdim=True)
    assert torch.allclose(gradient_magnitude(colour), gradient_magnitude(grey), atol=1e-4)
    assert gradient_magnitude(colour[None, None]).shape == (1, 1, 1, 64, 70)


def test_refusals(grey):
    with pytest.raises(ConfigError, match="sobel"):
        derivatives(grey, "sobell")
    with pytest.raises(ConfigError, match=r"0\.5 or more"):
        laplacian_of_gaussian(grey, sigma_px=0.3)
    with pytest.raises(ConfigError, match="low <= high"):
        canny(grey, low=3, high=2)


def _best_f(strength: torch.Tensor, truth: torch.Tensor) -> float:
    """Return the best F over thresholds; edges may lie 2 pixels aside."""

    def near(edges: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.max_pool2d(edges[None, None].float(), 5, stride=1, padding=2)[0, 0] > 0

    best = 0.0
    for level in torch.quantile(strength.flatten(), torch.linspace(0.5, 0.995, 40)):
        found = strength > level
        precision = (found & near(truth)).sum() / found.sum().clamp(min=1)
        recall = (truth & near(found)).sum() / truth.sum()
        best = max(best, float(2 * precision * recall / (precision + recall).clamp(min=1e-9)))
    return best


def test_edges_in_noise():
    """Q-176: all operators find clean edges; in noise the more an operator smooths, the better it does."""
    scene = torch.full((1, 80, 80), 90.0)
    scene[:, 20:60, 15:50] = 150.0
    scene[:, 30:70, 55:75] = 40.0
    steps = torch.zeros(80, 80, dtype=torch.bool)
    steps[:, 1:] |= scene[0].diff(dim=1) != 0
    steps[1:] |= scene[0].diff(dim=0) != 0
    noise = torch.randn(scene.shape, generator=torch.Generator().manual_seed(0))
    for sigma, least in ((0.0, 0.95), (20.0, 0.0)):
        image = (scene + sigma * noise).clamp(0, 255)
        scores = {name: _best_f(gradient_magnitude(image, name)[0], steps) for name in DERIVATIVES}
        marr = zero_crossings(laplacian_of_gaussian(image, sigma_px=2.0)[0], contrast=1.0 + 0.15 * sigma)
        scores["log"] = _best_f(marr.float(), steps)
        scores["canny"] = _best_f(canny(image, sigma_px=2.0, low=3, high=7)[0].float(), steps)
        assert min(scores.values()) >= least
    assert scores["roberts"] < scores["sobel"] < scores["canny"]
    assert scores["canny"] > 0.9
