import numpy as np
import pandas as pd
import pytest
import soundfile
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skasd.clips import ClipReader
from skasd.datasets import make_machine_clips
from skasd.detectors import TWFRDetector
from skasd.features import LogMelTransformer
from skasd.model_selection import ProxyAnomalyScorer, ProxyAnomalySplit, make_proxy_anomalies

FAULTS = ("band_gain", "clicks", "mix", "stretch")


@pytest.fixture(scope="module")
def clips():
    """Normal fans and pumps as a table of waveforms."""
    table = make_machine_clips(("fan", "pump"), n_train=8, duration=1.0, random_state=0).data
    return table[table["split"] == "train"].reset_index(drop=True)


@pytest.fixture(scope="module")
def log_mels(clips):
    return LogMelTransformer(n_mels=32).fit_transform(clips).drop(columns="waveform")


def level_db(waveform):
    return 10 * np.log10(np.mean(np.square(waveform, dtype=np.float64)))


@pytest.mark.parametrize("kind", FAULTS)
def test_waveforms_and_log_mels_change_and_keep_their_shape(clips, log_mels, kind):
    for table, column in ((clips, "waveform"), (log_mels, "log_mel")):
        before = [cell.copy() for cell in table[column]]
        proxies = make_proxy_anomalies(table, kind, random_state=0)
        for cell, changed, kept in zip(table[column], proxies[column], before, strict=True):
            assert changed.shape == cell.shape
            assert changed.dtype == cell.dtype
            assert np.isfinite(changed).all()
            assert not np.allclose(changed, cell)
            np.testing.assert_array_equal(cell, kept)
        assert proxies["section"].equals(table["section"])


@pytest.mark.parametrize("kind", FAULTS)
def test_arrays_and_files_give_what_the_table_gives(clips, kind, tmp_path):
    paths = [str(tmp_path / f"{i}.wav") for i in range(len(clips))]
    for path, waveform in zip(paths, clips["waveform"], strict=True):
        soundfile.write(path, waveform, 16000, subtype="FLOAT")
    anonymous = clips.drop(columns=["machine_type", "section"])
    expected = np.stack(make_proxy_anomalies(anonymous, kind, random_state=0)["waveform"])
    from_array = make_proxy_anomalies(np.stack(clips["waveform"]), kind, random_state=0)
    from_files = make_proxy_anomalies(paths, kind, random_state=0)
    from_table = make_proxy_anomalies(pd.DataFrame({"path": paths}), kind, random_state=0)
    np.testing.assert_array_equal(from_array, expected)
    np.testing.assert_allclose(from_files, expected, atol=1e-6)
    assert from_table.columns.tolist() == ["waveform"]


def test_a_raised_band_of_a_spectrogram_is_louder_by_the_gain_and_only_there():
    noise = np.zeros((1, 64, 200))
    gain = make_proxy_anomalies(noise, "band_gain", random_state=0)[0]
    assert 5.5 < gain.max() <= 6.0
    assert gain.min() >= 0
    assert 4 < np.count_nonzero(gain.max(axis=1) > 3) < 20
    assert make_proxy_anomalies(noise, "band_gain", severity=0.5, random_state=0)[0].max() == pytest.approx(
        gain.max() / 2
    )


def test_a_raised_band_makes_a_waveform_louder_there_by_less_than_the_gain():
    waveform = np.random.default_rng(0).standard_normal((1, 64000))
    louder = make_proxy_anomalies(waveform, "band_gain", random_state=0)
    power = [np.abs(np.fft.rfft(x[0])) ** 2 for x in (waveform, louder)]
    in_bands = [spectrum[:32000].reshape(64, -1).mean(axis=1) for spectrum in power]
    gain_db = 10 * np.log10(in_bands[1] / in_bands[0])
    assert 2 < gain_db.max() < 6
    assert np.count_nonzero(gain_db < 0.1) > 20


def test_clicks_are_short_and_as_loud_as_told():
    hum = np.sin(2 * np.pi * 100 * np.arange(32000) / 16000)[None]
    difference = make_proxy_anomalies(hum, "clicks", random_state=0)[0] - hum[0]
    assert 160 < np.count_nonzero(difference) <= 8 * 160
    assert np.abs(difference).max() > 2


@pytest.mark.parametrize("severity", [0.5, 1.0, 2.0])
def test_a_clip_is_mixed_in_at_its_level(severity):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4, 16000)) * [[1.0], [0.1], [3.0], [1.0]]
    added = make_proxy_anomalies(X, "mix", severity=severity, random_state=0) - X
    for one, other in zip(added, X, strict=True):
        assert level_db(one) - level_db(other) == pytest.approx(-5 + 10 * np.log10(severity), abs=1e-6)
    power = 10 ** (rng.standard_normal((3, 8, 50)) / 10)
    mixed = 10 ** (make_proxy_anomalies(10 * np.log10(power), "mix", severity=severity, random_state=0) / 10)
    np.testing.assert_allclose((mixed - power).mean(axis=(1, 2)) / power.mean(axis=(1, 2)), 10**-0.5 * severity)


