"""T17 (DX-042, DX-043)."""

import numpy as np
import pytest
from tests.doctor.checks.training.traces import falling, flat, made

from snellen.doctor import Status
from snellen.doctor.checks.training.gradient_noise import noise_scale

FAIR = falling(end=1.5)


def test_the_scale_is_that_of_gradients_whose_noise_is_known():
    """Gradients of B images are drawn with signal G and noise S / B; the scale must come out as S / |G|²."""
    random = np.random.default_rng(0)
    size, signal, noise = 20_000, 1.0, 50.0
    true = signal / np.sqrt(size) * np.ones(size)
    for batch in (8, 64, 512):
        draws = true + np.sqrt(noise / batch / size) * random.standard_normal((2, 8, size))
        cosines = (draws[0] * draws[1]).sum(1) / np.linalg.norm(draws[0], axis=1) / np.linalg.norm(draws[1], axis=1)
        assert noise_scale(batch, float(cosines.mean())) == pytest.approx(noise, rel=0.1)


@pytest.mark.parametrize(("loss", "cosine", "batch", "expected"), [
    (FAIR, 0.02, 32, ["INFO small"]),
    (falling(), 0.02, 4, ["INFO small"]),
    (falling(), 0.02, 32, []),  # it gets on well
    (FAIR, 0.3, 32, []),
    (FAIR, 0.97, 512, ["INFO large"]),
    (FAIR, 0.97, 64, []),
    (FAIR, -0.3, 32, []),  # steps that overshoot hide the noise
])  # fmt: skip
def test_batches(found, loss, cosine, batch, expected):
    trace = made(loss, agreement=lambda step: cosine + 0.002 * np.sin(step), images=lambda _: batch)
    assert found("T17", trace) == expected


def test_what_is_said(said):
    trace = made(FAIR, agreement=lambda _: 0.99, images=lambda _: 500)
    assert said("T17", trace) == "Gradients of 500 images have a cosine of 0.99: 5 images would say nearly the same."


def test_without_pairs_of_gradients(judged):
    assert judged("T17", made(flat(), agreement=lambda _: float("nan"))).status == Status.NOT_CHECKABLE
