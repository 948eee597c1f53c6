"""Every learner against scikit-learn on the same features: the same margins, probabilities and classes."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax as scipy_softmax
from sklearn.cluster import KMeans
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import AdaBoostClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import f_classif
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.mixture import GaussianMixture
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import KBinsDiscretizer
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from snellen.errors import MissingExtraError, TrainingError
from snellen.models.shallow.fitted import check_arrays
from snellen.models.shallow.learners import crossed, kernel, trees
from snellen.models.shallow.learners.catalog import LEARNERS, find_learner
from snellen.models.shallow.preparation import fit_preparation, prepared_features

CLASSES = pytest.mark.parametrize("classes", [2, 3, 5])


def fitted(name, examples, others, **settings):
    row = find_learner(name)
    arrays = row.fit(examples, row.settings(**settings))
    check_arrays(arrays, row.predictor.schema, {"d": examples.features.shape[1], "P": examples.num_classes})
    margins = row.predictor.margins(arrays, others.features)
    return margins, None if row.predictor.probs is None else row.predictor.probs(margins)


@pytest.fixture
def pair(make_examples, classes):
    return make_examples(num=120, classes=classes), make_examples(num=60, classes=classes, seed=1)


@CLASSES
@pytest.mark.parametrize("k", [1, 5])
def test_knn(pair, k):
    """SYS-278."""
    train, test = pair
    _, probs = fitted("knn", train, test, k=k)
    wanted = KNeighborsClassifier(k).fit(train.features, train.labels)
    np.testing.assert_allclose(probs, wanted.predict_proba(test.features))
    assert (probs.argmax(axis=1) == wanted.predict(test.features)).all()


def test_knn_of_fewer_images_than_neighbours(make_examples):
    train = make_examples(num=4, classes=2)
    _, probs = fitted("knn", train, train, k=10)
    np.testing.assert_allclose(probs, 0.5)


def test_balanced_votes_of_neighbours(make_examples):
    """DX-006: with 1 against 9 images votes count 9 against 1."""
    features = np.zeros((10, 2), np.float32)
    train = replace(make_examples(num=10, classes=2), features=features, labels=np.array([0] + [1] * 9))
    _, plain = fitted("knn", train, train, k=10)
    _, weighed = fitted("knn", replace(train, is_balanced=True), train, k=10)
    np.testing.assert_allclose(plain[0], [0.1, 0.9])
    np.testing.assert_allclose(weighed[0], [0.5, 0.5])


@CLASSES
def test_linear_svm(pair):
    """SYS-272, SYS-275."""
    train, test = pair
    margins, _ = fitted("svm", train, test, cost=2.0)
    wanted = LinearSVC(C=2.0, dual=False, random_state=0).fit(train.features, train.labels)
    found = margins[:, 1] if margins.shape[1] == 2 else margins
    np.testing.assert_allclose(found, wanted.decision_function(test.features), atol=1e-5)
    assert (margins.argmax(axis=1) == wanted.predict(test.features)).all()


@CLASSES
def test_kernel_svm(pair):
    """SYS-273, SYS-181, ERR-149: one against one."""
    train, test = pair
    margins, _ = fitted("rbf_svm", train, test, cost=3.0, gamma=0.2)
    wanted = SVC(C=3.0, gamma=0.2, decision_function_shape="ovr").fit(train.features, train.labels)
    found = margins[:, 1] if margins.shape[1] == 2 else margins
    np.testing.assert_allclose(found, wanted.decision_function(test.features), atol=1e-5)
    pairs = SVC(C=3.0, gamma=0.2, decision_function_shape="ovo").fit(train.features, train.labels)
    arrays = kernel.fit_kernel_svm(train, kernel.KernelSvmSettings(cost=3.0, gamma=0.2))
    sign = -1 if margins.shape[1] == 2 else 1
    np.testing.assert_allclose(
        kernel.pair_margins(arrays, test.features).squeeze(), sign * pairs.decision_function(test.features), atol=1e-5
    )


@CLASSES
def test_logistic(pair):
    """SYS-268, ERR-144."""
    train, test = pair
    _, probs = fitted("logistic", train, test, cost=1.5)
    solver = LogisticRegression(C=1.5, max_iter=1000)
    wanted = (solver if probs.shape[1] == 2 else OneVsRestClassifier(solver)).fit(train.features, train.labels)
    np.testing.assert_allclose(probs, wanted.predict_proba(test.features), atol=1e-4)


@CLASSES
def test_softmax(pair):
    """SYS-270, ERR-150."""
    train, test = pair
    _, probs = fitted("softmax", train, test, cost=1.5)
    wanted = LogisticRegression(C=1.5, max_iter=1000).fit(train.features, train.labels)
    np.testing.assert_allclose(probs, wanted.predict_proba(test.features), atol=1e-6)


@CLASSES
def test_perceptron(pair):
    """SYS-276."""
    train, test = pair
    margins, _ = fitted("perceptron", train, test)
    wanted = Perceptron(max_iter=100, random_state=0).fit(train.features, train.labels)
    assert (margins.argmax(axis=1) == wanted.predict(test.features)).all()


@CLASSES
@pytest.mark.parametrize("shrinkage", [None, 0.3])
def test_lda(pair, shrinkage):
    """SYS-297, ERR-138."""
    train, test = pair
    _, probs = fitted("lda", train, test, shrinkage=shrinkage)
    wanted = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto" if shrinkage is None else shrinkage)
    wanted.fit(train.features.astype(float), train.labels)
    np.testing.assert_allclose(probs, wanted.predict_proba(test.features), atol=1e-5)


@CLASSES
@pytest.mark.parametrize("smoothing", [1e-9, 0.1])
def test_gaussian_bayes(pair, smoothing):
    """SYS-280, SYS-281."""
    train, test = pair
    _, probs = fitted("naive_bayes", train, test, smoothing=smoothing)
    wanted = GaussianNB(var_smoothing=smoothing).fit(train.features.astype(float), train.labels)
    np.testing.assert_allclose(probs, wanted.predict_proba(test.features.astype(float)), atol=1e-9)


@CLASSES
def test_multinomial_and_bernoulli_bayes(make_examples, classes):
    """SYS-282, ERR-163: smoothed, so that what was never seen is not impossible."""
    train = make_examples(num=120, classes=classes, positive=True)
    test = make_examples(num=60, classes=classes, positive=True, seed=1)
    train.features[:, 0] = 0
    _, probs = fitted("multinomial_bayes", train, test, smoothing=0.5)
    wanted = MultinomialNB(alpha=0.5).fit(train.features.astype(float), train.labels)
    np.testing.assert_allclose(probs, wanted.predict_proba(test.features.astype(float)), atol=1e-9)
    _, probs = fitted("bernoulli_bayes", train, test, smoothing=2.0)
    median = np.median(train.features, axis=0)
    bernoulli = BernoulliNB(alpha=2.0, binarize=None).fit(train.features > median, train.labels)
    np.testing.assert_allclose(probs, bernoulli.predict_proba(test.features > median), atol=1e-6)
    assert (probs > 0).all()


def test_counts_below_zero_are_refused(make_examples):
    with pytest.raises(TrainingError, match="learns from counts, which are 0 or more"):
        fitted("multinomial_bayes", make_examples(), make_examples())


@CLASSES
def test_kmeans(pair):
    """SYS-293: the class of the nearest centre."""
    train, test = pair
    margins, probs = fitted("kmeans", train, test, centres=2)
    centres = np.concatenate(
        [
            KMeans(2, n_init=3, random_state=0).fit(train.features[train.labels == label]).cluster_centers_
            for label in range(train.num_classes)
        ]
    )
    nearest = np.square(test.features[:, None] - centres).sum(axis=2).argmin(axis=1) // 2
    assert (margins.argmax(axis=1) == nearest).all()
    np.testing.assert_allclose(probs.sum(axis=1), 1)


@CLASSES
def test_mixture(pair):
    """SYS-294, SYS-295: Bayes' rule over a mixture of each class."""
    train, test = pair
    margins, probs = fitted("mixture", train, test, components=2, smoothing=0.05)
    floor = 0.05 * train.features.astype(float).var(axis=0).mean()
    scores = []
    for label in range(train.num_classes):
        rows = train.features[train.labels == label].astype(float)
        found = GaussianMixture(2, covariance_type="diag", reg_covar=floor, n_init=3, random_state=0).fit(rows)
        scores.append(found.score_samples(test.features.astype(float)) + np.log(len(rows) / len(train)))
    np.testing.assert_allclose(probs, scipy_softmax(np.stack(scores, axis=1), axis=1), atol=1e-7)
    assert (margins.argmax(axis=1) == np.argmax(scores, axis=0)).all()