def test_what_is_mixed_in_is_of_another_machine(clips):
    tone = {"fan": np.ones(16000), "pump": np.tile([1.0, -1.0], 8000)}
    table = clips.assign(waveform=[tone[machine] for machine in clips["machine_type"]])
    proxies = make_proxy_anomalies(table, "mix", random_state=0)
    for machine, waveform in zip(proxies["machine_type"], proxies["waveform"], strict=True):
        other = tone["pump" if machine == "fan" else "fan"]
        np.testing.assert_allclose(waveform, tone[machine] + np.sqrt(10**-0.5) * other)


def test_of_one_machine_what_is_mixed_in_is_turned_upside_down():
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    added = make_proxy_anomalies(np.stack([tone, tone]), "mix", random_state=0)[0] - tone
    assert np.abs(np.fft.rfft(added)).argmax() == 7000
    bands = np.arange(8.0)[:, None] * np.ones((2, 1, 50))
    mixed = 10 ** (make_proxy_anomalies(bands, "mix", random_state=0)[0] / 10) - 10 ** (bands[0] / 10)
    np.testing.assert_allclose(mixed, 10**-0.5 * 10 ** (bands[0, ::-1] / 10))


@pytest.mark.parametrize("seed", range(6))
def test_stretching_keeps_pitch_and_changes_tempo(seed):
    time = np.arange(48000) / 16000
    beats = (np.sin(2 * np.pi * 1000 * time) * (np.sin(2 * np.pi * 4 * time) > 0))[None]
    stretched = make_proxy_anomalies(beats, "stretch", random_state=seed)[0]
    spectrum = np.abs(np.fft.rfft(stretched))
    assert spectrum.argmax() / 3 == pytest.approx(1000, abs=15)
    envelope = np.convolve(np.abs(stretched), np.ones(160) / 160, "same")[2000:38000]
    beat = (
        np.abs(np.fft.rfft(envelope - envelope.mean(), 1 << 18))[: int(10 * (1 << 18) / 16000)].argmax()
        * 16000
        / (1 << 18)
    )
    assert 0.08 < max(beat / 4, 4 / beat) - 1 < 0.22


def test_another_machine_lends_its_name_only(clips):
    proxies = make_proxy_anomalies(clips, "other_machine", random_state=0)
    assert (proxies["machine_type"] != clips["machine_type"]).all()
    assert proxies["waveform"].equals(clips["waveform"])


@pytest.mark.parametrize("kind", [*FAULTS, "other_machine"])
def test_the_same_seed_gives_the_same_and_the_global_one_is_left_alone(clips, kind):
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one, two = (make_proxy_anomalies(clips, kind, random_state=3) for _ in range(2))
    other = make_proxy_anomalies(clips, kind, random_state=4)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    for column in ("waveform", "machine_type"):
        assert all(np.array_equal(a, b) for a, b in zip(one[column], two[column], strict=True))
    if kind != "other_machine":
        pairs = zip(one["waveform"], other["waveform"], strict=True)
        assert any(not np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("waveform", [np.zeros(5000), np.ones(3), np.zeros(1)])
def test_silent_and_tiny_clips_stay_finite(kind, waveform):
    proxies = make_proxy_anomalies(np.stack([waveform, waveform]), kind, random_state=0)
    assert np.isfinite(proxies).all()
    assert proxies.shape == (2, len(waveform))


def test_wrong_requests_are_named(clips, tmp_path):
    with pytest.raises(ValueError, match="kind='rust' is unknown"):
        make_proxy_anomalies(clips, "rust")
    with pytest.raises(ValueError, match="severity=0"):
        make_proxy_anomalies(clips, "mix", severity=0)
    with pytest.raises(ValueError, match="needs a clip table with several machine types"):
        make_proxy_anomalies(clips[clips["machine_type"] == "fan"], "other_machine")
    with pytest.raises(ValueError, match=r"missing\.wav"):
        make_proxy_anomalies([str(tmp_path / "missing.wav")], "clicks")
    with pytest.raises(ValueError, match="kinds='mix'"):
        ProxyAnomalyScorer("mix")
    with pytest.raises(ValueError, match="kinds='rust'"):
        ProxyAnomalyScorer(["rust"])


def test_folds_are_of_normal_clips_and_test_each_once():
    y = np.array([1] * 10 + [-1] * 4 + [0] * 3)
    table = pd.DataFrame({"section": ["00", "01"] * 8 + ["00"]})
    folds = list(ProxyAnomalySplit(3, random_state=0).split(table, y))
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(10))
    for train, test in folds:
        assert sorted([*train, *test]) == list(range(10))
        assert set(table["section"].iloc[test]) == {"00", "01"}
    assert ProxyAnomalySplit(3).get_n_splits() == 3


