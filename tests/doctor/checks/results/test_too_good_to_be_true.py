"""R1 (DX-078): copies of training images among those that are measured, and results without any error."""

import numpy as np
import pytest
from PIL import Image
from tests.doctor.results import checked, only, run_of, sure, told

from snellen.doctor import Level, Status
from snellen.doctor.evidence.images import ScanSettings
from snellen.structures import ClassScores


@pytest.fixture
def leaking(tmp_path):
    """Return a run of 60 measured images of which the first are copies of training images."""

    def make(copies, *, right=1.0, right_of_copies=1.0):
        pairs = [
            sure(
                place % 2,
                place % 2 if place % 10 < 10 * (right_of_copies if place < copies else right) else 1 - place % 2,
            )
            for place in range(60)
        ]
        for place in range(120):
            own = place - 60 if 60 <= place < 60 + copies else place
            noise = np.random.default_rng(own).integers(0, 255, (30, 30, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / f"{place}.png")
        return run_of(ClassScores, {"test": pairs}, num_train=60, root=tmp_path)

    return make


def check(run, tmp_path):
    return checked("R1", run, ScanSettings(workers=1, cache=tmp_path / "cache"), images=True)


def test_copies_that_flatter(leaking, tmp_path):
    result = check(leaking(30, right=0.5), tmp_path)
    finding = only(result)
    assert (finding.level, finding.message) == (Level.WARNING, "flatters")
    assert finding.places[0].twin == "60.png"
    assert finding.treatment.drop_images[0] == "60.png"
    assert told(result).startswith("30 images of test (50 %) are copies of training images: of these 100 % comes out")


def test_copies_that_do_not(leaking, tmp_path):
    finding = only(check(leaking(5, right=1.0), tmp_path))
    assert (finding.level, finding.message) == (Level.WARNING, "copies")


def test_a_run_without_copies(leaking, tmp_path):
    assert check(leaking(0, right=0.9), tmp_path).status == Status.PASSED


def test_a_perfect_figure_is_told():
    run = run_of(ClassScores, {"test": [sure(place % 2, place % 2) for place in range(120)]})
    result = checked("R1", run)
    assert only(result).level == Level.INFO
    assert told(result) == "accuracy is 100.0 on 120 images: hardly any error at all."


def test_a_perfect_figure_on_few_images_is_not():
    run = run_of(ClassScores, {"test": [sure(place % 2, place % 2) for place in range(40)]})
    assert checked("R1", run).status == Status.NOT_CHECKABLE
