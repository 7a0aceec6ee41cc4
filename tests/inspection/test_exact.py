"""Exact maps: their sum is the anomaly score, up to what the model has without any deviation."""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from skasd._rank_pooling import frame_weights, twfr
from skasd.detectors import AutoencoderDetector, EnsembleDetector, TWFRDetector
from skasd.detectors._gaussian import split_score
from skasd.inspection import anomaly_map
from skasd.scoring import KNNScorer
from skasd.scoring._residual_mahalanobis import RESIDUALS, mahalanobis_parts, mahalanobis_score
from tests.detectors.cases import TRAINED


def features(n_clips, seed=0, n_frames=20):
    return np.random.default_rng(seed).normal(size=(n_clips, 5, n_frames))


@pytest.mark.parametrize("r", [1.0, 0.8, 0.0])
def test_the_map_of_a_gaussian_adds_up_to_half_the_squared_distance_from_its_mean(r):
    detector = TWFRDetector(r).fit(features(40))
    (mixture,) = detector.mixtures_[""]
    new = 3 * features(3, seed=1, n_frames=21)
    deviation = np.array([twfr(clip, [r])[0] for clip in new]) - mixture.means_[0]
    distance = np.einsum("nb,bc,nc->n", deviation, mixture.precisions_[0], deviation)
    maps = anomaly_map(detector, new, method="exact")
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), distance / 2, rtol=1e-8)


def test_the_map_of_several_r_adds_up_to_the_score_without_that_of_the_mean():
    detector = TWFRDetector((1.0, 0.5)).fit(features(40))
    new = 3 * features(4, seed=1)
    machine, constants = detector._machines[""], []
    for mixture, location, spread in zip(machine.mixtures, machine.location, machine.spread, strict=True):
        constants.append((-mixture.score_samples(mixture.means_)[0] - location) / spread)
    rest = -detector.score_samples(new) - anomaly_map(detector, new, method="exact").sum(axis=(1, 2))
    assert np.abs(rest[:, None] - constants).min(axis=1).max() < 1e-8


def test_frames_without_weight_have_no_part_in_the_score():
    detector = TWFRDetector(0.0).fit(features(40))
    (clip,) = features(1, seed=1)
    (found,) = anomaly_map(detector, clip[None], method="exact")
    assert ((found != 0).any(axis=0) == (clip == clip.max(axis=1, keepdims=True)).any(axis=0)).all()


def test_a_band_that_is_independent_has_the_part_of_its_own_deviation():
    X = np.random.default_rng(0).normal(size=(4000, 3)) * [1.0, 2.0, 3.0]
    mixture = GaussianMixture(covariance_type="full", reg_covar=1e-9).fit(X)
    mixture.precisions_cholesky_ = np.linalg.inv(np.diag([1.0, 2.0, 3.0]))[None]
    x = mixture.means_[0] + [2.0, 2.0, 3.0]
    weights = np.full((3, 2), 0.5)
    split = split_score(mixture, x, weights, np.array([[4.0, 0.0], [2.0, 2.0], [0.0, 6.0]]))
    np.testing.assert_allclose(split, [[2.0, 0.0], [0.25, 0.25], [0.0, 0.5]], atol=1e-9)


def test_the_weights_of_the_frames_make_the_pooled_spectrum():
    (clip,) = features(1)
    np.testing.assert_allclose((frame_weights(clip, 0.7) * clip).sum(axis=1), twfr(clip, [0.7])[0])


@pytest.mark.parametrize("params", [{}, *({"score_by": "mahalanobis", "residual": form} for form in RESIDUALS)])
def test_the_map_of_an_autoencoder_adds_up_to_its_score(params, train, new):
    detector = AutoencoderDetector(shrinkage=1e-3, **params, **TRAINED) if params else AutoencoderDetector(**TRAINED)
    detector.fit(train)
    maps = anomaly_map(detector, new, method="exact")
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), -detector.score_samples(new), rtol=1e-5)


def test_a_clip_shorter_than_a_patch_keeps_the_sum():
    detector = AutoencoderDetector(**{**TRAINED, "frontend": None}).fit(features(8).astype(np.float32))
    with pytest.warns(UserWarning, match="much shorter"):
        score = -detector.score_samples(features(1, seed=1, n_frames=3))
    (found,) = anomaly_map(detector, features(1, seed=1, n_frames=3), method="exact")
    assert found.shape == (5, 3)
    np.testing.assert_allclose(found.sum(), score[0], rtol=1e-5)


@pytest.mark.parametrize("form", RESIDUALS)
def test_parts_of_a_mahalanobis_distance_add_up_to_it(form):
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(2, 4, 4))
    residual, inverses = rng.normal(size=(6, 5, 4)), roots @ roots.swapaxes(1, 2)
    parts = mahalanobis_parts(residual, inverses, form)
    np.testing.assert_allclose(parts.sum(), mahalanobis_score(residual, inverses, form))


def test_the_map_of_an_ensemble_is_the_weighted_sum_of_those_of_its_detectors():
    members = [("mean", TWFRDetector(1.0)), ("loud", TWFRDetector(0.5))]
    ensemble = EnsembleDetector(members, weights=(3, 1), random_state=0).fit(features(40))
    new = 2 * features(2, seed=1)
    spread = ensemble.scales_[""].std(axis=1)
    parts = [anomaly_map(one, new, method="exact") for one in ensemble.estimators_]
    expected = 0.75 * parts[0] / spread[0] + 0.25 * parts[1] / spread[1]
    np.testing.assert_allclose(anomaly_map(ensemble, new, method="exact"), expected)


@pytest.mark.parametrize("params", [{"scorer": KNNScorer()}, {"n_components": 2, "score_by": "log_likelihood"}])
def test_a_score_that_does_not_split_is_refused(params):
    detector = TWFRDetector(1.0, random_state=0, **params).fit(features(40))
    with pytest.raises(ValueError, match="method='exact' needs a score that splits"):
        anomaly_map(detector, features(1), method="exact")