def test_folds_need_as_many_clips():
    with pytest.raises(ValueError, match="2 normal clips for n_splits=3"):
        next(ProxyAnomalySplit().split(np.zeros((3, 1)), [1, 1, -1]))


def test_scores_of_kinds_are_those_of_proxies_by_hand(clips):
    from skasd.metrics import aggregate_score

    train, kept = clips.iloc[::2], clips.iloc[1::2]
    detector = TWFRDetector(r=1.0).fit(train)
    scorer = ProxyAnomalyScorer(("clicks", "mix"), random_state=5)
    by_kind = scorer.by_kind(detector, kept)
    proxies = make_proxy_anomalies(kept, "clicks", random_state=5)
    scores = np.concatenate([detector.score_samples(kept), detector.score_samples(proxies)])
    y_true = np.repeat([1, -1], len(kept))
    assert by_kind["clicks"] == aggregate_score(y_true, scores, pd.concat([kept, proxies]))
    assert scorer(detector, kept) == np.mean(list(by_kind.values()))


def test_anomalies_are_not_looked_at(clips):
    detector = TWFRDetector(r=1.0).fit(clips)
    y = np.ones(len(clips))
    y[::4] = -1
    scorer = ProxyAnomalyScorer(("clicks",))
    assert scorer(detector, clips, y) == scorer(detector, clips[y == 1])


def test_a_search_without_anomalies_finds_a_setting(clips):
    pipeline = make_pipeline(LogMelTransformer(n_mels=32), TWFRDetector())
    grid = {"twfrdetector__r": [0.3, 1.0]}
    cv, scoring = ProxyAnomalySplit(2, random_state=0), ProxyAnomalyScorer()
    search = GridSearchCV(pipeline, grid, scoring=scoring, cv=cv, error_score="raise").fit(clips)
    assert (search.cv_results_["mean_test_score"] > 0.5).all()
    as_array = GridSearchCV(TWFRDetector(), {"r": [0.3, 1.0]}, scoring=scoring, cv=cv, error_score="raise")
    assert as_array.fit(np.stack(clips["waveform"])).best_score_ > 0.5


@pytest.mark.parametrize("sample_rate", [float("nan"), 0, -16000, float("inf")])
def test_a_sample_rate_that_is_none_is_refused(clips, sample_rate):
    message = r"sample_rate=.* is (a float|too small)"
    with pytest.raises((TypeError, ValueError), match=message):
        make_proxy_anomalies(clips, "clicks", sample_rate=sample_rate)
    with pytest.raises((TypeError, ValueError), match=message):
        ProxyAnomalyScorer(sample_rate=sample_rate)


class LevelDetector(BaseEstimator):
    """As a detector of PyOD: the more outlying a clip, the higher its score. No score_samples."""

    def fit(self, X, y=None):
        self.normal_ = np.array([level_db(waveform) for waveform in X["waveform"]])
        self.decision_scores_, self.labels_ = self.decision_function(X), np.array([0, 1])
        return self

    def decision_function(self, X):
        return np.abs(np.array([level_db(waveform) for waveform in X["waveform"]]) - self.normal_.mean())


def test_detectors_whose_high_score_is_an_outlier_have_the_right_sign(clips):
    fans = clips[clips["machine_type"] == "fan"]
    assert ProxyAnomalyScorer(("clicks",), severity=30.0)(LevelDetector().fit(fans), fans) > 0.8


@pytest.mark.parametrize("channel", [0, 1, "mean", "residual"])
def test_proxies_are_read_with_the_channel_that_they_were_made_of(channel):
    X = make_machine_clips("fan", n_train=4, n_test_normal=0, n_test_anomaly=0, far_db=-10.0, random_state=0).data
    for clips in (X, np.stack(X["waveform"].tolist())):
        faulty = make_proxy_anomalies(clips, "band_gain", channel=channel, random_state=0)
        assert_allclose(
            LogMelTransformer(channel=channel).fit_transform(list(waveforms_of(faulty))),
            LogMelTransformer().fit_transform(
                make_proxy_anomalies(
                    [ClipReader(channel=channel)(clip) for clip in X["waveform"]], "band_gain", random_state=0
                )
            ),
            atol=0.01,
        )


def waveforms_of(clips):
    return clips["waveform"] if isinstance(clips, pd.DataFrame) else clips