def test_mixture_of_a_class_with_one_image(make_examples):
    train = replace(make_examples(num=13, classes=2), labels=np.array([0] * 12 + [1]))
    _, probs = fitted("mixture", train, train, components=3)
    assert np.isfinite(probs).all()
    assert probs[-1, 1] > 0.5


@CLASSES
def test_decision_tree(pair):
    """SYS-285, SYS-286."""
    train, test = pair
    _, probs = fitted("tree", train, test, depth=4)
    wanted = DecisionTreeClassifier(max_depth=4, random_state=0).fit(train.features, train.labels)
    np.testing.assert_allclose(probs, wanted.predict_proba(test.features))


@CLASSES
def test_forest(pair):
    """SYS-287, SYS-288."""
    train, test = pair
    _, probs = fitted("forest", train, test, trees=20)
    wanted = RandomForestClassifier(20, random_state=0).fit(train.features, train.labels)
    np.testing.assert_allclose(probs, wanted.predict_proba(test.features), atol=1e-12)


@CLASSES
def test_adaboost(pair):
    """SYS-289, SYS-290, ERR-131."""
    train, test = pair
    _, probs = fitted("adaboost", train, test, rounds=15, depth=2)
    wanted = AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=15, random_state=0)
    wanted.fit(train.features, train.labels)
    np.testing.assert_allclose(probs, wanted.predict_proba(test.features), atol=1e-9)


