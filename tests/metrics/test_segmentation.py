import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, jaccard_score, recall_score
from torchmetrics.functional.classification import multiclass_jaccard_index

from snellen.data import ImageDataset, load
from snellen.errors import InputError, ShapeError
from snellen.metrics import SegmentationMetric, region_recalls
from snellen.structures import IGNORE_LABEL, MaskTarget, SegmentationMap


def entry(labels, confidence=None):
    labels = torch.as_tensor(np.asarray(labels, np.uint8))
    return SegmentationMap(labels=labels, confidence=torch.ones(labels.shape) if confidence is None else confidence)


def target(labels):
    return MaskTarget(labels=torch.as_tensor(np.asarray(labels, np.uint8)))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_figures_equal_scikit_learn_and_torchmetrics(seed, num_classes):
    """SYS-165, ERR-127."""
    generator = np.random.default_rng(seed)
    truths, guesses = [], []
    metric = SegmentationMetric([str(label) for label in range(num_classes)])
    for index in range(3):
        height, width = generator.integers(3, 12, 2)
        truth = generator.integers(0, num_classes, (height, width))
        truth[0, :2] = [0, 1]
        truth[generator.random((height, width)) < 0.2] = IGNORE_LABEL
        guess = np.where(
            generator.random((height, width)) < 0.6, truth, generator.integers(0, num_classes, truth.shape)
        )
        guess[guess == IGNORE_LABEL] = 0
        metric.update([entry(guess)], [target(truth)], [index])
        truths.append(truth.ravel())
        guesses.append(guess.ravel())
    truth, guess = np.concatenate(truths), np.concatenate(guesses)
    guess, truth = guess[truth != IGNORE_LABEL], truth[truth != IGNORE_LABEL]
    present = np.unique(truth)
    results = metric.result()
    table = {row[0]: row for row in results.tables[0].rows}
    iou = jaccard_score(truth, guess, labels=present, average=None, zero_division=0)
    np.testing.assert_allclose([table[str(label)][2] for label in present], iou)
    assert results.scalars["mIoU"] == pytest.approx(iou.mean())
    by_torchmetrics = multiclass_jaccard_index(
        torch.from_numpy(guess), torch.from_numpy(truth), num_classes, average="none"
    )
    np.testing.assert_allclose([table[str(label)][2] for label in present], by_torchmetrics[present], rtol=1e-6)
    dice = f1_score(truth, guess, labels=present, average=None, zero_division=0)
    assert results.scalars["mean_Dice"] == pytest.approx(dice.mean())
    assert results.scalars["pixel_accuracy"] == pytest.approx(accuracy_score(truth, guess))
    by_frequency = jaccard_score(truth, guess, labels=present, average="weighted", zero_division=0)
    assert results.scalars["frequency_weighted_IoU"] == pytest.approx(by_frequency)
    recall = recall_score(truth, guess, labels=present, average=None, zero_division=0)
    assert results.scalars["mean_class_accuracy"] == pytest.approx(recall.mean())
    shares = confusion_matrix(truth, guess, labels=range(num_classes), normalize="true")
    np.testing.assert_allclose(results.matrices[0].values, shares)


def test_a_class_that_the_truth_lacks_stays_out_of_the_mean():
    metric = SegmentationMetric(["a", "b", "c"])
    metric.update([entry([[0, 0, 2, 1]])], [target([[0, 0, 0, 1]])], [0])
    results = metric.result()
    assert results.scalars["mIoU"] == pytest.approx((2 / 3 + 1) / 2)
    assert results.tables[0].rows[2][2] is None
    assert "left out of every mean" in results.tables[0].note
    assert results.per_image[0].quality == pytest.approx(5 / 6)


def test_nothing_or_only_ignored_pixels_give_nan():
    metric = SegmentationMetric(["a", "b"])
    assert all(math.isnan(value) for value in metric.result().scalars.values())
    metric.update([entry([[0, 1]])], [target([[IGNORE_LABEL, IGNORE_LABEL]])], [0])
    assert all(math.isnan(value) for value in metric.result().scalars.values())


def test_uncertainty_looks_at_pixels_that_count():
    metric = SegmentationMetric(["a", "b"])
    sure = torch.tensor([[0.5, 0.75, 0.0]])
    metric.update([entry([[0, 0, 0]], sure)], [target([[0, 0, IGNORE_LABEL]])], [0])
    assert metric.result().per_image[0].uncertainty == pytest.approx(0.375)


def test_regions_are_things_and_need_half_their_pixels():
    truth = np.zeros((20, 20), np.uint8)
    truth[2:8, 2:4] = 1  # 6 high, found
    truth[10:14, 2:6] = 2  # 4 high, half found
    truth[12:17, 10:12] = 1  # 5 high, lost
    truth[0, 19] = 1  # a speck
    truth[18:20, 0:3] = IGNORE_LABEL
    guess = np.zeros_like(truth)
    guess[2:8, 2:4] = 1
    guess[10:12, 2:6] = 2
    guess[12:17, 10:12] = 2
    heights, recognised = region_recalls(truth, guess, background=0)
    assert sorted(zip(heights.tolist(), recognised.tolist(), strict=True)) == [
        (4, True),
        (5, False),
        (6, True),
    ]
    assert len(region_recalls(truth, guess)[0]) == 4


