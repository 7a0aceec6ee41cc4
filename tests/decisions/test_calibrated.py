"""CalibratedDetector: which clips calibrate it, its decisions, groups, learning period, and what it refuses."""

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.stats import betabinom
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from skasd.base import BaseDetector, NormalScores
from skasd.datasets import make_machine_clips
from skasd.decisions import CalibratedDetector, decision_table
from skasd.detectors import AutoencoderDetector, EnsembleDetector, StatisticsDetector, TWFRDetector
from skasd.features import LogMelTransformer, TWFRTransformer

FRONT_END = LogMelTransformer(n_fft=256, hop_length=128, n_mels=16)
TWFR = TWFRDetector(1.0, frontend=FRONT_END)
FOREST = make_pipeline(TWFRTransformer(frontend=FRONT_END), IsolationForest(n_estimators=20, random_state=0))


class FirstSample(BaseDetector):
    """The score of a clip is its first sample, which makes new clips exchangeable with those of the fit by design."""

    def __init__(self, contamination="auto", threshold="quantile"):
        self.contamination = contamination
        self.threshold = threshold

    def _fit(self, clips):
        self.n_learnt_ = len(clips)

    def _anomaly_score(self, clips):
        return np.array([float(waveform[0]) for waveform in clips.items])


@pytest.fixture(scope="module")
def machines():
    counts = {"n_train": 40, "n_test_normal": 20, "n_test_anomaly": 20}
    made = make_machine_clips(("fan", "valve"), **counts, duration=0.5, random_state=0)
    return made.data[made.data.split == "train"].reset_index(drop=True), made.data[made.data.split == "test"]


def draws(n, seed=0, scale=1.0):
    """Clips of random samples, of which the first is the score."""
    return scale * np.random.default_rng(seed).standard_normal((n, 64))


# which clips calibrate


def test_leave_one_out_uses_the_scores_of_the_detector(machines):
    train, _ = machines
    inner = clone(TWFR).fit(train)
    fitted = CalibratedDetector(TWFR, method="leave_one_out").fit(train)
    assert fitted.method_ == "leave_one_out"
    for name in ("fan", "valve"):
        own = np.sort(inner._threshold_scores.held_out[train.machine_type == name])
        np.testing.assert_array_equal(fitted._groups[f"{name}/00"].calibration.score, own)


@pytest.mark.parametrize("detector", [TWFR, FOREST], ids=["TWFR", "forest"])
def test_cross_scores_each_clip_by_a_copy_that_was_fitted_to_the_other_folds(machines, detector):
    train = machines[0][::2].reset_index(drop=True)
    with joblib.parallel_config("threading"):
        fitted = CalibratedDetector(detector, method="cross", n_folds=4, n_jobs=2).fit(train)
    assert fitted.n_calibration_ == {"fan/00": 20, "valve/00": 20}
    whole = clone(detector).fit(train)
    np.testing.assert_array_equal(fitted.score_samples(train), whole.score_samples(train))
    for known in fitted._groups.values():  # of the four models that a clip can be held out from, one scored it
        assert not np.isin(known.calibration.score, -whole.score_samples(train)).any()


def test_cross_by_hand():
    train = draws(10)
    fitted = CalibratedDetector(FirstSample(), method="cross", learning_period=0, alpha=0.1).fit(train)
    np.testing.assert_array_equal(fitted._groups[""].calibration.score, np.sort(train[:, 0]))
    assert fitted.detector_.n_learnt_ == 10


class ScaledSample(FirstSample):
    """As a network, whose trainings score on scales of their own: it depends on the clips of the fit."""

    def __init__(self, contamination="auto", threshold="quantile", max_epochs=1):
        super().__init__(contamination, threshold)
        self.max_epochs = max_epochs

    def _fit(self, clips):
        self._scale, self._location = np.random.default_rng(len(clips)).uniform(1, 9, 2)

    def _anomaly_score(self, clips):
        return self._location + self._scale * super()._anomaly_score(clips)


