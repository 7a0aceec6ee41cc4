"""Reports without a browser: what is on the page, what its pictures and sounds hold, and what is refused."""

import base64
import io
import json
import os
import re

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline

import skasd.report._sound
from skasd._mel import MelDefinition
from skasd.clips import unusable_clips
from skasd.clips._encode import encoded
from skasd.decisions import CalibratedDetector
from skasd.detectors import StatisticsDetector, TWFRDetector
from skasd.features import TWFRTransformer
from skasd.report import write_report
from skasd.report._histogram import DEPTH, HEIGHT, histogram
from skasd.report._nearest import nearest, signature
from skasd.report._pictures import Axes, map_png, on_axes, spectrogram, spectrogram_png
from skasd.report._sound import LONGEST, Sound, as_files, gain
from tests.report.conftest import HOSTILE, MACHINES, RATE, clips

pytestmark = pytest.mark.filterwarnings("ignore:X contains clips shorter:UserWarning")


def text_of(file):
    return file.read_text(encoding="utf-8")


def rows_of(file):
    """Attributes of the rows of the table, in order."""
    rows = re.findall(r'<tr class="clip" (.*?)>\n', text_of(file))
    return [dict(re.findall(r'data-(\w+)="(.*?)"', row)) for row in rows]


def data_of(file):
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', text_of(file), re.DOTALL)[1]
    )


def asset(file, name):
    found = re.search(rf'<script type="text/plain" id="{name}">(.*?)</script>', text_of(file))
    return None if found is None else base64.b64decode(found[1])


def tone(frequency, seconds=1.0, rate=RATE):
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


def test_rows_are_the_scores_of_the_detector(report):
    bad = unusable_clips(report.table, report.detector)
    usable = report.table.drop(index=bad.index)
    decision = report.detector.decision_function(usable)
    rows = rows_of(report.file)
    assert [float(row["excess"]) for row in rows] == pytest.approx(sorted(-decision, reverse=True))
    assert [row["decision"] for row in rows] == ["anomaly" if each < 0 else "normal" for each in np.sort(decision)]
    assert {row["p"] for row in rows} == {""}
    assert "p-value" not in re.sub(r"<script.*", "", text_of(report.file), flags=re.DOTALL)


def test_p_values_and_thresholds_of_a_calibrated_detector(report, tmp_path):
    normal = report.normal[:17]  # five of the second machine
    detector = CalibratedDetector(TWFRDetector(), alpha=0.25, learning_period=10).fit(normal)
    file = write_report(detector, report.table.iloc[2:], tmp_path / "report.html")
    expected = detector.p_values(report.table.iloc[2:])
    rows = rows_of(file)
    assert np.isnan(expected).sum() == 5
    assert sorted(row["p"] for row in rows) == sorted("" if np.isnan(p) else repr(float(p)) for p in expected)
    for decision in ("anomaly", "normal"):
        p_values = [float(row["p"] or "inf") for row in rows if row["decision"] == decision]
        assert p_values == sorted(p_values)
    text = text_of(file)
    assert "0.25 or less counts as one" in text
    assert text.count("> provisional<") == 5
    assert len(re.findall(r'class="threshold" x1="\d', text)) == 3  # in the legend, and one for each machine
    assert sum(int(count) for count in re.findall(r"<title>(\d+) normal when the threshold was set", text)) == 17


def test_every_name_is_escaped(report):
    text = text_of(report.file)
    assert HOSTILE not in text
    assert "<script>alert" not in text
    assert "<b>saw" not in text
    assert "<u>2</u>" not in text
    assert any(each["name"] == HOSTILE for each in data_of(report.file))


def test_nothing_but_its_own_script_may_run_and_nothing_is_fetched(report):
    text = text_of(report.file)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="(.*?)"', text)[1]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert re.findall(r'(?:src|href)="(.*?)"', re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)) == ["data:,"]


