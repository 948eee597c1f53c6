"""The verb ensemble and trainings of several members: runs like any other, and exact after a break (SYS-222)."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import snellen
from snellen.errors import CheckpointError, ConfigError, InputError
from snellen.evaluation import ImagePrediction, read_predictions
from snellen.recipes import MemberPlan, ensemble, resume_members, train_members
from snellen.recipes.datasets import prepared
from snellen.recipes.ensembling import averaged_weights, members_of
from snellen.recipes.evaluating import recorded_index
from snellen.recipes.parts import DataPart, part_of
from snellen.recipes.runs import Run
from snellen.recipes.session import Session
from snellen.structures import ClassScores
from snellen.training import StepDone, read_weights

FAST = {"model": "lenet5", "tensorboard": False, "check": False}


@pytest.fixture(scope="module")
def options(tiny):
    return {**tiny, **FAST, "image_size": 32, "epochs": 4, "lr": 0.01}


@pytest.fixture(scope="module")
def runs(charts, options, tmp_path_factory):
    root = tmp_path_factory.mktemp("members")
    return [snellen.train(charts["classes"], folder=root / str(seed), seed=seed, **options) for seed in range(3)]


def probs(run: Run, split: str = "test") -> np.ndarray:
    found: list[ImagePrediction] = list(read_predictions(run.folder / "evaluation" / split, ClassScores))
    return np.stack([each.prediction.probs.numpy() for each in sorted(found, key=lambda each: each.index)])


def test_an_ensemble_is_a_run(runs, tmp_path):
    made = ensemble(runs, folder=tmp_path / "all")
    assert set(made.results) == {"val", "test"}
    assert made.report.exists()
    np.testing.assert_allclose(probs(made), np.mean([probs(run) for run in runs], axis=0), atol=1e-5)
    again = Run.open(made.folder)
    assert again.target_type is runs[0].target_type
    results = snellen.evaluate(again, split="test")
    assert results.scalars == pytest.approx(made.results["test"].scalars)
    index = recorded_index(runs[0])
    image = index.path(int(index.split_rows("test")[0]))
    summary = snellen.predict(again, image, folder=tmp_path / "predicted")
    assert len(summary.predictions) == 1
    report = made.report.read_text(encoding="utf-8")
    assert "snellen ensemble" in report


def test_log_loss_is_below_that_of_the_members(runs, tmp_path):
    """Jensen, on a whole run."""
    made = ensemble(runs, folder=tmp_path / "all")
    own = made.results["test"].scalars["NLL"]
    assert own <= np.mean([run.results["test"].scalars["NLL"] for run in runs]) + 1e-6


def test_weights_are_used_and_fitted_on_validation_images_only(runs, tmp_path):
    given = ensemble(runs, weights=(1, 0, 3), folder=tmp_path / "given")
    np.testing.assert_allclose(probs(given), 0.25 * probs(runs[0]) + 0.75 * probs(runs[2]), atol=1e-5)
    made = ensemble(runs, how="blend", folder=tmp_path / "blend")
    facts = json.loads((made.folder / "ensemble.json").read_text())
    assert sum(facts["shares"]) == pytest.approx(1)
    assert facts["held_out_log_loss"] <= min(facts["member_log_losses"]) + 1e-6
    labels = recorded_index(runs[0]).split("val").annotations.labels
    mixed = sum(share * probs(run, "val") for share, run in zip(facts["shares"], runs, strict=True))
    loss = -np.log(mixed[np.arange(len(labels)), labels]).mean()
    assert facts["held_out_log_loss"] == pytest.approx(loss, rel=1e-4)


def test_a_soup_is_one_model_with_mean_weights(runs, tmp_path):
    made = ensemble(runs, how="soup", folder=tmp_path / "soup")
    assert made.record["model"] == "lenet5"
    weights = read_weights(made.store.best)
    for name, value in weights.items():
        expected = torch.stack([read_weights(run.store.best)[name].double() for run in runs]).mean(0)
        torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-7)


def test_a_greedy_soup_is_no_worse_than_its_best_member(runs, tmp_path):
    """Wortsman et al. 2022, recipe 1: a member stays only if the held-out score does not fall."""
    made = ensemble(runs, how="greedy_soup", folder=tmp_path / "greedy")
    facts = json.loads((made.folder / "ensemble.json").read_text())
    assert facts["held_out_score"] >= max(facts["member_scores"])
    assert made.results["val"].score == pytest.approx(facts["held_out_score"])


def test_weights_of_two_architectures_have_no_mean():
    with pytest.raises(ConfigError, match="one architecture"):
        averaged_weights([{"a": torch.zeros(2)}, {"a": torch.zeros(3)}])


def test_counters_are_no_numbers_to_average():
    state = averaged_weights(
        [{"n": torch.tensor(3), "w": torch.tensor(1.0)}, {"n": torch.tensor(5), "w": torch.tensor(2.0)}]
    )
    assert (int(state["n"]), float(state["w"])) == (3, 1.5)


def test_snapshots_of_one_run(charts, options, tmp_path):
    """Huang et al. 2017: the members are the ends of the cycles; the latest may be taken alone."""
    run = snellen.train(charts["classes"], folder=tmp_path / "run", schedule="snapshot", cycles=2, **options)
    assert [member.file.name for member in members_of([run], snapshots=True)] == ["snapshot-1.pt", "snapshot-2.pt"]
    assert [member.file.name for member in members_of([run], snapshots=True, last=1)] == ["snapshot-2.pt"]
    made = ensemble([run], snapshots=True, folder=tmp_path / "all")
    assert len(made.record["model_options"]["members"]) == 2
    assert made.results["test"].headline == run.results["test"].headline


def test_runs_that_do_not_go_together_are_refused(runs, charts, options, make_charts, tmp_path):
    with pytest.raises(CheckpointError, match="expected snapshots"):
        members_of(runs, snapshots=True)
    other = snellen.train(
        charts["classes"], folder=tmp_path / "size", **{**options, "image_size": 64, "model": "mobilenet_v2"}
    )
    with pytest.raises(ConfigError, match="must agree in image_size"):
        ensemble([runs[0], other], folder=tmp_path / "x")
    elsewhere = make_charts(tmp_path / "others", "classes")
    (elsewhere / "more").mkdir(exist_ok=True)
    with pytest.raises(ConfigError, match="how must be one of"):
        ensemble(runs, how="median", folder=tmp_path / "x")
    with pytest.raises(CheckpointError, match="a run is there"):
        ensemble(runs, folder=runs[0].folder)
    assert not (tmp_path / "x").exists()


def test_folds_hold_every_image_out_once(charts, options, tmp_path):
    """SYS-234."""
    made = train_members(charts["classes"], MemberPlan(kind="folds", count=3), folder=tmp_path / "cv", **options)
    folds = [Run.open(made.folder / "members" / str(number)) for number in (1, 2, 3)]
    whole = recorded_index(made)
    pool = {str(whole.path(row)) for name in ("train", "val") for row in whole.split_rows(name)}
    held = [{str(index.path(row)) for row in index.split_rows("val")} for index in map(recorded_index, folds)]
    assert set().union(*held) == pool
    assert sum(map(len, held)) == len(pool)
    for index, own in zip(map(recorded_index, folds), held, strict=True):
        assert {str(index.path(row)) for row in index.split_rows("train")} == pool - own
        assert sorted(index.split_rows("test")) == sorted(whole.split_rows("test"))
    assert set(made.results) == {"test"}  # each validation image was learned from by two of the three
    scores = json.loads((made.folder / "scores.json").read_text())
    assert scores["scores"] == pytest.approx([run.results["val"].score for run in folds])
    np.testing.assert_allclose(probs(made), np.mean([probs(run) for run in folds], axis=0), atol=1e-5)


def test_the_best_folds_are_kept(charts, options, tmp_path):
    plan = MemberPlan(kind="folds", count=3, keep=1)
    made = train_members(charts["classes"], plan, folder=tmp_path / "cv", **options)
    scores = json.loads((made.folder / "scores.json").read_text())
    assert scores["kept"] == [int(np.argmax(scores["scores"]))]
    assert len(made.record["model_options"]["members"]) == 1


def test_seeds_share_their_splits(charts, options, tmp_path):
    made = train_members(charts["classes"], MemberPlan(kind="seeds", count=2), folder=tmp_path / "s", **options)
    members = [Run.open(made.folder / "members" / str(number)) for number in (1, 2)]
    assert [run.record["settings"]["seed"] for run in members] == [0, 1]
    assert members[0].record["fingerprint"] == members[1].record["fingerprint"]
    assert set(made.results) == {"val", "test"}


def test_balanced_subsets_share_validation_and_test_images(make_charts, options, tmp_path):
    """SYS-225: every member has all images of the smallest class and others of the larger one."""
    data = make_charts(tmp_path / "charts", "classes", num_train=12)
    made = train_members(data, MemberPlan(kind="subsets", count=2), folder=tmp_path / "s", **options)
    members = [recorded_index(Run.open(made.folder / "members" / str(number))) for number in (1, 2)]
    for index in members:
        counts = np.bincount(index.split("train").annotations.labels)
        assert counts.min() == counts.max()
        assert sorted(index.split_rows("val")) == sorted(recorded_index(made).split_rows("val"))
    assert set(made.results) == {"val", "test"}


def test_bagging_validates_on_what_was_not_drawn(make_charts, options, tmp_path):
    """SYS-219: as many images as there are, some several times; the others are held out, and no split leaks."""
    data = make_charts(tmp_path / "charts", "classes", num_train=12)
    plan = MemberPlan(kind="bootstrap", count=3)
    made = train_members(data, plan, folder=tmp_path / "b", **options)
    members = [Run.open(made.folder / "members" / str(number)) for number in (1, 2, 3)]
    whole = recorded_index(made)
    pool = [str(whole.path(row)) for name in ("train", "val") for row in whole.split_rows(name)]
    draws = []
    for index in map(recorded_index, members):
        drawn = [str(index.path(row)) for row in index.split_rows("train")]
        held = [str(index.path(row)) for row in index.split_rows("val")]
        draws.append(sorted(drawn))
        assert len(drawn) == len(pool) > len(set(drawn))
        assert set(drawn) | set(held) == set(pool)
        assert not set(drawn) & set(held)
        assert sorted(index.split_rows("test")) == sorted(whole.split_rows("test"))
        labels = {str(index.path(row)): int(index.annotations.labels[row]) for row in range(len(index))}
        assert labels == {str(whole.path(row)): int(whole.annotations.labels[row]) for row in range(len(whole))}
    assert draws[0] != draws[1] != draws[2]
    assert {run.record["settings"]["seed"] for run in members} == {options.get("seed", 0)}  # the draw alone differs
    assert set(made.results) == {"test"}  # what one held out, another learned from
    np.testing.assert_allclose(probs(made), np.mean([probs(run) for run in members], axis=0), atol=1e-5)
    scores = json.loads((made.folder / "scores.json").read_text())
    assert scores["scores"] == pytest.approx([run.results["val"].score for run in members])
    assert "drawn with replacement; the others validate" in members[0].record["reasons"]["part"]


def test_draws_are_of_whole_groups_and_leave_some_out(charts):
    """SYS-219: images of one group are drawn together; a draw of everything is refused."""
    index = prepared(snellen.load(charts["classes"]), 0)
    pool = sum(len(index.split_rows(name)) for name in ("train", "val"))
    groups = np.arange(len(index)) // 3
    grouped = part_of(replace(index, groups=groups), DataPart(kind="bootstrap", number=2, of=5, seed=3))
    drawn, held = ({int(grouped.groups[row]) for row in grouped.split_rows(name)} for name in ("train", "val"))
    assert drawn
    assert held
    assert not drawn & held
    again = part_of(replace(index, groups=groups), DataPart(kind="bootstrap", number=2, of=9, seed=3))
    assert list(again.paths) == list(grouped.paths)  # a draw does not depend on how many there are
    one_group = replace(index, groups=np.zeros(len(index), np.int64))
    with pytest.raises(InputError, match=rf"took every one of {pool} images.*--split-seed"):
        part_of(one_group, DataPart(kind="bootstrap", number=1, of=2, seed=0))


def test_a_broken_fold_goes_on_exactly(charts, options, tmp_path, monkeypatch):
    plan = MemberPlan(kind="folds", count=2)
    whole = train_members(charts["classes"], plan, folder=tmp_path / "whole", **options)

    class KilledError(Exception):
        pass

    class Killer:
        def see(self, event):
            if isinstance(event, StepDone) and event.step == 3:
                raise KilledError

        def close(self):
            pass

    original = Session._observers

    def observers(self, *args):
        killers = [Killer()] if self.run.folder.name == "2" else []
        return [*original(self, *args), *killers]

    monkeypatch.setattr(Session, "_observers", observers)
    with pytest.raises(KilledError):
        train_members(charts["classes"], plan, folder=tmp_path / "broken", **options)
    assert not (tmp_path / "broken" / "run.json").exists()
    stamp = (tmp_path / "broken" / "members" / "1" / "report.html").stat().st_mtime_ns
    monkeypatch.setattr(Session, "_observers", original)
    made = resume_members(tmp_path / "broken")
    assert (tmp_path / "broken" / "members" / "1" / "report.html").stat().st_mtime_ns == stamp
    for name, value in read_weights(made.store.best).items():
        assert torch.equal(value, read_weights(whole.store.best)[name]), name
    with pytest.raises(CheckpointError, match="nothing to resume"):
        resume_members(tmp_path / "broken")
    with pytest.raises(CheckpointError, match="nothing to resume"):
        snellen.resume(made.folder)


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({"kind": "folds", "count": 1}, "folds must be 2 or more"),
        ({"kind": "seeds", "count": 2, "keep": 3}, "keep must be"),
    ],
)
def test_impossible_plans_are_refused(plan, words):
    with pytest.raises(ConfigError, match=words):
        MemberPlan(**plan)


def test_detectors_are_fused(trained, tmp_path):
    run = trained("boxes")
    made = ensemble([run, run], folder=tmp_path / "boxes")
    own, both = run.results["test"].scalars, made.results["test"].scalars
    assert both.keys() == own.keys()
    assert both["AP50"] == pytest.approx(own["AP50"], abs=0.2)
