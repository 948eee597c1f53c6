"""The fitting stages: features that survive a kill, machines and box regression as scikit-learn solves them."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.svm import LinearSVC
from torchvision.ops import box_iou

from snellen.cli.choices import assignments
from snellen.errors import ConfigError, TrainingError
from snellen.models import change_settings, find_model
from snellen.models.detection.feature_cache import FeatureCache, ImageFeatures
from snellen.models.detection.fitting import MiningSettings, SvmSettings
from snellen.structures import Batch

_SPEC = importlib.util.spec_from_file_location("fitted_scenes", Path(__file__).with_name("fitted_scenes.py"))
scenes = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(scenes)


@pytest.fixture(scope="module")
def train_batches():
    return scenes.collated([scenes.scene(row) for row in range(40)])


@pytest.fixture(params=scenes.BUILDERS)
def name(request):
    return request.param


def svm_by_hand(samples, features, label, cost):
    """Positives: the objects of the class. Negatives: what overlaps none of them by 0.3 or more. Plain loops."""
    rows, signs = [], []
    for sample, (proposals, objects) in zip(samples, features, strict=True):
        own = sample.target.boxes[sample.target.labels == label]
        for box, vector in zip(sample.regions, proposals, strict=True):
            if len(own) == 0 or box_iou(box[None], own).max() < 0.3:
                rows.append(vector)
                signs.append(-1)
        for other, vector in zip(sample.target.labels, objects, strict=True):
            rows.append(vector)
            signs.append(1 if other == label else -1)
    rows, signs = torch.stack(rows).double().numpy(), np.array(signs)
    svm = LinearSVC(C=cost, loss="hinge", class_weight={1: 2.0}, intercept_scaling=10, tol=1e-4, max_iter=50_000)
    return svm.fit(rows, signs)


def vectors_of(model, samples, part):
    """Features of proposals and of objects of each image, one call for each image."""
    result = []
    for sample in samples:
        batch = Batch.collate([sample], stride=8)
        with torch.no_grad():
            features = model.eval().features(batch.images)
            found = [
                getattr(
                    model.region_head.describe(
                        model.region_features(features, boxes, torch.zeros(len(boxes), dtype=torch.long))
                    ),
                    part,
                )
                for boxes in (sample.regions, sample.target.boxes)
            ]
        result.append(found)
    return result


def test_machines_are_those_of_scikit_learn(name, tmp_path):
    """ERR-112: negatives lie under 0.3 and positives are ground truth only; a hard one is one that scores high."""
    samples = [scenes.scene(row) for row in range(10)]
    svm = SvmSettings(cost=0.01, tolerance=1e-4, max_iterations=50_000)
    mining = MiningSettings(svm=svm, start_images=10, evict_below=None)
    model = scenes.built(name, mining=mining, feature_dtype="float32", negatives_apart=None)
    scenes.fit(model, scenes.fit_data(scenes.collated(samples), tmp_path))
    features = vectors_of(model, samples, "deep")
    everything = torch.cat([part for pair in features for part in pair])
    margins = model.region_head.svms(everything)
    scale = 20 / float(everything.norm(dim=1).mean())
    features = [[part * scale for part in pair] for pair in features]
    for label in range(2):
        svm = svm_by_hand(samples, features, label, 0.01)
        wanted = svm.decision_function(everything.double().numpy() * scale)
        assert wanted.max() - wanted.min() > 0.5
        np.testing.assert_allclose(margins[:, label].numpy(), wanted, atol=0.02)


def test_negatives_of_sppnet_lie_apart(tmp_path):
    """He et al. 2014, section 4.1: of negatives that overlap by more than 0.7 one stays."""
    samples = [scenes.scene(0), scenes.scene(1)]
    samples = [replace(sample, regions=sample.regions.repeat(3, 1)) for sample in samples]
    counts = []
    for apart in (None, 0.7):
        mining = MiningSettings(start_images=2, evict_below=None)
        model = scenes.built("sppnet", negatives_apart=apart, mining=mining)
        counts.append(
            scenes.fit(model, scenes.fit_data(scenes.collated(samples), tmp_path / str(apart)))["svm"]["hard negatives"]
        )
    assert counts[1] < counts[0] / 2.5


def test_box_regression_is_that_of_scikit_learn(name, tmp_path):
    """ERR-114: squared error, on pooled features of regions that overlap by more than 0.6, targets of SYS-012."""
    samples = [scenes.scene(row) for row in range(10)]
    model = scenes.built(name, feature_dtype="float32")
    scenes.fit(model, scenes.fit_data(scenes.collated(samples), tmp_path))
    ridge = model.region_head.ridge
    features = vectors_of(model, samples, "pooled")
    rows = {0: [], 1: []}
    for sample, vectors in zip(samples, features, strict=True):
        for box, vector in zip(
            torch.cat([sample.regions, sample.target.boxes]).double(), torch.cat(vectors), strict=True
        ):
            overlap = box_iou(box[None], sample.target.boxes.double())[0]
            best = int(overlap.argmax())
            if overlap[best] > 0.6:
                (px, py, qx, qy), (gx, gy, hx, hy) = box.tolist(), sample.target.boxes[best].tolist()
                width, height = qx - px, qy - py
                goal = [(gx + hx - px - qx) / 2 / width, (gy + hy - py - qy) / 2 / height]
                goal += [np.log((hx - gx) / width), np.log((hy - gy) / height)]
                rows[int(sample.target.labels[best])].append((vector.double().numpy() * float(ridge.scale), goal))
    for label, examples in rows.items():
        x, y = np.array([each[0] for each in examples]), np.array([each[1] for each in examples])
        x = np.concatenate([x, np.ones((len(x), 1))], axis=1)  # the bias is penalised too, as in the authors' code
        wanted = Ridge(alpha=1000.0, fit_intercept=False).fit(x, y - y.mean(axis=0)).predict(x) + y.mean(axis=0)
        found = ridge(torch.tensor(x[:, :-1] / float(ridge.scale)).float())[:, label]
        np.testing.assert_allclose(found.numpy(), wanted, atol=1e-4)


def test_a_killed_pass_goes_on_where_it_was(name, train_batches, tmp_path):
    batches = train_batches[:5]
    whole = scenes.built(name)
    whole.fit_stage("features", scenes.fit_data(batches, tmp_path / "whole"))
    model = scenes.built(name)
    described = []
    model.region_features.register_forward_hook(lambda module, args, result: described.append(len(result)))

    class KilledError(Exception):
        pass

    def dies(what, done, total):
        assert (what, total) == ("features", 20)
        if done >= 12:
            raise KilledError

    with pytest.raises(KilledError):
        model.fit_stage("features", scenes.fit_data(batches, tmp_path / "killed", dies))
    first = sum(described)
    described.clear()
    facts = model.fit_stage("features", scenes.fit_data(batches, tmp_path / "killed"))
    assert facts["images that were there already"] == 12
    rows = sum(int(batch.images.regions.valid.sum() + batch.targets.valid.sum()) for batch in batches)
    assert first + sum(described) == rows
    described.clear()
    assert (
        model.fit_stage("features", scenes.fit_data(batches, tmp_path / "killed"))["images that were there already"]
        == 20
    )
    assert described == []
    left, right = (
        {file.name: file.read_bytes() for file in (tmp_path / part).rglob("*.npz")} for part in ("whole", "killed")
    )
    assert len(left) == 20
    assert left.keys() == right.keys()
    for key in left:  # zip files hold the time of writing
        one, other = (np.load(next((tmp_path / part).rglob(key))) for part in ("whole", "killed"))
        assert all(np.array_equal(one[field], other[field]) for field in one)


def test_features_of_other_weights_or_images_are_made_anew(name, train_batches, tmp_path):
    model = scenes.built(name)
    data = scenes.fit_data(train_batches[:2], tmp_path)
    model.fit_stage("features", data)
    swapped = replace(train_batches[1], indices=train_batches[0].indices)
    facts = model.fit_stage("features", scenes.fit_data([swapped, train_batches[1]], tmp_path))
    assert facts["images that were there already"] == 4
    with torch.no_grad():
        next(model.region_head.deep.parameters()).mul_(1.5)
    assert model.fit_stage("features", data)["images that were there already"] == 0
    with torch.no_grad():
        model.region_head.classes.weight.mul_(2)  # no feature depends on it
    assert model.fit_stage("features", data)["images that were there already"] == 8


def test_a_later_stage_writes_what_is_missing(name, train_batches, tmp_path):
    one, other = scenes.built(name), scenes.built(name)
    scenes.fit(one, scenes.fit_data(train_batches[:2], tmp_path / "one"))
    other.fit_stage("svm", scenes.fit_data(train_batches[:2], tmp_path / "other"))
    assert torch.equal(one.region_head.svms.weight, other.region_head.svms.weight)
    assert not other.region_head.ridge.fitted


def test_the_disk_is_accounted_for(train_batches, tmp_path):
    """NUM-074: fc7 and pool5 of 5000 images; here both figures can be counted by hand."""
    sizes = {}
    for every in (False, True):
        folder = tmp_path / str(every)
        model = scenes.built("rcnn", keep_all_pooled=every)
        facts = model.fit_stage("features", scenes.fit_data(train_batches[:2], folder))
        sizes[every] = sum(file.stat().st_size for file in folder.rglob("*.npz"))
        assert facts["features on disk (bytes)"] == sizes[every]
        assert facts["features of an image (bytes)"] == round(sizes[every] / 8)
        paper = next(value for key, value in facts.items() if "5000 images" in key)
        assert paper == 5000 * 2000 * (64 + 512) * 2
    rows = sum(int(batch.images.regions.valid.sum() + batch.targets.valid.sum()) for batch in train_batches[:2])
    assert sizes[True] > rows * (64 + 512) * 2
    assert sizes[False] < sizes[True] / 2


def test_mining_can_be_switched_off(train_batches, tmp_path):
    mining = MiningSettings(is_mining=False, random_negatives=30)
    facts = scenes.fit(scenes.built("rcnn", mining=mining), scenes.fit_data(train_batches[:3], tmp_path))
    assert facts["svm"]["retrainings"] == 2
    assert facts["svm"]["hard negatives"] <= 60


def test_the_advice_about_features_that_are_too_large_can_be_followed(tmp_path):
    """What the error says works, also from the command line, where values are words."""
    features = ImageFeatures(
        boxes=torch.zeros(1, 4),
        is_object=torch.zeros(1, dtype=torch.bool),
        deep=torch.full((1, 2), 1e6),
        near=torch.zeros(1, dtype=torch.long),
        pooled=torch.zeros(1, 2),
        object_boxes=torch.zeros(0, 4),
        object_labels=torch.zeros(0, dtype=torch.long),
        object_ignored=torch.zeros(0, dtype=torch.bool),
    )
    model = find_model("sppnet_mobilenet_v2").build(2)
    cache = FeatureCache(tmp_path, key="a", dtype=model.region_head.fitting.dtype).opened()
    with pytest.raises(TrainingError, match=r"float16.*--set \S+=float32") as caught:
        cache.write(0, features, 0)
    advice = str(caught.value).split("--set ")[1].rstrip(".")
    change_settings(model, assignments([advice]))
    cache = FeatureCache(tmp_path, key="a", dtype=model.region_head.fitting.dtype).opened()
    cache.write(0, features, 0)
    assert cache.read(0).deep.tolist() == [[1e6, 1e6]]
    with pytest.raises(ConfigError, match="must be one of 'float16', 'float32'"):
        change_settings(model, {"region_head.fitting.feature_dtype": "bfloat16"})
