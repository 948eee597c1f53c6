"""Fitted heads against scikit-learn, and against R-CNN's procedure written as plain loops."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import average_precision_score
from sklearn.svm import SVC, LinearSVC

from snellen.errors import InputError
from snellen.models.detection.fitting import (
    BoxExamples,
    LinearClassifier,
    LinearSvms,
    MiningSettings,
    RegionExamples,
    RidgeBoxes,
    RidgeSettings,
    SvmSettings,
    fit_linear_svm,
    fit_linear_svms,
    fit_ridge_boxes,
)
from snellen.models.detection.fitting.mining import _Reservoir
from snellen.models.detection.fitting.ridge import RidgeSums
from snellen.ops import box_iou, decode_boxes, encode_boxes

NUM_CLASSES, WIDTH = 3, 12


def region_images(count=30, regions=60, seed=0) -> list[RegionExamples]:
    """Each class has a direction; background near an object leans the same way, the more the nearer."""
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(count):
        labels = np.full(regions, -1)
        labels[:4] = rng.integers(0, 2, 4)  # class 2 has no object anywhere
        overlaps = rng.random((regions, NUM_CLASSES)).astype(np.float32) ** 3
        overlaps[:, 2] = 0
        overlaps[np.arange(4), labels[:4]] = 1
        features = rng.normal(size=(regions, WIDTH)).astype(np.float32) + 3
        features[:, :NUM_CLASSES] += 3 * overlaps
        images.append(
            RegionExamples(
                features=torch.from_numpy(features),
                overlaps=torch.from_numpy(overlaps),
                labels=torch.from_numpy(labels),
            )
        )
    return images


def two_kinds(num=200, seed=0):
    rng = np.random.default_rng(seed)
    is_positive = rng.random(num) < 0.3
    features = (rng.normal(size=(num, WIDTH)) + is_positive[:, None]).astype(np.float32)
    return features, is_positive


def objective(weight, bias, features, is_positive, settings) -> float:
    sign = np.where(is_positive, 1, -1)
    loss = np.maximum(0, 1 - sign * (features @ weight + bias))
    loss = loss**2 if settings.loss == "squared_hinge" else loss
    cost = settings.cost * np.where(is_positive, settings.positive_weight, 1)
    return 0.5 * (weight @ weight + (bias / settings.bias_multiplier) ** 2) + (cost * loss).sum()


class TestOneSvm:
    @pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
    def test_minimises_the_stated_objective(self, loss):
        """SYS-143."""
        features, is_positive = two_kinds()
        settings = SvmSettings(cost=0.1, loss=loss, tolerance=1e-6, max_iterations=100_000)
        found = fit_linear_svm(features, is_positive, settings)
        best = objective(found.weight.astype(float), found.bias, features, is_positive, settings)
        assert found.is_converged
        rng = np.random.default_rng(1)
        for size in (0.1, 0.01, 0.001):
            for _ in range(100):
                step = rng.normal(size=WIDTH + 1) * size
                moved = objective(found.weight + step[1:], found.bias + step[0], features, is_positive, settings)
                assert moved > best - 1e-6

    def test_agrees_with_libsvm(self):
        """SYS-181, SYS-309, ERR-015: the same machine by another solver, whose bias is free: a multiplier frees it."""
        features, is_positive = two_kinds()
        found = fit_linear_svm(
            features,
            is_positive,
            SvmSettings(cost=0.1, bias_multiplier=100, tolerance=1e-6, max_iterations=2_000_000),
        )
        other = SVC(kernel="linear", C=0.1, class_weight={True: 2, False: 1}, tol=1e-8).fit(features, is_positive)
        np.testing.assert_allclose(found.weight, other.coef_[0], atol=2e-3)
        np.testing.assert_allclose(found.bias, other.intercept_[0], atol=5e-3)

    def test_one_kind_only(self):
        features, _ = two_kinds()
        for is_positive, bias in ((np.zeros(200, bool), -1.0), (np.ones(200, bool), 1.0)):
            found = fit_linear_svm(features, is_positive)
            assert found.bias == bias
            assert not found.weight.any()

    def test_says_that_it_did_not_converge(self):
        assert not fit_linear_svm(*two_kinds(), SvmSettings(cost=100, max_iterations=1)).is_converged


def mine_by_loops(images, label, settings, scale):
    """rcnn_train.m for one class, one region after another."""
    positives = [
        f * scale for image in images for f, k in zip(image.features.numpy(), image.labels, strict=True) if k == label
    ]
    cache, added, weight, bias, losses = [], 0, np.zeros(WIDTH, np.float32), 0.0, []
    for index, image in enumerate(images):
        for row, features in enumerate(image.features.numpy() * scale):
            is_hard = index == 0 or features @ weight + bias > -1.0001
            if is_hard and image.overlaps[row, label] < 0.3:
                cache.append(features)
                added += 1
        if index == 0 or added > settings.retrain_after or index == len(images) - 1:
            x = np.stack(positives + cache)
            y = np.arange(len(x)) < len(positives)
            svm = LinearSVC(
                C=1e-3,
                loss="hinge",
                class_weight={True: 2, False: 1},
                intercept_scaling=10,
                tol=1e-3,
                max_iter=5000,
                random_state=0,
            ).fit(x, y)
            weight, bias, added = svm.coef_[0].astype(np.float32), svm.intercept_[0], 0
            margins = np.stack(cache) @ weight + bias
            losses.append(np.maximum(0, 1 + margins).sum() * 1e-3)
            cache = [features for features, margin in zip(cache, margins, strict=True) if margin >= -1.2]
    return weight, bias, losses


class TestMining:
    """Hard negative mining (SYS-042) as R-CNN does it: negatives by IoU under 0.3 and by score (ERR-112)."""

    def test_equals_the_loop(self):
        images = region_images()
        settings = MiningSettings(retrain_after=60)
        fit = fit_linear_svms(images, NUM_CLASSES, settings)
        norms = np.concatenate([np.linalg.norm(image.features, axis=1) for image in images])
        assert fit.svms.scale.item() == pytest.approx(20 / norms.mean(), rel=1e-5)
        for label in range(2):
            weight, bias, losses = mine_by_loops(images, label, settings, np.float32(fit.svms.scale.item()))
            np.testing.assert_allclose(fit.svms.weight[label], weight, atol=1e-4)
            np.testing.assert_allclose(fit.svms.bias[label], bias, atol=1e-4)
            pages = [page for page in fit.rounds if page.label == label]
            assert len(pages) > 3  # the first image, the last, and some between
            np.testing.assert_allclose([page.negative_loss for page in pages], losses, rtol=1e-3)

    def test_margins_are_those_of_the_last_set(self):
        """One image and no eviction: the layer is scikit-learn's LinearSVC on features of norm 20."""
        (image,) = region_images(count=1)
        fit = fit_linear_svms([image], NUM_CLASSES, MiningSettings(evict_below=None))
        scale = 20 / np.linalg.norm(image.features, axis=1).mean()
        used = (image.overlaps[:, 0] < 0.3) | (image.labels == 0)
        solver = LinearSVC(
            C=1e-3, loss="hinge", class_weight={True: 2, False: 1}, intercept_scaling=10, max_iter=5000, tol=1e-3
        )
        solver.fit(image.features[used] * scale, (image.labels == 0)[used].numpy())
        wanted = solver.decision_function(image.features.numpy() * scale)
        np.testing.assert_allclose(fit.svms(image.features)[:, 0], wanted, atol=0.02)

    def test_regions_between_are_ignored(self):
        images = region_images(count=3)
        changed = []
        for image in images:
            between = (image.overlaps >= 0.3) & (image.overlaps < 1)
            features = image.features + 100 * between[:, :1]
            changed.append(dataclasses.replace(image, features=features))
        plain, other = (
            fit_linear_svms(each, NUM_CLASSES, MiningSettings(target_norm=None)).svms for each in (images, changed)
        )
        torch.testing.assert_close(plain.weight[0], other.weight[0])

    def test_a_class_without_objects_says_no(self):
        fit = fit_linear_svms(region_images(), NUM_CLASSES)
        margins = fit.svms(torch.randn(50, WIDTH))
        assert (margins[:, 2] == -1).all()
        assert [page.negatives for page in fit.rounds if page.label == 2] == [0]

    def test_notebook_adds_up(self):
        fit = fit_linear_svms(region_images(), NUM_CLASSES, MiningSettings(retrain_after=60))
        pages = [page for page in fit.rounds if page.label == 0]
        left = 0
        for page in pages:
            assert page.negatives == left + page.added
            assert page.false_positives <= page.added <= page.candidates
            left = page.negatives - page.evicted
        assert pages[0].false_positives == 0
        assert pages[-1].images == 30
        assert sum(page.candidates for page in pages) == sum(
            int((image.overlaps[:, 0] < 0.3).sum()) for image in region_images()
        )

    def test_a_second_pass_adds_nothing_twice(self):
        images = region_images()
        settings = MiningSettings(passes=2, evict_below=None, retrain_after=60)
        pages = [page for page in fit_linear_svms(images, NUM_CLASSES, settings).rounds if page.label == 0]
        assert pages[-1].images == 60
        assert pages[-1].negatives <= sum(int((image.overlaps[:, 0] < 0.3).sum()) for image in images)

    def test_mining_beats_random_negatives_where_few_are_hard(self):
        """In every fourth image one region in sixty looks like an object: rarely drawn, always mined."""
        rng = np.random.default_rng(3)

        def images(count):
            found = []
            for index in range(count):
                features = rng.normal(size=(60, WIDTH)).astype(np.float32) * 0.3
                features[:2, 0] += 3  # objects
                features[:2, 1] += 1
                if index % 4 == 0:
                    features[2, 0] += 3  # looks like one but for a detail
                labels = np.where(np.arange(60) < 2, 0, -1)
                found.append(
                    RegionExamples(
                        features=torch.from_numpy(features),
                        overlaps=torch.from_numpy((labels[:, None] == 0).astype(np.float32)),
                        labels=torch.from_numpy(labels),
                    )
                )
            return found

        train, test = images(60), images(60)
        precision = {}
        for is_mining in (True, False):
            settings = MiningSettings(
                svm=SvmSettings(cost=0.01), is_mining=is_mining, random_negatives=60, retrain_after=60
            )
            svms = fit_linear_svms(train[1:], 1, settings).svms
            margins = np.concatenate([svms(image.features)[:, 0] for image in test])
            precision[is_mining] = average_precision_score(
                np.concatenate([image.labels >= 0 for image in test]), margins
            )
        assert precision[True] > precision[False] + 0.01

    def test_random_negatives_are_drawn_alike_from_all_images(self):
        """Features say where a region comes from; the mean of 300 draws out of 3000 must be near the mean of all."""
        images = region_images(count=50, regions=60)
        images = [
            dataclasses.replace(image, features=torch.cat([image.features, torch.full((60, 1), float(index))], dim=1))
            for index, image in enumerate(images)
        ]
        settings = MiningSettings(is_mining=False, random_negatives=300, target_norm=None)
        first, again = (fit_linear_svms(images, NUM_CLASSES, settings, seed=7) for _ in range(2))
        assert torch.equal(first.svms.weight, again.svms.weight)
        assert [page.negatives for page in first.rounds] == [300, 300, 0]
        assert not torch.equal(first.svms.weight, fit_linear_svms(images, NUM_CLASSES, settings, seed=8).svms.weight)

    def test_reservoir_is_uniform(self):
        counts = np.zeros(10)
        for seed in range(400):
            rng, reservoir, kept = np.random.default_rng(seed), _Reservoir(20), np.zeros(0, int)
            for image in range(10):
                chosen = reservoir.take(rng.random(30))
                kept = np.concatenate([kept, np.full(len(chosen), image)])
                if reservoir.is_overfull:
                    kept = kept[reservoir.settle()]
            counts += np.bincount(kept[reservoir.settle()], minlength=10)
        assert counts.sum() == 400 * 20
        spread = np.sqrt(800 * 0.9)
        assert (np.abs(counts - 800) < 4 * spread).all()

    def test_bad_input(self):
        with pytest.raises(InputError, match="several times"):
            fit_linear_svms(iter(region_images(count=1)), NUM_CLASSES)
        with pytest.raises(InputError, match="got none"):
            fit_linear_svms([], NUM_CLASSES)


