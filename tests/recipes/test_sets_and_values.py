"""Label sets and values from the table to the report: learned, resumed, predicted, measured elsewhere, refused."""

import contextlib
import csv
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import snellen
from snellen.data import load
from snellen.errors import ConfigError
from snellen.recipes.options import options_from
from snellen.recipes.preparing import prepare_training
from snellen.recipes.session import Session
from snellen.structures import LabelSetScores, LabelSetTarget, ValueEstimates, ValueTarget
from snellen.training import StepDone

COLOURS = {"red": (230, 40, 40), "green": (40, 210, 60), "blue": (60, 80, 240)}
SIDE = 32
QUICK = {
    "model": "cifar_resnet20", "image_size": SIDE, "batch_size": 16, "lr": 3e-3, "workers": 0, "device": "cpu",
    "precision": "fp32", "tensorboard": False, "check": False, "augment": 0.0,
}  # fmt: skip


def canvas(generator):
    return Image.fromarray(generator.integers(90, 140, (SIDE, SIDE, 3), dtype=np.uint8))


def write_sets(folder, count, seed=0):
    """Squares of three colours, each there or not; the labels of every tenth image are partly unknown."""
    generator = np.random.default_rng(seed)
    rows = [["file", "labels"]]
    for number in range(count):
        image = canvas(generator)
        shown = [name for name in COLOURS if generator.random() < 0.4]
        for name in shown:
            left, top = generator.integers(0, SIDE - 10, 2).tolist()
            ImageDraw.Draw(image).rectangle((left, top, left + 8, top + 8), fill=COLOURS[name])
        image.save(folder / f"{number:04d}.png")
        labels = [f"?{shown[0]}", *shown[1:]] if shown and number % 10 == 0 else shown
        rows.append([f"{number:04d}.png", ";".join(labels)])
    with (folder / "photos.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder / "photos.csv"


def write_values(folder, count, seed=0):
    """One square: how wide it is and how far from the left; every tenth place is missing."""
    generator = np.random.default_rng(seed)
    rows = [["file", "width [px]", "place [px]"]]
    for number in range(count):
        image = canvas(generator)
        width = int(generator.integers(4, 16))
        left, top = generator.integers(0, SIDE - width, 2).tolist()
        ImageDraw.Draw(image).rectangle((left, top, left + width - 1, top + width - 1), fill=(240, 230, 40))
        image.save(folder / f"{number:04d}.png")
        rows.append([f"{number:04d}.png", width, "" if number % 10 == 0 else left + width / 2])
    with (folder / "sizes.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder / "sizes.csv"


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    found = {}
    for name, write in (("sets", write_sets), ("values", write_values)):
        folder = tmp_path_factory.mktemp(name)
        found[name] = write(folder, 320)
    return found


OPTIONS = {
    "sets": {"epochs": 4},
    "values": {"epochs": 5, "read": snellen.data.ReadOptions(columns=("width [px]", "place [px]"))},
}


@pytest.fixture(scope="module")
def runs(tables, tmp_path_factory):
    """Return a run on each, trained once; tests must not change its folder."""
    root = tmp_path_factory.mktemp("runs")
    made = {}

    def get(name):
        if name not in made:
            made[name] = snellen.train(tables[name], folder=root / name, **QUICK, **OPTIONS[name])
        return made[name]

    return get


def test_label_sets_are_learned(runs):
    """SYS-357: from the command's defaults to a mean average precision above 0.9, accuracy nowhere."""
    run = runs("sets")
    results = run.results["test"]
    assert results.headline == "mAP"
    assert results.scalars["mAP"] > 0.9
    assert "accuracy" not in results.scalars
    assert run.target_type is LabelSetTarget
    assert run.record["model_options"]["shares"] == pytest.approx([0.4] * 3, abs=0.12)
    report = run.report.read_text(encoding="utf-8")
    for words in (
        "mAP",
        "Thresholds",
        "Precision over recall",
        "F1 over the threshold",
        "3 classes",
        "showing no class",
    ):
        assert words in report


def test_values_are_learned(runs):
    run = runs("values")
    results = run.results["test"]
    assert (results.headline, results.lower_is_better) == ("MAE", True)
    assert results.scalars["R2"] > 0.9
    assert run.target_type is ValueTarget
    assert (run.record["flip"], run.record["augment"]) == (False, 0.0)
    log = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    scores = [line["score"] for line in log if line["event"] == "validated"]
    errors = [line["scalars"]["MAE"] for line in log if line["event"] == "validated"]
    assert scores == [-error for error in errors]
    best = torch.load(run.folder / "checkpoints" / "best.pt", weights_only=True)
    assert best["score"] == -min(errors)
    report = run.report.read_text(encoding="utf-8")
    for words in ("Estimate over truth: width [px]", "Residuals: place [px]", "2 values", "Range of the values"):
        assert words in report


def test_standard_units_lie_in_the_weights(runs):
    """The mean and the spread of the training images alone; the state dict holds them."""
    run = runs("values")
    index = snellen.recipes.prepared(load(run.record["data"], columns=("width [px]", "place [px]")), 0)
    train = index.split("train").annotations.values
    state = torch.load(run.folder / "checkpoints" / "best.pt", weights_only=True)["model"]
    np.testing.assert_allclose(state["answer.value_mean"], np.nanmean(train, axis=0), rtol=1e-5)
    np.testing.assert_allclose(state["answer.value_spread"], np.nanstd(train, axis=0), rtol=1e-5)


@pytest.mark.parametrize(("name", "kind"), [("sets", LabelSetScores), ("values", ValueEstimates)])
def test_predictions_are_written_for_people_and_programs(runs, tables, tmp_path, name, kind):
    run = runs(name)
    files = sorted(tables[name].parent.glob("000[1-4].png"))
    summary = snellen.predict(run, files, folder=tmp_path / "out")
    assert [type(entry.prediction) for entry in summary.predictions] == [kind] * 4
    with (tmp_path / "out" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert [row["file"] for row in rows] == [str(file) for file in files] == [line["file"] for line in lines]
    truth = load(tables[name], columns=None if name == "sets" else ("width [px]", "place [px]"))
    for row, line, number in zip(rows, lines, (1, 2, 3, 4), strict=True):
        target = truth.target(number, (SIDE, SIDE))
        if name == "sets":
            assert row["labels"].split(";") == (line["names"] or [""])
            assert all((float(row[f"p({label})"]) >= 0.5) == (label in line["names"]) for label in COLOURS)
        else:
            assert float(row["width [px]"]) == pytest.approx(float(target.values[0]), abs=4)
            assert line["values"]["place [px]"] == pytest.approx(float(row["place [px]"]))
    assert len(list((tmp_path / "out" / "drawn").iterdir())) == 4


@pytest.mark.parametrize("name", ["sets", "values"])
def test_measured_on_other_data(runs, tmp_path, name):
    """A table that would have to be asked about is read as what the run learned, with its classes or values."""
    folder = tmp_path / "other"
    folder.mkdir()
    {"sets": write_sets, "values": write_values}[name](folder, 24, seed=5)
    table = next(folder.glob("*.csv"))
    if name == "sets":  # one class fewer
        table.write_text(table.read_text().replace("green", "").replace(";;", ";"))
    results = snellen.evaluate(runs(name), table)
    assert results.headline == {"sets": "mAP", "values": "MAE"}[name]
    assert len(results.per_image) == 24


@pytest.mark.parametrize("name", ["sets", "values"])
def test_a_resumed_run_equals_the_unbroken_one(tables, tmp_path, name, monkeypatch):
    options = {**QUICK, **OPTIONS[name], "model": "lenet5_modern", "epochs": 2, "mixup": 0.5}
    whole = snellen.train(tables[name], folder=tmp_path / "whole", **options)
    observers = Session._observers

    class Stop:
        def see(self, event):
            if isinstance(event, StepDone) and event.step == 17:
                raise KeyboardInterrupt

        def close(self):
            pass

    monkeypatch.setattr(Session, "_observers", lambda self, *rest: [*observers(self, *rest), Stop()])
    with contextlib.suppress(KeyboardInterrupt):
        snellen.train(tables[name], folder=tmp_path / "broken", **options)
    monkeypatch.undo()
    resumed = snellen.resume(tmp_path / "broken")
    states = [
        torch.load(run.folder / "checkpoints" / "last.pt", weights_only=True)["model"] for run in (whole, resumed)
    ]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_balanced_weights_come_from_the_training_images(tables):
    options = options_from({"model_options": {"positive_weights": "balanced"}, "model": "lenet5_modern"})
    ready = prepare_training(tables["sets"], options)
    table = ready.index.split("train").annotations
    shown, known = table.shown.sum(0), table.known.sum(0)
    np.testing.assert_allclose(ready.model.answer.positive_weights, (known - shown) / shown, rtol=1e-3)
    assert "one that does" in ready.record["reasons"]["positive_weights"]


def test_settings_of_other_tasks_are_refused(tables):
    with pytest.raises(ConfigError, match="no option 'beta'"):
        prepare_training(tables["sets"], options_from({"model_options": {"beta": 0.5}, "model": "lenet5_modern"}))
    focal = {"model_options": {"loss": "focal"}, "model": "lenet5_modern", "read": OPTIONS["values"]["read"]}
    with pytest.raises(ConfigError, match="'smooth_l1', 'squared_error'"):
        prepare_training(tables["values"], options_from(focal))
    balanced = {"sampler": "class_balanced", "model": "lenet5_modern", "read": OPTIONS["values"]["read"]}
    with pytest.raises(ConfigError, match="are values"):
        prepare_training(tables["values"], options_from(balanced))
    with pytest.raises(ConfigError, match="learns from MaskTarget; the data set has LabelSetTarget"):
        prepare_training(tables["sets"], options_from({"model": "unet_resnet18"}))


def test_the_command_that_repeats_a_run_says_how_the_table_is_read(runs):
    from snellen.recipes.reporting import _commands

    words = _commands(runs("values"))[1]
    assert "--columns 'width [px],place [px]'" in words
    assert "value_mean" not in words  # computed again from the same images


def test_data_of_another_task_are_refused(runs, tables, tmp_path):
    folder = tmp_path / "classes"
    for name in ("red", "blue"):
        (folder / name).mkdir(parents=True)
        shutil.copy(tables["sets"].parent / "0001.png", folder / name)
    assert snellen.evaluate(runs("sets"), folder).headline == "mAP"  # a class is a label set of one
    with pytest.raises(snellen.errors.SnellenError, match="value"):
        snellen.evaluate(runs("values"), folder)