def test_cross_brings_the_trainings_of_a_network_to_one_scale():
    train = draws(23)  # folds of four and of five clips
    fitted = CalibratedDetector(ScaledSample(), method="cross", alpha=0.05).fit(train)
    np.testing.assert_allclose(fitted._groups[""].calibration.score, np.sort(-fitted.score_samples(train)), rtol=1e-12)


def test_cross_leaves_scores_of_a_network_as_they_are_where_learnt_clips_score_alike():
    train = np.zeros((10, 64))
    train[:, 1] = np.arange(10)  # different clips
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = CalibratedDetector(ScaledSample(), method="cross", learning_period=0, alpha=0.1).fit(train)
    assert np.isfinite(fitted._groups[""].calibration.score).all()


@pytest.mark.parametrize(("fraction", "n"), [("auto", 19), (0.25, 10), (0.75, 30)])
def test_split_fits_to_the_others(fraction, n):
    train = draws(40)
    detector = CalibratedDetector(FirstSample(), method="split", calibration_fraction=fraction, learning_period=0)
    fitted = detector.set_params(alpha=0.05 if fraction == "auto" else 0.1).fit(train)
    assert fitted.n_calibration_ == {"": n}
    assert fitted.detector_.n_learnt_ == 40 - n
    assert np.isin(fitted._groups[""].calibration.score, train[:, 0]).all()


@pytest.mark.parametrize("method", ["split", "cross"])
def test_windows_of_a_recording_are_held_out_together(method):
    train = pd.DataFrame({"waveform": list(draws(60)), "group": np.repeat(np.arange(20), 3)})

    class Strict(FirstSample):
        def _fit(self, clips):
            self.known_ = set(clips.table["group"])
            return NormalScores(np.arange(len(clips), dtype=float))

        def _anomaly_score(self, clips):
            if method == "split" or len(self.known_) < 20:
                assert self.known_.isdisjoint(clips.table["group"])
            return super()._anomaly_score(clips)

    fitted = CalibratedDetector(Strict(), method=method, learning_period=0, alpha=0.1).fit(train)
    assert fitted.n_calibration_ == {"": 20 if method == "cross" else 9}
    assert (fitted._groups[""].calibration.weight == 1 / 3).all()


@pytest.mark.parametrize(
    ("detector", "method"),
    [
        (TWFR, "leave_one_out"),
        (TWFRDetector(1.0, n_components=2, random_state=0, frontend=FRONT_END), "cross"),
        (StatisticsDetector(frontend=FRONT_END), "cross"),
        (FirstSample(), "split"),
        (FOREST, "cross"),
    ],
    ids=["TWFR", "mixture", "statistics", "other detector", "forest"],
)
def test_the_method_suits_the_detector(machines, detector, method):
    assert CalibratedDetector(detector, method="auto").fit(machines[0]).method_ == method


def test_a_frozen_detector_is_calibrated_by_all_clips(machines):
    train, new = machines
    inner = clone(TWFR).fit(train[::2])
    fitted = CalibratedDetector(FrozenEstimator(inner)).fit(train[1::2])
    assert fitted.n_calibration_ == {"fan/00": 20, "valve/00": 20}
    np.testing.assert_array_equal(fitted.score_samples(new), inner.score_samples(new))
    with pytest.raises(ValueError, match="clips that the frozen detector was trained on"):
        CalibratedDetector(FrozenEstimator(inner)).fit(train[::2])
    with pytest.raises(ValueError, match="method='cross' fits the detector again, which a FrozenEstimator forbids"):
        CalibratedDetector(FrozenEstimator(inner), method="cross").fit(train[1::2])


# decisions


