"""Average precision against figures that others published with their inputs."""

import numpy as np
import pytest
import torch

from snellen.metrics import COCO_NAMES, ImageObjects, voc_average_precision


def figures(metric, prefix=""):
    scalars = metric.result().scalars
    return [scalars[prefix + name] for name in COCO_NAMES]


def test_boxes_of_the_coco_api(shared_data, measure_coco, read_json):
    folder = shared_data / "reference" / "cocoapi"
    truth = read_json(folder / "instances_val2014_100.json")
    found = read_json(folder / "instances_val2014_fakebbox100_results.json")
    published = [0.505, 0.697, 0.573, 0.586, 0.519, 0.501, 0.387, 0.594, 0.595, 0.640, 0.566, 0.564]
    assert figures(measure_coco(truth, found)) == pytest.approx(published, abs=5.01e-4)


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of pycocotools under numpy 2
def test_masks_of_the_coco_api(shared_data, measure_coco, read_json):
    folder = shared_data / "reference" / "cocoapi"
    truth = read_json(folder / "instances_val2014_100.json")
    found = read_json(folder / "instances_val2014_fakesegm100_results.json")
    published = [0.320, 0.562, 0.299, 0.387, 0.310, 0.327, 0.268, 0.415, 0.417, 0.469, 0.377, 0.381]
    metric = measure_coco(truth, found, with_masks=True)
    assert figures(metric, "mask_") == pytest.approx(published, abs=5.01e-4)


def test_padilla_coco(shared_data, measure_coco, read_json):
    folder = shared_data / "reference" / "padilla_coco"
    truth = read_json(folder / "gts" / "sampled_gts_bbox_area.json")
    found = read_json(folder / "dets" / "sampled_bbox_results.json")["annotations"]
    published = [0.503647, 0.696973, 0.571667, 0.593252, 0.557991, 0.489363]
    published += [0.386813, 0.593680, 0.595353, 0.654764, 0.603130, 0.553744]
    assert figures(measure_coco(truth, found)) == pytest.approx(published, abs=1e-6)


def rows(path):
    return [line.split() for line in path.read_text().splitlines() if line.strip()]


def continuous(numbers):
    # The file's boxes are x, y, width, height with both end pixels counted: the far edge lies one pixel on.
    x, y, width, height = map(float, numbers)
    return [x, y, x + width + 1, y + height + 1]


@pytest.mark.parametrize(
    ("iou", "eleven_points", "every_point"),
    [
        (0.1, 0.3333333333, 0.3371980676),
        (0.3, 0.2683982683, 0.2456866804),
        (0.5, 0.0303030303, 0.0222222222),
        (0.75, 0.0, 0.0),
    ],
)
def test_padilla_case1(shared_data, make_truth, make_found, iou, eleven_points, every_point):
    folder = shared_data / "reference" / "padilla_case1"
    images = []
    for path in sorted((folder / "gts").glob("*.txt")):
        wanted, seen = rows(path), rows(folder / "dets" / path.name)
        truth = make_truth([continuous(row[1:]) for row in wanted], [0] * len(wanted))
        scores = torch.tensor([float(row[1]) for row in seen])
        images.append(
            ImageObjects.of(make_found([continuous(row[2:]) for row in seen], scores, [0] * len(seen)), truth)
        )
    points, areas = voc_average_precision(images, num_classes=1, iou_at_least=iou)
    np.testing.assert_allclose([points[0], areas[0]], [eleven_points, every_point], atol=1e-10)
