"""Classes of very unequal size, from the files to the report: what is told by default, and what each remedy does."""

import json
import shlex
import shutil
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

import snellen
from snellen.errors import CheckpointError, ConfigError
from snellen.recipes import Run
from snellen.recipes.loaders import evaluation_loader, training_loader
from snellen.recipes.operating import OPERATING, read_operating
from snellen.recipes.options import options_from
from snellen.recipes.preparing import prepare_training
from snellen.recipes.reporting import _commands
from snellen.training import CheckpointStore

QUICK = {
    "model": "lenet5_modern", "epochs": 4, "batch_size": 16, "lr": 1e-3, "augment": 0.0, "flip": False, "workers": 0,
    "device": "cpu", "precision": "fp32", "check": False, "tensorboard": False,
}  # fmt: skip
REMEDIES = {
    "nothing": {},
    "weights": {"class_weights": "inverse"},
    "sampler": {"sampler": "class_balanced"},
}


def write_set(root, counts, *, seed=0, noise=45, brighter=60):
    """Noise; the second class has a brighter stripe."""
    rng = np.random.default_rng(seed)
    for split, by_class in counts.items():
        for label, (name, count) in enumerate(by_class.items()):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                image = rng.normal(128, noise, (32, 32, 3))
                image[:, 8:24] += brighter * label
                Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """1 : 50 in training, so that few images suffice to measure the rare class."""
    return write_set(
        tmp_path_factory.mktemp("uneven") / "set",
        {"train": {"common": 250, "rare": 5}, "val": {"common": 20, "rare": 6}, "test": {"common": 40, "rare": 10}},
    )


@pytest.fixture(scope="module")
def runs(uneven, tmp_path_factory):
    """Return a run with a remedy, trained once; tests must not change its folder."""
    root = tmp_path_factory.mktemp("uneven-runs")
    made = {}

    def get(remedy):
        if remedy not in made:
            made[remedy] = snellen.train(uneven, folder=root / remedy, seed=0, **QUICK, **REMEDIES[remedy])
        return made[remedy]

    return get


@pytest.fixture
def own_run(runs, tmp_path):
    def copy(remedy="weights"):
        shutil.copytree(runs(remedy).folder, tmp_path / remedy)
        return Run.open(tmp_path / remedy)

    return copy


def planned(data, **options):
    quick = {name: value for name, value in QUICK.items() if name != "check"}
    return prepare_training(data, options_from({**quick, **options}))


def rare_recall(run):
    return run.results["test"].tables[0].rows[1][3]


def test_by_default_the_truth_is_told(runs):
    """DX-001, DX-002: always naming the large class has an accuracy of 0.8 here, and a headline of one half."""
    run = runs("nothing")
    results = run.results["test"]
    assert rare_recall(run) == 0
    assert results.scalars["accuracy"] == pytest.approx(0.8)
    assert results.headline == "balanced_accuracy"
    assert results.score == 0.5
    assert run.record["headline"] == "balanced_accuracy"
    reason = run.record["reasons"]["headline"]
    assert "250 images of common, 5 of rare" in reason
    assert "accuracy of 0.98" in reason
    assert "balanced_accuracy" in run.report.read_text(encoding="utf-8")


def test_best_weights_are_those_of_the_headline(runs):
    run = runs("weights")
    best = torch.load(CheckpointStore(run.folder / "checkpoints").best, weights_only=False)
    assert best["score"] == pytest.approx(run.results["val"].scalars["balanced_accuracy"])


@pytest.mark.parametrize("remedy", ["weights", "sampler"])
def test_remedies_raise_the_recall_of_the_rare_class(runs, remedy):
    """Q-013, SYS-149: the same network, data, seed and number of steps or fewer."""
    assert rare_recall(runs(remedy)) >= rare_recall(runs("nothing")) + 0.5
    assert runs(remedy).results["test"].score > 0.8


def test_counts_come_from_the_training_images_and_are_written_down(runs):
    record = runs("weights").record
    assert record["model_options"]["class_counts"] == [250, 5]
    assert "common 250, rare 5" in record["reasons"]["class_counts"]
    assert "rare 25.5, common 0.51" in record["reasons"]["class_weights"]
    assert runs("weights").build().answer.class_weights.tolist() == pytest.approx([0.51, 25.5])
    assert "class_counts" not in runs("nothing").record["model_options"]


