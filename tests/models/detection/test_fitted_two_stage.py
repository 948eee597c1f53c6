"""What R-CNN and SPPNet have in common: four stages (NUM-076), three judges, images that are not like the others."""

import copy
import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from snellen.errors import ConfigError, InputError
from snellen.models.detection.fitting import MiningSettings, SvmSettings
from snellen.structures import Batch, Model, Sample, Staged

_SPEC = importlib.util.spec_from_file_location("fitted_scenes", Path(__file__).with_name("fitted_scenes.py"))
scenes = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(scenes)


@pytest.fixture(scope="module")
def train_batches():
    return scenes.collated([scenes.scene(row) for row in range(40)])


@pytest.fixture(scope="module")
def test_batches():
    return scenes.collated([scenes.scene(row, seed=1) for row in range(24)])


@pytest.fixture(params=scenes.BUILDERS)
def name(request):
    return request.param


def test_is_a_staged_model(name):
    model = scenes.built(name)
    assert isinstance(model, Model)
    assert isinstance(model, Staged)
    assert [(stage.name, stage.kind) for stage in model.stages] == [
        ("fine-tune", "gradient"),
        *((stage, "fit") for stage in scenes.FIT_STAGES),
    ]
    for call in (model.enter, lambda stage: model.fit_stage(stage, None)):
        with pytest.raises(ConfigError, match="svm"):
            call("svn")


def test_each_stage_raises_average_precision(name, train_batches, test_batches, tmp_path):
    """SYS-009, SYS-012, ERR-115: fine-tuning, machines on ground truth and hard negatives, refined boxes."""
    mining = MiningSettings(svm=SvmSettings(cost=0.01, tolerance=1e-3))
    model = scenes.built(name, mining=mining)
    if name == "sppnet":  # its network is never trained: it needs one that was
        other = scenes.built("rcnn")
        scenes.fine_tune(other, train_batches, epochs=6)
        model.backbone.network.load_state_dict(other.region_features.network.state_dict())
    figures = [scenes.average_precision(model, test_batches)["AP"]]
    scenes.fine_tune(model, train_batches, epochs=2)
    figures.append(scenes.average_precision(model, test_batches)["AP"])
    data = scenes.fit_data(train_batches, tmp_path)
    for stage in scenes.FIT_STAGES:
        model.enter(stage)
        model.fit_stage(stage, data)
        figures.append(scenes.average_precision(model, test_batches)["AP"])
    before, tuned, described, machines, refined = figures
    assert tuned > before + 0.05
    assert described == tuned
    assert machines > tuned + 0.02
    assert refined > machines + 0.01
    assert refined > {"rcnn": 0.3, "sppnet": 0.17}[name]
    model.use_box_regression = False
    assert scenes.average_precision(model, test_batches)["AP"] == machines
    model.head = "softmax"
    assert scenes.average_precision(model, test_batches)["AP"] == tuned
    model.head = "forest"
    with pytest.raises(ConfigError, match="forest"):
        scenes.decoded(model, test_batches[0])


def test_what_learns_gets_a_gradient_and_the_rest_stays(name, train_batches):
    model = scenes.built(name)
    assert not any(p.requires_grad for p in model.backbone.parameters())
    before = copy.deepcopy(model.state_dict())
    model.train()
    batch = train_batches[0]
    losses = model.loss(model(batch.images, batch.targets), batch.targets)
    assert set(losses) == {"class"}
    losses["class"].backward()
    learning = {key: p for key, p in model.named_parameters() if p.requires_grad}
    assert {key.split(".")[0] for key in learning} == {"region_head"} | (
        {"region_features"} if name == "rcnn" else set()
    )
    assert [key for key, p in learning.items() if p.grad is None or not p.grad.any()] == []
    fixed = [key for key in before if key.startswith("backbone.")]
    assert bool(fixed) == (name == "sppnet")  # a fixed network keeps its statistics too
    assert all(torch.equal(model.state_dict()[key], before[key]) for key in fixed)


