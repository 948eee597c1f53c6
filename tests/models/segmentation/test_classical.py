"""Classical segmenters as models: what they say unfitted, what a fit learns, and what a state may hold."""

import copy
from dataclasses import fields, replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from snellen.errors import CheckpointError, ConfigError, InputError, TrainingError
from snellen.imaging.segmentation import Hints
from snellen.metrics import SegmentationMetric
from snellen.models import change_settings, find_model, page_names, settings_of
from snellen.models.segmentation.classical import METHODS, ClassicalSegmenter, find_method
from snellen.models.segmentation.classical.appearance import log_posteriors, num_features, pixel_features
from snellen.models.segmentation.classical.fitting import _mean_iou, classes_of_sides
from snellen.models.segmentation.classical.settings import AppearanceSettings
from snellen.structures import IGNORE_LABEL, Batch, FitData, MaskTarget, Sample

NAMES = [method.name for method in METHODS]
SIDE = 48
# Two colours for each class, so that a single Gaussian would not do.
GROUND, THING = ((50, 70, 120), (70, 100, 70)), ((215, 150, 100), (230, 200, 160))


def scene(seed, *, classes=2, size=(SIDE, SIDE + 8)):
    """An ellipse on a ground; with three classes, a square beside it."""
    generator = np.random.default_rng(seed)
    rows, columns = np.indices(size)
    middle = generator.uniform(16, 28, 2)
    labels = (((rows - middle[0]) / 12) ** 2 + ((columns - middle[1]) / 10) ** 2 < 1).astype(np.uint8)
    image = np.where((rows > size[0] // 2)[..., None], *GROUND)
    image = np.where((labels == 1)[..., None], np.where((columns > middle[1])[..., None], *THING), image)
    if classes == 3:
        labels[2:14, 40:54] = 2
        image = np.where((labels == 2)[..., None], (30, 20, 30), image)
    noisy = np.clip(image + generator.normal(0, 14, image.shape), 0, 255).astype(np.uint8)
    return noisy, labels


def batch_of(seeds, *, stride=1, **options) -> Batch:
    samples = []
    for index, seed in enumerate(seeds):
        image, labels = scene(seed, **options)
        pixels = torch.from_numpy(image).permute(2, 0, 1).contiguous()
        target = MaskTarget(labels=torch.from_numpy(labels))
        samples.append(Sample(image=pixels, target=target, index=index, source="", original_size=labels.shape))
    return Batch.collate(samples, stride=stride)


def fit_data(*batches: Batch, seed=0, progress=lambda *_: None) -> FitData:
    return FitData(
        batches=lambda: iter(batches),
        num_images=sum(map(len, batches)),
        folder=Path(),
        device=torch.device("cpu"),
        seed=seed,
        progress=progress,
    )


def fitted(name, *, classes=2, changes=None) -> ClassicalSegmenter:
    model = ClassicalSegmenter(classes, method=name)
    change_settings(model, {"choosing.images": 1, **(changes or {})})
    model.fit_stage("fit", fit_data(batch_of(range(2), classes=classes)))
    return model


@cache
def usual(name) -> ClassicalSegmenter:
    """A model fitted to two classes; tests must not change it."""
    return fitted(name)


def mean_iou(model, batch, classes=2) -> float:
    found = model.decode(model(batch.images), batch.images.original_sizes)
    metric = SegmentationMetric([f"class {label}" for label in range(classes)])
    height, width = batch.images.original_sizes[0].tolist()
    truths = [MaskTarget(labels=labels[:height, :width]) for labels in batch.targets.labels]
    metric.update(found, truths, range(len(truths)))
    return float(metric.result().scalars["mIoU"])


@pytest.fixture(scope="module")
def test_batch():
    return batch_of((20, 21))


# What a fit must reach on the scene; regions that are too coarse, and sides of a single channel, reach less.
LEAST = dict.fromkeys(NAMES, 0.75) | {
    "region_growing": 0.9, "watershed": 0.9, "graph_cut": 0.95, "grabcut": 0.95, "otsu": 0.9, "multi_otsu": 0.9,
    "triangle": 0.5, "adaptive_threshold": 0.5, "snake": 0.6, "normalized_cut": 0.6, "minimum_error": 0.7,
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_fit_learns_what_masks_tell(name, test_batch):
    model = usual(name)
    assert model.is_fitted
    assert mean_iou(model, test_batch) > LEAST[name]


@pytest.mark.parametrize("name", NAMES)
def test_what_was_fitted_lies_in_the_state(name, test_batch):
    model = usual(name)
    other = ClassicalSegmenter(2, method=name)
    other.load_state_dict(copy.deepcopy(model.state_dict()))
    torch.testing.assert_close(other(test_batch.images).logits, model(test_batch.images).logits)
    assert other.used_settings() == model.used_settings()


@pytest.mark.parametrize("name", ["otsu", "kmeans", "watershed"])
def test_the_same_seed_gives_the_same_fit(name):
    one, other = usual(name).state_dict(), fitted(name).state_dict()
    assert one.keys() == other.keys()
    for key, value in one.items():
        torch.testing.assert_close(value, other[key], rtol=0, atol=0)


@pytest.mark.parametrize("name", ["multi_otsu", "felzenszwalb", "watershed", "graph_cut", "grabcut"])
def test_three_classes(name):
    model = fitted(name, classes=3)
    assert mean_iou(model, batch_of((20, 21), classes=3), classes=3) > 0.8


def test_a_contour_knows_two_classes_only():
    with pytest.raises(ConfigError, match="snake tells an inside from an outside; the data set has 3 classes"):
        fitted("snake", classes=3)


@pytest.mark.parametrize("name", NAMES)
def test_unfitted_models_tell_foreground_from_background(name, test_batch):
    model = ClassicalSegmenter(2, method=name)
    found = model.decode(model(test_batch.images), test_batch.images.original_sizes)
    assert all(one.labels.max() <= 1 for one in found)
    assert all(((one.confidence > 0.5) & (one.confidence <= 1)).all() for one in found)


@pytest.mark.parametrize("name", ["otsu", "chan_vese"])
def test_unfitted_foreground_is_what_lies_inside(name, test_batch):
    assert mean_iou(ClassicalSegmenter(2, method=name), test_batch) > 0.85


def test_unfitted_models_know_nothing_of_other_classes(test_batch):
    output = ClassicalSegmenter(3, method="otsu")(test_batch.images)
    assert output.logits.shape[1] == 3
    assert not output.logits.any()


@pytest.mark.parametrize("name", ["graph_cut", "grabcut", "snake"])
def test_a_box_tells_where_the_thing_is(name):
    image, labels = scene(3)
    rows, columns = np.nonzero(labels)
    box = (columns.min() - 3.0, rows.min() - 3.0, columns.max() + 4.0, rows.max() + 4.0)
    cutting = ClassicalSegmenter(2, method=name).cut(image, Hints(box=box))
    found = cutting.labels == 1
    assert (found & (labels == 1)).sum() / (found | (labels == 1)).sum() > (0.7 if name == "snake" else 0.93)


@pytest.mark.parametrize("name", ["watershed", "region_growing", "graph_cut", "grabcut"])
def test_marks_tell_what_is_what(name):
    image, labels = scene(3)
    seeds = np.zeros(labels.shape, dtype=np.int32)
    seeds[1:3], seeds[-3:] = 1, 1
    rows, columns = np.nonzero(labels)
    row = int(rows.mean())
    seeds[row - 1 : row + 2, columns.min() + 2 : columns.max() - 1] = 2
    cutting = ClassicalSegmenter(2, method=name).cut(image, Hints(seeds=seeds))
    found = cutting.labels == 1
    assert (found & (labels == 1)).sum() / (found | (labels == 1)).sum() > 0.85
    assert (cutting.labels[seeds > 0] == seeds[seeds > 0] - 1).all()


@pytest.mark.parametrize(
    ("name", "hint"), [("otsu", "box"), ("kmeans", "seeds"), ("watershed", "box"), ("snake", "seeds")]
)
def test_what_cannot_be_told_is_refused(name, hint):
    image, labels = scene(0)
    hints = Hints(box=(1, 2, 30, 40)) if hint == "box" else Hints(seeds=np.ones(labels.shape, dtype=np.int32))
    with pytest.raises(InputError, match=f"{name} can be told .*; got {hint}"):
        ClassicalSegmenter(2, method=name).cut(image, hints)


def test_marks_of_another_size_are_refused():
    with pytest.raises(InputError, match="seeds must have the size of the image, 56 × 48; got 5 × 4"):
        ClassicalSegmenter(2, method="watershed").cut(scene(0)[0], Hints(seeds=np.ones((4, 5), dtype=np.int32)))


def test_a_fitted_model_may_be_told_more():
    image, labels = scene(5)
    model = usual("graph_cut")
    seeds = np.zeros(labels.shape, dtype=np.int32)
    seeds[labels == 1] = 1  # the user says that the thing is background
    assert not model.cut(image, Hints(seeds=seeds)).labels[labels == 1].any()


def test_padding_and_ignored_pixels_count_for_nothing():
    clean = batch_of(range(3))
    labels = clean.targets.labels.clone()
    pixels = clean.images.pixels.clone()
    labels[:, :, :6] = IGNORE_LABEL
    pixels[:, :, :, :6] = 255  # neither class looks so
    spoilt = replace(clean, images=replace(clean.images, pixels=pixels), targets=MaskTarget(labels=labels))
    model = ClassicalSegmenter(2, method="kmeans")
    change_settings(model, {"appearance.texture": False, "appearance.sigma_px": 0.0})
    model.fit_stage("fit", fit_data(spoilt))
    assert model.fitted.arrays()["means"][:, 0].max() < 230
    wider = batch_of([0], stride=64)
    again = ClassicalSegmenter(2, method="kmeans")
    again.fit_stage("fit", fit_data(wider))
    same = ClassicalSegmenter(2, method="kmeans")
    same.fit_stage("fit", fit_data(batch_of([0])))
    for name, value in same.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value)


def test_no_pixel_with_a_class_is_told():
    batch = batch_of([0])
    nothing = replace(batch, targets=MaskTarget(labels=torch.full_like(batch.targets.labels, IGNORE_LABEL)))
    with pytest.raises(TrainingError, match="not one pixel has one"):
        ClassicalSegmenter(2, method="otsu").fit_stage("fit", fit_data(nothing))


def test_a_class_that_never_occurs_is_never_named(test_batch):
    for name in ("felzenszwalb", "graph_cut", "otsu"):
        model = ClassicalSegmenter(4, method=name)
        model.fit_stage("fit", fit_data(batch_of(range(3))))
        found = model.decode(model(test_batch.images), test_batch.images.original_sizes)
        assert max(int(one.labels.max()) for one in found) <= 1


def test_progress_is_told_to_its_end():
    told = []
    model = ClassicalSegmenter(2, method="otsu")
    model.fit_stage("fit", fit_data(batch_of(range(3)), progress=lambda *step: told.append(step)))
    stages = ("looks of classes", "comparing settings", "classes of sides")
    assert [step[0] for step in told] == [name for name in stages for _ in range(3)]
    assert all(step[1:] == (3, 3) for step in told[2::3])


def test_what_is_reported_of_a_fit():
    facts = ClassicalSegmenter(2, method="otsu").fit_stage("fit", fit_data(batch_of(range(4))))
    assert facts["compared"] == "16 choices on 4 training images"
    assert 0.8 < facts["their mean IoU"] <= 1
    assert "channel=" in facts["settings"]
    assert facts["classes count"] in ("by their pixels", "all alike")


def test_what_is_set_by_hand_is_not_chosen():
    model = ClassicalSegmenter(2, method="otsu")
    change_settings(model, {"settings.channel": "blue"})
    assert {choice.channel for choice in model.choices()} == {"blue"}
    assert len(model.choices()) == 2
    model.fit_stage("fit", fit_data(batch_of(range(2))))
    assert model.used_settings().channel == "blue"


def test_the_channel_that_tells_the_classes_apart_is_chosen():
    """Red and green of one lightness: no grey level parts them."""
    generator = np.random.default_rng(0)
    labels = np.zeros((40, 40), dtype=np.uint8)
    labels[10:30, 8:28] = 1
    image = np.where((labels == 1)[..., None], (188, 70, 70), (30, 150, 60)) + generator.normal(0, 6, (40, 40, 3))
    pixels = torch.from_numpy(np.clip(image, 0, 255).astype(np.uint8)).permute(2, 0, 1)
    target = MaskTarget(labels=torch.from_numpy(labels))
    batch = Batch.collate([Sample(image=pixels, target=target, index=0, source="", original_size=(40, 40))])
    model = ClassicalSegmenter(2, method="otsu")
    model.fit_stage("fit", fit_data(batch))
    assert model.used_settings().channel == "green_red"
    assert mean_iou(model, batch) > 0.97


def test_a_rare_class_gets_a_side_where_that_helps():
    """The class that a side has most often would name one class alone, and the mean IoU would be 0.4."""
    counts = np.array([[600, 0], [200, 190]])
    assert classes_of_sides(counts).tolist() == [0, 1]
    assert classes_of_sides(np.array([[600, 0], [200, 5]])).tolist() == [0, 0]


@pytest.mark.parametrize("seed", range(10))
def test_classes_of_sides_are_the_best_of_all(seed):

    counts = np.random.default_rng(seed).integers(0, 400, (3, 3))
    best = max(_mean_iou(counts, np.array(choice)) for choice in product(range(3), repeat=3))
    assert _mean_iou(counts, classes_of_sides(counts)) >= best - 1e-12


def test_looks_are_probabilities():
    image, _ = scene(0)
    model = usual("kmeans")
    looks = log_posteriors(image, model.fitted.arrays(), model.appearance)
    np.testing.assert_allclose(logsumexp(looks, axis=0), 0, atol=1e-6)


@pytest.mark.parametrize("texture", [True, False])
def test_features_are_as_many_as_are_said(texture):
    settings = AppearanceSettings(texture=texture)
    features = pixel_features(scene(0)[0], settings)
    assert features.shape == (SIDE, SIDE + 8, num_features(settings))
    assert np.isfinite(features).all()


def test_a_thin_dark_line_has_a_ridge():
    image = np.full((30, 30, 3), 200, dtype=np.uint8)
    image[:, 14:16] = 60
    features = pixel_features(image, AppearanceSettings())
    across = features[15, :, 5]  # curvature across a dark line is above 0, and above that of anything else
    assert across.argmax() in (14, 15)
    assert across[14] > 5 * np.abs(across[:8]).max()


def test_texture_can_be_left_out(test_batch):
    model = fitted("watershed", changes={"appearance.texture": False})
    assert model.fitted.arrays()["means"].shape[1] == 3
    assert mean_iou(model, test_batch) > 0.9


DAMAGE = {
    "choice": lambda arrays: arrays | {"choice": torch.tensor([99])},
    "shares": lambda arrays: arrays | {"shares": torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)},
    "owners": lambda arrays: arrays | {"owners": arrays["owners"] + 5},
    "weights": lambda arrays: arrays | {"weights": -arrays["weights"]},
    "covariances": lambda arrays: arrays | {"covariances": -arrays["covariances"]},
    "means": lambda arrays: arrays | {"means": arrays["means"] * torch.nan},
    "side_classes": lambda arrays: arrays | {"side_classes": arrays["side_classes"] + 7},
    "side_shares": lambda arrays: {name: value for name, value in arrays.items() if name != "side_shares"},
    "missing": lambda arrays: {name: value for name, value in arrays.items() if name != "means"},
    "strange": lambda arrays: arrays | {"more": torch.zeros(1)},
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_state_is_refused(damage):
    state = usual("otsu").state_dict()
    arrays = {name.removeprefix("fitted."): value for name, value in state.items()}
    spoilt = {f"fitted.{name}": value for name, value in DAMAGE[damage](arrays).items()}
    with pytest.raises(CheckpointError, match="restore"):
        ClassicalSegmenter(2, method="otsu").load_state_dict(spoilt)


def test_there_must_be_a_method_a_class_and_the_stage():
    with pytest.raises(ConfigError, match=r"no classical segmenter 'ottsu'. Did you mean 'otsu'"):
        ClassicalSegmenter(2, method="ottsu")
    with pytest.raises(ConfigError, match="needs at least one class; got 0"):
        ClassicalSegmenter(0, method="otsu")
    with pytest.raises(ConfigError, match=r"stage must be one of \['fit'\]; got 'svm'"):
        ClassicalSegmenter(2, method="otsu").enter("svm")


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_whole(name):
    """A row has settings that it can be chosen among, a page, and a model by its name."""
    method = find_method(name)
    known = {each.name for each in fields(method.settings())}
    for choice in method.choices:
        assert choice.keys() <= known
        replace(method.settings(), **choice)
    assert method.page in page_names()
    entry = find_model(name)
    assert entry.page == method.page
    paths = settings_of(entry.build(2))
    assert {f"settings.{field}" for field in known} <= paths.keys()


WRONG = {
    "multi_otsu": ("settings.parts", 9),
    "split_merge": ("settings.least_side_px", 3),
    "kmeans": ("settings.clusters", 1),
    "grabcut": ("settings.margin", 0.5),
    "canny": ("settings.high_share", 1.5),
    "otsu": ("settings.channel", "grau"),
    "mean_shift": ("settings.bandwidth", 0.0),
    "snake": ("settings.iterations", 0),
    "slic": ("appearance.certainty", 2.0),
    "felzenszwalb": ("choosing.images", 0),
    "chan_vese": ("settings.smoothness", 0.0),
    "log": ("settings.sigma_px", 0.0),
}


@pytest.mark.parametrize("name", WRONG)
def test_settings_out_of_range_are_refused(name):
    path, value = WRONG[name]
    with pytest.raises(ConfigError, match=f"{path.split('.')[1]} must be .*; got {value!r}"):
        change_settings(ClassicalSegmenter(2, method=name), {path: value})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (2, 9), (16, 16)])
def test_tiny_and_even_images(name, size):
    """A single pixel, a strip, and nothing but one colour."""
    model = ClassicalSegmenter(2, method=name)
    image = np.full((*size, 3), 90, dtype=np.uint8)
    if "box" in find_method(name).takes and min(size) < 3:
        with pytest.raises(InputError, match="a box x0,y0,x1,y1 must hold"):
            model.cut(image)
        return
    cutting = model.cut(image)
    assert cutting.labels.shape == size
    assert np.isfinite(cutting.probs).all()
