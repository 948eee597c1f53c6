import math

import pytest
import torch
from torch.nn import functional

from snellen.losses import binary_cross_entropy, pixel_cross_entropy, soft_cross_entropy
from snellen.structures import IGNORE_LABEL


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_soft_cross_entropy_equals_torch(smoothing):
    """SYS-140, SYS-147."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 5, generator=generator) * 4
    probs = torch.rand(6, 5, generator=generator).softmax(dim=-1)
    wanted = functional.cross_entropy(logits, probs, reduction="none", label_smoothing=smoothing)
    torch.testing.assert_close(soft_cross_entropy(logits, probs, label_smoothing=smoothing), wanted)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_weights_of_classes_are_torchs(smoothing):
    """SYS-149: with probabilities, torch weighs each class's part and smooths before it weighs."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(6, 5, generator=generator) * 4
    probs = torch.rand(6, 5, generator=generator).softmax(dim=-1)
    weights = torch.rand(5, generator=generator)
    expected = functional.cross_entropy(logits, probs, weights, reduction="none", label_smoothing=smoothing)
    got = soft_cross_entropy(logits, probs, class_weights=weights, label_smoothing=smoothing)
    torch.testing.assert_close(got, expected)


def test_where_nothing_is_wanted_nothing_is_lost():
    nothing = torch.zeros(2, 3)
    assert soft_cross_entropy(torch.randn(2, 3), nothing, label_smoothing=0.1).tolist() == [0, 0]


def test_soft_cross_entropy_by_hand():
    loss = soft_cross_entropy(torch.zeros(1, 4), torch.tensor([[1.0, 0, 0, 0]]))
    assert loss.item() == pytest.approx(math.log(4))


def test_soft_cross_entropy_takes_any_leading_axes_and_none():
    assert soft_cross_entropy(torch.zeros(2, 3, 4), torch.full((2, 3, 4), 0.25)).shape == (2, 3)
    assert soft_cross_entropy(torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0,)


def test_pixel_cross_entropy_ignores():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, generator=generator)
    labels = torch.randint(0, 3, (2, 4, 5), generator=generator).to(torch.uint8)
    labels[0, 0] = IGNORE_LABEL
    loss = pixel_cross_entropy(logits, labels)
    assert not loss[0, 0].any()
    picked = -logits.log_softmax(dim=1).gather(1, labels.long().clamp(max=2)[:, None])[:, 0]
    torch.testing.assert_close(loss[labels != IGNORE_LABEL], picked[labels != IGNORE_LABEL])


def test_pixel_cross_entropy_of_ignored_pixels_has_no_gradient():
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    pixel_cross_entropy(logits, torch.full((1, 2, 2), IGNORE_LABEL, dtype=torch.uint8)).sum().backward()
    assert not logits.grad.any()


@pytest.mark.parametrize("magnitude", [0.5, 200.0])
def test_binary_cross_entropy_by_formula(magnitude):
    """SYS-142, ERR-139: of a wrong answer it grows with the margin, no faster."""
    logits = torch.tensor([magnitude, -magnitude], dtype=torch.float32)
    loss = binary_cross_entropy(logits, torch.tensor([0.0, 0.0]))
    wanted = [magnitude + math.log1p(math.exp(-magnitude)), math.log1p(math.exp(-magnitude))]
    assert loss.tolist() == pytest.approx(wanted, abs=1e-6)


def test_half_precision_logits_are_summed_in_float32():
    logits = torch.randn(4, 3, dtype=torch.bfloat16)
    assert soft_cross_entropy(logits, torch.full((4, 3), 1 / 3)).dtype == torch.float32
    assert binary_cross_entropy(logits, torch.ones(4, 3)).dtype == torch.float32
