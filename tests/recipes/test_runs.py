"""The folder of a run: opened, loaded, damaged."""

import json

import pytest
import torch

import snellen
from snellen.errors import CheckpointError, ConfigError
from snellen.recipes.runs import Run, add_skipped, new_folder, read_skipped, write_json


def test_open_without_a_run_names_runs_near(run_at):
    folder = run_at().folder
    with pytest.raises(CheckpointError, match=f"expected the folder of a run.*Did you mean '{folder}'"):
        Run.open(folder.with_name("run-clases"))


def test_a_folder_of_runs_names_them(run_at):
    """DX: whoever names `runs` instead of a run in it reads which there are."""
    run = run_at()
    with pytest.raises(CheckpointError, match=f"There are runs in it: .*{run.folder.name}"):
        Run.open(run.folder.parent)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected JSON"),
        ("[]", "expected a record of version 1"),
        ('{"version": 99}', "expected a record of version 1"),
        ('{"version": 1, "model": "resnet18"}', "classes, data.*not there"),
        (b"\xff\xfe\x00", "expected JSON"),
    ],
)
def test_damaged_record(tmp_path, content, message):
    file = tmp_path / "run.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CheckpointError, match=message) as caught:
        Run.open(tmp_path)
    assert str(file) in str(caught.value)


def test_load_best_and_last(run_at):
    run = run_at(last=True)
    best, last = run.load(), run.load(which="last")
    assert not best.training
    saved = {
        name: torch.load(run.folder / "checkpoints" / f"{name}.pt", weights_only=True) for name in ("best", "last")
    }
    for name, model in (("best", best), ("last", last)):
        expected = saved[name]["model"]
        assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())


def test_load_falls_back_to_last(run_at):
    run = run_at(last=True)
    (run.folder / "checkpoints" / "best.pt").unlink()
    assert run.load().state_dict().keys() == run.load(which="last").state_dict().keys()


def test_load_another_word(run_at):
    with pytest.raises(ConfigError, match=r"Did you mean 'best'"):
        run_at().load(which="bset")


def test_load_without_checkpoint(run_at):
    run = run_at()
    (run.folder / "checkpoints" / "best.pt").unlink()
    with pytest.raises(CheckpointError, match=r"none was saved yet. Train first"):
        run.load()


def test_checkpoint_of_another_model(run_at):
    run = run_at()
    write_json(run.folder / "run.json", {**run.record, "model": "resnet34"})
    with pytest.raises(CheckpointError, match=r"expected weights of resnet34 with 2 classes.*Restore run\.json"):
        Run.open(run.folder).load()


def test_results_are_those_on_disk(trained):
    results = trained("classes").results
    assert set(results) == {"val", "test"}
    assert all(0 <= results[name].scalars["accuracy"] <= 1 for name in results)


def test_record_repeats_the_run(trained, charts):
    record = trained("classes").record
    assert record["data"] == str(charts["classes"])
    assert record["environment"]["snellen"] == snellen.__version__
    assert record["environment"]["torch"] == torch.__version__.split("+")[0]
    assert record["settings"]["seed"] == 0


def test_new_folders_count(tmp_path):
    names = [new_folder("net", tmp_path / "runs").name for _ in range(3)]
    assert names == ["net", "net-2", "net-3"]


def test_json_is_never_half_written(tmp_path):
    file = tmp_path / "a" / "b.json"
    write_json(file, {"α": 1})
    with pytest.raises(TypeError):
        write_json(file, {"α": object()})
    assert json.loads(file.read_text(encoding="utf-8")) == {"α": 1}


def test_skipped_files_add_up(tmp_path):
    assert read_skipped(tmp_path) == {}
    add_skipped(tmp_path, {})
    assert not list(tmp_path.iterdir())
    add_skipped(tmp_path, {"a.jpg": "cut"})
    add_skipped(tmp_path, {"b.jpg": "empty"})
    assert read_skipped(tmp_path) == {"a.jpg": "cut", "b.jpg": "empty"}
