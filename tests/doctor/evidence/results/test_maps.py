"""Wrong pixels sorted by hand."""

import numpy as np
import pytest
from sklearn.metrics import jaccard_score
from tests.doctor.results import painted, run_of

from snellen.doctor.evidence.results.maps import MapErrorKind, map_errors, sorted_pixels
from snellen.structures import IGNORE_LABEL, SegmentationMap

KINDS = {kind: place for place, kind in enumerate(MapErrorKind, 1)}


def test_each_kind_by_hand():
    truth = np.zeros((1, 12), np.uint8)
    truth[0, 4:8] = 1
    named = truth.copy()
    named[0, 3] = 1  # one pixel beside the border, named as what is on its other side
    named[0, 6] = 0  # within the thing, two from its border: missed
    named[0, 11] = 2  # background far away, named a thing
    named[0, 5] = 2  # a thing under a class that is nowhere near
    kinds, band = sorted_pixels(truth, named, background=0, width_px=1)
    expected = {3: "boundary", 5: "class", 6: "missed", 11: "invented"}
    assert {place: kinds[0, place] for place in np.flatnonzero(kinds[0])} == {
        place: KINDS[MapErrorKind(kind)] for place, kind in expected.items()
    }
    assert np.flatnonzero(band[0]).tolist() == [3, 4, 7, 8]


def test_a_border_that_is_named_a_third_class_is_no_shifted_border():
    truth = np.array([[0, 0, 0, 1, 1, 1]], np.uint8)
    named = np.array([[0, 0, 2, 1, 1, 1]], np.uint8)
    assert sorted_pixels(truth, named, background=0, width_px=1)[0][0, 2] == KINDS[MapErrorKind.INVENTED]


def test_ignored_pixels_are_no_errors():
    truth = np.full((4, 4), IGNORE_LABEL, np.uint8)
    kinds, band = sorted_pixels(truth, np.ones((4, 4), np.uint8), background=0, width_px=1)
    assert not kinds.any()
    assert not band.any()


def test_costs_are_those_of_maps_that_were_mended():
    rng = np.random.default_rng(0)
    truth = np.repeat(np.repeat(rng.integers(0, 3, (8, 5, 5)), 12, 1), 12, 2).astype(np.uint8)
    named = np.where(rng.random(truth.shape) < 0.2, rng.integers(0, 3, truth.shape), truth).astype(np.uint8)
    run = run_of(
        SegmentationMap,
        {"test": [painted(b, a) for a, b in zip(truth, named, strict=True)]},
        classes=("background", "cat", "dog"),
    )
    found = map_errors(run)
    sort = [sorted_pixels(a, b, background=0)[0] for a, b in zip(truth, named, strict=True)]
    assert found.precision.cost == pytest.approx(jaccard_score(truth.ravel(), named.ravel(), average="macro"))
    assert found.wrong_share == pytest.approx((truth != named).mean())
    for kind, place in KINDS.items():
        mended = np.where(np.stack(sort) == place, truth, named)
        expected = jaccard_score(truth.ravel(), mended.ravel(), average="macro")
        assert found.precision.cost + found.kinds[kind].cost == pytest.approx(expected)
        assert found.kinds[kind].low <= found.kinds[kind].cost <= found.kinds[kind].high
