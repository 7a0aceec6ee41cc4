"""Networks with the statistics of StatisticsDetector beside them."""

from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri_exp
from scipy.stats import t as student_t
from sklearn.metrics import roc_auc_score

import skasd
from skasd.clips import as_clips
from skasd.datasets import make_machine_clips
from skasd.detectors import OSSCLDetector, StatClusterDetector, StatisticsDetector
from skasd.detectors._beside import FewScores, StatisticsBeside
from skasd.detectors._experts import Normal
from skasd.features import LogMelTransformer
from skasd.objectives import MobileFaceNetOptions

SMALL = {
    "branches": ("log_mel",),
    "network": MobileFaceNetOptions(bottlenecks=((1, 8, 1, 2),), embedding_dim=8),
    "max_epochs": 1,
    "random_state": 0,
    "device": "cpu",
    "frontend": LogMelTransformer(n_fft=512, hop_length=256, n_mels=32),
}


def quantile_of_student(score, held_out):
    """The standard normal quantile that is as rare as a next score, given these; their spread is at least 1."""
    n_clips, spread = len(held_out), max(held_out.std(ddof=1), 1)
    rarity = student_t.logsf((score - held_out.mean()) / (spread * np.sqrt(1 + 1 / n_clips)), n_clips - 1)
    return -ndtri_exp(rarity)


@pytest.fixture(scope="module")
def machines():
    return make_machine_clips(("fan", "pump"), n_train=30, duration=0.5, random_state=0)


@pytest.fixture(scope="module")
def train(machines):
    return machines.data[machines.data["split"] == "train"].reset_index(drop=True)


@pytest.fixture(scope="module")
def test(machines):
    return machines.data[machines.data["split"] == "test"].reset_index(drop=True)


@pytest.fixture(scope="module", params=[OSSCLDetector, StatClusterDetector])
def fitted(request, train):
    return request.param(**SMALL).fit(train)


def test_score_is_that_of_the_formula(train, test, fitted):
    both = -fitted.set_params(score_with="auto").score_samples(test)
    statistics = -StatisticsDetector(frontend=SMALL["frontend"]).fit(train).score_samples(test)
    mode = fitted.score_with_.removesuffix(" and statistics")
    fitted.set_params(score_with=mode)
    alone, learnt = -fitted.score_samples(test), fitted._scores.clips
    every, held_out = -fitted.score_samples(train), learnt.held_out
    assert pd.Series(learnt.machines[held_out]).value_counts().max() < 8 <= len(held_out)
    usual = np.empty(len(test)), np.empty(len(train))
    for values, table, score in zip(usual, (test, train), (alone, every), strict=True):
        for machine in ("fan", "pump"):
            own = np.setdiff1d(np.flatnonzero(train["machine_type"] == machine), held_out)
            rows = (table["machine_type"] == machine).to_numpy()
            values[rows] = (score[rows] - every[own].mean()) / every[own].std()
    relative = quantile_of_student(usual[0], usual[1][held_out])
    expected = np.log((np.exp(statistics) + np.exp(relative - 2)) / (1 + np.exp(-2)))
    np.testing.assert_allclose(both, expected, atol=0.02)


def test_threshold_follows_the_way_to_score(fitted):
    offsets = [
        fitted.set_params(score_with=way)._follow_score_with() or fitted.offset_ for way in ("embedding", "auto")
    ]
    assert offsets[0] != offsets[1]
    assert fitted.score_with_.endswith(" and statistics")


def test_a_barely_trained_network_is_nearly_as_good_as_the_statistics(train, test, machines, fitted):
    is_fault = machines.target[machines.data["split"] == "test"] == -1
    alone = StatisticsDetector(frontend=SMALL["frontend"]).fit(train)
    auc, best = (
        roc_auc_score(is_fault, -detector.score_samples(test))
        for detector in (fitted.set_params(score_with="auto"), alone)
    )
    assert auc > best - 0.03


def test_nothing_is_beside_a_network_without_clips_that_are_held_out(train):
    detector = OSSCLDetector(**SMALL).set_params(training__calibration_fraction=0).fit(train)
    alone = OSSCLDetector(**SMALL, score_with="label").set_params(training__calibration_fraction=0).fit(train)
    assert detector.score_with_ == "label"
    np.testing.assert_array_equal(detector.score_samples(train), alone.score_samples(train))