def test_a_loss_evens_out_what_the_sampler_shows(uneven):
    """Counts under a sampler are those that the loss meets, so that nothing is evened out twice."""
    ready = planned(uneven, sampler="oversampled", class_weights="inverse")
    assert ready.record["model_options"]["class_counts"] == [250, 250]
    assert ready.model.answer.class_weights.tolist() == [1, 1]
    assert ready.record["reasons"]["sampler"] == (
        "given; an epoch shows 500 of 255 images: common 250 of 250, rare 250 of 5"
    )


def test_weights_by_hand_and_by_name(uneven):
    assert planned(uneven, class_weights=[1, 9]).model.answer.class_weights.tolist() == [1, 9]
    by_name = planned(uneven, class_weights={"rare": 9})
    assert by_name.record["model_options"]["class_weights"] == [1.0, 9]
    assert by_name.model.answer.class_weights.tolist() == [1, 9]
    with pytest.raises(ConfigError, match=r"class_weights must name classes.*'rar'.*Did you mean 'rare'"):
        planned(uneven, class_weights={"rar": 9})
    with pytest.raises(ConfigError, match="finite numbers of 0 or more"):
        planned(uneven, class_weights={"rare": -9})
    with pytest.raises(ConfigError, match="Did you mean 'inverse'"):
        planned(uneven, class_weights="inverce")


def test_losses_by_name_and_logit_adjustment(uneven):
    ready = planned(uneven, loss="focal", model_options={"gamma": 1.0, "logit_adjustment": "post_hoc"})
    assert ready.model.answer.objective.loss == "focal"
    assert ready.record["model_options"]["class_counts"] == [250, 5]
    assert ready.model.answer.log_prior.exp().tolist() == pytest.approx([250 / 255, 5 / 255])
    with pytest.raises(ConfigError, match="must be one of 'cross_entropy', 'focal'"):
        planned(uneven, loss="hinge")


def test_the_headline_can_be_chosen(uneven):
    ready = planned(uneven, headline="macro_F1")
    assert (ready.record["headline"], ready.record["reasons"]["headline"]) == ("macro_F1", "given")
    with pytest.raises(ConfigError, match=r"headline must be one of.*Did you mean 'macro_F1'"):
        planned(uneven, headline="macro_f1")


def test_thresholds_are_chosen_on_validation_images_and_kept(own_run, tmp_path):
    """SYS-160, SYS-169, SYS-359, DX-104: chosen on val, measured on test, used by predict."""
    run = own_run()
    before = snellen.evaluate(run)
    results = snellen.evaluate(run, at_recall=1.0)
    chosen = read_operating(run)
    assert chosen.points["rare"].recall == 1
    assert chosen.num_images == 26
    assert chosen.decision.found == 1
    told = json.loads((run.folder / OPERATING).read_text())
    assert told["chosen_on"] == "val"
    threshold = chosen.points["rare"].threshold
    assert f"from a probability of {threshold:.3g} on" in results.tables[0].note
    assert snellen.evaluate(run).tables[0] == results.tables[0]  # kept
    assert snellen.evaluate(run, plain=True).tables[0] == before.tables[0]
    assert "Thresholds" in run.report.read_text(encoding="utf-8")
    images = sorted((run.folder / "..").resolve().glob("none")) or [run.record["data"] + "/test/rare"]
    summary = snellen.predict(run, images, folder=tmp_path / "out", drawn=False)
    for line in (summary.folder / "predictions.jsonl").read_text().splitlines():
        entry = json.loads(line)
        assert entry["name"] == ("rare" if entry["probs"][1] >= threshold else "common")