def box_images(count=20, seed=0) -> list[BoxExamples]:
    """Regions whose features tell, with noise, how they are shifted."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(4, WIDTH, generator=generator)
    images = []
    for _ in range(count):
        corner = torch.rand(3, 2, generator=generator) * 60 + torch.tensor([[0.0, 0], [100, 0], [0, 100]])
        objects = torch.cat([corner, corner + 20 + 20 * torch.rand(3, 2, generator=generator)], dim=1)
        index = torch.randint(0, 3, (40,), generator=generator)
        boxes = objects[index] + 4 * torch.randn(40, 4, generator=generator)
        noise = 0.02 * torch.randn(40, WIDTH, generator=generator)
        features = encode_boxes(objects[index], boxes) @ mix + noise + 0.5
        images.append(BoxExamples(features=features, boxes=boxes, objects=objects, labels=torch.tensor([0, 1, 1])))
    return images


def rows_by_loops(images, label, near_above=0.6):
    """R-CNN, appendix C: each region with the object of the class that it overlaps most, if by more than 0.6."""
    rows, targets = [], []
    for image in images:
        for features, box in zip(image.features, image.boxes, strict=True):
            best, goal = near_above, None
            for other, k in zip(image.objects, image.labels, strict=True):
                low, high = torch.maximum(box[:2], other[:2]), torch.minimum(box[2:], other[2:])
                shared = (high - low).clamp(min=0).prod()
                iou = shared / ((box[2:] - box[:2]).prod() + (other[2:] - other[:2]).prod() - shared)
                if k == label and iou > best:
                    best, goal = iou, other
            if goal is not None:
                size, other_size = box[2:] - box[:2], goal[2:] - goal[:2]
                shift = ((goal[:2] + goal[2:]) / 2 - (box[:2] + box[2:]) / 2) / size
                targets.append(torch.cat([shift, (other_size / size).log()]))
                rows.append(features)
    return torch.stack(rows).double().numpy(), torch.stack(targets).double().numpy()


class TestRidge:
    """Box regression of R-CNN: squared, on regions with IoU above 0.6 (ERR-114)."""

    @pytest.mark.parametrize("penalty", [1.0, 1000.0])
    def test_equals_scikit_learn(self, penalty):
        images = box_images()
        found = fit_ridge_boxes(images, 3, RidgeSettings(penalty=penalty, target_norm=None))
        assert found.fitted
        for label in range(2):
            x, y = rows_by_loops(images, label)
            mean = y.mean(axis=0)
            with_one = np.concatenate([x, np.ones((len(x), 1))], axis=1)  # so that the bias is penalised too
            ridge = Ridge(alpha=penalty, fit_intercept=False).fit(with_one, y - mean)
            wanted = ridge.predict(with_one) + mean
            np.testing.assert_allclose(found(torch.from_numpy(x).float())[:, label], wanted, atol=2e-5)
        assert not found(torch.randn(5, WIDTH))[:, 2].any()  # a class without objects moves nothing

    def test_decorrelating_the_targets_changes_nothing(self):
        """SYS-182: rcnn_train_bbox_regressor.m, line by line, against the shorter way; both are solved at once."""
        images = box_images()
        x, y = rows_by_loops(images, 1)
        with_one = np.concatenate([x, np.ones((len(x), 1))], axis=1)
        mean = y.mean(axis=0)
        values, vectors = np.linalg.eigh((y - mean).T @ (y - mean) / len(y))
        there = vectors @ np.diag(1 / np.sqrt(values + 0.001)) @ vectors.T
        back = vectors @ np.diag(np.sqrt(values + 0.001)) @ vectors.T
        beta = np.linalg.solve(with_one.T @ with_one + 1000 * np.eye(WIDTH + 1), with_one.T @ ((y - mean) @ there))
        found = fit_ridge_boxes(images, 2, RidgeSettings(target_norm=None))
        np.testing.assert_allclose(found(torch.from_numpy(x).float())[:, 1], with_one @ beta @ back + mean, atol=1e-6)

    def test_brings_boxes_nearer(self):
        images = box_images()
        train, test = images[:15], images[15:]
        found = fit_ridge_boxes(train, 2, RidgeSettings(penalty=1.0))
        before, after = [], []
        for image in test:
            iou = box_iou(image.boxes, image.objects)
            best, index = iou.max(dim=1)
            moved = decode_boxes(found(image.features), image.boxes[:, None])
            moved = moved[torch.arange(len(index)), image.labels[index]]
            before.append(best)
            after.append(box_iou(moved, image.objects).max(dim=1).values)
        assert torch.cat(after).mean() > torch.cat(before).mean() + 0.1

    def test_sums_in_pieces_are_the_sum(self):
        rows, targets = torch.randn(2000, WIDTH), torch.randn(2000, 4)
        whole, pieces = RidgeSums(WIDTH), RidgeSums(WIDTH)
        whole.add(rows, targets)
        for part in range(0, 2000, 7):
            pieces.add(rows[part : part + 7], targets[part : part + 7])
        for left, right in zip(whole.solve(10.0), pieces.solve(10.0), strict=True):
            torch.testing.assert_close(left, right, atol=1e-12, rtol=1e-9)
        assert pieces.count == 2000

    def test_little_memory_takes_more_passes_and_gives_the_same(self):
        images, told = box_images(), []
        one = fit_ridge_boxes(images, 3)
        many = fit_ridge_boxes(images, 3, RidgeSettings(memory_bytes=1), progress=lambda what, done: told.append(what))
        torch.testing.assert_close(one.weight, many.weight)
        assert len(set(told)) == 3

    def test_bad_input(self):
        with pytest.raises(InputError, match="several times"):
            fit_ridge_boxes(iter(box_images(count=1)), 2)
        with pytest.raises(InputError, match="got none"):
            fit_ridge_boxes([], 2)


@pytest.mark.parametrize("make", [lambda: LinearSvms(NUM_CLASSES, WIDTH), lambda: RidgeBoxes(NUM_CLASSES, WIDTH)])
def test_layers_work_before_they_are_fitted_and_carry_their_state(make):
    layer, other, features = make(), make(), torch.randn(7, WIDTH)
    assert not layer.fitted
    assert not layer(features).any()
    layer.weight.normal_()
    layer.bias.normal_()
    layer.scale.fill_(2.0)
    layer.fitted.fill_(True)
    other.load_state_dict(layer.state_dict())
    assert other.fitted
    assert torch.equal(other(features), layer(features))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(features), other(features))
    assert layer(features.half()).dtype == torch.float32


def test_layer_is_the_classifiers():
    rng = np.random.default_rng(0)
    classifiers = [
        LinearClassifier(weight=rng.normal(size=WIDTH).astype(np.float32), bias=float(label)) for label in range(3)
    ]
    layer, features = LinearSvms(3, WIDTH), rng.normal(size=(5, WIDTH)).astype(np.float32)
    layer.take(classifiers, scale=0.5)
    wanted = np.stack([each.margins(features * np.float32(0.5)) for each in classifiers], axis=1)
    np.testing.assert_allclose(layer(torch.from_numpy(features)), wanted, rtol=1e-5)
