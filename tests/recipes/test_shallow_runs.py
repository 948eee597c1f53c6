"""Shallow models under the same commands as every other: train, resume, evaluate, predict, check."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import snellen
from snellen.errors import CheckpointError, ConfigError, MissingExtraError
from snellen.models.shallow import ShallowModel
from snellen.recipes.shallow_listing import shallow_parts
from snellen.structures import BoxTarget, ClassTarget


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SNELLEN_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def run(charts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shallow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNELLEN_CACHE", str(folder / "cache"))
        return snellen.train(charts["classes"], model="hog_svm", folder=folder / "run", workers=0, check=False)


def test_whole_run(run, charts, tmp_path):
    assert run.target_type is ClassTarget
    assert run.record["resize"] == "squeeze"
    assert run.record["image_size"] == 64
    assert "lr" not in run.record["reasons"]
    assert set(run.results) == {"val", "test"}
    model = run.load()
    assert isinstance(model, ShallowModel)
    assert model.is_fitted
    report = run.report.read_text(encoding="utf-8")
    assert "tried on 8 images" in report
    assert snellen.evaluate(run, split="val").scalars == run.results["val"].scalars
    image = next(file for file in charts["classes"].rglob("*") if file.suffix in (".png", ".jpg"))
    found = snellen.predict(run, image, folder=tmp_path / "out")
    assert len(found.predictions) == 1
    with pytest.raises(ConfigError, match="judges an image as a whole"):
        snellen.predict(run, image, tile=64, folder=tmp_path / "out")


def test_one_name_by_what_the_data_hold(run, charts, tmp_path):
    other = snellen.train(charts["boxes"], model="hog_svm", folder=tmp_path / "boxes", workers=0, check=False)
    assert other.target_type is BoxTarget
    assert other.record["model"] == run.record["model"] == "hog_svm"


def test_resume_equals_the_unbroken_run(charts, tmp_path, monkeypatch):
    options = {"model": "hog_softmax", "workers": 0, "check": False}
    whole = snellen.train(charts["classes"], folder=tmp_path / "whole", **options)

    def broken(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ShallowModel, "fit_stage", broken)
        run = snellen.train(charts["classes"], folder=tmp_path / "broken", **options)
        assert not run.report.exists()
    again = snellen.resume(run.folder)
    one, other = whole.load().state_dict(), again.load().state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert again.results["test"].scalars == whole.results["test"].scalars


def test_settings_reach_the_model(charts, tmp_path):
    run = snellen.train(
        charts["classes"],
        model="colour_knn",
        folder=tmp_path / "run",
        model_options={"learner.k": 3, "features.levels": 1},
        check=False,
    )
    model = run.load()
    assert int(model.answer.learned.numbers["k"]) == 3
    assert model.features.levels == 1
    with pytest.raises(ConfigError, match=r"the model has no setting 'learner.kk'.*learner.k"):
        snellen.train(charts["classes"], model="colour_knn", folder=tmp_path / "bad", model_options={"learner.kk": 3})


def test_checks_do_not_speak_of_a_loop_that_is_not_run(charts):
    report = snellen.check(charts["classes"], "hog_svm")
    assert not [result for result in report.results if result.status.name == "CRASHED"]
    codes = {finding.code for finding in report.findings}
    assert not {"M29", "M30", "M31"} & codes


def test_a_checkpoint_that_was_tampered_with(run, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(run.folder, folder)
    file = folder / "checkpoints" / "best.pt"
    content = torch.load(file, weights_only=True)
    key = next(name for name in content["model"] if name.endswith("learned.weight"))
    torch.save({**content, "model": {**content["model"], key: content["model"][key][:, :3]}}, file)
    with pytest.raises(CheckpointError, match=r"best\.pt: weight must have .* The file was changed or damaged"):
        snellen.Run.open(folder).load()
    torch.save({**content, "model": {}}, file)
    with pytest.raises(CheckpointError, match="expected what was fitted; there is nothing"):
        snellen.Run.open(folder).load()


def test_a_checkpoint_with_code_in_it_is_not_run(run, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(run.folder, folder)
    file = folder / "checkpoints" / "best.pt"
    content = torch.load(file, weights_only=True)
    torch.save({**content, "model": {**content["model"], "evil": _Evil(tmp_path / "ran")}}, file)
    with pytest.raises(CheckpointError, match="cannot load safely"):
        snellen.Run.open(folder).load()
    assert not (tmp_path / "ran").exists()


class _Evil:
    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return (type(self.place).touch, (self.place,))


def test_a_package_that_is_not_there(charts, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(MissingExtraError, match=r"snellen\[boosting\]"):
        snellen.train(charts["classes"], model="colour_lightgbm", folder=tmp_path / "run", check=False)


def test_odd_images(tmp_path):
    """Images of a pixel, of one channel, of 16 bits, and with transparency, side by side."""
    generator = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for name, level in (("dark", 0), ("light", 150)):
            folder = tmp_path / "data" / split / name
            folder.mkdir(parents=True)
            grey = generator.integers(0, 100, (12, 9), dtype=np.uint8) + level
            Image.fromarray(grey).save(folder / "grey.png")
            Image.fromarray(grey.astype(np.uint16) * 257).save(folder / "deep.png")
            Image.fromarray(grey[:1, :1]).save(folder / "dot.png")
            Image.fromarray(np.stack([grey] * 4, axis=2), "RGBA").save(folder / "clear.png")
    run = snellen.train(tmp_path / "data", model="pixels_softmax", folder=tmp_path / "run", check=False)
    assert run.results["test"].scalars["accuracy"] > 0.7


def test_parts_of_names():
    everything = shallow_parts()
    assert ("hog", "histograms of oriented gradients: shape") in everything.features
    assert any("snellen[boosting]" in summary for _, summary in everything.learners)
    assert shallow_parts(task="box") is None
    assert not shallow_parts(task="value").learners
    assert not shallow_parts(task="class").value_learners
    assert shallow_parts(word="forest").learners == (("forest", "random forest"),)
    assert shallow_parts(word="nothing like it") is None
    assert json.dumps(everything.features)
