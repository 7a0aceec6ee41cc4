import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from skasd.scoring import KNNScorer


def at(*degrees):
    angle = np.radians(degrees)
    return np.column_stack([np.cos(angle), np.sin(angle)])


@pytest.mark.parametrize(("metric", "expected"), [("cosine", 0.000609), ("chord", 2 * 0.017452)])
def test_distance_to_the_nearest_of_either_domain(metric, expected):
    scorer = KNNScorer(metric=metric).fit(at(0, 40, 90), domain=["source", "source", "target"])
    assert -scorer.score_samples(at(42))[0] == pytest.approx(expected, abs=1e-6)


def test_squared_chord_is_twice_the_cosine_distance():
    chord = -KNNScorer(metric="chord").fit(at(10)).score_samples(at(50))[0]
    cosine = -KNNScorer(metric="cosine").fit(at(10)).score_samples(at(50))[0]
    assert chord**2 == pytest.approx(0.467911, abs=1e-6)
    assert chord**2 == pytest.approx(2 * cosine)


def test_domains_are_averaged_apart():
    X, domain = at(0, 10, 60, 70), ["source", "source", "target", "target"]
    apart = KNNScorer(2).fit(X, domain=domain).score_samples(at(61))[0]
    together = KNNScorer(2).fit(X).score_samples(at(31))[0]
    mean = np.mean(1 - np.cos(np.radians([1, 9])))
    assert -apart == pytest.approx(mean)
    assert -together == pytest.approx(np.mean(1 - np.cos(np.radians([21, 29]))))


def test_a_domain_of_fewer_clips_is_averaged_over_those_it_has():
    score = KNNScorer(5).fit(at(0, 180, 30), domain=["source", "source", "target"]).score_samples(at(40))[0]
    assert -score == pytest.approx(1 - np.cos(np.radians(10)))


def test_cosine_knows_no_length_and_euclidean_does():
    X, query = at(0, 40), 3 * at(42)
    cosine = KNNScorer().fit(X)
    np.testing.assert_allclose(cosine.score_samples(query), cosine.score_samples(query / 3))
    expected = np.linalg.norm(query - at(40))
    assert -KNNScorer(metric="euclidean").fit(X).score_samples(query)[0] == pytest.approx(expected)


def test_a_training_clip_is_not_its_own_neighbour():
    X = at(0, 10, 40)
    expected = 1 - np.cos(np.radians([10, 10, 30]))
    np.testing.assert_allclose(-KNNScorer().fit(X).score_samples(X), expected)


def test_a_training_clip_is_known_in_either_precision():
    X = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    scorer = KNNScorer().fit(X.astype(np.float64))
    np.testing.assert_array_equal(scorer.score_samples(X), scorer.score_samples(X.astype(np.float64)))
    assert scorer.score_samples(X).max() < -1e-6


def test_of_two_equal_training_clips_each_is_the_neighbour_of_the_other():
    X = at(0, 0, 40)
    np.testing.assert_allclose(-KNNScorer().fit(X).score_samples(X)[:2], 0, atol=1e-12)


def test_the_training_clips_are_scored_without_themselves_whatever_their_number():
    X = np.random.default_rng(0).standard_normal((5000, 4))
    score = -KNNScorer(metric="euclidean").fit(X).score_samples(X)
    assert score.min() > 0
    assert score[4999] == pytest.approx(np.sort(np.linalg.norm(X - X[4999], axis=1))[1])


def test_smote_brings_the_target_domain_nearer():
    X, domain = at(*range(30), 60, 70, 80), ["source"] * 30 + ["target"] * 3
    plain = KNNScorer().fit(X, domain=domain)
    grown = KNNScorer(smote_ratio=5.0, random_state=0).fit(X, domain=domain)
    assert grown.score_samples(at(65))[0] > 0.1 * plain.score_samples(at(65))[0]
    np.testing.assert_allclose(grown.score_samples(at(0.5)), plain.score_samples(at(0.5)))


def test_made_clips_are_of_unit_length():
    X, domain = at(0, 1, 2, 60, 120, 180), ["source"] * 3 + ["target"] * 3
    grown = KNNScorer(smote_ratio=50.0, random_state=0).fit(X, domain=domain)
    target = grown._domains[1].embedding
    assert len(target) == 150
    np.testing.assert_allclose(np.linalg.norm(target, axis=1), 1)


MANY = """
import numpy as np
from skasd.scoring import KNNScorer

def status(name):
    return int(open("/proc/self/status").read().split(name + ":")[1].split()[0]) // 1024  # MiB

X = np.random.default_rng(0).standard_normal((50_000, 16), dtype=np.float32)
KNNScorer().fit(X[:100]).score_samples(X[:100])
before = status("VmRSS")
KNNScorer().fit(X).score_samples(X[:500] + 1)
print(status("VmHWM") - before)
"""


@pytest.mark.slow
def test_fifty_thousand_embeddings_take_less_than_half_a_gibibyte():
    if not Path("/proc/self/status").is_file():
        pytest.skip("no /proc/self/status to read the size of a process from")
    run = subprocess.run([sys.executable, "-c", MANY], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 512