@CLASSES
def test_boosting(pair):
    """SYS-289, SYS-291, ERR-131."""
    train, test = pair
    _, probs = fitted("boosting", train, test, rounds=12)
    wanted = HistGradientBoostingClassifier(max_iter=12, early_stopping=False, random_state=0)
    wanted.fit(train.features, train.labels)
    np.testing.assert_allclose(probs, wanted.predict_proba(test.features), atol=1e-9)


@CLASSES
def test_xgboost(pair):
    """SYS-292: its trees as arrays say what it says itself."""
    xgboost = pytest.importorskip("xgboost")
    train, test = pair
    _, probs = fitted("xgboost", train, test, rounds=12, leaves=7)
    wanted = xgboost.XGBClassifier(
        n_estimators=12, learning_rate=0.1, max_leaves=7, max_depth=0, grow_policy="lossguide", tree_method="hist"
    ).fit(train.features, train.labels)
    np.testing.assert_allclose(probs, wanted.predict_proba(test.features), atol=1e-5)


@CLASSES
def test_lightgbm(pair):
    lightgbm = pytest.importorskip("lightgbm")
    train, test = pair
    _, probs = fitted("lightgbm", train, test, rounds=12, leaves=7)
    wanted = lightgbm.LGBMClassifier(
        n_estimators=12, num_leaves=7, verbosity=-1, random_state=0, deterministic=True, force_row_wise=True
    ).fit(train.features.astype(float), train.labels)
    np.testing.assert_allclose(probs, wanted.predict_proba(test.features.astype(float)), atol=1e-6)


@pytest.mark.parametrize("name", ["xgboost", "lightgbm"])
def test_libraries_that_are_not_installed(name, make_examples, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"the learner .* pip install \"snellen\[boosting\]\""):
        fitted(name, make_examples(), make_examples())


@CLASSES
def test_binned_logistic(pair):
    """SYS-242, Q-024: features cut into bins."""
    train, test = pair
    _, probs = fitted("binned_logistic", train, test, bins=4, cost=0.5)
    discretizer = KBinsDiscretizer(4, strategy="quantile", quantile_method="linear").fit(train.features.astype(float))
    wanted = LogisticRegression(C=0.5, max_iter=1000).fit(
        discretizer.transform(train.features.astype(float)), train.labels
    )
    np.testing.assert_allclose(
        probs, wanted.predict_proba(discretizer.transform(test.features.astype(float))), atol=1e-4
    )


