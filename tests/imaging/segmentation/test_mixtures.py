"""Mixtures of Gaussians beside scikit-learn's and beside the formula (Q-150)."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from snellen.errors import InputError
from snellen.imaging.segmentation import Mixture, fitted_mixture, mixture_costs
from snellen.imaging.segmentation.mixtures import hard_mixture, nearest_components, started_components


def points(seed=0):
    generator = np.random.default_rng(seed)
    return np.concatenate([generator.normal((0, 0, 0), (1, 3, 1), (200, 3)), generator.normal((9, 0, 4), 1, (300, 3))])


def test_costs_are_minus_the_log_density():
    """SYS-294, SYS-310."""
    some = points()
    mixture = fitted_mixture(some, 2, floor=1e-3, seed=0)
    theirs = GaussianMixture(2, reg_covar=1e-3, random_state=0, max_iter=50).fit(some)
    np.testing.assert_allclose(mixture_costs(some, mixture), -theirs.score_samples(some), rtol=1e-9)


def test_hard_costs_count_the_nearest_component_alone():
    mixture = Mixture(
        weights=np.array([0.25, 0.75]),
        means=np.array([[0.0, 0], [4, 1]]),
        covariances=np.array([np.eye(2), 2 * np.eye(2)]),
    )
    some = np.array([[0.5, 0.2], [3.0, 1.0]])
    densities = np.stack(
        [
            weight * multivariate_normal(mean, covariance).pdf(some)
            for weight, mean, covariance in zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
        ]
    )
    np.testing.assert_allclose(mixture_costs(some, mixture, is_hard=True), -np.log(densities.max(axis=0)))
    np.testing.assert_allclose(mixture_costs(some, mixture), -np.log(densities.sum(axis=0)))
    assert nearest_components(some, mixture).tolist() == densities.argmax(axis=0).tolist()


def test_far_points_have_finite_costs():
    mixture = fitted_mixture(points(), 2, floor=1.0, seed=0)
    assert np.isfinite(mixture_costs(np.full((1, 3), 1e6), mixture)).all()


@pytest.mark.parametrize("some", [np.ones((1, 3)), np.ones((40, 3)), np.arange(6.0).reshape(2, 3)])
def test_a_handful_of_points_gives_fewer_components(some):
    mixture = fitted_mixture(some, 5, floor=0.5, seed=0)
    assert len(mixture.weights) == 1
    np.testing.assert_allclose(mixture.means[0], some.mean(axis=0))
    np.testing.assert_allclose(mixture.covariances[0], np.cov(some.T, bias=True) + 0.5 * np.eye(3))


def test_hard_mixture_has_the_moments_of_its_points():
    some = points()
    component = np.repeat([0, 2], [200, 300])
    mixture = hard_mixture(some, component, 3, floor=0.0)
    np.testing.assert_allclose(mixture.weights, [0.4, 0.6])
    np.testing.assert_allclose(mixture.means[1], some[200:].mean(axis=0))
    np.testing.assert_allclose(mixture.covariances[1], np.cov(some[200:].T, bias=True))


def test_no_point_is_told():
    with pytest.raises(InputError, match="at least one pixel; got none"):
        fitted_mixture(np.zeros((0, 3)), 2, floor=1.0, seed=0)
    with pytest.raises(InputError, match="at least one pixel; got none"):
        started_components(np.zeros((0, 3)), 2, seed=0)


def test_the_start_is_the_same_each_time():
    some = points()
    np.testing.assert_array_equal(started_components(some, 4, seed=0), started_components(some, 4, seed=0))
