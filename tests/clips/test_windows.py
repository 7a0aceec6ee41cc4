"""Windows of clips that are longer than the training clips."""

import numpy as np
import pandas as pd
import pytest
import soundfile

from skasd.clips import ClipReader, Clips
from skasd.clips._file_window import FileWindow
from skasd.clips._windows import TrainingLength

READER = ClipReader()
RAMP = np.arange(1000, dtype=np.float32) / 1000


def learnt(*lengths, reader=READER):
    return TrainingLength.of(Clips("waveform", [np.ones(length) for length in lengths]), reader)


def test_training_length_is_the_lower_median():
    assert learnt(300, 100, 400, 200).median == 200


def test_windows_reach_from_the_first_to_the_last_time_point():
    clips = Clips("waveform", [RAMP[:300], RAMP[:330], RAMP[:331], RAMP])
    windows = learnt(300).windows(clips)
    assert windows.of_clip.tolist() == [0, 1, 2, 2, 3, 3, 3, 3]
    np.testing.assert_allclose(windows.share, [1, 1, 331 / 300, 1000 / 300])
    assert windows.clips.items[1] is clips.items[1]  # 1.1 times the training length is not long
    starts = [round(1000 * float(item[0])) for item in windows.clips.items]
    assert starts == [0, 0, 0, 31, 0, 233, 467, 700]
    assert [len(item) for item in windows.clips.items] == [300, 330, *[300] * 6]


def test_clips_that_are_not_long_are_left_alone():
    assert learnt(300).windows(Clips("waveform", [RAMP[:330], RAMP[:1]])) is None
    assert learnt(300).windows(Clips("waveform", RAMP.reshape(4, 250))) is None


def test_windows_of_features_are_frames():
    features = np.arange(2 * 3 * 50.0).reshape(2, 3, 50)
    length = TrainingLength.of(Clips("feature", features[:, :, :20]), READER)
    windows = length.windows(Clips("feature", features))
    assert [item.shape for item in windows.clips.items] == [(3, 20)] * 6
    np.testing.assert_array_equal(windows.clips.items[5], features[1, :, 30:])


@pytest.mark.parametrize("rate", [16000, 44100, 8000])
@pytest.mark.parametrize("format", ["wav", "flac", "ogg"])
def test_a_window_of_a_file_is_read_alone(tmp_path, rate, format):
    path = tmp_path / f"clip.{format}"
    slow = np.sin(np.arange(4 * rate) / rate * 2 * np.pi * np.linspace(100, 400, 4 * rate))
    soundfile.write(path, 0.5 * slow, rate)
    whole = READER(path)
    window = READER(FileWindow(path, 24000, 16000, 16000))
    assert len(window) == 16000
    inside = slice(200, -200)  # a resampler knows nothing beyond the ends
    np.testing.assert_allclose(window[inside], whole[24000:40000][inside], atol=0 if rate == 16000 else 2e-3)


def test_windows_of_a_file_are_those_of_its_waveform(tmp_path):
    soundfile.write(tmp_path / "long.wav", RAMP, 16000, subtype="FLOAT")
    of_file = learnt(300).windows(Clips("waveform", [tmp_path / "long.wav"])).clips
    of_array = learnt(300).windows(Clips("waveform", [RAMP])).clips
    for window, expected in zip(of_file.items, of_array.items, strict=True):
        np.testing.assert_array_equal(READER(window), expected)


def test_channels_and_the_duration_of_the_reader_count():
    stereo = Clips("waveform", [np.stack([RAMP, -RAMP])])
    assert learnt(500).windows(stereo).clips.items[1].shape == (2, 500)
    cut = ClipReader(duration=300 / 16000)
    assert learnt(300, reader=cut).windows(stereo) is None


def test_rows_of_the_table_come_along():
    table = pd.DataFrame({"waveform": [RAMP[:300], RAMP], "section": ["00", "01"]}, index=[5, 6])
    windows = learnt(300).windows(Clips("waveform", table["waveform"].tolist(), table, "waveform")).clips
    assert windows.table["section"].tolist() == ["00", *["01"] * 4]
    assert [len(cell) for cell in windows.table["waveform"]] == [300] * 5
    assert windows.name(4) == "clip 1 (index 6 of the table)"


def test_waveforms_beside_features_are_cut_alike():
    features, waveform = [np.zeros((3, 11)), np.zeros((3, 31))], [RAMP[:333], RAMP]
    table = pd.DataFrame({"log_mel": features, "waveform": waveform})
    length = TrainingLength.of(Clips("feature", features[:1]), READER)
    cells = length.windows(Clips("feature", features, table, "log_mel")).clips.table["waveform"]
    assert [round(1000 * float(cell[0])) for cell in cells] == [0, 0, 322, 645]
    assert all(len(cell) >= 333 for cell in cells)


def test_a_clip_that_cannot_be_read_is_named_once():
    bad = RAMP.copy()
    bad[500:] = np.nan
    clips = Clips("waveform", [RAMP, bad])
    with pytest.raises(ValueError, match=r"^1 of 2 clips cannot be used:\n  clip 1: holds NaN .*\nRepair"):
        list(learnt(300).windows(clips).clips.map(np.sum, READER))


def test_positions_survive_taking():
    clips = Clips("waveform", [RAMP, RAMP, np.array([np.nan])]).take(np.array([1, 2]))
    with pytest.raises(ValueError, match=r"^1 of 2 clips cannot be used:\n  clip 2: holds NaN"):
        list(clips.map(np.sum, READER))


def test_short_clips_are_warned_about():
    clips = Clips("waveform", [np.ones(16000 * seconds) for seconds in (2, 5, 10, 70)])
    trained = learnt(*[160000] * 10)
    message = r"2 of 4 clips are much shorter \(2 s to 5 s\) than the clips that X was trained on \(median 10 s\)"
    with pytest.warns(UserWarning, match=message):
        trained.warn_of_short(clips, "X", 1)
    trained.warn_of_short(clips.take(np.array([2, 3])), "X", 1)


def test_lengths_that_were_trained_on_are_not_warned_about():
    lengths = [16000 * seconds for seconds in range(2, 22)]
    clips = Clips("waveform", [np.ones(length) for length in lengths])
    TrainingLength.of(clips, READER).warn_of_short(clips, "X", 1)


def test_short_features_are_counted_in_frames():
    trained = TrainingLength.of(Clips("feature", np.zeros((4, 3, 20))), READER)
    with pytest.warns(UserWarning, match=r"1 of 1 clips .* \(5 frames\) .* \(median 20 frames\)"):
        trained.warn_of_short(Clips("feature", np.zeros((1, 3, 5))), "X", 1)
