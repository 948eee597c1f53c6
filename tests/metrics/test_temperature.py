"""The temperature of a softmax against a general minimiser, and what it does to probabilities."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch.nn import functional

from snellen.errors import InputError
from snellen.evaluation import Calibrated, tempered
from snellen.metrics import MOST_TEMPERATURE, expected_calibration_error, fitted_temperature, negative_log_likelihood
from snellen.structures import ClassScores, LabelSetScores, ValueEstimates


def sure_of_itself(scale, seed=0, count=400):
    """Labels drawn from the softmax of logits that are then multiplied."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (count, 4))
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = np.array([rng.choice(4, p=row) for row in probs])
    return logits * scale, np.eye(4)[labels]


@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0])
def test_it_is_the_likeliest(scale):
    """SYS-283."""
    logits, wanted = sure_of_itself(scale)

    def loss(log_t):
        return float(functional.cross_entropy(torch.from_numpy(logits / np.exp(log_t)), torch.from_numpy(wanted)))

    expected = np.exp(minimize_scalar(loss, bounds=(-4, 4), method="bounded", options={"xatol": 1e-8}).x)
    got = fitted_temperature(logits, wanted)
    assert got == pytest.approx(expected, rel=1e-4)
    assert got == pytest.approx(scale, rel=0.15)


def test_it_mends_calibration_and_leaves_the_order():
    """ERR-026, Guo et al. 2017: 0.9 means 90 % only of a calibrated model."""
    logits, wanted = sure_of_itself(3.0)
    probs = torch.from_numpy(logits).softmax(-1)
    temperature = fitted_temperature(np.log(probs.numpy()), wanted)
    better = torch.stack([tempered(ClassScores(probs=row.float()), temperature).probs for row in probs])
    truth = wanted.argmax(1)
    before = expected_calibration_error(probs.numpy(), truth)
    after = expected_calibration_error(better.double().numpy(), truth)
    assert after < 0.5 * before
    assert negative_log_likelihood(better.double().numpy(), wanted) < negative_log_likelihood(probs.numpy(), wanted)
    assert torch.equal(better.argmax(-1), probs.argmax(-1))
    torch.testing.assert_close(better, torch.from_numpy(logits / temperature).softmax(-1).float())


def test_label_sets_divide_each_logit():
    logits = torch.tensor([-4.0, 0.5, 3.0])
    got = tempered(LabelSetScores(probs=logits.sigmoid()), 2.0).probs
    torch.testing.assert_close(got, (logits / 2).sigmoid())
    certain = tempered(LabelSetScores(probs=torch.tensor([0.0, 1.0])), 3.0).probs
    assert certain.isfinite().all()


def test_limits():
    assert fitted_temperature(np.zeros((0, 2)), np.zeros((0, 2))) == 1
    right = np.array([[5.0, 0.0], [0.0, 5.0]])
    assert fitted_temperature(right, np.eye(2)) == pytest.approx(1 / MOST_TEMPERATURE)
    assert fitted_temperature(right, np.eye(2)[::-1]) == pytest.approx(MOST_TEMPERATURE)


def test_what_has_no_probabilities_is_refused():
    with pytest.raises(InputError, match="a temperature is for ClassScores and LabelSetScores; got ValueEstimates"):
        tempered(ValueEstimates(values=torch.ones(1)), 2.0)


def test_a_calibrated_model_is_a_model():
    class Fixed(torch.nn.Module):
        stride = 4

        def forward(self, images, targets=None):
            return images

        def loss(self, output, targets):
            return {"cross_entropy": output.sum()}

        def decode(self, output, sizes):
            return [ClassScores(probs=row.softmax(-1)) for row in output]

    logits = torch.tensor([[1.0, 3.0]])
    model = Calibrated(Fixed(), 2.0)
    assert model.stride == 4
    torch.testing.assert_close(model.decode(model(logits), None)[0].probs, (logits[0] / 2).softmax(-1))
    assert model.loss(logits, None)["cross_entropy"] == 4
