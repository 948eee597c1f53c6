"""What classifiers say when they learn label sets and values: one sigmoid each, never a softmax; standard units."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from snellen.errors import ConfigError
from snellen.models import MODELS, builder_options, builder_words, find_model, load_weights
from snellen.models.backbones import resnet18
from snellen.models.classification import (
    ClassMapHead,
    ImageClassifier,
    LabelSetAnswer,
    ValueAnswer,
)
from snellen.structures import (
    ClassTarget,
    LabelSetScores,
    LabelSetTarget,
    MaskTarget,
    ValueEstimates,
    ValueTarget,
)

LOGITS = torch.tensor([[1.0, 2.0, 3.0, 4.0], [-2.0, 0.5, -1.0, 0.0]])


def sets(shown, known=None):
    shown = torch.tensor(shown, dtype=torch.float32)
    return LabelSetTarget(
        shown=shown,
        known=torch.ones(shown.shape, dtype=torch.bool) if known is None else torch.tensor(known, dtype=torch.bool),
    )


def values(numbers, known=None):
    numbers = torch.tensor(numbers)
    return ValueTarget(
        values=numbers,
        known=torch.ones(numbers.shape, dtype=torch.bool) if known is None else torch.tensor(known, dtype=torch.bool),
    )


def test_probabilities_do_not_compete():
    """SYS-357, Q-169, ERR-171, ERR-173: of 1, 2, 3, 4 a softmax makes .032 … .644; here each stands for itself."""
    probs = LabelSetAnswer(4).decode(LOGITS)[0].probs
    torch.testing.assert_close(probs, torch.tensor([0.7311, 0.8808, 0.9526, 0.9820]), atol=1e-4, rtol=0)
    assert probs.sum() > 3  # several classes can be sure together
    assert LabelSetAnswer(4).decode(torch.full((1, 4), -9.0))[0].probs.max() < 1e-3  # and none of them


def test_cross_entropy_of_each_answer():
    """SYS-141."""
    wanted = sets([[1, 0, 1, 0], [0, 0, 1, 1]])
    found = LabelSetAnswer(4).loss(LOGITS, wanted)
    torch.testing.assert_close(found, functional.binary_cross_entropy_with_logits(LOGITS, wanted.shown))
    weights = torch.tensor([1.0, 2.0, 5.0, 0.5])
    found = LabelSetAnswer(4, positive_weights=weights.tolist()).loss(LOGITS, wanted)
    torch.testing.assert_close(
        found, functional.binary_cross_entropy_with_logits(LOGITS, wanted.shown, pos_weight=weights)
    )
    smooth = LabelSetAnswer(4, label_smoothing=0.2).loss(LOGITS, wanted)
    torch.testing.assert_close(smooth, functional.binary_cross_entropy_with_logits(LOGITS, 0.8 * wanted.shown + 0.1))


def test_focal_loss_fades_where_it_is_right():
    from torchvision.ops import sigmoid_focal_loss

    wanted = sets([[1, 0, 1, 0], [0, 0, 1, 1]])
    answer = LabelSetAnswer(4, loss="focal", gamma=1.5)
    assert answer.loss_name == "focal"
    reference = sigmoid_focal_loss(LOGITS, wanted.shown, alpha=-1, gamma=1.5, reduction="mean")
    torch.testing.assert_close(answer.loss(LOGITS, wanted), reference)


@pytest.mark.parametrize("answer", [LabelSetAnswer(4), LabelSetAnswer(4, loss="focal", positive_weights=3.0)])
def test_unknown_labels_pull_nowhere(answer):
    known = [[1, 0, 1, 1], [0, 0, 1, 0]]
    logits = LOGITS.clone().requires_grad_()
    loss = answer.loss(logits, sets([[1, 1, 0, 0], [1, 0, 0, 1]], known))
    loss.backward()
    assert (logits.grad != 0).tolist() == [[bool(cell) for cell in row] for row in known]
    other = answer.loss(LOGITS, sets([[1, 0, 0, 0], [0, 1, 0, 0]], known))
    torch.testing.assert_close(loss, other)
    assert answer.loss(LOGITS, sets([[0.0] * 4] * 2, [[0] * 4] * 2)) == 0


@pytest.mark.parametrize(
    ("loss", "reference"),
    [
        ("squared_error", functional.mse_loss),
        ("absolute_error", functional.l1_loss),
        ("smooth_l1", functional.smooth_l1_loss),
    ],
)
def test_losses_of_values_are_in_standard_units(loss, reference):
    """SYS-144, SYS-145, SYS-146, SYS-227: what is regressed has zero mean and unit variance, too."""
    answer = ValueAnswer(2, loss=loss, value_mean=[10.0, -3.0], value_spread=[5.0, 0.1])
    logits = torch.tensor([[0.5, 2.0], [-1.0, 0.0]])
    target = values([[12.0, -2.9], [20.0, -3.0]])
    wanted = torch.tensor([[0.4, 1.0], [2.0, 0.0]])
    torch.testing.assert_close(answer.loss(logits, target), reference(logits, wanted))
    decoded = torch.stack([row.values for row in answer.decode(logits)])
    torch.testing.assert_close(decoded, torch.tensor([[12.5, -2.8], [5.0, -3.0]]))
    assert answer.loss(logits, values([[12.0, 7.0], [20.0, 9.0]], [[1, 0], [1, 0]])) == pytest.approx(
        float(reference(logits[:, 0], wanted[:, 0]))
    )


def test_beta_is_where_the_parabola_ends():
    logits, target = torch.tensor([[3.0]]), values([[0.0]])
    assert ValueAnswer(1, beta=0.5).loss(logits, target) == pytest.approx(2.75)
    assert ValueAnswer(1, beta=0.0).loss(logits, target) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: LabelSetAnswer(2, loss="softmax"), "one of 'cross_entropy', 'focal'"),
        (lambda: LabelSetAnswer(2, positive_weights=[1.0]), "positive_weights must be 2"),
        (lambda: LabelSetAnswer(2, positive_weights=-1.0), "above 0"),
        (lambda: LabelSetAnswer(2, positive_weights="heavy"), "positive_weights must be 2"),
        (lambda: LabelSetAnswer(2, gamma=-1.0), "gamma"),
        (lambda: ValueAnswer(2, loss="mse"), "one of 'smooth_l1'"),
        (lambda: ValueAnswer(2, value_spread=[1.0, 0.0]), "value_spread must be 2 finite numbers above 0"),
        (lambda: ValueAnswer(2, value_mean=[1.0, float("nan")]), "value_mean must be 2 finite"),
        (lambda: ValueAnswer(2, beta=-0.1), "beta"),
    ],
)
def test_settings_out_of_range(build, words):
    with pytest.raises(ConfigError, match=words):
        build()


def test_state_holds_the_units(tmp_path, make_images):
    """The mean and the spread of training lie in the state dict, so that weights alone give the right numbers."""
    entry = find_model("resnet18", ValueTarget)
    options = {"value_mean": [40.0], "value_spread": [12.0]}
    model = entry.build(1, **options).eval()
    torch.save(model.state_dict(), tmp_path / "model.pth")
    other = entry.build(1).eval()
    assert set(other.state_dict()) - set(find_model("resnet18").build(1).state_dict()) == {
        "answer.value_mean", "answer.value_spread"
    }  # fmt: skip
    load_weights(other, tmp_path / "model.pth")
    images = make_images((40, 40))
    with torch.no_grad():
        found = [one.decode(one(images), images.original_sizes)[0].values for one in (model, other)]
    torch.testing.assert_close(found[0], found[1])
    assert 0 < found[0] < 80


def test_weights_of_a_classifier_start_the_other_tasks(tmp_path):
    """Same backbone and weights, another head: the state dict of torchvision fits but for the last layer."""
    from torchvision.models import resnet18 as published

    torch.manual_seed(0)
    state = published(num_classes=7).state_dict()
    torch.save(state, tmp_path / "resnet18.pth")
    for kind in (ClassTarget, LabelSetTarget, ValueTarget):
        model = find_model("resnet18", kind).build(3)
        report = load_weights(model, tmp_path / "resnet18.pth")
        assert len([name for name in report.loaded if name.startswith("backbone.")]) == 120
        torch.testing.assert_close(model.backbone.state_dict()["layer1.0.conv1.weight"], state["layer1.0.conv1.weight"])


def test_the_first_bias_is_the_share_of_each_class(make_images):
    model = find_model("resnet18", LabelSetTarget).build(3, shares=[0.5, 0.02, 0.0])
    assert model.head.bias.sigmoid().tolist() == pytest.approx([0.5, 0.02, 0.001], abs=1e-6)


def test_heads_that_hold_numbers_above_zero_are_let_go(make_images):
    """A head that ends in a ReLU could neither say no to a class nor name a value below the mean."""
    torch.manual_seed(0)
    images = make_images((64, 64), (64, 64))
    classifier = ImageClassifier(resnet18(), 8, head=ClassMapHead).eval()
    assert (classifier(images).logits >= 0).all()
    classifier.learn(ValueAnswer(8))
    assert (classifier(images).logits < 0).any()
    assert classifier.target_type is ValueTarget


QUICK = ("lenet5", "lenet5_modern", "nin_cifar", "mobilenet_v2", "resnet18")
CLASSIFIERS = [
    pytest.param(entry, id=entry.name, marks=[] if entry.name in QUICK else [pytest.mark.slow])
    for entry in MODELS
    if entry.target_type is ClassTarget
]


@pytest.mark.parametrize("kind", [LabelSetTarget, ValueTarget])
@pytest.mark.parametrize("entry", CLASSIFIERS)
def test_every_classifier_learns_them(entry, kind, make_images):
    """The whole network, auxiliary heads included, is reached by the loss; one prediction for each image."""
    torch.manual_seed(0)
    model = find_model(entry.name, kind).build(2)
    images = make_images((96, 96), (96, 96))
    target = {
        LabelSetTarget: sets([[1, 0], [0, 1]]),
        ValueTarget: values([[1.0, -1.0], [0.5, 2.0]]),
    }[kind]
    output = model.train()(images, target)
    losses = model.loss(output, target)
    assert len(losses) == 1 + len(model.auxiliary)
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name
    assert model.head.bias is None or model.head.bias.grad.any()
    assert next(model.backbone.parameters()).grad.any()
    predictions = model.decode(model.eval()(images), images.original_sizes)
    assert [type(one) for one in predictions] == [
        {LabelSetTarget: LabelSetScores, ValueTarget: ValueEstimates}[kind]
    ] * 2


def test_rows_of_the_catalogue_say_what_they_learn():
    entry = find_model("resnet18")
    assert entry.target_types == (ClassTarget, LabelSetTarget, ValueTarget)
    sets_entry, values_entry = (find_model("resnet18", kind) for kind in (LabelSetTarget, ValueTarget))
    assert sets_entry.learning(ClassTarget) is entry
    assert "gamma" in builder_options(sets_entry)
    assert "label_smoothing" in builder_options(sets_entry)
    assert "label_smoothing" not in builder_options(values_entry)
    assert builder_words(values_entry)["loss"] == ("smooth_l1", "squared_error", "absolute_error")
    assert builder_options(values_entry).keys() >= {"norm", "mean", "std", "backbone", "beta"}
    assert find_model("unet_resnet18", LabelSetTarget).target_type is MaskTarget  # which the plan refuses


def test_what_is_far_from_zero_is_learned_to_its_digits():
    """Years around 2000 with a spread of 3: without standard units float32 would still do, an optimizer would not."""
    years = np.random.default_rng(0).normal(2000, 3, 64).astype(np.float32)
    answer = ValueAnswer(1, value_mean=[float(years.mean())], value_spread=[float(years.std())])
    zero = torch.zeros(64, 1)
    assert answer.loss(zero, values(years[:, None].tolist())) < 1
    assert answer.decode(zero)[0].values.item() == pytest.approx(years.mean(), abs=1e-3)
