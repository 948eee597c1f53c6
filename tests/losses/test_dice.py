import pytest
import segmentation_models_pytorch as smp
import torch

from snellen.losses import dice_loss


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
