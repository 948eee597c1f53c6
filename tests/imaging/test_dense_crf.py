"""The dense CRF against a mean field whose kernels are summed exactly (Krähenbühl and Koltun 2011) (SYS-299)."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from snellen.errors import ConfigError, ShapeError
from snellen.imaging import DenseCrfSettings, dense_crf

SIZE = (36, 48)


def exact_crf(probs, image, settings):
    """Algorithm 1 with whole kernel matrices."""
    num_classes, height, width = probs.shape
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack([rows, columns], dim=-1).view(-1, 2).double()
    colours = image.permute(1, 2, 0).reshape(-1, 3).double()

    def kernel(features):
        weights = torch.exp(-0.5 * torch.cdist(features, features).square())
        sums = weights.sum(1)
        weights = weights / (sums[:, None] * sums[None, :]).sqrt()
        return weights.fill_diagonal_(0)

    appearance = kernel(torch.cat([places / settings.appearance_px, colours / settings.appearance_levels], dim=1))
    smoothness = kernel(places / settings.smoothness_px)
    unary = probs.flatten(1).T.double().clamp(min=1e-12).log()
    now = unary.softmax(1)
    for _ in range(settings.iterations):
        heard = settings.appearance_weight * (appearance @ now) + settings.smoothness_weight * (smoothness @ now)
        now = (unary + heard).softmax(1)
    return now.T.reshape(num_classes, height, width)


def scene(seed=0, num_classes=4):
    """Smooth colours with a step, and probabilities that are noise on a coarse grid."""
    stream = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 3, 4, generator=stream) * 60
    image = functional.interpolate(coarse, SIZE, mode="bilinear")[0]
    image[:, 10:20, 12:30] = 255 - image[:, 10:20, 12:30]
    image += torch.randn(3, *SIZE, generator=stream)
    logits = torch.rand(1, num_classes, 5, 6, generator=torch.Generator().manual_seed(seed + 9)) * 7
    probs = functional.interpolate(logits, SIZE, mode="bilinear")[0].softmax(0)
    return probs, image.clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("place_px", "levels"), [(60.0, 5.0), (20.0, 13.0)])
def test_against_exact_sums(seed, place_px, levels):
    probs, image = scene(seed)
    settings = DenseCrfSettings(appearance_px=place_px, appearance_levels=levels)
    once = replace(settings, iterations=1)
    assert (dense_crf(probs, image, once) - exact_crf(probs, image, once)).abs().mean() < 0.01
    found, wanted = dense_crf(probs, image, settings), exact_crf(probs, image, settings)
    assert (found - wanted).abs().mean() < 0.02
    assert (found.argmax(0) == wanted.argmax(0)).double().mean() > 0.96
    assert (probs.argmax(0) != wanted.argmax(0)).double().mean() > 0.1  # there was something to refine


def test_smoothness_is_exact():
    """The kernel of place is no approximation but for its end at four standard deviations."""
    probs, image = scene()
    settings = DenseCrfSettings(appearance_weight=0.0, smoothness_weight=5.0, smoothness_px=2.5)
    assert (dense_crf(probs, image, settings) - exact_crf(probs, image, settings)).abs().max() < 2e-3


def test_labels_follow_the_picture():
    """A border that the network puts five pixels too far comes back to where the colours change."""
    image = torch.zeros(3, *SIZE, dtype=torch.uint8)
    image[:, :, 20:] = 200
    probs = torch.full((2, *SIZE), 0.2)
    probs[0, :, :25] = probs[1, :, 25:] = 0.8
    refined = dense_crf(probs, image, DenseCrfSettings(appearance_weight=10.0))
    assert torch.equal(refined.argmax(0), (image[0] > 100).long())


def test_are_probabilities():
    probs, image = scene()
    refined = dense_crf(probs, image)
    assert refined.min() >= 0
    assert torch.allclose(refined.sum(0), torch.ones(SIZE), atol=1e-5)
    assert torch.equal(refined, dense_crf(probs, image))


def test_is_the_same_where_networks_compute_in_16_bits():
    """Places rounded to 8 bits would lie in other simplices."""
    probs, image = scene()
    wanted = dense_crf(probs, image)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(dense_crf(probs, image), wanted)
        assert torch.equal(dense_crf(probs.bfloat16().float(), image), dense_crf(probs.bfloat16(), image))


def test_without_kernels_nothing_changes():
    probs, image = scene()
    none = DenseCrfSettings(appearance_weight=0.0, smoothness_weight=0.0)
    assert torch.allclose(dense_crf(probs, image, none), probs, atol=1e-6)


def test_sure_labels_stay():
    """Probabilities of exactly 0 and 1 are no infinite logits."""
    probs = torch.zeros(2, *SIZE)
    probs[0] = 1
    assert torch.allclose(dense_crf(probs, scene()[1]), probs, atol=1e-6)


def test_refuses_other_sizes():
    probs, image = scene()
    with pytest.raises(ShapeError, match="one height and width"):
        dense_crf(probs[:, 1:], image)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iterations", 0),
        ("iterations", 2.5),
        ("appearance_px", 0.0),
        ("smoothness_weight", -1.0),
        ("appearance_levels", "5"),
    ],
)
def test_refuses_settings(name, value):
    with pytest.raises(ConfigError, match=name):
        replace(DenseCrfSettings(), **{name: value})