@pytest.mark.parametrize("stage", scenes.FIT_STAGES)
def test_nothing_descends_in_a_fitting_stage(name, stage):
    model = scenes.built(name)
    for _ in range(2):
        model.enter(stage)
        assert not any(p.requires_grad for p in model.parameters())
    model.enter("fine-tune")
    assert any(p.requires_grad for p in model.parameters())


def test_what_was_fitted_is_part_of_the_state(name, train_batches, test_batches, tmp_path):
    model = scenes.built(name)
    scenes.fit(model, scenes.fit_data(train_batches[:3], tmp_path))
    other = scenes.BUILDERS[name]()
    other.load_state_dict(copy.deepcopy(model.state_dict()))
    for batch in test_batches[:2]:
        found = scenes.decoded(model, batch)
        assert sum(len(each.scores) for each in found) > 0
        scenes.assert_same(scenes.decoded(other, batch), found)
    output = other.eval()(test_batches[0].images)
    assert output.margins is not None
    assert output.box_offsets is not None


def test_new_features_make_the_machines_obsolete(name, train_batches, test_batches, tmp_path):
    model = scenes.built(name)
    softmax = scenes.decoded(model, test_batches[0])
    scenes.fit(model, scenes.fit_data(train_batches[:2], tmp_path))
    model.enter("svm")  # a run that goes on
    assert model.eval()(test_batches[0].images).margins is not None
    model.enter("fine-tune")
    assert model.eval()(test_batches[0].images).margins is None
    scenes.assert_same(scenes.decoded(model, test_batches[0]), softmax)


@torch.no_grad()
def test_batch_of_two_is_two_batches_of_one(name, train_batches, tmp_path):
    model = scenes.built(name)
    scenes.fit(model, scenes.fit_data(train_batches[:2], tmp_path))
    samples = [scenes.scene(row, seed=2, num_random=5 + 30 * row) for row in range(2)]
    batch = Batch.collate(samples, stride=8)
    together = model.eval()(batch.images)
    for row, sample in enumerate(samples):
        alone = model(Batch.collate([sample], stride=8).images)
        count = len(sample.regions)
        for part in ("class_logits", "margins", "box_offsets"):
            torch.testing.assert_close(
                getattr(together, part)[row, :count], getattr(alone, part)[0], atol=1e-4, rtol=1e-4
            )
        one = together.map(lambda tensor, row=row: tensor[row : row + 1])
        sizes = batch.images.original_sizes
        scenes.assert_same(model.decode(one, sizes[row : row + 1]), model.decode(together, sizes)[row : row + 1])


def test_padding_rows_are_not_computed(name, train_batches):
    model = scenes.built(name).eval()
    seen = []
    model.region_features.register_forward_hook(lambda module, args, result: seen.append(len(result)))
    samples = [scenes.scene(0, num_random=3), scenes.scene(1, num_random=90)]
    batch = Batch.collate(samples, stride=8)
    with torch.no_grad():
        output = model(batch.images)
    assert sum(seen) == sum(len(sample.regions) for sample in samples) < output.regions.valid.numel()
    assert max(seen) <= model.chunk
    assert not output.class_logits[~output.regions.valid].any()


def test_a_class_without_an_example_is_never_found_and_said_so(name, train_batches, test_batches, tmp_path):
    model = scenes.built(name, num_classes=5)
    facts = scenes.fit(model, scenes.fit_data(train_batches[:3], tmp_path))
    assert facts["svm"]["classes without an example, which are never found"] == "2, 3, 4"
    labels = torch.cat([each.labels for batch in test_batches[:2] for each in scenes.decoded(model, batch)])
    assert set(labels.tolist()) == {0, 1}


