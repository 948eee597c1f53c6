"""Numbers, and sets of classes, on the same features."""

import copy

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.svm import SVR

from snellen.errors import CheckpointError, ConfigError
from snellen.models import change_settings, find_model
from snellen.models.shallow.learners.values import (
    VALUE_LEARNERS,
    LeastSquaresSettings,
    RidgeSettings,
    SvrSettings,
    ValueExamples,
)
from snellen.structures import Batch, ImageBatch, LabelSetTarget, Model, ValueTarget


@pytest.fixture
def points():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(90, 5)).astype(np.float32)
    values = features @ [1.0, -2, 0.5, 0, 0] + np.sin(3 * features[:, 0]) + generator.normal(size=90) * 0.1 + 4
    return ValueExamples(features=features, values=values, seed=0), generator.normal(size=(20, 5)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "settings", "solver"),
    [
        ("linear", LeastSquaresSettings(), LinearRegression()),
        ("ridge", RidgeSettings(penalty=3.0), Ridge(alpha=3.0)),
        ("svr", SvrSettings(cost=2.0, gamma=0.3, tolerance=0.05), SVR(C=2.0, gamma=0.3, epsilon=0.05)),
    ],
)
def test_equal_to_scikit_learn(name, settings, solver, points):
    """SYS-267, SYS-274, SYS-182."""
    train, others = points
    row = next(row for row in VALUE_LEARNERS if row.name == name)
    found = row.estimate(row.fit(train, settings), others)
    wanted = solver.fit(train.features.astype(float), train.values).predict(others.astype(float))
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_narrow_kernels_follow_noise():
    """ERR-132: a great gamma is a narrow kernel, and overfits."""
    generator = np.random.default_rng(0)
    x = generator.uniform(-3, 3, size=(80, 1)).astype(np.float32)
    y = np.sin(x[:, 0]) + generator.normal(size=80) * 0.3
    row = next(row for row in VALUE_LEARNERS if row.name == "svr")
    test = np.linspace(-3, 3, 200, dtype=np.float32)[:, None]
    errors = {}
    for gamma in (0.5, 5000.0):
        arrays = row.fit(ValueExamples(features=x, values=y, seed=0), SvrSettings(cost=10.0, gamma=gamma))
        errors[gamma] = (
            np.square(row.estimate(arrays, x) - y).mean(),
            np.square(row.estimate(arrays, test) - np.sin(test[:, 0])).mean(),
        )
    assert errors[5000.0][0] < errors[0.5][0]
    assert errors[5000.0][1] > 3 * errors[0.5][1]


def images_of(level: np.ndarray, side: int = 24) -> ImageBatch:
    """Squares whose brightness is the level, 0..1, under noise."""
    noise = np.random.default_rng(0).integers(0, 40, (len(level), 3, side, side))
    pixels = torch.from_numpy((noise + 200 * level[:, None, None, None]).astype(np.uint8))
    sizes = torch.tensor([[side, side]] * len(level))
    return ImageBatch(pixels=pixels, sizes=sizes, original_sizes=sizes)


def value_batch(num=60, seed=0):
    level = np.random.default_rng(seed).random(num)
    values = np.stack([1000 + 500 * level, np.full(num, 7.0)], axis=1).astype(np.float32)
    known = np.ones((num, 2), bool)
    known[::7, 0] = False
    values[::7, 0] = 0
    return Batch(
        images=images_of(level),
        targets=ValueTarget(values=torch.from_numpy(values), known=torch.from_numpy(known)),
        indices=torch.arange(num),
    )


@pytest.mark.parametrize("name", ["pixels_linear", "pixels_ridge", "colour_svr", "pixels_pca_ridge"])
def test_values(name, fit_data):
    train, test = value_batch(), value_batch(30, seed=1)
    model = find_model(name, ValueTarget).build(2)
    assert isinstance(model, Model)
    facts = model.fit_stage("fit", fit_data(train))
    assert facts["value 2: values"] == "nothing to learn from, and every image is given the mean"
    assert facts["value 1: images"] == 60 - len(range(0, 60, 7))
    output = model(test.images)
    found = torch.stack([each.values for each in model.decode(output, test.images.original_sizes)])
    known = test.targets.known[:, 0]
    error = (found[known, 0] - test.targets.values[known, 0]).abs().mean()
    assert error < 60  # of a spread of about 145
    torch.testing.assert_close(found[:, 1], torch.full((30,), 7.0))
    assert 0 <= model.loss(output, test.targets)["squared_error"] < 0.3
    again = find_model(name, ValueTarget).build(2)
    again.load_state_dict(copy.deepcopy(model.state_dict()))
    assert torch.equal(again(test.images).logits, output.logits)
    state = model.state_dict()
    state["questions.0.outcome.spread"] = torch.zeros(1, dtype=torch.float64)
    with pytest.raises(CheckpointError, match="spread must be above 0"):
        again.load_state_dict(state)


def test_values_before_a_fit_and_of_one_image(fit_data):
    model = find_model("pixels_ridge").build(2)
    assert not model.is_fitted
    batch = value_batch(1)
    assert not model(batch.images).logits.any()
    model.fit_stage("fit", fit_data(batch))
    assert model(batch.images).logits.tolist() == [[0.0, 7.0]]  # the first value is not known


def label_batch(num=60, seed=0):
    level = np.random.default_rng(seed).random(num)
    shown = np.stack([level > 0.5, level > 0.25, np.zeros(num), np.ones(num)], axis=1)
    known = np.ones((num, 4), bool)
    known[::5, 1] = False
    return Batch(
        images=images_of(level),
        targets=LabelSetTarget(shown=torch.from_numpy(shown.astype(np.float32)), known=torch.from_numpy(known)),
        indices=torch.arange(num),
    )


@pytest.mark.parametrize("name", ["pixels_softmax", "colour_forest", "hog_svm", "colour_naive_bayes"])
def test_label_sets(name, fit_data):
    """SYS-275: one learner for each class against the rest; classes do not share a sum of 1."""
    train, test = label_batch(), label_batch(30, seed=1)
    model = find_model(name, LabelSetTarget).build(4)
    assert isinstance(model, Model)
    facts = model.fit_stage("fit", fit_data(train))
    assert facts["classes that all or no training images show, which are always said so"] == 2
    output = model(test.images)
    probs = torch.stack([each.probs for each in model.decode(output, test.images.original_sizes)])
    assert (probs[:, 2] < 1e-5).all()
    assert (probs[:, 3] > 1 - 1e-5).all()
    if name != "hog_svm":  # brightness has no shape
        assert ((probs[:, :2] > 0.5) == (test.targets.shown[:, :2] > 0.5)).float().mean() > 0.85
    assert torch.isfinite(model.loss(output, test.targets)["binary_cross_entropy"])
    again = find_model(name, LabelSetTarget).build(4)
    again.load_state_dict(copy.deepcopy(model.state_dict()))
    assert torch.equal(again(test.images).logits, output.logits)
    assert not find_model(name, LabelSetTarget).build(4).is_fitted


def test_settings_of_values():
    model = find_model("hog_svr").build(1)
    change_settings(model, {"learner.cost": 5.0, "learner.gamma": 0.1, "fitting.pca": 8})
    assert model.learner.cost == 5.0
    with pytest.raises(ConfigError, match="tolerance must be a number of 0 or more"):
        change_settings(model, {"learner.tolerance": -1.0})
