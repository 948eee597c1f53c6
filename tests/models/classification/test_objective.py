"""The losses of a classifier as options: what they compute, what they need, and what they refuse."""

import pytest
import torch
from torch.nn import functional

from snellen.errors import ConfigError
from snellen.losses import class_balanced_weights, inverse_frequency_weights, log_priors
from snellen.models import builder_options, builder_words, change_settings, find_model, settings_of
from snellen.models.classification import ClassAnswer
from snellen.models.classification.objective import CLASS_WEIGHTINGS, class_weights_of
from snellen.structures import ClassTarget

COUNTS = [900, 80, 20]


@pytest.fixture
def logits():
    return torch.randn(12, 3, generator=torch.Generator().manual_seed(0)) * 2


@pytest.fixture
def targets():
    labels = torch.tensor([0, 1, 2] * 4)
    return ClassTarget(probs=functional.one_hot(labels, 3).float())


def labels_of(targets):
    return targets.probs.argmax(-1)


def test_the_usual_loss_is_cross_entropy(logits, targets):
    """SYS-140."""
    expected = functional.cross_entropy(logits, labels_of(targets))
    torch.testing.assert_close(ClassAnswer(3).loss(logits, targets), expected)


@pytest.mark.parametrize("word", CLASS_WEIGHTINGS)
def test_weights_by_a_word_are_those_of_the_counts(word, logits, targets):
    """SYS-149: the sum over the images of weight times loss, over the number of images."""
    answer = ClassAnswer(3, class_weights=word, class_counts=COUNTS, beta=0.99)
    counts = torch.tensor(COUNTS)
    expected = {
        "inverse": inverse_frequency_weights(counts),
        "inverse_sqrt": inverse_frequency_weights(counts, power=0.5),
        "effective_number": class_balanced_weights(counts, 0.99),
    }[word]
    assert (answer.class_weights / expected).std() < 1e-5  # the same up to the scale
    assert float((answer.class_weights * counts).sum()) == pytest.approx(1000, rel=1e-5)
    losses = functional.cross_entropy(logits, labels_of(targets), answer.class_weights, reduction="none")
    torch.testing.assert_close(answer.loss(logits, targets), losses.mean())


def test_weights_by_hand_stay_as_they_are(logits, targets):
    answer = ClassAnswer(3, class_weights=[1, 2.5, 0])
    losses = functional.cross_entropy(logits, labels_of(targets), torch.tensor([1, 2.5, 0]), reduction="none")
    torch.testing.assert_close(answer.loss(logits, targets), losses.mean())


def test_logit_adjustment_in_the_loss_and_afterwards(logits, targets):
    """Menon et al. 2021: in the loss the decision stays that of the logits; afterwards the logits stay those of the
    loss."""
    prior = log_priors(torch.tensor(COUNTS))
    inside = ClassAnswer(3, logit_adjustment="loss", tau=0.7, class_counts=COUNTS)
    expected = functional.cross_entropy(logits + 0.7 * prior, labels_of(targets))
    torch.testing.assert_close(inside.loss(logits, targets), expected)
    assert torch.equal(torch.stack([one.probs for one in inside.decode(logits)]), logits.softmax(-1))
    after = ClassAnswer(3, logit_adjustment="post_hoc", class_counts=COUNTS)
    torch.testing.assert_close(after.loss(logits, targets), ClassAnswer(3).loss(logits, targets))
    probs = torch.stack([one.probs for one in after.decode(logits)])
    torch.testing.assert_close(probs, (logits - prior).softmax(-1))


def test_only_what_predictions_need_is_saved():
    """Weights of a loss are no part of a network; a correction of predictions goes wherever the weights go."""
    assert not ClassAnswer(3, class_weights="inverse", class_counts=COUNTS).state_dict()
    assert not ClassAnswer(3, logit_adjustment="loss", class_counts=COUNTS).state_dict()
    assert set(ClassAnswer(3, logit_adjustment="post_hoc", class_counts=COUNTS).state_dict()) == {"log_prior"}


def test_an_empty_class_has_no_weight_and_does_no_harm(logits, targets):
    for word in CLASS_WEIGHTINGS:
        answer = ClassAnswer(3, class_weights=word, class_counts=[90, 10, 0])
        assert answer.class_weights.isfinite().all()
        assert answer.class_weights[2] == 0
        assert torch.isfinite(answer.loss(logits, targets))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_weights": "inverze", "class_counts": COUNTS}, "Did you mean 'inverse'"),
        ({"class_weights": "inverse"}, "got no class_counts"),
        ({"class_weights": [1.0, 2.0]}, "must be 3 finite numbers"),
        ({"class_weights": [1.0, -2.0, 1.0]}, "finite numbers of 0 or more"),
        ({"class_weights": 2.0}, "must be 3 finite numbers"),
        ({"class_weights": {"a": 2.0}}, "must be 3 finite numbers"),
        ({"class_weights": [0, 0, 0]}, "not all of them 0"),
        ({"class_weights": [1, "x", 1]}, "must be 3 finite numbers"),
        ({"class_weights": [1, float("nan"), 1]}, "must be 3 finite numbers"),
        ({"class_weights": "effective_number", "class_counts": COUNTS, "beta": 1.2}, "beta must be a number from 0 to"),
        ({"logit_adjustment": "loss"}, "got no class_counts"),
        ({"logit_adjustment": "after"}, "must be one of 'none', 'loss', 'post_hoc'"),
        ({"loss": "focus"}, "must be one of 'cross_entropy', 'focal'"),
        ({"gamma": -1}, "gamma must be a number of 0 or more"),
        ({"label_smoothing": 1.5}, "label_smoothing must be a number from 0 to 1"),
        ({"tau": 0, "logit_adjustment": "loss", "class_counts": COUNTS}, "tau must be a number above 0"),
        ({"class_counts": [1, 2]}, "class_counts must be 3 whole numbers"),
        ({"class_counts": [1, -2, 3]}, "class_counts must be 3 whole numbers"),
    ],
)
def test_refuses_what_makes_no_sense(options, message):
    with pytest.raises(ConfigError, match=message):
        ClassAnswer(3, **options)


def test_weights_need_no_counts_where_they_are_given():
    assert class_weights_of([1, 2], None, num_classes=2).tolist() == [1, 2]


def test_every_classifier_takes_the_options_of_its_answer():
    """The builder of a network by name takes the keywords of the network and of what it learns."""
    for name in ("resnet18", "lenet5", "googlenet"):
        entry = find_model(name)
        known = builder_options(entry)
        assert known.keys() >= {"loss", "class_weights", "logit_adjustment", "label_smoothing", "norm", "mean"}
        assert builder_words(entry)["loss"] == ("cross_entropy", "focal")
    model = find_model("lenet5").build(3, loss="focal", gamma=1.0, class_weights=[1, 2, 3])
    assert model.answer.objective.gamma == 1.0
    assert model.answer.class_weights.tolist() == [1, 2, 3]


def test_settings_inside_the_model_can_be_changed_by_path(logits, targets):
    model = find_model("lenet5").build(3, loss="focal")
    assert settings_of(model)["answer.objective.gamma"] == 2.0
    change_settings(model, {"answer.objective.gamma": 0.0})
    torch.testing.assert_close(model.answer.loss(logits, targets), ClassAnswer(3).loss(logits, targets))
    with pytest.raises(ConfigError, match="gamma must be a number of 0 or more"):
        change_settings(model, {"answer.objective.gamma": -1.0})
    with pytest.raises(ConfigError, match="--set logit_adjustment"):
        change_settings(model, {"answer.objective.logit_adjustment": "loss"})
