"""How thresholds and temperatures are chosen from predictions, without a network."""

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, precision_recall_curve

from snellen.errors import ConfigError
from snellen.metrics import LabelSetMetric, decided_labels
from snellen.recipes.operating_choices import CHOICES, Goal, goal_from
from snellen.structures import BoxTarget, ClassScores, ClassTarget, LabelSetScores, LabelSetTarget, ValueTarget

CLASSES = ("a", "b", "c")
COUNTS = np.array([80, 15, 5])


def class_answers(seed=0, count=300, sharpness=1.2):
    """Probabilities that lean to the common class."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, count, p=COUNTS / COUNTS.sum())
    logits = rng.normal(0, 1, (count, 3)) + sharpness * np.eye(3)[truth] + np.log(COUNTS / COUNTS.sum())
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    choices = CHOICES[ClassTarget]
    return choices, choices.gather(
        [ClassScores(probs=torch.from_numpy(row)) for row in probs],
        [ClassTarget(probs=torch.eye(3)[label]) for label in truth],
    ), truth  # fmt: skip


def label_sets(seed=0, count=200):
    rng = np.random.default_rng(seed)
    shown = rng.random((count, 3)) < [0.5, 0.1, 0.03]
    known = rng.random((count, 3)) < 0.9
    probs = 1 / (1 + np.exp(-(rng.normal(-2, 1, (count, 3)) + 2 * shown)))
    predictions = [LabelSetScores(probs=torch.from_numpy(row).float()) for row in probs]
    truths = [
        LabelSetTarget(shown=torch.from_numpy(row).float(), known=torch.from_numpy(sure))
        for row, sure in zip(shown, known, strict=True)
    ]
    return predictions, truths, probs.astype(np.float32), shown, known


def test_every_class_of_several_gets_a_threshold_that_raises_their_macro_f1():
    choices, answers, truth = class_answers()
    decision, points = choices.decide(answers, Goal(kind="f1"), CLASSES, COUNTS)
    assert set(points) == set(CLASSES)
    assert decision.found is None
    with_it = f1_score(truth, decided_labels(answers.probs, decision), average="macro")
    assert with_it > f1_score(truth, answers.probs.argmax(1), average="macro")


def test_thresholds_that_raise_nothing_are_not_kept():
    choices, answers, truth = class_answers()
    perfect = answers._replace(probs=0.1 / 2 + (0.9 - 0.05) * np.eye(3)[truth])
    assert choices.decide(perfect, Goal(kind="f1"), CLASSES, COUNTS) == (None, {})


def test_one_of_several_classes_is_looked_for():
    choices, answers, truth = class_answers()
    decision, points = choices.decide(answers, Goal(kind="recall", value=0.9, class_name="c"), CLASSES, COUNTS)
    named = decided_labels(answers.probs, decision)
    assert (named[truth == 2] == 2).mean() == pytest.approx(points["c"].recall)
    assert points["c"].recall >= 0.9
    others = named != 2
    assert np.array_equal(named[others], answers.probs[others, :2].argmax(1))
    with pytest.raises(ConfigError, match="a wanted recall is that of one class; the run has 3"):
        choices.decide(answers, Goal(kind="recall", value=0.9), CLASSES, COUNTS)


def test_of_two_classes_the_rarer_one_in_training_is_looked_for():
    choices = CHOICES[ClassTarget]
    probs = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8]])
    truths = [ClassTarget(probs=torch.eye(2)[label]) for label in (0, 1, 0, 1)]
    answers = choices.gather([ClassScores(probs=row) for row in probs], truths)
    for counts, found in (([9, 1], 1), ([1, 9], 0), ([5, 5], 1)):
        decision, _ = choices.decide(answers, Goal(kind="f1"), ("a", "b"), np.array(counts))
        assert decision.found == found


def test_label_sets_get_a_threshold_for_each_class():
    """SYS-357: each class by itself, over the images of which it is known whether they show it."""
    predictions, truths, probs, shown, known = label_sets()
    choices = CHOICES[LabelSetTarget]
    answers = choices.gather(predictions, truths)
    decision, points = choices.decide(answers, Goal(kind="f1"), CLASSES, COUNTS)
    for label, name in enumerate(CLASSES):
        sure = known[:, label]
        precision, recall, _ = precision_recall_curve(shown[sure, label], probs[sure, label])
        best = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
        assert points[name].f1 == pytest.approx(best)
        named = probs[sure, label] >= decision.thresholds[label]
        assert f1_score(shown[sure, label], named) == pytest.approx(best)
    measured = []
    for thresholds in (None, decision.thresholds):
        metric = LabelSetMetric(CLASSES, thresholds=thresholds)
        metric.update(predictions, truths, range(len(truths)))
        measured.append(metric.result().scalars["macro_F1"])
    assert measured[1] > measured[0] + 0.05
    assert measured[1] == pytest.approx(np.mean([points[name].f1 for name in CLASSES]))


def test_classes_without_a_threshold_keep_one_half():
    predictions, truths, *_ = label_sets()
    choices = CHOICES[LabelSetTarget]
    hidden = [LabelSetTarget(shown=one.shown * torch.tensor([1.0, 1, 0]), known=one.known) for one in truths]
    decision, points = choices.decide(choices.gather(predictions, hidden), Goal(kind="f1"), CLASSES, COUNTS)
    assert set(points) == {"a", "b"}
    assert decision.thresholds[2] == 0.5
    decision, points = choices.decide(
        choices.gather(predictions, truths), Goal(kind="precision", value=0.6, class_name="a"), CLASSES, COUNTS
    )
    assert set(points) == {"a"}
    assert decision.thresholds[1:] == (0.5, 0.5)
    nothing = [LabelSetTarget(shown=0 * one.shown, known=one.known) for one in truths]
    with pytest.raises(ConfigError, match="no class reaches what was wanted"):
        choices.decide(choices.gather(predictions, nothing), Goal(kind="f1"), CLASSES, COUNTS)


@pytest.mark.parametrize("kind", [ClassTarget, LabelSetTarget])
def test_a_temperature_never_lowers_the_likelihood(kind):
    if kind is ClassTarget:
        choices, answers, _ = class_answers(sharpness=3)
        answers = answers._replace(probs=answers.probs**4 / (answers.probs**4).sum(1, keepdims=True))
    else:
        choices = CHOICES[kind]
        answers = choices.gather(*label_sets()[:2])
    temperature = choices.temperature(answers)
    mended = choices.tempered(answers, temperature)
    assert choices.trust(mended)["NLL"] <= choices.trust(answers)["NLL"] + 1e-6
    for other in (0.8 * temperature, 1.25 * temperature):
        assert choices.trust(mended)["NLL"] <= choices.trust(choices.tempered(answers, other))["NLL"] + 1e-6


def test_images_of_which_no_class_is_known_choose_nothing():
    choices = CHOICES[ClassTarget]
    probs = [ClassScores(probs=torch.tensor([0.5, 0.5]))] * 2
    truths = [ClassTarget(probs=torch.zeros(2)), ClassTarget(probs=torch.tensor([0.0, 1]))]
    assert len(choices.gather(probs, truths).probs) == 1
    with pytest.raises(ConfigError, match="whose class is known; there are none"):
        choices.gather(probs[:1], truths[:1])


def test_goals_and_what_has_none():
    assert goal_from(at_recall=None, at_precision=None, best_f1=False, find=None) is None
    assert goal_from(at_recall=0.9, at_precision=None, best_f1=False, find="a") == Goal(
        kind="recall", value=0.9, class_name="a"
    )
    with pytest.raises(ConfigError, match="got recall and precision"):
        goal_from(at_recall=0.9, at_precision=0.9, best_f1=False, find=None)
    with pytest.raises(ConfigError, match="precision must be above 0"):
        Goal(kind="precision", value=0.0)
    assert BoxTarget not in CHOICES
    assert ValueTarget not in CHOICES