@pytest.mark.parametrize("detector", [TWFR, FOREST], ids=["TWFR", "forest"])
def test_decisions_p_values_and_thresholds_agree(machines, detector):
    train, new = machines
    fitted = CalibratedDetector(detector).fit(train)
    p_values, decision = fitted.p_values(new), fitted.decision_function(new)
    np.testing.assert_array_equal(fitted.predict(new), np.where(p_values > 0.05, 1, -1))
    np.testing.assert_array_equal(decision < 0, p_values <= 0.05)
    offsets = (new.machine_type + "/00").map(fitted.offsets_).to_numpy()
    np.testing.assert_array_equal(decision, fitted.score_samples(new) - offsets)
    table = decision_table(fitted, new)
    np.testing.assert_array_equal(table.index, new.index)
    np.testing.assert_array_equal(table["p_value"], p_values)
    np.testing.assert_array_equal(table["decision"] == "anomaly", p_values <= 0.05)
    np.testing.assert_array_equal(table["anomaly_score"], -fitted.score_samples(new))
    np.testing.assert_array_equal(table["threshold"], -offsets)
    assert not table["is_provisional"].any()


def test_a_pipeline_may_end_in_a_calibrated_detector(machines):
    train, new = machines
    pipeline = make_pipeline(TWFRTransformer(frontend=FRONT_END), CalibratedDetector(IsolationForest(random_state=0)))
    table = decision_table(pipeline.fit(train), new)
    np.testing.assert_array_equal(table["decision"] == "anomaly", pipeline.predict(new) == -1)
    assert table["p_value"].notna().all()


def test_a_frozen_or_searched_detector_has_the_same_table(machines):
    train, new = machines
    fitted = CalibratedDetector(TWFR).fit(train)
    pd.testing.assert_frame_equal(decision_table(FrozenEstimator(fitted), new), decision_table(fitted, new))


def test_a_member_of_an_ensemble_needs_no_threshold(machines):
    members = [
        ("calibrated", CalibratedDetector(TWFR, alpha=0.026)),
        ("plain", TWFR),
    ]  # 38 clips, of which some are held out
    EnsembleDetector(members, random_state=0).fit(machines[0])


def test_a_plain_detector_has_a_table_without_p_values(machines):
    train, new = machines
    inner = clone(TWFR).fit(train)
    table = decision_table(inner, new)
    np.testing.assert_array_equal(table["decision"] == "anomaly", inner.predict(new) == -1)
    assert table["p_value"].isna().all()
    assert not table["is_provisional"].any()


def test_of_new_normal_clips_no_more_alarm_than_was_promised():
    n_alarms = 0
    for seed in range(100):
        clips = draws(60, seed)
        fitted = CalibratedDetector(FirstSample(), alpha=0.1, method="split", random_state=seed).fit(clips[:40])
        n_alarms += (fitted.predict(clips[40:]) == -1).sum()
    # expected is floor(0.1 * 21) / 21; the spread of 100 calibrations by 20 clips each is that of a beta distribution
    assert abs(n_alarms / 2000 - 2 / 21) < 3 * np.sqrt(2 / 21 * 19 / 21 / 22 / 100 + 0.09 / 2000)


