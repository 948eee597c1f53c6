"""How far outputs and predictions are apart."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from tests.doctor.results import answer, boxes, painted

from snellen.doctor.evidence.results.parity import parity_of, prediction_gap


@dataclass
class Output:
    logits: torch.Tensor
    name: str = "x"


def test_records_lists_and_mappings_are_walked():
    def first(x):
        return Output(logits=x), [x.numpy(), {"a": x + 1}]

    def second(x):
        return Output(logits=x + 0.1), [x.numpy(), {"a": x + 1}]

    found = parity_of(first, second, [torch.ones(2, 3)])
    assert found.differences == pytest.approx({"output[0].logits": 0.1, "output[1][0]": 0.0, "output[1][1]['a']": 0.0})
    assert found.agreement == 1


def test_several_inputs_come_as_a_tuple():
    found = parity_of(lambda a, b: a + b, lambda a, b: b + a, [(torch.ones(2), torch.ones(2))])
    assert found.differences == {"output": 0}


def test_values_that_are_not_finite_differ():
    found = parity_of(lambda x: x, lambda x: x * torch.nan, [torch.ones(2)])
    assert np.isinf(found.differences["output"]) or found.differences["output"] > 1e6


def test_gaps_of_predictions_by_hand():
    one, other = answer([0.7, 0.3], 0)[0], answer([0.6, 0.4], 0)[0]
    assert prediction_gap(one, other) == pytest.approx(0.1)
    box = (0, 0, 9, 9)
    first, second = boxes([(box, 0.9, 0), (box, 0.05, 0)], [])[0], boxes([(box, 0.8, 0)], [])[0]
    assert prediction_gap(first, second) == pytest.approx(0.1)
    assert prediction_gap(first, boxes([], [])[0]) == pytest.approx(0.9)
    truth, named = np.zeros((2, 2)), np.array([[0, 1], [0, 0]])
    assert prediction_gap(painted(truth, truth)[0], painted(named, truth)[0]) == 0.25
    assert prediction_gap(one, first) == 1
