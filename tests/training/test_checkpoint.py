"""Checkpoints: whole or not at all, damage is noticed, foreign files are refused."""

import errno
import os
import zipfile

import pytest
import torch

from snellen.errors import CheckpointError
from snellen.training import CheckpointStore, read_checkpoint, read_weights
from snellen.training import checkpoint as module


def content(value):
    return {
        "model": {"w": torch.full((1000,), float(value))},
        "average": {"model": {"w": torch.full((1000,), value + 0.5)}, "updates": 3},
        "optimizer": {},
        "progress": {"step": value},
        "settings": {"epochs": 1, "milestones": (1, 2)},
    }


@pytest.fixture
def store(tmp_path):
    store = CheckpointStore(tmp_path / "run", notes={"classes": ["cat", "dog"], "size": 64})
    store.save_last(content(1))
    store.save_last(content(2))
    return store


def step_of(checkpoint):
    return checkpoint.content["progress"]["step"]


def test_round_trip_is_safe_to_load(store):
    found = store.read_last()
    assert step_of(found) == 2
    assert found.notice == ""
    assert found.notes == {"classes": ["cat", "dog"], "size": 64}
    assert torch.load(store.last, weights_only=True)["settings"]["milestones"] == (1, 2)
    assert step_of(read_checkpoint(store.previous)) == 1
    assert sorted(path.name for path in store.folder.iterdir()) == ["last.previous.pt", "last.pt"]


def test_weights_are_the_average_where_there_is_one(store):
    assert read_weights(store.last)["w"][0] == 2.5
    store.save_best({"w": torch.tensor([9.0])}, score=0.5, epoch=3, step=12)
    assert read_weights(store.best)["w"][0] == 9.0


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "noise"])
def test_damage_is_noticed_and_the_previous_one_is_used(store, damage):
    data = bytearray(store.last.read_bytes())
    if damage == "flip":
        with zipfile.ZipFile(store.last) as archive:
            tensor = max(archive.infolist(), key=lambda member: member.file_size)
        data[tensor.header_offset + 1000] ^= 1  # within the tensor: torch.load itself does not notice
    damaged = {"cut": data[: len(data) // 2], "flip": data, "empty": b"", "noise": os.urandom(500)}
    store.last.write_bytes(damaged[damage])
    with pytest.raises(CheckpointError, match="damaged file"):
        read_checkpoint(store.last)
    found = store.read_last()
    assert step_of(found) == 1
    assert "last.pt" in found.notice
    assert "Going on from last.previous.pt" in found.notice
    store.previous.write_bytes(b"")
    with pytest.raises(CheckpointError, match="start a new run"):
        store.read_last()


def test_nothing_saved_yet(tmp_path):
    assert CheckpointStore(tmp_path).read_last() is None


def test_death_between_the_two_renames(store, monkeypatch):
    calls = []

    def replace(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        source.rename(target)

    monkeypatch.setattr(module.os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        store.save_last(content(3))
    assert not store.last.exists()
    assert step_of(store.read_last()) == 2


def test_full_disk_leaves_the_former_file(store, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        store.save_last(content(3))
    assert step_of(store.read_last()) == 2


def test_order_of_writing(store, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(module.os, "fsync", lambda handle: (done.append("sync"), fsync(handle)))
    monkeypatch.setattr(module.os, "replace", lambda a, b: (done.append(b.name), replace(a, b)))
    store.save_last(content(3))
    assert done == ["sync", "last.previous.pt", "last.pt", "sync"]


def test_foreign_files_are_refused(tmp_path):
    torch.save({"w": torch.zeros(1)}, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match="got something else"):
        read_checkpoint(tmp_path / "weights.pth")
    torch.save({"format": pytest.approx}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointError, match="cannot load safely"):
        read_checkpoint(tmp_path / "evil.pt")
    torch.save({"format": "snellen-checkpoint", "version": 99}, tmp_path / "future.pt")
    with pytest.raises(CheckpointError, match="newer Snellen"):
        read_checkpoint(tmp_path / "future.pt")
    with pytest.raises(CheckpointError, match="no such file"):
        read_checkpoint(tmp_path / "absent.pt")
    torch.save({"format": "snellen-checkpoint", "version": 1, "model": {}}, tmp_path / "best.pt")
    with pytest.raises(CheckpointError, match="not there"):
        read_checkpoint(tmp_path / "best.pt", required=("model", "optimizer"))
