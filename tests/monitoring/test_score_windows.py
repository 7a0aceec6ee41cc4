"""score_windows: each window scored as by itself, whatever the length, format and channels of the recording."""

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline

import skasd
from skasd.clips import ClipReader
from skasd.clips._file_window import FileWindow
from skasd.datasets import make_machine_clips
from skasd.decisions import CalibratedDetector, decision_table
from skasd.detectors import (
    AutoencoderDetector,
    EnsembleDetector,
    JointAECNNDetector,
    StatisticsDetector,
    TWFRDetector,
)
from skasd.features import LogMelTransformer, TWFRTransformer
from skasd.monitoring import score_windows
from skasd.persistence._scores import load_scores

RATE = 16000
LENGTH = 8000  # time points of a window


@pytest.fixture(scope="module")
def normal():
    clips = make_machine_clips("fan", n_train=24, duration=LENGTH / RATE, random_state=0)
    return clips.data[clips.data["split"] == "train"].drop(columns=["section", "machine_type"])


@pytest.fixture(scope="module")
def sound():
    return np.random.default_rng(0).normal(0, 0.1, 5 * LENGTH + 1234).astype(np.float32)


DETECTORS = {
    "twfr": TWFRDetector(),
    "statistics": StatisticsDetector(),
    "calibrated": CalibratedDetector(TWFRDetector()),
    "autoencoder": AutoencoderDetector(max_epochs=1, random_state=0),
    "ensemble": EnsembleDetector([("one", TWFRDetector()), ("two", TWFRDetector(r=0.5))]),
    "pipeline": make_pipeline(LogMelTransformer(), TWFRDetector()),
    "forest": make_pipeline(TWFRTransformer(), IsolationForest(n_estimators=10, random_state=0)),
}


@pytest.mark.parametrize("name", DETECTORS)
def test_a_window_has_the_score_that_it_has_by_itself(name, normal, sound):
    detector = DETECTORS[name].fit(normal)
    table = score_windows(detector, sound, window=LENGTH / RATE, hop=0.2)
    for row in table.itertuples():
        start, stop = round(row.start * RATE), round(row.end * RATE)
        alone = pd.DataFrame({"waveform": [sound[start:stop]]})
        assert row.anomaly_score == -detector.score_samples(alone)[0]


@pytest.mark.slow
def test_networks_score_windows_in_batches_as_by_themselves(normal, sound):
    detector = JointAECNNDetector(max_epochs=1, random_state=0).fit(normal)
    table = score_windows(detector, sound)
    alone = [-detector.score_samples([sound[round(start * RATE) :][:LENGTH]])[0] for start in table["start"]]
    np.testing.assert_allclose(table["anomaly_score"], alone, rtol=1e-4)


def test_windows_cover_the_recording_to_its_end(normal, sound):
    table = score_windows(TWFRDetector().fit(normal), sound)
    assert np.diff(table["start"])[:-1].tolist() == pytest.approx([LENGTH / 2 / RATE] * (len(table) - 2))
    assert table["start"].iloc[0] == 0
    assert table["end"].iloc[-1] == len(sound) / RATE
    assert (table["end"] - table["start"]).tolist() == pytest.approx([LENGTH / RATE] * len(table))


def test_a_recording_that_ends_with_a_window_has_no_other_there(normal, sound):
    assert len(score_windows(TWFRDetector().fit(normal), sound[: 2 * LENGTH])) == 3


def test_a_recording_that_is_shorter_than_a_window_is_one(normal, sound):
    detector = TWFRDetector().fit(normal)
    table = score_windows(detector, sound[:7000])
    assert table[["start", "end"]].to_numpy().tolist() == [[0.0, 7000 / RATE]]
    assert table["anomaly_score"][0] == -detector.score_samples([sound[:7000]])[0]


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("rate", [16000, 22050])
def test_files_are_scored_like_their_parts(suffix, rate, normal, sound, tmp_path):
    path = tmp_path / f"sound.{suffix}"
    soundfile.write(path, np.column_stack([sound, sound[::-1]]), rate)
    detector = TWFRDetector(frontend=LogMelTransformer(channel="mean")).fit(normal)
    table = score_windows(detector, path, hop=0.3)
    assert len(table) >= 5
    read = ClipReader(channel="mean")
    parts = [read(FileWindow(path, round(start * RATE), LENGTH, RATE)) for start in table["start"]]
    assert table["anomaly_score"].tolist() == (-detector.score_samples(parts)).tolist()


def test_blocks_may_be_shorter_than_windows(normal, sound, tmp_path, monkeypatch):
    path = tmp_path / "sound.wav"
    soundfile.write(path, sound, 11025)
    detector = TWFRDetector().fit(normal)
    whole = score_windows(detector, path, window=0.5, hop=0.07)
    monkeypatch.setattr("skasd.clips._files._FRAMES_PER_BLOCK", 999)
    assert score_windows(detector, path, window=0.5, hop=0.07).equals(whole)


