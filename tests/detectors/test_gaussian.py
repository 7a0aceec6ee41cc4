import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from skasd.detectors._gaussian import component_score, fit_mixture, held_out_scores, left_out_score, mixture_score


def mixture(means, variances, weights):
    means, variances = np.array(means, dtype=float), np.array(variances, dtype=float)
    made = GaussianMixture(len(means))
    made.means_, made.weights_ = means, np.array(weights)
    made.covariances_ = np.stack([np.diag(row) for row in variances])
    made.precisions_cholesky_ = np.stack([np.diag(1 / np.sqrt(row)) for row in variances])
    return made


def test_published_values_of_one_component_in_128_dimensions():
    standard = mixture([np.zeros(128)], [np.ones(128)], [1.0])
    at_mean, at_distance_two = component_score(standard, np.eye(128)[:2] * [[0.0], [2.0]])
    assert at_mean == pytest.approx(117.624132, abs=1e-6)
    assert at_distance_two == pytest.approx(119.624132, abs=1e-6)


def test_published_values_of_two_components_in_one_dimension():
    pair = mixture([[0.0], [10.0]], [[1.0], [1.0]], [0.9, 0.1])
    X = np.array([[0.0], [5.0], [10.0]])
    np.testing.assert_allclose(component_score(pair, X), [0.918939, 13.418939, 0.918939], atol=1e-6)
    np.testing.assert_allclose(mixture_score(pair, X), [1.024299, 13.418939, 3.221524], atol=1e-6)


def test_component_score_does_not_see_the_weights():
    X = np.random.default_rng(0).standard_normal((5, 2))
    one = mixture([[0, 0], [3, 3]], [[1, 2], [1, 1]], [0.5, 0.5])
    other = mixture([[0, 0], [3, 3]], [[1, 2], [1, 1]], [0.01, 0.99])
    np.testing.assert_array_equal(component_score(one, X), component_score(other, X))


def test_one_component_has_one_score():
    X = np.random.default_rng(0).standard_normal((30, 3))
    fitted = fit_mixture(X, n_components=1, reg_covar=0.1, random_state=np.random.RandomState(0))
    np.testing.assert_allclose(component_score(fitted, X), mixture_score(fitted, X), rtol=1e-12)


def scores_without_own_recording(X, reg_covar, recording):
    expected = []
    for clip in range(len(X)):
        others = X[recording != recording[clip]]
        deviation = others - others.mean(axis=0)
        covariance = deviation.T @ deviation / len(others) + reg_covar * np.eye(X.shape[1])
        distance = X[clip] - others.mean(axis=0)
        log_determinant = np.linalg.slogdet(2 * np.pi * covariance)[1]
        expected.append(0.5 * (log_determinant + distance @ np.linalg.solve(covariance, distance)))
    return expected


@pytest.mark.parametrize("shape", [(2, 3), (3, 8), (40, 5)])
def test_left_out_score_equals_leaving_out_each_clip(shape):
    X, alone = np.random.default_rng(0).standard_normal(shape) + 4, np.arange(shape[0])
    expected = scores_without_own_recording(X, 0.1, alone)
    np.testing.assert_allclose(left_out_score(X, 0.1, alone), expected, rtol=1e-9)


@pytest.mark.parametrize(
    "recording", [np.arange(20) // 2, np.r_[np.zeros(15, int), 1, 2, 3, 4, 4], np.r_[0, 0, np.arange(1, 19)]], ids=str
)
def test_left_out_score_leaves_out_whole_recordings(recording):
    X = np.random.default_rng(0).standard_normal((20, 6)) - 3
    X[1] = X[0]
    expected = scores_without_own_recording(X, 0.1, recording)
    np.testing.assert_allclose(left_out_score(X, 0.1, recording), expected, rtol=1e-9)


def test_held_out_scores_of_several_components_exceed_those_of_the_fit():
    X = np.random.default_rng(0).standard_normal((40, 6))
    settings = {"n_components": 2, "reg_covar": 0.1, "random_state": np.random.RandomState(0)}
    in_sample = component_score(fit_mixture(X, **settings), X)
    assert held_out_scores(X, "component", recording=np.arange(40), **settings).mean() > in_sample.mean()


def test_copies_do_not_change_held_out_scores_of_several_components_much():
    X = np.random.default_rng(0).standard_normal((40, 6))
    means = []
    for times in (1, 2):
        settings = {"n_components": 2, "reg_covar": 0.1, "random_state": np.random.RandomState(0)}
        recording = np.tile(np.arange(40), times)
        means.append(held_out_scores(np.tile(X, (times, 1)), "component", recording=recording, **settings).mean())
    assert means[0] == pytest.approx(means[1], rel=0.15)


@pytest.mark.parametrize(
    ("X", "recording", "n_components", "message"),
    [
        (np.eye(3), np.arange(3), 2, "3 clips are too few to hold out any with n_components=2"),
        (
            np.eye(3),
            np.zeros(3),
            1,
            "3 clips of 1 different recordings are too few to hold out any with n_components=1",
        ),
    ],
)
def test_held_out_scores_of_very_few_clips_are_finite(X, recording, n_components, message):
    settings = {"n_components": n_components, "reg_covar": 0.1, "random_state": np.random.RandomState(0)}
    with pytest.warns(UserWarning, match=f"Few normal clips: {message}"):
        assert np.isfinite(held_out_scores(X, "component", recording=recording, **settings)).all()