def test_clips_that_name_no_machine_are_scored_by_the_network_with_a_warning(test, fitted):
    fitted.set_params(score_with="auto").score_samples(test)
    with pytest.warns(UserWarning, match="scored by embedding, but the threshold offset_ was set by .* and statistics"):
        nameless = fitted.score_samples(test[["waveform"]])
    alone = fitted.set_params(score_with="embedding").score_samples(test[["waveform"]])
    np.testing.assert_array_equal(nameless, alone)


def test_machines_of_many_held_out_clips_have_a_scale_of_their_own():
    clips = as_clips(np.random.default_rng(0).normal(size=(20, 400)).astype(np.float32))
    beside = StatisticsBeside.fitted(clips, ())
    machines, held_out = np.repeat(["a", "b"], [20, 12]), np.r_[10:20, 30:32]
    score = np.r_[np.arange(10.0), 2 * np.arange(10.0) + 50, 100 * np.arange(10.0), 5.0, 6.0]
    beside.learn_scale(score, machines, held_out)
    as_learnt = (score[10:20] - 4.5) / np.arange(10.0).std()
    for name, rows in (("a", slice(10, 20)), ("b", slice(30, 32))):
        combined = beside.combined(score[rows], machines[rows], np.full(len(score[rows]), -np.inf))
        relative = combined + 2 + np.log1p(np.exp(-2))
        if name == "a":
            np.testing.assert_allclose(relative, quantile_of_student(as_learnt, as_learnt), atol=0.02)
        else:  # two clips are held out, so the scale is that of both machines
            together = np.r_[as_learnt, (score[30:] - 450) / (100 * np.arange(10.0).std())]
            np.testing.assert_allclose(relative, quantile_of_student(together, together)[10:], atol=0.02)


@pytest.mark.parametrize("n_clips", [8, 12, 200])
def test_scores_of_few_clips_are_put_on_the_scale_of_a_normal_distribution(n_clips):
    held_out = 3 * np.random.default_rng(0).standard_normal(n_clips)
    t = np.linspace(-10, 30, 81)
    found, expected = FewScores.of(held_out)(t), quantile_of_student(t, held_out)
    np.testing.assert_allclose(found, expected, rtol=0.015, atol=0.01)
    assert (np.diff(found) > 0).all()


def test_each_held_out_score_is_judged_by_the_others():
    score = 3 * np.random.default_rng(0).standard_normal(9)
    one_by_one = [FewScores.of(np.delete(score, number))(score[[number]])[0] for number in range(9)]
    np.testing.assert_allclose(FewScores.of_others(score)(score), one_by_one, rtol=1e-9)


@pytest.mark.parametrize("drawn", ["standard_normal", "standard_exponential"])
def test_a_threshold_on_few_held_out_scores_keeps_to_the_false_alarm_rate(drawn):
    generator = np.random.default_rng(0)
    score = 3 * getattr(generator, drawn)((2000, 29))
    alarms = [
        FewScores.of(row[:9])(row[9:]) > np.quantile(FewScores.of_others(row[:9])(row[:9]), 0.9, method="higher")
        for row in score
    ]
    assert np.mean(alarms) < 0.12


def test_a_network_that_was_scaled_by_a_normal_distribution_scores_as_before(train, test, fitted, tmp_path):
    fitted.set_params(score_with="auto").score_samples(test)
    older = deepcopy(fitted)
    older._statistics._held_out = {"": Normal(0.1, 2.0)}
    skasd.save(older, tmp_path / "older.skasd")
    np.testing.assert_array_equal(skasd.load(tmp_path / "older.skasd").score_samples(test), older.score_samples(test))


def test_few_clips_that_are_alike_by_chance_do_not_make_others_look_odd():
    assert FewScores.of(np.zeros(12))(np.array([1.0])) < 1


def test_a_machine_of_one_clip_leaves_the_network_alone(train):
    few = pd.concat([train[train["machine_type"] == "fan"], train[train["machine_type"] == "pump"].head(1)])
    assert OSSCLDetector(**SMALL).fit(few).score_with_ == "label"
