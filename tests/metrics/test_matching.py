import numpy as np

from snellen.metrics import ImageObjects
from snellen.metrics.matching import IGNORED, NOTHING, coco_matches, voc_matches


def seen_of(make_truth, make_found, boxes, scores, labels, truths, true_labels, ignored=None):
    return ImageObjects.of(make_found(boxes, scores, labels), make_truth(truths, true_labels, ignored))


def test_voc_gives_a_detection_one_chance_and_coco_a_second(make_truth, make_found):
    # Both detections overlap the first truth most; the second also overlaps the second truth enough.
    truths = [[0, 0, 10, 10], [3, 0, 13, 10]]
    seen = seen_of(make_truth, make_found, [[0, 0, 10, 10], [1, 0, 11, 10]], [0.9, 0.8], [0, 0], truths, [0, 0])
    overlaps = seen.overlaps()
    assert coco_matches(seen, overlaps, iou_at_least=0.5).tolist() == [0, 1]
    assert voc_matches(seen, overlaps, iou_at_least=0.5).tolist() == [0, NOTHING]


def test_a_difficult_truth_counts_for_nothing(make_truth, make_found):
    truths = [[0, 0, 10, 10]]
    boxes = [[0, 0, 10, 10], [0, 0, 10, 9]]
    seen = seen_of(make_truth, make_found, boxes, [0.9, 0.8], [0, 0], truths, [0], [True])
    assert voc_matches(seen, seen.overlaps(), iou_at_least=0.5).tolist() == [IGNORED, IGNORED]
    assert coco_matches(seen, seen.overlaps(), iou_at_least=0.5).tolist() == [IGNORED, IGNORED]


def test_classes_do_not_mix_and_scores_rank(make_truth, make_found):
    truths = [[0, 0, 10, 10]]
    boxes = [[0, 0, 10, 9], [0, 0, 10, 10], [0, 0, 10, 10]]
    seen = seen_of(make_truth, make_found, boxes, [0.3, 0.2, 0.9], [0, 0, 1], truths, [0])
    assert seen.scores.tolist() == sorted(seen.scores.tolist(), reverse=True)
    for rule in (coco_matches, voc_matches):
        assert rule(seen, seen.overlaps(), iou_at_least=0.5).tolist() == [NOTHING, 0, NOTHING]


def test_empty_sides(make_truth, make_found):
    for boxes, truths in (([], [[0, 0, 1, 1]]), ([[0, 0, 1, 1]], []), ([], [])):
        count = len(boxes)
        seen = seen_of(make_truth, make_found, boxes, [0.5] * count, [0] * count, truths, [0] * len(truths))
        for rule in (coco_matches, voc_matches):
            np.testing.assert_array_equal(rule(seen, seen.overlaps(), iou_at_least=0.5), np.full(count, NOTHING))
