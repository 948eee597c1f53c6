"""Which images an epoch shows, by name: from the classes on each image, and the same after a break."""

import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

import snellen
from snellen.data import ClassTable
from snellen.recipes.sampling import SAMPLERS, training_sampler
from snellen.recipes.session import Session
from snellen.training import StepDone


@pytest.fixture
def imbalanced(charts):
    """Eight training images: two of the second class, six of the first."""
    part = snellen.load(charts["classes"]).split("train")
    return replace(part, annotations=ClassTable(labels=np.array([1, 1, 0, 0, 0, 0, 0, 0], np.int32)))


def times_shown(part, name, epochs=400):
    sampler = training_sampler(part, name)
    rows = np.concatenate([sampler.rows(epoch, 3) for epoch in range(epochs)])
    return np.bincount(rows, minlength=len(part)) / epochs


def test_shuffled_shows_every_image_once(imbalanced):
    assert times_shown(imbalanced, "shuffled").tolist() == [1] * 8


def test_repeat_factors_are_those_of_the_paper(imbalanced):
    """DX-001: sqrt(median frequency / frequency) for the rare class, 1 for the other."""
    expected = [np.sqrt(0.5 / 0.25)] * 2 + [1] * 6
    assert times_shown(imbalanced, "repeat_factor") == pytest.approx(expected, abs=0.1)


def test_class_balanced_meets_classes_equally_often(imbalanced):
    """DX-001: each class takes half of what is shown."""
    times = times_shown(imbalanced, "class_balanced")
    assert times[:2].sum() == pytest.approx(times[2:].sum(), rel=0.1)


def test_equal_classes_are_left_alone(charts):
    part = snellen.load(charts["classes"]).split("train")
    even = replace(part, annotations=ClassTable(labels=np.array([0, 1] * 4, np.int32)))
    assert times_shown(even, "repeat_factor").tolist() == [1] * 8


def test_in_order_is_as_the_data_set_lists_them(charts):
    """What shuffling is held against: every epoch alike, class by class where folders are classes."""
    part = snellen.load(charts["classes"]).split("train")
    sampler = training_sampler(part, "in_order")
    assert sampler.rows(0, 0).tolist() == sampler.rows(7, 3).tolist() == list(range(len(part)))


@pytest.mark.parametrize("kind", ["boxes", "classes", "masks"])
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_kind_of_annotation(charts, kind, name):
    part = snellen.load(charts[kind]).split("train")
    rows = training_sampler(part, name).rows(0, 0)
    assert len(rows) >= len(part) or name == "undersampled"
    assert len(rows)
    assert set(rows.tolist()) <= set(range(len(part)))


class CtrlC:
    """Presses Ctrl-C after the second step."""

    def see(self, event):
        if isinstance(event, StepDone) and event.step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    def close(self):
        pass


@pytest.mark.parametrize("name", ["repeat_factor", "class_balanced"])
def test_broken_off_and_resumed(charts, tmp_path, tiny, monkeypatch, name):
    """The same weights as without the break, bit for bit."""
    options = {**tiny, "model": "mobilenet_v2", "tensorboard": False, "sampler": name}
    whole = snellen.train(charts["classes"], folder=tmp_path / "whole", **options)
    assert json.loads((whole.folder / "run.json").read_text())["sampler"] == name
    usual = Session._observers
    monkeypatch.setattr(Session, "_observers", lambda *arguments: [*usual(*arguments), CtrlC()])
    broken = snellen.train(charts["classes"], folder=tmp_path / "broken", **options)
    assert not broken.report.exists()
    monkeypatch.setattr(Session, "_observers", usual)
    resumed = snellen.resume(broken.folder)
    one, other = (torch.load(run.store.last, weights_only=True)["model"] for run in (whole, resumed))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert f"--sampler {name}" in whole.report.read_text(encoding="utf-8")
