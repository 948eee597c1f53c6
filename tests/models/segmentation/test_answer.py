"""What segmenters minimise (SYS-150, Q-014, DX-005, DX-016)."""

from typing import get_args

import pytest
import segmentation_models_pytorch as smp
import torch
from torch.nn import functional

from snellen.errors import ConfigError
from snellen.losses import border_weights
from snellen.models import builder_options, builder_words, change_settings, find_model, settings_of
from snellen.models.segmentation import PixelAnswer, pixel_class_weights
from snellen.models.segmentation.objective import PixelLoss
from snellen.structures import IGNORE_LABEL, MaskTarget

LOSSES = get_args(PixelLoss)


def example(num_classes: int = 3) -> tuple[torch.Tensor, MaskTarget]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, num_classes, (2, 6, 8), generator=generator).to(torch.uint8)
    labels[0, :2] = IGNORE_LABEL
    return torch.randn(2, num_classes, 6, 8, generator=generator, requires_grad=True), MaskTarget(labels=labels)


def test_cross_entropy_is_torchs_over_the_pixels_that_count():
    logits, target = example()
    losses = PixelAnswer(3).losses(logits, target)
    assert list(losses) == ["cross_entropy"]
    wanted = functional.cross_entropy(logits, target.labels.long(), ignore_index=IGNORE_LABEL)
    torch.testing.assert_close(losses["cross_entropy"], wanted)


def test_label_smoothing_is_torchs():
    logits, target = example()
    found = PixelAnswer(3, label_smoothing=0.2).loss(logits, target)
    wanted = functional.cross_entropy(logits, target.labels.long(), ignore_index=IGNORE_LABEL, label_smoothing=0.2)
    torch.testing.assert_close(found, wanted)


THEIRS = {
    "focal": smp.losses.FocalLoss("multiclass", ignore_index=IGNORE_LABEL, gamma=2.0),
    "dice": smp.losses.DiceLoss("multiclass", ignore_index=IGNORE_LABEL),
    "lovasz": smp.losses.LovaszLoss("multiclass", ignore_index=IGNORE_LABEL),
    "tversky": smp.losses.TverskyLoss("multiclass", ignore_index=IGNORE_LABEL, alpha=0.3, beta=0.7),
}


@pytest.mark.parametrize("name", ["dice", "lovasz", "tversky"])
def test_overlap_is_segmentation_models_pytorchs(name):
    logits, target = example()
    torch.testing.assert_close(
        PixelAnswer(3, loss=name).loss(logits, target), THEIRS[name](logits, target.labels.long())
    )


def test_focal_by_its_formula():
    logits, target = example()
    probs = logits.softmax(1).gather(1, (target.labels.long() % IGNORE_LABEL)[:, None])[:, 0]
    valid = target.labels != IGNORE_LABEL
    wanted = (-((1 - probs) ** 2) * probs.log())[valid].mean()
    torch.testing.assert_close(PixelAnswer(3, loss="focal").loss(logits, target), wanted)


def test_ohem_is_the_mean_over_hard_pixels():
    logits, target = example()
    losses = functional.cross_entropy(logits, target.labels.long(), ignore_index=IGNORE_LABEL, reduction="none")
    is_hard = (losses.neg().exp() <= 0.4) & (target.labels != IGNORE_LABEL)
    found = PixelAnswer(3, loss="ohem", hard_below=0.4, hard_share=0.0).loss(logits, target)
    torch.testing.assert_close(found, losses[is_hard].mean())


def test_hinge_is_for_two_classes():
    logits, target = example(2)
    found = PixelAnswer(2, loss="lovasz_hinge").loss(logits, target)
    theirs = smp.losses.LovaszLoss("binary", ignore_index=IGNORE_LABEL)
    torch.testing.assert_close(found, theirs(logits[:, 1] - logits[:, 0], target.labels.long()))
    with pytest.raises(ConfigError, match="two classes; got 3"):
        PixelAnswer(3, loss="lovasz_hinge")


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_finite_pulls_and_is_zero_without_pixels(name):
    logits, target = example(2)
    answer = PixelAnswer(2, loss=name, dice_weight=0.5, ignored_band=1, class_weights=[1.0, 2.0])
    loss = answer.loss(logits, target)
    assert torch.isfinite(loss)
    loss.backward()
    assert torch.isfinite(logits.grad).all()
    nothing = MaskTarget(labels=torch.full_like(target.labels, IGNORE_LABEL))
    assert answer.loss(logits, nothing).item() == 0


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_rewards_the_truth(name):
    _, target = example(2)
    truth = functional.one_hot(target.labels.long() % IGNORE_LABEL, 2).movedim(-1, 1) * 20.0
    answer = PixelAnswer(2, loss=name)
    right, wrong = answer.loss(truth, target), answer.loss(-truth, target)
    assert right < 0.01 < wrong


