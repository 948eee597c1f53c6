"""The loop: what it computes, in which order it tells, when it stops."""

import copy

import pytest
import torch
from torch import nn
from torch.optim import SGD

from snellen.errors import CheckpointError, ConfigError, DatasetError, TrainingError
from snellen.structures import Results
from snellen.training import (
    CheckpointSaved,
    CheckpointStore,
    EpochDone,
    GradientsReady,
    NonFiniteLoss,
    Started,
    StepDone,
    Stopped,
    TrainState,
    Validated,
    evaluating,
    fit,
    mean_loss,
    train,
)


def plain(workshop, **changes):
    """Settings under which the loop is nothing but gradient descent."""
    base = {"warmup_steps": 0, "schedule": "constant", "accumulate": 1, "ema_decay": None, "clip_norm": None}
    return workshop.settings(**(base | changes))


def events_of(workshop, model, source, settings, **options):
    state = TrainState.fresh(model, settings)
    return list(train(model, source, state, settings, **options))


def assert_same(one, other, **tolerance):
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], **tolerance, msg=name)


def test_equals_a_loop_written_by_hand(workshop):
    """SYS-172, SYS-173."""
    model = workshop.make_model(dropout=0.0)
    reference = copy.deepcopy(model).train()
    source = workshop.TinySource()
    settings = plain(workshop, epochs=2, weight_decay=0.0)
    events_of(workshop, model, source, settings)
    optimizer = SGD(reference.parameters(), lr=settings.lr, momentum=settings.momentum)
    for epoch in range(2):
        for batch in source.epoch(epoch):
            optimizer.zero_grad()
            reference.loss(reference(batch.images), batch.targets)["cross_entropy"].backward()
            optimizer.step()
    assert_same(model, reference, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("images", [24, 22])
def test_accumulation_equals_the_large_batch(workshop, images):
    """SYS-173, SYS-191: also where the last batch is smaller, and where the last step has fewer batches."""
    models = []
    for batch_size, accumulate in ((4, 4), (16, 1)):
        model = workshop.make_model(dropout=0.0, norm=False)
        source = workshop.TinySource(images=images, batch_size=batch_size, shuffle=False)
        events = events_of(workshop, model, source, plain(workshop, epochs=2, accumulate=accumulate))
        assert sum(isinstance(event, StepDone) for event in events) == 4
        models.append(model)
    assert_same(*models, rtol=1e-5, atol=1e-6)


def test_order_and_numbers_of_events(workshop, tmp_path):
    source = workshop.TinySource()
    settings = workshop.settings(epochs=2, checkpoint_steps=None, checkpoint_minutes=None)
    held_out = workshop.TinySource(images=5, seed=3)
    events = events_of(
        workshop,
        workshop.make_model(),
        source,
        settings,
        store=CheckpointStore(tmp_path),
        validate=workshop.accuracy(held_out),
        validation=held_out,
    )
    names = [type(event).__name__ for event in events if not isinstance(event, GradientsReady | StepDone)]
    assert names[:5] == ["Started", "EpochDone", "Validated", "CheckpointSaved", "CheckpointSaved"]
    assert names[-1] == "Stopped"
    assert events[0] == Started(step=0, epoch=0, epochs=2, total_steps=6)
    steps = [event for event in events if isinstance(event, StepDone)]
    assert [event.step for event in steps] == [1, 2, 3, 4, 5, 6]
    assert [event.images for event in steps] == [8, 8, 6, 8, 8, 6]
    assert [event.epoch for event in steps] == [0, 0, 0, 1, 1, 1]
    assert all(not event.losses["cross_entropy"].requires_grad for event in steps)
    first = next(event for event in events if isinstance(event, EpochDone))
    expected = sum(float(event.losses["cross_entropy"]) * event.images for event in steps[:3]) / 22
    assert first.losses["cross_entropy"] == pytest.approx(expected, rel=1e-6)
    assert first.images == 22


def test_clipping(workshop):
    """SYS-190."""
    model = workshop.make_model()
    settings = plain(workshop, epochs=1, clip_norm=0.01)
    state = TrainState.fresh(model, settings)
    norms = []
    for event in train(model, workshop.TinySource(), state, settings):
        if isinstance(event, GradientsReady):
            gradients = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
            assert gradients.norm() == pytest.approx(0.01, rel=1e-3)
            norms.append(float(event.norm))
    assert min(norms) > 0.01


def first_gradient(workshop, **limits):
    """Return the gradient of the first step, one vector, and the norm that is told of it."""
    model = workshop.make_model(dropout=0.0)
    settings = plain(workshop, epochs=1, **limits)
    for event in train(model, workshop.TinySource(), TrainState.fresh(model, settings), settings):
        if isinstance(event, GradientsReady):
            return torch.cat([parameter.grad.flatten() for parameter in model.parameters()]), float(event.norm)
    raise AssertionError


def test_clipping_by_norm_keeps_the_direction_and_by_value_turns_it(workshop):
    """ERR-014, SYS-189: a limit on the length scales all numbers; one on each cuts the large ones alone."""
    whole, norm = first_gradient(workshop)
    limit = 0.1 * float(whole.abs().max())
    shortened, told = first_gradient(workshop, clip_norm=0.1 * norm)
    cut, told_of_cut = first_gradient(workshop, clip_value=limit)
    cosine = torch.nn.functional.cosine_similarity
    assert float(cosine(shortened.double(), whole.double(), dim=0)) == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(cut, whole.clamp(-limit, limit))
    assert (whole.abs() > limit).any()
    assert float(cosine(cut, whole, dim=0)) < 0.98
    assert told == told_of_cut == pytest.approx(float(whole.norm()), rel=1e-5)  # as it was before


def test_a_mean_takes_the_growth_with_the_batch_away_and_caps_nothing(workshop):
    """ERR-018: a sum over n equal images has n times the gradient, a mean the same; a large loss goes through both."""
    model = workshop.make_model(dropout=0.0, norm=False)
    batch = next(iter(workshop.TinySource(batch_size=4, shuffle=False).epoch(0)))

    def norm(copies: int, reduction: str, factor: float = 1.0) -> float:
        logits = model(batch.images.map(lambda tensor: tensor[:1].repeat(copies, *[1] * (tensor.ndim - 1))))
        wanted = batch.targets.probs[:1].repeat(copies, 1)
        loss = factor * torch.nn.functional.cross_entropy(logits, wanted, reduction=reduction)
        return float(nn.utils.get_total_norm(torch.autograd.grad(loss, list(model.parameters()))))

    one = norm(1, "sum")
    assert norm(16, "sum") == pytest.approx(16 * one, rel=1e-4)
    assert norm(16, "mean") == pytest.approx(one, rel=1e-4)
    assert norm(16, "mean", 1000) == pytest.approx(1000 * one, rel=1e-4)


def test_both_limits_hold(workshop):
    """SYS-189, SYS-190: numbers are cut first, and what is left is shortened."""
    whole, norm = first_gradient(workshop)
    limit = 0.1 * float(whole.abs().max())
    cut = whole.clamp(-limit, limit)
    both, told = first_gradient(workshop, clip_value=limit, clip_norm=0.5 * float(cut.norm()))
    torch.testing.assert_close(both, 0.5 * cut, rtol=1e-4, atol=1e-8)
    assert told == pytest.approx(norm)


def test_values_that_are_not_finite_are_not_cut_to_something(workshop):
    """A clamp would make a large number of infinity, and the step would go on as if it were sound."""
    model = workshop.make_model()
    original = model.loss
    model.loss = lambda output, targets: {name: loss * 1e38 * 1e38 for name, loss in original(output, targets).items()}
    settings = plain(workshop, epochs=1, clip_value=0.1, max_nonfinite=99)
    before = copy.deepcopy(model.state_dict())
    events = events_of(workshop, model, workshop.TinySource(), settings)
    assert any(isinstance(event, NonFiniteLoss) for event in events)
    weights = {name for name, _ in model.named_parameters()}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items() if name in weights)


