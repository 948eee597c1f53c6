"""Weighted boxes fusion against a plain transcription of the paper's steps (SYS-222)."""

import numpy as np
import pytest
import torch

from snellen.ops import fused_boxes


def iou(one, other):
    left, top = max(one[0], other[0]), max(one[1], other[1])
    right, bottom = min(one[2], other[2]), min(one[3], other[3])
    inside = max(right - left, 0) * max(bottom - top, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return inside / (sum(areas) - inside)


def plain(boxes, scores, labels, models, weights, threshold):
    """Solovyev et al. 2021, section 3, steps 1 to 6, with loops over lists."""
    weights = np.array(weights) / np.mean(weights)
    rated = [score * weights[model] for score, model in zip(scores, models, strict=True)]
    result = []
    for label in sorted(set(labels)):
        rows = sorted((r for r in range(len(boxes)) if labels[r] == label), key=lambda r: -rated[r])
        clusters, fused = [], []
        for row in rows:
            overlaps = [iou(box, boxes[row]) for box in fused]
            if overlaps and max(overlaps) > threshold:
                place = int(np.argmax(overlaps))
                clusters[place].append(row)
            else:
                place = len(clusters)
                clusters.append([row])
                fused.append(None)
            confidences = np.array([rated[r] for r in clusters[place]])
            fused[place] = (np.array([boxes[r] for r in clusters[place]]) * confidences[:, None]).sum(
                0
            ) / confidences.sum()
        for cluster, box in zip(clusters, fused, strict=True):
            score = np.mean([rated[r] for r in cluster]) * min(len(cluster), len(weights)) / len(weights)
            result.append((min(score, 1.0), label, box))
    return sorted(result, key=lambda each: -each[0])


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_paper_step_by_step(seed):
    chance = np.random.default_rng(seed)
    number = 30
    centres, sides = chance.uniform(10, 60, (number, 2)), chance.uniform(10, 30, (number, 2))
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
    scores, labels, models = (
        chance.uniform(0.1, 1, number),
        chance.integers(0, 2, number),
        chance.integers(0, 3, number),
    )
    weights = (1.0, 2.0, 0.5)
    expected = plain(boxes.tolist(), scores.tolist(), labels.tolist(), models.tolist(), weights, 0.4)
    fused, final, names = fused_boxes(
        torch.tensor(boxes), torch.tensor(scores), torch.tensor(labels), torch.tensor(models),
        weights=torch.tensor(weights), iou_above=0.4,
    )  # fmt: skip
    assert final.tolist() == pytest.approx([score for score, _, _ in expected])
    assert names.tolist() == [label for _, label, _ in expected]
    np.testing.assert_allclose(fused.numpy(), np.stack([box for _, _, box in expected]), rtol=1e-9)


def test_models_that_agree_keep_their_score_and_one_alone_loses():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 10], [50.0, 50, 60, 60]])
    _, scores, _ = fused_boxes(
        boxes, torch.tensor([0.8, 0.6, 0.9]), torch.zeros(3, dtype=torch.int64), torch.tensor([0, 1, 0]),
        weights=torch.ones(2), iou_above=0.55,
    )  # fmt: skip
    assert scores.tolist() == pytest.approx([0.7, 0.45])


def test_nothing_in_nothing_out():
    nothing = torch.zeros(0, dtype=torch.int64)
    found = fused_boxes(torch.zeros(0, 4), torch.zeros(0), nothing, nothing, weights=torch.ones(2), iou_above=0.5)
    assert [list(part.shape) for part in found] == [[0, 4], [0], [0]]
