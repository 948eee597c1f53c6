"""What a model says of one image, in a line."""

import pytest
import torch

from snellen.metrics import Decision
from snellen.report import prediction_words
from snellen.structures import ClassScores, Detections, LabelSetScores, SegmentationMap, ValueEstimates

CLASSES = ("ant", "bee", "wasp")
BOXES = Detections(
    boxes=torch.tensor([[0.0, 0.0, 4.0, 4.0]]).repeat(4, 1),
    scores=torch.tensor([0.9, 0.8, 0.5, 0.1]),
    labels=torch.tensor([1, 1, 0, 2]),
)
MAP = SegmentationMap(
    labels=torch.tensor([[0, 0, 0], [2, 2, 2], [2, 2, 2], [2, 2, 1]], dtype=torch.uint8), confidence=torch.ones(4, 3)
)
SET = LabelSetScores(probs=torch.tensor([0.45, 0.2, 0.7]))


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (BOXES, "2 bee, 1 ant"),
        (MAP, "wasp 67 %, ant 25 %, bee 8 %"),
        (ClassScores(probs=torch.tensor([0.25, 0.7, 0.05])), "bee 0.70"),
        (SET, "wasp 0.70"),
        (LabelSetScores(probs=torch.tensor([0.1, 0.2, 0.3])), "nothing"),
        (ValueEstimates(values=torch.tensor([1.5])), "ant 1.500"),
    ],
)
def test_every_kind(what, words):
    assert prediction_words(what, CLASSES) == words


def test_a_decision_names_what_it_names_elsewhere():
    decision = Decision(thresholds=(0.4, 0.1, 0.9))
    assert prediction_words(SET, CLASSES, decision=decision) == "ant 0.45, bee 0.20"


def test_lines_stay_short_and_names_cannot_break_them():
    many = ValueEstimates(values=torch.arange(9.0))
    words = prediction_words(many, ("a\nb", *"cdefghij"))
    assert words.endswith("3 more")
    assert "\n" not in words
    assert prediction_words(BOXES, ("ant",), min_score=0.85) == "1 #1"
