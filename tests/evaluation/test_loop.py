from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from snellen.errors import InputError
from snellen.evaluation import METRICS, evaluate, predicted_batches
from snellen.structures import ClassTarget, Model


def test_a_model_is_measured_and_left_as_it_was(model, batches, truth_of, kind, classes):
    assert isinstance(model, Model)
    model.train()
    model.norm.eval()
    statistics = model.norm.running_mean.clone()
    shown = []
    results = evaluate(
        model,
        batches,
        truth_of,
        METRICS[kind](classes),
        device="cpu",
        on_batch=lambda batch, predictions: shown.append((batch.indices.tolist(), len(predictions))),
    )
    assert (model.training, model.norm.training) == (True, False)
    assert model.seen == [(False, False), (False, False)]
    assert torch.equal(model.norm.running_mean, statistics)
    assert torch.is_grad_enabled()
    assert shown == [([10, 11, 12], 3), ([13], 1)]
    assert [score.index for score in results.per_image] == [10, 11, 12, 13]
    assert results.scalars[results.headline] == pytest.approx(1.0)


def renamed(target):
    """The same truth with every class called by the next one's name."""
    if isinstance(target, ClassTarget):
        return ClassTarget(probs=target.probs.roll(1))
    return replace(target, labels=(target.labels + 1) % 3)


def test_the_headline_falls_when_truths_change(model, batches, truth_of, kind, classes):
    results = evaluate(model, batches, lambda row: renamed(truth_of(row)), METRICS[kind](classes), device="cpu")
    assert results.scalars[results.headline] == 0


def test_precision_context_is_entered_for_every_batch(model, batches, truth_of, kind, classes):
    entered = []

    @contextmanager
    def context():
        entered.append(True)
        yield

    evaluate(model, batches, truth_of, METRICS[kind](classes), device="cpu", precision_context=context)
    assert len(entered) == len(batches)


def test_modes_come_back_after_an_error(model, batches, truth_of, kind, classes):
    def fail(output, sizes):
        raise ZeroDivisionError

    model.decode = fail
    with pytest.raises(ZeroDivisionError):
        evaluate(model, batches, truth_of, METRICS[kind](classes), device="cpu")
    assert model.training
    assert torch.is_grad_enabled()


class NoModule:
    """Has the verbs, but no modes to switch."""

    stride, target_type = 1, ClassTarget

    def __call__(self, images, targets=None): ...

    def loss(self, output, targets): ...

    def decode(self, output, sizes): ...

    def parameters(self, recurse=True): ...


def test_wrong_use_is_named(model, batches, truth_of, kind, classes):
    with pytest.raises(InputError, match="at least one batch"):
        evaluate(model, [], truth_of, METRICS[kind](classes), device="cpu")
    with pytest.raises(InputError, match=r"must be an nn\.Module"):
        next(predicted_batches(NoModule(), batches, device="cpu"))
    model.decode = lambda output, sizes: []
    with pytest.raises(InputError, match="got 0 for 3 images from ByColour"):
        evaluate(model, batches, truth_of, METRICS[kind](classes), device="cpu")
