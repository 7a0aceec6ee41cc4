import numpy as np
import pytest

from skasd.scoring import KMeansScorer
from tests.scoring.test_knn import at


def test_nearest_centre_or_target_clip():
    X = np.concatenate([np.repeat(at(0, 90), 5, axis=0), at(30)])
    scorer = KMeansScorer(2, random_state=0).fit(X, domain=["source"] * 10 + ["target"])
    assert -scorer.score_samples(at(40))[0] == pytest.approx(0.015192, abs=1e-6)


def test_centres_are_of_unit_length():
    scorer = KMeansScorer(1, random_state=0).fit(at(-30, 30))
    assert -scorer.score_samples(at(0))[0] == pytest.approx(0.0, abs=1e-12)  # 0.133975 with the plain mean
    np.testing.assert_allclose(np.linalg.norm(scorer.centers_, axis=1), 1)


def test_target_clips_are_kept_as_they_are():
    X = np.random.default_rng(0).standard_normal((40, 3))
    scorer = KMeansScorer(4, random_state=0).fit(X, domain=["source"] * 30 + ["target"] * 10)
    assert scorer.centers_.shape == (14, 3)
    np.testing.assert_allclose(scorer.centers_[4:], X[30:] / np.linalg.norm(X[30:], axis=1, keepdims=True))


@pytest.mark.parametrize(("n_clips", "n_centers"), [(3, 1), (14, 2), (100, 16)])
def test_a_centre_stands_for_five_clips_at_least(n_clips, n_centers):
    X = np.random.default_rng(0).standard_normal((n_clips, 4))
    assert KMeansScorer(16, random_state=0).fit(X).centers_.shape == (n_centers, 4)


def test_target_clips_alone_are_compared_with_each_other():
    score = KMeansScorer(random_state=0).fit(at(0, 20), domain=["target", "target"]).score_samples(at(0))
    assert -score[0] == pytest.approx(1 - np.cos(np.radians(20)))