def test_machines_of_unequal_spread_have_thresholds_of_their_own():
    names = np.repeat(["a", "b"], 200)
    clips = np.vstack([draws(200, 0, 0.005), draws(200, 1, 0.25)])
    new_clips = np.vstack([draws(400, 2, 0.005), draws(400, 3, 0.25)])
    train, new = (
        pd.DataFrame({"waveform": list(rows), "machine_type": np.repeat(["a", "b"], len(rows) // 2)})
        for rows in (clips, new_clips)
    )
    fitted = CalibratedDetector(FirstSample(), alpha=0.1, method="cross").fit(train)
    alarms = pd.Series(fitted.predict(new) == -1).groupby(new["machine_type"]).sum()
    assert alarms.between(*betabinom.interval(0.999, 400, 20, 181)).all()
    together = CalibratedDetector(FirstSample(), alpha=0.1, method="cross", group_columns=()).fit(train)
    alarms = pd.Series(together.predict(new) == -1).groupby(new["machine_type"]).sum()
    assert alarms["a"] < 5 < 60 < alarms["b"]  # one threshold for both promises nothing about one of them
    assert list(fitted.offsets_) == ["a", "b"] == list(np.unique(names))


def test_another_rate_takes_no_new_fit(machines):
    train, new = machines
    fitted = CalibratedDetector(TWFR).fit(train)
    for alpha in (0.1, 0.3, 0.025):
        assert fitted.set_alpha(alpha) is fitted
        np.testing.assert_array_equal(fitted.predict(new) == -1, fitted.p_values(new) <= alpha)
        fresh = CalibratedDetector(TWFR, alpha=alpha).fit(train)
        assert fresh.offsets_ == fitted.offsets_
        assert fitted.alpha == fitted.alpha_ == alpha
    before = fitted.offsets_
    with pytest.raises(ValueError, match=r"alpha=0.01 takes at least 99 calibration clips of fan/00, and there are 40"):
        fitted.set_alpha(0.01)
    assert (fitted.alpha_, fitted.offsets_) == (0.025, before)
    with pytest.raises(ValueError, match=r"an alpha of at least 0.025\)"):
        CalibratedDetector(TWFR, alpha=0.02).fit(train)


def test_ties_are_drawn_when_asked(machines):
    train, new = machines
    fitted = CalibratedDetector(TWFR).fit(train)
    one, again = (fitted.p_values(new, ties="random", random_state=3) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    conservative = fitted.p_values(new)
    assert ((one < conservative) & (conservative - one < 1 / 41)).all()
    backwards = fitted.p_values(new[::-1], ties="random", random_state=3)
    np.testing.assert_allclose(backwards[::-1], one)
    with pytest.raises(ValueError, match="ties='lowest' is unknown"):
        fitted.p_values(new, ties="lowest")


def test_selection_is_of_the_whole_batch(machines):
    train, new = machines
    fitted = CalibratedDetector(TWFR).fit(train)
    chosen = fitted.select(new, fdr=0.2)
    assert chosen.dtype == bool
    assert not (chosen & (fitted.p_values(new) > 0.2)).any()
    assert fitted.select(new, fdr=0.9).sum() >= chosen.sum() >= fitted.select(new).sum()
    for wrong in (0.0, 1.5):
        with pytest.raises(ValueError, match="fdr="):
            fitted.select(new, fdr=wrong)
    with pytest.raises(ValueError, match="has no effect beside a procedure"):
        fitted.select(new, fdr=0.1, procedure=object())


def test_clips_that_cannot_be_read_have_no_p_value(machines, tmp_path):
    train, _ = machines
    fitted = CalibratedDetector(clone(TWFR).set_params(group_columns=()), group_columns=()).fit(
        train["waveform"].tolist()
    )
    bad = [train["waveform"][0], np.full(8000, np.nan)]
    with pytest.warns(UserWarning, match="1 of 2"):
        p_values = fitted.p_values(bad, on_error="skip")
    assert np.isnan(p_values).tolist() == [False, True]
    with pytest.warns(UserWarning, match="1 of 2"):
        table = decision_table(fitted, bad, on_error="skip")
    assert table["decision"].tolist()[1] == "unscored"
    assert table["p_value"][0] == p_values[0]
    assert not table["is_provisional"].any()
    with pytest.warns(UserWarning, match="1 of 2"):
        fitted.calibrate([bad[1], np.random.default_rng(0).standard_normal(8000) / 10], on_error="skip")
    assert fitted.n_calibration_ == {"": 81}


# learning period


def test_with_few_clips_decisions_are_provisional_until_there_are_enough():
    with pytest.warns(
        UserWarning, match=r"decisions are provisional.*fewer than 20 recordings calibrate them \(all clips: 12\)"
    ):
        fitted = CalibratedDetector(FirstSample(), method="cross").fit(draws(12))
    assert fitted.is_provisional_ == {"": True}
    new = np.vstack([draws(5, 1), draws(1) + 10])
    assert np.isnan(fitted.p_values(new)).all()
    with pytest.warns(UserWarning, match="decisions are provisional"):
        assert fitted.predict(new)[-1] == -1
    assert decision_table(fitted, new)["is_provisional"].all()
    assert not fitted.select(new).any()
    fitted.calibrate(draws(7, 2))
    assert fitted.is_provisional_ == {"": True}
    fitted.calibrate(np.vstack([draws(1, 3), draws(1, 4) + 10]), [1, -1])
    assert fitted.is_provisional_ == {"": False}
    assert fitted.n_calibration_ == {"": 20}
    every = np.r_[draws(12)[:, 0], draws(7, 2)[:, 0], draws(1, 3)[:, 0]]
    np.testing.assert_array_equal(fitted._groups[""].calibration.score, np.sort(every))
    assert fitted.p_values(new)[-1] == 1 / 21
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted.predict(new)


def test_clips_that_calibrate_already_are_not_added_again():
    fitted = CalibratedDetector(FirstSample(), method="cross").fit(draws(30))
    with pytest.warns(UserWarning, match="4 of the 6 clips are left out: they are copies, or the detector was trained"):
        fitted.calibrate(np.vstack([draws(30)[:3], draws(2, 9), draws(2, 9)[:1]]))
    assert fitted.n_calibration_ == {"": 32}
    with pytest.warns(UserWarning, match="2 of the 2 clips are left out"):
        fitted.calibrate(draws(2, 9))
    assert fitted.n_calibration_ == {"": 32}


@pytest.mark.parametrize("method", ["leave_one_out", "split"])
def test_clips_of_the_fit_are_not_added_either(machines, method):
    train = machines[0]
    fitted = CalibratedDetector(TWFR, method=method).fit(train)
    before = fitted.n_calibration_
    with pytest.warns(UserWarning, match="80 of the 80 clips are left out"):
        fitted.calibrate(train)
    assert fitted.n_calibration_ == before


def test_a_known_recording_gets_no_more_windows():
    train = pd.DataFrame({"waveform": list(draws(60)), "group": np.repeat(np.arange(20), 3)})
    fitted = CalibratedDetector(FirstSample(), method="cross").fit(train)
    with pytest.warns(UserWarning, match="1 of the 3 clips are left out"):
        fitted.calibrate(pd.DataFrame({"waveform": list(draws(3, 5)), "group": [19, 20, 20]}))
    assert fitted.n_calibration_ == {"": 21}
    with pytest.warns(UserWarning, match="1 of the 1 clips are left out"):
        fitted.calibrate(pd.DataFrame({"waveform": list(draws(1, 6)), "group": [20]}))


def test_a_small_rate_keeps_decisions_provisional_until_it_can_be_had():
    fitted = CalibratedDetector(FirstSample(), alpha=0.04, method="cross").fit(draws(15))
    for seed in range(1, 10):
        assert fitted.is_provisional_ == {"": True}
        fitted.calibrate(draws(1, seed))
    assert fitted.n_calibration_ == {"": 24}
    assert fitted.is_provisional_ == {"": False}


def test_a_rate_that_cannot_be_had_is_refused_before_anything_is_trained():
    class Slow(FirstSample):
        def _fit(self, clips):
            raise AssertionError("trained")

    for method, message in {
        "split": "there are 50 of 100 that method='split' holds out",
        "cross": "there are 90",
    }.items():
        clips = draws(100 if method == "split" else 90)
        with pytest.raises(ValueError, match=message):
            CalibratedDetector(Slow(), alpha=0.01, method=method).fit(clips)


def test_a_machine_of_which_no_clip_can_be_held_out_is_provisional():
    table = pd.DataFrame({"waveform": list(draws(42)), "machine_type": ["fan"] * 40 + ["pump"] * 2})
    for method in ("split", "cross"):
        with pytest.warns(UserWarning, match=r"provisional.*pump: 0"):
            fitted = CalibratedDetector(FirstSample(), method=method).fit(table)
        assert fitted.is_provisional_ == {"fan": False, "pump": True}
        assert np.isfinite(list(fitted.offsets_.values())).all()
        fitted.calibrate(pd.DataFrame({"waveform": list(draws(20, 7)), "machine_type": "pump"}))
        assert fitted.n_calibration_["pump"] == 20


# what is refused


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"alpha": 0.0}, ValueError, "alpha=0.0 is out of range"),
        ({"alpha": "5 %"}, TypeError, "alpha='5 %' is a str"),
        ({"method": "jackknife"}, ValueError, "method='jackknife' is unknown"),
        ({"method": "leave_one_out"}, ValueError, "FirstSample does not. Use 'auto', 'cross' or 'split'"),
        ({"n_folds": 1, "method": "cross"}, ValueError, "n_folds=1 is too small"),
        ({"n_folds": 3, "method": "split"}, ValueError, "n_folds=3 has no effect"),
        ({"calibration_fraction": 0.5, "method": "cross"}, ValueError, "calibration_fraction=0.5 has no effect"),
        ({"calibration_fraction": 0.95}, ValueError, "calibration_fraction=0.95 is out of range"),
        (
            {"calibration_fraction": 0.5, "detector": FrozenEstimator(FirstSample().fit(np.eye(8)))},
            ValueError,
            "calibration_fraction=0.5 has no effect",
        ),
        ({"calibration_fraction": 1.5}, ValueError, "calibration_fraction=1.5 is out of range"),
        ({"learning_period": -1}, ValueError, "learning_period=-1 is too small"),
        ({"group_columns": "machine_type"}, TypeError, "group_columns='machine_type' is a str"),
        ({"detector": FirstSample}, TypeError, r"give an instance: FirstSample\(\)"),
        ({"detector": TWFRTransformer()}, TypeError, "has no score_samples"),
        ({"detector": CalibratedDetector(FirstSample())}, TypeError, "is a CalibratedDetector already"),
    ],
    ids=str,
)
def test_wrong_parameters_are_refused_by_name(params, error, message):
    with pytest.raises(error, match=message):
        CalibratedDetector(FirstSample()).set_params(**params).fit(draws(40))