def test_dice_beside_another_loss():
    logits, target = example()
    losses = PixelAnswer(3, dice_weight=0.5).losses(logits, target)
    torch.testing.assert_close(losses["dice"], 0.5 * THEIRS["dice"](logits, target.labels.long()))
    assert list(PixelAnswer(3, loss="dice", dice_weight=1.0).losses(logits, target)) == ["dice", "dice_beside"]


def test_class_weights_multiply_and_the_number_of_pixels_divides():
    logits, target = example()
    weights = torch.tensor([1.0, 2.0, 0.5])
    each = functional.cross_entropy(
        logits, target.labels.long(), weight=weights, ignore_index=IGNORE_LABEL, reduction="sum"
    )
    found = PixelAnswer(3, class_weights=weights.tolist()).loss(logits, target)
    torch.testing.assert_close(found, each / (target.labels != IGNORE_LABEL).sum())


def test_class_weights_of_overlap_weigh_classes():
    logits, target = example()
    valid = target.labels != IGNORE_LABEL
    from snellen.losses import dice_loss

    each = dice_loss(logits, target.labels, valid)
    found = PixelAnswer(3, loss="dice", class_weights=[1.0, 2.0, 0.0]).loss(logits, target)
    torch.testing.assert_close(found, (each * torch.tensor([1.0, 2.0, 0.0])).mean())


def test_border_weights_add_to_one():
    labels = torch.zeros(1, 12, 16, dtype=torch.uint8)
    labels[0, 2:8, 2:7], labels[0, 2:8, 9:14] = 1, 1
    logits = torch.randn(1, 2, 12, 16, generator=torch.Generator().manual_seed(0))
    each = functional.cross_entropy(logits, labels.long(), reduction="none")
    wanted = (each * (1 + border_weights(labels, weight=10.0, sigma=2.0))).mean()
    found = PixelAnswer(2, border_weight=10.0, border_sigma=2.0).loss(logits, MaskTarget(labels=labels))
    torch.testing.assert_close(found, wanted)


def test_an_ignored_band_takes_borders_out():
    """What the network says within the band does not matter (DX-016)."""
    labels = torch.zeros(1, 6, 12, dtype=torch.uint8)
    labels[..., 6:] = 1
    logits = torch.randn(1, 2, 6, 12, requires_grad=True)
    PixelAnswer(2, ignored_band=2).loss(logits, MaskTarget(labels=labels)).backward()
    assert not logits.grad[..., 4:8].any()
    assert logits.grad[..., :4].all()


PIXELS, SHOWN = torch.tensor([8000, 1500, 500]), torch.tensor([10000, 10000, 2000])


def test_weights_by_a_word_have_a_mean_of_one_over_the_pixels():
    for word in ("median_frequency", "inverse", "inverse_sqrt", "effective_number"):
        weights = pixel_class_weights(word, PIXELS, SHOWN, num_classes=3, beta=0.9999)
        assert (weights * PIXELS).sum().item() == pytest.approx(PIXELS.sum().item(), rel=1e-5)
        assert weights[0] < weights[1] < weights[2] or word == "median_frequency"
    ratio = pixel_class_weights("median_frequency", PIXELS, SHOWN, num_classes=3, beta=0.0)
    assert (ratio / ratio[1]).tolist() == pytest.approx([0.15 / 0.8, 1, 0.15 / 0.25])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_weights": "median_frequence"}, "Did you mean 'median_frequency'"),
        ({"class_weights": "inverse"}, "got no class_pixels"),
        ({"class_weights": "inverse", "class_pixels": [1, 2], "image_pixels": [1, 2, 3]}, "class_pixels must be 3"),
        ({"class_weights": [1.0]}, "must be 3 finite numbers"),
        ({"loss": "iou"}, "loss must be one of 'cross_entropy'"),
        ({"hard_below": 1.5}, "hard_below must be a number from 0 to 1"),
        ({"ignored_band": -1}, "ignored_band must be a whole number of 0 or more"),
        ({"loss": "dice", "border_weight": 10.0}, "border_weight weighs pixels"),
        ({"gamma": -1.0}, "gamma must be a number of 0 or more"),
    ],
)
def test_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        PixelAnswer(3, **options)


def test_every_segmenter_takes_the_losses():
    entry = find_model("fcn_8s_mobilenet_v2")
    assert {"loss", "class_weights", "dice_weight", "ignored_band", "backbone"} <= {*builder_options(entry)}
    assert builder_words(entry)["loss"] == LOSSES
    model = entry.build(3, loss="focal", gamma=1.0)
    assert model.answer.objective.loss == "focal"
    assert settings_of(model)["answer.objective.gamma"] == 1.0
    change_settings(model, {"answer.objective.ignored_band": 2})
    assert model.answer.objective.ignored_band == 2
    with pytest.raises(ConfigError, match="shapes the network"):
        change_settings(model, {"answer.objective.loss": "dice"})