def test_an_outlier_moves_no_bin(make_examples):
    """SYS-242: one age of 300 among ages of people changes nothing."""
    train = make_examples(num=120)
    moved = replace(train, features=train.features.copy())
    far = int(np.argmax(train.features[:, 0]))
    moved.features[far, 0] = 1e6
    one, other = (fitted("binned_logistic", examples, train)[1] for examples in (train, moved))
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_crosses_solve_what_no_sum_can(make_examples):
    """SYS-243: whether the signs of two features agree (XOR)."""
    points = np.random.default_rng(0).normal(size=(600, 2)).astype(np.float32)
    labels = (np.prod(points, axis=1) > 0).astype(np.int64)
    examples = replace(make_examples(num=600, classes=2), features=points, labels=labels)
    train = replace(examples, features=points[:400], labels=labels[:400])
    test = replace(examples, features=points[400:], labels=labels[400:])
    right = {}
    for name in ("softmax", "binned_logistic", "crossed_logistic"):
        _, probs = fitted(name, train, test, cost=1.0)
        right[name] = (probs.argmax(axis=1) == test.labels).mean()
    assert max(right["softmax"], right["binned_logistic"]) < 0.65
    assert right["crossed_logistic"] > 0.85


def test_strongest_features_are_those_of_anova(make_examples):
    """SYS-218, ERR-178: fewer features by choosing, as components are fewer by projection."""
    examples = make_examples(num=120, width=12)
    examples.features[:, 3] = 7
    values = np.nan_to_num(f_classif(np.delete(examples.features, 3, axis=1).astype(float), examples.labels)[0])
    wanted = np.delete(np.arange(12), 3)[np.argsort(-values)[:5]]
    assert set(crossed.strongest(examples, 5).tolist()) == set(wanted.tolist())


def test_trees_need_no_scaling(make_examples):
    """SYS-229."""
    train, test = make_examples(num=120), make_examples(num=60, seed=1)
    scale = np.float32(2.0) ** np.arange(-4, 4)
    wide = [replace(examples, features=examples.features * scale) for examples in (train, test)]
    for name in ("tree", "forest", "boosting"):
        np.testing.assert_array_equal(
            fitted(name, train, test)[1].argmax(axis=1), fitted(name, *wide)[1].argmax(axis=1)
        )


def test_many_classes_get_smaller_forests():
    assert trees.affordable_trees(200, 1000, 10) == 200
    assert trees.affordable_trees(200, 5000, 500) < 20
    assert trees.affordable_trees(5, 10**6, 1000) == 5


def test_boosting_that_cannot_boost(make_examples):
    """A feature that says nothing: no tree is better than chance, and the answer is a tree all the same."""
    examples = make_examples(num=20, classes=2)
    flat = replace(examples, features=np.zeros((20, 3), np.float32))
    for name in ("adaboost", "boosting", "tree", "forest"):
        _, probs = fitted(name, flat, flat)
        np.testing.assert_allclose(probs.sum(axis=1), 1)


@pytest.mark.parametrize("name", [row.name for row in LEARNERS if not row.extra and not row.only])
def test_balanced_classes_weigh_alike(name, make_examples):
    """DX-007, SYS-149: of 1 image against 12, the small class is told more often when classes weigh the same."""
    train = make_examples(num=400, classes=2, width=3, positive=True)
    rows = np.flatnonzero((train.labels == 0) | (np.arange(400) % 25 == 1))
    train = replace(train, features=train.features[rows], labels=train.labels[rows])
    test = make_examples(num=200, classes=2, width=3, positive=True, seed=3)
    shallow = {"depth": 2} if name == "tree" else {}  # a tree of pure leaves has nothing left to weigh
    plain = (fitted(name, train, test, **shallow)[0].argmax(axis=1) == 1).sum()
    weighed = (fitted(name, replace(train, is_balanced=True), test, **shallow)[0].argmax(axis=1) == 1).sum()
    assert weighed >= plain


