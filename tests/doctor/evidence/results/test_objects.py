"""What is known of each wanted object."""

import numpy as np
import pytest
from tests.doctor.results import boxes, run_of

from snellen.doctor.evidence.results.objects import cost_of_errors, detected_objects, wanted_objects
from snellen.metrics import ErrorKind
from snellen.structures import Detections

LEFT, RIGHT, FAR = (10, 10, 50, 50), (20, 10, 60, 50), (70, 70, 90, 90)


def test_neighbours_and_shadows_by_hand():
    run = run_of(
        Detections, {"test": [boxes([], []), boxes([(LEFT, 0.9, 0)], [(LEFT, 0), (RIGHT, 0), (FAR, 0), (RIGHT, 1)])]}
    )
    wanted = wanted_objects(detected_objects(run))
    assert wanted.images.tolist() == [1, 1, 1, 1]
    assert wanted.found.tolist() == [True, False, False, False]
    assert wanted.score == pytest.approx([0.9, 0, 0, 0])
    assert wanted.neighbour == pytest.approx([0.6, 0.6, 0, 0])  # 30 * 40 / (2 * 1600 - 1200)
    assert wanted.shadow == pytest.approx([0, 0.6, 0, 0])  # its own detection casts none


def test_no_image_at_all():
    wanted = wanted_objects(detected_objects(run_of(Detections, {"test": []})))
    assert len(wanted.found) == 0
    assert wanted.boxes.shape == (0, 4)


def test_costs_have_intervals_over_images():
    rng = np.random.default_rng(0)
    pairs = [boxes([(LEFT, 0.9, 0)] if rng.random() < 0.7 else [], [(LEFT, 0)]) for _ in range(80)]
    costs = cost_of_errors(detected_objects(run_of(Detections, {"test": pairs})))
    missed = costs.kinds[ErrorKind.MISSED]
    assert missed.low < missed.cost < missed.high
    assert missed.cost == pytest.approx(1 - costs.precision.cost)