def test_acuity_leaves_the_background_out():
    metrics = [SegmentationMetric(names) for names in (["Background", "a"], ["ground", "a"])]
    for index in range(12):
        truth = np.zeros((40, 40), np.uint8)
        truth[5:21, 5:9] = 1
        for metric in metrics:
            metric.update([entry(truth)], [target(truth)], [index])
    assert [metric.result().scalars["acuity_px"] for metric in metrics] == [16, 16]
    assert [sum(row[1] for row in metric.result().tables[1].rows) for metric in metrics] == [12, 24]


def test_merging_changes_nothing():
    generator = np.random.default_rng(0)
    whole, first, second = (SegmentationMetric(["a", "b"]) for _ in range(3))
    for index in range(6):
        truth, guess = generator.integers(0, 2, (2, 6, 6))
        for metric in (whole, first if index % 2 else second):
            metric.update([entry(guess)], [target(truth)], [index])
    first.merge(second)
    assert first.result() == whole.result()


def test_wrong_maps_are_named():
    metric = SegmentationMetric(["a", "b"])
    with pytest.raises(ShapeError, match=r"\(1, 2\) against \(1, 3\) for row 4"):
        metric.update([entry([[0, 1]])], [target([[0, 1, 1]])], [4])
    with pytest.raises(InputError, match="got 2 in the truth of row 4"):
        metric.update([entry([[0, 1]])], [target([[0, 2]])], [4])
    with pytest.raises(InputError, match="got 9 in the prediction of row 4"):
        metric.update([entry([[0, 9]])], [target([[0, 1]])], [4])


def test_void_ignored_or_counted():
    """Three pixels of class 1 that are predicted where nobody knows: 2 of 3 right, or 2 of 6."""
    metric = SegmentationMetric(["a", "b"])
    void = IGNORE_LABEL
    metric.update([entry([[0, 1, 1, 1, 1, 1, 1]])], [target([[0, 0, 1, 1, void, void, void]])], [0])
    scalars = metric.result().scalars
    assert scalars["mIoU"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert scalars["mIoU_void_as_errors"] == pytest.approx((1 / 2 + 2 / 6) / 2)


def test_borders_are_summed_over_images():
    """Boundary IoU adds bands up before it divides; contours are a mean over the images that have them."""
    truth = np.zeros((40, 40), np.uint8)
    truth[:, 20:] = 1
    moved = np.roll(truth, 3, axis=1)
    moved[:, :3] = 0
    parts = [SegmentationMetric(["a", "b"]) for _ in range(2)]
    parts[0].update([entry(truth)], [target(truth)], [0])
    parts[1].update([entry(moved)], [target(truth)], [1])
    whole = SegmentationMetric(["a", "b"])
    whole.update([entry(truth), entry(moved)], [target(truth)] * 2, [0, 1])
    alone = [part.result().scalars for part in parts]
    parts[0].merge(parts[1])
    merged = parts[0].result().scalars
    assert merged == pytest.approx(whole.result().scalars)
    assert alone[0]["boundary_mIoU"] == alone[0]["mean_boundary_F"] == 1
    assert alone[1]["mean_boundary_F"] == 0  # three pixels are farther than the least tolerance of one
    assert merged["mean_boundary_F"] == pytest.approx(0.5)
    assert alone[1]["boundary_mIoU"] < merged["boundary_mIoU"] < 1
    table = whole.result().tables[0]
    assert table.columns[-2:] == ("Boundary IoU", "Boundary F")


def test_camvid_as_it_is_published(shared_data):
    """11 classes; void (index 11) counts for nothing, as for SegNet, or as errors, and both stand in the results.

    Each frame is predicted to be what the frame before it was, and the moved pixels are its errors.
    """
    index = load(shared_data / "camvid", ignore_index=11).split("val")
    assert len(index.classes) == 11
    dataset = ImageDataset(index)
    truths = [dataset.truth(row).labels for row in range(24)]
    metric = SegmentationMetric(index.classes)
    confusion, in_void = np.zeros((11, 11)), np.zeros(11)
    for row, (before, now) in enumerate(itertools.pairwise(truths)):
        guess = torch.where(before == IGNORE_LABEL, 3, before)  # road, for a network has no void
        metric.update([entry(guess)], [MaskTarget(labels=now)], [row])
        known = (now != IGNORE_LABEL).numpy()
        confusion += confusion_matrix(now.numpy()[known], guess.numpy()[known], labels=range(11))
        in_void += np.bincount(guess.numpy()[~known], minlength=11)
    scalars = metric.result().scalars
    right, wanted, found = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    shown = wanted > 0
    assert scalars["mIoU"] == pytest.approx((right / (wanted + found - right))[shown].mean())
    assert scalars["mIoU_void_as_errors"] == pytest.approx((right / (wanted + found + in_void - right))[shown].mean())
    assert scalars["mean_class_accuracy"] == pytest.approx((right / np.maximum(wanted, 1))[shown].mean())
    assert 0.005 < scalars["mIoU"] - scalars["mIoU_void_as_errors"] < 0.05