def test_a_clip_that_cannot_be_used_is_listed_or_an_error(report, tmp_path):
    assert "not usable &lt;i&gt;.wav" in text_of(report.file)
    with pytest.raises(ValueError, match="holds NaN"):
        write_report(report.detector, report.table, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_a_page_without_a_clip_that_can_be_used_lists_the_reasons(report, tmp_path):
    file = write_report(report.detector, report.table.iloc[[1]], tmp_path / "report.html", on_error="skip")
    assert "No clip could be scored." in text_of(file)
    assert rows_of(file) == []


def test_only_the_most_anomalous_clips_have_sound(report, tmp_path):
    file = write_report(report.detector, report.table.iloc[2:], tmp_path / "report.html", most=3)
    assert [row["figure"] != "" for row in rows_of(file)] == [True] * 3 + [False] * 5
    assert len(data_of(file)) == 3
    assert "5 of 8 clips have a row only" in text_of(file)


def test_the_sound_is_the_clip_and_the_nearest_normal_clip_is_of_its_machine(report, tmp_path):
    table = report.normal.iloc[[3, 15]]
    file = write_report(report.detector, table, tmp_path / "report.html", normal=report.normal, names=["a", "b"])
    data = data_of(file)
    by_name = {each["name"]: (number, each) for number, each in enumerate(data)}
    for name, position in (("a", 3), ("b", 15)):
        number, figure = by_name[name]
        sound, rate = soundfile.read(io.BytesIO(asset(file, f"sound-{number}")))
        waveform = report.normal["waveform"].iloc[position] * 10 ** (figure["gain"] / 20)
        assert rate == RATE
        assert sound == pytest.approx(waveform, abs=0.01)  # the gain is rounded
        assert data[figure["nearest"]]["name"] == f"clip {position}"


def test_features_have_rows_and_regions_but_no_sound(tmp_path):
    rng = np.random.default_rng(0)
    features = rng.normal(-40, 5, (20, 32, 40))
    features[-1, 10:20, 5:15] += 40
    detector = TWFRDetector().fit(features[:15])
    file = write_report(detector, features[15:], tmp_path / "report.html", normal=features[:15])
    rows = rows_of(file)
    assert rows[0]["decision"] == "anomaly"
    assert {row["figure"] for row in rows} == {""}
    assert "louder than in normal clips" in text_of(file)


def test_a_long_clip_is_cut_around_what_stands_out(tmp_path):
    rng = np.random.default_rng(0)
    normal = clips(12, 500, rng, "fan")
    long = clips(1, 500, rng, "fan", seconds=90.0)
    long["waveform"].iloc[0][70 * RATE : 71 * RATE] += tone(3000)
    file = write_report(TWFRDetector().fit(normal), long, tmp_path / "report.html")
    (figure,) = data_of(file)
    assert (figure["seconds"], figure["whole"], figure["start"]) == (LONGEST, 90.0, 30.0)
    (region, *_) = figure["regions"]
    assert 39.8 < region["start"] < region["end"] < 41.3


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"most": -1}, ValueError, "most"),
        ({"audio": "mp3"}, ValueError, "audio"),
        ({"names": ["only one"]}, ValueError, "names has 1 names for 8 clips"),
        ({"on_error": "ignore"}, ValueError, "on_error"),
    ],
)
def test_wrong_parameters_are_named(report, tmp_path, arguments, error, match):
    with pytest.raises(error, match=match):
        write_report(report.detector, report.table.iloc[2:], tmp_path / "report.html", **arguments)


def test_paths_that_cannot_be_written_are_named_before_anything_is_scored(report, tmp_path):
    unfitted = clone(report.detector)
    with pytest.raises(IsADirectoryError, match=r"path=.* is a folder; it must name a file"):
        write_report(unfitted, report.table, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot be written"):
        write_report(unfitted, report.table, tmp_path / "file" / "report.html")
    with pytest.raises(TypeError, match="path=3 is a int"):
        write_report(unfitted, report.table, 3)


def test_a_report_that_fails_leaves_the_old_one(report, tmp_path, monkeypatch):
    file = tmp_path / "missing" / "report.html"
    write_report(report.detector, report.table.iloc[2:4], file)
    before = file.read_bytes()

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="the disk is full"):
        write_report(report.detector, report.table.iloc[4:], file)
    assert file.read_bytes() == before
    assert [each.name for each in file.parent.iterdir()] == ["report.html"]


# pictures


def axes_of(waveform, rate=RATE):
    sound = Sound.around(waveform, rate)
    return sound, Axes.of(sound)


def test_a_tone_is_where_the_axes_say():
    for frequency in (300, 1000, 5000):
        sound, axes = axes_of(tone(frequency))
        picture = Image.open(io.BytesIO(spectrogram_png(spectrogram(sound), -100.0, 0.0))).convert("L")
        brightness = np.asarray(picture, dtype=float).mean(axis=1)[::-1]
        assert (np.argmax(brightness) + 0.5) / axes.n_bands == pytest.approx(float(axes.height(frequency)), abs=0.02)