def test_a_temperature_is_fitted_and_kept(own_run):
    """ERR-026: the likelihood of the validation images never falls; the order of the classes stays."""
    run = own_run()
    before = snellen.evaluate(run, split="val")
    after = snellen.evaluate(run, split="val", calibrate=True)
    assert after.scalars["NLL"] <= before.scalars["NLL"] + 1e-6
    assert after.scalars["accuracy"] == before.scalars["accuracy"]
    chosen = read_operating(run)
    assert chosen.temperature != 1
    assert chosen.calibration["NLL_after"] == pytest.approx(after.scalars["NLL"], rel=1e-4)
    later = snellen.evaluate(run, split="val", best_f1=True)  # stays beside thresholds that are chosen later
    assert later.scalars["NLL"] == pytest.approx(after.scalars["NLL"])
    assert read_operating(run).temperature == chosen.temperature


def test_what_was_chosen_is_for_one_set_of_weights(own_run):
    run = own_run()
    snellen.evaluate(run, best_f1=True)
    assert read_operating(run) is not None
    store = CheckpointStore(run.folder / "checkpoints")
    store.save_best(run.build().state_dict(), score=0.0, epoch=9, step=999)
    assert read_operating(run) is None
    (run.folder / OPERATING).write_text("{")
    with pytest.raises(CheckpointError, match="Remove the file, or choose again"):
        read_operating(run)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at_recall": 0.9, "best_f1": True}, "aims at one thing"),
        ({"at_recall": 1.5}, "recall must be above 0, at most 1"),
        ({"find": "rare"}, "without at_recall, at_precision or best_f1"),
        ({"best_f1": True, "find": "raer"}, "Did you mean 'rare'"),
        ({"best_f1": True, "plain": True}, "Leave one out"),
    ],
)
def test_thresholds_that_make_no_sense(runs, options, message):
    with pytest.raises(ConfigError, match=message):
        snellen.evaluate(runs("weights"), **options)


def test_a_precision_out_of_reach_is_told_with_the_most_there_is(own_run):
    run = own_run("nothing")
    with pytest.raises(ConfigError, match=r"no threshold of 'rare' reaches a precision of 1.0 on 26 .* most is 0\."):
        snellen.evaluate(run, at_precision=1.0)
    assert not (run.folder / OPERATING).exists()


def test_a_class_of_one_image(tmp_path):
    """It is trained on, never measured, and stands in no mean; nothing divides by its absence."""
    data = write_set(tmp_path / "set", {"train": {"a": 24, "b": 20, "single": 1}})
    quick = {**QUICK, "epochs": 1, "class_weights": "inverse", "sampler": "class_balanced"}
    run = snellen.train(data, folder=tmp_path / "run", **quick)
    index = snellen.load(data)
    assert index.describe().objects_per_class["train"]["single"] == 1
    for results in run.results.values():
        rows = {row[0]: row for row in results.tables[0].rows}
        assert rows["single"][1:] == (0, None, None, None, None, None)
        assert "left out of every mean" in results.tables[0].note
        assert np.isfinite(results.scalars["balanced_accuracy"])
    assert "1 of single" in run.record["reasons"]["headline"]
    snellen.evaluate(run, best_f1=True)
    assert "single" not in read_operating(run).points


def test_an_empty_class(tmp_path):
    """A name without images weighs nothing, is never favoured, and changes no other class."""
    data = write_set(tmp_path / "set", {"train": {"a": 12, "b": 12}, "val": {"a": 3, "b": 3}, "test": {"a": 3, "b": 3}})
    options = {"read": snellen.data.ReadOptions(classes=("a", "b", "nothing"))}
    ready = planned(data, class_weights="inverse", **options)
    assert ready.model.answer.class_weights.tolist() == [1, 1, 0]
    assert ready.record["headline"] == "accuracy"
    adjusted = planned(data, model_options={"logit_adjustment": "post_hoc"}, **options)
    assert adjusted.model.answer.log_prior[2] == adjusted.model.answer.log_prior[0]
    for sampler in ("class_balanced", "square_root", "oversampled", "undersampled", "repeat_factor"):
        assert planned(data, sampler=sampler, **options).record["sampler"] == sampler


