"""Shallow models with the verbs of every model: fitted, saved, loaded, and on data that give little to learn from."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from snellen.errors import CheckpointError, ConfigError, TrainingError
from snellen.models import change_settings, describe_model, find_model, settings_of
from snellen.models.shallow import FEATURES, LEARNERS
from snellen.structures import ClassTarget, ImageBatch, Model, Staged

PAIRS = ["pixels_knn", "pixels_tangent_knn", "hog_svm", "colour_forest", "lbp_logistic", "sift_softmax"]
EVERY_LEARNER = [f"{(row.only or ('colour',))[0]}_{row.name}" for row in LEARNERS if not row.extra]


def built(name, num_classes=3):
    return find_model(name, ClassTarget).build(num_classes)


# What keeps a fit short.
SMALL = {
    "adaboost": {"learner.rounds": 5},
    "forest": {"learner.trees": 10},
    "boosting": {"learner.rounds": 10},
    "sift": {"features.words": 20},
}


def fitted(name, data, num_classes=3, **settings):
    model = built(name, num_classes)
    small = {path: value for word, options in SMALL.items() if word in name for path, value in options.items()}
    change_settings(model, {**small, **settings})
    facts = model.fit_stage("fit", data)
    return model, facts


@pytest.mark.parametrize("name", sorted({*PAIRS, *EVERY_LEARNER}))
def test_learns_and_comes_back_from_its_state(name, make_batch, fit_data):
    train, test = make_batch(48, num_classes=3), make_batch(18, num_classes=3, seed=1)
    model, facts = fitted(name, fit_data(train))
    output = model(test.images)
    assert isinstance(model, Model)
    assert isinstance(model, Staged)
    assert facts["images"] == 48
    right = (output.logits.argmax(dim=1) == test.targets.probs.argmax(dim=1)).float().mean()
    assert right > 0.7
    probs = torch.stack([found.probs for found in model.decode(output, test.images.original_sizes)])
    torch.testing.assert_close(probs.sum(dim=1), torch.ones(18))
    loss = model.loss(output, test.targets)["cross_entropy"]
    assert torch.isfinite(loss)
    assert loss < np.log(3)
    state = copy.deepcopy(model.state_dict())
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    again = built(name)
    again.load_state_dict(state)
    assert torch.equal(again(test.images).logits, output.logits)
    assert torch.equal(copy.deepcopy(model)(test.images).logits, output.logits)


@pytest.mark.parametrize("name", ["hog_svm", "pixels_forest", "colour_kmeans", "sift_softmax"])
def test_same_seed_same_fit(name, make_batch, fit_data):
    states = [fitted(name, fit_data(make_batch(30)))[0].state_dict() for _ in range(2)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("kind", [kind.name for kind in FEATURES])
def test_images_of_other_sizes_and_padding(kind, make_batch, fit_data):
    """What an image says depends neither on its neighbours in the batch nor on padding."""
    model, _ = fitted(f"{kind}_softmax", fit_data(make_batch(30)))
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (2, 3, 40, 60), dtype=torch.uint8, generator=generator)
    sizes = torch.tensor([[40, 60], [20, 33]])
    together = model(ImageBatch(pixels=pixels, sizes=sizes, original_sizes=sizes)).logits
    pixels[1, :, 20:] = 7
    pixels[1, :, :, 33:] = 9
    alone = [
        model(ImageBatch(pixels=pixels[i : i + 1], sizes=sizes[i : i + 1], original_sizes=sizes[i : i + 1])).logits
        for i in range(2)
    ]
    torch.testing.assert_close(together, torch.cat(alone))


def test_before_a_fit_all_is_equally_likely(make_batch):
    model = built("hog_svm", 5)
    output = model(make_batch(4).images)
    assert output.logits.shape == (4, 5)
    probs = [found.probs for found in model.decode(output, torch.ones(4, 2, dtype=torch.long))]
    torch.testing.assert_close(torch.stack(probs), torch.full((4, 5), 0.2))
    again = built("hog_svm", 5)
    again.load_state_dict(model.state_dict())
    assert not again.is_fitted


def test_settings_are_listed_and_changed(make_batch, fit_data):
    model = built("hog_knn")
    known = settings_of(model)
    assert {"features.bins", "features.cell_px", "learner.k", "fitting.pca", "fitting.balance"} <= known.keys()
    model, facts = fitted("hog_knn", fit_data(make_batch(30)), **{"learner.k": 7, "fitting.scale": "standard"})
    assert int(model.answer.learned.numbers["k"]) == 7
    assert "chosen" not in facts
    with pytest.raises(ConfigError, match="k must be a whole number"):
        change_settings(built("hog_knn"), {"learner.k": 0})
    with pytest.raises(ConfigError, match="scale must be one of 'standard', 'none'"):
        change_settings(built("hog_knn"), {"fitting.scale": "minmax"})


def test_what_is_left_open_is_chosen_by_cross_validation(make_batch, fit_data):
    """SYS-234, SYS-237."""
    told = []
    data = fit_data(make_batch(48), progress=lambda what, done, total: told.append((what, done, total)))
    _, facts = fitted("colour_svm", data)
    tried = next(value for name, value in facts.items() if name.startswith("tried on 48 images in 3 parts"))
    assert tried.count("cost =") == 3
    scores = {words.rpartition(":")[0]: float(words.rpartition(":")[2]) for words in tried.split("; ")}
    assert facts["chosen"] == max(scores, key=scores.get)
    assert ("trying settings", 9, 9) in told
    assert told[-1] == ("fitting", 1, 1)


def test_twins_are_set_aside_together(make_batch, fit_data):
    """With every image twice, one neighbour remembers the twin; in groups it cannot, and chance is what is left."""
    batch = make_batch(24)
    noise = torch.randint(
        0, 256, batch.images.pixels.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(5)
    )
    pixels = torch.cat([noise, noise])
    sizes = torch.tensor([[32, 32]] * 48)
    twins = replace(
        batch,
        images=ImageBatch(pixels=pixels, sizes=sizes, original_sizes=sizes),
        targets=ClassTarget(probs=torch.cat([batch.targets.probs] * 2)),
        indices=torch.arange(48),
    )

    def first_score(groups):
        _, facts = fitted("pixels_knn", fit_data(twins, groups=groups), **{"fitting.scale": "none"})
        tried = next(value for name, value in facts.items() if name.startswith("tried"))
        return float(tried.partition("k = 1: ")[2][:5])

    assert first_score(None) > 0.6
    assert first_score(np.tile(np.arange(24), 2)) < 0.6


def test_imbalanced_classes_weigh_alike(make_batch, fit_data):
    labels = [0] * 40 + [1] * 3
    _, facts = fitted("colour_softmax", fit_data(make_batch(labels=labels)), 2)
    assert facts["weights"] == "every class the same"
    assert any("mean recall" in name for name in facts)
    _, plain = fitted("colour_softmax", fit_data(make_batch(labels=labels)), 2, **{"fitting.balance": False})
    assert "weights" not in plain


@pytest.mark.parametrize("name", sorted({*EVERY_LEARNER}))
@pytest.mark.parametrize(
    "labels", [[0, 1], [0, 0, 0, 1], [0, 0, 1, 1, 2], [1, 1, 1]], ids=["two", "one-of-a-class", "five", "one-class"]
)
def test_next_to_nothing_to_learn_from(name, labels, make_batch, fit_data):
    train = make_batch(labels=labels)
    model, facts = fitted(name, fit_data(train), 4)
    probs = torch.stack([found.probs for found in model.decode(model(train.images), train.images.original_sizes)])
    assert torch.isfinite(probs).all()
    torch.testing.assert_close(probs.sum(dim=1), torch.ones(len(labels)))
    assert (probs[:, 3] < 1e-5).all()
    if set(labels) == {1}:
        assert facts["classes"] == "only one occurs, and every image is taken for it"
        assert (probs.argmax(dim=1) == 1).all()
    else:
        assert facts["classes without an image, which are never told"] == 4 - len(set(labels))


@pytest.mark.parametrize("name", sorted({*PAIRS, *EVERY_LEARNER}))
def test_identical_images(name, make_batch, fit_data):
    """SYS-228: nothing varies, so nothing can be told, and nothing breaks."""
    batch = make_batch(12)
    same = replace(batch, images=replace(batch.images, pixels=batch.images.pixels[:1].expand(12, -1, -1, -1)))
    model, _ = fitted(name, fit_data(same))
    probs = torch.stack([found.probs for found in model.decode(model(same.images), same.images.original_sizes)])
    assert torch.isfinite(probs).all()
    torch.testing.assert_close(probs.sum(dim=1), torch.ones(12))
    torch.testing.assert_close(probs, probs[:1].expand(12, -1))


@pytest.mark.parametrize("kind", [kind.name for kind in FEATURES])
def test_images_of_one_pixel(kind, fit_data, make_batch):
    batch = make_batch(12)
    sizes = torch.ones(12, 2, dtype=torch.long)
    dots = replace(
        batch, images=ImageBatch(pixels=batch.images.pixels[:, :, :1, :1], sizes=sizes, original_sizes=sizes)
    )
    model, _ = fitted(f"{kind}_softmax", fit_data(dots))
    assert torch.isfinite(model(dots.images).logits).all()


def test_grey_images_are_compared_in_one_channel(make_batch, fit_data):
    batch = make_batch(24)
    grey = replace(batch, images=replace(batch.images, pixels=batch.images.pixels[:, :1].expand(-1, 3, -1, -1)))
    _, facts = fitted("pixels_knn", fit_data(grey))
    assert facts["features"] == 32 * 32
    model, facts = fitted("pixels_knn", fit_data(batch))
    assert facts["features"] == 3 * 32 * 32
    assert model(grey.images).logits.shape == (24, 3)


def test_many_classes(fit_data, make_batch):
    """500 classes with two images each."""
    labels = [label for label in range(500) for _ in range(2)]
    batch = make_batch(labels=labels, num_classes=500, side=8)
    for name in ("colour_knn", "colour_naive_bayes", "colour_tree"):
        model, _ = fitted(name, fit_data(batch), 500, **{"fitting.tried_images": 600})
        assert torch.isfinite(model(batch.images).logits).all()


def test_no_image(fit_data, make_batch):
    with pytest.raises(TrainingError, match="expects training images; there are none"):
        built("hog_svm").fit_stage("fit", fit_data())
    with pytest.raises(ConfigError, match=r"stage must be one of \['fit'\]; got 'svm'"):
        built("hog_svm").fit_stage("svm", fit_data(make_batch(4)))
    with pytest.raises(ConfigError, match="at least one output; got 0"):
        built("hog_svm", 0)


def test_features_of_a_network(make_batch, fit_data):
    model = find_model("mobilenet_v2_features_softmax").build(3)
    assert not model.backbone.training  # norms of a batch would be neither those of the weights nor the same again
    assert model.train().training
    assert not model.backbone.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    before = {key: value.clone() for key, value in model.backbone.state_dict().items()}
    batch = make_batch(12, side=64)
    facts = model.fit_stage("fit", fit_data(batch))
    assert facts["features"] == 1280
    assert all(torch.equal(value, before[key]) for key, value in model.backbone.state_dict().items())
    model.eval()
    pooled = model.backbone(model.normalize(batch.images))["c5"].mean(dim=(2, 3))
    found = np.stack(model.described([batch.images]))
    np.testing.assert_allclose(found, pooled.detach().numpy(), atol=1e-5)
    again = find_model("mobilenet_v2_features_softmax").build(3).eval()
    again.load_state_dict(model.state_dict())
    torch.testing.assert_close(again(batch.images).logits, model(batch.images).logits)


def test_other_weights_have_other_features(make_batch):
    """The cache knows a network by its weights."""
    batch = make_batch(2, side=64)
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        found.append(np.stack(find_model("mobilenet_v2_features_knn").build(3).eval().described([batch.images])))
    assert np.abs(np.corrcoef(*(rows.ravel() for rows in found))[0, 1]) < 0.9


def test_broken_weights_are_told(make_batch, fit_data):
    model = find_model("mobilenet_v2_features_knn").build(3)
    with torch.no_grad():
        next(model.backbone.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingError, match="the backbone must give finite features"):
        model.fit_stage("fit", fit_data(make_batch(4)))


def test_described_like_any_model():
    told = describe_model(find_model("resnet18_features_svm"), num_classes=3, size=(64, 64))
    assert told.num_trainable == 0
    assert told.num_parameters > 11e6
    assert describe_model(find_model("hog_svm", ClassTarget), num_classes=3).num_parameters == 0


class Evil:
    def __reduce__(self):
        return (print, ("never",))


def changed(state, name, change):
    key = next(key for key in state if key.endswith(name))
    return {**state, key: change(state[key].clone())}


def set_at(value):
    def change(tensor):
        tensor.view(-1)[0] = value
        return tensor

    return change


@pytest.mark.parametrize(
    ("model", "name", "change", "words"),
    [
        ("colour_tree", "learned.left", set_at(0), "children of a node must come after it"),
        ("colour_tree", "learned.right", set_at(10**6), "children of a node must come after it"),
        ("colour_tree", "learned.feature", set_at(10**6), "feature must be below"),
        ("colour_tree", "learned.root", set_at(-1), "root must be nodes"),
        ("colour_forest", "learned.value", lambda value: value[:1], "leaves must have values"),
        ("colour_boosting", "learned.column", set_at(9), "column must be classes"),
        ("colour_knn", "learned.labels", set_at(3), "labels must be classes, 0 to 2"),
        ("colour_knn", "learned.k", set_at(0), "k and the weights of votes must be above 0"),
        ("colour_svm", "learned.weight", lambda value: value[:, :5], "weight must have"),
        ("colour_svm", "learned.bias", set_at(float("nan")), "bias must hold finite numbers"),
        ("colour_svm", "learned.bias", lambda value: value.long(), "bias must have 1 axes of real numbers"),
        ("colour_svm", "outcome.classes", set_at(7), "classes must rise from 0 to at most 2"),
        ("colour_rbf_svm", "learned.counts", set_at(1), "counts must add up"),
        ("colour_mixture", "learned.variance", set_at(-1.0), "variance must be above 0"),
        ("colour_mixture", "learned.owner", set_at(2), "owner must name each"),
        ("colour_crossed_logistic", "learned.picked", set_at(-4), "picked must be features"),
        ("colour_lda", "preparation.mean", lambda value: value[None], "mean must have 1 axes"),
        ("pixels_tangent_knn", "learned.smoothing", set_at(-1.0), "candidates and smoothing must be above 0"),
        ("sift_svm", "vocabulary", lambda value: value[:, :7], "vocabulary must have 128 entries"),
    ],
)
def test_a_state_that_was_tampered_with(model, name, change, words, make_batch, fit_data):
    """What is read is checked: no endless walk, no reading beyond an array."""
    fit, _ = fitted(model, fit_data(make_batch(30)))
    with pytest.raises(CheckpointError, match=words):
        built(model).load_state_dict(changed(fit.state_dict(), name, change))


def test_a_state_with_other_things_in_it(make_batch, fit_data):
    fit, _ = fitted("colour_svm", fit_data(make_batch(30)))
    state = fit.state_dict()
    with pytest.raises(CheckpointError, match=r"must hold weight, bias; got bias\. The file was changed or damaged"):
        built("colour_svm").load_state_dict({k: v for k, v in state.items() if not k.endswith("learned.weight")})
    with pytest.raises(CheckpointError, match="must hold weight, bias; got bias, more, weight"):
        built("colour_svm").load_state_dict({**state, "answer.learned.more": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"learned\.code must be a tensor; got Evil"):
        built("colour_svm").load_state_dict({**state, "answer.learned.code": Evil()})
