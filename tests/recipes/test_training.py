"""The verb train: whole on tiny data of every kind, broken off and resumed, on broken files, from given weights."""

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from safetensors.torch import save_file

import snellen
from snellen.errors import CheckpointError, ConfigError, DatasetError, InputError
from snellen.models import find_model
from snellen.recipes.session import Session
from snellen.training import StepDone

SMALL = {"model": "mobilenet_v2", "tensorboard": False}  # the smallest files
KINDS = ("boxes", "classes", "masks")


def last_of(run):
    return torch.load(run.folder / "checkpoints" / "last.pt", weights_only=True)


def assert_equal(one, other):
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_equal(value, other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_equal(left, right)
    else:
        assert one == other


def steps_of(run):
    lines = (json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines())
    return [(line["step"], line["loss"]) for line in lines if line["event"] == "step"]


def told(work):
    """Return what ``work`` prints for people."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        screen = Console(record=True, width=250, file=nowhere)
        result = work(screen)
        return result, screen.export_text()


@pytest.mark.parametrize("kind", KINDS)
def test_whole_run(trained, kind):
    run = trained(kind)
    names = {entry.name for entry in run.folder.iterdir()}
    assert names == {
        ".lock",
        "run.json",
        "problems.json",
        "diagnosis.json",
        "log.jsonl",
        "trace.msgpack",
        "tensorboard",
        "checkpoints",
        "evaluation",
        "report.html",
    }
    assert set(run.results) == {"val", "test"}
    assert steps_of(run)[-1][0] == 4
    assert all(np.isfinite(loss) for _, loss in steps_of(run))
    assert next((run.folder / "tensorboard").iterdir()).stat().st_size > 0
    report = run.report.read_text(encoding="utf-8")
    for words in (run.record["model"], run.results["test"].headline, "snellen train", str(run.record["data"])):
        assert words in report
    model = run.load()
    assert model.target_type is run.target_type
    assert not model.training


@pytest.mark.parametrize("kind", KINDS)
def test_validations_are_in_the_history(trained, kind):
    run = trained(kind)
    lines = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    judged = [line for line in lines if line["event"] == "validated"]
    assert [line["step"] for line in judged] == [2, 4]
    assert all(run.results["val"].headline in line["scalars"] for line in judged)


def test_choices_are_told_with_reasons(charts, tmp_path, tiny):
    run, text = told(
        lambda screen: snellen.train(
            charts["classes"], console=screen, folder=tmp_path / "run", **SMALL, **{**tiny, "epochs": 1}
        )
    )
    assert "csv data set with 2 classes: 8 train, 4 val, 4 test" in text
    for name, reason in run.record["reasons"].items():
        assert name in text
        assert reason in text
    assert f"report: {run.report}" in text


def test_same_seed_same_weights(charts, tmp_path, tiny):
    """The seed decides the first weights too, whatever was drawn before."""
    options = {**tiny, **SMALL, "epochs": 1}
    one = snellen.train(charts["classes"], folder=tmp_path / "one", seed=1, **options)
    torch.rand(7)
    two = snellen.train(charts["classes"], folder=tmp_path / "two", seed=1, **options)
    other = snellen.train(charts["classes"], folder=tmp_path / "other", seed=2, **options)
    assert_equal(last_of(one), last_of(two))
    first, second = (last_of(run)["model"] for run in (one, other))
    assert any(not torch.equal(first[name], second[name]) for name in first if name.endswith("weight"))


def test_training_leaves_the_global_state_alone(charts, tmp_path, tiny):
    state = torch.get_num_threads(), torch.get_default_dtype(), torch.backends.cudnn.benchmark
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    snellen.train(charts["classes"], folder=tmp_path / "run", **SMALL, **{**tiny, "epochs": 1})
    assert (torch.get_num_threads(), torch.get_default_dtype(), torch.backends.cudnn.benchmark) == state
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers


class CtrlC:
    """Presses Ctrl-C after a step."""

    def __init__(self, step):
        self.step = step

    def see(self, event):
        if isinstance(event, StepDone) and event.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)

    def close(self):
        pass


@pytest.mark.parametrize("step", [1, 2, 3])
def test_broken_off_and_resumed(charts, tmp_path, tiny, monkeypatch, step):
    options = {**tiny, **SMALL, "ema": 0.9}
    whole = snellen.train(charts["classes"], folder=tmp_path / "whole", **options)
    usual = Session._observers
    monkeypatch.setattr(Session, "_observers", lambda *arguments: [*usual(*arguments), CtrlC(step)])
    run, text = told(
        lambda screen: snellen.train(charts["classes"], folder=tmp_path / "run", console=screen, **options)
    )
    monkeypatch.setattr(Session, "_observers", usual)
    assert not run.report.exists()
    assert f"snellen train --resume {run.folder}" in text
    assert steps_of(run)[-1][0] == step
    resumed = snellen.resume(run.folder)
    assert resumed.report.exists()
    for name in ("model", "average", "optimizer"):
        assert_equal(last_of(resumed)[name], last_of(whole)[name])
    assert steps_of(resumed) == steps_of(whole)
    assert resumed.results["test"].scalars == whole.results["test"].scalars


def test_broken_off_before_the_first_checkpoint(charts, tmp_path, tiny, monkeypatch):
    """The given weights are read again: nothing else has them."""
    torch.manual_seed(3)
    weights = tmp_path / "given.pth"
    torch.save(find_model("mobilenet_v2").build(2).state_dict(), weights)
    options = {**tiny, **SMALL, "epochs": 1, "weights": weights}
    whole = snellen.train(charts["classes"], folder=tmp_path / "whole", **options)

    def broken_off(*_arguments, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Session, "train", broken_off)
        with pytest.raises(KeyboardInterrupt):
            snellen.train(charts["classes"], folder=tmp_path / "run", **options)
    assert_equal(last_of(snellen.resume(tmp_path / "run"))["model"], last_of(whole)["model"])


def test_resume_of_a_finished_run_changes_nothing(run_at):
    run = run_at(last=True)
    before = last_of(run)
    results = run.results["test"].scalars
    assert snellen.resume(run.folder).results["test"].scalars == results
    assert_equal(last_of(run)["model"], before["model"])


def test_resume_when_the_data_changed(charts, make_charts, run_at, tmp_path):
    run = run_at(last=True)
    other = make_charts(tmp_path / "other", "classes", num_train=9)
    file = run.folder / "run.json"
    file.write_text(json.dumps({**run.record, "data": str(other)}))
    with pytest.raises(CheckpointError, match=r"other has changed\. Restore it, or start a new run"):
        snellen.resume(run.folder)


def test_resume_from_damaged_checkpoints(run_at):
    run = run_at(last=True)
    whole = last_of(run)
    last, previous = (run.folder / "checkpoints" / name for name in ("last.pt", "last.previous.pt"))
    last.write_bytes(b"nothing of the kind")
    assert_equal(last_of(snellen.resume(run.folder))["model"], whole["model"])  # from the one before
    for file in (last, previous):
        file.write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match=r"damaged file.*start a new run"):
        snellen.resume(run.folder)


def test_resume_of_a_run_that_another_process_trains(run_at):
    run = run_at(last=True)
    lock = run.folder / ".lock"
    code = "import sys, filelock\nwith filelock.FileLock(sys.argv[1]): print('held', flush=True), sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(CheckpointError, match="another process is at it"):
            snellen.resume(run.folder)
        other.kill()
    assert snellen.resume(run.folder).folder == run.folder  # a killed process frees it


def test_resume_without_a_run(tmp_path):
    with pytest.raises(CheckpointError, match=r"expected the folder of a run"):
        snellen.resume(tmp_path)


def test_a_run_is_never_overwritten(charts, run_at, tiny):
    run = run_at()
    before = (run.folder / "run.json").read_bytes()
    with pytest.raises(CheckpointError, match=r"a run is there\. Resume it, or choose another folder"):
        snellen.train(charts["classes"], folder=run.folder, **SMALL, **tiny)
    assert (run.folder / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"weights": "no.pth"}, CheckpointError),
        ({"model": "resnet19"}, ConfigError),
        ({"device": "cuda:99"}, ConfigError),
        ({"model": "unet_resnet18"}, ConfigError),
        ({"model": "resnet18", "padding": "same"}, ConfigError),
        ({"schedule": "multistep"}, ConfigError),
        ({"optimizer": "lion"}, ConfigError),
    ],
)
def test_what_fails_early_leaves_no_folder(charts, tmp_path, tiny, options, error):
    with pytest.raises(error):
        snellen.train(charts["classes"], folder=tmp_path / "run", **{**tiny, **SMALL, **options})
    assert not (tmp_path / "run").exists()


def test_folder_that_is_a_file(charts, tmp_path, tiny):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(ConfigError, match=r"this is a file. Choose another folder"):
        snellen.train(charts["classes"], folder=tmp_path / "run", **SMALL, **tiny)


def test_one_in_twenty_files_is_broken(make_charts, tmp_path, tiny):
    """Two of 40 are cut off (seen when read), one is empty and one is text (seen before)."""
    folder = make_charts(tmp_path / "data", "classes", num_train=42)
    files = sorted((folder / "train").iterdir())
    cut, unreadable = files[3:5], files[20:22]
    for file in cut:
        file.write_bytes(file.read_bytes()[:900])
        with Image.open(file) as opened:
            assert opened.size == (64, 64)  # the header is whole
    unreadable[0].write_bytes(b"")
    unreadable[1].write_text("<html>404</html>")
    run, text = told(
        lambda screen: snellen.train(
            folder, folder=tmp_path / "run", console=screen, **SMALL, **{**tiny, "epochs": 1, "batch_size": 10}
        )
    )
    skipped = json.loads((run.folder / "skipped.json").read_text())
    assert sorted(skipped) == [str(file) for file in cut]
    problems = json.loads((run.folder / "problems.json").read_text())
    left_out = [problem["file"] for problem in problems if problem["code"] == "image-unreadable"]
    assert sorted(map(str, left_out)) == [str(file) for file in unreadable]
    assert "error D1 unreadable-image: 4 of 50 images cannot be read" in text
    assert "image-unreadable (" not in text  # what a finding tells is not told again
    report = run.report.read_text(encoding="utf-8")
    assert all(file.name in report for file in [*cut, *unreadable])
    lines = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    assert sum(line["images"] for line in lines if line["event"] == "step") == 38


def test_a_broken_test_image_is_named_in_the_report(make_charts, tmp_path, tiny):
    folder = make_charts(tmp_path / "data", "classes")
    file = sorted((folder / "test").iterdir())[1]
    file.write_bytes(file.read_bytes()[:900])
    run = snellen.train(folder, folder=tmp_path / "run", **SMALL, **{**tiny, "epochs": 1})
    assert list(json.loads((run.folder / "skipped.json").read_text())) == [str(file)]
    assert len(run.results["test"].per_image) == 3
    assert "skipped" in run.report.read_text(encoding="utf-8").lower()


def test_most_files_are_broken(make_charts, tmp_path, tiny):
    folder = make_charts(tmp_path / "data", "classes", num_train=40)
    for file in sorted((folder / "train").iterdir())[:36]:
        file.write_bytes(file.read_bytes()[:900])
    with pytest.raises(DatasetError, match=r"most images should be readable"):
        snellen.train(folder, folder=tmp_path / "run", **SMALL, **tiny)


def test_nothing_to_train_on(make_charts, tmp_path, tiny):
    folder = make_charts(tmp_path / "data", "boxes")
    for name in ("train", "val"):
        (folder / "annotations" / f"instances_{name}.json").unlink()
        shutil.rmtree(folder / name)
    with pytest.raises((InputError, DatasetError), match=r"train"):
        snellen.train(folder, folder=tmp_path / "run", **tiny)


@pytest.mark.parametrize("form", ["pth", "safetensors"])
def test_given_weights_are_loaded_and_recorded(charts, tmp_path, tiny, form):
    """SYS-192."""
    torch.manual_seed(5)
    state = find_model("mobilenet_v2").build(2, padding="same").state_dict()
    file = tmp_path / f"given.{form}"
    options = {}
    if form == "pth":
        torch.save({"state_dict": state}, file)
        options = {"mean": (0.4, 0.5, 0.6), "std": (0.1, 0.2, 0.3), "padding": "same"}
    else:
        metadata = {"mean": "[0.4, 0.5, 0.6]", "std": "[0.1, 0.2, 0.3]", "padding": "same"}
        save_file({name: value.contiguous() for name, value in state.items()}, file, metadata=metadata)
    settings = {**tiny, **SMALL, "epochs": 1, "lr": 1e-12, "warmup_steps": 0, "weight_decay": 0, **options}
    run, text = told(
        lambda screen: snellen.train(
            charts["classes"], folder=tmp_path / "run", weights=file, console=screen, **settings
        )
    )
    assert "100.0% of the model, 100.0% of the file" in text
    assert run.record["weights"] == str(file)
    chosen = run.record["model_options"]
    assert (chosen["mean"], chosen["std"], chosen["padding"]) == ([0.4, 0.5, 0.6], [0.1, 0.2, 0.3], "same")
    file.unlink()  # a run does not need it any more
    model = snellen.Run.open(run.folder).load()
    (normalize,) = (module for module in model.modules() if type(module).__name__ == "Normalize")
    assert (tuple(normalize.mean), tuple(normalize.std)) == ((0.4, 0.5, 0.6), (0.1, 0.2, 0.3))
    loaded = model.state_dict()
    assert all(
        torch.allclose(loaded[name], value, atol=1e-6)
        for name, value in state.items()
        if "running" not in name and "num_batches" not in name
    )
    report = run.report.read_text(encoding="utf-8")
    assert "--mean 0.4,0.5,0.6" in report
    assert "--padding same" in report


def test_said_values_win_over_those_of_the_file(charts, tmp_path, tiny):
    state = find_model("mobilenet_v2").build(2).state_dict()
    file = tmp_path / "given.safetensors"
    save_file({name: value.contiguous() for name, value in state.items()}, file, metadata={"mean": "[0.1, 0.1, 0.1]"})
    run = snellen.train(
        charts["classes"], folder=tmp_path / "run", weights=file, mean=(0.3, 0.3, 0.3), **SMALL, **{**tiny, "epochs": 1}
    )
    assert run.record["model_options"]["mean"] == [0.3, 0.3, 0.3]


def test_detector_keeps_the_statistics_of_given_weights(charts, trained, tmp_path, tiny):
    weights = tmp_path / "given.pth"
    torch.save(trained("boxes").load().state_dict(), weights)
    options = {**tiny, "epochs": 1, "model": "faster_rcnn_r18_fpn", "tensorboard": False}
    run = snellen.train(charts["boxes"], folder=tmp_path / "run", weights=weights, **options)
    assert run.record["model_options"] == {"frozen_norm": True}
    given, after = torch.load(weights, weights_only=True), last_of(run)["model"]
    still = [name for name in given if name.endswith("running_mean")]
    assert still
    assert all(torch.equal(given[name], after[name]) for name in still)


def test_an_index_can_be_trained_on(charts, tmp_path, tiny):
    index = snellen.load(charts["classes"])
    run = snellen.train(index, folder=tmp_path / "run", **SMALL, **{**tiny, "epochs": 1})
    assert snellen.evaluate(run, split="val").per_image


def test_a_run_is_used_from_any_folder(charts, tmp_path, tiny, monkeypatch):
    monkeypatch.chdir(charts["classes"].parent)
    run = snellen.train("classes", folder=tmp_path / "run", **SMALL, **{**tiny, "epochs": 1})
    monkeypatch.chdir(tmp_path)
    assert len(snellen.evaluate(run.folder).per_image) == 4


def test_folders_are_numbered(charts, tmp_path, tiny, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {**tiny, **SMALL, "epochs": 1}
    folders = [snellen.train(charts["classes"], **options).folder for _ in range(2)]
    assert [str(folder) for folder in folders] == ["runs/mobilenet_v2", "runs/mobilenet_v2-2"]


def test_one_image_of_each_class(make_charts, tmp_path, tiny):
    """Fewer images than anybody should have: it still ends."""
    folder = make_charts(tmp_path / "data", "masks", num_train=1)
    run = snellen.train(folder, folder=tmp_path / "run", model="unet_mobilenet_v2", **{**tiny, "epochs": 1})
    assert run.report.exists()


def test_notes_about_the_data_are_in_the_report(tmp_path, tiny):
    generator = np.random.default_rng(0)
    for name in ("dark", "light"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(12):
            pixels = generator.integers(0, 100, (32, 32, 3), dtype=np.uint8) + (150 if name == "light" else 0)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "data" / name / f"{number}.png")
    run = snellen.train(tmp_path / "data", model="resnet18", folder=tmp_path / "run", **tiny)
    assert "split-made" in run.report.read_text(encoding="utf-8")
