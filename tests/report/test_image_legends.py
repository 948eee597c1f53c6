"""What is said of a whole image, below it: label sets and values, truths and predictions; dots in charts."""

import re

import numpy as np
import pytest
import torch

from snellen.report import draw
from snellen.report.image_legends import label_score_rows, label_set_rows, value_estimate_rows, value_rows
from snellen.report.svg import line_chart
from snellen.structures import Curve, LabelSetScores, LabelSetTarget, Series, ValueEstimates, ValueTarget

CLASSES = ("cat", "dog", "cow")


def texts(entries):
    return [entry.text for entry in entries]


def sets(shown, known=(True, True, True)):
    return LabelSetTarget(shown=torch.tensor(shown), known=torch.tensor(known))


def test_rows_of_label_sets():
    assert texts(label_set_rows(sets([1.0, 0.0, 1.0]), CLASSES)) == ["cat", "cow"]
    assert texts(label_set_rows(sets([0.0, 0.0, 0.0]), CLASSES)) == ["none of the classes"]
    unknown = label_set_rows(sets([0.0, 0.3, 0.0], (False, True, False)), CLASSES)
    assert texts(unknown) == ["dog", "2 not known"]
    assert unknown[0].share == pytest.approx(0.3)


def test_rows_of_probabilities_do_not_sum_to_one():
    entries = label_score_rows(LabelSetScores(probs=torch.tensor([0.9, 0.05, 0.8])), CLASSES)
    assert texts(entries) == ["cat", "cow"]
    assert sum(entry.share for entry in entries) == pytest.approx(1.7)
    assert texts(label_score_rows(LabelSetScores(probs=torch.zeros(3)), CLASSES)) == ["none of the classes"]


def test_rows_of_values():
    target = ValueTarget(values=torch.tensor([31.5, 0.0]), known=torch.tensor([True, False]))
    assert texts(value_rows(target, ("age [years]", "size"))) == ["age [years]: 31.5", "size: –"]
    estimate = ValueEstimates(values=torch.tensor([1234.5, -0.001]))
    assert texts(value_estimate_rows(estimate, ("a", "b"))) == ["a: 1,234", "b: -0.001"]


def test_many_rows_are_counted():
    names = tuple(f"class {label}" for label in range(40))
    entries = label_set_rows(LabelSetTarget(shown=torch.ones(40), known=torch.ones(40, dtype=torch.bool)), names)
    assert texts(entries)[-1] == "28 more"


@pytest.mark.parametrize(
    "what",
    [
        sets([1.0, 0.0, 1.0]),
        LabelSetScores(probs=torch.tensor([0.9, 0.2, 0.8])),
        ValueTarget(values=torch.ones(3), known=torch.ones(3, dtype=torch.bool)),
        ValueEstimates(values=torch.ones(3)),
    ],
    ids=lambda what: type(what).__name__,
)
def test_nothing_is_covered(what):
    image = torch.full((3, 200, 400), 90, dtype=torch.uint8)
    drawn = draw(image, what, CLASSES)
    assert drawn.width == 400
    assert drawn.height > 200
    assert (np.asarray(drawn)[:200] == 90).all()


def test_dots_are_not_joined():
    dots = Series(name="images", x=(0.0, 1.0, float("nan"), 3.0), y=(5.0, 4.0, 1.0, 2.0), is_dots=True)
    line = Series(name="perfect", x=(0.0, 3.0), y=(0.0, 3.0))
    svg = str(line_chart(Curve(title="t", x_label="x", y_label="y", series=(dots, line))))
    group = re.search(r'<g class="series s0".*?</g>', svg)[0]
    assert group.count("<circle") == 3
    assert "<path" not in group
    assert "<circle" not in re.search(r'<g class="series s1".*?</g>', svg)[0]