def test_batches_do_not_change_scores(normal, sound, monkeypatch):
    detector = CalibratedDetector(TWFRDetector()).fit(normal)
    whole = score_windows(detector, sound, hop=0.1)
    monkeypatch.setattr("skasd.monitoring._score_windows._MOST_AT_ONCE", 3)
    assert score_windows(detector, sound, hop=0.1).equals(whole)


def test_decisions_are_those_of_the_detector(normal, sound):
    detector = CalibratedDetector(TWFRDetector()).fit(normal)
    table = score_windows(detector, sound)
    clips = [sound[round(start * RATE) :][:LENGTH] for start in table["start"]]
    expected = decision_table(detector, clips)
    assert table[expected.columns].equals(expected)
    assert table["p_value"].between(0, 1).all()


def test_a_window_longer_than_the_training_clips_is_scored_as_a_long_clip(normal, sound):
    detector = TWFRDetector().fit(normal)
    table = score_windows(detector, sound, window=1.5)
    assert table["anomaly_score"][0] == -detector.score_samples([sound[:24000]])[0]


def test_long_windows_of_files_with_another_sample_rate(normal, sound, tmp_path):
    path = tmp_path / "sound.wav"
    soundfile.write(path, sound, 22050)
    detector = TWFRDetector().fit(normal)
    table = score_windows(detector, path, window=1.5)
    assert table["end"].iloc[-1] == pytest.approx(len(sound) / 22050, abs=1e-4)
    assert np.isfinite(table["anomaly_score"]).all()


def test_the_machine_is_named_for_a_detector_of_several(sound):
    clips = make_machine_clips(("fan", "valve"), n_train=20, duration=0.5, random_state=0).data
    detector = CalibratedDetector(TWFRDetector()).fit(clips[clips["split"] == "train"])
    table = score_windows(detector, sound, machine="valve/00")
    alone = pd.DataFrame({"waveform": [sound[:LENGTH]], "machine_type": "valve", "section": "00"})
    assert table["anomaly_score"][0] == -detector.score_samples(alone)[0]
    with pytest.raises(ValueError, match="pump"):
        score_windows(detector, sound, machine="pump/00")


def test_the_detector_of_a_model_file_scores_without_the_estimators(normal, sound, tmp_path):
    detector = CalibratedDetector(TWFRDetector()).fit(normal)
    skasd.save(detector, tmp_path / "model.skasd")
    scores = load_scores(tmp_path / "model.skasd", 1)[""]
    assert score_windows(scores, sound).equals(score_windows(detector, sound))


def test_nan_in_a_window_is_named_or_skipped(normal, sound):
    detector, broken = TWFRDetector().fit(normal), sound.copy()
    broken[2 * LENGTH + 100] = np.nan
    with pytest.raises(ValueError, match=r"source: the window from 0\.75 to 1\.25 s holds NaN"):
        score_windows(detector, broken)
    table = score_windows(detector, broken, on_error="skip")
    is_bad = table["decision"] == "unscored"
    assert table.loc[is_bad, "start"].tolist() == [0.75, 1.0]
    assert table.loc[is_bad, "reason"].str.contains("NaN").all()
    assert table.loc[is_bad, "anomaly_score"].isna().all()
    whole = score_windows(detector, sound)
    assert table.loc[~is_bad, list(whole.columns)].equals(whole[~is_bad])


def test_a_file_that_is_cut_short_is_named(normal, sound, tmp_path):
    path = tmp_path / "cut.wav"
    soundfile.write(path, sound, RATE)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ValueError, match=r"cut\.wav: is cut short"):
        score_windows(TWFRDetector().fit(normal), path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"window": 0}, "window=0"),
        ({"hop": 0.6}, "hop=0.6"),
        ({"hop": 0}, "hop=0"),
        ({"machine": 3}, "machine=3"),
        ({"machine": "a/b/c"}, "3 parts"),
        ({"on_error": "ignore"}, "on_error='ignore'"),
        ({"source": "none.wav"}, r"none\.wav: does not exist"),
        ({"source": ["a.wav"]}, "source is a list"),
        ({"source": np.empty(0)}, r"source has shape \(0,\)"),
        ({"detector": {"fan": 1}}, "dict of detectors by machine"),
        ({"detector": TWFRDetector}, "scores nothing"),
    ],
)
def test_what_cannot_be_used_is_named(given, message, normal, sound):
    arguments = {"detector": TWFRDetector().fit(normal), "source": sound, **given}
    with pytest.raises((ValueError, TypeError), match=message):
        score_windows(**arguments)


def test_a_pipeline_of_features_asks_for_the_length_of_a_window(normal, sound):
    with pytest.raises(ValueError, match="window=10"):
        score_windows(make_pipeline(LogMelTransformer(), TWFRDetector()).fit(normal), sound)


def test_progress_is_shown_only_when_asked_for(normal, sound, capsys):
    detector = TWFRDetector().fit(normal)
    score_windows(detector, sound)
    assert capsys.readouterr().err == ""
    score_windows(detector, sound, verbose=1)
    assert "windows" in capsys.readouterr().err
