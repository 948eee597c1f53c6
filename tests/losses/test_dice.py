import pytest
import segmentation_models_pytorch as smp
import torch

from snellen.losses import dice_loss, jaccard_loss, tversky_loss


def example() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 6, 5, generator=generator)
    labels = torch.randint(0, 3, (2, 6, 5), generator=generator)  # class 3 is absent
    return logits, labels, torch.rand(2, 6, 5, generator=generator) < 0.8


@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_equals_segmentation_models_pytorch(smooth):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 6, 5, generator=generator)
    labels = torch.randint(0, 3, (2, 6, 5), generator=generator)  # class 3 is absent
    ignored = torch.rand(2, 6, 5, generator=generator) < 0.2
    theirs = smp.losses.DiceLoss("multiclass", smooth=smooth, ignore_index=255)
    wanted = theirs(logits, labels.masked_fill(ignored, 255))
    # Theirs adds ``smooth`` to the halved fraction (Tversky's form), hence twice as much here.
    found = dice_loss(logits, labels.masked_fill(ignored, 255), ~ignored, smooth=2 * smooth)
    assert found[3] == 0
    torch.testing.assert_close(found.mean(), wanted)


def test_perfect_and_empty():
    labels = torch.tensor([[[0, 1]]])
    logits = torch.nn.functional.one_hot(labels, 2).movedim(-1, 1) * 100.0
    valid = torch.ones(1, 1, 2, dtype=torch.bool)
    assert dice_loss(logits, labels, valid).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert dice_loss(1 - logits, labels, valid).tolist() == pytest.approx([1, 1], abs=1e-6)
    assert dice_loss(logits, labels, ~valid).tolist() == [0, 0]


@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_jaccard_equals_segmentation_models_pytorch(smooth):
    logits, labels, _ = example()
    wanted = smp.losses.JaccardLoss("multiclass", smooth=smooth)(logits, labels)
    found = jaccard_loss(logits, labels, torch.ones_like(labels, dtype=torch.bool), smooth=smooth)
    torch.testing.assert_close(found.mean(), wanted)


@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.7), (0.9, 0.1)])
@pytest.mark.parametrize("gamma", [1.0, 0.75, 2.0])
def test_tversky_equals_segmentation_models_pytorch(alpha, beta, gamma):
    """Theirs raises the mean over the classes to the power, the paper the loss of each class."""
    logits, labels, valid = example()
    theirs = smp.losses.TverskyLoss("multiclass", alpha=alpha, beta=beta, gamma=1.0, ignore_index=255)
    wanted = theirs(logits, labels.masked_fill(~valid, 255))
    plain = tversky_loss(logits, labels, valid, alpha=alpha, beta=beta)
    torch.testing.assert_close(plain.mean(), wanted)
    powered = tversky_loss(logits, labels, valid, alpha=alpha, beta=beta, gamma=gamma)
    torch.testing.assert_close(powered, torch.where(plain > 0, plain**gamma, 0.0))


def test_tversky_by_hand():
    """Salehi et al. 2017, eq. 2: two hits, one false alarm and one miss with 0.3 and 0.7 give 2 / 3."""
    labels = torch.tensor([[[1, 1, 1, 0]]])
    logits = torch.tensor([[-9.0, -9, 9, 9], [9, 9, -9, -9]])[None, :, None] * 10
    logits[0, :, 0, 3] = torch.tensor([-90.0, 90.0])
    found = tversky_loss(logits, labels, torch.ones_like(labels, dtype=torch.bool))
    assert found[1].item() == pytest.approx(1 - 2 / 3)


def test_more_weight_of_misses_pulls_harder_on_what_is_missed():
    labels = torch.zeros(1, 8, 8, dtype=torch.long)
    labels[0, :2, :2] = 1
    pulls = []
    for beta in (0.3, 0.7):
        logits = torch.zeros(1, 2, 8, 8, requires_grad=True)
        tversky_loss(logits, labels, torch.ones_like(labels, dtype=torch.bool), alpha=1 - beta, beta=beta)[1].backward()
        pulls.append(-logits.grad[0, 1, 0, 0].item())
    assert pulls[1] > pulls[0] > 0


def test_a_perfect_answer_has_a_finite_gradient_under_a_power_below_one():
    labels = torch.tensor([[[0, 1]]])
    logits = (torch.nn.functional.one_hot(labels, 2).movedim(-1, 1) * 1000.0).requires_grad_()
    tversky_loss(logits, labels, torch.ones(1, 1, 2, dtype=torch.bool), gamma=0.75).sum().backward()
    assert torch.isfinite(logits.grad).all()
