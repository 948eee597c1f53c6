"""Names of shallow models: features, then learner, resolved by what the data hold."""

import pytest

from snellen.errors import ConfigError, MissingExtraError
from snellen.models import find_model
from snellen.models.shallow import FEATURES, LEARNERS, VALUE_LEARNERS, hand_made_names, kind_of_features
from snellen.structures import BoxTarget, ClassTarget, LabelSetTarget, MaskTarget, ValueTarget


def test_every_name_is_found():
    names = list(hand_made_names())
    assert len(names) == len(set(names)) > 100
    for name in names:
        entry = find_model(name, ValueTarget if name.rpartition("_")[2] in ("linear", "ridge", "svr") else ClassTarget)
        assert entry.name == name
        assert entry.resize == "squeeze"
        assert entry.build(2).target_type is entry.target_type


def test_one_name_for_a_detector_and_a_classifier():
    assert find_model("hog_svm").target_type is BoxTarget
    assert find_model("hog_svm", BoxTarget).target_type is BoxTarget
    for kind in (ClassTarget, LabelSetTarget):
        entry = find_model("hog_svm", kind)
        assert (entry.name, entry.target_type) == ("hog_svm", kind)
    assert find_model("pixels_knn", MaskTarget).target_type is ClassTarget  # planning says that it does not fit


@pytest.mark.parametrize("backbone", ["resnet18", "mobilenet_v2", "alexnet"])
def test_features_of_any_backbone(backbone):
    entry = find_model(f"{backbone}_features_svm")
    assert entry.presumes_weights
    assert not entry.sized
    assert kind_of_features(entry.name) == f"{backbone}_features"
    model = entry.build(3, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    assert model.normalize.mean == (0.5, 0.5, 0.5)


def test_features_of_a_backbone_of_timm():
    pytest.importorskip("timm")
    assert find_model("timm:resnet10t_features_softmax").build(2).num_features == 512


def test_principal_components_in_the_name():
    assert find_model("pixels_pca_knn").build(3).fitting.pca == 0.95
    assert find_model("pixels_knn").build(3).fitting.pca is None
    assert find_model("mobilenet_v2_features_pca_svm").build(3).fitting.pca == 0.95
    assert kind_of_features("pixels_pca_knn") == "pixels"


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("hog_svmm", None, "'hog_svmm' must end in a learner; there is none called 'svmm'. Did you mean 'svm'"),
        ("hog_tangent_knn", None, "the learner 'tangent_knn' is made for pixels; .* Try pixels_tangent_knn"),
        ("resnet19_features_svm", None, "there is no backbone 'resnet19'. Did you mean 'resnet18'"),
        ("pixel_knn", None, "there is no model 'pixel_knn'. Did you mean 'pixels_knn'"),
        ("hog_svm", ValueTarget, "the learner 'svm' tells classes; the data set has ValueTarget. Take one of linear"),
        ("hog_ridge", ClassTarget, "the learner 'ridge' estimates values; the data set has ClassTarget"),
        ("pixels_knn", LabelSetTarget, "keeps all training images, .* Try pixels_softmax or pixels_forest"),
    ],
)
def test_names_that_name_nothing(name, kind, words):
    with pytest.raises(ConfigError, match=words):
        find_model(name, kind)


def test_tables_agree():
    rows = (*LEARNERS, *VALUE_LEARNERS)
    assert len({row.name for row in rows}) == len(rows)
    kinds = {kind.name for kind in FEATURES}
    for row in rows:
        assert set(row.only) <= kinds
        assert set(row.grid) <= {*row.settings.__dataclass_fields__}
        assert all(getattr(row.settings(), name) is None for name in row.grid)
        assert row.summary


def test_a_learner_of_a_package_that_is_not_installed(make_batch, fit_data, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(MissingExtraError, match=r"the learner xgboost needs .*'xgboost'.*snellen\[boosting\]"):
        find_model("colour_xgboost").build(3).fit_stage("fit", fit_data(make_batch(12)))
