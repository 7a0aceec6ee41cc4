import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from skasd.scoring import GMMScorer


@pytest.fixture
def two_components():
    """Components at 0 and 10 of variance 1, which nine in ten and one in ten clips come from."""
    scorer = GMMScorer(2, random_state=0).fit(np.r_[np.linspace(-2, 2, 18), [9.0, 11.0]][:, None])
    order = np.argsort(scorer.mixture_.means_[:, 0])
    mixture = scorer.mixture_
    mixture.means_[order] = [[0.0], [10.0]]
    mixture.covariances_[:] = mixture.precisions_cholesky_[:] = 1.0
    mixture.weights_[order] = [0.9, 0.1]
    return scorer


def test_mixture_density(two_components):
    expected = [1.024299, 13.418939, 3.221524]
    np.testing.assert_allclose(-two_components.score_samples([[0], [5], [10]]), expected, atol=1e-6)


def test_component_density_knows_no_weights(two_components):
    two_components.density = "component"
    expected = [0.918939, 13.418939, 0.918939]
    np.testing.assert_allclose(-two_components.score_samples([[0], [5], [10]]), expected, atol=1e-6)


def test_is_the_mixture_of_scikit_learn():
    X = np.random.default_rng(0).standard_normal((200, 3))
    ours = GMMScorer(3, covariance_type="diag", random_state=np.random.RandomState(0)).fit(X)
    theirs = GaussianMixture(3, covariance_type="diag", reg_covar=1e-3, random_state=np.random.RandomState(0)).fit(X)
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X))


def test_no_more_components_than_clips():
    assert GMMScorer(16, random_state=0).fit(np.arange(6.0)[:, None]).mixture_.n_components == 6


def test_smote_makes_the_target_domain_more_probable():
    generator = np.random.default_rng(0)
    X = np.r_[generator.normal(0, 1, (95, 2)), generator.normal(8, 1, (5, 2))]
    domain = ["source"] * 95 + ["target"] * 5
    plain = GMMScorer(2, random_state=0).fit(X, domain=domain)
    grown = GMMScorer(2, smote_ratio=0.5, random_state=0).fit(X, domain=domain)
    assert grown.score_samples([[8, 8]])[0] > plain.score_samples([[8, 8]])[0] + 1