def test_average_is_what_is_judged(workshop):
    judged = []

    def validate(model, epoch):
        judged.append((model, model.training))
        return Results(headline="x", scalars={"x": 0.0})

    model = workshop.make_model()
    settings = workshop.settings(epochs=1)
    result = fit(model, workshop.TinySource(), settings, validate=validate)
    assert judged == [(result.model, False)]
    assert result.model is not model
    assert model.training


def test_patience_and_best(workshop, tmp_path):
    scores = iter([0.1, 0.5, float("nan"), 0.5, 0.4, 0.9])

    def validate(model, epoch):
        return Results(headline="x", scalars={"x": next(scores)})

    store = CheckpointStore(tmp_path)
    settings = workshop.settings(epochs=6, patience=3)
    result = fit(workshop.make_model(), workshop.TinySource(), settings, store=store, validate=validate)
    assert result.stopped.reason == "patience"
    assert (result.best_score, result.best_epoch, result.stopped.epoch) == (0.5, 1, 5)
    assert torch.load(store.best, weights_only=True)["epoch"] == 1
    again = fit(workshop.make_model(), workshop.TinySource(), settings, store=store, validate=validate, resume=True)
    assert again.stopped.reason == "patience"
    assert next(scores) == 0.9  # the resumed run measured nothing


