"""Label quality against values that cleanlab 2.9 gave for the same labels and predictions (stored)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snellen.metrics import (
    ImageObjects,
    confident_disagreement,
    confident_joint,
    confident_set_answers,
    mask_quality,
    normalized_margin,
    object_quality,
    pooled_quality,
    prior_free,
    self_confidence,
    softmin,
)

STORED = json.loads((Path(__file__).with_name("cleanlab_label_quality.json")).read_text())


def objects(entry: dict[str, Any]) -> ImageObjects:
    true_boxes = np.array(entry["true_boxes"], np.float64).reshape(-1, 4)
    return ImageObjects(
        boxes=np.array(entry["boxes"], np.float64).reshape(-1, 4),
        scores=np.array(entry["scores"], np.float64),
        labels=np.array(entry["labels"], np.int64),
        masks=None,
        true_boxes=true_boxes,
        true_labels=np.array(entry["true_labels"], np.int64),
        true_ignored=np.zeros(len(true_boxes), np.bool_),
        true_areas=np.ones(len(true_boxes)),
        true_masks=None,
    )


def test_boxes_score_as_in_cleanlab() -> None:
    qualities = object_quality([objects(entry) for entry in STORED["images"]])
    for quality, entry in zip(qualities, STORED["images"], strict=True):
        overlooked = [np.nan if value is None else value for value in entry["overlooked"]]
        np.testing.assert_allclose(quality.overlooked, overlooked, rtol=1e-6)
        np.testing.assert_allclose(quality.badly_located, entry["badly_located"], rtol=1e-6)
        np.testing.assert_allclose(quality.swapped, entry["swapped"], rtol=1e-6)
    np.testing.assert_allclose(pooled_quality(qualities), [entry["pooled"] for entry in STORED["images"]], rtol=1e-6)


def test_the_stored_cases_have_every_kind() -> None:
    entries = STORED["images"]
    assert any(value is not None for entry in entries for value in entry["overlooked"])
    assert any(value < 1 for entry in entries for value in entry["badly_located"])
    assert any(value < 1 for entry in entries for value in entry["swapped"])


def test_classes_score_as_in_cleanlab() -> None:
    probs, labels = np.array(STORED["classes"]["probs"]), np.array(STORED["classes"]["labels"])
    np.testing.assert_allclose(self_confidence(probs, labels), STORED["classes"]["own"])
    np.testing.assert_allclose(normalized_margin(probs, labels), STORED["classes"]["margin"])
    joint = confident_joint(probs, labels)
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), 1))  # as cleanlab does
    np.testing.assert_array_equal(joint, STORED["classes"]["joint"])


def test_masks_score_as_in_cleanlab() -> None:
    assert mask_quality(np.array(STORED["mask"]["conf"])) == pytest.approx(STORED["mask"]["softmin"])


def test_softmin_lies_between_least_and_mean() -> None:
    scores = np.array([0.1, 0.5, 0.9])
    assert softmin(scores, 1e-3) == pytest.approx(0.1)
    assert softmin(scores, 1e3) == pytest.approx(0.5, abs=1e-3)


def test_no_label_and_no_detection_are_fine() -> None:
    nothing = {"boxes": [], "scores": [], "labels": [], "true_boxes": [], "true_labels": []}
    assert pooled_quality(object_quality([objects(nothing)])) == pytest.approx([1.0])


def test_disagreement_counts_only_what_both_models_are_sure_of() -> None:
    probs = np.array([[0.9, 0.1], [0.95, 0.05], [0.55, 0.45], [0.1, 0.9]])
    shares = np.array([[1.0, 0.0], [0.8, 0.2], [1.0, 0.0], [1.0, 0.0]])
    assert confident_disagreement(probs, shares, np.array([0, 1, 1, 0])) == (1, 1)


def test_what_models_are_sure_of_in_sets_of_labels() -> None:
    """By hand: half of 40 images show a class; 3 lack the label, 2 bear it wrongly, of 5 nothing is known."""
    looks = np.arange(40) < 20
    probs = np.where(looks, 0.95, 0.05)[:, None]
    shares = np.where(looks, 0.9, 0.1)[:, None]
    shown, known = looks[:, None].copy(), np.ones((40, 1), np.bool_)
    shown[:3], shown[30:32], known[15:20] = False, True, False
    sure, wrong = confident_set_answers(probs, shares, shown & known, known)
    assert np.flatnonzero(wrong).tolist() == [0, 1, 2, 30, 31]
    assert sure.sum() == 15 + 2
    unsure, none = confident_set_answers(np.full((40, 1), 0.4), shares, shown & known, known)
    assert not none[:20].any()
    assert not unsure[:20].any()


def test_probabilities_without_the_prior() -> None:
    """Bayes by hand: of a class on a tenth of the images, 0.1 says nothing; 0 of 10 neighbours says little."""
    usual = np.array([0.1])
    assert prior_free(np.array([[0.1]]), usual)[0, 0] == pytest.approx(0.5)
    assert prior_free(np.array([[0.5]]), usual)[0, 0] == pytest.approx(0.9)
    assert prior_free(np.array([[0.0]]), usual)[0, 0] == 0
    drawn = (0.1 / 11) * 0.9 / ((0.1 / 11) * 0.9 + (1 - 0.1 / 11) * 0.1)
    assert prior_free(np.array([[0.0]]), usual, draws=10)[0, 0] == pytest.approx(drawn)
