"""on_error="skip": clips that cannot be used are found first, listed, and left out."""

import numpy as np
import pandas as pd
import pytest
import soundfile

from skasd.clips import ClipReader, unusable_clips
from skasd.detectors import AutoencoderDetector, OSSCLDetector, TWFRDetector
from skasd.features import LogMelTransformer, MedianFilter, TWFRTransformer
from tests.detectors.cases import SMALL

RNG = np.random.default_rng(0)
NOISE = 0.1 * RNG.standard_normal((8, 8000))
MESSAGE = "cannot be used and are left out"


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Eight recordings; then an empty file, and a file that is missing."""
    folder = tmp_path_factory.mktemp("clips")
    for number, waveform in enumerate(NOISE):
        soundfile.write(folder / f"{number}.wav", waveform, 16000, subtype="FLOAT")
    (folder / "empty.wav").touch()
    return [str(folder / f"{name}.wav") for name in (*range(4), "empty", *range(4, 8), "gone")]


def with_nan(X):
    X = X.copy()
    X[3, ..., -1] = np.nan
    return X


GOOD = np.array([0, 1, 2, 3, 5, 6, 7, 8])


def test_unusable_clips_are_listed_with_their_reasons(paths):
    found = unusable_clips(paths)
    assert found.index.tolist() == [4, 9]
    assert found["clip"].tolist() == [paths[4], paths[9]]
    assert found["reason"].tolist() == ["is empty: zero bytes", "does not exist"]


def test_every_kind_of_x_is_listed():
    table = pd.DataFrame({"waveform": [NOISE[0], None, with_nan(NOISE)[3]]}, index=[7, 8, 9])
    assert unusable_clips(table)["clip"].tolist() == ["clip 1 (index 8 of the table)", "clip 2 (index 9 of the table)"]
    assert unusable_clips(with_nan(NOISE)).index.tolist() == [3]
    features = LogMelTransformer().fit_transform(NOISE)
    assert unusable_clips(with_nan(features)).index.tolist() == [3]
    odd_bands = [*features[:3], features[3][:5]]
    assert "has 5 bands where 128 are expected" in unusable_clips(odd_bands)["reason"].loc[3]
    assert unusable_clips(NOISE).empty


def test_the_estimator_says_what_is_read(tmp_path):
    soundfile.write(tmp_path / "slow.wav", NOISE[0], 8000)
    paths = [str(tmp_path / "slow.wav")]
    strict = LogMelTransformer(resample=False)
    assert unusable_clips(paths).empty
    for estimator in (strict, TWFRDetector(frontend=strict), ClipReader(resample=False)):
        assert "8000 Hz where 16000 Hz is expected" in unusable_clips(paths, estimator)["reason"].loc[0]
    assert "there is no channel=1" in unusable_clips(paths, ClipReader(channel=1))["reason"].loc[0]


@pytest.mark.parametrize("container", ["paths", "table"])
def test_skipped_files_get_nan_and_zero_and_the_rest_the_usual_scores(paths, container):
    wrap = (lambda some: list(some)) if container == "paths" else (lambda some: pd.DataFrame({"path": list(some)}))
    good = [paths[position] for position in GOOD]
    expected = TWFRDetector().fit(wrap(good))
    with pytest.warns(
        UserWarning, match=rf"2 of 10 clips {MESSAGE} .*\n  .*empty.wav: is empty.*\n  .*gone.wav: does not"
    ):
        detector = TWFRDetector().fit(wrap(paths), on_error="skip")
    assert detector.offset_ == expected.offset_
    for method, missing in (("score_samples", np.nan), ("decision_function", np.nan), ("predict", 0)):
        with pytest.warns(UserWarning, match=MESSAGE):
            values = getattr(detector, method)(wrap(paths), on_error="skip")
        np.testing.assert_array_equal(values[GOOD], getattr(expected, method)(wrap(good)))
        np.testing.assert_array_equal(values[[4, 9]], missing)
    with pytest.warns(UserWarning, match=MESSAGE) as caught:
        labels = TWFRDetector().fit_predict(wrap(paths), on_error="skip")
    assert sum("on_error" in str(warning.message) for warning in caught) == 1
    np.testing.assert_array_equal(labels, detector_labels(expected, good, wrap))


def detector_labels(expected, good, wrap):
    labels = np.zeros(10, dtype=int)
    labels[GOOD] = expected.predict(wrap(good))
    return labels


def test_labels_are_left_out_with_their_clips(paths):
    y = np.array([1, 1, 1, 1, 1, 1, 1, 1, -1, 1])
    with pytest.warns(UserWarning, match=MESSAGE):
        detector = TWFRDetector().fit(paths, y, on_error="skip")
    expected = TWFRDetector().fit([paths[position] for position in GOOD[:-1]])
    assert detector.offset_ == expected.offset_
    with (
        pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[10, 9\]"),
        pytest.warns(UserWarning, match=MESSAGE),
    ):
        TWFRDetector().fit(paths, y[:9], on_error="skip")


@pytest.mark.parametrize("features", [False, True], ids=["waveforms", "features"])
def test_arrays_may_hold_nan(features):
    X = LogMelTransformer().fit_transform(NOISE) if features else NOISE
    detector = TWFRDetector().fit(X)
    with pytest.warns(UserWarning, match=f"1 of 8 clips {MESSAGE}"):
        scores = detector.score_samples(with_nan(X), on_error="skip")
    assert np.flatnonzero(np.isnan(scores)).tolist() == [3]
    with pytest.warns(UserWarning, match="clip 3: holds NaN"):
        TWFRDetector().fit(with_nan(X), on_error="skip")
    with pytest.raises(ValueError, match="NaN"):
        TWFRDetector().fit(with_nan(X))


def test_features_of_other_bands_may_follow_in_another_fit():
    detector = TWFRDetector().fit(LogMelTransformer().fit_transform(NOISE))
    coarse = LogMelTransformer(n_mels=20).fit_transform(NOISE)
    assert detector.fit(coarse, on_error="skip").n_features_in_ == 20
    with pytest.raises(
        ValueError, match="None of the 8 clips can be used:\n  clip 0: has 19 bands where 20 are expected"
    ):
        detector.score_samples(coarse[:, 1:], on_error="skip")


def test_nothing_is_said_and_nothing_changes_if_all_clips_can_be_used():
    detector = TWFRDetector().fit(NOISE, on_error="skip")
    np.testing.assert_array_equal(
        detector.score_samples(NOISE, on_error="skip"), TWFRDetector().fit(NOISE).score_samples(NOISE)
    )


@pytest.mark.parametrize("method", ["fit", "fit_predict"])
def test_no_usable_clip_is_an_error(method, paths):
    bad = [paths[4], paths[9]]
    with pytest.raises(
        ValueError, match=r"None of the 2 clips can be used:\n  .*empty.wav: is empty.*\n  .*does not exist"
    ):
        getattr(TWFRDetector(), method)(bad, on_error="skip")
    with pytest.raises(ValueError, match="None of the 2 clips can be used"):
        LogMelTransformer().fit_transform(bad, on_error="skip")


def test_a_long_list_is_shortened():
    table = pd.DataFrame({"waveform": [NOISE[0]] + [None] * 25})
    with pytest.warns(
        UserWarning, match=r"clip 10 .*is empty\n  and 15 more; skasd.clips.unusable_clips lists all of them"
    ):
        LogMelTransformer().fit(table, on_error="skip")


def test_another_value_is_refused():
    for call in (TWFRDetector().fit, LogMelTransformer().fit, LogMelTransformer().fit_transform):
        with pytest.raises(ValueError, match="on_error='ignore' is unknown; expected one of 'raise', 'skip'"):
            call(NOISE, on_error="ignore")


def test_a_table_keeps_all_rows_and_gets_the_reasons(paths):
    table = pd.DataFrame({"path": paths, "section": "00"}, index=range(10, 20))
    with pytest.warns(UserWarning, match=MESSAGE) as caught:
        made = LogMelTransformer().fit_transform(table, on_error="skip")
    assert len(caught) == 1
    assert made.index.tolist() == table.index.tolist()
    assert made["error"].iloc[[4, 9]].tolist() == ["is empty: zero bytes", "does not exist"]
    assert made["error"].iloc[GOOD].isna().all()
    assert made["log_mel"].iloc[[4, 9]].tolist() == [None, None]
    usual = LogMelTransformer().fit_transform(table.iloc[GOOD])
    for cell, expected in zip(made["log_mel"].iloc[GOOD], usual["log_mel"], strict=True):
        np.testing.assert_array_equal(cell, expected)
    with pytest.warns(UserWarning, match=r"index 14 of the table\): is empty: zero bytes"):
        scores = TWFRDetector().fit(usual).score_samples(made, on_error="skip")
    assert np.flatnonzero(np.isnan(scores)).tolist() == [4, 9]
    with pytest.raises(
        ValueError, match=r"2 of 10 clips cannot be used:\n  clip 4 .*: is empty: zero bytes\n  clip 9 .*does not"
    ):
        TWFRDetector().fit(made)
    with pytest.warns(UserWarning, match=MESSAGE):
        smooth = MedianFilter(3).fit_transform(made, on_error="skip")
    assert smooth["error"].tolist() == made["error"].tolist()
    assert smooth["log_mel"].iloc[4] is None


def test_a_table_without_bad_clips_gets_an_empty_column():
    made = LogMelTransformer().fit_transform(pd.DataFrame({"waveform": list(NOISE)}), on_error="skip")
    assert made["error"].isna().all()


def test_a_column_error_of_the_user_is_not_overwritten():
    table = pd.DataFrame({"waveform": list(NOISE), "error": "bearing"})
    with pytest.raises(ValueError, match="has a column 'error' with values for clips that can be used; rename it"):
        LogMelTransformer().fit_transform(table, on_error="skip")


def test_an_array_gets_nan():
    for transformer in (LogMelTransformer(), LogMelTransformer(flatten=True), TWFRTransformer()):
        usual = transformer.fit_transform(NOISE)
        with pytest.warns(UserWarning, match=MESSAGE):
            made = transformer.fit_transform(with_nan(NOISE), on_error="skip")
        assert made.shape == usual.shape
        assert np.isnan(made[3]).all()
        np.testing.assert_array_equal(np.delete(made, 3, axis=0), np.delete(usual, 3, axis=0))


def test_set_output_keeps_the_rows():
    flat = LogMelTransformer(flatten=True).set_output(transform="pandas")
    with pytest.warns(UserWarning, match=MESSAGE):
        made = flat.fit_transform(with_nan(NOISE), on_error="skip")
    assert made.isna().all(axis=1).tolist() == [number == 3 for number in range(8)]


def test_embeddings_of_skipped_clips_are_nan(paths):
    detector = OSSCLDetector(("log_mel",), **SMALL)
    with pytest.warns(UserWarning, match=MESSAGE):
        embedding = detector.fit_transform(paths, on_error="skip")
    assert np.flatnonzero(np.isnan(embedding).any(axis=1)).tolist() == [4, 9]
    with pytest.warns(UserWarning, match=MESSAGE):
        np.testing.assert_array_equal(detector.transform(paths, on_error="skip"), embedding)


def test_waveforms_beside_features_are_read_where_a_branch_needs_them():
    table = LogMelTransformer().fit_transform(pd.DataFrame({"waveform": list(NOISE)}))
    table["waveform"] = [*NOISE[:-1], None]
    assert unusable_clips(table, OSSCLDetector(("log_mel",))).empty
    assert unusable_clips(table, OSSCLDetector()).index.tolist() == [7]
    assert unusable_clips(table, AutoencoderDetector()).empty