def test_the_centre_of_a_band_is_in_the_middle_of_its_row():
    _, axes = axes_of(tone(500))
    centers = MelDefinition(sample_rate=RATE, n_mels=axes.n_bands).centers()
    assert axes.height(centers) == pytest.approx((np.arange(axes.n_bands) + 0.5) / axes.n_bands)


def test_a_map_keeps_its_largest_place_at_its_time_and_frequency():
    _, axes = axes_of(tone(500, seconds=10.0))
    times, frequencies = np.arange(1000) * 0.01, MelDefinition(sample_rate=RATE, n_mels=128, mel_scale="htk").centers()
    values = np.zeros((128, 1000))
    values[90, 777] = 1.0
    picture = on_axes(values, times, frequencies, axes)
    row, column = np.unravel_index(np.argmax(picture), picture.shape)
    assert picture.max() == 1.0
    assert abs((row + 0.5) / axes.n_bands - axes.height(frequencies[90])) <= 0.5 / axes.n_bands
    assert (column + 0.5) / picture.shape[1] == pytest.approx(0.777, abs=1 / 320)


def test_a_map_without_frequencies_is_spread_over_the_height():
    _, axes = axes_of(tone(500))
    picture = on_axes(np.eye(10), np.arange(10) * 0.1, np.full(10, np.nan), axes)
    assert picture.shape == (axes.n_bands, 10)
    assert [int(np.argmax(picture[:, column]) * 10 // axes.n_bands) for column in range(10)] == list(range(10))


def test_what_makes_a_clip_normal_is_dark_in_the_map():
    shades = np.asarray(Image.open(io.BytesIO(map_png(np.array([[-4.0, 0.0, 1.0, 4.0]]), 4.0))))
    assert shades.tolist() == [[0, 0, 24, 47]]  # the square root: a quarter is half as bright


@pytest.mark.parametrize("rate", [1000, 8000, 44100, 192000])
@pytest.mark.parametrize("n_timepoints", [1, 10, 5000])
def test_short_clips_at_any_rate_have_pictures_and_sound(rate, n_timepoints):
    sound, axes = axes_of(np.full(n_timepoints, 0.1), rate)
    level = spectrogram(sound)
    assert level.shape[0] == axes.n_bands
    assert np.isfinite(level).all()
    (file,), _ = as_files([sound], [1.0], "auto")
    assert 8000 <= soundfile.info(io.BytesIO(file)).samplerate <= 48000


# sound


def test_flac_keeps_sixteen_bits():
    waveform = np.random.default_rng(0).uniform(-0.9, 0.9, 5000)
    read, rate = soundfile.read(io.BytesIO(encoded(waveform, RATE, "flac")))
    assert rate == RATE
    assert np.abs(read - waveform).max() <= 1 / 32768


def test_ogg_is_smaller_and_sounds_alike():
    waveform = tone(700, 3.0) + 0.05 * np.random.default_rng(0).standard_normal(3 * RATE)
    file = encoded(waveform, RATE, "ogg")
    read, _ = soundfile.read(io.BytesIO(file))
    assert len(read) == len(waveform)
    assert np.corrcoef(read, waveform)[0, 1] > 0.98
    assert len(file) < len(encoded(waveform, RATE, "flac")) / 2


def test_many_clips_are_kept_as_ogg(monkeypatch):
    sounds = [Sound(np.zeros(RATE), RATE, 0.0, 1.0)]
    assert as_files(sounds, [1.0], "auto")[1] == "flac"
    monkeypatch.setattr(skasd.report._sound, "_MOST_FLAC", 3 * RATE)
    assert as_files(sounds * 2, [1.0] * 2, "auto")[1] == "ogg"


def test_the_loudest_clip_of_a_machine_sets_the_gain():
    sounds = [Sound(np.array([0.01, -level]), RATE, 0.0, 1.0) for level in (0.02, 0.3)]
    assert gain(sounds) == pytest.approx(0.9 / 0.3)
    assert gain([Sound(np.zeros(5), RATE, 0.0, 1.0)]) == 1.0


# nearest normal clip


def test_the_nearest_clip_is_of_the_same_machine():
    sounds = [Sound(tone(frequency), RATE, 0.0, 1.0) for frequency in (500, 1000, 2000)]
    known = np.array([signature(sound) for sound in sounds])
    own = signature(Sound(tone(1020), RATE, 0.0, 1.0))
    assert nearest(own, "fan", known, ["fan", "fan", "fan"]) == 1
    assert nearest(own, "fan", known, ["fan", "pump", "fan"]) in (0, 2)
    assert nearest(own, "fan", known, ["", "", ""]) == 1
    assert nearest(own, "fan", known, ["pump"] * 3) is None


# histogram


def test_bars_count_every_clip_on_its_side_of_the_axis():
    score, learnt = np.array([0.0, 1.0, 1.0, 5.0]), np.array([0.0, 0.5, 2.0])
    found = histogram("fan", score, score > 3, np.full(4, 3.0), learnt)
    counts = {
        kind: sum(int(bar.title.split()[0]) for bar in found.bars if bar.kind == kind)
        for kind in ("normal", "anomaly", "learnt")
    }
    assert counts == {"normal": 3, "anomaly": 1, "learnt": 3}
    assert all((bar.y >= HEIGHT) == (bar.kind == "learnt") for bar in found.bars)
    assert max(bar.height for bar in found.bars if bar.kind == "normal") == HEIGHT
    assert max(bar.height for bar in found.bars if bar.kind == "learnt") == DEPTH
    place, value = found.threshold
    assert value == 3.0
    assert place == pytest.approx(100 * (3.0 + 0.25) / 5.5)


def test_scores_far_away_do_not_squeeze_the_others():
    score = np.array([0.0, 1.0, 2.0, 1e6])
    found = histogram("fan", score, score > 3, np.full(4, 3.0), np.empty(0))
    assert found.ticks[-1][1].endswith("and more")
    assert sum(int(bar.title.split()[0]) for bar in found.bars) == 4
    assert found.threshold[0] > 10


def test_a_machine_with_several_thresholds_has_no_line():
    found = histogram("fan", np.zeros(2), np.zeros(2, dtype=bool), np.array([1.0, 2.0]), np.empty(0))
    assert found.threshold is None


def test_machines_have_histograms_of_their_own(report):
    captions = re.findall(r"<figcaption><b>(.*?)</b>", text_of(report.file))
    assert captions[:2] == sorted(["press &amp; &lt;b&gt;saw&lt;/b&gt;", MACHINES[1]])


def test_a_table_of_paths_shows_them_below_the_folder_they_share(report, tmp_path):
    for number in range(2):
        (tmp_path / f"day {number}").mkdir()
        soundfile.write(tmp_path / f"day {number}" / "x.wav", report.table["waveform"].iloc[2 + number], RATE)
    table = pd.DataFrame(
        {"path": [str(tmp_path / f"day {number}" / "x.wav") for number in range(2)], "machine_type": MACHINES[0]}
    )
    file = write_report(report.detector, table, tmp_path / "report.html")
    assert sorted(row["name"] for row in rows_of(file)) == ["day 0/x.wav", "day 1/x.wav"]


def test_a_detector_of_scikit_learn_is_explained_by_the_normal_clips(report, tmp_path):
    table = report.table.iloc[2:4].drop(columns="machine_type")
    normal = report.normal.iloc[:12].drop(columns="machine_type")
    model = make_pipeline(TWFRTransformer(), IsolationForest(n_estimators=10, random_state=0)).fit(normal)
    file = write_report(model, table, tmp_path / "report.html", normal=normal)
    assert [row["figure"] != "" for row in rows_of(file)] == [True, True]
    with pytest.warns(UserWarning, match="2 of 2 clips have a score but no explanation"):
        write_report(model, table, tmp_path / "report.html")
    assert text_of(file).count('class="sentence">Not explained: ') == 2
    assert asset(file, "map-0") is None
    assert len(asset(file, "sound-0")) > 1000


@pytest.mark.slow
def test_a_faulty_valve_without_odd_parts_is_explained_by_what_lowers_its_score(real_data, tmp_path):
    table = pd.read_csv(real_data / "clips.csv", dtype=str).query("dataset == 'valve2023'")
    paths = [str(real_data / path) for path in table["path"]]
    normal = [path for path, split in zip(paths, table["split"], strict=True) if split == "train"][:30]
    faulty = [path for path in paths if "target_test_anomaly" in path][-1:]
    detector = StatisticsDetector().fit(normal)
    file = write_report(detector, faulty, tmp_path / "report.html")
    assert [row["decision"] for row in rows_of(file)] == ["anomaly"]
    regions = data_of(file)[0]["regions"]
    assert 1 <= len(regions) <= 3
