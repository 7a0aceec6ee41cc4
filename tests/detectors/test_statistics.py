import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from skasd.datasets import make_machine_clips
from skasd.detectors import StatisticsDetector
from skasd.detectors._experts import EXPERTS
from skasd.features import LogMelTransformer, StatisticsTransformer
from skasd.scoring import ScaledKNNScorer

SMALL = LogMelTransformer(n_fft=256, hop_length=128, n_mels=16)


def features(n_clips, seed=0):
    return np.random.default_rng(seed).normal(-40, 6, (n_clips, 16, 40))


def test_regimes_of_machines_that_sound_more_and_more_rarely():
    generator = np.random.default_rng(0)
    clips = generator.normal(-60, 1, (3, 12, 16, 300))
    clips[1, :, :, 100:200] += 20  # a third of the time
    clips[2, :, :, [50, 150, 250]] += 20  # a hundredth of the time
    table = pd.DataFrame({"log_mel": [*clips[0], *clips[1], *clips[2]], "machine_type": np.repeat(["a", "b", "c"], 12)})
    detector = StatisticsDetector().fit(table)
    assert detector.regime_ == {"a": "steady", "b": "intermittent", "c": "impulsive"}
    assert detector.experts_ == {name: EXPERTS[regime] for name, regime in detector.regime_.items()}
    assert detector.spread_["a"] < 3 < 15 < detector.spread_["b"]
    assert detector.peak_["b"] < 3 < 10 < detector.peak_["c"]


def test_regime_does_not_depend_on_the_unit_of_the_spectrogram():
    class Bels:
        sample_rate, log_unit = 16000, np.log(10)

        def __call__(self, waveform):
            return SMALL.fit_transform(waveform[None])[0] / 10

    clips = make_machine_clips("valve", n_train=12, duration=1.0, random_state=0).data
    usual, other = (StatisticsDetector(frontend=frontend).fit(clips[:12]) for frontend in (SMALL, Bels()))
    assert usual.spread_["valve/00"] == pytest.approx(other.spread_["valve/00"], rel=1e-5)
    assert usual.peak_["valve/00"] == pytest.approx(other.peak_["valve/00"], rel=1e-5)


def test_one_pair_ranks_as_the_scorer_on_the_statistic():
    train, test = features(30), features(10, seed=1)
    detector = StatisticsDetector([[("r0.5", "whiten")]], level=False).fit(train)
    transformer = StatisticsTransformer(("r0.5",)).fit(train)
    expected = ScaledKNNScorer().fit(transformer.transform(train)).score_samples(transformer.transform(test))
    scores = detector.score_samples(test)
    np.testing.assert_allclose(np.polyval(np.polyfit(expected, scores, 1), expected), scores, rtol=1e-8)


def test_held_out_scores_of_an_expert_have_mean_zero_and_unit_spread():
    detector = StatisticsDetector([[("r0.5", "whiten"), ("dynamics", "standardize")]], level=False).fit(features(30))
    held_out = detector._held_out_scores
    assert held_out.mean() == pytest.approx(0, abs=1e-9)
    assert held_out.std() == pytest.approx(1)


def test_score_is_the_log_sum_exp_of_the_experts():
    train, test = features(30), features(10, seed=1)
    experts = [[("r0.5", "whiten")], [("q0.25", "standardize")]]
    alone = [-StatisticsDetector([expert], level=False).fit(train).score_samples(test) for expert in experts]
    together = -StatisticsDetector(experts, level=False).fit(train).score_samples(test)
    np.testing.assert_allclose(together, np.logaddexp(*alone) - np.log(2), rtol=1e-9)
    level = -StatisticsDetector([[("level", "distance")]], level=False).fit(train).score_samples(test)
    with_level = -StatisticsDetector(experts).fit(train).score_samples(test)
    expected = np.logaddexp(together + np.log(2), level - 2) - np.log(2 + np.exp(-2))
    np.testing.assert_allclose(with_level, expected, rtol=1e-9)


@pytest.mark.parametrize("gain", [-6.0, 6.0])
def test_experts_that_do_not_hear_a_change_of_level_find_it_by_the_expert_of_the_level(gain):
    train, test = features(60), features(60, seed=1)
    labels = np.repeat([0, 1], 60)
    both = np.concatenate([test, test + gain])
    fits = [StatisticsDetector([[("dynamics", "whiten")]], level=level).fit(train) for level in (True, False)]
    with_level, without = (roc_auc_score(labels, -fit.score_samples(both)) for fit in fits)
    assert with_level > 0.99
    assert without == pytest.approx(0.5, abs=0.01)


def test_machines_are_learnt_alone():
    clips = make_machine_clips(("fan", "valve"), n_train=30, duration=1.0, random_state=0)
    train = clips.data["split"] == "train"
    both = StatisticsDetector(frontend=SMALL).fit(clips.data[train])
    fans = clips.data["machine_type"] == "fan"
    alone = StatisticsDetector(frontend=SMALL).fit(clips.data[train & fans])
    np.testing.assert_allclose(
        both.score_samples(clips.data[fans & ~train]), alone.score_samples(clips.data[fans & ~train]), rtol=0.05
    )
    assert set(both.regime_) == {"fan/00", "valve/00"}


def test_machines_of_all_regimes_share_a_threshold():
    options = {"n_train": 60, "n_test_normal": 60, "n_test_anomaly": 0, "duration": 3.0, "random_state": 0}
    tables = [
        make_machine_clips(kind, duty_cycle=duty_cycle, snr_db=snr_db, **options).data
        for kind, duty_cycle, snr_db in (("fan", 1.0, 6.0), ("slider", 0.4, 6.0), ("gearbox", 0.01, 25.0))
    ]
    clips = pd.concat(tables, ignore_index=True)
    new = clips[clips["split"] == "test"]
    detector = StatisticsDetector(level=False).fit(clips[clips["split"] == "train"])
    assert set(detector.regime_.values()) == set(EXPERTS)
    alarms = pd.Series(detector.predict(new) == -1, index=new["machine_type"].to_numpy()).groupby(level=0).mean()
    assert (alarms <= 0.2).all()
    means = pd.Series(-detector.score_samples(new), index=new["machine_type"].to_numpy()).groupby(level=0).mean()
    assert np.ptp(means) < 0.7


