"""Trainings of several stages, and how they go on: SYS-042 (HOG + SVM), SYS-026 (alternating training)."""

import json
import math
from pathlib import Path

import pytest
import torch

import snellen
from snellen.data import ImageDataset
from snellen.errors import DatasetError
from snellen.models.detection.alternating import AlternatingTwoStage
from snellen.models.detection.hog_svm import HogSvm
from snellen.recipes.runs import read_skipped
from snellen.recipes.session import Session
from snellen.recipes.stages import StageDone, fact_text, read_stages, write_stages
from snellen.structures import Results
from snellen.training import read_checkpoint

ALTERNATING = "faster_rcnn_mobilenet_v2_c4_alternating"


@pytest.fixture(scope="module")
def hog_run(charts, tmp_path_factory):
    return snellen.train(charts["boxes"], model="hog_svm", folder=tmp_path_factory.mktemp("hog") / "run", workers=0)


def weights_of(run):
    return torch.load(run.store.best, weights_only=True)["model"]


def assert_same_weights(run, other):
    left, right = weights_of(run), weights_of(other)
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_a_fit_is_recorded_measured_and_reported(hog_run):
    (stage,) = read_stages(hog_run.folder)
    assert (stage.name, stage.kind, stage.steps) == ("svm", "fit", 0)
    assert stage.score is not None
    assert stage.facts["negatives"] > 0
    assert (hog_run.folder / "checkpoints" / stage.weights).exists()
    page = hog_run.report.read_text(encoding="utf-8")
    assert "Stages" in page
    assert "windows per image" in page


def test_a_fit_that_is_broken_off_is_made_again(hog_run, charts, tmp_path, monkeypatch):
    def broken(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(HogSvm, "fit_stage", broken)
        run = snellen.train(charts["boxes"], model="hog_svm", folder=tmp_path / "run", workers=0)
    assert not run.report.exists()
    assert read_stages(run.folder) == []
    assert_same_weights(snellen.resume(run.folder), hog_run)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["detector-1", "rpn-2", "detector-2"])
def test_a_run_goes_on_with_the_stage_that_was_broken_off(charts, tiny, tmp_path, monkeypatch, stage):
    options = tiny | {"epochs": 6, "model": ALTERNATING}
    whole = snellen.train(charts["boxes"], folder=tmp_path / "whole", **options)
    enter = AlternatingTwoStage.enter

    def broken(self, name):
        enter(self, name)
        if name == stage:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(AlternatingTwoStage, "enter", broken)
        run = snellen.train(charts["boxes"], folder=tmp_path / "parts", **options)
    names = [done.name for done in read_stages(run.folder)]
    assert stage not in names
    assert not run.report.exists()
    assert_same_weights(snellen.resume(run.folder), whole)
    assert [done.name for done in read_stages(run.folder)] == ["rpn-1", "detector-1", "rpn-2", "detector-2"]
    steps = [json.loads(line)["step"] for line in (run.folder / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)


def test_stages_are_read_as_they_were_written(tmp_path):
    stage = StageDone(
        name="svm", kind="fit", seconds=1.5, score=None, steps=0, epochs=0, weights="1-svm/best.pt", facts={"a": 1}
    )
    write_stages(tmp_path, [stage])
    assert read_stages(tmp_path) == [stage]
    assert read_stages(tmp_path / "nothing") == []


@pytest.mark.parametrize(("value", "text"), [(1234567, "1,234,567"), (0.123456, "0.1235"), ("none", "none")])
def test_facts_as_people_read_them(value, text):
    assert fact_text(value) == text


def test_images_that_only_a_fit_cannot_read_are_named(charts, tmp_path, monkeypatch):
    """A training of fits alone never asks the loader of augmented batches."""
    index = snellen.load(charts["boxes"])
    broken = str(index.split("train").path(0))
    read = ImageDataset.untransformed

    def failing(self, row):
        sample = read(self, row)
        if sample.source == broken:
            raise DatasetError("a whole picture was expected; the file ends early.", file=Path(broken))
        return sample

    monkeypatch.setattr(ImageDataset, "untransformed", failing)
    run = snellen.train(charts["boxes"], model="hog_svm", folder=tmp_path / "run", workers=0)
    assert broken in read_skipped(run.folder)
    assert Path(broken).name in run.report.read_text(encoding="utf-8")


def test_the_average_is_kept_where_no_validation_says_anything(charts, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(Session, "validate", lambda *_: Results(headline="AP", scalars={"AP": math.nan}))
    loaded: list[dict[str, torch.Tensor]] = []
    monkeypatch.setattr(Session, "_load", lambda _, file: loaded.append(dict(read_checkpoint(file).weights)))
    options = tiny | {"epochs": 4, "model": ALTERNATING, "ema": 0.9}
    run = snellen.train(charts["boxes"], folder=tmp_path / "run", **options)
    stage = read_stages(run.folder)[0]
    assert stage.score is None
    last = torch.load((run.folder / "checkpoints" / stage.weights).with_name("last.pt"), weights_only=True)
    average, raw = last["average"]["model"], last["model"]
    assert all(torch.equal(value, loaded[0][name]) for name, value in average.items())
    assert any(not torch.equal(value, average[name]) for name, value in raw.items())
