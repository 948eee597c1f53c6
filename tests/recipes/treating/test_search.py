"""Which treatments go on, what a gain is, and what is put together."""

from dataclasses import replace
from pathlib import Path

import pytest
from scipy import stats

from snellen.evaluation import to_json
from snellen.recipes import TrainOptions
from snellen.recipes.experiments.arms import Arm
from snellen.recipes.experiments.study import ArmOutcomes
from snellen.recipes.experiments.trials import Measured, Outcome
from snellen.recipes.treating.plan import UNTREATED, Try
from snellen.recipes.treating.search import (
    FINALISTS,
    Search,
    combined,
    gain_of,
    judged_beside,
    rungs,
    shortened,
)
from snellen.structures import Results, Table


def outcomes(name: str, scores, *, lower_is_better: bool = False) -> ArmOutcomes:
    """Return outcomes with these scores; None is a training that failed."""
    made = [
        Outcome(status="failed", reason="it diverged.")
        if score is None
        else Outcome(status="done", seconds=2.0, measured={"val": Measured(
            headline="accuracy", score=score, lower_is_better=lower_is_better, scalars={"accuracy": score})})
        for score in scores
    ]  # fmt: skip
    return ArmOutcomes(arm=Arm(name=name), outcomes=tuple(made), folders=tuple(Path(name) for _ in made))


def tried(name: str, *jobs: str, options=None) -> Try:
    own = options or {name: 1}
    return Try(arm=Arm(name=name, options=own), findings=(), jobs=frozenset({*jobs, *own}), source="")


class Trained(Search):
    """A search whose trainings are told."""

    told: dict = {}  # noqa: RUF012 - of the tests
    asked: list = []  # noqa: RUF012

    def at(self, arms, share, measure=("val",)):
        self.asked.append((share, [arm.name for arm in arms]))
        number = len(self.seeds)
        untreated = [0.5, 0.6, 0.5, 0.6, 0.5, 0.6][:number]
        return (outcomes(UNTREATED, untreated), *(outcomes(arm.name, self.told[arm.name][:number]) for arm in arms))


@pytest.fixture
def search(tmp_path):
    Trained.told, Trained.asked = {}, []
    return Trained(data="", index=None, base=TrainOptions(), seeds=(0, 1), folder=tmp_path)


def test_gain_is_the_paired_difference():
    base, row = outcomes(UNTREATED, [0.5, 0.6, 0.7]), outcomes("a", [0.55, 0.68, 0.73])
    found = gain_of(row, base, [base, row])
    spread = stats.ttest_rel([0.55, 0.68, 0.73], [0.5, 0.6, 0.7]).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((spread.low, spread.high))


def test_a_training_that_failed_is_no_better_than_the_worst():
    base, row, other = outcomes(UNTREATED, [None, None]), outcomes("a", [0.7, 0.7]), outcomes("b", [0.2, None])
    assert gain_of(row, base, [base, row, other]).mean == pytest.approx(0.5)
    assert gain_of(other, base, [base, row, other]).mean == pytest.approx(0.0)
    assert judged_beside(row, base, [base, row, other], 1.0).helps
    assert not judged_beside(other, base, [base, row, other], 1.0).helps  # it fails itself


def test_the_better_half_goes_on_and_what_hurts_does_not(search):
    names = [f"t{number}" for number in range(8)]
    Trained.told = {name: [0.5 + 0.01 * place, 0.6 + 0.01 * place] for place, name in enumerate(names)}
    Trained.told["t7"] = [0.9, None]  # fails once
    Trained.told["t0"] = [0.3, 0.4]  # hurts for every seed
    alive, judged = search.halved([tried(name) for name in names], [0.25, 0.5])
    assert Trained.asked[0] == (0.25, names)
    assert Trained.asked[1] == (0.5, ["t3", "t4", "t5", "t6"])
    assert [one.name for one in alive] == ["t4", "t5", "t6"]
    assert len(alive) == FINALISTS
    assert judged["t0"].share == 0.25
    assert judged["t3"].share == 0.5


def test_few_treatments_are_trained_in_full_at_once(search):
    alive, judged = search.halved([tried("a"), tried("b")], [0.25, 0.5])
    assert [one.name for one in alive] == ["a", "b"]
    assert not judged
    assert not Trained.asked


def test_everything_that_helps_is_put_together_once_for_each_job():
    base = outcomes(UNTREATED, [0.5, 0.5])
    pairs = [
        (tried("small", "steps", options={"lr": 1.0}), outcomes("small", [0.6, 0.6])),
        (tried("best", "steps", options={"optimizer": "sgd"}), outcomes("best", [0.8, 0.8])),
        (tried("other", options={"mixup": 0.5}), outcomes("other", [0.7, 0.7])),
        (tried("same", options={"mixup": 0.2}), outcomes("same", [0.65, 0.65])),
    ]
    rows = [base, *(row for _, row in pairs)]
    arm, left_out = combined([(one, judged_beside(row, base, rows, 1.0)) for one, row in pairs])
    assert arm.name == "best + other"
    assert arm.options == {"optimizer": "sgd", "mixup": 0.5}
    assert set(left_out) == {"small", "same"}
    alone, _ = combined([(pairs[0][0], judged_beside(pairs[0][1], base, rows, 1.0))])
    assert alone is None