@pytest.mark.parametrize("n_clips", [2, 3, 5])
def test_scores_of_few_clips_are_of_the_usual_size(n_clips):
    scores = -StatisticsDetector(level=False).fit(features(n_clips)).score_samples(features(20, seed=1))
    assert np.abs(scores).max() < 10000


def test_two_fits_are_equal():
    one, other = (StatisticsDetector(frontend=SMALL).fit(features(12)).score_samples(features(5, 1)) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_clips_of_one_recording_are_warned_of():
    clips = pd.DataFrame({"log_mel": list(features(12)), "group": "one.wav"})
    with pytest.warns(UserWarning, match="Few normal clips: all are of one recording, so none could be held out"):
        StatisticsDetector().fit(clips)


def test_a_single_clip_of_a_machine_is_refused():
    clips = pd.DataFrame({"log_mel": list(features(5)), "machine_type": ["fan"] * 4 + ["pump"]})
    with pytest.raises(ValueError, match=r"fit was given 1 sample\(s\) of pump"):
        StatisticsDetector().fit(clips)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"experts": "best"}, ValueError, "experts='best' is unknown"),
        ({"experts": 3}, TypeError, "experts is or contains 3, a int; a sequence of experts is expected"),
        ({"experts": [("r1", "whiten")]}, TypeError, "experts is or contains 'r1', a str; a sequence of experts"),
        ({"experts": [[{"r1", "whiten"}]]}, TypeError, "a set; a sequence of experts"),
        ({"experts": []}, ValueError, "empty sequence"),
        ({"experts": [[]]}, ValueError, "empty sequence"),
        ({"experts": [["r1"]]}, TypeError, "experts is or contains 'r1', a str"),
        ({"experts": [[("r1",)]]}, ValueError, "is no pair of names"),
        ({"experts": [[("mean", "whiten")]]}, ValueError, "experts contains 'mean'"),
        ({"experts": [[("r1", "knn")]]}, ValueError, "back end in experts='knn' is unknown"),
        ({"experts": [[("r1", "whiten")] * 2]}, ValueError, "a pair stands twice"),
        ({"experts": [[("r1", "whiten")]] * 2}, ValueError, "an expert twice"),
        ({"experts": [[("r1", "whiten")], [("level", "distance")]]}, ValueError, "level=True adds"),
        ({"level": 2}, TypeError, "level=2"),
    ],
)
def test_bad_parameters_are_refused(parameters, error, message):
    with pytest.raises(error, match=message):
        StatisticsDetector(**parameters).fit(features(5))


@pytest.fixture
def real_valves(real_data):
    clips = pd.read_csv(real_data / "clips.csv", dtype={"section": str}).query("dataset == 'valve2023'")
    return clips.assign(path=[str(real_data / path) for path in clips["path"]], section=pd.NA, machine_type=pd.NA)


def test_real_valves_are_told_apart(real_valves):
    train = real_valves["split"] == "train"
    test = real_valves[~train]
    detector = StatisticsDetector().fit(real_valves.loc[train, ["path"]])
    score = -detector.score_samples(test[["path"]])
    assert detector.regime_ == {"": "impulsive"}
    assert roc_auc_score(test["label"] == "anomaly", score) > 0.99
    assert roc_auc_score(test["label"] == "anomaly", score, max_fpr=0.1) > 0.97


def test_real_toy_cars_are_told_apart(real_data):
    folder = real_data / "toycar2020_logmel"
    clips = pd.read_csv(folder / "clips.csv", dtype=str).assign(log_mel=list(np.load(folder / "log_mel.npy")))
    train = clips["split"] == "train"
    test = clips[~train].reset_index(drop=True)
    detector = StatisticsDetector().fit(clips[train])
    assert set(detector.regime_.values()) == {"steady"}
    score, sections = -detector.score_samples(test), test.groupby("section")
    for max_fpr, least in ((None, 0.965), (0.1, 0.88)):
        areas = [
            roc_auc_score(group["label"] == "anomaly", score[group.index], max_fpr=max_fpr) for _, group in sections
        ]
        assert np.mean(areas) > least


def test_copies_with_dither_cause_no_false_alarms():
    clips = make_machine_clips(
        "fan", n_sections=1, n_train=130, n_test_normal=0, n_test_anomaly=0, duration=1.0, random_state=1
    )
    waveforms = np.stack(clips.data["waveform"])
    dither = np.random.default_rng(0).uniform(-1, 1, waveforms[:30].shape) / 2**15
    detector = StatisticsDetector()
    with pytest.warns(UserWarning, match="30 of the 60 training clips are equal to others, or almost equal"):
        detector.fit(np.concatenate([waveforms[:30], waveforms[:30] + dither]))
    assert (detector.predict(waveforms[30:]) == -1).mean() < 0.2


@pytest.mark.parametrize("seed", range(4))
def test_clips_that_are_all_equal_are_normal_themselves(seed):
    clip = np.random.default_rng(seed).standard_normal(8000)
    with pytest.warns(UserWarning, match="of the 20 training clips are equal|Constant scores"):
        detector = StatisticsDetector(n_jobs=1).fit(np.tile(clip, (20, 1)))
    assert np.abs(detector.score_samples(np.tile(clip, (3, 1)))).max() < 1