def test_validation_loss_decides_without_a_metric(workshop):
    held_out = workshop.TinySource(images=7, seed=2, shuffle=False)
    model = workshop.make_model()
    events = events_of(workshop, model, workshop.TinySource(), plain(workshop, epochs=3), validation=held_out)
    seen = [event for event in events if isinstance(event, Validated)]
    assert [event.score for event in seen] == [-event.losses["cross_entropy"] for event in seen]
    with torch.no_grad(), evaluating(model):
        (whole,) = workshop.TinySource(images=7, seed=2, shuffle=False, batch_size=7).epoch(0)
        expected = model.loss(model(whole.images), whole.targets)["cross_entropy"]
    assert seen[-1].losses["cross_entropy"] == pytest.approx(float(expected), rel=1e-5)


def test_validate_every(workshop):
    held_out = workshop.TinySource(images=4)
    settings = plain(workshop, epochs=5, validate_every=2)
    events = events_of(workshop, workshop.make_model(), workshop.TinySource(), settings, validation=held_out)
    assert [event.epoch for event in events if isinstance(event, Validated)] == [1, 3, 4]


def test_modes_come_back(workshop):
    model = workshop.make_model().train()
    model.norm.eval()
    mean_loss(model, workshop.TinySource(images=4))
    assert model.training
    assert model.dropout.training
    assert not model.norm.training


class Sick(nn.Module):
    """Returns nan in some steps."""

    def __init__(self, healthy, bad_rows):
        super().__init__()
        self.healthy = healthy
        self.bad_rows = bad_rows

    def forward(self, images, targets=None):
        return self.healthy(images), images.pixels.float().sum(dim=(1, 2, 3))

    def loss(self, output, targets):
        logits, sums = output
        bad = torch.isin(sums, self.bad_rows).any()
        good = self.healthy.loss(logits, targets)["cross_entropy"]
        return {"good": good, "bad": good * (float("nan") if bad else 1.0)}


def test_a_bad_step_is_named_and_skipped(workshop):
    source = workshop.TinySource(images=12, shuffle=False)
    bad = source.images[5].float().sum()[None]
    model = Sick(workshop.make_model(), bad)
    settings = plain(workshop, epochs=2, ema_decay=0.9)
    state = TrainState.fresh(model, settings)
    weights = {}
    for event in train(model, source, state, settings):
        if isinstance(event, StepDone):
            weights[event.step] = model.healthy.head.weight.detach().clone()
        if isinstance(event, NonFiniteLoss):
            assert event.names == ("bad",)
            assert event.indices == (4, 5, 6, 7)
            assert event.in_a_row == 1
    assert torch.equal(weights[1], weights[2])
    assert torch.equal(weights[4], weights[5])
    assert not torch.equal(weights[2], weights[3])
    assert all(torch.isfinite(parameter).all() for parameter in state.average.model.parameters())