def test_everything_counted_in_epochs_shrinks_along():
    options = TrainOptions(milestones=(8, 11), switch_epoch=6, switch_lr=0.1, swa_epochs=4, warmup_steps=100,
                           validate_every=5)  # fmt: skip
    found = shortened(options, 12, 0.25)
    assert found == {"epochs": 3, "milestones": (2, 3), "switch_epoch": 2, "swa_epochs": 1, "warmup_steps": 25,
                     "validate_every": 3}  # fmt: skip
    assert shortened(TrainOptions(), 2, 0.25) == {"epochs": 1}


def test_budgets_that_say_nothing_are_left_out():
    assert rungs(12, descends=True) == (0.25, 0.5, 1.0)
    assert rungs(4, descends=True) == (0.5, 1.0)
    assert rungs(2, descends=True) == (1.0,)
    assert rungs(100, descends=False) == (1.0,)


def test_more_seeds_are_trained_where_they_would_tell(search):
    Trained.told = {
        "clear": [0.7, 0.8],
        "open": [0.6, 0.62, 0.59, 0.7, 0.6, 0.71],  # 0.1 and 0.02: two seeds do not tell, six do
        "nothing": [0.9, 0.21],  # far apart: six would not tell
        "hurts": [0.4, 0.5],
    }
    three = replace(search, seeds=(3, 4))
    longer, judged = three.settled([Arm(name=name) for name in Trained.told], 6)
    assert longer.seeds == (3, 4, 5, 6, 7, 8)
    assert [names for _, names in Trained.asked] == [list(Trained.told), ["open"]]
    assert {name for name, one in judged.items() if one.helps} == {"clear", "open"}
    assert judged["open"].gain.count == 6
    assert judged["clear"].gain.count == 2
    same, _ = three.settled([Arm(name="clear")], 6)
    assert same.seeds == (3, 4)


def written(folder: Path, recalls) -> Path:
    table = Table(title="", columns=("Class", "Recall"), rows=tuple((str(n), value) for n, value in enumerate(recalls)))
    place = folder / "evaluation" / "val"
    place.mkdir(parents=True)
    results = Results(headline="accuracy", scalars={"accuracy": 0.5}, tables=(table,))
    (place / "results.json").write_text(to_json(results), encoding="utf-8")
    return folder


def test_a_treatment_that_gives_up_a_class_does_not_help(tmp_path):
    before = [written(tmp_path / f"u{seed}", [0.9, 0.5 + seed / 100, None]) for seed in range(3)]
    worse = [written(tmp_path / f"t{seed}", [0.95, 0.3 + seed / 100, None]) for seed in range(3)]
    little = [written(tmp_path / f"l{seed}", [0.95, 0.48 + seed / 100, None]) for seed in range(3)]
    base = replace(outcomes(UNTREATED, [0.5, 0.5, 0.5]), folders=tuple(before))
    given_up = replace(outcomes("a", [0.7, 0.7, 0.7]), folders=tuple(worse))
    judged = judged_beside(given_up, base, [base, given_up], 1.0)
    assert judged.gain.is_above_zero
    assert judged.worst.mean == pytest.approx(-0.2)
    assert judged.gives_up
    assert not judged.helps
    kept = replace(given_up, folders=tuple(little))
    assert judged_beside(kept, base, [base, kept], 1.0).helps
    assert not judged_beside(outcomes("b", [0.7, 0.7, 0.7]), base, [base], 1.0).gives_up  # nothing is known of classes


def test_what_a_great_fault_hid_is_tried_beside_what_mends_it(search):
    Trained.told = {
        "rate": [0.8, 0.9],
        "rate + longer": [0.9, 1.0],
        "rate + shorter": [0.8, 0.8],
        "rate + wider": [0.85, 0.95],
    }
    rate = Arm(name="rate", options={"lr": None})
    others = [tried("wider", options={"depth": 2}), tried("longer", options={"epochs": 9}), tried("shorter")]
    both = search.added(rate, others)
    # Two of the others help; this one helps more.
    assert (both.name, both.options) == ("rate + longer", {"lr": None, "epochs": 9})
    assert search.asked == [(1.0, ["rate", "rate + wider", "rate + longer", "rate + shorter"])]
    assert search.added(rate, others[2:]) is None
    assert search.added(rate, []) is None
