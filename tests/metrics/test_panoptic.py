"""Panoptic quality against torchmetrics and by hand (Kirillov et al. 2019)."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.detection import panoptic_quality

from snellen.errors import InputError, ShapeError
from snellen.metrics import (
    DetectionMetric,
    ImageObjects,
    PanopticCounts,
    Segments,
    panoptic_counts,
    panoptic_figures,
)
from snellen.metrics.panoptic import added, segments_of_objects
from snellen.structures import IGNORE_LABEL, BoxTarget, Detections


def segments(ids, labels, crowds=None):
    return Segments(
        ids=np.asarray(ids, np.int64),
        labels=np.asarray(labels, np.int64),
        crowds=np.zeros(len(labels), bool) if crowds is None else np.asarray(crowds),
    )


def random_segments(seed, size=(20, 24)):
    """Blocks of four pixels, so that many of truth and prediction overlap by more than half."""
    stream = np.random.default_rng(seed)
    truth = np.kron(np.arange(1, 31).reshape(5, 6), np.ones((4, 4), int))
    found = np.where(stream.random(size) < 0.25, np.roll(truth, 1, axis=1), truth)
    labels = stream.integers(0, 3, 30)
    said = np.where(stream.random(30) < 0.8, labels, stream.integers(0, 3, 30))
    return segments(truth, labels), segments(found, said)


@pytest.mark.parametrize("seed", range(8))
def test_against_torchmetrics(seed):
    """Every pixel belongs to an object of one of three classes, for torchmetrics takes others for unknown."""
    truth, found = random_segments(seed)
    stacked = [torch.from_numpy(np.stack([part.labels[part.ids - 1], part.ids], axis=-1)) for part in (found, truth)]
    expected = panoptic_quality(stacked[0][None], stacked[1][None], things={0, 1, 2}, stuffs={3}, return_per_class=True)
    figures = panoptic_figures(panoptic_counts(truth, found, num_classes=3))
    np.testing.assert_allclose(figures.quality, expected[0, :3].numpy(), atol=1e-9)


def test_by_hand():
    """One match at 3/4, one miss, one wrong one: 0.75 / (1 + 1/2 + 1/2)."""
    truth = segments([[1, 1, 1, 1, 0, 0, 2, 2, 2]], [0, 0])
    found = segments([[1, 1, 1, 0, 2, 2, 0, 0, 0]], [0, 0])
    counts = panoptic_counts(truth, found, num_classes=1)
    figures = panoptic_figures(counts)
    assert (counts.matched[0], counts.wrong[0], counts.missed[0]) == (1, 1, 1)
    assert figures.quality[0] == pytest.approx(0.375)
    assert figures.segmentation[0] == pytest.approx(0.75)
    assert figures.recognition[0] == pytest.approx(0.5)


def test_half_is_no_match():
    truth, found = segments([[1, 1, 0, 0]], [0]), segments([[0, 1, 0, 0]], [0])
    assert panoptic_counts(truth, found, num_classes=1).matched[0] == 0


def test_other_class_is_no_match():
    truth, found = segments([[1, 1]], [0]), segments([[1, 1]], [1])
    counts = panoptic_counts(truth, found, num_classes=2)
    assert counts.missed.tolist() == [1, 0]
    assert counts.wrong.tolist() == [0, 1]


def test_unknown_pixels_are_forgiven():
    """A detection that reaches into what nobody knows is judged by the rest, one that lies in it by nothing."""
    truth = segments([[1, 1, 2, 2, 2, 2, 0]], [0, IGNORE_LABEL])
    found = segments([[1, 1, 1, 1, 2, 2, 0]], [0, 0])
    counts = panoptic_counts(truth, found, num_classes=1)
    assert counts.overlaps[0] == 1
    assert (counts.matched[0], counts.wrong[0], counts.missed[0]) == (1, 0, 0)


def test_crowds_are_not_wanted_and_forgive_their_class():
    truth = segments([[1, 1, 1, 1]], [0], [True])
    for label, wrong in ((0, 0), (1, 1)):
        counts = panoptic_counts(truth, segments([[1, 1, 0, 0]], [label]), num_classes=2)
        assert counts.wrong.sum() == wrong
        assert counts.missed.sum() == counts.matched.sum() == 0


def test_a_class_without_anything_has_no_figure():
    figures = panoptic_figures(PanopticCounts(np.zeros(1), *(np.zeros(1, np.int64) for _ in range(3))))
    assert np.isnan(figures.quality[0])


def test_counts_of_images_add_up():
    parts = [panoptic_counts(*random_segments(seed), num_classes=3) for seed in range(3)]
    whole = added(parts, 3)
    np.testing.assert_allclose(whole.overlaps, sum(part.overlaps for part in parts))
    np.testing.assert_array_equal(whole.missed, sum(part.missed for part in parts))
    assert added([], 3).matched.tolist() == [0, 0, 0]


def test_sizes_must_agree():
    with pytest.raises(ShapeError, match="one size"):
        panoptic_counts(segments([[1]], [0]), segments([[1, 1]], [0]), num_classes=1)


def boxes_of(masks):
    found = []
    for mask in masks:
        rows, columns = mask.nonzero(as_tuple=True)
        found.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    return torch.tensor(found, dtype=torch.float32).reshape(-1, 4)


def objects(masks, labels, scores=None):
    masks = torch.as_tensor(np.asarray(masks, np.uint8))
    labels = torch.tensor(labels, dtype=torch.int64)
    if scores is not None:
        return Detections(boxes=boxes_of(masks), scores=torch.tensor(scores), labels=labels, masks=masks)
    nothing = torch.zeros(len(labels), dtype=torch.bool)
    return BoxTarget(boxes=boxes_of(masks), labels=labels, valid=~nothing, ignored=nothing, masks=masks)


def mask_of(*slices, size=(20, 20)):
    mask = np.zeros(size, np.uint8)
    mask[slices] = 1
    return mask


def test_objects_become_segments():
    """The better detection lies in front; one that is mostly covered is dropped, as is one below its threshold."""
    left, right, low = mask_of(slice(0, 10), slice(0, 10)), mask_of(slice(0, 10), slice(8, 18)), mask_of(slice(15, 20))
    found = objects([left, left, right, low], [0, 0, 0, 0], [0.9, 0.8, 0.7, 0.1])
    image = ImageObjects.of(found, objects([left, right], [0, 0]))
    truth, said = segments_of_objects(image, np.array([0.5]))
    assert said.labels.tolist() == [0, 0]
    assert (said.ids == 1).sum() == 100
    assert (said.ids == 2).sum() == 80
    assert sorted(np.unique(truth.ids)) == [0, 1, 2]


def test_masks_are_needed():
    empty = torch.zeros(0)
    found = Detections(boxes=torch.zeros(0, 4), scores=empty, labels=empty.long())
    wanted = BoxTarget(boxes=torch.zeros(0, 4), labels=empty.long(), valid=empty.bool(), ignored=empty.bool())
    with pytest.raises(InputError, match="masks of truths"):
        segments_of_objects(ImageObjects.of(found, wanted), np.array([0.5]))


def test_masks_of_a_detector_go_through_the_measures_of_segmenters():
    """Mask R-CNN's masks: the detection is the truth moved by two of ten columns."""
    truth, moved = mask_of(slice(0, 10), slice(0, 10)), mask_of(slice(0, 10), slice(2, 12))
    metric = DetectionMetric(["cell", "dust"])
    metric.update([objects([moved], [0], [0.9])], [objects([truth], [0])], [0])
    metric.update([objects(np.zeros((0, 20, 20)), [], [])], [objects(np.zeros((0, 20, 20)), [])], [1])
    results = metric.result()
    assert results.scalars["PQ"] == pytest.approx(80 / 120)
    assert results.scalars["mask_mIoU"] == pytest.approx((80 / 120 + 680 / 720) / 2)
    assert results.scalars["mask_pixel_accuracy"] == pytest.approx(760 / 800)
    names = {table.title: table for table in results.tables}
    assert names["Panoptic quality"].rows == (
        ("cell", pytest.approx(80 / 120), pytest.approx(80 / 120), 1.0),
        ("dust", None, None, None),
    )
    assert [row[0] for row in names["Masks as classes"].rows] == ["background", "cell", "dust"]
