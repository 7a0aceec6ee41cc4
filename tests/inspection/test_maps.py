"""Maps by insertion and occlusion, for everything that scores clips."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import skasd
from skasd.clips._normal_levels import NormalLevels, loudness_offset
from skasd.detectors import EnsembleDetector, OSSCLDetector, StatisticsDetector, TWFRDetector
from skasd.features import LogMelTransformer, MedianFilter, TWFRTransformer
from skasd.inspection import anomaly_map, explain, map_axes
from tests.detectors.cases import SMALL, SMALL_FRONT_END, each


def features(n_clips, seed=0, n_frames=12):
    return np.random.default_rng(seed).normal(size=(n_clips, 6, n_frames))


@pytest.fixture(scope="module")
def detector():
    return TWFRDetector((1.0, 0.5)).fit(features(30))


def normal_levels(detector, clip):
    """Levels of normal clips at the ranks of a clip, as loud as the clip."""
    level = detector._normal_levels[""].at(clip)[0]
    return level + loudness_offset(clip - level)


def test_occlusion_of_single_places_is_the_drop_of_the_score_of_each(detector):
    (clip,) = 2 * features(1, seed=1, n_frames=4)
    level, expected = normal_levels(detector, clip), np.empty(clip.shape)
    detector._training_length = None  # else it is warned of as short
    for place in np.ndindex(clip.shape):
        edited = clip.copy()
        edited[place] = level[place]
        expected[place] = detector.score_samples(edited[None])[0] - detector.score_samples(clip[None])[0]
    (found,) = anomaly_map(detector, clip[None], method="occlusion", block=(1, 1))
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_insertion_is_the_rise_of_the_score_of_normal_levels_times_the_deviation(detector):
    (clip,) = 3 * features(1, seed=1)
    level = normal_levels(detector, clip)
    weight = np.abs(clip - level)
    (whole, nothing) = -detector.score_samples(np.stack([clip, level]))
    for band in range(len(clip)):
        edited = level.copy()
        edited[band] = clip[band]
        weight[band] *= max(-detector.score_samples(edited[None])[0] - nothing, 0.0)
    (found,) = anomaly_map(detector, clip[None], block=(1, 12))
    np.testing.assert_allclose(found, weight / weight.sum() * (whole - nothing))


@pytest.mark.parametrize("method", ["insertion", "occlusion", "exact"])
def test_a_map_does_not_depend_on_the_other_clips_and_their_order(detector, method):
    X = 2 * features(4, seed=1)
    together = anomaly_map(detector, X, method=method)
    for row, clip in enumerate(X):
        np.testing.assert_array_equal(anomaly_map(detector, clip[None], method=method)[0], together[row])
    np.testing.assert_array_equal(anomaly_map(detector, X[::-1], method=method), together[::-1])


def test_a_louder_clip_has_the_same_map_where_the_score_is_the_same_for_it(detector):
    X = 2 * features(2, seed=1)
    np.testing.assert_allclose(
        np.abs(normal_levels(detector, X[0] + 5) - 5), np.abs(normal_levels(detector, X[0])), atol=1e-6
    )


@each()
@pytest.mark.filterwarnings("ignore:X names no machine")
def test_every_detector_has_a_map_that_is_kept_in_its_file(case, train, new, tmp_path):
    detector = case.new().fit(train)
    two = new.iloc[[0, -1]]
    maps, axes = anomaly_map(detector, two), map_axes(detector, two)
    assert maps.shape == (2, len(axes.frequencies), len(axes.times))
    assert np.isfinite(maps).all()
    assert np.isfinite(axes.frequencies).all()
    skasd.save(detector, tmp_path / "model.skasd")
    np.testing.assert_array_equal(anomaly_map(skasd.load(tmp_path / "model.skasd"), two), maps)


def test_all_containers_give_the_same_map(train, new):
    detector = TWFRDetector(frontend=SMALL_FRONT_END).fit(train["waveform"].tolist())
    expected = anomaly_map(detector, new["waveform"].tolist())
    np.testing.assert_allclose(anomaly_map(detector, np.stack(new["waveform"])), expected)
    np.testing.assert_allclose(anomaly_map(detector, new[["waveform"]]), expected)


def test_a_pipeline_gives_the_map_of_its_detector_on_its_features(train, new):
    steps = [LogMelTransformer(n_mels=16, n_fft=256), MedianFilter(3), TWFRDetector(1.0)]
    pipeline = make_pipeline(*steps).fit(train)
    made = pipeline[:-1].transform(new)
    np.testing.assert_array_equal(anomaly_map(pipeline, new), anomaly_map(pipeline[-1], made))
    np.testing.assert_allclose(map_axes(pipeline, new).frequencies, steps[0]._as_frontend().frequencies(16))
    assert map_axes(pipeline, new).hop == 512 / 16000
    assert np.isnan(map_axes(pipeline[-1], made).frequencies).all()


def test_a_search_gives_the_map_of_its_best_estimator(train, new):
    search = GridSearchCV(
        TWFRDetector(frontend=SMALL_FRONT_END), {"reg_covar": [0.1]}, cv=2, scoring=lambda *_: 0.0
    ).fit(train)
    np.testing.assert_array_equal(anomaly_map(search, new), anomaly_map(search.best_estimator_, new))


class Around:
    """A detector around a detector, as one that is calibrated."""

    def __init__(self, detector):
        self.detector_ = detector


def test_a_detector_inside_of_another_one_is_explained(twfr, new):
    np.testing.assert_array_equal(anomaly_map(Around(twfr), new), anomaly_map(twfr, new))


@pytest.mark.parametrize("front_end", [True, False], ids=["after a log-mel", "on waveforms"])
def test_an_outlier_detector_of_scikit_learn_has_a_map(front_end, train, new):
    steps = [SMALL_FRONT_END, TWFRTransformer()] if front_end else [TWFRTransformer(frontend=SMALL_FRONT_END)]
    fans, odd = train[train["machine_type"] == "fan"], new[new["machine_type"] == "fan"].iloc[2:]
    pipeline = make_pipeline(*steps, IsolationForest(random_state=0)).fit(fans)
    with pytest.raises(ValueError, match="give normal="):
        anomaly_map(pipeline, odd)
    maps, axes = anomaly_map(pipeline, odd, normal=fans), map_axes(pipeline, odd)
    assert maps.shape == (4, len(axes.frequencies), len(axes.times))
    assert np.isfinite(maps).all()
    assert maps.any()


class HearsWaveforms(TWFRDetector):
    """A detector that cannot be given spectrograms in place of waveforms."""

    def _hears_spectrograms(self, clips):
        return False


def test_filtered_waveforms_give_about_the_map_of_spectrograms(train, new):
    detector = HearsWaveforms(0.8, frontend=SMALL_FRONT_END).fit(train)
    heard = anomaly_map(detector, new.iloc[-4:])
    detector.__class__ = TWFRDetector
    for one, other in zip(heard, anomaly_map(detector, new.iloc[-4:]), strict=True):
        assert np.corrcoef(one.sum(axis=1), other.sum(axis=1))[0, 1] > 0.7
        np.testing.assert_allclose(one.sum(), other.sum(), rtol=0.3)


@pytest.mark.slow
def test_waveforms_that_a_detector_hears_are_filtered(train, new):
    detector = OSSCLDetector(("log_mel", "tgram"), score_with="embedding", **SMALL).fit(train)
    maps = anomaly_map(detector, new.iloc[-1:], method="occlusion", block=(4, 16))
    assert np.isfinite(maps).all()
    assert maps.any()


def test_a_long_clip_has_the_map_of_its_oddest_window():
    detector = TWFRDetector(1.0).fit(features(30))
    long = features(1, seed=1, n_frames=30)
    long[:, :, -5:] += np.array([8.0, 0, 0, 0, 0, 0])[:, None]
    (found,) = anomaly_map(detector, long)
    assert not found[:, :18].any()
    np.testing.assert_allclose(found[:, 18:], anomaly_map(detector, long[:, :, 18:])[0])
    assert found.sum(axis=1).argmax() == 0


def test_shorter_clips_end_with_nan(detector):
    one, other = features(1, seed=1, n_frames=12)[0], features(1, seed=2, n_frames=10)[0]
    maps = anomaly_map(detector, [one, other])
    assert maps.shape == (2, 6, 12)
    assert np.isnan(maps[1, :, 10:]).all()
    np.testing.assert_array_equal(maps[1, :, :10], anomaly_map(detector, other[None])[0])


def test_an_ensemble_of_unlike_front_ends_has_the_axes_of_the_first(train, new):
    members = [("small", TWFRDetector(frontend=SMALL_FRONT_END)), ("large", TWFRDetector(1.0))]
    ensemble = EnsembleDetector(members, random_state=0).fit(train)
    maps = anomaly_map(ensemble, new.iloc[-1:])
    spread = ensemble.scales_["fan"].std(axis=1)
    parts = [anomaly_map(one, new.iloc[-1:]).sum() for one in ensemble.estimators_]
    assert maps.shape[1] == 16
    np.testing.assert_allclose(maps.sum(), (parts / spread).sum() / 2)


@pytest.mark.parametrize("n_timepoints", [10, 8000])
@pytest.mark.parametrize("value", [0.0, 0.3])
def test_silence_and_constant_clips_have_finite_maps(n_timepoints, value):
    waveforms = np.random.default_rng(0).normal(size=(20, n_timepoints))
    detector = StatisticsDetector(frontend=SMALL_FRONT_END).fit(waveforms)
    X = np.full((1, n_timepoints), value)
    assert np.isfinite(anomaly_map(detector, X)).all()
    assert np.isfinite(anomaly_map(detector, X, method="occlusion")).all()
    assert explain(detector, X).drop(columns="sentence").notna().all(axis=None)


def test_one_frame_has_a_map():
    detector = TWFRDetector(1.0).fit(features(20, n_frames=1))
    assert anomaly_map(detector, 5 * features(2, n_frames=1)).shape == (2, 6, 1)


@pytest.mark.parametrize(
    ("wrong", "error", "match"),
    [
        ({"detector": IsolationForest}, TypeError, "detector=.*score_samples"),
        ({"detector": LogMelTransformer()}, TypeError, "detector=.*score_samples"),
        ({"method": "lime"}, ValueError, "method='lime' is unknown"),
        ({"block": 4}, TypeError, "block=4"),
        ({"block": (0, 4)}, ValueError, "block=0"),
        ({"block": (2.0, 4)}, TypeError, "block=2.0"),
        ({"method": "exact", "block": (2, 2)}, ValueError, "block=.*no effect"),
        ({"X": features(2)[:, :4]}, ValueError, "4 bands"),
        ({"X": {"data": 1}}, TypeError, "X is a dict"),
        ({"normal": [np.full((6, 12), np.nan)]}, ValueError, "normal holds no clip"),
        ({"normal": features(3)[:, :4]}, ValueError, "4 bands"),
    ],
)
def test_what_cannot_be_explained_is_refused_by_name(detector, wrong, error, match):
    with pytest.raises(error, match=match):
        anomaly_map(**{"detector": detector, "X": features(2), **wrong})


def test_a_detector_that_is_not_fitted_is_refused():
    with pytest.raises(ValueError, match="not fitted"):
        anomaly_map(TWFRDetector(), features(2))


def test_domains_are_told_apart():
    quiet, tilted = features(6), features(6) + np.linspace(0, 60, 6)[:, None]
    normal = NormalLevels.of([*quiet, *tilted], ["source"] * 6 + ["target"] * 6)
    for clip in (quiet[0], tilted[0], tilted[1] + 20):
        level, _ = normal.at(clip)
        assert np.abs((clip - level) - loudness_offset(clip - level)).mean() < 1.5
    assert normal.level.shape == (2, 6, 20)
    few = NormalLevels.of([*quiet, tilted[0]], ["source"] * 6 + ["target"])
    assert few.level.shape == (1, 6, 20)


def test_a_column_of_machines_with_gaps_is_no_obstacle():
    table = pd.DataFrame({"log_mel": list(features(20)), "machine_type": ["fan", None] * 10})
    detector = TWFRDetector(1.0, group_columns=()).fit(table)
    assert anomaly_map(detector, table.iloc[:2]).shape == (2, 6, 12)
