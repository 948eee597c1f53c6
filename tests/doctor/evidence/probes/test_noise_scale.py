"""The gradient noise scale (M37, DX-042, DX-043)."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from snellen.doctor import NotCheckable
from snellen.doctor.evidence.probes.noise_scale import noise_scale, scale_of
from snellen.doctor.examining import subject_of


def test_equals_the_estimate_by_two_batch_sizes() -> None:
    """McCandlish et al. 2018, appendix A.1, written out with a small and a large batch."""
    gradients = torch.randn(4, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 2
    small, large, part, whole = gradients.square().sum(1).mean(), gradients.mean(0).square().sum(), 8, 32
    signal = (whole * large - part * small) / (whole - part)
    noise = (small - large) / (1 / part - 1 / whole)
    assert scale_of(gradients @ gradients.T, part) == pytest.approx(float(noise / signal))


@pytest.mark.parametrize("deviation", [0.1, 1.0])
def test_finds_a_known_scale(deviation: float) -> None:
    """SYS-188: Gradients with mean g and covariance s² I have the scale s² n / |g|²."""
    generator = torch.Generator().manual_seed(0)
    mean, part = torch.full((400,), 0.2), 16
    found = []
    for _ in range(50):
        samples = mean + deviation * torch.randn(4, part, 400, generator=generator)
        gradients = samples.mean(1)
        found.append(scale_of(gradients @ gradients.T, part))
    known = deviation**2 * 400 / float(mean.square().sum())
    clear = [scale for scale in found if scale is not None]
    assert len(clear) > 40
    assert sum(clear) / len(clear) == pytest.approx(known, rel=0.1)


def test_noise_alone_is_not_judged() -> None:
    generator = torch.Generator().manual_seed(0)
    told = 0
    for _ in range(200):
        gradients = torch.randn(4, 1000, generator=generator)
        told += scale_of(gradients @ gradients.T, 8) is not None
    assert told <= 10


def test_samples_that_agree_have_a_small_scale() -> None:
    torch.manual_seed(0)
    model = nn.Linear(6, 1)
    images = torch.randn(1, 6).expand(16, 6) + 0.01 * torch.randn(16, 6)
    subject = subject_of(model, (images, torch.full((16, 1), 5.0)), functional.mse_loss)
    scale = noise_scale(subject).scale
    assert scale is not None
    assert scale < 0.1


def test_needs_eight_samples() -> None:
    subject = subject_of(nn.Linear(6, 1), (torch.randn(7, 6), torch.randn(7, 1)), functional.mse_loss)
    with pytest.raises(NotCheckable, match="fewer than eight"):
        noise_scale(subject)
