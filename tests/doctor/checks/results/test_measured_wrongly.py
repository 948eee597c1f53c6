"""R10: measurements that cannot be believed."""

from dataclasses import replace

import numpy as np
from tests.doctor.results import boxes, checked, only, run_of, split_of, sure

from snellen.data.sharing import Strings
from snellen.doctor import Level, Status
from snellen.structures import ClassScores, Detections, Results


def classified(written=None):
    pairs = [sure(place % 2, int(place % 4 == 1)) for place in range(40)]
    run = run_of(ClassScores, {"test": pairs}, num_train=20)
    if written is not None:
        results = Results(headline="accuracy", scalars={"accuracy": written})
        run = replace(run, splits={"test": split_of(run.index, "test", pairs, results)})
    return run


def test_a_figure_that_is_not_that_of_the_predictions():
    finding = only(checked("R10", classified(written=0.9)))
    assert (finding.level, finding.message) == (Level.ERROR, "figures")
    assert checked("R10", classified(written=0.75)).status == Status.PASSED


def test_training_images_that_are_measured():
    run = classified()
    paths = [*(f"{place}.png" for place in range(40)), *(f"{place}.png" for place in range(5)), *("x", "y") * 8][:60]
    index = replace(run.index, paths=Strings.pack([*paths[:45], *(f"t{place}.png" for place in range(15))]))
    finding = only(checked("R10", replace(run, index=index)))
    assert (finding.level, finding.message, finding.num_places) == (Level.ERROR, "train_images", 5)
    assert finding.places[0].twin == "0.png"


def detected(found, wanted, options=None, number=30):
    return run_of(Detections, {"test": [boxes(found, wanted)] * number}, options=options or {})


BOX = (10.25, 10.5, 30.125, 30)


def test_truths_among_the_detections():
    finding = only(checked("R10", detected([(BOX, 0.9, 0)], [(BOX, 0)])))
    assert (finding.level, finding.message) == (Level.ERROR, "truths")
    near = tuple(np.float32(side) + np.float32(1e-5) for side in BOX)
    assert checked("R10", detected([(near, 0.9, 0)], [(BOX, 0)])).status == Status.PASSED


def test_detections_that_were_cut_off():
    found = [((x, 0, x + 5, 5), 0.9 - x / 200, 0) for x in range(0, 50, 10)]
    options = {"settings.selection.max_detections": 5}
    finding = only(checked("R10", detected(found, [((0, 1, 5, 6), 0)], options)))
    assert (finding.level, finding.message) == (Level.WARNING, "cut")
    assert finding.treatment.settings == {"model_options": {"settings.selection.max_detections": 15}}


def test_many_weak_detections_are_usual():
    found = [((x, 0, x + 5, 5), 0.06 + x / 10_000, 0) for x in range(0, 50, 10)]
    options = {"settings.selection.max_detections": 5}
    assert checked("R10", detected(found, [((0, 1, 5, 6), 0)], options)).status == Status.PASSED


def test_a_high_floor_of_scores():
    finding = only(checked("R10", detected([], [(BOX, 0)], {"settings.score_above": 0.3})))
    assert (finding.level, finding.message) == (Level.INFO, "floor")
    assert finding.treatment.settings == {"model_options": {"settings.score_above": 0.05}}
    assert checked("R10", detected([], [(BOX, 0)], {"settings.score_above": 0.05})).status == Status.PASSED