def prepared(train, test, scale):
    """Return the examples with features as a learner gets them."""
    arrays = fit_preparation(train.features, scale=scale, pca=0, whiten=False, seed=0)
    return [replace(each, features=prepared_features(arrays, each.features)) for each in (train, test)]


@pytest.mark.parametrize("name", ["logistic", "softmax"])
def test_scaling_changes_a_penalised_logistic_regression(name, make_examples):
    """ERR-039, SYS-268: the penalty is on weights, which a column in other units needs larger or smaller."""
    train, test = make_examples(num=240), make_examples(num=60, seed=1)
    wrong = np.random.default_rng(0).random(240) < 0.15  # so that no plane parts them and the likelihood has a maximum
    train = replace(train, labels=np.where(wrong, (train.labels + 1) % 3, train.labels))
    units = np.ones(8, np.float32)
    units[:4] = 1000, 0.001, 30, 0.03
    others = [replace(each, features=each.features * units) for each in (train, test)]
    apart = {}
    for scale in ("none", "standard"):
        _, plain = fitted(name, *prepared(train, test, scale), cost=0.1)
        _, changed = fitted(name, *prepared(*others, scale), cost=0.1)
        apart[scale] = np.abs(plain - changed).max()
    assert apart["none"] > 0.1
    assert apart["standard"] < 1e-3
    mild = [replace(each, features=each.features * np.float32(3)) for each in (train, test)]
    free = [fitted(name, *pair, cost=1e7)[1] for pair in ((train, test), mild)]
    bound = [fitted(name, *pair, cost=0.01)[1] for pair in ((train, test), mild)]
    assert np.abs(free[0] - free[1]).max() < 0.01  # without a penalty the optimum is the same
    assert np.abs(bound[0] - bound[1]).max() > 0.1


def test_one_neighbour_follows_wrong_labels_and_many_do_not(make_examples):
    """ERR-134, SYS-278, SYS-360: of a fifth of wrong labels the nearest image tells a fifth of errors."""
    train, test = make_examples(num=900, classes=2, width=2), make_examples(num=600, classes=2, width=2, seed=1)
    centres = np.array([[-4.0, 0], [4.0, 0]], np.float32)  # far apart: what is wrong comes of labels
    train, test = (replace(each, features=each.features * 0.3 + centres[each.labels]) for each in (train, test))
    flipped = np.random.default_rng(0).random(len(train)) < 0.2
    noisy = replace(train, labels=np.where(flipped, 1 - train.labels, train.labels))
    wrong = {
        (name, k): float((fitted("knn", examples, test, k=k)[1].argmax(1) != test.labels).mean())
        for name, examples in (("clean", train), ("noisy", noisy))
        for k in (1, 25)
    }
    assert wrong["clean", 1] == wrong["clean", 25] == 0
    assert wrong["noisy", 1] == pytest.approx(flipped.mean(), abs=0.05)
    assert wrong["noisy", 25] < 0.01


def test_a_linear_machine_does_not_grow_with_the_images_and_a_kernel_machine_does(make_examples):
    """ERR-148, SYS-272, SYS-273: a plane is as many numbers as there are features; support vectors are images."""
    sizes = {"svm": [], "rbf_svm": [], "knn": []}
    for num in (60, 240):
        examples = make_examples(num=num, classes=2)
        for name, found in sizes.items():
            row = find_learner(name)
            arrays = row.fit(examples, row.settings())
            found.append(sum(np.asarray(array).size for array in arrays.values()))
    assert sizes["svm"][0] == sizes["svm"][1] == 2 * (8 + 1)
    assert sizes["rbf_svm"][1] > 2 * sizes["rbf_svm"][0]
    assert sizes["knn"][1] > 3.5 * sizes["knn"][0]


def test_an_order_of_pixels_says_nothing_to_a_linear_learner(make_examples):
    """ERR-060: whatever fixed order features come in, the same is learned."""
    train, test = make_examples(num=120), make_examples(num=60, seed=1)
    order = np.random.default_rng(0).permutation(8)
    _, plain = fitted("softmax", train, test, cost=1.0)
    shuffled = [replace(each, features=each.features[:, order]) for each in (train, test)]
    np.testing.assert_allclose(fitted("softmax", *shuffled, cost=1.0)[1], plain, atol=1e-4)