def test_nothing_but_bad_steps_is_an_error(workshop):
    source = workshop.TinySource(images=12, shuffle=False)
    model = Sick(workshop.make_model(), source.images.float().sum(dim=(1, 2, 3)))
    settings = plain(workshop, epochs=9, max_nonfinite=4)
    with pytest.raises(TrainingError, match=r"bad was not finite in 4 steps in a row.*step 4.*images 0, 1, 2, 3"):
        events_of(workshop, model, source, settings)


def test_a_gradient_that_is_not_finite_is_named(workshop):
    class Root(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, images, targets=None):
            return self.weight

        def loss(self, output, targets):
            return {"root": output.sqrt().sum()}

    events = events_of(workshop, Root(), workshop.TinySource(images=4), plain(workshop, epochs=1))
    (bad,) = [event for event in events if isinstance(event, NonFiniteLoss)]
    assert bad.names == ("gradient",)


def test_precision_and_layout_reach_the_model(workshop):
    seen = []

    class Spy(workshop.TinyModel):
        def forward(self, images, targets=None):
            output = super().forward(images, targets)
            seen.append((output.dtype, images.pixels.is_contiguous(memory_format=torch.channels_last)))
            return output

    model = Spy()
    settings = plain(workshop, epochs=1, precision="bf16", channels_last=True)
    events_of(workshop, model, workshop.TinySource(), settings)
    assert set(seen) == {(torch.bfloat16, True)}
    assert model.conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert model.conv.weight.dtype == torch.float32


class Lying(dict):
    """A source that has less than it says."""

    def __init__(self, source, yields):
        self.source, self.yields, self.skipped = source, yields, {"a.png": "truncated"}

    def __len__(self):
        return len(self.source)

    def epoch(self, epoch, *, first_batch=0):
        yield from list(self.source.epoch(epoch))[first_batch : self.yields]


def test_source_with_fewer_batches_than_it_says(workshop):
    source = Lying(workshop.TinySource(), 4)
    events = events_of(workshop, workshop.make_model(), source, plain(workshop, epochs=2))
    assert sum(isinstance(event, StepDone) for event in events) == 8
    assert [event.skipped for event in events if isinstance(event, EpochDone)] == [{"a.png": "truncated"}] * 2
    with pytest.raises(DatasetError, match="1 files could not be read"):
        events_of(workshop, workshop.make_model(), Lying(workshop.TinySource(), 0), plain(workshop))


def test_model_without_losses(workshop):
    class Silent(workshop.TinyModel):
        def loss(self, output, targets):
            return {}

    with pytest.raises(ConfigError, match=r"Silent\.loss must return"):
        events_of(workshop, Silent(), workshop.TinySource(), plain(workshop))


def test_headline_must_exist(workshop):
    def validate(model, epoch):
        return Results(headline="map", scalars={"ap": 1.0})

    with pytest.raises(ConfigError, match="the headline 'map'"):
        fit(workshop.make_model(), workshop.TinySource(), workshop.settings(epochs=1), validate=validate)


def test_a_run_is_not_overwritten(workshop, tmp_path):
    store = CheckpointStore(tmp_path)
    settings = workshop.settings(epochs=1)
    fit(workshop.make_model(), workshop.TinySource(), settings, store=store)
    with pytest.raises(CheckpointError, match="Resume it, or choose another folder"):
        fit(workshop.make_model(), workshop.TinySource(), settings, store=store)


def test_consumer_may_leave(workshop):
    """Breaking out of the loop gives the signals back."""
    import signal

    before = signal.getsignal(signal.SIGINT)
    settings = workshop.settings()
    model = workshop.make_model()
    events = train(model, workshop.TinySource(), TrainState.fresh(model, settings), settings)
    for event in events:
        if isinstance(event, StepDone):
            assert signal.getsignal(signal.SIGINT) is not before
            break
    events.close()
    assert signal.getsignal(signal.SIGINT) is before


def test_last_event_says_how_it_went(workshop, tmp_path):
    events = events_of(
        workshop,
        workshop.make_model(),
        workshop.TinySource(),
        workshop.settings(epochs=1),
        store=CheckpointStore(tmp_path),
    )
    assert isinstance(events[-1], Stopped)
    assert events[-1].message == "Finished after 3 steps."
    assert isinstance(events[-2], CheckpointSaved)
