"""Tiles, views and a dense CRF of trained models: measured, recorded, and the same in prediction."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import snellen
from snellen.cli.main import app
from snellen.errors import CheckpointError, ConfigError
from snellen.evaluation import Refined, Views, read_predictions
from snellen.imaging import DenseCrfSettings
from snellen.recipes.crf_choice import CRF, read_crf
from snellen.recipes.evaluating import evaluate_run
from snellen.recipes.inference import PLAIN, Inference, crf_settings, seen_by
from snellen.structures import SegmentationMap

ROUGH = DenseCrfSettings(appearance_px=10.0, appearance_levels=20.0, iterations=3)


def maps(run, name):
    return [
        one.prediction.labels.numpy() for one in read_predictions(run.folder / "evaluation" / name, SegmentationMap)
    ]


def test_measurements_lie_beside_the_plain_one(run_at):
    """What was done stands in the results, and the plain figures stay what they were."""
    run = run_at("masks")
    before = (run.folder / "evaluation" / "test" / "results.json").read_text()
    results = snellen.evaluate(run, scales=(0.5, 1.0), flip=True, crf=ROUGH)
    assert (run.folder / "evaluation" / "test" / "results.json").read_text() == before
    name = "test-scales0.5_1-flip-crf"
    assert run.results[name].scalars == pytest.approx(dict(results.scalars), nan_ok=True)
    told = dict(run.results[name].tables[-1].rows)
    assert run.results[name].tables[-1].title == "Predicted with"
    assert told["scales"] == "0.5, 1"
    assert "appearance_px 10" in told["dense CRF"]
    assert len(maps(run, name)) == 4


def test_plain_results_say_nothing(run_at):
    run = run_at("masks")
    assert "Predicted with" not in [table.title for table in snellen.evaluate(run).tables]


def test_prediction_is_what_was_measured(run_at, charts, tmp_path):
    """``predict`` looks as ``eval`` does, and writes down how."""
    run = run_at("masks")
    snellen.evaluate(run, flip=True, crf=ROUGH)
    index = snellen.load(charts["masks"]).split("test")
    files = [index.path(row) for row in range(len(index))]
    found = snellen.predict(run, files, folder=tmp_path / "out", flip=True, crf=ROUGH, drawn=False)
    for one, wanted in zip(found.predictions, maps(run, "test-flip-crf"), strict=True):
        assert (one.prediction.labels.numpy() == wanted).mean() > 0.999  # batches round differently
    told = json.loads((tmp_path / "out" / "predicted_with.json").read_text())
    assert told["flip"] is True
    assert told["crf"]["appearance_px"] == 10
    plain = snellen.predict(run, files, folder=tmp_path / "plain", drawn=False)
    pairs = zip(plain.predictions, found.predictions, strict=True)
    assert any((one.prediction.labels != other.prediction.labels).any() for one, other in pairs)


def test_tiles_are_measured(run_at):
    run = run_at("masks")
    results = snellen.evaluate(run, tile=48)
    assert dict(results.tables[-1].rows)["tiles"].startswith("48 px")
    assert len(results.per_image) == 4
    assert len(maps(run, "test-tile48")) == 4


def test_unreadable_images_are_skipped_in_tiles(run_at, charts, tmp_path):
    """One that breaks after the data set was checked."""
    data = shutil.copytree(charts["masks"], tmp_path / "data")
    index = snellen.load(data).split("test")
    index.path(1).write_bytes(b"not an image")
    run = run_at("masks")
    results = evaluate_run(run, index=index, split=None, inference=Inference(tile=48))
    assert len(results.per_image) == 3
    assert index.path(1).name in (run.folder / "skipped.json").read_text()


def test_classes_are_averaged_over_views(run_at):
    run = run_at("classes")
    results = snellen.evaluate(run, flip=True)
    assert "test-flip" in run.results
    assert results.headline in results.scalars


def test_detectors_take_tiles_alone(run_at):
    run = run_at("boxes")
    with pytest.raises(ConfigError, match="finds objects, which have no mean"):
        snellen.evaluate(run, flip=True)
    with pytest.raises(ConfigError, match="dense CRF is for models that give every pixel"):
        snellen.evaluate(run, crf=True)
    assert "tiles" in dict(snellen.evaluate(run, tile=48).tables[-1].rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scales": (0.0,)}, "scales must be numbers"),
        ({"scales": ()}, "scales must be numbers"),
        ({"tile": 4}, "tile must be at least 32"),
        ({"crf": {"appearance": 3}}, "no setting 'appearance'"),
        ({"crf": {"iterations": 0}}, "iterations"),
    ],
)
def test_refuses(run_at, options, message):
    with pytest.raises(ConfigError, match=message):
        snellen.evaluate(run_at("masks"), **options)


def test_tiles_are_for_models_that_say_where(run_at):
    with pytest.raises(ConfigError, match="judges an image as a whole"):
        snellen.evaluate(run_at("classes"), tile=64)


def test_crf_is_chosen_on_validation_images_and_kept(run_at, tmp_path, charts):
    """It is used where a field is wanted, and only for these weights."""
    run = run_at("masks")
    snellen.evaluate(run, tune_crf=True)
    chosen = read_crf(run)
    assert chosen is not None
    assert chosen.num_images == 4
    told = json.loads((run.folder / CRF).read_text())
    assert told["chosen_on"] == "val"
    plain = run.results["val"].scalars["mIoU"]
    assert chosen.before == pytest.approx(plain, abs=0.01)  # of probabilities that were kept in 16 bits
    measured = snellen.evaluate(run, split="val", crf=True)
    assert measured.scalars["mIoU"] == pytest.approx(chosen.after, abs=0.01)
    assert f"appearance_levels {chosen.settings.appearance_levels:g}" in dict(measured.tables[-1].rows)["dense CRF"]
    image = snellen.load(charts["masks"]).path(0)
    snellen.predict(run, image, folder=tmp_path / "out", crf=True, drawn=False)
    used = json.loads((tmp_path / "out" / "predicted_with.json").read_text())["crf"]
    assert DenseCrfSettings(**used) == chosen.settings
    run.store.best.write_bytes(run.store.best.read_bytes() + b" ")
    assert read_crf(run) is None


def test_a_broken_choice_is_named(run_at):
    run = run_at("masks")
    (run.folder / CRF).write_text('{"version": 1, "chosen_on": "val", "settings": {"iterations": 0}}')
    with pytest.raises(CheckpointError, match="choose again"):
        snellen.evaluate(run, crf=True)


def test_without_validation_images_nothing_is_chosen(run_at, monkeypatch):
    run = run_at("masks")
    index = snellen.recipes.evaluating.recorded_index(run)
    monkeypatch.setattr(snellen.recipes.evaluating, "recorded_index", lambda _run: index.split("train"))
    with pytest.raises(ConfigError, match="the split 'val'"):
        snellen.evaluate(run, tune_crf=True)


def test_members_of_an_ensemble_look_one_by_one(run_at):
    from snellen.models.ensemble import Ensemble

    model = run_at("masks").load()
    both = Ensemble([model, model], weights=[1.0, 3.0])
    seen = seen_by(both, Inference(flip=True, crf=ROUGH))
    assert isinstance(seen, Ensemble)
    assert [type(member) for member in seen.members] == [Refined, Refined]
    assert isinstance(seen.members[0].model, Views)
    assert seen.shares.tolist() == [0.25, 0.75]
    assert seen_by(both, PLAIN) is both


def test_settings_by_name_start_from_what_was_chosen():
    base = DenseCrfSettings(appearance_px=20.0)
    assert crf_settings(base, wanted=True) == base
    assert crf_settings(base, wanted={"iterations": 5}) == replace(base, iterations=5)
    assert crf_settings(None, wanted=True) == DenseCrfSettings()
    assert crf_settings(base, wanted=False) is crf_settings(base, wanted=None) is None


def test_on_the_command_line(run_at, charts, tmp_path):
    run = run_at("masks")
    call = ["eval", str(run.folder), "--scales", "0.5,1", "--flip", "--crf-set", "iterations=2", "--json"]
    done = CliRunner().invoke(app, call, catch_exceptions=False)
    assert done.exit_code == 0
    assert "test-scales0.5_1-flip-crf" in run.results
    image = snellen.load(charts["masks"]).path(0)
    call = ["predict", str(run.folder), str(image), "--out", str(tmp_path / "out"), "--crf", "--no-draw"]
    assert CliRunner().invoke(app, call, catch_exceptions=False).exit_code == 0
    told = json.loads((tmp_path / "out" / "predicted_with.json").read_text())
    assert told["crf"]["iterations"] == 10
    assert np.array_equal(told["scales"], [1.0])
