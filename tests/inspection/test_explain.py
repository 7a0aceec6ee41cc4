"""explain: regions where they are, with the numbers of the place, and sentences that say the same."""

import re

import numpy as np
import pandas as pd
import pytest

from skasd.detectors import TWFRDetector
from skasd.features import LogMelTransformer
from skasd.inspection import explain
from skasd.inspection._explain import COLUMNS, band_edges
from skasd.inspection._sentences import sentence_of

RATE = 16000


def noise(n_clips, seed=0, n_timepoints=RATE):
    return np.random.default_rng(seed).normal(scale=0.05, size=(n_clips, n_timepoints)).astype(np.float32)


@pytest.fixture(scope="module")
def detector():
    return TWFRDetector(0.8).fit(noise(40))


@pytest.fixture(scope="module")
def beep():
    """Noise with a tone of 3 kHz from 0.4 to 0.6 s."""
    (clip,) = noise(1, seed=1)
    time = np.arange(RATE) / RATE
    return clip + 0.2 * np.sin(2 * np.pi * 3000 * time) * ((time > 0.4) & (time < 0.6)).astype(np.float32)


def test_a_beep_is_found_where_and_as_loud_as_it_is(detector, beep):
    regions = explain(detector, [beep, *noise(1, seed=2)], n_regions=1)
    assert list(regions.columns) == list(COLUMNS)
    first = regions.iloc[0]
    assert first["clip"] == 0
    assert first["start_s"] == pytest.approx(0.4, abs=0.08)
    assert first["end_s"] == pytest.approx(0.6, abs=0.08)
    assert 2700 < first["low_hz"] < 3000 < first["high_hz"] < 3300
    assert first["level_db"] > 6
    assert first["level_in_spreads"] > 3
    assert first["share"] > 0.5
    assert "louder than in normal clips" in first["sentence"]


def test_a_missing_band_is_quieter(detector):
    (clip,) = noise(1, seed=3)
    spectrum = np.fft.rfft(clip)
    spectrum[4000:5000] *= 0.1
    first = explain(detector, [np.fft.irfft(spectrum).astype(np.float32)], n_regions=1).iloc[0]
    assert 3900 < first["low_hz"] < first["high_hz"] < 5200
    assert -22 < first["level_db"] < -12
    assert "quieter than in normal clips" in first["sentence"]


def test_regions_come_in_order_with_shares_of_at_most_all(detector, beep):
    regions = explain(detector, [beep, beep[::-1], *noise(2, seed=4)], n_regions=4)
    assert (regions["share"].between(0.0, 1.0)).all()
    assert (regions.groupby("clip")["share"].sum() <= 1.0).all()
    for _, of_clip in regions.groupby("clip"):
        assert len(of_clip) <= 4
        assert of_clip["share"].is_monotonic_decreasing


def test_the_sentence_has_the_numbers_of_its_row(detector, beep):
    row = explain(detector, [beep], n_regions=1).iloc[0]
    start, end = re.match(r"([\d.]+) to ([\d.]+) s", row["sentence"]).groups()
    assert (float(start), float(end)) == (round(row["start_s"], 2), round(row["end_s"], 2))
    assert f"{row['level_db']:.1f} dB louder" in row["sentence"]
    assert f"{100 * row['share']:.0f} % of what adds to the anomaly score" in row["sentence"]


def test_a_quieter_clip_is_said_to_be_quieter(detector, beep):
    sentence = explain(detector, [0.3 * beep], n_regions=1)["sentence"].item()
    assert re.search(r"dB louder relative to the whole clip, which is 10\.\d dB quieter", sentence)


def test_features_of_unknown_origin_have_bands_and_frames():
    X = np.random.default_rng(0).normal(size=(20, 8, 30))
    odd = X[:1].copy()
    odd[0, 5] += 9
    row = explain(TWFRDetector(1.0).fit(X), odd, n_regions=1).iloc[0]
    assert row[["start_s", "end_s", "low_hz", "high_hz"]].isna().all()
    assert re.match(r"frames 0 to 29, bands \d to \d: ", row["sentence"])
    known = TWFRDetector(1.0, frontend=LogMelTransformer(n_mels=8)).fit(X)
    assert explain(known, odd).drop(columns="sentence").notna().all(axis=None)


def test_a_clip_without_anything_odd_has_no_region(detector):
    normal = detector._normal_levels[""]
    levels = normal.at(np.arange(128 * 32.0).reshape(128, 32))[0]
    features = TWFRDetector(0.8).fit(np.random.default_rng(0).normal(size=(20, 128, 32)) + levels)
    assert isinstance(explain(features, features._normal_levels[""].at(levels)[0][None]), pd.DataFrame)


def test_natural_logarithms_are_given_in_decibel(beep):
    level = {}
    for log in ("db", "natural"):
        detector = TWFRDetector(0.8, frontend=LogMelTransformer(log=log), reg_covar=1e-6).fit(noise(40))
        level[log] = explain(detector, [beep], n_regions=1)["level_db"].item()
    assert level["natural"] == pytest.approx(level["db"], abs=1.0)


def test_a_difference_that_is_none_is_not_called_one():
    row = {"start_s": 0, "end_s": 1, "low_hz": 0, "high_hz": 10, "level_db": 0.4, "level_in_spreads": 9, "share": 0.2}
    sentence = sentence_of(row, (slice(0, 1), slice(0, 1)), 0.0)
    assert "about as loud as in normal clips (+0.4 dB); 20 %" in sentence


def test_edges_of_bands_lie_between_their_centres():
    np.testing.assert_allclose(band_edges(np.array([100.0, 200.0, 400.0])), [50.0, 150.0, 300.0, 500.0])


@pytest.mark.parametrize(("n_regions", "error"), [(0, ValueError), (1.5, TypeError), (True, TypeError)])
def test_the_number_of_regions_is_checked(detector, beep, n_regions, error):
    with pytest.raises(error, match="n_regions"):
        explain(detector, [beep], n_regions=n_regions)


def test_what_is_said_of_real_valves_is_in_their_sound(real_data):
    table = pd.read_csv(real_data / "clips.csv", dtype=str)
    table = table[table["dataset"] == "valve2023"].assign(path=lambda rows: f"{real_data}/" + rows["path"])
    train, test = (table[table["split"] == split] for split in ("train", "test"))
    odd = test[test["label"] == "anomaly"].iloc[:4]
    regions = explain(TWFRDetector().fit(train), odd, n_regions=1)
    louder = regions[regions["level_db"] > 3]
    front_end = LogMelTransformer(norm=None, mel_scale="htk")
    mean = np.mean([clip.mean(axis=1) for clip in front_end.fit_transform(train)["log_mel"]], axis=0)
    for row in louder.itertuples():
        clip = front_end.fit_transform(odd.iloc[[row.clip]])["log_mel"].item()
        frames = slice(round(row.start_s / 0.032), round(row.end_s / 0.032) + 1)
        bands = [row.low_hz <= centre <= row.high_hz for centre in front_end._as_frontend().frequencies(128)]
        assert clip[bands, frames].max() > mean[bands].max() + 3
