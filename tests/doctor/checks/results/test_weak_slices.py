"""R18 (DX-024, DX-035): images and places on which a model is clearly worse."""

import numpy as np
from PIL import Image
from tests.doctor.results import boxes, checked, only, run_of, sure, told

from snellen.doctor import Level, Status
from snellen.doctor.evidence.images import ScanSettings
from snellen.structures import ClassScores, Detections

NUMBER = 120


def run(tmp_path, shown, right_of, *, seed=0, record=None):
    """Write an image for each seed and answer rightly as a function of it."""
    rng = np.random.default_rng(seed)
    pairs = []
    for place in range(NUMBER):
        level = int(rng.integers(0, 200))
        noise = rng.integers(0, 40, (40, 40, 3))
        Image.fromarray((shown(level) + noise).clip(0, 255).astype(np.uint8)).save(tmp_path / f"{place}.png")
        pairs.append(sure(place % 2, place % 2 if right_of(level, rng) else 1 - place % 2))
    return run_of(ClassScores, {"test": pairs}, root=tmp_path, record=record or {})


def test_dark_images_on_which_it_is_worse(tmp_path):
    made = run(
        tmp_path, lambda level: level, lambda level, rng: level > 66 or rng.random() < 0.3, record={"augment": 0.5}
    )
    result = checked("R18", made, ScanSettings(workers=1, cache=tmp_path / "cache"), images=True)
    finding = only(result)
    assert (finding.level, finding.message) == (Level.WARNING, "dark")
    assert finding.treatment.settings == {"enhance": ("exposure",)}
    assert told(result).startswith("On dark images (median brightness up to ")
    assert finding.places[0].name.endswith(".png")


def test_errors_by_chance_are_hardly_ever_told_of(tmp_path):
    """No attribute matters: 12 runs with five attributes."""
    found = 0
    for seed in range(12):
        made = run(tmp_path, lambda level: level, lambda _level, rng: rng.random() < 0.8, seed=seed)
        settings = ScanSettings(workers=1, cache=tmp_path / f"cache{seed}")
        found += bool(checked("R18", made, settings, images=True).findings)
    assert found <= 1


def test_objects_at_the_edge():
    rng = np.random.default_rng(0)
    pairs = []
    for _ in range(60):
        wanted = [(x, y, x + 8, y + 8) for x, y in rng.uniform(0, 90, (3, 2))]
        found = [box for box in wanted if max(abs(box[0] - 46), abs(box[1] - 46)) < 32 or rng.random() < 0.2]
        pairs.append(boxes([(box, 0.9, 0) for box in found], [(box, 0) for box in wanted]))
    finding = only(checked("R18", run_of(Detections, {"test": pairs})))
    assert (finding.level, finding.message) == (Level.WARNING, "edge")


def test_images_that_are_all_alike_cannot_be_cut():
    pairs = [sure(place % 2, 0) for place in range(60)]
    assert checked("R18", run_of(ClassScores, {"test": pairs})).status == Status.NOT_CHECKABLE