def test_a_balanced_part_of_the_training_images(uneven):
    """SYS-225: one of the models that vote; validation and test images are those of all."""
    ready = planned(uneven, subset="2/50")
    index = ready.index
    assert index.describe().objects_per_class["train"] == {"common": 5, "rare": 5}
    assert len(index.split_rows("val")) == 26
    assert ready.record["headline"] == "accuracy"
    assert "as many of each class as the smallest has" in ready.record["reasons"]["part"]
    other = planned(uneven, subset="3/50", seed=0)
    assert not set(index.split("train").paths) & set(other.index.split("train").paths) - {
        path for path in index.split("train").paths if "rare" in path
    }
    for wrong in ("0/3", "4/3", "2", "x/y"):
        with pytest.raises(ConfigError, match="a part and the number of parts"):
            planned(uneven, subset=wrong)


def test_mixing_and_operations_are_functions_of_the_seed(uneven):
    """Resuming repeats them: a batch depends on the seed, its epoch and its number alone."""
    ready = planned(uneven, cutmix=0.5, mixup=0.3, randaugment=(2, 9), erase=0.5, noise=20.0, augment=0.5)
    assert ready.record["randaugment"] == [2, 9]
    first, second = (training_loader(ready.index, ready.record, 1) for _ in range(2))
    whole = list(first.epoch(2))
    later = next(second.epoch(2, first_batch=5))
    assert torch.equal(whole[5].images.pixels, later.images.pixels)
    assert torch.equal(whole[5].targets.probs, later.targets.probs)
    assert any(((batch.targets.probs > 0) & (batch.targets.probs < 1)).any() for batch in whole)
    other = training_loader(ready.index, {**ready.record, "settings": {**ready.record["settings"], "seed": 1}}, 1)
    assert not torch.equal(next(other.epoch(2)).images.pixels, whole[0].images.pixels)


def test_noise_stands_in_training_alone(uneven):
    """SYS-216: the same images with noise upon them; what is measured has none."""
    clear, noisy = (planned(uneven, noise=noise, augment=0.0, flip=False) for noise in (0.0, 30.0))
    pairs = zip(*(training_loader(ready.index, ready.record, 1).epoch(0) for ready in (clear, noisy)), strict=True)
    apart = [(other.images.pixels.float() - one.images.pixels.float()).abs().mean() for one, other in pairs]
    assert 1 < sum(apart) / len(apart) < 30
    part = clear.index.split("val")
    one, other = (next(evaluation_loader(part, ready.record, 1).epoch(0)) for ready in (clear, noisy))
    assert torch.equal(one.images.pixels, other.images.pixels)
    with pytest.raises(ConfigError, match="noise must be a finite number from 0 to 255"):
        planned(uneven, noise=300.0)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("boxes", {"cutmix": 0.5}),
        ("boxes", {"randaugment": (2, 9)}),
        ("masks", {"erase": 0.5}),
        ("masks", {"mixup": 0.5}),
    ],
)
def test_what_would_spoil_targets_is_refused_before_anything_begins(charts, kind, options):
    models = {"boxes": "faster_rcnn_r18_fpn", "masks": "unet_resnet18"}
    with pytest.raises(ConfigError, match=f"{next(iter(options))} keeps .* right; the data set has"):
        planned(charts[kind], model=models[kind], **options)


def test_the_command_in_the_report_says_what_was_asked_for(runs, uneven, tmp_path):
    """Counts follow from the data and are left out; what was chosen comes back as the same record."""
    _, command, _ = _commands(runs("weights"))
    words = shlex.split(command)
    assert 'class_weights="inverse"' in words
    assert not any("class_counts" in word for word in words)
    asked = {"subset": "2/50", "headline": "macro_F1", "cutmix": 0.5, "randaugment": (2, 9), "erase": 0.25}
    record = planned(uneven, **asked, noise=8.0, class_weights={"rare": 9.0}).record
    words = shlex.split(_commands(Run.create(tmp_path / "planned", record))[1])
    pairs = dict(pairwise(words))
    assert pairs["--subset"] == "2/50"
    assert pairs["--headline"] == "macro_F1"
    assert (pairs["--cutmix"], pairs["--randaugment"], pairs["--erase"]) == ("0.5", "2,9", "0.25")
    assert pairs["--noise"] == "8.0"
    assert "class_weights=[1.0, 9.0]" in words
