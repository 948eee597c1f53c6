"""What a run enhances in training it enhances wherever it looks."""

import numpy as np
import pytest
import torch
from PIL import Image

import snellen
from snellen.data import ImageDataset, load, read_image
from snellen.doctor import Level
from snellen.errors import ConfigError
from snellen.imaging import Enhancement
from snellen.recipes.checking import quick_check
from snellen.recipes.evaluating import evaluate_run, recorded_index
from snellen.recipes.loaders import evaluation_loader, training_loader
from snellen.recipes.options import options_from
from snellen.recipes.preparing import prepare_training

OPERATIONS = ("gamma:gamma=0.5", "clahe:tiles=4")


@pytest.fixture
def with_operations(trained, tmp_path):
    """A trained run, as if it had been trained with operations."""

    def get(kind: str) -> snellen.Run:
        run = trained(kind)
        record = {**run.record, "enhance": list(OPERATIONS)}
        copy = snellen.Run.create(tmp_path / f"run-{kind}", record)
        if not (copy.folder / "checkpoints").exists():
            (copy.folder / "checkpoints").symlink_to(run.folder / "checkpoints")
        return copy

    return get


def test_operations_are_checked_and_written_down(charts, tiny):
    options = options_from({**tiny, "enhance": "gamma:gamma=0.50, clahe:tiles=4"})
    assert options.enhance == OPERATIONS
    assert prepare_training(charts["classes"], options).record["enhance"] == list(OPERATIONS)
    assert options_from({**tiny, "enhance": ""}).enhance is None
    for wrong, says in (("clahee", "Did you mean 'clahe'"), ("resize:short_side=9", "image_size instead")):
        with pytest.raises(ConfigError, match=says):
            options_from({"enhance": wrong})


def test_training_and_measuring_see_enhanced_images(charts, tiny):
    record = prepare_training(charts["classes"], options_from({**tiny, "enhance": OPERATIONS, "augment": 0.0})).record
    index = load(charts["classes"])
    assert training_loader(index, record, 1).dataset.enhancement.texts() == list(OPERATIONS)
    part = index.split("test")
    plain = ImageDataset(part)[0].image
    seen = evaluation_loader(part, record, 1).dataset.untransformed(0).image
    assert torch.equal(seen, Enhancement.read(OPERATIONS)(plain))
    assert not torch.equal(seen, plain)


@pytest.mark.parametrize("kind", ["boxes", "classes", "masks"])
def test_predict_enhances(with_operations, trained, charts, tmp_path, kind):
    """A run with operations sees in a file what a run without sees in the enhanced file; also cut into tiles."""
    file = next(path for path in sorted(charts[kind].rglob("*")) if path.suffix == ".jpg")
    image = Enhancement.read(OPERATIONS)(read_image(file))
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / "enhanced.png")
    for options in ({}, {"tile": 48}) if kind == "masks" else ({},):
        found = snellen.predict(with_operations(kind), file, folder=tmp_path / "a", drawn=False, **options)
        expected = snellen.predict(
            trained(kind), tmp_path / "enhanced.png", folder=tmp_path / "b", drawn=False, **options
        )
        plain = snellen.predict(trained(kind), file, folder=tmp_path / "c", drawn=False, **options)
        assert _same(found, expected)
        assert not _same(found, plain)


def test_evaluate_enhances(with_operations, trained, tmp_path):
    run, plain = with_operations("masks"), trained("masks")
    index = recorded_index(run)
    assert evaluate_run(run, index=index).scalars != evaluate_run(plain, index=index).scalars


def test_a_run_from_before_enhances_nothing(trained):
    run = trained("classes")
    record = {name: value for name, value in run.record.items() if name != "enhance"}
    assert evaluation_loader(recorded_index(run), record, 1).dataset.enhancement is None


def test_a_treatment_that_is_planned_is_no_warning_any_more(tmp_path, tiny, monkeypatch):
    """Dark images are told before a training; once their treatment is one of its settings, they are worth knowing."""
    monkeypatch.setenv("SNELLEN_CACHE", str(tmp_path / "cache"))
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 40, (6, 8, 3), dtype=np.uint8)
        file = tmp_path / "night" / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).resize((64, 48)).save(file)
    (before,) = snellen.check(tmp_path / "night", select=["D18"]).findings
    operations = before.treatment.settings["enhance"]
    assert before.level is Level.WARNING
    for given, level in ((operations, Level.INFO), (("median",), Level.WARNING)):
        (after,) = snellen.check(tmp_path / "night", select=["D18"], enhance=given).findings
        assert after.level is level
        ready = prepare_training(tmp_path / "night", options_from({**tiny, "model": "resnet18", "enhance": given}))
        found = quick_check(ready, budget_s=20).findings
        assert [finding.level for finding in found if finding.code == "D18"] == [level]


def _same(one, other) -> bool:
    pairs = zip(one.predictions, other.predictions, strict=True)
    return all(np.array_equal(_numbers(a.prediction), _numbers(b.prediction)) for a, b in pairs)


def _numbers(prediction) -> np.ndarray:
    for name in ("scores", "probs", "confidence"):
        if hasattr(prediction, name):
            return getattr(prediction, name).numpy()
    raise AssertionError(prediction)