def test_a_threshold_of_the_detector_inside_is_not_ignored_in_silence():
    with pytest.warns(UserWarning, match="does not use contamination=0.2 of FirstSample"):
        CalibratedDetector(FirstSample(contamination=0.2)).fit(draws(60))


def test_a_machine_that_was_not_calibrated_is_refused(machines):
    train, new = machines
    fitted = CalibratedDetector(TWFR).fit(train[train.machine_type == "fan"])
    with pytest.raises(ValueError, match=r"Machine 'valve/00' of .* is not among those given to fit"):
        fitted.p_values(new)


def test_a_network_is_split_and_seeded(machines):
    train = machines[0]
    small = AutoencoderDetector(frontend=FRONT_END, max_epochs=1, batch_size=512, device="cpu")
    one, same, other = (CalibratedDetector(small, random_state=seed).fit(train) for seed in (0, 0, 1))
    assert one.method_ == "split"
    assert one.offsets_ == same.offsets_ != other.offsets_
    assert one.detector_._training_data.n_clips == 40


def test_exchangeability_of_clips_in_time_order(machines):
    fitted = CalibratedDetector(FirstSample(), method="cross").fit(draws(60))
    steady, louder = draws(60, 1), draws(60, 2) + 2
    assert fitted.check_exchangeability(steady).holds
    test = fitted.check_exchangeability(np.vstack([steady, louder]))
    assert 60 <= test.alarm < 110
    with pytest.raises(ValueError, match="level=0"):
        fitted.check_exchangeability(steady, level=0)


def test_scores_that_no_detector_was_learnt_from_are_not_asked_for():
    class OwnScores(FirstSample):
        _leaves_out = "cross"

        def _fit(self, clips):
            return NormalScores(np.arange(len(clips), dtype=float))

    fitted = CalibratedDetector(OwnScores()).fit(draws(30))
    np.testing.assert_array_equal(fitted._groups[""].calibration.score, np.arange(30.0))
