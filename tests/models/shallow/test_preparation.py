"""Standardisation and principal components that are part of the model (SYS-227, SYS-228, SYS-230, SYS-296)."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from snellen.errors import ConfigError
from snellen.models.shallow.preparation import FittingSettings, fit_preparation, prepared_features


def prepared(features, others=None, *, scale="standard", pca=0.0, whiten=False):
    arrays = fit_preparation(features, scale=scale, pca=pca, whiten=whiten, seed=0)
    return prepared_features(arrays, features if others is None else others)


@pytest.fixture
def features():
    generator = np.random.default_rng(0)
    return (generator.normal(size=(60, 6)) * [1, 10, 1000, 0.01, 5, 1] + [0, 5, -300, 1, 0, 2]).astype(np.float32)


def test_standardised_as_scikit_learn_does(features):
    """ERR-037: per feature, with the statistics of the training images."""
    others = features[:7] * 3 + 1
    scaler = StandardScaler().fit(features.astype(float))
    np.testing.assert_allclose(prepared(features, others) * np.sqrt(6), scaler.transform(others), rtol=1e-3, atol=1e-3)
    lengths = np.square(prepared(features)).sum(axis=1)
    assert lengths.mean() == pytest.approx(1, rel=1e-4)


def test_constant_features_say_nothing(features):
    """SYS-228: spread 0 is no division by 0, and a value never seen in training does not blow up."""
    features[:, 2] = 1.0
    features[:, 4] = 0.0
    others = features.copy()
    others[:, [2, 4]] = 1e6
    found = prepared(features, others)
    np.testing.assert_array_equal(found, prepared(features))
    assert not found[:, [2, 4]].any()


def test_one_image_and_all_alike():
    """SYS-228, the case of a single sample."""
    for rows in (np.ones((1, 3), np.float32), np.full((5, 3), 0.3, np.float32)):
        assert not prepared(rows).any()
        assert np.isfinite(prepared(rows, pca=2)).all()
        assert np.isfinite(prepared(rows, pca=0.9, whiten=True)).all()


def test_components_as_scikit_learn_finds_them(features):
    """SYS-246, SYS-298, ERR-137, ERR-178: new orthogonal directions of centred data."""
    wanted = PCA(3, svd_solver="full").fit_transform(
        StandardScaler().fit_transform(features.astype(float)) / np.sqrt(6)
    )
    found = prepared(features, pca=3)
    np.testing.assert_allclose(np.abs(found), np.abs(wanted), atol=1e-4)


def test_whitened_components_have_one_variance(features):
    found = prepared(features, pca=4, whiten=True)
    np.testing.assert_allclose(np.cov(found.T), np.eye(4), atol=1e-4)


def test_share_of_the_variance():
    """SYS-218, SYS-246."""
    generator = np.random.default_rng(0)
    rows = (generator.normal(size=(200, 8)) * [10, 5, 1, 0.1, 0.1, 0.1, 0.1, 0.1]).astype(np.float32)
    assert prepared(rows, scale="none", pca=0.7).shape[1] == 1
    assert prepared(rows, scale="none", pca=0.95).shape[1] == 2
    assert prepared(rows, scale="none", pca=0.999).shape[1] == 3
    assert prepared(rows, scale="none", pca=100).shape[1] == 8
    np.testing.assert_array_equal(prepared(rows, scale="none"), rows)


@pytest.mark.parametrize(
    "options",
    [{"pca": -1}, {"folds": 1}, {"tried_images": 0}, {"most_images": 0}, {"scale": "minmax"}, {"folds": 2.5}],
)
def test_settings_out_of_range(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        FittingSettings(**options)
