"""Lovász losses against the definition of the Lovász extension, and against segmentation_models_pytorch."""

import itertools

import pytest
import segmentation_models_pytorch as smp
import torch

from snellen.losses import lovasz_hinge_loss, lovasz_softmax_loss


def jaccard_of(wrong: set[int], positives: set[int]) -> float:
    """One minus intersection over union if the pixels ``wrong`` are answered wrongly; Berman et al. 2018, eq. 6."""
    missed, alarms = wrong & positives, wrong - positives
    union = len(positives) + len(alarms)
    return 1 - (len(positives) - len(missed)) / union if union else 0.0


def extension(errors: list[float], positives: set[int]) -> float:
    """The Lovász extension by its definition: the largest of all orders, for the function is submodular."""
    best = -float("inf")
    for order in itertools.permutations(range(len(errors))):
        total, before = 0.0, 0.0
        for place, pixel in enumerate(order):
            after = jaccard_of(set(order[: place + 1]), positives)
            total += errors[pixel] * (after - before)
            before = after
        best = max(best, total)
    return best


def example(num_classes: int = 3, size: tuple[int, int] = (2, 3)) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, num_classes, *size, generator=generator)
    return logits, torch.randint(0, num_classes, (1, *size), generator=generator)


def test_softmax_is_the_extension_of_all_orders():
    logits, labels = example()
    found = lovasz_softmax_loss(logits, labels, torch.ones_like(labels, dtype=torch.bool))
    probs = logits.softmax(dim=1)
    for label in range(3):
        is_class = (labels == label).flatten()
        errors = (is_class.float() - probs[:, label].flatten()).abs().tolist()
        positives = set(is_class.nonzero().flatten().tolist())
        wanted = extension(errors, positives) if positives else 0.0
        assert found[label].item() == pytest.approx(wanted, abs=1e-6)


def test_hinge_is_the_extension_of_all_orders():
    logits, labels = example(2)
    margins = logits[:, 1] - logits[:, 0]
    found = lovasz_hinge_loss(margins, labels == 1, torch.ones_like(labels, dtype=torch.bool))
    signs = 2 * labels - 1
    errors = (1 - margins * signs).clamp(min=0).flatten().tolist()
    assert found.item() == pytest.approx(
        extension(errors, set(labels.flatten().nonzero().flatten().tolist())), abs=1e-6
    )


def test_equals_segmentation_models_pytorch():
    logits, labels = example(4, (7, 9))
    valid = torch.rand(1, 7, 9, generator=torch.Generator().manual_seed(3)) < 0.7
    masked = labels.masked_fill(~valid, 255)
    found = lovasz_softmax_loss(logits, masked, valid)
    wanted = smp.losses.LovaszLoss("multiclass", ignore_index=255)(logits, masked)
    torch.testing.assert_close(found[found > 0].mean(), wanted)
    hinge = lovasz_hinge_loss(logits[:, 0], labels == 1, valid)
    theirs = smp.losses.LovaszLoss("binary", ignore_index=255)
    torch.testing.assert_close(hinge, theirs(logits[:, 0], (labels == 1).long().masked_fill(~valid, 255)))


def test_certain_answers_give_one_minus_intersection_over_union():
    labels = torch.tensor([[[1, 1, 1, 0]]])
    said = torch.tensor([[[1, 1, 0, 1]]])
    logits = torch.nn.functional.one_hot(said, 2).movedim(-1, 1) * 1000.0
    found = lovasz_softmax_loss(logits, labels, torch.ones_like(labels, dtype=torch.bool))
    assert found.tolist() == pytest.approx([1.0, 1 - 2 / 4])


def test_pixels_that_do_not_count_change_nothing_and_get_no_gradient():
    logits, labels = example(3, (4, 5))
    valid = torch.ones_like(labels, dtype=torch.bool)
    valid[:, :, 3:] = False
    part = lovasz_softmax_loss(logits[..., :3], labels[..., :3], valid[..., :3])
    logits.requires_grad_()
    whole = lovasz_softmax_loss(logits, labels, valid)
    torch.testing.assert_close(whole, part)
    whole.sum().backward()
    assert not logits.grad[..., 3:].any()
    assert logits.grad[..., :3].any()


def test_nothing_to_learn_from():
    logits, labels = example()
    none = torch.zeros_like(labels, dtype=torch.bool)
    assert lovasz_softmax_loss(logits, labels, none).tolist() == [0, 0, 0]
    assert lovasz_hinge_loss(logits[:, 0], labels == 1, none).item() == 0


def test_gradient():
    logits, labels = example(3, (3, 3))
    valid = torch.ones_like(labels, dtype=torch.bool)
    logits = logits.double().requires_grad_()
    step = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    loss = lovasz_softmax_loss(logits, labels, valid).sum()
    loss.backward()
    with torch.no_grad():
        moved = [lovasz_softmax_loss(logits + sign * 1e-3 * step, labels, valid).sum() for sign in (1, -1)]
    assert ((moved[0] - moved[1]) / 2e-3).item() == pytest.approx((logits.grad * step).sum().item(), rel=1e-2)