def odd_sample(boxes, labels, regions, ignored=None):
    generator = torch.Generator().manual_seed(0)
    return Sample(
        image=torch.randint(0, 256, (3, scenes.SIDE, scenes.SIDE), generator=generator, dtype=torch.uint8),
        target=scenes.target(boxes, labels, ignored),
        index=0,
        source="",
        original_size=(scenes.SIDE, scenes.SIDE),
        regions=torch.tensor(regions, dtype=torch.float32).reshape(-1, 4),
    )


FULL = [0.0, 0.0, scenes.SIDE, scenes.SIDE]
ODD = {
    "no proposals": odd_sample([FULL], [0], []),
    "no objects": odd_sample([], [], [[1, 2, 30, 40]]),
    "neither": odd_sample([], [], []),
    "an object that fills the image": odd_sample([FULL], [1], [FULL, [0, 0, 60, 60], [5, 5, 9, 9]]),
    "a region without area": odd_sample([[4, 4, 20, 20]], [0], [[7, 7, 7, 30], [30, 30, 30, 30]]),
    "all ignored": odd_sample([[4, 4, 20, 20]], [0], [[4, 4, 20, 21]], ignored=[True]),
}


@pytest.mark.parametrize(
    ("case", "num_classes"), [*((case, 2) for case in ODD), ("an object that fills the image", 500)]
)
def test_odd_images(name, case, num_classes, tmp_path):
    model = scenes.built(name, num_classes=num_classes)
    sample = ODD[case]
    batch = Batch.collate([sample], stride=8)
    for training in (True, False):
        loss = model.train(training).loss(model(batch.images, batch.targets), batch.targets)["class"]
        assert loss.isfinite()
        loss.backward()
    scenes.fit(model, scenes.fit_data([batch], tmp_path))
    for each in scenes.decoded(model, batch):
        assert each.boxes.isfinite().all()
        assert each.scores.isfinite().all()
        assert (each.labels < num_classes).all()
    alone = scenes.fit(
        scenes.built(name, num_classes=num_classes),
        scenes.fit_data([batch, *scenes.collated([replace(scenes.scene(9), index=1)])], tmp_path / "2"),
    )
    assert alone["svm"]["objects"] == len(scenes.scene(9).target.labels) + int((~sample.target.ignored).sum())


def test_one_class(name, train_batches, tmp_path):
    model = scenes.built(name, num_classes=1)
    batches = [
        replace(batch, targets=replace(batch.targets, labels=batch.targets.labels * 0)) for batch in train_batches
    ]
    scenes.fit(model, scenes.fit_data(batches[:4], tmp_path))
    found = scenes.decoded(model, batches[0])
    assert all(len(each.scores) and not each.labels.any() for each in found)


def test_regions_and_boxes_are_asked_for(name, train_batches, tmp_path):
    model = scenes.built(name)
    batch = train_batches[0]
    bare = replace(batch, images=replace(batch.images, regions=None))
    with pytest.raises(InputError, match="regions"):
        model(bare.images)
    with pytest.raises(InputError, match="no regions"):
        model.fit_stage("features", scenes.fit_data([bare], tmp_path))
    with pytest.raises(InputError, match="targets"):
        model.loss(model(batch.images), batch.targets)


def test_targets_change_no_verdict(name, train_batches):
    """Targets add what the loss needs and change no verdict."""
    model = scenes.built(name).eval()
    batch = train_batches[0]
    with torch.no_grad():
        bare, given = model(batch.images), model(batch.images, batch.targets)
    assert torch.equal(bare.class_logits, given.class_logits)
    assert model.loss(given, batch.targets)["class"] > 0


def test_training_mode_is_left_as_it_was(name, train_batches, tmp_path):
    model = scenes.built(name).train()
    model.fit_stage("features", scenes.fit_data(train_batches[:1], tmp_path))
    assert model.training
    assert model.region_head.training
    assert model.backbone.training == (name == "rcnn")


def test_bf16_autocast(name, train_batches):
    model = scenes.built(name).train()
    batch = train_batches[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(batch.images, batch.targets)
    loss = model.loss(output, batch.targets)["class"]
    assert loss.dtype == torch.float32
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
